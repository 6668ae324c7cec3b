#include "client/plot/style.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/plot/svg_text.h"

namespace headstart::client {
namespace {

constexpr int kColorCount = 8;

// On paper the colours of Okabe and Ito ("Color Universal Design", 2008), with
// violet for their yellow, which is too pale for lines on white. Over normal
// sight and simulated protanopia, deuteranopia and tritanopia (Machado et al.,
// 2009) no two are nearer than 16 in CIE Lab, as in the original. In the dark
// the same hues are lighter: at least 14 apart, contrast at least 4 to 1.
//
// A renderer without variables (librsvg) takes the first of each pair.
constexpr absl::string_view kStyleSheet =
    R"(.hs-plot{--hsp-paper:#fff;--hsp-ink:#1c1e21;--hsp-soft:#565b63;
--hsp-grid:#e4e6e9;--hsp-axis:#868c95;
--hsp-c0:#0072b2;--hsp-c1:#d55e00;--hsp-c2:#009e73;--hsp-c3:#cc79a7;
--hsp-c4:#e69f00;--hsp-c5:#56b4e9;--hsp-c6:#000;--hsp-c7:#7800e1;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;
font-size:12px;max-width:100%;height:auto}
@media screen and (prefers-color-scheme:dark){.hs-plot{
--hsp-paper:#16181c;--hsp-ink:#e9eaec;--hsp-soft:#a9afb8;
--hsp-grid:#2c3036;--hsp-axis:#727983;
--hsp-c0:#3388cc;--hsp-c1:#e0651a;--hsp-c2:#00a87a;--hsp-c3:#d98bb8;
--hsp-c4:#ebaa1e;--hsp-c5:#86cdf9;--hsp-c6:#f4f4f4;--hsp-c7:#a368ff}}
@media print{.hs-plot{--hsp-ink:#000;--hsp-soft:#222;--hsp-grid:#dcdcdc;--hsp-axis:#444}}
.hs-plot .hsp-0{color:#0072b2;color:var(--hsp-c0)}
.hs-plot .hsp-1{color:#d55e00;color:var(--hsp-c1)}
.hs-plot .hsp-2{color:#009e73;color:var(--hsp-c2)}
.hs-plot .hsp-3{color:#cc79a7;color:var(--hsp-c3)}
.hs-plot .hsp-4{color:#e69f00;color:var(--hsp-c4)}
.hs-plot .hsp-5{color:#56b4e9;color:var(--hsp-c5)}
.hs-plot .hsp-6{color:#000;color:var(--hsp-c6)}
.hs-plot .hsp-7{color:#7800e1;color:var(--hsp-c7)}
.hs-plot .hsp-paper{fill:#fff;fill:var(--hsp-paper)}
.hs-plot text{fill:#1c1e21;fill:var(--hsp-ink)}
.hs-plot .hsp-soft text{fill:#565b63;fill:var(--hsp-soft)}
.hs-plot .hsp-title{font-size:17px;font-weight:600}
.hs-plot .hsp-subtitle text{font-size:13px}
.hs-plot .hsp-panel{font-size:13.5px;font-weight:600}
.hs-plot .hsp-grid{fill:none;stroke:#e4e6e9;stroke:var(--hsp-grid)}
.hs-plot .hsp-axis{fill:none;stroke:#868c95;stroke:var(--hsp-axis)}
.hs-plot .hsp-rule{fill:none;stroke:#565b63;stroke:var(--hsp-soft);stroke-width:1.25;stroke-dasharray:5 4}
.hs-plot .hsp-halo text{stroke:#fff;stroke:var(--hsp-paper);stroke-width:3.5px;stroke-linejoin:round;paint-order:stroke}
.hs-plot .hsp-line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.hs-plot .hsp-faint{stroke-width:1;stroke-opacity:.4}
.hs-plot .hsp-dot{stroke-width:5}
.hs-plot .hsp-band{fill:currentColor;fill-opacity:.2}
.hs-plot .hsp-marker{fill:currentColor;stroke:#fff;stroke:var(--hsp-paper);stroke-width:.75}
.hs-plot .hsp-bar{fill:currentColor}
.hs-plot .hsp-hatch{fill:none;stroke:#fff;stroke:var(--hsp-paper);stroke-width:1.5;stroke-opacity:.5}
.hs-plot .hsp-errorhalo{fill:none;stroke:#fff;stroke:var(--hsp-paper);stroke-width:3.5;stroke-opacity:.7}
.hs-plot .hsp-error{fill:none;stroke:#1c1e21;stroke:var(--hsp-ink);stroke-width:1.25}
.hs-plot .hsp-whisker{fill:none;stroke:currentColor;stroke-width:1.5}
.hs-plot .hsp-box{fill:currentColor;fill-opacity:.25;stroke:currentColor;stroke-width:1.5}
.hs-plot .hsp-boxhatch{fill:none;stroke:currentColor;stroke-opacity:.5}
.hs-plot .hsp-median{fill:none;stroke:#1c1e21;stroke:var(--hsp-ink);stroke-width:2.5}
)";

// Five of them and seven markers: with eight colours no two of the first 40
// styles look alike, nor of the first 56 with markers.
constexpr absl::string_view kDashes[] = {"", "7 4", "1.5 4", "9 3.5 1.5 3.5",
                                         "4 3"};

// Around the point that the path has moved to.
constexpr absl::string_view kMarkers[] = {
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",               // Disk.
    "m-3.5-3.5h7v7h-7z",                                // Square.
    "m0-4.75l4.5 8h-9z",                                // Triangle.
    "m0-5l5 5l-5 5l-5-5z",                              // Diamond.
    "m0 4.75l4.5-8h-9z",                                // Triangle down.
    "m-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",            // Plus.
    "m0-2.1l2.5-2.5l2.1 2.1l-2.5 2.5l2.5 2.5l-2.1 2.1"  // Cross.
    "l-2.5-2.5l-2.5 2.5l-2.1-2.1l2.5-2.5l-2.5-2.5l2.1-2.1z",
};

constexpr double kHatchDistance = 7;

// Lines from bottom left to top right: x + y is constant along each.
void AppendRising(double left, double top, double right, double bottom,
                  std::string* path) {
  for (double sum = left + top + kHatchDistance; sum < right + bottom;
       sum += kHatchDistance) {
    const double x = std::max(left, sum - bottom);
    const double x_end = std::min(right, sum - top);
    absl::StrAppend(path, "M", Px(x), " ", Px(sum - x), "L", Px(x_end), " ",
                    Px(sum - x_end));
  }
}

void AppendFalling(double left, double top, double right, double bottom,
                   std::string* path) {
  for (double difference = left - bottom + kHatchDistance;
       difference < right - top; difference += kHatchDistance) {
    const double x = std::max(left, difference + top);
    const double x_end = std::min(right, difference + bottom);
    absl::StrAppend(path, "M", Px(x), " ", Px(x - difference), "L", Px(x_end),
                    " ", Px(x_end - difference));
  }
}

}  // namespace

absl::string_view StyleSheet() { return kStyleSheet; }

std::string ColorClass(int style) {
  return absl::StrCat("hsp-", style % kColorCount);
}

std::string DashAttribute(int style, bool has_markers) {
  const int round = has_markers ? style / kColorCount : style;
  const absl::string_view dashes = kDashes[round % std::size(kDashes)];
  return dashes.empty() ? ""
                        : absl::StrCat(" stroke-dasharray=\"", dashes, "\"");
}

std::string MarkerPath(int style, double x, double y) {
  return absl::StrCat("M", Px(x), " ", Px(y),
                      kMarkers[style % std::size(kMarkers)]);
}

std::string HatchPath(int style, double left, double top, double right,
                      double bottom) {
  std::string path;
  switch (style % std::size(kDashes)) {
    case 1:
      AppendRising(left, top, right, bottom, &path);
      break;
    case 2:
      AppendFalling(left, top, right, bottom, &path);
      break;
    case 3:
      for (double y = top + kHatchDistance / 2; y < bottom;
           y += kHatchDistance) {
        absl::StrAppend(&path, "M", Px(left), " ", Px(y), "H", Px(right));
      }
      break;
    case 4:
      for (double x = left + kHatchDistance / 2; x < right;
           x += kHatchDistance) {
        absl::StrAppend(&path, "M", Px(x), " ", Px(top), "V", Px(bottom));
      }
      break;
    default:
      break;
  }
  return path;
}

}  // namespace headstart::client
