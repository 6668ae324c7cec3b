// Draws figures of every kind. With HEADSTART_PLOT_SAMPLES=DIR it writes them
// there, to be looked at.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random_stream.h"
#include "client/plot/figure.h"
#include "client/plot/test_svg.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// About normal: the sum of twelve draws.
double Noise(RandomStream& stream) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) {
    sum += stream.Uniform();
  }
  return sum;
}

std::vector<double> Epochs(int count) {
  std::vector<double> epochs;
  for (int epoch = 0; epoch < count; ++epoch) {
    epochs.push_back(epoch);
  }
  return epochs;
}

// A learning curve that ends near `final`.
Line Curve(const std::string& name, double start, double final, double speed,
           int epochs, RandomStream stream) {
  Line line = {.name = name, .x = Epochs(epochs)};
  for (double epoch : line.x) {
    const double y = final + (start - final) * std::exp(-speed * epoch) +
                     0.004 * (start - final) * Noise(stream);
    const double spread = 0.02 * std::abs(y) + 0.01 * std::abs(start - final);
    line.y.push_back(y);
    line.low.push_back(y - spread);
    line.high.push_back(y + spread);
  }
  return line;
}

Figure LearningCurves() {
  Panel panel = {
      .x = {.label = "epoch"},
      .y = {.label = "training loss", .scale = Scale::kLog},
      .horizontal_rules = {{0.05, "target 0.05"}},
      .vertical_rules = {{20, "rate halved"}, {21, "and again"}},
  };
  int i = 0;
  for (const char* name : {"xavier_uniform", "kaiming_normal", "orthogonal",
                           "nio", "checkpoint of epoch 25"}) {
    panel.lines.push_back(Curve(name, 2.3, 0.02 * (i + 1), 0.08 + 0.03 * i, 60,
                                RandomStream(1).Child("curve", i)));
    ++i;
  }
  return {.title = "Training loss of LeNet on MNIST",
          .subtitle =
              "Mean of five seeds; the band is one standard deviation "
              "to either side",
          .panels = {panel}};
}

Figure Pruning() {
  Panel panel = {
      .x = {.label = "weights remaining",
            .unit = "%",
            .scale = Scale::kLog,
            .reversed = true},
      .y = {.label = "validation accuracy", .unit = "%", .max = 98.5},
  };
  std::vector<double> remaining;
  for (int level = 0; level <= 20; ++level) {
    remaining.push_back(100 * std::pow(0.8, level));
    panel.x.ticks.push_back(
        {remaining.back(),
         level % 4 == 0 ? absl::StrCat(std::round(remaining.back() * 10) / 10)
                        : ""});
  }
  int i = 0;
  for (const char* name :
       {"xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
        "lecun_uniform", "lecun_normal", "orthogonal", "truncated_normal",
        "N(0, 1)", "U(0, 1)"}) {
    RandomStream stream = RandomStream(2).Child("pruning", i);
    Line line = {
        .name = name, .x = remaining, .draw = Line::Draw::kLineAndMarkers};
    for (double share : remaining) {
      const double y = 98 - 0.2 * i - (3.0 + i) / std::pow(share, 0.8) +
                       0.05 * Noise(stream);
      line.y.push_back(y);
      line.low.push_back(y - 0.25);
      line.high.push_back(y + 0.25);
    }
    panel.lines.push_back(line);
    ++i;
  }
  return {
      .title = "Accuracy of LeNet-300-100 after iterative magnitude pruning",
      .panels = {panel}};
}

Figure BoxPlots() {
  Panel panel = {
      .x = {.categories = {"random", "epoch 2", "epoch 5", "epoch 10",
                           "final"}},
      .y = {.label = "best test accuracy", .unit = "%"},
      .horizontal_rules = {{91.2, "the paper's 91.2 %"}},
  };
  for (int group = 0; group < 3; ++group) {
    const char* names[] = {"batch 64", "batch 128", "batch 256"};
    Boxes boxes = {.name = names[group]};
    for (int i = 0; i < 5; ++i) {
      RandomStream stream = RandomStream(3).Child("box", 10 * group + i);
      std::vector<double> samples;
      for (int seed = 0; seed < 20; ++seed) {
        samples.push_back(89 + 0.5 * i - 0.3 * group + 0.35 * Noise(stream));
      }
      boxes.boxes.push_back(BoxOf(samples));
    }
    panel.boxes.push_back(boxes);
  }
  return {.title = "Which start was better?",
          .subtitle = "20 seeds each",
          .panels = {panel}};
}

Figure BarChart() {
  Panel panel = {
      .x = {.categories = {"LeNet", "small CNN", "ResNet-18", "ResNet-34"}},
      .y = {.label = "epochs to 90 % accuracy"},
      .bars =
          {{"random",
            {29.1, 31.5, 40.2, 44},
            {27, 29, 38, 41},
            {31, 34, 42, 47}},
           {"epoch 5",
            {20.4, 22, 31.5, 37},
            {19, 20, 30, 35},
            {22, 24, 33, 39}},
           {"epoch 25",
            {14.4, 16.5, 22.1, kNan},
            {13, 15, 20, kNan},
            {15.5, 18, 24, kNan}},
           {"final", {9.1, 12.5, 18.2, 20}, {8, 11, 17, 18}, {10, 14, 19, 22}},
           {"nio", {25, 28, 36, 41}, {24, 26, 34, 39}, {26, 30, 38, 43}}},
  };
  return {.title = "Time to accuracy", .panels = {panel}};
}

Figure SmallMultiples() {
  Figure figure = {
      .title =
          "Six data sets, three starts: a title that is so long that it "
          "needs a second line to be readable at this width",
      .columns = 3,
      .shared_y = true};
  int index = 0;
  for (const char* data : {"MNIST", "Fashion-MNIST", "CIFAR-10", "CIFAR-100",
                           "SVHN", "synthetic"}) {
    Panel panel = {.title = data,
                   .x = {.label = index >= 3 ? "epoch" : ""},
                   .y = {.label = index % 3 == 0 ? "accuracy" : "",
                         .unit = index % 3 == 0 ? "%" : ""},
                   .horizontal_rules = {{90, "target"}}};
    int i = 0;
    for (const char* name : {"random", "epoch 5", "final"}) {
      panel.lines.push_back(
          Curve(name, 10 + 20 * i, 95 - 4 * index, 0.1, 40,
                RandomStream(4).Child("multiple", 10 * index + i)));
      ++i;
    }
    figure.panels.push_back(panel);
    ++index;
  }
  return figure;
}

Figure ManyRuns() {
  Panel panel = {.x = {.label = "epoch"},
                 .y = {.label = "validation accuracy", .unit = "%"}};
  for (int run = 0; run < 232; ++run) {
    RandomStream stream = RandomStream(5).Child("run", run);
    const bool is_tuned = run % 2 == 1;
    const double final = (is_tuned ? 90 : 80) + 2 * Noise(stream);
    Line line = Curve(is_tuned ? "tuned" : "random", 10, final, 0.03, 200,
                      stream.Child("curve"));
    line.low.clear();
    line.high.clear();
    line.faint = true;
    panel.lines.push_back(line);
  }
  return {.title = "232 runs", .panels = {panel}};
}

Figure LongNames() {
  Panel bars = {.title = "Slanted names",
                .x = {.label = "recipe"},
                .y = {.label = "difference to the baseline, with a label that "
                               "is far too long for its place above the axis "
                               "and is therefore cut",
                      .unit = "points"}};
  Bars differences = {.name = "difference"};
  for (int i = 0; i < 24; ++i) {
    bars.x.categories.push_back(
        absl::StrCat("studies/", i, "/trials/", 7 * i, "/epochs/40"));
    differences.y.push_back(10 * std::sin(i));
  }
  bars.bars.push_back(differences);
  Panel lines = {.title = "Many lines", .x = {.label = "epoch"}};
  for (int i = 0; i < 46; ++i) {
    Line line = Curve(absl::StrCat("initializer number ", i,
                                   i % 9 == 0 ? " with a <very> long & \"odd\" "
                                                "name that does not end soon"
                                              : ""),
                      10, 20 + i, 0.1, 30, RandomStream(6).Child("name", i));
    line.low.clear();
    line.high.clear();
    lines.lines.push_back(line);
  }
  return {.title = "Long names & many of them",
          .panels = {bars, lines},
          .columns = 1};
}

Figure OddValues() {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x = {1, 2, 3, 4, 5, 6, 7};
  return {.title = "What is missing",
          .panels = {
              {.title = "Gaps",
               .x = {.label = "epoch"},
               .lines = {{.name = "with gaps",
                          .x = x,
                          .y = {1, 2, kNan, 3, kNan, 4, 5},
                          .low = {0.5, 1.5, kNan, 2.5, 2.5, 3.5, 4.5},
                          .high = {1.5, 2.5, kNan, 3.5, 3.5, 4.5, 5.5}},
                         {.name = "diverged",
                          .x = x,
                          .y = {1, 1.5, 1.2, inf, inf, kNan, kNan},
                          .draw = Line::Draw::kLineAndMarkers}}},
              {.title = "Log of zero",
               .x = {.label = "epoch"},
               .y = {.label = "loss", .scale = Scale::kLog},
               .lines = {{.name = "with gaps",
                          .x = x,
                          .y = {100, 10, 1, 0.1, 0, -1, 0.01},
                          .low = {50, 5, 0, -1, 0, 0, 0.001},
                          .high = {200, 20, 2, 1, 1, 1, 0.1}}}},
              {.title = "Nothing",
               .x = {.label = "epoch"},
               .y = {.label = "loss"},
               .lines = {{.name = "empty"}}},
              {.title = "Constant",
               .x = {.label = "epoch"},
               .y = {.label = "rate"},
               .lines = {{.name = "constant",
                          .x = x,
                          .y = std::vector<double>(7, 3e-7)}}},
              {.title = "Error bars, cut off",
               .x = {.label = "weight decay", .scale = Scale::kLog},
               .y = {.label = "loss", .min = 0.2},
               .lines = {{.name = "samples",
                          .x = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2},
                          .y = {0.5, 0.4, 0.3, 0.35, 0.1},
                          .low = {0.4, 0.35, 0.1, 0.3, 0.05},
                          .high = {0.6, 0.45, 0.4, 0.4, 0.15},
                          .draw = Line::Draw::kMarkers}}},
              {.title = "Large numbers",
               .x = {.label = "parameters", .scale = Scale::kLog},
               .y = {.label = "steps"},
               .lines = {{.name = "samples",
                          .x = {6e4, 1.1e7, 2.1e7, 2.5e7, 6e7},
                          .y = {120000, 98000, 87000, 81000, 60000},
                          .draw = Line::Draw::kLineAndMarkers}}},
          }};
}

// For a phone, or a column of a paper.
Figure Narrow() {
  Figure figure = LearningCurves();
  figure.panels.push_back(BoxPlots().panels.front());
  figure.panels.push_back(BarChart().panels.front());
  figure.panels.back().bars.resize(1);
  figure.panels.back().x.categories[1] = "a small convolutional network";
  figure.width = 320;
  return figure;
}

class SamplesTest
    : public testing::TestWithParam<std::pair<const char*, Figure (*)()>> {};

TEST_P(SamplesTest, IsWellFormed) {
  const auto& [name, make] = GetParam();

  const absl::StatusOr<std::string> svg = DrawSvg(make());

  ASSERT_TRUE(svg.ok()) << svg.status();
  EXPECT_EQ(SvgReader::Read(*svg).error, "");
  // No number of a figure is worth more, and each fits into a report.
  EXPECT_LT(svg->size(), 1'500'000);
  if (const char* folder = std::getenv("HEADSTART_PLOT_SAMPLES")) {
    std::ofstream(absl::StrCat(folder, "/", name, ".svg")) << *svg;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SamplesTest,
    testing::Values(
        std::pair("learning_curves", &LearningCurves),
        std::pair("pruning", &Pruning), std::pair("box_plots", &BoxPlots),
        std::pair("bar_chart", &BarChart),
        std::pair("small_multiples", &SmallMultiples),
        std::pair("many_runs", &ManyRuns), std::pair("long_names", &LongNames),
        std::pair("odd_values", &OddValues), std::pair("narrow", &Narrow)),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace headstart::client
