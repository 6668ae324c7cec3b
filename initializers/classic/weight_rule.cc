#include "initializers/classic/weight_rule.h"

#include <algorithm>

#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

void FillWeight(const TruncatedNormalOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  FillTruncatedNormal(weight, options, generator);
}
void FillWeight(const NormalOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  weight.normal_(options.mean, options.deviation, generator);
}
void FillWeight(const UniformOptions& options, const at::Tensor& weight,
                at::Generator& generator) {
  weight.uniform_(options.min, options.max, generator);
}
void FillWeight(const ConstantOptions& options, const at::Tensor& weight,
                at::Generator&) {
  weight.fill_(options.value);
}

absl::string_view LayerOf(const NamedTensor& weight) {
  absl::string_view name = weight.name;
  if (!absl::ConsumeSuffix(&name, ".weight")) name = "";
  return name;
}

LayerKind KindOf(const NamedTensor& weight) {
  return weight.tensor.dim() == 2 ? LayerKind::kLinear
                                  : LayerKind::kConvolution;
}

}  // namespace

bool MatchesPattern(absl::string_view text, absl::string_view pattern) {
  // Where to go on when what follows the last star did not fit.
  std::optional<std::pair<absl::string_view, absl::string_view>> retry;
  while (true) {
    if (!pattern.empty() && pattern[0] == '*') {
      pattern.remove_prefix(1);
      retry = {text, pattern};
    } else if (!text.empty() && !pattern.empty() && text[0] == pattern[0]) {
      text.remove_prefix(1);
      pattern.remove_prefix(1);
    } else if (text.empty() && pattern.empty()) {
      return true;
    } else if (retry.has_value() && !retry->first.empty()) {
      retry->first.remove_prefix(1);
      std::tie(text, pattern) = *retry;
    } else {
      return false;
    }
  }
}

absl::StatusOr<InitializationReport> WeightInitializer::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  const std::vector<NamedTensor> weights = LayerWeights(model);
  const auto is_named = [](const NamedTensor& weight,
                           absl::string_view pattern) {
    return MatchesPattern(LayerOf(weight), pattern);
  };
  for (const std::string& pattern : filter_.names) {
    if (std::none_of(weights.begin(), weights.end(), [&](const auto& each) {
          return is_named(each, pattern);
        })) {
      return absl::FailedPreconditionError(absl::StrCat(
          "initializer.for_layers.names: the model has no layer \"", pattern,
          "\" with a weight",
          weights.empty() ? "."
                          : absl::StrCat("; the first is ",
                                         LayerOf(weights.front()), ".")));
    }
  }
  InitializationReport report;
  for (const NamedTensor& each : weights) {
    if (filter_.kind.has_value() && filter_.kind != KindOf(each)) continue;
    if (!filter_.names.empty() &&
        std::none_of(filter_.names.begin(), filter_.names.end(),
                     [&](const auto& name) { return is_named(each, name); })) {
      continue;
    }
    std::visit(
        [&](const auto& rule) {
          FillWeight(rule, each.tensor, inputs.generator);
        },
        rule_);
    report.drawn_names.push_back(each.name);
  }
  return report;
}

}  // namespace headstart::initializers
