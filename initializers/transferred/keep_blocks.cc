#include "initializers/transferred/keep_blocks.h"

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "initializers/blocks.h"
#include "initializers/classic/framework_default.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> KeepBlocks::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  const std::vector<Block> blocks = BlocksOf(model);
  if (options_.blocks >= static_cast<int64_t>(blocks.size())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "keep_blocks.blocks: is ", options_.blocks,
        ", and must be fewer than the model's ", blocks.size(), " blocks: ",
        absl::StrJoin(blocks, ", ",
                      [](std::string* text, const Block& block) {
                        absl::StrAppend(text, block.name);
                      }),
        "."));
  }
  absl::flat_hash_set<std::string> kept_names;
  for (int64_t i = 0; i < options_.blocks; ++i) {
    kept_names.insert(blocks[i].tensors.begin(), blocks[i].tensors.end());
  }
  std::vector<std::pair<at::Tensor, at::Tensor>> kept;  // Tensor and values.
  for (const NamedTensor& each : StateDict(model)) {
    if (kept_names.contains(each.name)) {
      kept.emplace_back(each.tensor, each.tensor.clone());
    }
  }
  // The whole model is drawn: so the others get what they would have in it.
  HS_ASSIGN_OR_RETURN(InitializationReport report,
                      FrameworkDefault().Apply(model, inputs));
  for (const auto& [tensor, values] : kept) tensor.copy_(values);
  std::erase_if(report.drawn_names, [&](const std::string& name) {
    return kept_names.contains(name);
  });
  return report;
}

}  // namespace headstart::initializers
