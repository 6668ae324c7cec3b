// Arithmetic of forward and backward passes.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

namespace torch::nn {
class Module;
}

namespace headstart::worker {

enum class Precision {
  kFp32,
  kFp64,  // Weights, state and arithmetic.
  kBf16,  // Matrix products and convolutions; weights and state stay kFp32.
};

// Gives the weights and buffers of a freshly built model their type. Floating
// point ones only: counters stay what they are.
void SetWeightType(torch::nn::Module& model, Precision precision);

// Images as a model of this precision takes them; `images` itself for kFp32 and
// kBf16.
at::Tensor ToInput(const at::Tensor& images, Precision precision);

// While it lives, operators of this thread choose their arithmetic: kBf16 is
// LibTorch's autocast, the others change nothing. For forward passes; backward
// passes follow them by themselves. What comes out of kBf16 is to be made float
// before a loss is computed. Scopes do not nest.
class PrecisionScope final {
 public:
  // For operators on such devices.
  explicit PrecisionScope(Precision precision,
                          c10::DeviceType device = c10::kCPU);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  const bool autocast_;
  const c10::DeviceType device_;
};

}  // namespace headstart::worker
