#include "initializers/classic/drawn.h"

#include <cmath>

#include "base/status_macros.h"

namespace headstart::initializers {
namespace {

// Zero mean and this standard deviation; a uniform's bound is sqrt(3) of it.
void Draw(Distribution distribution, double deviation, at::Tensor& weight,
          const at::Generator& generator) {
  if (distribution == Distribution::kNormal) {
    weight.normal_(0, deviation, generator);
  } else {
    const double bound = std::sqrt(3.0) * deviation;
    weight.uniform_(-bound, bound, generator);
  }
}

}  // namespace

absl::StatusOr<InitializationReport> Drawn::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  InitializationReport report;
  HS_ASSIGN_OR_RETURN(
      report.drawn_names,
      FillLayers(
          StateDict(model), [](const NamedTensor&) { return true; },
          draw_weight_, inputs.generator));
  return report;
}

DrawWeight XavierRule(const XavierSpec& spec) {
  return [spec](at::Tensor& weight, const at::Generator& generator) {
    const Fans fans = FansOf(weight);
    Draw(spec.distribution, spec.gain * std::sqrt(2 / (fans.in + fans.out)),
         weight, generator);
  };
}

DrawWeight KaimingRule(const KaimingSpec& spec) {
  return [spec](at::Tensor& weight, const at::Generator& generator) {
    const Fans fans = FansOf(weight);
    const double fan = spec.mode == FanMode::kFanIn ? fans.in : fans.out;
    Draw(spec.distribution, spec.gain / std::sqrt(fan), weight, generator);
  };
}

}  // namespace headstart::initializers
