// What GHN-orth does to predicted weights, or to any.
#pragma once

#include <cstdint>

#include "initializers/initializer.h"

namespace at {
class Tensor;
}

namespace headstart::initializers {

// Whose correlations say how much noise a layer gets, and which layers get any.
enum class NoiseMode {
  // As the published code has it: the rows of the tall matrix, which are input
  // positions where there are more of them than output channels; the layers
  // that become orthogonal.
  kCode,
  // As the paper has it: output channels; all layers but the last.
  kPaper,
};

struct ConditionalOrthogonalOptions {
  // Layers are counted from 1, in order of registration.
  int64_t first_layer = 1;
  double noise = 3e-5;  // Beta, at least 0.
  NoiseMode mode = NoiseMode::kCode;
};

// Sigma of equation 1: the standard deviation over all entries, the diagonal
// too, of the correlations that `mode` names. 0 where there are none; a
// constant row correlates with nothing.
double CorrelationDeviation(const at::Tensor& weight, NoiseMode mode);

// Noise that tells apart what is alike, then orthogonal weights (Knyazev 2022,
// Pretraining a Neural Network before Knowing Its Architecture, equations 1 and
// 2): each layer's weight, seen as [out, the rest], gets noise of deviation
// `noise` times its sigma and is replaced by the orthogonal factor of the sum.
// The last layer, the classifier, and all other tensors keep their values.
//   FailedPrecondition  first_layer is past the layer before the last.
class ConditionalOrthogonal final : public Initializer {
 public:
  explicit ConditionalOrthogonal(ConditionalOrthogonalOptions options)
      : options_(options) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const ConditionalOrthogonalOptions options_;
};

}  // namespace headstart::initializers
