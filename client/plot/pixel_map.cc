#include "client/plot/pixel_map.h"

#include <algorithm>
#include <cmath>

namespace headstart::client {
namespace {

// Beyond these, differences and shares of values could overflow or vanish.
constexpr double kValueMax = 1e100;
constexpr double kValueMin = 1e-100;
// A range below this share of its values would have ticks that read alike.
constexpr double kRangeShareMin = 1e-9;

double Forward(double value, Scale scale) {
  return scale == Scale::kLog ? std::log10(value) : value;
}

double Backward(double value, Scale scale) {
  return scale == Scale::kLog ? std::pow(10.0, value) : value;
}

// Clearly past `value`; 1 is upwards, -1 downwards.
double Beyond(double value, int direction, Scale scale) {
  return scale == Scale::kLog
             ? value * std::pow(10.0, direction)
             : value + direction * std::max(1.0, std::abs(value));
}

// How far an axis reaches to either side of what is one value, or nearly so;
// on a log axis in powers of ten.
double BesideOneValue(const Extent& values, Scale scale) {
  const double size = std::max(std::abs(values.low), std::abs(values.high));
  if (scale == Scale::kLog) {
    return 0.3;
  }
  return values.whole ? std::max(1.0, size * kRangeShareMin * 10) : size * 0.05;
}

Extent Padded(Extent range, Scale scale, double padding) {
  if (range.empty()) {
    range.low = scale == Scale::kLog ? 1 : 0;
    range.high = range.low + 1;
  }
  const double size = std::max(std::abs(range.low), std::abs(range.high));
  const bool is_one = range.high - range.low <= size * kRangeShareMin;
  const double low = Forward(range.low, scale);
  const double high = Forward(range.high, scale);
  const double room =
      is_one ? BesideOneValue(range, scale) : (high - low) * padding;
  const bool is_positive = scale == Scale::kLinear && low >= 0;
  if (scale == Scale::kLog && range.touches) {
    // The smallest bar has a height, too.
    range.low = Backward(std::ceil(low) - 1, scale);
  } else if (is_positive && (range.touches || (low < room && !is_one))) {
    range.low = 0;  // No negative axis for what is never negative.
  } else {
    range.low = Backward(low - room, scale);
  }
  const bool hangs = range.touches && scale == Scale::kLinear && high <= 0;
  range.high = hangs ? 0 : Backward(high + room, scale);
  return range;
}

}  // namespace

Fitness FitnessOf(double value, Scale scale) {
  if (std::isnan(value)) {
    return Fitness::kMissing;
  }
  if (std::abs(value) > kValueMax) {
    return Fitness::kInfinite;
  }
  return scale == Scale::kLog && value < kValueMin ? Fitness::kNotAboveZero
                                                   : Fitness::kDrawable;
}

void Extent::Add(double value, Scale scale) {
  if (client::FitnessOf(value, scale) == Fitness::kDrawable) {
    if (std::abs(value) < kValueMin) {
      value = 0;
    }
    low = std::min(low, value);
    high = std::max(high, value);
    whole = whole && value == std::floor(value);
  }
}

void Extent::Add(const Extent& other) {
  low = std::min(low, other.low);
  high = std::max(high, other.high);
  whole = whole && other.whole;
  touches = touches || other.touches;
}

Extent ShownRange(const Axis& axis, const Extent& values, double padding) {
  if (!axis.categories.empty()) {
    return {.low = -0.5,
            .high = static_cast<double>(axis.categories.size()) - 0.5};
  }
  Extent range = Padded(values, axis.scale, padding);
  range.low = axis.min.value_or(range.low);
  range.high = axis.max.value_or(range.high);
  if (range.low >= range.high) {  // The end that is set is beyond all values.
    if (axis.min.has_value()) {
      range.high = Beyond(range.low, 1, axis.scale);
    } else {
      range.low = Beyond(range.high, -1, axis.scale);
    }
  }
  return range;
}

PixelMap::PixelMap(const Axis& axis, const Extent& range, double start,
                   double end)
    : scale_(axis.scale),
      low_(range.low),
      high_(range.high),
      pixel_low_(axis.reversed ? end : start),
      pixel_high_(axis.reversed ? start : end) {}

double PixelMap::operator()(double value) const {
  const double low = Forward(low_, scale_);
  const double share =
      (Forward(value, scale_) - low) / (Forward(high_, scale_) - low);
  // Renderers count in 32 bits.
  return std::lerp(pixel_low_, pixel_high_, std::clamp(share, -50.0, 50.0));
}

double PixelMap::OrEdge(double value) const {
  if (FitnessOf(value) == Fitness::kDrawable) {
    return (*this)(value);
  }
  return value > low_ ? pixel_high_ : pixel_low_;
}

bool PixelMap::Shows(double value) const {
  const double low = Forward(low_, scale_);
  const double high = Forward(high_, scale_);
  const double slack = (high - low) * 1e-9;
  const double at = Forward(value, scale_);
  return at >= low - slack && at <= high + slack;
}

Fitness PixelMap::FitnessOf(double value) const {
  return client::FitnessOf(value, scale_);
}

}  // namespace headstart::client
