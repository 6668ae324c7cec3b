// DenseNet-BC for CIFAR.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/models/layers.h"

namespace headstart::worker {

class Model;

struct DensenetBcOptions {
  int64_t channels;
  int64_t classes;
  // Without norms every convolution has a bias.
  Norm norm;
};

// The smallest side that it takes.
inline constexpr int64_t kDensenetBcMinSide = 4;

// DenseNet-BC of Huang et al. 2017 with 100 layers and growth 12: three dense
// blocks of 16 layers behind a 3x3 stem with 24 channels. Starts with Kaiming
// normal convolutions, fan-out, and biases of 0. For 3 channels and 10 classes
// 769,162 parameters, 748,336 without norms.
//
// Names: features.{conv0, denseblock{1..3}.denselayer{1..16}.{norm1, conv1,
// norm2, conv2}, transition{1,2}.{norm, conv}, norm_final}, classifier.
std::shared_ptr<Model> MakeDensenetBc100x12(const DensenetBcOptions& options);

}  // namespace headstart::worker
