#include "initializers/predicted/from_ghn2.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/nn/module.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "initializers/learned/training_signal.h"
#include "initializers/predicted/ghn.h"
#include "initializers/predicted/trace_graph.h"

namespace headstart::initializers {

absl::StatusOr<InitializationReport> FromGhn2::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  if (inputs.signal == nullptr) {
    return absl::FailedPreconditionError(
        "initializer.ghn2: was given no example of the model's input.");
  }
  HS_ASSIGN_OR_RETURN(const auto stored, inputs.weights.Open(options_.weights));
  HS_ASSIGN_OR_RETURN(const std::shared_ptr<Ghn> ghn,
                      LoadGhn(options_.weights, stored));
  HS_ASSIGN_OR_RETURN(const NetworkGraph graph,
                      TraceGraph(
                          model,
                          [&](const at::Tensor& images) {
                            return inputs.signal->Forward(images);
                          },
                          at::zeros_like(inputs.signal->NextBatch(1).inputs)));
  HS_RETURN_IF_ERROR(ghn->Accepts(graph, options_.predict_classifier));

  const at::NoGradGuard no_grad;
  const PredictedTensors predicted =
      ghn->forward(graph, options_.predict_classifier);
  for (const auto& [name, tensor] : predicted) {
    if (!tensor.isfinite().all().item<bool>()) {
      return absl::OutOfRangeError(
          absl::StrCat("initializer.ghn2: what ", options_.weights,
                       " predicts for ", name, " is not finite."));
    }
  }
  auto parameters = model.named_parameters();
  for (const auto& [name, tensor] : predicted) parameters[name].copy_(tensor);
  InitializationReport report;
  report.loaded_tensors = static_cast<int64_t>(predicted.size());
  return report;
}

}  // namespace headstart::initializers
