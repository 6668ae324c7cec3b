// Figures as SVG text: data in, one string out, for documents and HTML pages.
//
//   Figure figure = {
//       .title = "LeNet on MNIST",
//       .panels = {{
//           .x = {.label = "epoch"},
//           .y = {.label = "loss", .scale = Scale::kLog},
//           .lines = {{.name = "xavier", .x = epochs, .y = means,
//                      .low = lows, .high = highs}},
//       }},
//   };
//   absl::StatusOr<std::string> svg = DrawSvg(figure);
//
// The text stands alone: no script, no font, no network. It follows the
// reader's light or dark setting, prints dark on white, and can be put into an
// HTML page as it is, several times: it has no ids, and its style sheet reaches
// nothing outside it. Equal figures give equal bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/plot/box.h"

namespace headstart::client {

enum class Scale { kLinear, kLog };

struct Tick {
  double value = 0;
  std::string label = {};  // Empty: a short mark without grid line.
};

// One axis. What is not set here comes from the data.
struct Axis {
  std::string label = {};
  std::string unit = {};  // Shown behind the label and in tooltips, as in "%".
  Scale scale = Scale::kLinear;
  // The ends. What lies beyond them is cut off.
  std::optional<double> min = {};
  std::optional<double> max = {};
  bool reversed = false;         // The largest value left, or at the bottom.
  std::vector<Tick> ticks = {};  // Empty: at 1, 2 and 5 times powers of 10.
  // Of an x axis: names in place of numbers. The first lies at x = 0, the
  // second at 1, so lines and markers can be drawn over bars and boxes.
  std::vector<std::string> categories = {};
};

// In all marks: NaN is a missing value, left out without a word. An infinite
// value (or one beyond 1e100) and, on a log axis, one that is not above 0, are
// left out too and counted in a note below the panel.
//
// Marks of one name look alike in all panels and have one entry in the legend;
// those without a name look alike too and have none. `style` fixes the place
// in the palette, from 0, so that a name keeps its look in several figures.

// A line through points; a missing one breaks it.
struct Line {
  enum class Draw { kLine, kLineAndMarkers, kMarkers };

  std::string name = {};
  std::vector<double> x = {};
  std::vector<double> y = {};  // As many as x.
  // None, or as many as x: a band around the line, or error bars where only
  // markers are drawn. An end that its axis cannot show is cut off at the edge.
  std::vector<double> low = {};
  std::vector<double> high = {};
  Draw draw = Draw::kLine;  // Up to 2,000 markers have tooltips.
  bool faint = false;       // Thin and pale, for single runs behind a mean.
  std::optional<int> style = {};
};

// A bar per category, from 0 (on a log axis, or where 0 is outside: from the
// edge). Several of them in a panel stand side by side.
struct Bars {
  std::string name = {};
  std::vector<double> y = {};    // One per category.
  std::vector<double> low = {};  // None, or error bars, one per category.
  std::vector<double> high = {};
  std::optional<int> style = {};
};

// A box per category; several stand side by side.
struct Boxes {
  std::string name = {};
  std::vector<Box> boxes = {};  // One per category; BoxOf(samples) makes one.
  std::optional<int> style = {};
};

// A straight line across the panel, such as a target.
struct Rule {
  double at = 0;
  std::string label = {};
};

// Text beside a point: right of it, or left where there is no room. For what an
// axis cannot say, such as the ends of axes that are drawn as vertical rules.
// It does not widen the panel's range; outside of it, it is left out.
struct PointLabel {
  double x = 0;
  double y = 0;
  std::string text = {};
};

struct Panel {
  std::string title = {};
  Axis x = {};
  Axis y = {};
  std::vector<Line> lines = {};
  std::vector<Bars> bars = {};
  std::vector<Boxes> boxes = {};
  std::vector<Rule> horizontal_rules = {};  // At a value of y.
  std::vector<Rule> vertical_rules = {};    // At a value of x.
  std::vector<PointLabel> labels = {};
};

// One or more panels in a grid, row by row, under one title and one legend.
// A panel without anything to draw says "no data".
struct Figure {
  std::string title = {};
  std::string subtitle = {};
  std::string description = {};  // For screen readers, beside what is derived.
  std::vector<Panel> panels = {};
  int columns = 0;        // 0: 1, 2 from two panels on, 3 from five on.
  bool shared_x = false;  // All panels show the same range.
  bool shared_y = false;
  int width = 800;       // Pixels, 200 to 4,000.
  int panel_height = 0;  // Pixels between the axes, 60 to 4,000; 0: by width.
};

// Draws it.
//   InvalidArgument  lists of unlike length, an axis that cannot be (min not
//                    below max, a log axis with min 0), bars or boxes without
//                    categories, a size out of range; says where.
absl::StatusOr<std::string> DrawSvg(const Figure& figure);

}  // namespace headstart::client
