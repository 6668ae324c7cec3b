// Brings images to another size, as Pillow does.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

#include "worker/dataset_files/image.h"

namespace headstart::worker {

// A rectangle within an image.
struct CropBox {
  int64_t top;
  int64_t left;
  int64_t height;
  int64_t width;
};

// Fills `out`, [channels, height, width], with the box's pixels: bilinear, and
// with antialias where it shrinks. Every byte is the one that Pillow's
// Image.resize(BILINEAR) of the cropped image gives (up to version 12: 13 turns
// the order of its two passes around for some), and so torchvision's Resize and
// RandomResizedCrop of it. The box lies inside the image and has at
// least one pixel.
void ResizeBox(const Image& image, const CropBox& box, int64_t height,
               int64_t width, absl::Span<uint8_t> out);

// The same of the whole image.
void Resize(const Image& image, int64_t height, int64_t width,
            absl::Span<uint8_t> out);

}  // namespace headstart::worker
