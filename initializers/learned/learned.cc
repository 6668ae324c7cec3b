#include "initializers/learned/learned.h"

#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/grad_mode.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/log.h"
#include "base/status_macros.h"
#include "initializers/classic/weight_rule.h"
#include "initializers/learned/training_signal.h"

namespace headstart::initializers {
namespace {

// First and last value of what is measured in each iteration.
class Course final {
 public:
  void Add(double value) {
    if (!first_.has_value()) first_ = value;
    last_ = value;
  }
  std::string Text() const {
    return absl::StrFormat("%.6g to %.6g", first_.value_or(0), last_);
  }

 private:
  std::optional<double> first_;
  double last_ = 0;
};

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / values.size();
}

absl::Status Run(const WholeLsuvOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs) {
  if (options.orthogonal) {
    HS_RETURN_IF_ERROR(
        WeightInitializer(OrthogonalOptions{}).Apply(model, inputs).status());
    const at::NoGradGuard no_grad;
    for (const LsuvLayer& layer : LsuvLayers(model)) {
      if (layer.bias.defined()) layer.bias.zero_();
    }
  }
  int64_t corrections = 0;
  double deviation = 0;
  HS_RETURN_IF_ERROR(ApplyLsuv(model, *inputs.signal, options.corrections,
                               [&](const LsuvMeasurement& measurement) {
                                 if (measurement.attempt > 0) ++corrections;
                                 deviation = measurement.standard_deviation;
                               }));
  HS_LOG(kInfo, "lsuv corrected weights corrections={} last_deviation={}",
         corrections, deviation);
  return absl::OkStatus();
}

absl::Status Run(const MetainitOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs) {
  Course quotient;
  HS_RETURN_IF_ERROR(ApplyMetainit(model, *inputs.signal, options,
                                   [&](const MetainitIteration& iteration) {
                                     quotient.Add(iteration.quotient);
                                   }));
  HS_LOG(kInfo, "metainit scaled weights iterations={} quotient=\"{}\"",
         options.iterations, quotient.Text());
  return absl::OkStatus();
}

absl::Status Run(const GradinitOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs) {
  Course norm, next_loss;
  int64_t constraints = 0;
  HS_RETURN_IF_ERROR(ApplyGradinit(model, *inputs.signal, options,
                                   [&](const GradinitIteration& iteration) {
                                     norm.Add(iteration.norm);
                                     if (iteration.constraint) {
                                       ++constraints;
                                     } else {
                                       next_loss.Add(iteration.next_loss);
                                     }
                                   }));
  HS_LOG(kInfo,
         "gradinit scaled weights iterations={} constraints={} "
         "gradient_norm=\"{}\" loss_after_step=\"{}\"",
         options.iterations, constraints, norm.Text(), next_loss.Text());
  return absl::OkStatus();
}

absl::Status Run(const NioOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs) {
  Course norm, cosine;
  int64_t constraints = 0;
  HS_RETURN_IF_ERROR(ApplyNio(model, *inputs.signal, options,
                              [&](const NioIteration& iteration) {
                                norm.Add(Mean(iteration.norms));
                                cosine.Add(iteration.cosine);
                                if (iteration.constraint) ++constraints;
                              }));
  HS_LOG(kInfo,
         "nio scaled weights iterations={} constraints={} gradient_norm=\"{}\" "
         "gradient_cosine=\"{}\"",
         options.iterations, constraints, norm.Text(), cosine.Text());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<InitializationReport> Learned::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  if (inputs.signal == nullptr) {
    return absl::FailedPreconditionError(
        "initializer: one that learns from data was given none.");
  }
  HS_RETURN_IF_ERROR(std::visit(
      [&](const auto& options) { return Run(options, model, inputs); },
      options_));
  return InitializationReport();
}

}  // namespace headstart::initializers
