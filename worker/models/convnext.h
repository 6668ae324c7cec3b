// ConvNeXt.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

enum class ConvnextSize { kTiny, kBase };

struct ConvnextOptions {
  int64_t channels;
  int64_t classes;
  ConvnextSize size;
  // The stem's 4x4 convolution has stride 1 instead of 4.
  bool small_images;
  // Probability with which the last block's branch is left out of an example
  // while training; earlier blocks rise to it linearly from 0. In [0, 1).
  double stochastic_depth;
};

// The smallest sides that it takes.
inline constexpr int64_t kConvnextMinSide = 32;
inline constexpr int64_t kConvnextSmallImagesMinSide = 11;

// The network of Liu et al. 2022 with torchvision's layers and names:
// features.0 the stem, features.{1,3,5,7} the stages, features.{2,4,6} the
// reductions between, classifier.0 and classifier.2; a block has layer_scale
// and block.{0,2,3,5}. For 3 channels and 1,000 classes tiny has 28,589,128
// parameters and base 88,591,464.
std::shared_ptr<Model> MakeConvnext(const ConvnextOptions& options);

}  // namespace headstart::worker
