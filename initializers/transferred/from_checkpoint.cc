#include "initializers/transferred/from_checkpoint.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "initializers/classic/fill.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

// "fc" covers fc.weight, and "layer1" covers layer1.0.conv1.weight.
bool IsBelow(const NamedTensor& tensor, absl::string_view layer) {
  return tensor.module == layer ||
         absl::StartsWith(tensor.module, absl::StrCat(layer, "."));
}

}  // namespace

absl::StatusOr<InitializationReport> FromCheckpoint::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const std::vector<NamedTensor> state = StateDict(model);
  for (const std::string& layer : spec_.fresh_layers) {
    if (std::none_of(state.begin(), state.end(),
                     [&](const NamedTensor& tensor) {
                       return IsBelow(tensor, layer);
                     })) {
      return absl::FailedPreconditionError(absl::StrCat(
          "initializer.checkpoint.fresh_layers: the model has no layer \"",
          layer, "\". Its last tensor is ",
          state.empty() ? "none" : state.back().name, "."));
    }
  }
  const auto is_fresh = [&](const NamedTensor& tensor) {
    return std::any_of(
        spec_.fresh_layers.begin(), spec_.fresh_layers.end(),
        [&](const std::string& layer) { return IsBelow(tensor, layer); });
  };

  HS_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored,
                      inputs.weights.Open(spec_.checkpoint));
  absl::Status fits = CopyStored(state, stored, [&](const NamedTensor& tensor) {
    return !is_fresh(tensor);
  });
  if (!fits.ok()) {
    return absl::Status(
        fits.code(),
        absl::StrCat(spec_.checkpoint, ": ", fits.message(),
                     " Choose a checkpoint of this model and class count, or "
                     "list the layers to leave out in "
                     "initializer.checkpoint.fresh_layers."));
  }

  InitializationReport report;
  report.loaded_tensors = std::count_if(
      state.begin(), state.end(),
      [&](const NamedTensor& tensor) { return !is_fresh(tensor); });
  HS_ASSIGN_OR_RETURN(
      report.drawn_names,
      FillLayers(state, is_fresh, DrawFrameworkDefault, inputs.generator));
  return report;
}

}  // namespace headstart::initializers
