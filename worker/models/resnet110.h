// ResNet-110 for CIFAR, with and without norms.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/models/layers.h"

namespace headstart::worker {

class Model;

// What the first block of the second and third stage does to its input, which
// it halves in size and doubles in channels.
enum class Resnet110Shortcut {
  // Takes every second pixel, normalizes and appends channels of 0, as the
  // GradInit paper's code does.
  kAveragePoolNorm,
  kPad,         // The same without a norm: option A of He et al.
  kProjection,  // A 1x1 convolution and its norm: option B.
};

struct Resnet110Options {
  int64_t channels;
  int64_t classes;
  // Without norms every convolution has a bias, and shortcuts lack theirs too.
  Norm norm;
  Resnet110Shortcut shortcut;
};

// Three stages of 18 basic blocks with 16, 32 and 64 planes (He et al. 2016),
// for images of any size. Starts with Kaiming normal convolutions, fan-out, and
// biases of 0. With norms, for 3 channels and 10 classes: 1,728,058 parameters,
// 1,727,962 or 1,730,714 by shortcut.
//
// Names: conv1, bn1, layer{1..3}.{0..17}.{conv1, bn1, conv2, bn2}, fc; in
// layer{2,3}.0 downsample.1 for kAveragePoolNorm, downsample.{0,1} for
// kProjection.
std::shared_ptr<Model> MakeResnet110(const Resnet110Options& options);

}  // namespace headstart::worker
