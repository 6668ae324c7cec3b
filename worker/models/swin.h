// Swin Transformer, tiny.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

struct SwinTinyOptions {
  int64_t channels;
  int64_t classes;
  // Probability with which each of the last block's two branches is left out of
  // an example while training; earlier blocks rise to it linearly from 0. In
  // [0, 1).
  double stochastic_depth;
};

// The smallest side that it takes.
inline constexpr int64_t kSwinTinyMinSide = 4;

// The transformer of Liu et al. 2021 (patches of 4x4, windows of 7x7, widths 96
// to 768, depths 2-2-6-2) with torchvision's layers and names: features.0 the
// patches, features.{1,3,5,7} the stages, features.{2,4,6} the merging between,
// norm, head; a block has norm1, attn.{relative_position_bias_table,
// relative_position_index, qkv, proj}, norm2, mlp.{0,3}. Maps that windows do
// not divide are padded. 28,288,354 parameters for 3 channels and 1,000
// classes.
//
// Attention is made of products and a softmax, so that it can be differentiated
// twice.
std::shared_ptr<Model> MakeSwinTiny(const SwinTinyOptions& options);

}  // namespace headstart::worker
