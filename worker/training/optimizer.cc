#include "worker/training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/nn/module.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "worker/training/step_kernels.h"

namespace headstart::worker {
namespace {

// Numbers that one thread updates at a time: whole lines of the cache.
constexpr int64_t kBlock = 16'384;

// Calls `each` with 0 .. count - 1 on LibTorch's threads. Its own loop over
// elements is what is at hand for that: at::parallel_for in a header would
// bring in a second OpenMP.
void ForEachInParallel(int64_t count, absl::FunctionRef<void(int64_t)> each) {
  if (count == 1 || at::get_num_threads() == 1) {
    for (int64_t i = 0; i < count; ++i) each(i);
    return;
  }
  const at::Tensor places = at::empty({count}, at::kByte);
  const char* begin = static_cast<const char*>(places.const_data_ptr());
  auto iterator = at::TensorIterator::borrowing_nullary_op(places);
  iterator.for_each(
      [&](char** data, const int64_t* strides, int64_t inner, int64_t outer) {
        for (int64_t i = 0; i < inner * outer; ++i) {
          each(data[0] + i % inner * strides[0] + i / inner * strides[1] -
               begin);
        }
      },
      /*grain_size=*/1);
}

// One parameter with what the rule keeps of it.
struct Slot {
  OptimizedParameter parameter;
  GroupFactors factors;
  at::Tensor first;   // Momentum or exp_avg.
  at::Tensor second;  // exp_avg_sq.
};

// Part of a parameter.
struct Block {
  size_t slot;
  int64_t begin;
  int64_t count;
};

GroupFactors FactorsOf(ParameterGroup group, const ParameterGroups& groups) {
  switch (group) {
    case ParameterGroup::kBias:
      return groups.bias;
    case ParameterGroup::kNorm:
      return groups.norm;
    case ParameterGroup::kScale:
      return groups.scale;
    case ParameterGroup::kPlain:
      break;
  }
  return {};
}

template <typename T>
T* Data(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<T>() : nullptr;
}

template <typename T>
T* Shifted(const T* data, std::ptrdiff_t bytes) {
  if (data == nullptr) return nullptr;
  return reinterpret_cast<T*>(
      const_cast<char*>(reinterpret_cast<const char*>(data)) + bytes);
}

// What a block reads and writes.
template <typename T>
StepRun<T> RunOf(const Slot& slot, const T* gradient, const Block& block,
                 std::ptrdiff_t shift_bytes) {
  const auto at = [&](const at::Tensor& tensor) -> const T* {
    return tensor.defined() ? tensor.const_data_ptr<T>() + block.begin
                            : nullptr;
  };
  const T* weight = at(slot.parameter.tensor);
  const T* first = at(slot.first);
  const T* second = at(slot.second);
  return {.count = block.count,
          .gradient = gradient == nullptr ? nullptr : gradient + block.begin,
          .weight = weight,
          .first = first,
          .second = second,
          .weight_out = Shifted(weight, shift_bytes),
          .first_out = Shifted(first, shift_bytes),
          .second_out = Shifted(second, shift_bytes)};
}

template <typename T>
void Copy(const StepRun<T>& run) {
  const int64_t bytes = run.count * sizeof(T);
  std::memcpy(run.weight_out, run.weight, bytes);
  if (run.first != nullptr) std::memcpy(run.first_out, run.first, bytes);
  if (run.second != nullptr) std::memcpy(run.second_out, run.second, bytes);
}

// The rule's terms for one parameter's factors.
template <typename T>
SgdTerms<T> TermsOf(const SgdOptions& sgd, const GroupFactors& factors,
                    int64_t /*step*/, double gradient_scale) {
  return {
      .rate = static_cast<T>(sgd.learning_rate * factors.learning_rate_factor),
      .momentum = static_cast<T>(sgd.momentum),
      .weight_decay =
          static_cast<T>(sgd.weight_decay * factors.weight_decay_factor),
      .gradient_scale = static_cast<T>(gradient_scale),
      .nesterov = sgd.nesterov};
}

// Of Adam and AdamW; `step` counts from 1.
template <typename T, typename Adam>
AdamTerms<T> TermsOf(const Adam& adam, const GroupFactors& factors,
                     int64_t step, double gradient_scale) {
  constexpr bool kDecoupled = std::is_same_v<Adam, AdamWOptions>;
  const double rate = adam.learning_rate * factors.learning_rate_factor;
  const double decay = adam.weight_decay * factors.weight_decay_factor;
  return {.rate = static_cast<T>(rate / (1 - std::pow(adam.beta1, step))),
          .inverse_root =
              static_cast<T>(1 / std::sqrt(1 - std::pow(adam.beta2, step))),
          .one_minus_beta1 = static_cast<T>(1 - adam.beta1),
          .beta2 = static_cast<T>(adam.beta2),
          .one_minus_beta2 = static_cast<T>(1 - adam.beta2),
          .epsilon = static_cast<T>(adam.epsilon),
          .added_decay = static_cast<T>(kDecoupled ? 0 : decay),
          .kept = static_cast<T>(kDecoupled ? 1 - rate * decay : 1),
          .gradient_scale = static_cast<T>(gradient_scale)};
}

class RuleOptimizer final : public Optimizer {
 public:
  RuleOptimizer(OptimizerOptions options, OptimizedParameters parameters);

  void Step(const StepOptions& options) override;
  StepTerms CountStep() override;
  std::vector<OptimizedTensors> Tensors() const override;

  void SetLearningRate(double rate) override {
    std::visit([&](auto& rule) { rule.learning_rate = rate; }, options_.rule);
  }
  double learning_rate() const override { return LearningRate(options_); }

  std::vector<std::pair<std::string, at::Tensor>> State() const override;

 private:
  template <typename T, typename Rule>
  void StepAll(const Rule& rule, const StepOptions& options);

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  std::vector<Block> blocks_;
  bool is_double_ = false;
  at::Tensor step_;  // Int64 scalar; undefined for SGD.
};

RuleOptimizer::RuleOptimizer(OptimizerOptions options,
                             OptimizedParameters parameters)
    : options_(std::move(options)) {
  const auto* sgd = std::get_if<SgdOptions>(&options_.rule);
  if (sgd == nullptr) step_ = at::zeros({}, at::kLong);
  for (OptimizedParameter& each : parameters) {
    HS_CHECK(each.tensor.is_contiguous()) << each.name;
    is_double_ = each.tensor.scalar_type() == at::kDouble;
    Slot slot = {.factors = FactorsOf(each.group, options_.groups)};
    const at::Tensor values = each.tensor.detach();
    if (sgd == nullptr || sgd->momentum > 0)
      slot.first = at::zeros_like(values);
    if (sgd == nullptr) slot.second = at::zeros_like(values);
    for (int64_t at = 0; at < values.numel(); at += kBlock) {
      blocks_.push_back({.slot = slots_.size(),
                         .begin = at,
                         .count = std::min(kBlock, values.numel() - at)});
    }
    slot.parameter = std::move(each);
    slots_.push_back(std::move(slot));
  }
}

void RuleOptimizer::Step(const StepOptions& options) {
  std::visit(
      [&](const auto& rule) {
        if (is_double_) {
          StepAll<double>(rule, options);
        } else {
          StepAll<float>(rule, options);
        }
      },
      options_.rule);
}

template <typename T, typename Rule>
void RuleOptimizer::StepAll(const Rule& rule, const StepOptions& options) {
  int64_t step = 0;
  if (step_.defined()) {
    const int64_t* count = step_.const_data_ptr<int64_t>();
    step = *count + 1;
    *Shifted(count, options.shift_bytes) = step;
  }
  using Terms = decltype(TermsOf<T>(rule, {}, step, 1));
  std::vector<Terms> terms;
  std::vector<at::Tensor> gradients;  // Keeps what contiguous() makes.
  for (const Slot& slot : slots_) {
    terms.push_back(
        TermsOf<T>(rule, slot.factors, step, options.gradient_scale));
    const at::Tensor& gradient = slot.parameter.tensor.grad();
    gradients.push_back(gradient.defined() ? gradient.contiguous() : gradient);
  }
  ForEachInParallel(blocks_.size(), [&](int64_t i) {
    const Block& block = blocks_[i];
    const StepRun<T> run =
        RunOf<T>(slots_[block.slot], Data<T>(gradients[block.slot]), block,
                 options.shift_bytes);
    if (run.gradient == nullptr) {
      if (options.shift_bytes != 0) Copy(run);
    } else {
      StepKernel(
          terms[block.slot], run,
          options.streaming ? StepWrite::kStreaming : StepWrite::kCached);
    }
  });
  // As every in-place operation does: autograd refuses to go backward through
  // a graph that saved the old values.
  for (const Slot& slot : slots_) {
    slot.parameter.tensor.unsafeGetTensorImpl()->bump_version();
  }
}

StepTerms RuleOptimizer::CountStep() {
  int64_t step = 0;
  if (step_.defined()) step = ++*step_.mutable_data_ptr<int64_t>();
  StepTerms terms = {};
  for (int i = 0; i < kParameterGroups; ++i) {
    const GroupFactors factors =
        FactorsOf(static_cast<ParameterGroup>(i), options_.groups);
    std::visit(
        [&](const auto& rule) {
          const auto of = TermsOf<double>(rule, factors, step, 1);
          if constexpr (std::is_same_v<decltype(of), const SgdTerms<double>>) {
            terms.sgd[i] = of;
          } else {
            terms.adam[i] = of;
          }
        },
        options_.rule);
  }
  return terms;
}

std::vector<OptimizedTensors> RuleOptimizer::Tensors() const {
  std::vector<OptimizedTensors> tensors;
  for (const Slot& slot : slots_) {
    tensors.push_back({.parameter = slot.parameter.tensor,
                       .first = slot.first,
                       .second = slot.second,
                       .group = slot.parameter.group});
  }
  return tensors;
}

std::vector<std::pair<std::string, at::Tensor>> RuleOptimizer::State() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  const auto add = [&](const char* what, at::Tensor Slot::*member) {
    for (const Slot& slot : slots_) {
      if (!(slot.*member).defined()) continue;
      state.emplace_back(absl::StrCat(slot.parameter.name, ".", what),
                         slot.*member);
    }
  };
  const bool adam = step_.defined();
  add(adam ? "exp_avg" : "momentum_buffer", &Slot::first);
  add("exp_avg_sq", &Slot::second);
  if (adam) state.emplace_back("step", step_);
  return state;
}

}  // namespace

OptimizedParameters ListParameters(torch::nn::Module& module) {
  OptimizedParameters parameters;
  for (const auto& below : module.named_modules()) {
    const std::string prefix =
        below.key().empty() ? "" : absl::StrCat(below.key(), ".");
    for (const auto& each :
         below.value()->named_parameters(/*recurse=*/false)) {
      parameters.push_back({.name = prefix + each.key(),
                            .tensor = each.value(),
                            .group = GroupOf(*below.value(), each.key())});
    }
  }
  return parameters;
}

std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerOptions& options,
                                         OptimizedParameters parameters) {
  return std::make_unique<RuleOptimizer>(options, std::move(parameters));
}

double LearningRate(const OptimizerOptions& options) {
  return std::visit([](const auto& rule) { return rule.learning_rate; },
                    options.rule);
}

}  // namespace headstart::worker
