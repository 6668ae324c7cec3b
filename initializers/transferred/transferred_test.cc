// What starts from stored weights, and what changes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>

#include "initializers/blocks.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "tests/contract/initializer_contract.h"
#include "tests/contract/known_models.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::initializers {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Several checkpoints.
class Stored final : public WeightSource {
 public:
  // Copies `model`'s tensors; the checkpoint is studies/1/trials/{n}/epochs/1.
  std::string Keep(int64_t trial, torch::nn::Module& model) {
    const std::string name =
        "studies/1/trials/" + std::to_string(trial) + "/epochs/1";
    weights_[name].Keep(name, model);
    return name;
  }

  MemoryWeights& of(const std::string& checkpoint) {
    return weights_[checkpoint];
  }

  absl::StatusOr<absl::Span<const StoredTensor>> Open(
      absl::string_view checkpoint) override {
    return weights_[std::string(checkpoint)].Open(checkpoint);
  }
  absl::StatusOr<absl::Span<const StoredTensor>> OpenMasks(
      absl::string_view checkpoint) override {
    return weights_[std::string(checkpoint)].OpenMasks(checkpoint);
  }

 private:
  std::map<std::string, MemoryWeights> weights_;
};

class TransferredTest : public ::testing::Test {
 protected:
  // Every tensor of `model` holds `value`.
  static void Fill(torch::nn::Module& model, double value) {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& each : StateDict(model)) each.tensor.fill_(value);
  }
  static std::shared_ptr<ContractModel> Filled(double value,
                                               int64_t classes = 10) {
    auto model = std::make_shared<ContractModel>(classes);
    Fill(*model, value);
    return model;
  }
  static std::shared_ptr<ContractModel> Fresh(uint64_t seed) {
    auto model = std::make_shared<ContractModel>();
    Stored none;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    EXPECT_OK(MakeStart(FrameworkDefaultOptions{})
                  .Apply(*model, {.generator = generator, .weights = none}));
    return model;
  }

  absl::StatusOr<InitializationReport> Apply(const InitializerOptions& options,
                                             torch::nn::Module& model,
                                             uint64_t seed = 1) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return Merged(MakeStart(options).Apply(
        model, {.generator = generator, .weights = stored_}));
  }
  // The step alone, on what the model has.
  template <typename Step>
  void Change(const Step& step, torch::nn::Module& model, uint64_t seed = 1) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    ASSERT_OK(step.Apply(model, {.generator = generator, .weights = stored_}));
  }

  static bool All(const at::Tensor& tensor, double value) {
    return tensor.eq(value).all().item<bool>();
  }
  static void ExpectEqual(torch::nn::Module& found, torch::nn::Module& wanted) {
    const auto a = StateDict(found);
    const auto b = StateDict(wanted);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(at::equal(a[i].tensor, b[i].tensor)) << a[i].name;
    }
  }

  Stored stored_;
};

InitializerCase CaseOf(const std::string& name,
                       const InitializerOptions& options) {
  return {name, [options] { return MakeStart(options); }};
}

const FromCheckpointOptions kSource = {.checkpoint = kContractCheckpoint};

INSTANTIATE_TEST_SUITE_P(
    Transferred, InitializerContract,
    ::testing::Values(
        CaseOf("without_buffers",
               FromCheckpointOptions{.checkpoint = kContractCheckpoint,
                                     .buffers = false}),
        CaseOf("shrink_perturb", ShrinkPerturbOptions{}),
        CaseOf("warm_start", ChainOptions{{kSource, ShrinkPerturbOptions{}}}),
        CaseOf("keep_blocks",
               ChainOptions{{kSource, KeepBlocksOptions{.blocks = 1}}})),
    [](const auto& info) { return info.param.name; });

TEST_F(TransferredTest, AMaskLeavesOutEntriesAndNothingElse) {
  const std::string name = stored_.Keep(1, *Filled(7));
  const auto model = Filled(3);
  std::vector<char> bits(model->conv->weight.numel(), 1);
  bits[0] = bits[5] = 0;
  stored_.of(name).KeepMask("conv.weight", model->conv->weight.sizes().vec(),
                            bits);

  ASSERT_OK(Apply(ChainOptions{{FromCheckpointOptions{.checkpoint = name},
                                StoredMaskOptions{.checkpoint = name}}},
                  *model));

  const at::Tensor weight = model->conv->weight.flatten();
  for (int64_t i = 0; i < weight.numel(); ++i) {
    EXPECT_EQ(weight[i].item<float>(), i == 0 || i == 5 ? 0 : 7) << i;
  }
  EXPECT_TRUE(All(model->fc->weight, 7));
}

TEST_F(TransferredTest, RefusesAMaskOfAnotherModelAndNone) {
  const std::string name = stored_.Keep(1, *Filled(7));
  const auto model = Filled(3);
  const StoredMask step({.checkpoint = name});
  const auto apply = [&] {
    at::Generator generator = at::detail::createCPUGenerator(1);
    return step.Apply(*model, {.generator = generator, .weights = stored_})
        .status();
  };
  EXPECT_THAT(apply(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                name + " has no masks. Choose an epoch of a "
                                       "run with pruning."));
  const std::vector<char> bits(6, 1);
  stored_.of(name).KeepMask("conv9.weight", {2, 3}, bits);
  EXPECT_THAT(apply(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "masks conv9.weight of [2, 3], which this model "
                       "does not have"));
  const std::string other = stored_.Keep(2, *Filled(7));
  stored_.of(other).KeepMask("fc.weight", {2, 3}, bits);
  const StoredMask shape({.checkpoint = other});
  at::Generator generator = at::detail::createCPUGenerator(1);
  EXPECT_THAT(shape.Apply(*model, {.generator = generator, .weights = stored_})
                  .status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "masks fc.weight of [2, 3], which this model has as ["));
  EXPECT_TRUE(All(model->conv->weight, 3));
}

TEST_F(TransferredTest, StartsStatisticsAnewWithoutBuffers) {
  FromCheckpointOptions options = {.checkpoint = stored_.Keep(1, *Filled(7)),
                                   .buffers = false};
  const auto model = Filled(3);

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(options, *model));

  EXPECT_EQ(report.loaded_tensors, 5);
  EXPECT_TRUE(All(model->conv->weight, 7));
  EXPECT_TRUE(All(model->bn->weight, 7));
  EXPECT_TRUE(All(model->bn->running_mean, 0));
  EXPECT_TRUE(All(model->bn->running_var, 1));
  EXPECT_TRUE(All(model->bn->num_batches_tracked, 0));
}

TEST_F(TransferredTest, LeavesOtherBuffersToTheModel) {
  struct Indexed : torch::nn::Module {
    explicit Indexed(int64_t first)
        : linear(register_module("linear", torch::nn::Linear(2, 2))),
          index(register_buffer("index", at::arange(first, first + 3))) {}
    torch::nn::Linear linear;
    at::Tensor index;
  };
  auto source = std::make_shared<Indexed>(5);
  FromCheckpointOptions options = {.checkpoint = stored_.Keep(1, *source),
                                   .buffers = false};
  auto model = std::make_shared<Indexed>(0);

  ASSERT_OK(Apply(options, *model));

  EXPECT_TRUE(at::equal(model->index, at::arange(0, 3)));
  EXPECT_TRUE(at::equal(model->linear->weight, source->linear->weight));
}

TEST_F(TransferredTest, KeepsWhatTheChainHasInFreshLayers) {
  const auto head = Filled(2, /*classes=*/100);
  const auto model = Filled(9, /*classes=*/100);
  const ChainOptions chain = {
      {FromCheckpointOptions{.checkpoint = stored_.Keep(1, *head)},
       FromCheckpointOptions{.checkpoint = stored_.Keep(2, *Filled(7)),
                             .fresh_layers = {"fc"}}}};

  ASSERT_OK(Apply(chain, *model));

  EXPECT_TRUE(All(model->conv->weight, 7));
  EXPECT_TRUE(All(model->fc->weight, 2));
}

TEST_F(TransferredTest, TakesTheMean) {
  MeanOptions options;
  for (const double value : {1., 2., 4.}) {
    options.checkpoints.push_back(
        stored_.Keep(static_cast<int64_t>(value), *Filled(value)));
  }
  const auto model = Filled(9);

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(options, *model));

  EXPECT_EQ(report.loaded_tensors, 8);
  const float third = static_cast<float>(7. / 3);  // Rounded once.
  EXPECT_TRUE(All(model->conv->weight, third));
  EXPECT_TRUE(All(model->bn->running_var, third));
  EXPECT_EQ(model->bn->num_batches_tracked.item<int64_t>(), 2);

  options.buffers = false;
  options.fresh_layers = {"fc"};
  ASSERT_OK(Apply(options, *model));
  EXPECT_TRUE(All(model->conv->weight, third));
  EXPECT_TRUE(All(model->bn->running_var, 1));
  EXPECT_FALSE(All(model->fc->weight, third));
}

// 1 + 2^-24 + 2^-24 is 1 in float and 1 + 2^-23 in double.
TEST_F(TransferredTest, AddsUpInDouble) {
  MeanOptions options;
  const double tiny = std::ldexp(1., -24);
  options.checkpoints = {
      stored_.Keep(1, *Filled(1)), stored_.Keep(2, *Filled(tiny)),
      stored_.Keep(3, *Filled(tiny)), stored_.Keep(4, *Filled(0))};
  const auto model = Filled(9);

  ASSERT_OK(Apply(options, *model));

  EXPECT_TRUE(All(model->conv->weight, (1 + std::ldexp(1., -23)) / 4));
}

TEST_F(TransferredTest, SaysWhichCheckpointOfAMeanDiffersAndInWhat) {
  const MeanOptions options = {
      .checkpoints = {stored_.Keep(1, *Filled(1)),
                      stored_.Keep(2, *Filled(2, /*classes=*/100))}};
  const auto model = Filled(9);

  const absl::Status status = Apply(options, *model).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("studies/1/trials/2/epochs/1 does not fit the model"),
            HasSubstr("fc.weight is F32 [100, 256] there and F32 [10, 256] "
                      "here"),
            HasSubstr("All checkpoints of a mean have to be of the model")));
  ExpectEqual(*model, *Filled(9));  // Nothing was written.
}

// F.7 (2) and (3).
TEST_F(TransferredTest, ShrinksAndPerturbs) {
  const auto fresh = Fresh(5);

  auto model = Fresh(3);
  Change(ShrinkPerturb({.shrink = 1, .perturb = 0}), *model, 5);
  EXPECT_TRUE(at::equal(model->conv->weight, Fresh(3)->conv->weight));
  EXPECT_TRUE(at::equal(model->fc->bias, Fresh(3)->fc->bias));

  Fill(*model, 9);
  Change(ShrinkPerturb({.shrink = 0, .perturb = 1}), *model, 5);
  ExpectEqual(*model, *fresh);

  model = Fresh(3);
  Change(ShrinkPerturb({.shrink = 0.4, .perturb = 0.1}), *model, 5);
  const auto before = Fresh(3)->parameters();
  const auto drawn = fresh->parameters();
  const auto after = model->parameters();
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_LT((after[i] - 0.4 * before[i] - 0.1 * drawn[i])
                  .abs()
                  .max()
                  .item<double>(),
              1e-7);
  }
}

// F.3's numbers for batch norms.
TEST_F(TransferredTest, ShrinksNormsAndStartsTheirStatisticsAnew) {
  const auto model = Filled(9);
  {
    const at::NoGradGuard no_grad;
    model->bn->weight.fill_(1.3);
    model->bn->bias.fill_(0.2);
  }

  Change(ShrinkPerturb(ShrinkPerturbOptions{}), *model);

  EXPECT_NEAR(model->bn->weight[0].item<double>(), 0.62, 1e-7);
  EXPECT_NEAR(model->bn->bias[0].item<double>(), 0.08, 1e-7);
  EXPECT_TRUE(All(model->bn->running_mean, 0));
  EXPECT_TRUE(All(model->bn->running_var, 1));
  EXPECT_TRUE(All(model->bn->num_batches_tracked, 0));
}

// F.3: what repeating it without training converges to.
TEST_F(TransferredTest, ShrinksTowardsALimitWhenRepeated) {
  auto model = Fresh(3);
  const double first = model->conv->weight.std().item<double>();
  for (const double ratio : {0.4123, 0.1929, 0.1263, 0.1120}) {
    Change(ShrinkPerturb(ShrinkPerturbOptions{}), *model,
           static_cast<uint64_t>(ratio * 1e4));
    EXPECT_NEAR(model->conv->weight.std().item<double>() / first, ratio, 1e-3);
  }
  for (uint64_t seed = 0; seed < 16; ++seed) {
    Change(ShrinkPerturb(ShrinkPerturbOptions{}), *model, seed);
  }
  EXPECT_NEAR(model->conv->weight.std().item<double>() / first, 0.109109, 1e-3);
  EXPECT_NEAR(model->bn->weight[0].item<double>(), 0.166667, 1e-6);
}

// F.3: the direction that is left of the old weights.
TEST_F(TransferredTest, KeepsMostOfTheDirection) {
  const at::Tensor before = Fresh(3)->conv->weight.detach().flatten();
  auto model = Fresh(3);
  Change(ShrinkPerturb(ShrinkPerturbOptions{}), *model, 5);
  const at::Tensor after = model->conv->weight.detach().flatten();

  const double cosine =
      (before.dot(after) / before.norm() / after.norm()).item<double>();
  EXPECT_NEAR(cosine, 0.4 / std::hypot(0.4, 0.1), 2e-3);
}

// Four layers and a classifier, of no blocks of its own.
std::shared_ptr<torch::nn::SequentialImpl> Layers() {
  return std::make_shared<torch::nn::SequentialImpl>(
      torch::nn::Linear(8, 8), torch::nn::BatchNorm1d(8), torch::nn::ReLU(),
      torch::nn::Linear(8, 4));
}

// F.7 (4).
TEST_F(TransferredTest, KeepsTheFirstBlocksAndDrawsTheRest) {
  const auto source = Layers();
  Fill(*source, 7);
  const auto fresh = Layers();
  ASSERT_OK(Apply(FrameworkDefaultOptions{}, *fresh, 5));
  const ChainOptions chain = {
      {FromCheckpointOptions{.checkpoint = stored_.Keep(1, *source)},
       KeepBlocksOptions{.blocks = 2}}};
  const auto model = Layers();

  ASSERT_OK_AND_ASSIGN(const InitializationReport report,
                       Apply(chain, *model, 5));

  const auto found = StateDict(*model);
  const auto drawn = StateDict(*fresh);
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].name.starts_with("3.")) {
      EXPECT_TRUE(at::equal(found[i].tensor, drawn[i].tensor)) << found[i].name;
    } else {
      EXPECT_TRUE(All(found[i].tensor, 7)) << found[i].name;
    }
  }
  EXPECT_THAT(report.drawn_names, ElementsAre("3.weight", "3.bias"));

  ASSERT_OK(
      Apply(ChainOptions{{chain.steps[0], KeepBlocksOptions{1}}}, *model, 5));
  const auto* norm = model->ptr(1)->as<torch::nn::BatchNorm1d>();
  EXPECT_TRUE(All(norm->weight, 1));
  EXPECT_TRUE(All(norm->running_var, 1));
  EXPECT_TRUE(All(norm->num_batches_tracked, 0));
}

TEST_F(TransferredTest, ListsTheBlocksWhenTooManyAreKept) {
  for (const int64_t count : {3, 9}) {
    const auto model = Layers();
    EXPECT_THAT(
        Apply(ChainOptions{{FrameworkDefaultOptions{},
                            KeepBlocksOptions{.blocks = count}}},
              *model),
        StatusIs(absl::StatusCode::kFailedPrecondition,
                 "keep_blocks.blocks: is " + std::to_string(count) +
                     ", and must be fewer than the model's 3 blocks: 0, 1, "
                     "3."));
  }
}

TEST(BlocksTest, HoldEveryTensorOfEveryModelOnce) {
  std::set<std::string> seen;
  for (const worker::KnownModel& known : worker::kKnownModels) {
    if (known.parameters > 30'000'000 ||
        !seen.insert(std::string(known.name) + known.options).second) {
      continue;
    }
    const auto model = *worker::MakeModel(known.spec(), known.shape());
    std::multiset<std::string> held;
    const std::vector<Block> blocks = BlocksOf(*model);
    for (const Block& block : blocks) {
      held.insert(block.tensors.begin(), block.tensors.end());
    }
    std::multiset<std::string> all;
    for (const NamedTensor& each : StateDict(*model)) all.insert(each.name);
    EXPECT_EQ(held, all) << known.name;
    EXPECT_GE(blocks.size(), 3u) << known.name;
  }
}

TEST(BlocksTest, AreThoseOfLayerwiseReinitialization) {
  const auto model = *worker::MakeModel(
      {.name = "cifar_resnet18"},
      {.channels = 3, .height = 32, .width = 32, .classes = 10});
  std::vector<std::string> names;
  for (const Block& block : BlocksOf(*model)) names.push_back(block.name);
  EXPECT_THAT(names, ElementsAre("conv1+bn1", "layer1", "layer2", "layer3",
                                 "layer4+linear"));
}

}  // namespace
}  // namespace headstart::initializers
