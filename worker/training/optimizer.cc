#include "worker/training/optimizer.h"

#include <cstdint>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "absl/strings/str_cat.h"

namespace headstart::worker {
namespace {

// The parameters in the form that the fused kernels take.
class Parameters final {
 public:
  explicit Parameters(NamedParameters named) : named_(std::move(named)) {
    for (const auto& [name, tensor] : named_) tensors_.push_back(tensor);
  }

  std::vector<at::Tensor> ZerosLike() const {
    std::vector<at::Tensor> zeros;
    for (const at::Tensor& tensor : tensors_) {
      zeros.push_back(at::zeros_like(tensor.detach()));
    }
    return zeros;
  }

  std::vector<at::Tensor> Gradients() const {
    std::vector<at::Tensor> gradients;
    gradients.reserve(tensors_.size());
    for (const at::Tensor& tensor : tensors_) {
      gradients.push_back(tensor.grad());
    }
    return gradients;
  }

  // Adds one tensor per parameter to `state`.
  void Name(const char* what, const std::vector<at::Tensor>& tensors,
            std::vector<std::pair<std::string, at::Tensor>>& state) const {
    for (size_t i = 0; i < tensors.size(); ++i) {
      state.emplace_back(absl::StrCat(named_[i].first, ".", what), tensors[i]);
    }
  }

  const std::vector<at::Tensor>& tensors() const { return tensors_; }

 private:
  const NamedParameters named_;
  std::vector<at::Tensor> tensors_;
};

class SgdOptimizer final : public Optimizer {
 public:
  SgdOptimizer(const SgdOptions& options, NamedParameters parameters)
      : options_(options), parameters_(std::move(parameters)) {
    if (options_.momentum > 0) momentum_ = parameters_.ZerosLike();
  }

  void Step() override {
    const at::NoGradGuard no_grad;
    // A first step with zero momentum is torch's first step, which starts the
    // momentum with the gradient: so no step is told to be the first.
    at::_fused_sgd_(parameters_.tensors(), parameters_.Gradients(), momentum_,
                    options_.weight_decay, options_.momentum,
                    options_.learning_rate, /*dampening=*/0, options_.nesterov,
                    /*maximize=*/false, /*is_first_step=*/false);
  }

  void SetLearningRate(double rate) override { options_.learning_rate = rate; }
  double learning_rate() const override { return options_.learning_rate; }

  std::vector<std::pair<std::string, at::Tensor>> State() const override {
    std::vector<std::pair<std::string, at::Tensor>> state;
    parameters_.Name("momentum_buffer", momentum_, state);
    return state;
  }

 private:
  SgdOptions options_;
  const Parameters parameters_;
  std::vector<at::Tensor> momentum_;  // Empty without momentum.
};

class AdamOptimizer final : public Optimizer {
 public:
  AdamOptimizer(const AdamOptions& options, NamedParameters parameters)
      : options_(options),
        parameters_(std::move(parameters)),
        exp_avg_(parameters_.ZerosLike()),
        exp_avg_sq_(parameters_.ZerosLike()),
        step_(at::zeros({}, at::kLong)) {}

  void Step() override {
    const at::NoGradGuard no_grad;
    const int64_t step = ++*step_.mutable_data_ptr<int64_t>();
    // The kernel reads the step of each parameter; they share one.
    const std::vector<at::Tensor> steps(
        parameters_.tensors().size(),
        at::scalar_tensor(static_cast<double>(step), at::kFloat));
    at::_fused_adam_(parameters_.tensors(), parameters_.Gradients(), exp_avg_,
                     exp_avg_sq_, /*max_exp_avg_sqs=*/{}, steps,
                     options_.learning_rate, options_.beta1, options_.beta2,
                     options_.weight_decay, options_.epsilon,
                     /*amsgrad=*/false, /*maximize=*/false);
  }

  void SetLearningRate(double rate) override { options_.learning_rate = rate; }
  double learning_rate() const override { return options_.learning_rate; }

  std::vector<std::pair<std::string, at::Tensor>> State() const override {
    std::vector<std::pair<std::string, at::Tensor>> state;
    parameters_.Name("exp_avg", exp_avg_, state);
    parameters_.Name("exp_avg_sq", exp_avg_sq_, state);
    state.emplace_back("step", step_);
    return state;
  }

 private:
  AdamOptions options_;
  const Parameters parameters_;
  std::vector<at::Tensor> exp_avg_;
  std::vector<at::Tensor> exp_avg_sq_;
  at::Tensor step_;
};

}  // namespace

std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerOptions& options,
                                         NamedParameters parameters) {
  if (const auto* sgd = std::get_if<SgdOptions>(&options)) {
    return std::make_unique<SgdOptimizer>(*sgd, std::move(parameters));
  }
  return std::make_unique<AdamOptimizer>(std::get<AdamOptions>(options),
                                         std::move(parameters));
}

double LearningRate(const OptimizerOptions& options) {
  return std::visit([](const auto& each) { return each.learning_rate; },
                    options);
}

}  // namespace headstart::worker
