#include "initializers/classic/fill.h"

#include <cmath>
#include <string>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace headstart::initializers {
namespace {

enum class Kind { kWeight, kBias, kOne, kZero };

// What a tensor is, from its name, its own shape and its layer's weight.
absl::StatusOr<Kind> KindOf(const NamedTensor& target,
                            const at::Tensor* layer_weight) {
  const absl::string_view name = target.name;
  const auto is = [&](absl::string_view last) {
    return name == last || absl::EndsWith(name, absl::StrCat(".", last));
  };
  if (target.is_buffer) {
    if (is("running_var")) return Kind::kOne;
    if (is("running_mean") || is("num_batches_tracked")) return Kind::kZero;
  } else if (is("weight")) {
    return target.tensor.dim() >= 2 ? Kind::kWeight : Kind::kOne;
  } else if (is("bias") && layer_weight != nullptr) {
    return layer_weight->dim() >= 2 ? Kind::kBias : Kind::kZero;
  }
  return absl::InternalError(
      absl::StrCat("no rule gives ", name, " its first values."));
}

}  // namespace

Fans FansOf(const at::Tensor& weight) {
  HS_CHECK(weight.dim() >= 2);
  double receptive_field = 1;
  for (int64_t i = 2; i < weight.dim(); ++i) receptive_field *= weight.size(i);
  return {.in = weight.size(1) * receptive_field,
          .out = weight.size(0) * receptive_field};
}

void DrawFrameworkDefault(at::Tensor& weight, const at::Generator& generator) {
  const double bound = 1 / std::sqrt(FansOf(weight).in);
  weight.uniform_(-bound, bound, generator);
}

absl::StatusOr<std::vector<std::string>> FillLayers(
    const std::vector<NamedTensor>& state,
    const std::function<bool(const NamedTensor&)>& wanted,
    const DrawWeight& draw_weight, const at::Generator& generator) {
  absl::btree_map<std::string, at::Tensor> weights;  // By module.
  for (const NamedTensor& target : state) {
    if (absl::EndsWith(target.name, "weight")) {
      weights[target.module] = target.tensor;
    }
  }
  std::vector<Kind> kinds;
  for (const NamedTensor& target : state) {
    const auto weight = weights.find(target.module);
    const absl::StatusOr<Kind> kind =
        KindOf(target, weight == weights.end() ? nullptr : &weight->second);
    if (!kind.ok()) return kind.status();
    kinds.push_back(*kind);
  }

  const at::NoGradGuard no_grad;
  std::vector<std::string> drawn;
  for (size_t i = 0; i < state.size(); ++i) {
    if (!wanted(state[i])) continue;
    at::Tensor tensor = state[i].tensor;
    if (kinds[i] == Kind::kOne) {
      tensor.fill_(1);
    } else if (kinds[i] == Kind::kZero) {
      tensor.fill_(0);
    } else {
      at::Tensor draw =
          at::empty(tensor.sizes(),
                    tensor.options().device(at::kCPU).requires_grad(false));
      if (kinds[i] == Kind::kWeight) {
        draw_weight(draw, generator);
      } else {
        const double bound =
            1 / std::sqrt(FansOf(weights.at(state[i].module)).in);
        draw.uniform_(-bound, bound, generator);
      }
      tensor.copy_(draw);
      drawn.push_back(state[i].name);
    }
  }
  return drawn;
}

}  // namespace headstart::initializers
