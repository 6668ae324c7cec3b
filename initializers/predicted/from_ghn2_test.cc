#include "initializers/predicted/from_ghn2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "initializers/learned/training_signal.h"
#include "initializers/predicted/ghn.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "tests/contract/initializer_contract.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::initializers {
namespace {

constexpr char kWeights[] = "imports/ghn/epochs/0";

INSTANTIATE_TEST_SUITE_P(Predicted, InitializerContract,
                         ::testing::Values(InitializerCase{
                             "conditional_orthogonal",
                             [] {
                               return MakeStart(ConditionalOrthogonalOptions{});
                             }}),
                         [](const auto& info) { return info.param.name; });

class Images final : public TrainingSignal {
 public:
  Images(worker::Model& model, at::ScalarType type)
      : model_(model), type_(type) {}

  at::Tensor Forward(const at::Tensor& images) override {
    return model_.forward(images);
  }
  LabelledBatch NextBatch(int64_t examples) override {
    return {.inputs = at::ones({examples, 3, 32, 32}, type_),
            .labels = at::zeros({examples}, at::kLong)};
  }

 private:
  worker::Model& model_;
  const at::ScalarType type_;
};

std::shared_ptr<worker::Model> Make(int64_t classes) {
  return worker::MakeModel(
             {.name = "small_cnn"},
             {.channels = 3, .height = 32, .width = 32, .classes = classes})
      .value();
}

class FromGhn2Test : public ::testing::Test {
 protected:
  FromGhn2Test() {
    at::Generator generator = at::detail::createCPUGenerator(3);
    ghn_->Draw(generator);
    weights_.Keep(kWeights, *ghn_);
  }

  absl::StatusOr<InitializationReport> Apply(worker::Model& model,
                                             const FromGhn2Options& options,
                                             at::ScalarType type = at::kFloat) {
    Images images(model, type);
    at::Generator generator = at::detail::createCPUGenerator(1);
    return Merged(MakeStart(options).Apply(
        model,
        {.generator = generator, .weights = weights_, .signal = &images}));
  }

  const std::shared_ptr<Ghn> ghn_ = std::make_shared<Ghn>(
      GhnOptions{.classes = 10, .channels = 16, .kernel = 5, .hidden = 8});
  MemoryWeights weights_;
};

TEST_F(FromGhn2Test, PredictsAllButTheBuffers) {
  const auto model = Make(10);

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(*model, {.weights = kWeights}));

  EXPECT_EQ(report.loaded_tensors,
            static_cast<int64_t>(model->parameters().size()));
  for (const NamedTensor& each : StateDict(*model)) {
    if (each.is_buffer) {
      const bool variance = each.name.ends_with("running_var");
      EXPECT_TRUE(each.tensor.eq(variance ? 1 : 0).all().item<bool>())
          << each.name;
    } else if (each.tensor.dim() > 1 && each.tensor.size(0) > 16) {
      // What the hypernetwork does not decode is a repetition.
      EXPECT_TRUE(each.tensor[16].equal(each.tensor[0])) << each.name;
    }
  }
}

TEST_F(FromGhn2Test, DoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  const auto first = Make(10);
  const auto second = Make(10);

  at::set_num_threads(1);
  ASSERT_OK(Apply(*first, {.weights = kWeights}));
  at::set_num_threads(4);
  ASSERT_OK(Apply(*second, {.weights = kWeights}));
  at::set_num_threads(threads);

  const std::vector<NamedTensor> of_second = StateDict(*second);
  size_t i = 0;
  for (const NamedTensor& each : StateDict(*first)) {
    EXPECT_TRUE(each.tensor.equal(of_second[i++].tensor)) << each.name;
  }
}

TEST_F(FromGhn2Test, WithoutTheClassifierItTakesAnyClassCount) {
  const auto model = Make(7);

  EXPECT_THAT(
      Apply(*model, {.weights = kWeights}).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, "predict_classifier"));

  ASSERT_OK_AND_ASSIGN(
      const InitializationReport report,
      Apply(*model, {.weights = kWeights, .predict_classifier = false}));
  EXPECT_EQ(report.loaded_tensors,
            static_cast<int64_t>(model->parameters().size()) - 2);
}

TEST_F(FromGhn2Test, FillsModelsInDoubleToo) {
  const auto wide = Make(10);
  wide->to(at::kDouble);
  const auto narrow = Make(10);

  ASSERT_OK(Apply(*wide, {.weights = kWeights}, at::kDouble));
  ASSERT_OK(Apply(*narrow, {.weights = kWeights}));

  EXPECT_TRUE(wide->parameters()
                  .front()
                  .to(at::kFloat)
                  .equal(narrow->parameters().front()));
}

TEST_F(FromGhn2Test, RefusesWeightsThatAreNone) {
  const auto model = Make(10);
  MemoryWeights other;
  other.Keep(kWeights, *model);
  weights_ = std::move(other);

  EXPECT_THAT(
      Apply(*model, {.weights = kWeights}).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, "holds no GHN-2"));
}

TEST_F(FromGhn2Test, RefusesPredictionsThatAreNotFinite) {
  const auto model = Make(10);
  {
    const at::NoGradGuard no_grad;
    ghn_->named_parameters()["ln.bias"].fill_(
        std::numeric_limits<float>::quiet_NaN());
  }
  weights_ = MemoryWeights();
  weights_.Keep(kWeights, *ghn_);

  EXPECT_THAT(Apply(*model, {.weights = kWeights}).status(),
              StatusIs(absl::StatusCode::kOutOfRange, "not finite"));
}

}  // namespace
}  // namespace headstart::initializers
