// MobileNet v2 in its layout for CIFAR.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

struct CifarMobilenetV2Options {
  int64_t channels;
  int64_t classes;
};

// MobileNet v2 for 32x32 images as pytorch-cifar has it: stem and second stage
// with stride 1, ReLU, the widening convolution in the first block too, a
// shortcut convolution where the width changes and the size stays. The mean
// over all positions comes before `linear`, so that other image sizes work too.
// 2,296,922 parameters for 3 channels and 10 classes.
//
// Names: conv1, bn1, layers.{0..16}.{conv1, bn1, conv2, bn2, conv3, bn3,
// shortcut.0, shortcut.1}, conv2, bn2, linear.
std::shared_ptr<Model> MakeCifarMobilenetV2(
    const CifarMobilenetV2Options& options);

}  // namespace headstart::worker
