#include "initializers/transferred/stored_mask.h"

#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/nn/module.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> StoredMask::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  HS_ASSIGN_OR_RETURN(const absl::Span<const StoredTensor> masks,
                      inputs.weights.OpenMasks(options_.checkpoint));
  if (masks.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("mask.checkpoint: ", options_.checkpoint,
                     " has no masks. Choose an epoch of a run with pruning."));
  }
  absl::flat_hash_map<std::string, at::Tensor> parameters;
  for (const NamedTensor& each : StateDict(model)) {
    if (!each.is_buffer) parameters[each.name] = each.tensor;
  }
  std::vector<NamedTensor> bits;
  for (const StoredTensor& mask : masks) {
    const std::string name(absl::StripPrefix(mask.name, "mask."));
    const auto found = parameters.find(name);
    if (found == parameters.end() ||
        found->second.sizes() != at::IntArrayRef(mask.shape)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "mask.checkpoint: ", options_.checkpoint, " masks ", name, " of [",
          absl::StrJoin(mask.shape, ", "), "], which this model ",
          found == parameters.end()
              ? "does not have"
              : absl::StrCat("has as [",
                             absl::StrJoin(found->second.sizes(), ", "), "]"),
          ". Choose a ticket of the same model and class count."));
    }
    bits.push_back(
        {.name = mask.name, .tensor = at::empty(mask.shape, at::kBool)});
  }
  const auto skip_none = [](absl::string_view) { return false; };
  InitializationReport report;
  report.loaded_tensors = CopyStored(masks, bits, skip_none);
  for (const NamedTensor& each : bits) {
    parameters.at(std::string(absl::StripPrefix(each.name, "mask.")))
        .masked_fill_(each.tensor.logical_not(), 0);
  }
  return report;
}

}  // namespace headstart::initializers
