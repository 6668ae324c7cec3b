#include "client/plot/panel.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/plot/marks.h"
#include "client/plot/rules.h"
#include "client/plot/svg_text.h"
#include "client/plot/ticks.h"

namespace headstart::client {
namespace {

constexpr double kTickSize = 12;  // Of the font; as in the style sheet.
constexpr double kLabelSize = 12;
constexpr double kTitleSize = 13.5 * 1.06;  // Bold letters are wider.
constexpr double kTickGap = 8;         // Between an axis and its tick labels.
constexpr double kLabelDistance = 10;  // Between labels in a row.
constexpr double kRowHeight = 18;
constexpr double kSlantDegrees = 40;  // Of category names without room.
constexpr double kSlant = kSlantDegrees * std::numbers::pi / 180;
constexpr double kSlantedWidthMax = 150;

// The ticks of an x axis, with the labels that have room.
struct XTicks {
  std::vector<Tick> ticks;
  bool is_slanted = false;
  double height = 0;  // Of the labels.
};

std::vector<Tick> TicksWithin(const std::vector<Tick>& ticks,
                              const PixelMap& map) {
  std::vector<Tick> within;
  for (const Tick& tick : ticks) {
    if (map.FitnessOf(tick.value) == Fitness::kDrawable &&
        map.Shows(tick.value)) {
      within.push_back(tick);
    }
  }
  return within;
}

std::vector<Tick> ChosenTicks(const Axis& axis, const Extent& range,
                              int count) {
  return axis.scale == Scale::kLog
             ? LogTicks(range.low, range.high, count)
             : LinearTicks(range.low, range.high, count, range.whole);
}

// Takes the labels away that come nearer than `distance` to one before.
// `size_of` says what a label takes along the axis. Returns how many.
template <typename SizeOf>
int ThinOut(std::vector<Tick>& ticks, const PixelMap& map, double distance,
            SizeOf size_of) {
  int removed = 0;
  const Tick* last = nullptr;
  for (Tick& tick : ticks) {
    if (tick.label.empty()) {
      continue;
    }
    if (last != nullptr &&
        std::abs(map(tick.value) - map(last->value)) <
            (size_of(tick) + size_of(*last)) / 2 + distance) {
      tick.label.clear();
      ++removed;
    } else {
      last = &tick;
    }
  }
  return removed;
}

double LabelWidth(const Tick& tick) { return TextWidth(tick.label, kTickSize); }

std::vector<Tick> YTicksOf(const Axis& axis, const Extent& range,
                           const PixelMap& map, double height) {
  const int count = std::clamp(static_cast<int>(height / 20), 3, 9);
  std::vector<Tick> ticks = TicksWithin(
      axis.ticks.empty() ? ChosenTicks(axis, range, count) : axis.ticks, map);
  ThinOut(ticks, map, 2, [](const Tick&) { return kTickSize; });
  return ticks;
}

XTicks CategoryTicks(const Axis& axis, const PixelMap& map) {
  XTicks ticks = {.height = kTickSize};
  double width_max = 0;
  for (size_t i = 0; i < axis.categories.size(); ++i) {
    ticks.ticks.push_back({static_cast<double>(i), axis.categories[i]});
    width_max = std::max(width_max, LabelWidth(ticks.ticks.back()));
  }
  const double room = std::abs(map(1) - map(0));
  if (width_max + kLabelDistance > room) {
    ticks.is_slanted = true;
    ticks.height += std::sin(kSlant) * std::min(width_max, kSlantedWidthMax);
    ThinOut(ticks.ticks, map, 0,
            [&](const Tick&) { return kTickSize / std::sin(kSlant); });
  }
  return ticks;
}

XTicks XTicksOf(const Axis& axis, const Extent& range, const PixelMap& map,
                double width) {
  if (!axis.categories.empty()) {
    return CategoryTicks(axis, map);
  }
  XTicks ticks = {.height = kTickSize};
  if (!axis.ticks.empty()) {
    ticks.ticks = TicksWithin(axis.ticks, map);
    ThinOut(ticks.ticks, map, kLabelDistance, LabelWidth);
    return ticks;
  }
  for (int count = std::clamp(static_cast<int>(width / 28), 3, 12); count >= 3;
       --count) {
    ticks.ticks = TicksWithin(ChosenTicks(axis, range, count), map);
    if (ThinOut(ticks.ticks, map, 2 * kLabelDistance, LabelWidth) == 0) {
      break;
    }
  }
  return ticks;
}

std::string GridAndAxes(const std::vector<Tick>& x_ticks,
                        const std::vector<Tick>& y_ticks, bool has_x_grid,
                        const Canvas& canvas, const PanelPlace& place) {
  const double bottom = place.top + place.height;
  std::string grid;
  std::string axes =
      absl::StrCat("M", Px(place.left), " ", Px(place.top), "V", Px(bottom),
                   "H", Px(place.left + place.width));
  for (const Tick& tick : y_ticks) {
    const std::string y = Px(canvas.y(tick.value));
    if (!tick.label.empty()) {
      absl::StrAppend(&grid, "M", Px(place.left), " ", y, "h", Px(place.width));
    }
    absl::StrAppend(&axes, "M", Px(place.left), " ", y,
                    tick.label.empty() ? "h-3" : "h-5");
  }
  for (const Tick& tick : x_ticks) {
    const std::string x = Px(canvas.x(tick.value));
    if (!tick.label.empty() && has_x_grid) {
      absl::StrAppend(&grid, "M", x, " ", Px(place.top), "V", Px(bottom));
    }
    absl::StrAppend(&axes, "M", x, " ", Px(bottom),
                    tick.label.empty() ? "v3" : "v5");
  }
  return absl::StrCat("<path class=\"hsp-grid\" d=\"", grid, "\"/>\n",
                      "<path class=\"hsp-axis\" d=\"", axes, "\"/>\n");
}

std::string TickLabels(const XTicks& x_ticks, const std::vector<Tick>& y_ticks,
                       const Canvas& canvas, const PanelPlace& place) {
  std::string labels = "<g text-anchor=\"end\">\n";
  for (const Tick& tick : y_ticks) {
    if (!tick.label.empty()) {
      const double x = place.left - kTickGap;
      labels += TextElement(tick.label, x, canvas.y(tick.value) + 4.2,
                            x - place.cell_left + 1, kTickSize);
    }
  }
  const double bottom = place.top + place.height;
  labels += x_ticks.is_slanted ? "" : "</g>\n<g text-anchor=\"middle\">\n";
  for (const Tick& tick : x_ticks.ticks) {
    if (tick.label.empty()) {
      continue;
    }
    const double x = canvas.x(tick.value);
    if (x_ticks.is_slanted) {
      const double room = (x + 4 - place.cell_left) / std::cos(kSlant);
      const double y = bottom + kTickGap + kTickSize / 2;
      labels += TextElement(tick.label, x + 4, y,
                            std::min(room, kSlantedWidthMax), kTickSize,
                            absl::StrCat(" transform=\"rotate(-", kSlantDegrees,
                                         " ", Px(x + 4), " ", Px(y), ")\""));
    } else {
      // At the ends of the axis a label moves inwards to stay in the cell.
      const double half =
          std::min(LabelWidth(tick), place.cell_right - place.cell_left) / 2;
      labels += TextElement(
          tick.label,
          std::clamp(x, place.cell_left + half, place.cell_right - half),
          bottom + kTickGap + kTickSize, 2 * half + 1, kTickSize);
    }
  }
  return absl::StrCat("<g class=\"hsp-soft\">\n", labels, "</g>\n</g>\n");
}

std::string PointLabels(const Panel& panel, const Canvas& canvas,
                        const PanelPlace& place) {
  constexpr double kGap = 6;  // Between a point and its label.
  std::string labels;
  for (const PointLabel& label : panel.labels) {
    if (canvas.x.FitnessOf(label.x) != Fitness::kDrawable ||
        canvas.y.FitnessOf(label.y) != Fitness::kDrawable ||
        !canvas.x.Shows(label.x) || !canvas.y.Shows(label.y)) {
      continue;
    }
    const double x = canvas.x(label.x);
    const double room_right = place.left + place.width - x - kGap;
    const double room_left = x - place.cell_left - kGap;
    const bool is_right = TextWidth(label.text, kLabelSize) <= room_right ||
                          room_right >= room_left;
    labels += TextElement(label.text, is_right ? x + kGap : x - kGap,
                          canvas.y(label.y) + kLabelSize * 0.35,
                          is_right ? room_right : room_left, kLabelSize,
                          is_right ? "" : " text-anchor=\"end\"");
  }
  return labels.empty()
             ? ""
             : absl::StrCat("<g class=\"hsp-halo\">\n", labels, "</g>\n");
}

void DrawMarks(const Panel& panel, const Legend& legend, Canvas& canvas) {
  Slot slot = {.count =
                   static_cast<int>(panel.bars.size() + panel.boxes.size())};
  for (const Bars& bars : panel.bars) {
    DrawBars(bars, slot, legend.StyleOf(bars.name, bars.style), canvas);
    ++slot.place;
  }
  for (const Boxes& boxes : panel.boxes) {
    DrawBoxes(boxes, slot, legend.StyleOf(boxes.name, boxes.style), canvas);
    ++slot.place;
  }
  for (const Line& line : panel.lines) {
    DrawLine(line, legend.StyleOf(line.name, line.style), canvas);
  }
}

std::string NoteOf(const Canvas& canvas) {
  std::string note;
  if (canvas.infinite_count > 0) {
    note = absl::StrCat(canvas.infinite_count, " infinite");
  }
  if (canvas.not_above_zero_count > 0) {
    absl::StrAppend(&note, note.empty() ? "" : " and ",
                    canvas.not_above_zero_count, " not above 0 on a log axis");
  }
  return note.empty() ? "" : absl::StrCat("Values not drawn: ", note, ".");
}

}  // namespace

Extent ValuesOfX(const Panel& panel) {
  Extent extent;
  for (const Line& line : panel.lines) {
    for (size_t i = 0; i < line.x.size(); ++i) {
      // What has no y does not show, unless it has a band.
      if (FitnessOf(line.y[i], panel.y.scale) == Fitness::kDrawable ||
          !line.low.empty()) {
        extent.Add(line.x[i], panel.x.scale);
      }
    }
  }
  for (const Rule& rule : panel.vertical_rules) {
    extent.Add(rule.at, panel.x.scale);
  }
  return extent;
}

Extent ValuesOfY(const Panel& panel) {
  Extent extent;
  const auto add = [&](absl::Span<const double> values) {
    for (double value : values) {
      extent.Add(value, panel.y.scale);
    }
  };
  for (const Line& line : panel.lines) {
    add(line.y);
    add(line.low);
    add(line.high);
  }
  for (const Bars& bars : panel.bars) {
    add(bars.y);
    add(bars.low);
    add(bars.high);
    if (panel.y.scale == Scale::kLinear) {
      add({0.0});
    }
    extent.touches = true;
  }
  for (const Boxes& boxes : panel.boxes) {
    for (const Box& box : boxes.boxes) {
      add({box.whisker_low, box.quartile_low, box.median, box.quartile_high,
           box.whisker_high});
      add(box.outliers);
    }
  }
  for (const Rule& rule : panel.horizontal_rules) {
    extent.Add(rule.at, panel.y.scale);
  }
  return extent;
}

double LeftRoom(const PanelView& view, double width, double height) {
  const PixelMap y(view.panel.y, view.y, height, 0);
  double room = 0;
  for (const Tick& tick : YTicksOf(view.panel.y, view.y, y, height)) {
    room = std::max(room, LabelWidth(tick) + kTickGap);
  }
  const PixelMap x(view.panel.x, view.x, 0, width - room);
  const XTicks ticks = XTicksOf(view.panel.x, view.x, x, width - room);
  if (ticks.is_slanted) {
    for (const Tick& tick : ticks.ticks) {
      room = std::max(room, std::cos(kSlant) * std::min(LabelWidth(tick),
                                                        kSlantedWidthMax) -
                                x(tick.value));
    }
  }
  return room;
}

double BottomRoom(const PanelView& view, double width) {
  const PixelMap map(view.panel.x, view.x, 0, width);
  const XTicks ticks = XTicksOf(view.panel.x, view.x, map, width);
  return kTickGap + ticks.height + 4 +
         (AxisLabel(view.panel.x).empty() ? 0 : kRowHeight);
}

DrawnPanel DrawPanel(const PanelView& view, const PanelPlace& place,
                     const Legend& legend) {
  const Panel& panel = view.panel;
  const double right = place.left + place.width;
  const double bottom = place.top + place.height;
  Canvas canvas = {.x_axis = panel.x,
                   .y_axis = panel.y,
                   .x = PixelMap(panel.x, view.x, place.left, right),
                   .y = PixelMap(panel.y, view.y, bottom, place.top)};
  DrawMarks(panel, legend, canvas);
  const DrawnRules rules =
      DrawRules(panel, {place.left, place.top, right, bottom}, canvas);
  XTicks x_ticks = XTicksOf(panel.x, view.x, canvas.x, place.width);
  std::vector<Tick> y_ticks = YTicksOf(panel.y, view.y, canvas.y, place.height);
  if (canvas.is_empty && rules.lines.empty()) {  // The range means nothing.
    y_ticks.clear();
    x_ticks.ticks.resize(panel.x.categories.empty() ? 0 : x_ticks.ticks.size());
  }

  const double cell_width = place.cell_right - place.cell_left;
  std::string svg = "<g>\n";
  if (!panel.title.empty()) {
    svg += TextElement(panel.title, place.cell_left, place.title_baseline,
                       cell_width, kTitleSize, " class=\"hsp-panel\"");
  }
  std::string labels;
  if (const std::string label = AxisLabel(panel.y); !label.empty()) {
    labels += TextElement(label, place.cell_left, place.top - 10, cell_width,
                          kLabelSize);
  }
  if (const std::string label = AxisLabel(panel.x); !label.empty()) {
    labels += TextElement(label, place.left + place.width / 2,
                          bottom + kTickGap + x_ticks.height + kRowHeight,
                          place.width, kLabelSize, " text-anchor=\"middle\"");
  }
  svg += labels;
  svg += GridAndAxes(x_ticks.ticks, y_ticks, panel.x.categories.empty(), canvas,
                     place);
  svg += TickLabels(x_ticks, y_ticks, canvas, place);

  // The inner element cuts off what leaves the area; a pixel more leaves lines
  // on its edge whole. In its view box the coordinates stay the same.
  const std::string frame =
      absl::StrCat(Px(place.left - 1), " ", Px(place.top - 1), " ",
                   Px(place.width + 2), " ", Px(place.height + 2));
  absl::StrAppend(&svg, "<svg x=\"", Px(place.left - 1), "\" y=\"",
                  Px(place.top - 1), "\" width=\"", Px(place.width + 2),
                  "\" height=\"", Px(place.height + 2), "\" viewBox=\"", frame,
                  "\" overflow=\"hidden\">\n", canvas.areas, rules.lines,
                  canvas.lines, "</svg>\n", canvas.markers, rules.labels,
                  PointLabels(panel, canvas, place));
  if (canvas.is_empty) {
    absl::StrAppend(&svg, "<g class=\"hsp-soft\">\n",
                    TextElement("no data", place.left + place.width / 2,
                                place.top + place.height / 2 + 4, place.width,
                                kTickSize, " text-anchor=\"middle\""),
                    "</g>\n");
  }
  svg += "</g>\n";
  return {.svg = std::move(svg), .note = NoteOf(canvas)};
}

std::string AxisLabel(const Axis& axis) {
  if (axis.label.empty() || axis.unit.empty()) {
    return absl::StrCat(axis.label, axis.unit);
  }
  return absl::StrCat(axis.label, " (", axis.unit, ")");
}

}  // namespace headstart::client
