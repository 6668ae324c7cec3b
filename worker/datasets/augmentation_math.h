// What becomes of one pixel: plain functions that the CPU's loops are tested
// against and that a CUDA kernel can call.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace headstart::worker {

// What a pixel of one channel becomes: pixel * scale + shift.
struct Normalization {
  float scale;
  float shift;
};

// What was drawn for one image of one epoch. The defaults leave it as it is.
struct ImagePlan {
  // Where the crop's upper left corner lies in the image: -padding to padding.
  int32_t top = 0;
  int32_t left = 0;
  bool flip = false;  // After the crop: left becomes right.
  // The rectangle that is cut out of the result: none when it is empty.
  int32_t cut_top = 0;
  int32_t cut_bottom = 0;  // The first row below it.
  int32_t cut_left = 0;
  int32_t cut_right = 0;
};

// Rounded after the multiplication on every device, so that all make the same
// floats.
HS_HOST_DEVICE inline float NormalizePixel(uint8_t pixel,
                                           Normalization channel) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(__fmul_rn(pixel, channel.scale), channel.shift);
#else
  return pixel * channel.scale + channel.shift;
#endif
}

// The augmented image at (y, x), from one channel's plane of the original:
// padding is a raw 0, as torchvision pads before it normalizes; what is cut out
// is 0 after it, as in the published cutout.
HS_HOST_DEVICE inline float AugmentPixel(const uint8_t* plane, int32_t height,
                                         int32_t width, int32_t y, int32_t x,
                                         const ImagePlan& plan,
                                         Normalization channel) {
  if (y >= plan.cut_top && y < plan.cut_bottom && x >= plan.cut_left &&
      x < plan.cut_right) {
    return 0;
  }
  const int32_t from_y = y + plan.top;
  const int32_t from_x = (plan.flip ? width - 1 - x : x) + plan.left;
  const bool inside =
      from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
  return NormalizePixel(inside ? plane[from_y * width + from_x] : 0, channel);
}

// One value of mixup: `weight` of `a`, the rest of `b`.
HS_HOST_DEVICE inline float MixPixel(float a, float b, float weight) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(__fmul_rn(a, weight), __fmul_rn(b, 1 - weight));
#else
  return a * weight + b * (1 - weight);
#endif
}

}  // namespace headstart::worker
