// The state of a model while its gradients are looked at.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// What batch norms compute with.
enum class BatchNormMode {
  kBuffers,  // Their running statistics, as in evaluation.
  kBatch,    // The batch's own statistics, as in training.
};

// While it lives, all of `module` evaluates (no dropout, no stochastic depth),
// but for batch norms in kBatch. Restores every module's mode, and every buffer
// bit for bit: LibTorch's batch norm writes them whatever it is told
// (algorithms.md 0.2). A shared_ptr owns the module.
class ProbeMode final {
 public:
  ProbeMode(torch::nn::Module& module, BatchNormMode mode);
  ~ProbeMode();
  ProbeMode(const ProbeMode&) = delete;
  ProbeMode& operator=(const ProbeMode&) = delete;

 private:
  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;  // And its copy.
};

}  // namespace headstart::initializers
