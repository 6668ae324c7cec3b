// Which values an axis shows, and at which pixel each lies.
#pragma once

#include <limits>

#include "client/plot/figure.h"

namespace headstart::client {

// Whether a value can be drawn, and why not.
enum class Fitness { kDrawable, kMissing, kInfinite, kNotAboveZero };
Fitness FitnessOf(double value, Scale scale);

// The drawable values of the marks on one axis.
struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool whole = true;     // No value between whole numbers.
  bool touches = false;  // A bar stands on `low`: no room between.

  bool empty() const { return low > high; }
  void Add(double value, Scale scale);
  void Add(const Extent& other);
};

// The range that `axis` shows for these values: its own ends where it has some,
// else the values' with `padding`, a share of the range, beyond each.
Extent ShownRange(const Axis& axis, const Extent& values, double padding);

// Values to pixels, linear or logarithmic.
class PixelMap final {
 public:
  // `start` is the pixel where the axis begins: left, or bottom. The axis may
  // be reversed.
  PixelMap(const Axis& axis, const Extent& range, double start, double end);

  // Of a drawable value. Far outside, a pixel far outside.
  double operator()(double value) const;
  // Of the end of a band or bar, which need not be drawable but is not NaN:
  // values that the axis cannot show lie at its edge.
  double OrEdge(double value) const;
  // Whether a drawable value lies on the axis.
  bool Shows(double value) const;
  Fitness FitnessOf(double value) const;

  Scale scale() const { return scale_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  Scale scale_;
  double low_;
  double high_;
  double pixel_low_;
  double pixel_high_;
};

}  // namespace headstart::client
