// DenseNet-121.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

struct Densenet121Options {
  int64_t channels;
  int64_t classes;
  // The stem is a 3x3 convolution with stride 1 and no pool comes behind it.
  bool small_images;
};

// The smallest sides that it takes.
inline constexpr int64_t kDensenet121MinSide = 29;
inline constexpr int64_t kDensenet121SmallImagesMinSide = 8;

// The network of Huang et al. 2017 with torchvision's layers and names:
// features.{conv0, norm0}, features.denseblock{1..4}.denselayer{1..}.{norm1,
// conv1, norm2, conv2}, features.transition{1..3}.{norm, conv},
// features.norm5, classifier. 7,978,856 parameters for 3 channels and 1,000
// classes.
std::shared_ptr<Model> MakeDensenet121(const Densenet121Options& options);

}  // namespace headstart::worker
