#include "worker/models/precision.h"

#include <ATen/autocast_mode.h>
#include <torch/nn/module.h>

namespace headstart::worker {

void SetWeightType(torch::nn::Module& model, Precision precision) {
  if (precision != Precision::kFp64) return;
  // Not Module::to, which changes integers too: counters, and the positions
  // that Swin's attention looks up.
  for (const auto& tensors : {model.parameters(), model.buffers()}) {
    for (const at::Tensor& tensor : tensors) {
      if (tensor.is_floating_point()) tensor.set_data(tensor.to(at::kDouble));
    }
  }
}

at::Tensor ToInput(const at::Tensor& images, Precision precision) {
  return precision == Precision::kFp64 ? images.to(at::kDouble) : images;
}

PrecisionScope::PrecisionScope(Precision precision, c10::DeviceType device)
    : autocast_(precision == Precision::kBf16), device_(device) {
  if (!autocast_) return;
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
}

PrecisionScope::~PrecisionScope() {
  if (!autocast_) return;
  at::autocast::set_autocast_enabled(device_, false);
  // The casts of weights that the forward pass shared: the next step changes
  // the weights.
  at::autocast::clear_cache();
}

}  // namespace headstart::worker
