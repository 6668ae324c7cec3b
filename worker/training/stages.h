// Stages of a run that is re-initialized on its way (Zaidi et al. 2022, When
// Does Re-initialization Work?).
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include <ATen/core/Tensor.h>

#include "worker/training/phase_place.h"

namespace headstart::worker {

struct KeepWeights {};
struct RedrawAll {};

struct ShrinkPerturbStages {
  double shrink = 0.4;   // lambda
  double perturb = 0.1;  // gamma
};

enum class LayerWiseRescale { kLayers, kParameters, kNothing };
enum class LayerWiseNormalization { kChannels, kTogether, kNothing };

struct LayerWiseStages {
  int64_t groups;       // K: what the proto calls blocks.
  int64_t repeats = 1;  // M
  LayerWiseRescale rescale = LayerWiseRescale::kLayers;
  LayerWiseNormalization normalization = LayerWiseNormalization::kChannels;
};

struct DistillationOptions {
  double weight = 1;    // beta
  bool cached = false;  // The targets.
};

// The proto's Stages.
struct StagedTraining {
  int64_t count;
  std::variant<KeepWeights, RedrawAll, ShrinkPerturbStages, LayerWiseStages>
      method;
  std::optional<DistillationOptions> distillation;
  bool reset_optimizer = true;
  bool growing_data = false;
};

// `epoch`, from 1, of a run of `epochs`, which are whole stages.
PhasePlace PlaceOf(const StagedTraining& stages, int64_t epochs, int64_t epoch);

// Groups that stay when stage `stage`, from 1, begins.
int64_t GroupsKept(const LayerWiseStages& options, int64_t stage);

// Blocks that the first `kept` of `groups` groups are made of, when a model has
// `blocks`: the groups' sizes differ by one at most, earlier ones are larger.
int64_t BlocksKept(int64_t blocks, int64_t groups, int64_t kept);

// Examples of stage `stage`, from 0, that are there of `examples` when they
// arrive in `count` parts.
int64_t ExamplesThere(int64_t examples, int64_t count, int64_t stage);

// Means and deviations of [batch, channels, ...] that make it mean 0 and
// variance 1, biased and with 1e-5 added: one each per channel, or one for all.
struct Moments {
  at::Tensor mean;
  at::Tensor deviation;
};
Moments MomentsOf(const at::Tensor& output, LayerWiseNormalization how);

// KL(targets || softmax(logits)), the mean over the rows; `targets` are
// probabilities [rows, classes].
at::Tensor DistillationLoss(const at::Tensor& logits,
                            const at::Tensor& targets);

}  // namespace headstart::worker
