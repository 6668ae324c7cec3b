#include "initializers/registry.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/status_macros.h"
#include "initializers/classic/framework_default.h"
#include "initializers/classic/zero_init_residual.h"

namespace headstart::initializers {
namespace {

using Steps = std::vector<Start::Step>;

void Add(const InitializerOptions& options, Steps& steps);

// The proto's name of each kind of which there is one module for several.
const char* KindOf(const XavierOptions& options) {
  return options.distribution == Distribution::kNormal ? "xavier_normal"
                                                       : "xavier_uniform";
}
const char* KindOf(const KaimingOptions& options) {
  return options.distribution == Distribution::kNormal ? "kaiming_normal"
                                                       : "kaiming_uniform";
}
const char* KindOf(const OrthogonalOptions&) { return "orthogonal"; }
const char* KindOf(const TruncatedNormalOptions&) { return "truncated_normal"; }
const char* KindOf(const NormalOptions&) { return "normal"; }
const char* KindOf(const UniformOptions&) { return "uniform"; }
const char* KindOf(const ConstantOptions&) { return "constant"; }

// One overload per kind.
void AddStep(const FrameworkDefaultOptions&, Steps& steps) {
  steps.push_back({"framework_default", std::make_unique<FrameworkDefault>()});
}
void AddStep(const FromCheckpointOptions& options, Steps& steps) {
  steps.push_back({"checkpoint", std::make_unique<StoredWeights>(
                                     options, /*is_first=*/steps.empty())});
}
void AddStep(const MeanOptions& options, Steps& steps) {
  steps.push_back({"mean", std::make_unique<StoredWeights>(
                               options, /*is_first=*/steps.empty())});
}
void AddStep(const ShrinkPerturbOptions& options, Steps& steps) {
  steps.push_back({"shrink_perturb", std::make_unique<ShrinkPerturb>(options)});
}
void AddStep(const KeepBlocksOptions& options, Steps& steps) {
  steps.push_back({"keep_blocks", std::make_unique<KeepBlocks>(options)});
}
void AddStep(const StoredMaskOptions& options, Steps& steps) {
  steps.push_back({"mask", std::make_unique<StoredMask>(options)});
}
void AddStep(const ZeroInitResidualOptions&, Steps& steps) {
  steps.push_back({"zero_init_residual", std::make_unique<ZeroInitResidual>()});
}
void AddStep(const ForLayersOptions& options, Steps& steps) {
  steps.push_back({"for_layers", std::make_unique<WeightInitializer>(
                                     options.rule, options.filter)});
}
void AddStep(const ConditionalOrthogonalOptions& options, Steps& steps) {
  steps.push_back({"conditional_orthogonal",
                   std::make_unique<ConditionalOrthogonal>(options)});
}
void AddStep(const FromGhn2Options& options, Steps& steps) {
  steps.push_back({"ghn2", std::make_unique<FromGhn2>(options)});
}
void AddStep(const ChainOptions& options, Steps& steps) {
  for (const InitializerOptions& step : options.steps) Add(step, steps);
}
// Rules for weights, and what is learned.
template <typename Options>
void AddStep(const Options& options, Steps& steps) {
  if constexpr (std::is_convertible_v<Options, LearnedOptions>) {
    steps.push_back({KindOf(options), std::make_unique<Learned>(options)});
  } else {
    steps.push_back(
        {KindOf(options), std::make_unique<WeightInitializer>(options)});
  }
}

// Whether it begins by setting all tensors.
bool SetsAll(const InitializerOptions& options) {
  const auto* chain = std::get_if<ChainOptions>(&options);
  if (chain != nullptr) return SetsAll(chain->steps.front());
  return std::holds_alternative<FrameworkDefaultOptions>(options) ||
         std::holds_alternative<FromCheckpointOptions>(options) ||
         std::holds_alternative<MeanOptions>(options);
}

void Add(const InitializerOptions& options, Steps& steps) {
  std::visit([&](const auto& each) { AddStep(each, steps); },
             static_cast<const InitializerKind&>(options));
}

int64_t BatchOf(const WholeLsuvOptions& options) {
  return options.corrections.batch_size;
}
int64_t BatchOf(const MetainitOptions& options) { return options.batch_size; }
int64_t BatchOf(const GradinitOptions& options) { return options.half_batch; }
int64_t BatchOf(const NioOptions& options) { return options.batch_size; }
// One shows what images the model takes.
int64_t BatchOf(const FromGhn2Options&) { return 1; }
int64_t BatchOf(const ChainOptions& options) {
  int64_t largest = 0;
  for (const InitializerOptions& step : options.steps) {
    largest = std::max(largest, LargestBatch(step));
  }
  return largest;
}
template <typename Options>
int64_t BatchOf(const Options&) {
  return 0;
}

}  // namespace

int64_t LargestBatch(const InitializerOptions& options) {
  return std::visit([](const auto& each) { return BatchOf(each); },
                    static_cast<const InitializerKind&>(options));
}

std::vector<std::string> MasksIn(const InitializerOptions& options) {
  const InitializerKind& kind = options;
  std::vector<std::string> checkpoints;
  if (const auto* chain = std::get_if<ChainOptions>(&kind)) {
    for (const InitializerOptions& step : chain->steps) {
      const std::vector<std::string> more = MasksIn(step);
      checkpoints.insert(checkpoints.end(), more.begin(), more.end());
    }
  } else if (const auto* mask = std::get_if<StoredMaskOptions>(&kind)) {
    checkpoints.push_back(mask->checkpoint);
  }
  return checkpoints;
}

bool OnlyDraws(const InitializerOptions& options) {
  const InitializerKind& kind = options;
  if (const auto* chain = std::get_if<ChainOptions>(&kind)) {
    return std::all_of(chain->steps.begin(), chain->steps.end(), OnlyDraws);
  }
  return LargestBatch(options) == 0 &&
         !std::holds_alternative<FromCheckpointOptions>(kind) &&
         !std::holds_alternative<MeanOptions>(kind) &&
         !std::holds_alternative<StoredMaskOptions>(kind) &&
         !std::holds_alternative<FromGhn2Options>(kind);
}

absl::StatusOr<std::vector<InitializationReport>> Start::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  std::vector<InitializationReport> reports;
  for (const Step& step : steps_) {
    HS_ASSIGN_OR_RETURN(reports.emplace_back(),
                        step.initializer->Apply(model, inputs));
    reports.back().kind = step.kind;
  }
  return reports;
}

Start MakeStart(const InitializerOptions& options) {
  Steps steps;
  if (!SetsAll(options)) AddStep(FrameworkDefaultOptions(), steps);
  Add(options, steps);
  return Start(std::move(steps));
}

}  // namespace headstart::initializers
