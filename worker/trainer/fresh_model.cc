#include "worker/trainer/fresh_model.h"

#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include "base/random_stream.h"
#include "base/status_macros.h"
#include "worker/trainer/slab_source.h"

namespace headstart::worker {

namespace {

at::Tensor DefaultState() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

}  // namespace

KeptGenerator::KeptGenerator() : state_(DefaultState()) {}

KeptGenerator::KeptGenerator(uint64_t seed) : state_(DefaultState()) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed);
}

KeptGenerator::~KeptGenerator() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state_);
}

uint64_t InitializerSeed(int64_t seed) {
  return RandomStream(seed).Child("initializer").Bits64();
}

absl::StatusOr<std::shared_ptr<Model>> FreshModel(
    const ModelFactory& make_model,
    const initializers::InitializerOptions& initializer, uint64_t draw_seed) {
  HS_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, make_model());
  at::Generator generator = at::detail::createCPUGenerator(draw_seed);
  SlabSource none({});
  const auto reports =
      initializers::MakeStart(initializer)
          .Apply(*model,
                 {.generator = generator, .weights = none, .signal = nullptr});
  HS_RETURN_IF_ERROR(reports.status());
  return model;
}

void ResetState(Optimizer& optimizer) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : optimizer.State()) tensor.zero_();
}

}  // namespace headstart::worker
