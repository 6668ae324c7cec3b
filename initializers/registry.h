// From a spec's initializer to an object: the list of all there are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "initializers/classic/weight_rule.h"
#include "initializers/initializer.h"
#include "initializers/learned/learned.h"
#include "initializers/predicted/conditional_orthogonal.h"
#include "initializers/predicted/from_ghn2.h"
#include "initializers/transferred/checkpoint.h"
#include "initializers/transferred/keep_blocks.h"
#include "initializers/transferred/shrink_perturb.h"
#include "initializers/transferred/stored_mask.h"

namespace headstart::initializers {

struct FrameworkDefaultOptions {};
struct ZeroInitResidualOptions {};
struct ForLayersOptions {
  WeightRule rule;
  LayerFilter filter;
};

struct InitializerOptions;
struct ChainOptions {
  std::vector<InitializerOptions> steps;  // One or more.
};

// The proto's Initializer.
using InitializerKind = std::variant<
    FrameworkDefaultOptions, XavierOptions, KaimingOptions, OrthogonalOptions,
    TruncatedNormalOptions, NormalOptions, UniformOptions, ConstantOptions,
    ZeroInitResidualOptions, ForLayersOptions, WholeLsuvOptions,
    MetainitOptions, GradinitOptions, NioOptions, ConditionalOrthogonalOptions,
    FromGhn2Options, FromCheckpointOptions, MeanOptions, ShrinkPerturbOptions,
    KeepBlocksOptions, StoredMaskOptions, ChainOptions>;
struct InitializerOptions : InitializerKind {
  using InitializerKind::InitializerKind;
};

// The most examples that it takes from its data at once; 0: it takes none.
int64_t LargestBatch(const InitializerOptions& options);

// The checkpoints whose masks it applies, in order.
std::vector<std::string> MasksIn(const InitializerOptions& options);

// Whether it takes its values from nothing but the generator: no data, no
// stored weights.
bool OnlyDraws(const InitializerOptions& options);

// The steps of a start, one after the other.
class Start final {
 public:
  struct Step {
    const char* kind;  // As in the proto.
    std::unique_ptr<Initializer> initializer;
  };

  explicit Start(std::vector<Step> steps) : steps_(std::move(steps)) {}

  // As Initializer::Apply, for each of them; a report a step.
  absl::StatusOr<std::vector<InitializationReport>> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const;

 private:
  const std::vector<Step> steps_;
};

// The whole of it: what sets only some tensors is preceded by the framework
// default.
Start MakeStart(const InitializerOptions& options);

}  // namespace headstart::initializers
