#include "worker/dataset_files/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace headstart::worker {
namespace {

// Weights are whole numbers of 2^-22, so that a sum of them times bytes fits an
// int32 and has no rounding of its own.
constexpr int kWeightBits = 22;

// Where one output pixel's inputs begin, and what each counts.
struct Window {
  int32_t begin;
  std::vector<int32_t> weights;
};

// The triangle filter: as wide as one output pixel is in input pixels, but at
// least one input pixel to each side.
std::vector<Window> MakeWindows(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / out;
  const double reach = std::max(scale, 1.0);
  const double inverse = 1 / reach;
  std::vector<Window> windows(out);
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    // Truncated towards zero, then kept inside: so Pillow does.
    const int64_t begin =
        std::max<int64_t>(static_cast<int64_t>(centre - reach + 0.5), 0);
    const int64_t end =
        std::min<int64_t>(static_cast<int64_t>(centre + reach + 0.5), in);
    std::vector<double> exact;
    double sum = 0;
    for (int64_t x = begin; x < end; ++x) {
      const double distance = std::abs((x - centre + 0.5) * inverse);
      exact.push_back(distance < 1 ? 1 - distance : 0);
      sum += exact.back();
    }
    windows[i].begin = static_cast<int32_t>(begin);
    for (const double weight : exact) {
      windows[i].weights.push_back(
          static_cast<int32_t>(0.5 + weight / sum * (1 << kWeightBits)));
    }
  }
  return windows;
}

uint8_t Rounded(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// One row to its new width.
void ShrinkRow(const uint8_t* in, const std::vector<Window>& windows,
               uint8_t* out) {
  for (const Window& window : windows) {
    int32_t sum = kHalf;
    const uint8_t* from = in + window.begin;
    for (size_t k = 0; k < window.weights.size(); ++k) {
      sum += from[k] * window.weights[k];
    }
    *out++ = Rounded(sum);
  }
}

// The rows of `in`, all `width` wide, to one.
void ShrinkColumns(const uint8_t* in, int64_t width, const Window& window,
                   std::vector<int32_t>& sums, uint8_t* out) {
  std::fill(sums.begin(), sums.end(), kHalf);
  const uint8_t* from = in + window.begin * width;
  for (const int32_t weight : window.weights) {
    for (int64_t x = 0; x < width; ++x) sums[x] += from[x] * weight;
    from += width;
  }
  for (int64_t x = 0; x < width; ++x) out[x] = Rounded(sums[x]);
}

}  // namespace

void ResizeBox(const Image& image, const CropBox& box, int64_t height,
               int64_t width, absl::Span<uint8_t> out) {
  HS_CHECK(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0);
  HS_CHECK(box.top + box.height <= image.height &&
           box.left + box.width <= image.width);
  HS_CHECK_EQ(static_cast<int64_t>(out.size()),
              image.channels * height * width);
  const std::vector<Window> columns = MakeWindows(box.width, width);
  const std::vector<Window> rows = MakeWindows(box.height, height);
  std::vector<uint8_t> narrow(box.height * width);
  std::vector<int32_t> sums(width);
  const uint8_t* plane = image.pixels.data();
  uint8_t* to = out.data();
  for (int64_t c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < box.height; ++y) {
      ShrinkRow(plane + (box.top + y) * image.width + box.left, columns,
                narrow.data() + y * width);
    }
    for (const Window& window : rows) {
      ShrinkColumns(narrow.data(), width, window, sums, to);
      to += width;
    }
    plane += image.height * image.width;
  }
}

void Resize(const Image& image, int64_t height, int64_t width,
            absl::Span<uint8_t> out) {
  ResizeBox(image,
            {.top = 0, .left = 0, .height = image.height, .width = image.width},
            height, width, out);
}

}  // namespace headstart::worker
