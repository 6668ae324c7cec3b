#include "initializers/classic/scaled_weights.h"

#include <cmath>

#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>

#include "absl/strings/match.h"

#include "base/status_macros.h"
#include "initializers/classic/fan.h"
#include "initializers/classic/framework_default.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

// Of a linear or convolutional layer; ConvNeXt's layer_scale is none.
bool IsWeight(const NamedTensor& each) {
  return !each.is_buffer && each.tensor.dim() >= 2 &&
         (each.name == "weight" || absl::EndsWith(each.name, ".weight"));
}

}  // namespace

absl::StatusOr<InitializationReport> DrawScaledWeights(
    torch::nn::Module& model, const InitializerInputs& inputs,
    Distribution distribution,
    absl::FunctionRef<double(const Fan&)> deviation) {
  HS_ASSIGN_OR_RETURN(InitializationReport report,
                      FrameworkDefault().Apply(model, inputs));
  const at::NoGradGuard no_grad;
  for (const NamedTensor& each : StateDict(model)) {
    if (!IsWeight(each)) continue;
    const double s = deviation(FanOf(each.tensor));
    if (distribution == Distribution::kNormal) {
      each.tensor.normal_(0, s, inputs.generator);
    } else {
      const double bound = std::sqrt(3.0) * s;
      each.tensor.uniform_(-bound, bound, inputs.generator);
    }
  }
  return report;
}

}  // namespace headstart::initializers
