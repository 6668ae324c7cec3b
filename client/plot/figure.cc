#include "client/plot/figure.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "client/plot/legend.h"
#include "client/plot/panel.h"
#include "client/plot/pixel_map.h"
#include "client/plot/style.h"
#include "client/plot/svg_text.h"

namespace headstart::client {
namespace {

constexpr double kMargin = 16;  // Around the figure.
constexpr double kColumnGap = 28;
constexpr double kRowGap = 20;
constexpr double kRightRoom = 8;  // Right of an area, for its last label.
constexpr double kTextRow = 19;

// Room beyond the values, as a share of the axis: markers lie inside.
constexpr double kPaddingX = 0.02;
constexpr double kPaddingY = 0.05;

absl::Status Check(const Figure& figure);
std::vector<PanelView> ViewsOf(const Figure& figure);
std::string Description(const Figure& figure, const Legend& legend);

// Lines of text from `top` on; moves `top` below them.
std::string TextRows(absl::string_view text, absl::string_view css_class,
                     double width, double font_size, double row, double* top) {
  std::string svg;
  for (const std::string& line : WrapText(text, width, font_size)) {
    *top += row;
    svg += TextElement(line, kMargin, *top - row * 0.25, width, font_size,
                       css_class);
  }
  return svg;
}

int ColumnCount(const Figure& figure, int panel_count) {
  const int wanted = panel_count < 2 ? 1 : panel_count < 5 ? 2 : 3;
  const int chosen = std::clamp(figure.width / 220, 1, wanted);
  return std::min(figure.columns > 0 ? figure.columns : chosen, panel_count);
}

// Draws the panels in a grid from `top` on, which moves below them. Adds a
// line to `notes` for each panel that left something out.
std::string DrawPanels(const Figure& figure, const Legend& legend, double* top,
                       std::vector<std::string>* notes) {
  const std::vector<PanelView> views = ViewsOf(figure);
  const int columns = ColumnCount(figure, static_cast<int>(views.size()));
  const double cell_width =
      (figure.width - 2 * kMargin - (columns - 1) * kColumnGap) / columns;
  const double height = figure.panel_height > 0
                            ? figure.panel_height
                            : std::clamp(cell_width * 0.45, 120.0, 340.0);

  // All panels have the same margins beside them, so that axes are aligned.
  PanelPlace place = {.height = height};
  double left_room = 0;
  for (const PanelView& view : views) {
    left_room = std::max(left_room, LeftRoom(view, cell_width, height));
  }
  left_room = std::min(left_room, cell_width / 2);
  place.width = cell_width - left_room - kRightRoom;

  std::string svg;
  for (size_t first = 0; first < views.size(); first += columns) {
    const auto row = absl::MakeSpan(views).subspan(first, columns);
    double title_room = 0;
    double label_room = 8;
    double bottom_room = 0;
    for (const PanelView& view : row) {
      title_room = view.panel.title.empty() ? title_room : kTextRow;
      label_room = AxisLabel(view.panel.y).empty() ? label_room : 26;
      bottom_room = std::max(bottom_room, BottomRoom(view, place.width));
    }
    *top += first > 0 ? kRowGap : 0;
    place.title_baseline = *top + title_room - 5;
    place.top = *top + title_room + label_room;
    place.cell_left = kMargin;
    for (const PanelView& view : row) {
      place.cell_right = place.cell_left + cell_width;
      place.left = place.cell_left + left_room;
      DrawnPanel drawn = DrawPanel(view, place, legend);
      svg += drawn.svg;
      if (!drawn.note.empty()) {
        const std::string& title = view.panel.title;
        notes->push_back(
            absl::StrCat(title, title.empty() ? "" : ": ", drawn.note));
      }
      place.cell_left = place.cell_right + kColumnGap;
    }
    *top = place.top + height + bottom_room;
  }
  return svg;
}

}  // namespace

absl::StatusOr<std::string> DrawSvg(const Figure& figure) {
  HS_RETURN_IF_ERROR(Check(figure));
  if (figure.panels.empty()) {
    Figure with_panel = figure;
    with_panel.panels.emplace_back();
    return DrawSvg(with_panel);
  }

  const Legend legend(figure);
  const double width = figure.width - 2 * kMargin;
  double top = kMargin - 4;
  std::string body = TextRows(figure.title, " class=\"hsp-title\"",
                              width / 1.08, 17, 23, &top);
  absl::StrAppend(&body, "<g class=\"hsp-soft hsp-subtitle\">\n",
                  TextRows(figure.subtitle, "", width, 13, kTextRow, &top),
                  "</g>\n");
  const Legend::Rows rows = legend.Draw(kMargin, top + 5, width);
  body += rows.svg;
  top += rows.height + 12;
  std::vector<std::string> notes;
  body += DrawPanels(figure, legend, &top, &notes);
  body += "<g class=\"hsp-soft\">\n";
  top += notes.empty() ? 0 : 6;
  for (const std::string& note : notes) {
    body += TextRows(note, "", width, 12, 17, &top);
  }
  body += "</g>\n";
  top += kMargin - 4;

  const std::string height = Px(std::ceil(top));
  return absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"hs-plot\" "
      "role=\"img\" width=\"",
      figure.width, "\" height=\"", height, "\" viewBox=\"0 0 ", figure.width,
      " ", height, "\">\n",
      TitleElement(figure.title.empty() ? "Figure" : figure.title), "\n<desc>",
      EscapeXml(Description(figure, legend)), "</desc>\n<style>", StyleSheet(),
      "</style>\n", "<rect class=\"hsp-paper\" width=\"", figure.width,
      "\" height=\"", height, "\"/>\n", body, "</svg>\n");
}

namespace {

std::vector<PanelView> ViewsOf(const Figure& figure) {
  std::vector<PanelView> views;
  Extent all_x;
  Extent all_y;
  for (const Panel& panel : figure.panels) {
    views.push_back({panel, ValuesOfX(panel), ValuesOfY(panel)});
    all_x.Add(views.back().x);
    all_y.Add(views.back().y);
  }
  for (PanelView& view : views) {
    view.x =
        ShownRange(view.panel.x, figure.shared_x ? all_x : view.x, kPaddingX);
    view.y =
        ShownRange(view.panel.y, figure.shared_y ? all_y : view.y, kPaddingY);
  }
  return views;
}

// "accuracy (%) by epoch in 2 panels (MNIST, CIFAR-10) for xavier, kaiming".
std::string Description(const Figure& figure, const Legend& legend) {
  std::string text = figure.description;
  if (!text.empty()) {
    text += " ";
  }
  const Panel& first = figure.panels.front();
  absl::StrAppend(&text, AxisLabel(first.y));
  if (!AxisLabel(first.x).empty()) {
    absl::StrAppend(&text, " by ", AxisLabel(first.x));
  }
  if (figure.panels.size() > 1) {
    absl::StrAppend(&text, " in ", figure.panels.size(), " panels (",
                    absl::StrJoin(figure.panels, ", ",
                                  [](std::string* out, const Panel& panel) {
                                    absl::StrAppend(out, panel.title);
                                  }),
                    ")");
  }
  const std::vector<std::string> names = legend.Names();
  if (!names.empty()) {
    absl::StrAppend(&text, " for ", absl::StrJoin(names, ", "));
  }
  return text;
}

absl::Status CheckAxis(const Axis& axis, const std::string& where) {
  for (const std::optional<double>& end : {axis.min, axis.max}) {
    if (end.has_value() && FitnessOf(*end, axis.scale) != Fitness::kDrawable) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": min and max must be finite",
          axis.scale == Scale::kLog ? " and, on a log axis, above 0" : "",
          ", got ", *end, ". Leave it out to take it from the data."));
    }
  }
  // Nearer than this, ticks would read alike.
  if (axis.min.has_value() && axis.max.has_value() &&
      *axis.max - *axis.min <
          1e-9 * std::max(std::abs(*axis.min), std::abs(*axis.max))) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": min must be below max, got ", *axis.min, " and ",
                     *axis.max, ". Set `reversed` to turn the axis around."));
  }
  if (!axis.categories.empty() &&
      (axis.scale == Scale::kLog || axis.min.has_value() ||
       axis.max.has_value() || !axis.ticks.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat(where,
                     ": an axis with categories has no log scale, min, max or "
                     "ticks."));
  }
  return absl::OkStatus();
}

absl::Status CheckLength(absl::string_view what, size_t count, size_t expected,
                         const std::string& where) {
  if (count == expected) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": ", count, " ", what, ", must be ", expected, "."));
}

// `low` and `high`: both or none.
absl::Status CheckSpread(const std::vector<double>& low,
                         const std::vector<double>& high, size_t expected,
                         const std::string& where) {
  if (low.empty() && high.empty()) {
    return absl::OkStatus();
  }
  HS_RETURN_IF_ERROR(CheckLength("low values", low.size(), expected, where));
  return CheckLength("high values", high.size(), expected, where);
}

absl::Status CheckStyle(std::optional<int> style, const std::string& where) {
  if (!style.has_value() || *style >= 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": style must be from 0, got ", *style, "."));
}

absl::Status CheckPanel(const Panel& panel, const std::string& where) {
  HS_RETURN_IF_ERROR(CheckAxis(panel.x, absl::StrCat(where, ", x axis")));
  HS_RETURN_IF_ERROR(CheckAxis(panel.y, absl::StrCat(where, ", y axis")));
  if (!panel.y.categories.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ", y axis: categories can only be on the x axis."));
  }
  const size_t category_count = panel.x.categories.size();
  for (const Line& line : panel.lines) {
    const std::string at = absl::StrCat(where, ", line \"", line.name, "\"");
    HS_RETURN_IF_ERROR(CheckStyle(line.style, at));
    HS_RETURN_IF_ERROR(
        CheckLength("y values", line.y.size(), line.x.size(), at));
    HS_RETURN_IF_ERROR(CheckSpread(line.low, line.high, line.x.size(), at));
  }
  for (const Bars& bars : panel.bars) {
    const std::string at = absl::StrCat(where, ", bars \"", bars.name, "\"");
    HS_RETURN_IF_ERROR(CheckStyle(bars.style, at));
    HS_RETURN_IF_ERROR(CheckLength("values (one per category of the x axis)",
                                   bars.y.size(), category_count, at));
    HS_RETURN_IF_ERROR(CheckSpread(bars.low, bars.high, category_count, at));
  }
  for (const Boxes& boxes : panel.boxes) {
    const std::string at = absl::StrCat(where, ", boxes \"", boxes.name, "\"");
    HS_RETURN_IF_ERROR(CheckStyle(boxes.style, at));
    HS_RETURN_IF_ERROR(CheckLength("boxes (one per category of the x axis)",
                                   boxes.boxes.size(), category_count, at));
  }
  return absl::OkStatus();
}

absl::Status Check(const Figure& figure) {
  if (figure.width < 200 || figure.width > 4000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "width must be from 200 to 4000 pixels, got ", figure.width, "."));
  }
  if (figure.panel_height != 0 &&
      (figure.panel_height < 60 || figure.panel_height > 4000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("panel_height must be from 60 to 4000 pixels, got ",
                     figure.panel_height, ". 0 chooses it by the width."));
  }
  if (figure.columns < 0 || figure.columns * 100 > figure.width) {
    return absl::InvalidArgumentError(
        absl::StrCat("columns must be from 0 to ", figure.width / 100,
                     " (100 pixels each), got ", figure.columns, "."));
  }
  for (size_t i = 0; i < figure.panels.size(); ++i) {
    HS_RETURN_IF_ERROR(
        CheckPanel(figure.panels[i], absl::StrCat("panel ", i + 1)));
  }
  return absl::OkStatus();
}

}  // namespace

}  // namespace headstart::client
