#include "client/plot/box.h"

#include <algorithm>
#include <cmath>

namespace headstart::client {
namespace {

double Quantile(const std::vector<double>& sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above],
                   rank - static_cast<double>(below));
}

}  // namespace

Box BoxOf(absl::Span<const double> samples) {
  Box box;
  std::vector<double> sorted;
  for (double sample : samples) {
    if (std::isfinite(sample)) {
      sorted.push_back(sample);
    } else if (std::isinf(sample)) {
      box.outliers.push_back(sample);
    }
  }
  box.sample_count = static_cast<int64_t>(sorted.size() + box.outliers.size());
  if (sorted.empty()) {
    return box;
  }

  std::sort(sorted.begin(), sorted.end());
  box.quartile_low = Quantile(sorted, 0.25);
  box.median = Quantile(sorted, 0.5);
  box.quartile_high = Quantile(sorted, 0.75);

  const double reach = 1.5 * (box.quartile_high - box.quartile_low);
  // An interpolated quartile may have no sample between it and its reach:
  // the whisker then ends at the box.
  box.whisker_low = box.quartile_low;
  box.whisker_high = box.quartile_high;
  for (double sample : sorted) {
    if (sample < box.quartile_low - reach ||
        sample > box.quartile_high + reach) {
      box.outliers.push_back(sample);
    } else {
      box.whisker_low = std::min(box.whisker_low, sample);
      box.whisker_high = std::max(box.whisker_high, sample);
    }
  }
  return box;
}

}  // namespace headstart::client
