// NIO: scales a start so that sub-batches' gradients are long and agree.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "initializers/learned/gradient_statistics.h"
#include "initializers/learned/parameters.h"
#include "initializers/learned/probe_mode.h"
#include "initializers/learned/rescale_adam.h"
#include "initializers/learned/training_signal.h"

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// What becomes larger while the norms are below the cap, less norm_weight times
// a term of the norms for those with one: the names of the published code.
enum class NioObjective {
  kCosine,                   // gc
  kCosineAndNorms,           // gc_gn_sqrt: the norms' sum or mean.
  kCosineAndSquaredNorms,    // gc_gn: that of their squares.
  kVariance,                 // gv: becomes smaller.
  kVarianceAndNorms,         // gv_gn_sqrt
  kVarianceAndSquaredNorms,  // gv_gn
};

// How the sub-batches' norms become one.
enum class NioNorms { kSum, kMean };

// Which norm is capped. It is the mean norm that comes down.
enum class NioCap { kMeanNorm, kLargestNorm };

struct NioOptions {
  int64_t iterations = 100;
  int64_t batch_size = 128;
  int64_t sub_batches = 2;
  double overlap = 0;
  SubBatchSplit split = SubBatchSplit::kBalanced;
  NioObjective objective = NioObjective::kCosineAndNorms;
  // Whether the mean cosine counts each gradient's with itself, as printed: it
  // is 1/D + (1 - 1/D) times the mean without.
  bool diagonal = false;
  NioNorms norms = NioNorms::kSum;
  double norm_weight = 1;
  NioCap cap = NioCap::kMeanNorm;
  double max_gradient_norm = std::numeric_limits<double>::infinity();
  RescaleAdamOptions optimizer = {.learning_rate = 0.003};
  ScaledNames scaled_names = ScaledNames::kEnding;
  GradientLayers gradient_layers = GradientLayers::kConvLinearLayerNorm;
  BatchNormMode batch_norm = BatchNormMode::kBatch;
};

// What an iteration that is not capped makes smaller, a scalar.
at::Tensor NioObjectiveOf(const GradientTerms& terms,
                          const NioOptions& options);

// One iteration, before and after its step.
struct NioIteration {
  bool constraint;   // It made the mean norm smaller.
  double objective;  // What it made smaller.
  std::vector<double> norms;
  double cosine;
  double variance;
  absl::Span<const at::Tensor> gradients;  // By each scaled tensor.
  const RescaleAdam& scales;
};
using NioObserver = std::function<void(const NioIteration&)>;

// Multiplies each of the model's scaled parameters by a factor learned in
// `iterations` steps (Yang et al. 2022, algorithm 3, with the choices of
// gradcos_initializer.py of HarborYuan/GradCosine; algorithms.md C). Buffers
// and all other parameters stay bit for bit. On an error the model is as
// before.
//   InvalidArgument     sub_batches or overlap; see SplitBatch.
//   FailedPrecondition  there is nothing to scale or to differentiate by.
//   OutOfRange          the objective is not finite.
// A shared_ptr owns the module.
absl::Status ApplyNio(torch::nn::Module& model, TrainingSignal& signal,
                      const NioOptions& options,
                      const NioObserver& observer = nullptr);

// What an iteration would see of this batch.
struct GradientMeasurement {
  std::vector<double> norms;
  double cosine;
  double variance;
};
absl::StatusOr<GradientMeasurement> MeasureGradients(torch::nn::Module& model,
                                                     TrainingSignal& signal,
                                                     const NioOptions& options);

}  // namespace headstart::initializers
