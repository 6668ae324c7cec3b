// Draws the marks of a panel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/plot/figure.h"
#include "client/plot/pixel_map.h"

namespace headstart::client {

// In pixels; y grows downwards.
struct Area {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;

  bool Overlaps(const Area& other) const {
    return left < other.right && other.left < right && top < other.bottom &&
           other.top < bottom;
  }
};

// What marks are drawn into: one text per layer, from back to front. All but
// the markers are cut off at the panel's edges by whoever puts them together.
struct Canvas {
  const Axis& x_axis;
  const Axis& y_axis;
  PixelMap x;
  PixelMap y;

  std::string areas = {};  // Bands, bars, boxes.
  std::string lines = {};
  std::string markers = {};
  std::vector<Area> ink = {};  // What labels should not cover.
  int64_t infinite_count = 0;  // Values left out, for the note.
  int64_t not_above_zero_count = 0;
  bool is_empty = true;  // Nothing was drawable.
};

// The place of one of `count` bars or boxes beside each other, from 0.
struct Slot {
  int place = 0;
  int count = 1;
};

void DrawLine(const Line& line, int style, Canvas& canvas);
void DrawBars(const Bars& bars, Slot slot, int style, Canvas& canvas);
void DrawBoxes(const Boxes& boxes, Slot slot, int style, Canvas& canvas);

// What a legend shows in front of a name, centred at x and y, 28 wide.
enum class KeyKind {
  kFaintLine,
  kLine,
  kLineAndMarkers,
  kMarkers,
  kBars,
  kBoxes
};
std::string LegendKey(KeyKind kind, int style, double x, double y);

}  // namespace headstart::client
