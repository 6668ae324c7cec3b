#include "initializers/classic/framework_default.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "initializers/classic/fan.h"
#include "initializers/own_default.h"

namespace headstart::initializers {
namespace {

// What one tensor gets: a uniform draw from [-bound, bound], or one value.
struct Fill {
  std::string name;
  at::Tensor tensor;
  bool drawn;
  double bound_or_value;
};

// Modules that set tensors below their prefix.
using Owners = std::vector<std::pair<std::string, const OwnDefault*>>;

bool IsDrawnByOwner(const Owners& owners, const std::string& name,
                    const at::Tensor& tensor) {
  return std::any_of(owners.begin(), owners.end(), [&](const auto& owner) {
    return absl::StartsWith(name, owner.first) &&
           owner.second->DrawsItself(tensor);
  });
}

// Fills of the tensors that `module` itself holds, its children's not among
// them. False when there is one that neither a rule, the module itself nor an
// owner sets.
bool PlanModule(const std::string& prefix, torch::nn::Module& module,
                const Owners& owners, std::vector<Fill>& fills) {
  const bool has_own = dynamic_cast<const OwnDefault*>(&module) != nullptr;
  const auto parameters = module.named_parameters(/*recurse=*/false);
  const at::Tensor* weight = parameters.find("weight");
  const bool layer = weight != nullptr && weight->dim() >= 2;
  const bool norm = weight != nullptr && weight->dim() == 1;
  const double bound =
      layer ? 1 / std::sqrt(static_cast<double>(FanOf(*weight).in)) : 0;
  for (const auto& parameter : parameters) {
    const std::string& name = parameter.key();
    const at::Tensor& tensor = parameter.value();
    if (layer && (name == "weight" || name == "bias")) {
      fills.push_back({prefix + name, tensor, /*drawn=*/true, bound});
    } else if (norm && (name == "weight" || name == "bias")) {
      fills.push_back(
          {prefix + name, tensor, /*drawn=*/false, name == "weight" ? 1. : 0.});
    } else if (!has_own && !IsDrawnByOwner(owners, prefix + name, tensor)) {
      return false;
    }
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    const std::optional<double> fresh = FreshStatistic(buffer.key());
    if (!fresh.has_value()) {
      if (!has_own) return false;
      continue;
    }
    fills.push_back(
        {prefix + buffer.key(), buffer.value(), /*drawn=*/false, *fresh});
  }
  return true;
}

// Children before parents, in registration order.
void InitializeOwn(torch::nn::Module& module, at::Generator& generator) {
  for (const auto& child : module.children()) InitializeOwn(*child, generator);
  if (auto* own = dynamic_cast<OwnDefault*>(&module)) {
    own->InitializeOwn(generator);
  }
}

}  // namespace

std::optional<double> FreshStatistic(absl::string_view buffer) {
  const absl::string_view name = buffer.substr(buffer.rfind('.') + 1);
  if (name == "running_mean" || name == "num_batches_tracked") return 0;
  if (name == "running_var") return 1;
  return std::nullopt;
}

absl::StatusOr<InitializationReport> FrameworkDefault::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  const at::NoGradGuard no_grad;
  std::vector<Fill> fills;
  Owners owners;
  for (const auto& below : model.named_modules()) {
    const std::string prefix =
        below.key().empty() ? "" : absl::StrCat(below.key(), ".");
    if (const auto* own = dynamic_cast<OwnDefault*>(below.value().get())) {
      owners.emplace_back(prefix, own);
    }
    if (!PlanModule(prefix, *below.value(), owners, fills)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "framework_default has no rule for the tensors of module \"",
          below.key(), "\" (", below.value()->name(), ")."));
    }
  }
  InitializationReport report;
  for (const Fill& fill : fills) {
    if (!fill.drawn) {
      fill.tensor.fill_(fill.bound_or_value);
      continue;
    }
    report.drawn_names.push_back(fill.name);
    if (!IsDrawnByOwner(owners, fill.name, fill.tensor)) {
      fill.tensor.uniform_(-fill.bound_or_value, fill.bound_or_value,
                           inputs.generator);
    }
  }
  InitializeOwn(model, inputs.generator);
  return report;
}

}  // namespace headstart::initializers
