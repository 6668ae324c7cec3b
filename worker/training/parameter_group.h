// Which of a model's parameters are treated apart by optimizers.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace torch::nn {
class Module;
}

namespace headstart::worker {

enum class ParameterGroup {
  kPlain,
  kBias,
  kNorm,   // Weight and bias of a batch, layer, group or instance norm.
  kScale,  // layer_scale, Fixup's scalars.
};
inline constexpr int kParameterGroups = 4;

// The group of the parameter that `module` itself registered as `name`: norm
// when the module is one, else scale or bias when the name contains the word.
ParameterGroup GroupOf(const torch::nn::Module& module, absl::string_view name);

}  // namespace headstart::worker
