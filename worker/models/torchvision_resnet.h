// ResNet as torchvision has it.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/models/residual_blocks.h"

namespace headstart::worker {

class Model;

struct TorchvisionResnetOptions {
  int64_t channels;
  int64_t classes;
  ResnetLayout layout;
  // Instead of a 7x7 convolution with stride 2 and 3x3 max pooling with stride
  // 2: a 3x3 convolution with stride 1 and no pooling.
  bool small_images;
};

// The network of He et al. 2016, the stride of bottlenecks on their 3x3
// convolution; the wide one of Zagoruyko and Komodakis 2016. For images of any
// size. Starts with Kaiming normal convolutions, fan-out.
//
// Names: conv1, bn1, layer{1..4}.{b}.{conv1, bn1, conv2, bn2, conv3, bn3,
// downsample.0, downsample.1}, fc. A block has a downsample where its shape
// changes.
std::shared_ptr<Model> MakeTorchvisionResnet(
    const TorchvisionResnetOptions& options);

}  // namespace headstart::worker
