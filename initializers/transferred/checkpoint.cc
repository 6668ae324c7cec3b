#include "initializers/transferred/checkpoint.h"

#include <algorithm>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "base/status_macros.h"
#include "initializers/classic/framework_default.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"

namespace headstart::initializers {
namespace {

using Stored = absl::Span<const StoredTensor>;

bool IsBelow(absl::string_view tensor, absl::string_view layer) {
  return tensor.size() > layer.size() && absl::StartsWith(tensor, layer) &&
         tensor[layer.size()] == '.';
}

// The parts of a model that its tensors' names begin with: "conv1, bn1, fc".
std::string LayersText(absl::Span<const NamedTensor> tensors) {
  std::vector<std::string> layers;
  for (size_t depth = 1; depth <= 3 && layers.size() < 2; ++depth) {
    layers.clear();
    for (const NamedTensor& each : tensors) {
      std::vector<std::string> parts = absl::StrSplit(each.name, '.');
      parts.resize(std::min(depth, parts.size() - 1));
      const std::string layer = absl::StrJoin(parts, ".");
      if (!layer.empty() && !absl::c_linear_search(layers, layer)) {
        layers.push_back(layer);
      }
    }
  }
  return absl::StrJoin(layers, ", ");
}

// Each checkpoint in turn goes into the tensors, which are added up.
int64_t CopyMean(absl::Span<const Stored> checkpoints,
                 absl::Span<const NamedTensor> tensors,
                 absl::FunctionRef<bool(absl::string_view name)> skip) {
  int64_t copied = 0;
  std::vector<at::Tensor> sums;
  for (const Stored& stored : checkpoints) {
    copied = CopyStored(stored, tensors, skip);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const at::Tensor& tensor = tensors[i].tensor;
      if (sums.size() == i) {
        sums.push_back(at::zeros_like(tensor, at::kDouble));
      }
      sums[i].add_(tensor.to(at::kDouble));
    }
  }
  const auto count = static_cast<double>(checkpoints.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (skip(tensors[i].name)) continue;
    sums[i].div_(count);
    if (!tensors[i].tensor.is_floating_point()) sums[i].round_();
    tensors[i].tensor.copy_(sums[i]);
  }
  return copied;
}

}  // namespace

StoredWeights::StoredWeights(FromCheckpointOptions options, bool is_first)
    : checkpoints_({std::move(options.checkpoint)}),
      fresh_layers_(std::move(options.fresh_layers)),
      buffers_(options.buffers),
      is_first_(is_first) {}

StoredWeights::StoredWeights(MeanOptions options, bool is_first)
    : checkpoints_(std::move(options.checkpoints)),
      fresh_layers_(std::move(options.fresh_layers)),
      buffers_(options.buffers),
      is_first_(is_first) {}

absl::StatusOr<InitializationReport> StoredWeights::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  const std::vector<NamedTensor> tensors = StateDict(model);
  HS_RETURN_IF_ERROR(CheckLayers(tensors));
  absl::flat_hash_set<absl::string_view> own_buffers;
  for (const NamedTensor& each : tensors) {
    if (each.is_buffer && !buffers_) own_buffers.insert(each.name);
  }
  const auto skip = [&](absl::string_view name) {
    return IsFresh(name) || own_buffers.contains(name);
  };

  std::vector<Stored> checkpoints;
  for (const std::string& name : checkpoints_) {
    HS_ASSIGN_OR_RETURN(const Stored stored, inputs.weights.Open(name));
    const absl::Status fits = CompareStored(name, stored, tensors, skip);
    if (!fits.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          fits.message(),
          checkpoints_.size() == 1
              ? " Choose the same model and class count, or list what differs "
                "in fresh_layers."
              : " All checkpoints of a mean have to be of the model that is "
                "trained. Leave this one out, or list what differs in "
                "fresh_layers."));
    }
    checkpoints.push_back(stored);
  }

  InitializationReport report;
  if (is_first_ && !fresh_layers_.empty()) {
    HS_ASSIGN_OR_RETURN(report, FrameworkDefault().Apply(model, inputs));
    std::erase_if(report.drawn_names,
                  [&](const std::string& name) { return !IsFresh(name); });
  }
  report.loaded_tensors = checkpoints.size() == 1
                              ? CopyStored(checkpoints[0], tensors, skip)
                              : CopyMean(checkpoints, tensors, skip);
  for (const NamedTensor& each : tensors) {
    const auto statistic = FreshStatistic(each.name);
    if (statistic.has_value() && own_buffers.contains(each.name) &&
        !IsFresh(each.name)) {
      each.tensor.fill_(*statistic);
    }
  }
  return report;
}

absl::Status StoredWeights::CheckLayers(
    absl::Span<const NamedTensor> tensors) const {
  for (const std::string& layer : fresh_layers_) {
    if (std::none_of(tensors.begin(), tensors.end(), [&](const auto& each) {
          return IsBelow(each.name, layer);
        })) {
      return absl::FailedPreconditionError(
          absl::StrCat(checkpoints_.size() == 1 ? "checkpoint" : "mean",
                       ".fresh_layers: the model has no layer \"", layer,
                       "\"; its layers are ", LayersText(tensors), "."));
    }
  }
  return absl::OkStatus();
}

bool StoredWeights::IsFresh(absl::string_view tensor) const {
  return std::any_of(
      fresh_layers_.begin(), fresh_layers_.end(),
      [&](const std::string& layer) { return IsBelow(tensor, layer); });
}

}  // namespace headstart::initializers
