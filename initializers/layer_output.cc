#include "initializers/layer_output.h"

#include <utility>

#include "base/check.h"

namespace headstart::initializers {
namespace {

thread_local LayerOutputListener* listener = nullptr;

}  // namespace

LayerOutputListener::LayerOutputListener(Callback callback)
    : callback_(std::move(callback)) {
  HS_CHECK(listener == nullptr) << "there is a listener on this thread";
  listener = this;
}

LayerOutputListener::~LayerOutputListener() { listener = nullptr; }

at::Tensor Heard(const torch::nn::Module& layer, at::Tensor output) {
  if (listener != nullptr) listener->callback_(layer, output);
  return output;
}

}  // namespace headstart::initializers
