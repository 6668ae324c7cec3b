#include "client/report/comparison_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "client/plot/box.h"
#include "client/report/comparison_tables.h"

namespace headstart::client {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kWidth = 940;
constexpr int kPointsMax = 240;
constexpr int64_t kQuartersEpochsMin = 12;  // A quarter of fewer is no curve.
constexpr int kMarkersEpochsMax = 12;
constexpr int kArmsMax = 16;     // With a panel of their own.
constexpr size_t kBandsMax = 4;  // Where lines are close, more are a blur.
constexpr size_t kDotsMax = 40;  // In a box.
constexpr int kInkStyle = 30;    // Black or white, not hatched: no arm.
// Of the room between two boxes. Boxes have a largest width, and dots stay
// inside: with few arms they take less of the room.
double DotsWidth(int arms) { return std::min(0.3, 0.05 * arms); }

std::vector<Rule> TargetRule(const v1::ComparisonReport& report) {
  if (!HasTarget(report)) return {};
  return {{report.comparison().target_accuracy() * 100, "target"}};
}

std::string MetricLabel(const v1::ComparisonReport& report) {
  return ComparedMetricText(report.comparison().metric());
}

Line LineOf(const v1::ArmReport& arm, int style) {
  Curve curve = AccuracyCurve(arm, kPointsMax);
  return {.name = arm.label(),
          .x = std::move(curve.epochs),
          .y = std::move(curve.mean),
          .low = std::move(curve.low),
          .high = std::move(curve.high),
          .style = style};
}

// What some values take, without those that are missing.
struct Range {
  double low = kNan;
  double high = kNan;

  void Add(double value) {
    low = std::fmin(low, value);
    high = std::fmax(high, value);
  }
  bool IsWide() const { return low < high; }
};

Range RangeWithin(const Line& line, double from, double to) {
  Range range;
  for (size_t i = 0; i < line.x.size(); ++i) {
    if (line.x[i] < from || line.x[i] > to) continue;
    range.Add(line.y[i]);
    if (line.low.empty()) continue;
    range.Add(line.low[i]);
    range.Add(line.high[i]);
  }
  return range;
}

// `whole` between two epochs, with the range of y that its lines take from
// `y_from` on.
Panel Part(const Panel& whole, const std::string& title, double from, double to,
           double y_from) {
  Panel panel = whole;
  panel.title = title;
  panel.x.min = from;
  panel.x.max = to;
  Range range;
  for (Line& line : panel.lines) {
    if (panel.lines.size() > kBandsMax) {
      line.low.clear();
      line.high.clear();
    }
    const Range of_line = RangeWithin(line, y_from, to);
    range.Add(of_line.low);
    range.Add(of_line.high);
  }
  if (range.IsWide()) {
    const double room = (range.high - range.low) * 0.05;
    panel.y.min = range.low - room;
    panel.y.max = range.high + room;
  }
  return panel;
}

std::vector<std::string> Labels(const v1::ComparisonReport& report) {
  std::vector<std::string> labels;
  for (const v1::ArmReport& arm : report.arms()) labels.push_back(arm.label());
  return labels;
}

int64_t EpochCount(const v1::ArmReport& arm) {
  int64_t count = 0;
  for (const v1::ComparedRun* run : CountingRuns(arm)) {
    count = std::max<int64_t>(count, run->accuracy_size());
  }
  return count;
}

int64_t MostEpochs(const v1::ComparisonReport& report) {
  int64_t most = 0;
  for (const v1::ArmReport& arm : report.arms()) {
    most = std::max(most, EpochCount(arm));
  }
  return most;
}

// In percent; NaN where it was not measured.
double AccuracyAt(const v1::ComparedRun& run, int64_t epoch) {
  return epoch <= run.accuracy_size()
             ? run.accuracy(static_cast<int>(epoch - 1)) * 100
             : kNan;
}

// `value_at(sample, epoch)` over `samples`.
template <typename Sample, typename ValueAt>
Curve CurveOf(const std::vector<Sample>& samples, int64_t epochs,
              int points_max, ValueAt value_at) {
  Curve curve;
  if (samples.empty() || epochs == 0) return curve;
  const int64_t step = (epochs + points_max - 1) / points_max;
  // Counted from the end, so that the last epoch is among them.
  for (int64_t epoch = 1 + (epochs - 1) % step; epoch <= epochs;
       epoch += step) {
    double count = 0;
    double sum = 0;
    for (const Sample& sample : samples) {
      const double value = value_at(sample, epoch);
      if (std::isnan(value)) continue;
      ++count;
      sum += value;
    }
    const bool has_mean =
        count > 0 && 2 * count >= static_cast<double>(samples.size());
    const double mean = has_mean ? sum / count : kNan;
    double squares = 0;
    for (const Sample& sample : samples) {
      const double value = value_at(sample, epoch);
      if (!std::isnan(value)) squares += (value - mean) * (value - mean);
    }
    const double deviation =
        count >= 2 ? std::sqrt(squares / (count - 1)) : kNan;
    curve.epochs.push_back(static_cast<double>(epoch));
    curve.mean.push_back(mean);
    if (samples.size() >= 2) {
      curve.low.push_back(mean - deviation);
      curve.high.push_back(mean + deviation);
    }
  }
  return curve;
}

Panel AccuracyPanel(const v1::ComparisonReport& report) {
  Panel panel = {.x = {.label = "epoch"},
                 .y = {.label = MetricLabel(report), .unit = "%"},
                 .horizontal_rules = TargetRule(report)};
  for (int i = 0; i < report.arms_size(); ++i) {
    panel.lines.push_back(LineOf(report.arms(i), i));
  }
  return panel;
}

}  // namespace

Curve AccuracyCurve(const v1::ArmReport& arm, int points_max) {
  std::vector<const v1::ComparedRun*> runs = CountingRuns(arm);
  return CurveOf(runs, EpochCount(arm), points_max,
                 [](const v1::ComparedRun* run, int64_t epoch) {
                   return AccuracyAt(*run, epoch);
                 });
}

Curve DifferenceCurve(const v1::ArmReport& arm, const v1::ArmReport& baseline,
                      int points_max) {
  absl::btree_map<int64_t, const v1::ComparedRun*> by_seed;
  for (const v1::ComparedRun* run : CountingRuns(baseline)) {
    by_seed[run->seed()] = run;
  }
  std::vector<std::pair<const v1::ComparedRun*, const v1::ComparedRun*>> pairs;
  for (const v1::ComparedRun* run : CountingRuns(arm)) {
    const auto other = by_seed.find(run->seed());
    if (other != by_seed.end()) pairs.emplace_back(run, other->second);
  }
  return CurveOf(pairs, std::min(EpochCount(arm), EpochCount(baseline)),
                 points_max, [](const auto& pair, int64_t epoch) {
                   return AccuracyAt(*pair.first, epoch) -
                          AccuracyAt(*pair.second, epoch);
                 });
}

Figure CurvesFigure(const v1::ComparisonReport& report) {
  Panel panel = AccuracyPanel(report);
  if (MostEpochs(report) <= kMarkersEpochsMax) {
    for (Line& line : panel.lines) line.draw = Line::Draw::kLineAndMarkers;
  }
  return {.panels = {std::move(panel)}, .width = kWidth, .panel_height = 300};
}

Figure QuartersFigure(const v1::ComparisonReport& report) {
  Figure figure = {.width = kWidth, .panel_height = 260};
  const int64_t most = MostEpochs(report);
  if (most < kQuartersEpochsMin) return figure;
  const auto epochs = static_cast<double>(most);
  const Panel whole = AccuracyPanel(report);
  // The very first epochs would take all the room.
  const double first_end = std::ceil(epochs / 4);
  figure.panels = {Part(whole, "the first quarter", 0, first_end,
                        std::ceil(first_end / 10) + 1),
                   Part(whole, "the last quarter", std::floor(epochs * 3 / 4),
                        epochs, std::floor(epochs * 3 / 4))};
  return figure;
}

Figure DifferencesFigure(const v1::ComparisonReport& report) {
  Figure figure = {.columns = std::clamp(report.arms_size() - 1, 1, 3),
                   .width = kWidth,
                   .panel_height = 150};
  const v1::ArmReport* baseline = BaselineOf(report);
  if (baseline == nullptr || report.arms_size() > kArmsMax) return figure;
  Range range;
  range.Add(0);
  bool has_any = false;
  for (int i = 0; i < report.arms_size(); ++i) {
    const v1::ArmReport& arm = report.arms(i);
    if (arm.is_baseline()) continue;
    Curve curve = DifferenceCurve(arm, *baseline, kPointsMax / 2);
    Line line = {.x = std::move(curve.epochs),
                 .y = std::move(curve.mean),
                 .low = std::move(curve.low),
                 .high = std::move(curve.high),
                 .style = i};
    has_any = has_any || !line.low.empty();
    const auto epochs = static_cast<double>(EpochCount(arm));
    const Range of_line = RangeWithin(line, epochs / 10, epochs);
    range.Add(of_line.low);
    range.Add(of_line.high);
    figure.panels.push_back({.title = arm.label(),
                             .x = {.label = "epoch"},
                             .y = {.label = "difference", .unit = "points"},
                             .lines = {std::move(line)},
                             .horizontal_rules = {{0}}});
  }
  if (!has_any) figure.panels.clear();
  if (range.IsWide()) {
    const double room = (range.high - range.low) * 0.05;
    for (Panel& panel : figure.panels) {
      panel.y.min = range.low - room;
      panel.y.max = range.high + room;
    }
  }
  return figure;
}

Figure BestFigure(const v1::ComparisonReport& report) {
  Panel panel = {
      .x = {.categories = Labels(report)},
      .y = {.label = absl::StrCat("best ", MetricLabel(report)), .unit = "%"}};
  Boxes boxes = {.style = kInkStyle};
  for (int i = 0; i < report.arms_size(); ++i) {
    std::vector<double> samples;
    for (const v1::ComparedRun* run : CountingRuns(report.arms(i))) {
      samples.push_back(run->has_best() ? run->best() * 100 : kNan);
    }
    Box box = BoxOf(samples);
    if (samples.size() <= kDotsMax) {
      box.outliers.clear();  // The dots show them.
      Line dots = {.draw = Line::Draw::kMarkers, .style = i};
      for (size_t k = 0; k < samples.size(); ++k) {
        const double place =
            samples.size() == 1
                ? 0
                : static_cast<double>(k) / (samples.size() - 1) - 0.5;
        dots.x.push_back(i + DotsWidth(report.arms_size()) * place);
        dots.y.push_back(samples[k]);
      }
      panel.lines.push_back(std::move(dots));
    }
    boxes.boxes.push_back(std::move(box));
  }
  panel.boxes = {std::move(boxes)};
  return {.panels = {std::move(panel)}, .width = kWidth, .panel_height = 280};
}

Figure TimeFigure(const v1::ComparisonReport& report) {
  Figure figure = {.width = kWidth, .panel_height = 240};
  Bars alone = {.name = "epochs of this training"};
  Bars in_all = {.name = "with the epochs before it"};
  bool has_any = false;
  for (const v1::ArmReport& arm : report.arms()) {
    const v1::Spread& time = arm.time_to_accuracy();
    const bool is_there = time.count() > 0;
    has_any = has_any || is_there;
    alone.y.push_back(is_there ? time.mean() : kNan);
    alone.low.push_back(is_there && time.count() > 1 ? time.low() : kNan);
    alone.high.push_back(is_there && time.count() > 1 ? time.high() : kNan);
    in_all.y.push_back(alone.y.back() + static_cast<double>(arm.start_epoch()));
  }
  if (!HasTarget(report) || !has_any) return figure;
  Panel panel = {.x = {.categories = Labels(report)},
                 .y = {.label = "epochs to the target"}};
  if (HasEarlierEpochs(report)) {
    panel.bars = {std::move(alone), std::move(in_all)};
  } else {
    alone.name.clear();
    panel.bars = {std::move(alone)};
  }
  figure.panels = {std::move(panel)};
  return figure;
}

}  // namespace headstart::client
