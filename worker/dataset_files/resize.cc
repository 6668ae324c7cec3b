#include "worker/dataset_files/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/widest_vectors.h"

namespace headstart::worker {
namespace {

// Weights are whole numbers of 2^-22, so that a sum of them times bytes fits an
// int32 and has no rounding of its own.
constexpr int kWeightBits = 22;

// Where each output pixel's inputs begin, and what each counts. All have the
// same number of inputs, so that loops need not ask; some count 0.
struct Windows {
  int64_t taps = 0;
  std::vector<int32_t> begins;
  std::vector<int32_t> weights;  // [outputs, taps]
};

// The triangle filter: as wide as one output pixel is in input pixels, but at
// least one input pixel to each side.
Windows MakeWindows(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / out;
  const double reach = std::max(scale, 1.0);
  const double inverse = 1 / reach;
  Windows windows;
  windows.taps =
      std::min<int64_t>(static_cast<int64_t>(std::ceil(2 * reach)) + 1, in);
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
    // At the far end, what is there to fill up with lies before.
    const int64_t first = std::min(begin, in - windows.taps);
    windows.begins.push_back(static_cast<int32_t>(first));
    windows.weights.resize((i + 1) * windows.taps);
    int32_t* weight = &windows.weights[i * windows.taps + begin - first];
    for (const double each : exact) {
      *weight++ = static_cast<int32_t>(0.5 + each / sum * (1 << kWeightBits));
    }
  }
  return windows;
}

[[gnu::always_inline]] inline uint8_t Rounded(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// A row to its new width.
[[gnu::always_inline]] inline void ShrinkRow(const uint8_t* in,
                                             const Windows& windows,
                                             int64_t taps, uint8_t* out) {
  const int32_t* weights = windows.weights.data();
  for (const int32_t begin : windows.begins) {
    int32_t sum = kHalf;
    for (int64_t k = 0; k < taps; ++k) sum += in[begin + k] * weights[k];
    weights += taps;
    *out++ = Rounded(sum);
  }
}

// The same with the usual numbers of inputs known to the compiler.
void ShrinkRow(const uint8_t* in, const Windows& windows, uint8_t* out) {
  switch (windows.taps) {
    case 3:
      return ShrinkRow(in, windows, 3, out);
    case 4:
      return ShrinkRow(in, windows, 4, out);
    case 5:
      return ShrinkRow(in, windows, 5, out);
    default:
      return ShrinkRow(in, windows, windows.taps, out);
  }
}

// Rows, all `width` wide, to one. CMakeLists.txt has the flag that vectorizes
// it.
HS_WIDEST_VECTORS void ShrinkColumns(const uint8_t* in, int64_t width,
                                     const int32_t* weights, int64_t taps,
                                     int32_t* sums, uint8_t* out) {
  for (int64_t x = 0; x < width; ++x) sums[x] = kHalf;
  for (int64_t k = 0; k < taps; ++k, in += width) {
    const int32_t weight = weights[k];
    for (int64_t x = 0; x < width; ++x) sums[x] += in[x] * weight;
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
  const Windows columns = MakeWindows(box.width, width);
  const Windows rows = MakeWindows(box.height, height);
  std::vector<uint8_t> narrow(box.height * width);
  std::vector<int32_t> sums(width);
  const uint8_t* plane = image.pixels.data();
  uint8_t* to = out.data();
  for (int64_t c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < box.height; ++y) {
      ShrinkRow(plane + (box.top + y) * image.width + box.left, columns,
                narrow.data() + y * width);
    }
    for (int64_t y = 0; y < height; ++y, to += width) {
      ShrinkColumns(narrow.data() + rows.begins[y] * width, width,
                    &rows.weights[y * rows.taps], rows.taps, sums.data(), to);
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
