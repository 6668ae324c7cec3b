#include "worker/models/ghn2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "initializers/predicted/trace_graph.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "tests/contract/no_weights.h"
#include "tests/support/status_matchers.h"
#include "worker/models/registry.h"
#include "worker/models/sampled_cnn.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;

constexpr ModelShape kShape = {
    .channels = 1, .height = 12, .width = 12, .classes = 10};
constexpr int64_t kArchitectures = 5;
constexpr initializers::GhnOptions kSizes = {
    .classes = 10, .channels = 16, .kernel = 5, .hidden = 8};

void SeedDefaultGenerator() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  generator.set_current_seed(3);
}

// What a hypernetwork predicts for one network.
initializers::PredictedTensors Predicted(initializers::Ghn& ghn,
                                         const CnnLayers& layers) {
  const auto cnn = std::make_shared<SampledCnn>(layers, kShape);
  return ghn.forward(
      *initializers::TraceGraph(
          *cnn, [&](const at::Tensor& x) { return cnn->forward(x); },
          at::zeros({1, 1, 12, 12})),
      /*classifier=*/true);
}

class Ghn2Test : public ::testing::Test {
 protected:
  Ghn2Test() {
    at::set_num_threads(1);
    at::Generator generator = at::detail::createCPUGenerator(1);
    initializers::NoWeights none;
    EXPECT_OK(initializers::MakeStart(initializers::FrameworkDefaultOptions{})
                  .Apply(*model_, {.generator = generator, .weights = none}));
  }

  // A hypernetwork of its own with the model's tensors.
  std::shared_ptr<initializers::Ghn> Copy() const {
    auto ghn = std::make_shared<initializers::Ghn>(kSizes);
    const at::NoGradGuard no_grad;
    const auto from = model_->named_parameters();
    for (auto& each : ghn->named_parameters()) {
      each.value().copy_(from[each.key()]);
    }
    return ghn;
  }

  const std::shared_ptr<Ghn2> model_ =
      std::make_shared<Ghn2>(Ghn2Options{.shape = kShape,
                                         .architectures = kArchitectures,
                                         .architecture_seed = 1,
                                         .meta_batch = 3,
                                         .ghn = kSizes});
  const at::Tensor images_ = at::randn({32, 1, 12, 12});
};

TEST_F(Ghn2Test, HasTheNamesOfAHypernetwork) {
  EXPECT_EQ(model_->named_parameters().keys(),
            initializers::Ghn(kSizes).named_parameters().keys());
  EXPECT_EQ(model_->buffers().size(), 0u);
}

TEST_F(Ghn2Test, StartsAsAHypernetworkDraws) {
  initializers::Ghn drawn(kSizes);
  at::Generator generator = at::detail::createCPUGenerator(1);
  drawn.Draw(generator);

  for (const auto& each : drawn.named_parameters()) {
    EXPECT_TRUE(model_->named_parameters()[each.key()].equal(each.value()))
        << each.key();
  }
}

// Two of a batch of 32 to each held out network: what such a network gives when
// the predicted values are its own.
TEST_F(Ghn2Test, EvaluatesHeldOutNetworks) {
  const at::NoGradGuard no_grad;
  model_->eval();

  const at::Tensor logits = model_->forward(images_);

  const auto ghn = Copy();
  const std::vector<CnnLayers> networks =
      SampleCnns(1, kArchitectures + kHeldOutCnns);
  for (int64_t i = 0; i < kHeldOutCnns; ++i) {
    const CnnLayers& layers = networks[kArchitectures + i];
    const auto cnn = std::make_shared<SampledCnn>(layers, kShape);
    const initializers::PredictedTensors predicted = Predicted(*ghn, layers);
    for (auto& each : cnn->named_parameters()) {
      each.value().copy_(predicted.at(each.key()));
    }
    // Predicted alone and beside others: but for rounding.
    EXPECT_TRUE(at::allclose(logits.narrow(0, 2 * i, 2),
                             cnn->forward(images_.narrow(0, 2 * i, 2)),
                             /*rtol=*/1e-3, /*atol=*/1e-3))
        << "network " << i;
  }
  EXPECT_TRUE(model_->forward(images_).equal(logits));
}

TEST_F(Ghn2Test, TheDefaultGeneratorPicksWhatATrainingStepPredicts) {
  SeedDefaultGenerator();
  const at::Tensor first = model_->forward(images_);
  const at::Tensor second = model_->forward(images_);
  SeedDefaultGenerator();

  EXPECT_TRUE(model_->forward(images_).equal(first));
  EXPECT_FALSE(first.equal(second));
  EXPECT_THAT(first.sizes(), ElementsAre(32, 10));
}

TEST_F(Ghn2Test, ABatchMayBeSmallerThanTheNetworksOfAStep) {
  EXPECT_THAT(model_->forward(images_.narrow(0, 0, 1)).sizes(),
              ElementsAre(1, 10));
}

TEST_F(Ghn2Test, RefusesAWidthThatFourDoesNotDivide) {
  EXPECT_THAT(MakeModel({"ghn2", R"({"architectures": 5, "architecture_seed": 1,
                             "meta_batch": 3, "channels": 16, "kernel": 5,
                             "hidden": 10})"},
                        kShape),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.ghn2.hidden: must be a multiple of 4"));
}

}  // namespace
}  // namespace headstart::worker
