// ResNet in its layout for small images.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/models/residual_blocks.h"

namespace headstart::worker {

class Model;

struct CifarResnetOptions {
  int64_t channels;
  int64_t classes;
  ResnetLayout layout;
};

// The residual network of He et al. 2016 in its layout for CIFAR: a 3x3 stem
// with stride 1, no pooling behind it, four stages of blocks with 64, 128, 256
// and 512 planes. The mean over all positions comes before `linear`, so that
// other image sizes than 32x32 work too. ResNet-18 has 11,173,962 parameters
// for 3 channels and 10 classes.
//
// Names: conv1, bn1, layer{1..4}.{b}.{conv1, bn1, conv2, bn2, conv3, bn3,
// shortcut.0, shortcut.1}, linear. A block has a shortcut where its shape
// changes.
std::shared_ptr<Model> MakeCifarResnet(const CifarResnetOptions& options);

// ResNet-18 as He et al. 2016b have it, norms and activations in front of the
// convolutions: bn1, conv1, bn2, conv2 and, where the shape changes, a
// shortcut.0 without norm that sees relu(bn1(x)). Between the last block and
// the mean before `linear` there is neither norm nor ReLU. Names otherwise as
// above; no bn1 behind the stem.
struct PreactResnet18Options {
  int64_t channels;
  int64_t classes;
};
std::shared_ptr<Model> MakePreactResnet18(const PreactResnet18Options& options);

}  // namespace headstart::worker
