#include "initializers/transferred/checkpoint.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "initializers/classic/framework_default.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"

namespace headstart::initializers {
namespace {

bool IsBelow(absl::string_view tensor, absl::string_view layer) {
  return tensor.size() > layer.size() && absl::StartsWith(tensor, layer) &&
         tensor[layer.size()] == '.';
}

}  // namespace

FromCheckpoint::FromCheckpoint(FromCheckpointOptions options)
    : options_(std::move(options)) {}

absl::StatusOr<InitializationReport> FromCheckpoint::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  HS_ASSIGN_OR_RETURN(const absl::Span<const StoredTensor> stored,
                      inputs.weights.Open(options_.checkpoint));
  const std::vector<NamedTensor> tensors = StateDict(model);
  for (const std::string& layer : options_.fresh_layers) {
    if (std::none_of(tensors.begin(), tensors.end(), [&](const auto& each) {
          return IsBelow(each.name, layer);
        })) {
      return absl::FailedPreconditionError(absl::StrCat(
          "initializer.checkpoint.fresh_layers: the model has no layer \"",
          layer, "\"; its first tensor is ", tensors.front().name, "."));
    }
  }
  const auto is_fresh = [this](absl::string_view name) {
    return IsFresh(name);
  };

  const absl::Status fits =
      CompareStored(options_.checkpoint, stored, tensors, is_fresh);
  if (!fits.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(fits.message(),
                     " Choose the same model and class count, or list what "
                     "differs in initializer.checkpoint.fresh_layers."));
  }
  InitializationReport report;
  if (!options_.fresh_layers.empty()) {
    HS_ASSIGN_OR_RETURN(report, FrameworkDefault().Apply(model, inputs));
    std::erase_if(report.drawn_names,
                  [&](const std::string& name) { return !IsFresh(name); });
  }
  report.loaded_tensors = CopyStored(stored, tensors, is_fresh);
  return report;
}

bool FromCheckpoint::IsFresh(absl::string_view tensor) const {
  return std::any_of(
      options_.fresh_layers.begin(), options_.fresh_layers.end(),
      [&](const std::string& layer) { return IsBelow(tensor, layer); });
}

}  // namespace headstart::initializers
