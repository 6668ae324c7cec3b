// Text and numbers as SVG takes them, and how much room text needs.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace headstart::client {

// `text` for the inside of an element or of a quoted attribute. What XML
// cannot hold (control characters, broken UTF-8) becomes U+FFFD.
std::string EscapeXml(absl::string_view text);

// A <title> element, which readers show as a tooltip; nothing for no text.
std::string TitleElement(absl::string_view text);

// A length or coordinate in pixels: at most two decimals, "-0" never.
std::string Px(double value);

// About how wide `text` is, in pixels. The reader's font is not known: this is
// the width in DejaVu Sans, one of the widest in use.
double TextWidth(absl::string_view text, double font_size);

// `text`, or as much of it as fits into `width` with "…" behind it.
std::string FitText(absl::string_view text, double width, double font_size);

// `text` in lines of at most `width`, broken at spaces. None for no text.
std::vector<std::string> WrapText(absl::string_view text, double width,
                                  double font_size);

// A text element with `text` at a point; it is shortened to `width`, and then
// has all of it as tooltip. `attributes` begin with a space.
std::string TextElement(absl::string_view text, double x, double y,
                        double width, double font_size,
                        absl::string_view attributes = "");

}  // namespace headstart::client
