// Inception v3.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

struct InceptionV3Options {
  int64_t channels;
  int64_t classes;
  // A second classifier on the feature map before the last reduction, for the
  // auxiliary loss. Only with images of 299x299 or more.
  bool auxiliary_head;
  // The model's own first weights: truncated normal with deviation 0.1 (in the
  // auxiliary head 0.01 and 0.001), or the layers' defaults.
  bool truncated_normal_weights;
  double dropout;  // Before the classifier. In [0, 1).
};

// The smallest sides that it takes.
inline constexpr int64_t kInceptionV3MinSide = 75;
inline constexpr int64_t kInceptionV3AuxiliaryMinSide = 299;

// The network of Szegedy et al. 2016 with torchvision's layers and names:
// Conv2d_1a_3x3 to Conv2d_4a_3x3, Mixed_5b to Mixed_6e, AuxLogits, Mixed_7a to
// Mixed_7c, fc; batch norm has epsilon 0.001. 27,161,264 parameters for 3
// channels and 1,000 classes with the auxiliary head, 23,834,568 without.
std::shared_ptr<Model> MakeInceptionV3(const InceptionV3Options& options);

}  // namespace headstart::worker
