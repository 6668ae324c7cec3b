// One panel of a figure: its range, its ticks, its drawing.
#pragma once

#include <string>

#include "client/plot/figure.h"
#include "client/plot/legend.h"
#include "client/plot/pixel_map.h"

namespace headstart::client {

// A panel and the ranges that its axes show.
struct PanelView {
  const Panel& panel;
  Extent x;
  Extent y;
};

// What the marks and rules of `panel` cover, on either axis.
Extent ValuesOfX(const Panel& panel);
Extent ValuesOfY(const Panel& panel);

// Where a panel is drawn: the area between the axes, and the cell around it,
// which texts may use.
struct PanelPlace {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
  double cell_left = 0;
  double cell_right = 0;
  double title_baseline = 0;
};

// How much room the labels need left of the area between the axes, in a cell of
// this width with an area of this height; and below an area of this width.
double LeftRoom(const PanelView& view, double width, double height);
double BottomRoom(const PanelView& view, double width);

struct DrawnPanel {
  std::string svg;
  std::string note;  // What was left out; empty if nothing was.
};
DrawnPanel DrawPanel(const PanelView& view, const PanelPlace& place,
                     const Legend& legend);

// "accuracy (%)".
std::string AxisLabel(const Axis& axis);

}  // namespace headstart::client
