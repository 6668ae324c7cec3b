#include "client/plot/marks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/plot/style.h"
#include "client/plot/svg_text.h"
#include "client/plot/ticks.h"

namespace headstart::client {
namespace {

// A tooltip is some 100 bytes: beyond this many, markers share one path.
constexpr size_t kTooltipMarkersMax = 2000;
constexpr double kGroupShare = 0.8;  // Of the room between two categories.
constexpr double kBarWidthMax = 64;
constexpr double kErrorCap = 3;  // Half the width of an error bar's ends.

// A path element of a style sheet class. `attributes` begin with a space.
std::string Path(absl::string_view css_class, absl::string_view commands,
                 absl::string_view title = "",
                 absl::string_view attributes = "") {
  if (commands.empty()) {
    return "";
  }
  const std::string element = absl::StrCat("<path class=\"", css_class, "\"",
                                           attributes, " d=\"", commands, "\"");
  return title.empty()
             ? absl::StrCat(element, "/>\n")
             : absl::StrCat(element, ">", TitleElement(title), "</path>\n");
}

std::string Group(int style, absl::string_view inside) {
  return inside.empty() ? ""
                        : absl::StrCat("<g class=\"", ColorClass(style),
                                       "\">\n", inside, "</g>\n");
}

std::string WithUnit(double value, const Axis& axis) {
  return absl::StrCat(NumberText(value), axis.unit.empty() ? "" : " ",
                      axis.unit);
}

// "xavier: 97.3 % (96.9 to 97.6) at epoch 12".
std::string PointText(const std::string& name, double x, double y,
                      const Canvas& canvas, absl::string_view spread) {
  std::string text = name.empty() ? "" : absl::StrCat(name, ": ");
  absl::StrAppend(&text, WithUnit(y, canvas.y_axis), spread, " at ");
  const std::vector<std::string>& categories = canvas.x_axis.categories;
  if (!categories.empty()) {
    const auto nearest = static_cast<int64_t>(std::lround(
        std::clamp(x, 0.0, static_cast<double>(categories.size() - 1))));
    return absl::StrCat(text, categories[nearest]);
  }
  return absl::StrCat(text, canvas.x_axis.label,
                      canvas.x_axis.label.empty() ? "" : " ",
                      WithUnit(x, canvas.x_axis));
}

std::string SpreadText(double low, double high) {
  if (std::isnan(low) || std::isnan(high)) {
    return "";
  }
  return absl::StrCat(" (", NumberText(low), " to ", NumberText(high), ")");
}

// Whether both can be drawn; counts what cannot, once per point.
bool Fits(double x, double y, Canvas& canvas) {
  const Fitness of_x = canvas.x.FitnessOf(x);
  const Fitness of_y = canvas.y.FitnessOf(y);
  if (of_x == Fitness::kMissing || of_y == Fitness::kMissing) {
    return false;
  }
  if (of_x == Fitness::kInfinite || of_y == Fitness::kInfinite) {
    ++canvas.infinite_count;
    return false;
  }
  if (of_x == Fitness::kNotAboveZero || of_y == Fitness::kNotAboveZero) {
    ++canvas.not_above_zero_count;
    return false;
  }
  canvas.is_empty = false;
  return true;
}

// The marker of one point, where the panel shows it.
std::string Marker(const std::string& title, int style, double x, double y,
                   const Canvas& canvas) {
  if (!canvas.x.Shows(x) || !canvas.y.Shows(y)) {
    return "";
  }
  return Path("hsp-marker", MarkerPath(style, canvas.x(x), canvas.y(y)), title);
}

std::string ErrorBar(double x, double low, double high) {
  const std::string cap = absl::StrCat("h", Px(2 * kErrorCap));
  return absl::StrCat("M", Px(x - kErrorCap), " ", Px(low), cap, "M",
                      Px(x - kErrorCap), " ", Px(high), cap, "M", Px(x), " ",
                      Px(low), "V", Px(high));
}

// The line's paths: a new piece after each point that is left out, and dots
// for pieces of one point.
struct LinePaths {
  std::string line;
  std::string dots;
};

LinePaths PathsOf(const Line& line, const std::vector<bool>& fits,
                  const Canvas& canvas) {
  LinePaths paths;
  for (size_t i = 0; i < line.x.size(); ++i) {
    if (!fits[i]) {
      continue;
    }
    const bool begins = i == 0 || !fits[i - 1];
    const bool ends = i + 1 == line.x.size() || !fits[i + 1];
    const std::string point =
        absl::StrCat(Px(canvas.x(line.x[i])), " ", Px(canvas.y(line.y[i])));
    if (begins && ends) {
      absl::StrAppend(&paths.dots, "M", point, "h0");
    } else {
      absl::StrAppend(&paths.line, begins ? "M" : " ", point);
    }
  }
  return paths;
}

// Notes where the line runs, in steps that a label hardly slips through.
void AddInk(const Line& line, const std::vector<bool>& fits, Canvas& canvas) {
  constexpr double kStep = 8;
  constexpr int kStepsMax = 32;  // Most of a longer segment is cut off.
  for (size_t i = 0; i < line.x.size(); ++i) {
    if (!fits[i]) {
      continue;
    }
    const double x = canvas.x(line.x[i]);
    const double y = canvas.y(line.y[i]);
    const bool has_segment =
        i > 0 && fits[i - 1] && line.draw != Line::Draw::kMarkers;
    const double from_x = has_segment ? canvas.x(line.x[i - 1]) : x;
    const double from_y = has_segment ? canvas.y(line.y[i - 1]) : y;
    const int steps = std::min(
        kStepsMax,
        1 + static_cast<int>(std::hypot(x - from_x, y - from_y) / kStep));
    for (int step = 1; step <= steps; ++step) {
      const double share = static_cast<double>(step) / steps;
      const double at_x = std::lerp(from_x, x, share);
      const double at_y = std::lerp(from_y, y, share);
      canvas.ink.push_back({at_x, at_y, at_x, at_y});
    }
  }
}

// There along the upper edge and back along the lower one, piece by piece.
std::string BandPath(const Line& line, const Canvas& canvas) {
  std::string path;
  std::string back;
  for (size_t i = 0; i <= line.low.size(); ++i) {
    if (i == line.low.size() ||
        canvas.x.FitnessOf(line.x[i]) != Fitness::kDrawable ||
        std::isnan(line.low[i]) || std::isnan(line.high[i])) {
      if (!back.empty()) {
        absl::StrAppend(&path, back, "z");
      }
      back.clear();
      continue;
    }
    const std::string x = Px(canvas.x(line.x[i]));
    absl::StrAppend(&path, back.empty() ? "M" : " ", x, " ",
                    Px(canvas.y.OrEdge(line.high[i])));
    back = absl::StrCat(" ", x, " ", Px(canvas.y.OrEdge(line.low[i])), back);
  }
  return path;
}

std::string ErrorBarsPath(const Line& line, const std::vector<bool>& fits,
                          const Canvas& canvas) {
  std::string path;
  for (size_t i = 0; i < line.low.size(); ++i) {
    if (fits[i] && !std::isnan(line.low[i]) && !std::isnan(line.high[i])) {
      path += ErrorBar(canvas.x(line.x[i]), canvas.y.OrEdge(line.low[i]),
                       canvas.y.OrEdge(line.high[i]));
    }
  }
  return path;
}

std::string LineMarkers(const Line& line, const std::vector<bool>& fits,
                        int style, const Canvas& canvas) {
  std::string markers;
  const bool has_tooltips = line.x.size() <= kTooltipMarkersMax;
  for (size_t i = 0; i < line.x.size(); ++i) {
    if (!fits[i]) {
      continue;
    }
    if (has_tooltips) {
      const std::string spread =
          line.low.empty() ? "" : SpreadText(line.low[i], line.high[i]);
      markers +=
          Marker(PointText(line.name, line.x[i], line.y[i], canvas, spread),
                 style, line.x[i], line.y[i], canvas);
    } else if (canvas.x.Shows(line.x[i]) && canvas.y.Shows(line.y[i])) {
      markers += MarkerPath(style, canvas.x(line.x[i]), canvas.y(line.y[i]));
    }
  }
  return has_tooltips ? markers : Path("hsp-marker", markers, line.name);
}

// Where a slot's bar or box is within the category `index`.
struct Sides {
  double left = 0;
  double right = 0;
  double middle() const { return (left + right) / 2; }
};

Sides SidesOf(size_t index, Slot slot, const Canvas& canvas) {
  const double category = static_cast<double>(index);
  const double room = std::abs(canvas.x(1) - canvas.x(0)) * kGroupShare;
  const double step = std::min(room / slot.count, kBarWidthMax);
  const double left =
      canvas.x(category) - step * slot.count / 2 + step * slot.place;
  // Neighbours keep a little distance, if they are not too thin for that.
  const double gap = slot.count > 1 ? std::min(2.0, step * 0.15) : 0;
  return {left + gap / 2, left + step - gap / 2};
}

// The pixel of a value, or of the edge that it is beyond: areas end there, and
// need not be hatched further.
double Visible(double value, const PixelMap& map) {
  return map(std::clamp(value, map.low(), map.high()));
}

std::string RectanglePath(double left, double top, double right,
                          double bottom) {
  return absl::StrCat("M", Px(left), " ", Px(top), "H", Px(right), "V",
                      Px(bottom), "H", Px(left), "z");
}

std::string BoxText(const std::string& name, const std::string& category,
                    const Box& box, const Axis& axis) {
  return absl::StrCat(
      name, name.empty() ? "" : ", ", category, ": median ",
      WithUnit(box.median, axis), ", quartiles",
      SpreadText(box.quartile_low, box.quartile_high), ", whiskers",
      SpreadText(box.whisker_low, box.whisker_high),
      box.sample_count > 0 ? absl::StrCat(", n = ", box.sample_count) : "");
}

std::string BoxPaths(const Box& box, const std::string& title, Sides sides,
                     int style, const Canvas& canvas) {
  const auto y = [&](double value) { return canvas.y(value); };
  const double top = std::min(y(box.quartile_low), y(box.quartile_high));
  const double bottom = std::max(y(box.quartile_low), y(box.quartile_high));
  const double low = Visible(box.quartile_low, canvas.y);
  const double high = Visible(box.quartile_high, canvas.y);
  const double quarter = (sides.right - sides.left) / 4;
  const std::string middle = Px(sides.middle());
  std::string whiskers;
  for (const auto& [from, to] :
       {std::pair(box.quartile_low, box.whisker_low),
        std::pair(box.quartile_high, box.whisker_high)}) {
    absl::StrAppend(&whiskers, "M", middle, " ", Px(y(from)), "V", Px(y(to)),
                    "M", Px(sides.middle() - quarter), " ", Px(y(to)), "h",
                    Px(2 * quarter));
  }
  return absl::StrCat(
      Path("hsp-whisker", whiskers),
      Path("hsp-boxhatch", HatchPath(style, sides.left, std::min(low, high),
                                     sides.right, std::max(low, high))),
      Path("hsp-box", RectanglePath(sides.left, top, sides.right, bottom),
           title),
      Path("hsp-median",
           absl::StrCat("M", Px(sides.left), " ", Px(y(box.median)), "H",
                        Px(sides.right)),
           title));
}

}  // namespace

void DrawLine(const Line& line, int style, Canvas& canvas) {
  std::vector<bool> fits;
  for (size_t i = 0; i < line.x.size(); ++i) {
    fits.push_back(Fits(line.x[i], line.y[i], canvas));
  }
  AddInk(line, fits, canvas);

  const bool has_line = line.draw != Line::Draw::kMarkers;
  const bool has_markers = line.draw != Line::Draw::kLine;
  if (has_line) {
    canvas.areas += Group(style, Path("hsp-band", BandPath(line, canvas)));
    const LinePaths paths = PathsOf(line, fits, canvas);
    canvas.lines += Group(
        style,
        line.faint
            ? Path("hsp-line hsp-faint", absl::StrCat(paths.line, paths.dots),
                   line.name)
            : absl::StrCat(Path("hsp-line", paths.line, line.name,
                                DashAttribute(style, has_markers)),
                           Path("hsp-line hsp-dot", paths.dots, line.name)));
  } else {
    canvas.lines +=
        Group(style, Path("hsp-whisker", ErrorBarsPath(line, fits, canvas)));
  }
  if (has_markers) {
    canvas.markers += Group(style, LineMarkers(line, fits, style, canvas));
  }
}

void DrawBars(const Bars& bars, Slot slot, int style, Canvas& canvas) {
  std::string drawn;
  for (size_t i = 0; i < bars.y.size(); ++i) {
    if (!Fits(static_cast<double>(i), bars.y[i], canvas)) {
      continue;
    }
    const Sides sides = SidesOf(i, slot, canvas);
    const double end = Visible(bars.y[i], canvas.y);
    const bool has_zero = canvas.y.scale() == Scale::kLinear;
    const double base =
        canvas.y(has_zero ? std::clamp(0.0, canvas.y.low(), canvas.y.high())
                          : canvas.y.low());
    const double top = std::min(end, base);
    const double bottom = std::max(end, base);
    canvas.ink.push_back({sides.left, top, sides.right, bottom});
    const bool has_error = !bars.low.empty() && !std::isnan(bars.low[i]) &&
                           !std::isnan(bars.high[i]);
    const std::string spread =
        has_error ? SpreadText(bars.low[i], bars.high[i]) : "";
    const std::string title =
        PointText(bars.name, static_cast<double>(i), bars.y[i], canvas, spread);
    absl::StrAppend(
        &drawn,
        Path("hsp-bar", RectanglePath(sides.left, top, sides.right, bottom),
             title),
        Path("hsp-hatch",
             HatchPath(style, sides.left, top, sides.right, bottom)));
    if (has_error) {
      const std::string error =
          ErrorBar(sides.middle(), canvas.y.OrEdge(bars.low[i]),
                   canvas.y.OrEdge(bars.high[i]));
      absl::StrAppend(&drawn, Path("hsp-errorhalo", error),
                      Path("hsp-error", error));
    }
  }
  canvas.areas += Group(style, drawn);
}

void DrawBoxes(const Boxes& boxes, Slot slot, int style, Canvas& canvas) {
  std::string drawn;
  std::string outliers;
  for (size_t i = 0; i < boxes.boxes.size(); ++i) {
    const Box& box = boxes.boxes[i];
    const Sides sides = SidesOf(i, slot, canvas);
    const std::string& category = canvas.x_axis.categories[i];
    for (double outlier : box.outliers) {
      if (Fits(static_cast<double>(i), outlier, canvas) &&
          canvas.y.Shows(outlier)) {
        outliers += Path(
            "hsp-marker", MarkerPath(style, sides.middle(), canvas.y(outlier)),
            PointText(boxes.name, static_cast<double>(i), outlier, canvas, ""));
      }
    }
    // The box as a whole is left out if one of its numbers cannot be drawn.
    bool fits = !std::isnan(box.median);
    for (double value : {box.whisker_low, box.quartile_low, box.median,
                         box.quartile_high, box.whisker_high}) {
      fits = fits && Fits(static_cast<double>(i), value, canvas);
    }
    if (fits) {
      const double end = canvas.y(box.whisker_low);
      const double other_end = canvas.y(box.whisker_high);
      canvas.ink.push_back({sides.left, std::min(end, other_end), sides.right,
                            std::max(end, other_end)});
      drawn += BoxPaths(box, BoxText(boxes.name, category, box, canvas.y_axis),
                        sides, style, canvas);
    }
  }
  canvas.areas += Group(style, drawn);
  canvas.markers += Group(style, outliers);
}

std::string LegendKey(KeyKind kind, int style, double x, double y) {
  std::string key;
  if (kind == KeyKind::kFaintLine) {
    key += Path("hsp-line", absl::StrCat("M", Px(x - 14), " ", Px(y), "h28"));
  }
  if (kind == KeyKind::kLine || kind == KeyKind::kLineAndMarkers) {
    key += Path("hsp-line", absl::StrCat("M", Px(x - 14), " ", Px(y), "h28"),
                "", DashAttribute(style, kind == KeyKind::kLineAndMarkers));
  }
  if (kind == KeyKind::kMarkers || kind == KeyKind::kLineAndMarkers) {
    key += Path("hsp-marker", MarkerPath(style, x, y));
  }
  if (kind == KeyKind::kBars || kind == KeyKind::kBoxes) {
    const bool is_bar = kind == KeyKind::kBars;
    key += Path(is_bar ? "hsp-bar" : "hsp-box",
                RectanglePath(x - 11, y - 6, x + 11, y + 6));
    key += Path(is_bar ? "hsp-hatch" : "hsp-boxhatch",
                HatchPath(style, x - 11, y - 6, x + 11, y + 6));
  }
  return Group(style, key);
}

}  // namespace headstart::client
