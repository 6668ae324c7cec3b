// The five numbers of a box plot, from samples.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"

namespace headstart::client {

// One box: whisker, quartile, median, quartile, whisker, from low to high, and
// the samples beyond the whiskers. One whose median is NaN is not drawn.
struct Box {
  double whisker_low = std::numeric_limits<double>::quiet_NaN();
  double quartile_low = std::numeric_limits<double>::quiet_NaN();
  double median = std::numeric_limits<double>::quiet_NaN();
  double quartile_high = std::numeric_limits<double>::quiet_NaN();
  double whisker_high = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> outliers = {};
  int64_t sample_count = 0;  // For the tooltip; 0 is not mentioned.
};

// The box of `samples`, in any order. A quartile lies at rank (n - 1) * share
// of the sorted samples, counted from 0 and interpolated between neighbours:
// type 7 of Hyndman and Fan (1996), which is what R and NumPy do unless told
// otherwise. Whiskers end at the farthest sample within 1.5 times the distance
// of the quartiles; what lies beyond is an outlier (Tukey).
//
// NaN is a missing sample. Infinite samples are outliers, so that a figure can
// count them, and take no part in the rest. Without samples all are NaN.
Box BoxOf(absl::Span<const double> samples);

}  // namespace headstart::client
