// The look of marks: colours in light, dark and print, and what tells series
// apart without colour.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace headstart::client {

// Every figure's style sheet. All of it is below the class of the root
// element, so it is the same however often a page repeats it.
absl::string_view StyleSheet();

// The class that sets the colour of a place in the palette, such as "hsp-3".
std::string ColorClass(int style);

// The attribute that dashes a line, with a space in front; empty for a solid
// one. Where markers tell lines apart, dashes begin with the second round of
// colours.
std::string DashAttribute(int style, bool has_markers);

// The commands of a path that draws the style's marker around a point.
std::string MarkerPath(int style, double x, double y);

// The commands of a path that hatches an area of these corners, so that bars
// and boxes differ in grey; empty for the styles that stay plain.
std::string HatchPath(int style, double left, double top, double right,
                      double bottom);

}  // namespace headstart::client
