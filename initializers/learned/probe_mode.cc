#include "initializers/learned/probe_mode.h"

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>

namespace headstart::initializers {

ProbeMode::ProbeMode(torch::nn::Module& module, BatchNormMode mode) {
  for (const auto& each : module.modules()) {
    modes_.emplace_back(each, each->is_training());
  }
  for (const at::Tensor& buffer : module.buffers()) {
    buffers_.emplace_back(buffer, buffer.clone());
  }
  module.eval();
  if (mode == BatchNormMode::kBuffers) return;
  for (const auto& [each, was_training] : modes_) {
    if (dynamic_cast<torch::nn::BatchNorm2dImpl*>(each.get()) != nullptr) {
      each->train();
    }
  }
}

ProbeMode::~ProbeMode() {
  const at::NoGradGuard no_grad;
  for (const auto& [buffer, before] : buffers_) buffer.copy_(before);
  // Parents before children: train() goes down.
  for (const auto& [module, was_training] : modes_) {
    module->train(was_training);
  }
}

}  // namespace headstart::initializers
