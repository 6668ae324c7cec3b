// MobileNet v2 in torchvision's layout.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

struct MobilenetV2Options {
  int64_t channels;
  int64_t classes;
  // All convolutions of the first five feature groups have stride 1: 32x32
  // images end as 8x8 instead of 1x1.
  bool small_images;
  double dropout;  // Before the classifier. In [0, 1).
};

// The network of Sandler et al. 2018 with torchvision's names: features.0 the
// stem, features.1 to features.17 inverted residuals, features.18 the last 1x1
// convolution, classifier.1. 3,504,872 parameters for 3 channels and 1,000
// classes.
std::shared_ptr<Model> MakeMobilenetV2(const MobilenetV2Options& options);

}  // namespace headstart::worker
