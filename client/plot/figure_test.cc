#include "client/plot/figure.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/random_stream.h"
#include "client/plot/test_svg.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The figure of one panel, which must be drawable and well formed.
SvgContent Drawn(const Figure& figure) {
  const absl::StatusOr<std::string> svg = DrawSvg(figure);
  EXPECT_TRUE(svg.ok()) << svg.status();
  SvgContent content = SvgReader::Read(svg.value_or(""));
  EXPECT_EQ(content.error, "");
  return content;
}

SvgContent Drawn(const Panel& panel) {
  return Drawn(Figure{.panels = {panel}});
}

// The numbers of a path, in order.
std::vector<double> Numbers(const std::string& path) {
  std::vector<double> numbers;
  for (absl::string_view part :
       absl::StrSplit(path, absl::ByAnyChar("MLHVhvz "), absl::SkipEmpty())) {
    double number = kNan;
    EXPECT_TRUE(absl::SimpleAtod(part, &number)) << path;
    numbers.push_back(number);
  }
  return numbers;
}

// The area between the axes: the axis path begins with its corners.
struct Corners {
  double left, top, bottom, right;
};

Corners CornersOf(const SvgContent& content) {
  const std::vector<double> axis =
      Numbers(content.paths.at("hsp-axis").front());
  return {axis[0], axis[1], axis[2], axis[3]};
}

TEST(FigureTest, DrawsALineFromCornerToCorner) {
  const SvgContent content =
      Drawn({.x = {.min = 0, .max = 10},
             .y = {.min = 0, .max = 4},
             .lines = {{.x = {0, 5, 10}, .y = {0, 1, 4}}}});

  const Corners corners = CornersOf(content);
  EXPECT_THAT(
      Numbers(content.paths.at("hsp-line").front()),
      testing::Pointwise(
          testing::DoubleNear(0.011),
          {corners.left, corners.bottom, (corners.left + corners.right) / 2,
           corners.bottom - (corners.bottom - corners.top) / 4, corners.right,
           corners.top}));
}

TEST(FigureTest, DrawsKnownDataAtKnownPixels) {
  // 800 wide with margins of 16; "100" and a gap left of the axis.
  const SvgContent content =
      Drawn(Figure{.panels = {{.x = {.min = 0, .max = 10},
                               .y = {.min = 0, .max = 100},
                               .lines = {{.x = {0, 10}, .y = {0, 100}}}}},
                   .panel_height = 200});

  EXPECT_THAT(content.paths.at("hsp-line"), ElementsAre("M47.04 232 776 32"));
}

TEST(FigureTest, RunsALogAxisBackwards) {
  const SvgContent content =
      Drawn({.x = {.scale = Scale::kLog,
                   .min = 1,
                   .max = 100,
                   .reversed = true,
                   .ticks = {{100, "100"}, {41, "41.0"}, {10, "10"}, {1, "1"}}},
             .lines = {{.x = {100, 10, 1}, .y = {1, 2, 3}}}});

  const Corners corners = CornersOf(content);
  const std::vector<double> line =
      Numbers(content.paths.at("hsp-line").front());
  EXPECT_NEAR(line[0], corners.left, 0.01);
  EXPECT_NEAR(line[2], (corners.left + corners.right) / 2, 0.01);
  EXPECT_NEAR(line[4], corners.right, 0.01);
  EXPECT_THAT(content.texts, Contains("41.0"));
}

TEST(FigureTest, BreaksALineAtAMissingPoint) {
  const SvgContent content =
      Drawn({.x = {.min = 0, .max = 6},
             .y = {.min = 0, .max = 6},
             .lines = {{.x = {0, 1, 2, 3, 4, 5, 6},
                        .y = {0, 1, kNan, 3, kNan, 5, 6},
                        .low = {0, 0, kNan, 2, kNan, 4, 5},
                        .high = {1, 2, kNan, 4, kNan, 6, 6}}}});

  const std::string line = content.paths.at("hsp-line").front();
  EXPECT_EQ(std::count(line.begin(), line.end(), 'M'), 2);
  EXPECT_THAT(Numbers(line), SizeIs(8));
  // The point between two gaps is a dot.
  EXPECT_THAT(content.paths.at("hsp-line hsp-dot"),
              ElementsAre(HasSubstr("h0")));
  const std::string band = content.paths.at("hsp-band").front();
  EXPECT_EQ(std::count(band.begin(), band.end(), 'z'), 3);
}

TEST(FigureTest, SaysThatThereIsNoData) {
  for (const Figure& figure : {
           Figure{},
           Figure{.panels = {{}}},
           Figure{.panels = {{.lines = {{.name = "empty"}}}}},
           Figure{.panels = {{.lines = {{.x = {1, 2}, .y = {kNan, kNan}}}}}},
           Figure{.panels = {{.x = {.categories = {"a"}},
                            .bars = {{.y = {kNan}}}}}},
           Figure{.panels = {{.x = {.categories = {"a"}},
                            .boxes = {{.boxes = {BoxOf({})}}}}}},
       }) {
    EXPECT_THAT(Drawn(figure).texts, Contains("no data"));
  }
}

TEST(FigureTest, CountsTheValuesThatItCannotDraw) {
  const SvgContent content =
      Drawn({.title = "losses",
             .y = {.scale = Scale::kLog},
             .lines = {{.x = {1, 2, 3, 4, 5, 6},
                        .y = {1, kInfinity, 0, -2, kNan, 3}}}});

  EXPECT_THAT(content.texts,
              Contains("losses: Values not drawn: 1 infinite and 2 not above 0 "
                       "on a log axis."));
  EXPECT_THAT(content.texts, Not(Contains("no data")));
}

TEST(FigureTest, CutsABandThatReachesBelowALogAxisOffAtItsEdge) {
  const SvgContent content = Drawn({.y = {.scale = Scale::kLog},
                                    .lines = {{.x = {1, 2},
                                               .y = {1, 2},
                                               .low = {-1, 0},
                                               .high = {3, kInfinity}}}});

  const Corners corners = CornersOf(content);
  const std::vector<double> band =
      Numbers(content.paths.at("hsp-band").front());
  EXPECT_EQ(band[3], corners.top);     // The high end of x = 2.
  EXPECT_EQ(band[5], corners.bottom);  // Its low end, on the way back.
  EXPECT_EQ(band[7], corners.bottom);
  EXPECT_THAT(content.texts, Not(Contains(HasSubstr("not drawn"))));
}

TEST(FigureTest, LetsNoNameBecomeMarkup) {
  const std::string evil =
      "</title></text><script>alert('1')</script>\"'& \x01\xFF";
  const SvgContent content = Drawn(Figure{
      .title = evil,
      .subtitle = evil,
      .description = evil,
      .panels = {{.title = evil,
                  .x = {.label = evil, .unit = evil, .ticks = {{1, evil}}},
                  .y = {.label = evil, .unit = evil},
                  .lines = {{.name = evil,
                             .x = {1, 2},
                             .y = {1, 2},
                             .draw = Line::Draw::kLineAndMarkers}},
                  .horizontal_rules = {{1, evil}}},
                 {.x = {.categories = {evil}},
                  .bars = {{.name = evil, .y = {1}}},
                  .boxes = {{.name = evil, .boxes = {BoxOf({1, 2})}}}}}});

  for (const auto& [element, count] : content.element_counts) {
    EXPECT_THAT((std::set<std::string>{"svg", "title", "desc", "style", "rect",
                                       "g", "path", "text"}),
                Contains(element));
  }
  EXPECT_EQ(content.titles.front(),
            "</title></text><script>alert('1')</script>\"'& \uFFFD\uFFFD");
}

TEST(FigureTest, GivesMarksTooltipsWithTheirValues) {
  const SvgContent content =
      Drawn({.x = {.label = "epoch", .categories = {"first", "last"}},
             .y = {.label = "accuracy", .unit = "%"},
             .lines = {{.name = "run",
                        .x = {0, 1},
                        .y = {97.25, 98},
                        .low = {97, 97.5},
                        .high = {97.5, 98.5},
                        .draw = Line::Draw::kMarkers}},
             .bars = {{.name = "mean", .y = {96, 97}}},
             .boxes = {{.name = "all",
                        .boxes = {BoxOf({1, 2, 3, 4, 5}), BoxOf({9, 9, 9})}}}});

  EXPECT_THAT(
      content.titles,
      AllOf(Contains("run: 97.25 % (97 to 97.5) at first"),
            Contains("mean: 97 % at last"),
            Contains("all, first: median 3 %, quartiles (2 to 4), whiskers (1 "
                     "to 5), n = 5")));
}

TEST(FigureTest, LeavesNoMarkersBeyondFixedEnds) {
  const SvgContent content = Drawn({.x = {.min = 0, .max = 1},
                                    .lines = {{.x = {0, 1, 2, -1},
                                               .y = {1, 2, 3, 4},
                                               .draw = Line::Draw::kMarkers}}});

  EXPECT_THAT(content.paths.at("hsp-marker"), SizeIs(2));
}

TEST(FigureTest, PutsManyMarkersIntoOnePath) {
  Line line = {.draw = Line::Draw::kMarkers};
  for (int i = 0; i < 5000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i % 17);
  }

  EXPECT_THAT(Drawn({.lines = {line}}).paths.at("hsp-marker"), SizeIs(1));
}

TEST(FigureTest, StandsBarsBesideEachOtherOnZero) {
  const SvgContent content =
      Drawn({.x = {.categories = {"a", "b"}},
             .y = {.min = -1, .max = 3},
             .bars = {{.y = {2, -1}}, {.y = {1, kNan}}}});

  const Corners corners = CornersOf(content);
  const double zero = corners.bottom - (corners.bottom - corners.top) / 4;
  const std::vector<std::string>& bars = content.paths.at("hsp-bar");
  ASSERT_THAT(bars, SizeIs(3));
  // M left top H right V bottom H left.
  const std::vector<double> first = Numbers(bars[0]);
  const std::vector<double> negative = Numbers(bars[1]);
  const std::vector<double> second = Numbers(bars[2]);
  EXPECT_NEAR(first[3], zero, 0.01);
  EXPECT_NEAR(negative[1], zero, 0.01);
  EXPECT_NEAR(negative[3], corners.bottom, 0.01);
  EXPECT_LT(first[2], second[0]);
  const double first_category =
      corners.left + (corners.right - corners.left) / 4;
  EXPECT_NEAR((first[0] + second[2]) / 2, first_category, 0.02);
}

TEST(FigureTest, SharesLooksAndLegendBetweenPanels) {
  const Line line = {.x = {1, 2}, .y = {1, 2}};
  Line a = line;
  a.name = "alpha";
  Line b = line;
  b.name = "beta";
  Line c = line;
  c.name = "gamma";
  c.style = 0;

  const absl::StatusOr<std::string> svg =
      DrawSvg({.panels = {{.lines = {a, b}}, {.lines = {b, a, c}}}});

  ASSERT_THAT(svg, IsOk());
  const SvgContent content = SvgReader::Read(*svg);
  for (const char* name : {"alpha", "beta", "gamma"}) {
    EXPECT_EQ(std::count(content.texts.begin(), content.texts.end(), name), 1);
  }
  // Each once in the legend and once per line; gamma asked for place 0.
  const auto count = [&](absl::string_view text) {
    return std::vector<absl::string_view>(absl::StrSplit(*svg, text)).size() -
           1;
  };
  EXPECT_EQ(count("<g class=\"hsp-0\">"), 2);
  EXPECT_EQ(count("<g class=\"hsp-1\">"), 3);
  EXPECT_EQ(count("<g class=\"hsp-2\">"), 3);
}

TEST(FigureTest, ShowsTheSameRangeInAllPanelsWhenAsked) {
  const SvgContent content =
      Drawn(Figure{.panels = {{.lines = {{.x = {0, 1}, .y = {0, 1}}}},
                              {.lines = {{.x = {0, 1}, .y = {0, 100}}}}},
                   .shared_y = true});

  EXPECT_EQ(std::count(content.texts.begin(), content.texts.end(), "100"), 2);
}

TEST(FigureTest, LabelsEveryRuleWhereverItIs) {
  const std::string name = "a label that is wider than half of the panel";
  for (double at : {0.0, 0.5, 1.0}) {
    const SvgContent content =
        Drawn(Figure{.panels = {{.lines = {{.x = {0, 1}, .y = {0, 1}}},
                                 .horizontal_rules = {{at, name + " (y)"}},
                                 .vertical_rules = {{at, name + " (x)"}}}},
                     .width = 500});

    EXPECT_THAT(content.texts,
                AllOf(Contains(name + " (x)"), Contains(name + " (y)")));
    EXPECT_THAT(content.paths.at("hsp-rule"), SizeIs(1));
  }
}

TEST(FigureTest, PutsLabelsBesidePointsWithinThePanel) {
  const Panel panel = {.x = {.min = 0, .max = 10},
                       .y = {.min = 0, .max = 1},
                       .lines = {{.x = {0, 10}, .y = {0, 1}}},
                       .labels = {{0, 0.5, "left <end>"},
                                  {10, 0.5, "right end"},
                                  {5, 2, "above all"},
                                  {5, kNan, "nowhere"}}};
  const absl::StatusOr<std::string> svg = DrawSvg(Figure{.panels = {panel}});
  ASSERT_TRUE(svg.ok()) << svg.status();
  const SvgContent content = SvgReader::Read(*svg);

  EXPECT_EQ(content.error, "");
  EXPECT_THAT(content.texts, Contains("left <end>"));
  EXPECT_THAT(content.texts, Contains("right end"));
  EXPECT_THAT(content.texts, Not(Contains("above all")));
  EXPECT_THAT(content.texts, Not(Contains("nowhere")));
  // There is no room right of the last.
  EXPECT_THAT(*svg, HasSubstr(" text-anchor=\"end\">right end<"));
}

TEST(FigureTest, ThinsOutTickLabelsWithoutRoom) {
  Panel panel = {.x = {.categories = {}}};
  for (int i = 0; i < 300; ++i) {
    panel.x.categories.push_back(absl::StrCat("name", i));
  }
  panel.bars.push_back({.y = std::vector<double>(300, 1.0)});

  const SvgContent content = Drawn(panel);

  const int64_t label_count = std::count_if(
      content.texts.begin(), content.texts.end(),
      [](const std::string& text) { return absl::StartsWith(text, "name"); });
  EXPECT_GT(label_count, 20);
  EXPECT_LT(label_count, 60);
}

TEST(FigureTest, SaysHowManyNamesTheLegendLacks) {
  Panel panel;
  for (int i = 0; i < 45; ++i) {
    panel.lines.push_back(
        {.name = absl::StrCat("line", i), .x = {1, 2}, .y = {1, 2}});
  }

  EXPECT_THAT(Drawn(panel).texts, Contains("and 5 more"));
}

TEST(FigureTest, GivesEqualBytesForEqualFigures) {
  const auto draw = [] {
    return DrawSvg({.title = "t",
                    .panels = {{.lines = {{.name = "a",
                                           .x = {1, 2, 3},
                                           .y = {0.1, 1e-9, 3},
                                           .low = {0, 0, 2},
                                           .high = {1, 1, 4}}}}}});
  };

  ASSERT_THAT(draw(), IsOk());
  EXPECT_EQ(*draw(), *draw());
}

TEST(FigureTest, ReachesNothingOutsideItself) {
  const absl::StatusOr<std::string> svg = DrawSvg({.panels = {{}}});
  ASSERT_THAT(svg, IsOk());

  EXPECT_THAT(*svg, AllOf(Not(HasSubstr(" id=")), Not(HasSubstr("url(")),
                          Not(HasSubstr("@import")), Not(HasSubstr("href"))));
  // Each rule of the style sheet is below the figure's class.
  const size_t from = svg->find("<style>") + 7;
  const std::string sheet = svg->substr(from, svg->find("</style>") - from);
  for (absl::string_view rule : absl::StrSplit(sheet, '}')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(rule, '{');
    if (parts.size() >= 2) {
      EXPECT_THAT(std::string(parts[parts.size() - 2]), HasSubstr(".hs-plot"));
    }
  }
}

TEST(FigureTest, DrawsWhateverTheValues) {
  const double values[] = {0,    -0.0,  1,        -1,   1e-320,    1e-99,
                           1e99, -1e99, 1e300,    kNan, kInfinity, -kInfinity,
                           0.1,  1e15,  1e15 + 1, 97.3};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    RandomStream stream = RandomStream(seed);
    const auto pick = [&] { return values[stream.UniformInt(16)]; };
    const auto picks = [&](int count) {
      std::vector<double> picked;
      while (count-- > 0) {
        picked.push_back(pick());
      }
      return picked;
    };
    const auto scale = [&] {
      return stream.UniformInt(2) == 0 ? Scale::kLinear : Scale::kLog;
    };
    Panel numbers = {
        .x = {.scale = scale(), .reversed = stream.UniformInt(2) == 0},
        .y = {.scale = scale()},
        .lines = {{.x = picks(4),
                   .y = picks(4),
                   .low = picks(4),
                   .high = picks(4),
                   .draw = static_cast<Line::Draw>(stream.UniformInt(3))}},
        .horizontal_rules = {{pick(), "rule"}},
        .vertical_rules = {{pick(), "rule"}}};
    if (stream.UniformInt(2) == 0) {
      numbers.x.min = numbers.x.scale == Scale::kLog ? 1e-3 : -5;
      numbers.y.max = 2;
    }
    const std::optional<int> style = stream.UniformInt(5);
    Panel names = {.x = {.categories = {"a", "b"}},
                   .y = {.scale = scale()},
                   .bars = {{.y = picks(2),
                             .low = picks(2),
                             .high = picks(2),
                             .style = style}},
                   .boxes = {{.boxes = {BoxOf(picks(6)), BoxOf(picks(2))},
                              .style = style}}};
    if (stream.UniformInt(2) == 0) {
      names.y.max = 2;
    }

    const SvgContent content = Drawn(Figure{.panels = {numbers, names}});

    for (const auto& [name, paths] : content.paths) {
      for (const std::string& path : paths) {
        EXPECT_EQ(path.find_first_of("infINF"), path.npos) << path;
        EXPECT_LT(path.size(), 20'000) << seed;
      }
    }
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(FigureTest, RefusesWhatDoesNotFitTogether) {
  const Panel good = {.lines = {{.name = "nio", .x = {1, 2}, .y = {1, 2}}}};
  const auto refused = [](const Panel& panel) {
    return DrawSvg({.panels = {panel}}).status();
  };
  Panel panel = good;
  panel.lines[0].y.pop_back();
  EXPECT_THAT(refused(panel), StatusIs(absl::StatusCode::kInvalidArgument,
                                       "panel 1, line \"nio\": 1 y values"));
  panel = good;
  panel.lines[0].low = {1, 2};
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "0 high values"));
  panel = good;
  panel.bars = {{.name = "bars", .y = {1}}};
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "category"));
  panel = good;
  panel.y = {.min = 3, .max = 3};
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "below max"));
  panel.y = {.scale = Scale::kLog, .min = 0};
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "above 0"));
  panel.y = {.categories = {"a"}};
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "x axis"));
  panel.y = {};
  panel.lines[0].style = -1;
  EXPECT_THAT(refused(panel),
              StatusIs(absl::StatusCode::kInvalidArgument, "style"));
  EXPECT_THAT(DrawSvg({.width = 10}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "width"));
  EXPECT_THAT(DrawSvg({.columns = 9}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "columns"));
}

}  // namespace
}  // namespace headstart::client
