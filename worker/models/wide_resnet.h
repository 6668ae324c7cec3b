// Wide ResNet for CIFAR.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/models/layers.h"

namespace headstart::worker {

class Model;

struct WideResnetOptions {
  int64_t channels;
  int64_t classes;
  Norm norm;
  bool conv_bias;
  // Share of the activations between a block's convolutions that are set to 0
  // while training. In [0, 1).
  double dropout;
};

// WRN-28-10 of Zagoruyko and Komodakis 2016: a stem with 16 planes, three
// stages of four blocks with 160, 320 and 640, norms and activations in front
// of the convolutions, the stride on a block's second one; for images of any
// size. The last norm's running statistics take 0.9 of each new batch, as the
// GradInit paper's code has it. With norms and biases, for 3 channels and 10
// classes: 36,489,290 parameters; without biases 36,479,194; without norms
// 36,471,338.
//
// Names: conv1, layer{1..3}.{0..3}.{bn1, bn2, conv1, conv2, shortcut.0}, bn1,
// linear. A block has a shortcut where its shape changes.
std::shared_ptr<Model> MakeWideResnet28x10(const WideResnetOptions& options);

}  // namespace headstart::worker
