// The trainer's side of tests/golden/training_spec_full.json, and what is
// refused.
#include "worker/trainer/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::json;

Json Golden() {
  return Json::parse(
      ReadFile(SourceFolder() + "/tests/golden/training_spec_full.json")
          .value());
}

// Pointers to every value inside `json`, its own "" not among them.
void CollectPaths(const Json& json, const Json::json_pointer here,
                  std::vector<Json::json_pointer>& paths) {
  if (!json.is_object()) return;
  for (const auto& item : json.items()) {
    paths.push_back(here / item.key());
    CollectPaths(item.value(), paths.back(), paths);
  }
}

// Lists may be empty, some things need not be done, and MakeModel reads the
// model's options.
bool MayBeLeftOut(const Json::json_pointer& path) {
  static const std::set<std::string> kOptional = {
      "fresh_layers",        "mean",        "standard_deviation",
      "milestones",          "label_noise", "warm_up",
      "random_resized_crop", "early_stop",  "pruning",
      "output_rate",         "stages",      "distillation"};
  return kOptional.contains(path.back()) ||
         path.parent_pointer().parent_pointer() == Json::json_pointer("/model");
}

TEST(RecipeTest, ReadsEveryFieldOfTheGoldenSpecs) {
  const Json golden = Golden();
  ASSERT_EQ(golden.size(), 50u);

  ASSERT_OK_AND_ASSIGN(const Recipe first, ParseRecipe(golden[0].dump()));
  EXPECT_EQ(first.model.name, "lenet_300_100");
  EXPECT_EQ(first.dataset.name, "mnist");
  EXPECT_EQ(first.dataset.split.validation_examples, 5000);
  EXPECT_EQ(first.dataset.split.train_examples, 10000);
  EXPECT_EQ(first.dataset.split.split_seed, 7);
  EXPECT_EQ(first.epochs, 9);
  EXPECT_EQ(first.batch_size, 128);
  const auto& adam = std::get<AdamOptions>(first.optimizer.rule);
  EXPECT_EQ(adam.learning_rate, 0.0012);
  EXPECT_EQ(adam.beta1, 0.85);
  EXPECT_EQ(adam.beta2, 0.995);
  EXPECT_EQ(adam.epsilon, 1e-7);
  EXPECT_EQ(adam.weight_decay, 1e-4);
  EXPECT_TRUE(std::holds_alternative<ConstantSchedule>(first.schedule.shape));
  EXPECT_TRUE(std::holds_alternative<initializers::FrameworkDefaultOptions>(
      first.initializer));
  EXPECT_EQ(first.evaluate, TestWhen::kLastEpoch);

  ASSERT_OK_AND_ASSIGN(const Recipe second, ParseRecipe(golden[1].dump()));
  EXPECT_EQ(second.model.name, "small_cnn");
  EXPECT_EQ(second.dataset.name, "fashion_mnist");
  EXPECT_EQ(second.dataset.split.split_seed, -3);
  const auto& sgd = std::get<SgdOptions>(second.optimizer.rule);
  EXPECT_EQ(sgd.learning_rate, 0.05);
  EXPECT_EQ(sgd.momentum, 0.9);
  EXPECT_TRUE(sgd.nesterov);
  EXPECT_EQ(sgd.weight_decay, 5e-4);
  const auto& cosine = std::get<CosineSchedule>(second.schedule.shape);
  EXPECT_EQ(cosine.step, CosineStep::kPerEpoch);
  EXPECT_EQ(cosine.period_epochs, 10);
  EXPECT_EQ(cosine.final_learning_rate, 0.001);
  const auto& xavier =
      std::get<initializers::XavierOptions>(second.initializer);
  EXPECT_EQ(xavier.distribution, initializers::Distribution::kUniform);
  EXPECT_EQ(xavier.gain, 0.5);
  EXPECT_EQ(second.evaluate, TestWhen::kEveryEpoch);

  ASSERT_OK_AND_ASSIGN(const Recipe third, ParseRecipe(golden[2].dump()));
  EXPECT_EQ(third.model.name, "cifar_resnet18");
  EXPECT_EQ(third.dataset.name, "cifar10");
  EXPECT_EQ(third.dataset.split.split_seed, 9007199254740993);  // 2^53 + 1
  EXPECT_EQ(std::get<CosineSchedule>(third.schedule.shape).step,
            CosineStep::kPerStep);
  EXPECT_EQ(
      std::get<initializers::XavierOptions>(third.initializer).distribution,
      initializers::Distribution::kNormal);
  EXPECT_EQ(third.evaluate, TestWhen::kNever);

  ASSERT_OK_AND_ASSIGN(const Recipe fourth, ParseRecipe(golden[3].dump()));
  const auto& uniform =
      std::get<initializers::KaimingOptions>(fourth.initializer);
  EXPECT_EQ(uniform.distribution, initializers::Distribution::kUniform);
  EXPECT_EQ(uniform.gain, 1.5);
  EXPECT_EQ(uniform.mode, initializers::FanMode::kOut);

  ASSERT_OK_AND_ASSIGN(const Recipe fifth, ParseRecipe(golden[4].dump()));
  const auto& normal =
      std::get<initializers::KaimingOptions>(fifth.initializer);
  EXPECT_EQ(normal.distribution, initializers::Distribution::kNormal);
  EXPECT_EQ(normal.mode, initializers::FanMode::kIn);

  ASSERT_OK_AND_ASSIGN(const Recipe sixth, ParseRecipe(golden[5].dump()));
  const auto& checkpoint =
      std::get<initializers::FromCheckpointOptions>(sixth.initializer);
  EXPECT_EQ(checkpoint.checkpoint, "studies/1/trials/12/epochs/5");
  EXPECT_THAT(checkpoint.fresh_layers, ElementsAre("layers.2", "layers.4"));
  EXPECT_TRUE(checkpoint.buffers);
}

TEST(RecipeTest, ReadsPruning) {
  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(Golden()[39].dump()));
  ASSERT_TRUE(recipe.pruning.has_value());
  const IterativePruning& pruning = *recipe.pruning;
  EXPECT_EQ(pruning.epochs_per_level, 3);
  EXPECT_EQ(pruning.prune.rate, 0.3);
  EXPECT_EQ(pruning.prune.output_rate, 0.1);
  EXPECT_EQ(pruning.prune.scope, PruningScope::kLayer);
  EXPECT_EQ(pruning.prune.rounding, PruningRounding::kGoogle);
  EXPECT_EQ(pruning.prune.order, PruningOrder::kRandom);
  EXPECT_TRUE(pruning.biases);
  EXPECT_EQ(pruning.reset, PruningReset::kStart);
  EXPECT_EQ(pruning.rewind_epoch, 1);
  EXPECT_FALSE(pruning.reset_optimizer);
}

TEST(RecipeTest, ReadsStages) {
  ASSERT_OK_AND_ASSIGN(const Recipe shrunk, ParseRecipe(Golden()[44].dump()));
  ASSERT_TRUE(shrunk.stages.has_value());
  EXPECT_EQ(shrunk.stages->count, 5);
  EXPECT_EQ(std::get<ShrinkPerturbStages>(shrunk.stages->method).shrink, 0.4);
  EXPECT_EQ(std::get<ShrinkPerturbStages>(shrunk.stages->method).perturb, 0.1);
  ASSERT_TRUE(shrunk.stages->distillation.has_value());
  EXPECT_FALSE(shrunk.stages->distillation->cached);
  EXPECT_TRUE(shrunk.stages->reset_optimizer);

  ASSERT_OK_AND_ASSIGN(const Recipe fresh, ParseRecipe(Golden()[45].dump()));
  EXPECT_TRUE(std::holds_alternative<RedrawAll>(fresh.stages->method));
  EXPECT_TRUE(fresh.stages->distillation->cached);
  EXPECT_EQ(fresh.stages->distillation->weight, 2);

  ASSERT_OK_AND_ASSIGN(const Recipe kept, ParseRecipe(Golden()[46].dump()));
  EXPECT_TRUE(std::holds_alternative<KeepWeights>(kept.stages->method));
  EXPECT_FALSE(kept.stages->reset_optimizer);
  EXPECT_TRUE(kept.stages->growing_data);

  ASSERT_OK_AND_ASSIGN(const Recipe blocks, ParseRecipe(Golden()[47].dump()));
  EXPECT_EQ(blocks.stages->count, 6);
  const auto& options = std::get<LayerWiseStages>(blocks.stages->method);
  EXPECT_EQ(options.groups, 3);
  EXPECT_EQ(options.repeats, 2);
  EXPECT_EQ(options.rescale, LayerWiseRescale::kLayers);
  EXPECT_EQ(options.normalization, LayerWiseNormalization::kChannels);
}

TEST(RecipeTest, ReadsWhatStartsFromCheckpoints) {
  using namespace initializers;
  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(Golden()[35].dump()));

  const auto& steps = std::get<ChainOptions>(recipe.initializer).steps;
  ASSERT_EQ(steps.size(), 5u);
  const auto& mean = std::get<MeanOptions>(steps[0]);
  EXPECT_THAT(mean.checkpoints, ElementsAre("studies/1/trials/12/epochs/5",
                                            "trainings/2/runs/1/epochs/0"));
  EXPECT_THAT(mean.fresh_layers, ElementsAre("fc"));
  EXPECT_FALSE(mean.buffers);
  EXPECT_EQ(std::get<ShrinkPerturbOptions>(steps[1]).shrink, 0.4);
  EXPECT_EQ(std::get<ShrinkPerturbOptions>(steps[1]).perturb, 0.1);
  EXPECT_TRUE(std::get<FromCheckpointOptions>(steps[2]).buffers);
  EXPECT_EQ(std::get<KeepBlocksOptions>(steps[3]).blocks, 2);
  EXPECT_EQ(std::get<StoredMaskOptions>(steps[4]).checkpoint,
            "trainings/2/runs/1/epochs/25");
}

TEST(RecipeTest, ReadsTheStepsOfAChain) {
  using namespace initializers;
  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(Golden()[34].dump()));
  const auto& steps = std::get<ChainOptions>(recipe.initializer).steps;
  ASSERT_EQ(steps.size(), 17u);
  EXPECT_EQ(std::get<TruncatedNormalOptions>(steps[0]).deviation, 0.5);
  EXPECT_EQ(std::get<TruncatedNormalOptions>(steps[0]).cut, 1.5);
  EXPECT_EQ(std::get<NormalOptions>(steps[1]).mean, 1);
  EXPECT_EQ(std::get<NormalOptions>(steps[1]).deviation, 0.25);
  EXPECT_EQ(std::get<UniformOptions>(steps[2]).min, -0.5);
  EXPECT_EQ(std::get<UniformOptions>(steps[2]).max, 0.5);
  const auto& linear = std::get<ForLayersOptions>(steps[3]);
  EXPECT_EQ(std::get<TruncatedNormalOptions>(linear.rule).cut, 3);
  EXPECT_THAT(linear.filter.names, ElementsAre("layers.*", "layers.4"));
  EXPECT_EQ(linear.filter.kind, LayerKind::kLinear);
  const auto& convolution = std::get<ForLayersOptions>(steps[4]);
  EXPECT_EQ(std::get<ConstantOptions>(convolution.rule).value, 2);
  EXPECT_EQ(convolution.filter.kind, LayerKind::kConvolution);
  EXPECT_EQ(std::get<OrthogonalOptions>(steps[5]).gain, 1.5);
  EXPECT_TRUE(std::holds_alternative<ZeroInitResidualOptions>(steps[6]));

  const auto& lsuv = std::get<WholeLsuvOptions>(steps[7]);
  EXPECT_FALSE(lsuv.orthogonal);
  EXPECT_EQ(lsuv.corrections.batch_size, 50);
  EXPECT_EQ(lsuv.corrections.tolerance, 0.05);
  EXPECT_EQ(lsuv.corrections.max_attempts, 4);
  EXPECT_TRUE(lsuv.corrections.shift_bias);
  const auto& metainit = std::get<MetainitOptions>(steps[8]);
  EXPECT_EQ(metainit.iterations, 9);
  EXPECT_EQ(metainit.batch_size, 16);
  EXPECT_EQ(metainit.learning_rate, 0.2);
  EXPECT_EQ(metainit.momentum, 0.8);
  const auto& gradinit = std::get<GradinitOptions>(steps[9]);
  EXPECT_EQ(gradinit.iterations, 8);
  EXPECT_EQ(gradinit.half_batch, 32);
  EXPECT_EQ(gradinit.step, GradinitStep::kSgd);
  EXPECT_EQ(gradinit.step_size, 0.05);
  EXPECT_EQ(gradinit.max_gradient_norm, 2.5);
  EXPECT_EQ(gradinit.optimizer.learning_rate, 0.02);
  EXPECT_FALSE(gradinit.share_half);
  EXPECT_EQ(gradinit.optimizer.min_weight_scale, 0.02);
  EXPECT_EQ(gradinit.optimizer.min_bias_scale, 0.001);
  EXPECT_EQ(std::get<GradinitOptions>(steps[10]).step, GradinitStep::kAdam);
  EXPECT_TRUE(
      std::isinf(std::get<GradinitOptions>(steps[10]).max_gradient_norm));
  const auto& nio = std::get<NioOptions>(steps[11]);
  EXPECT_EQ(nio.iterations, 7);
  EXPECT_EQ(nio.batch_size, 64);
  EXPECT_EQ(nio.sub_batches, 3);
  EXPECT_EQ(nio.overlap, 0.2);
  EXPECT_EQ(nio.split, SubBatchSplit::kBalanced);
  EXPECT_EQ(nio.objective, NioObjective::kCosine);
  EXPECT_EQ(nio.norm_weight, 0.5);
  EXPECT_EQ(nio.max_gradient_norm, 3);
  EXPECT_EQ(nio.optimizer.learning_rate, 0.01);
  EXPECT_TRUE(nio.diagonal);
  EXPECT_EQ(nio.norms, NioNorms::kMean);
  EXPECT_EQ(nio.cap, NioCap::kLargestNorm);
  EXPECT_TRUE(nio.optimizer.plain);
  EXPECT_EQ(nio.optimizer.min_weight_scale, 0.02);
  EXPECT_EQ(nio.optimizer.min_bias_scale, 0.001);
  EXPECT_EQ(nio.gradient_layers, GradientLayers::kAll);
  EXPECT_EQ(nio.batch_norm, BatchNormMode::kBuffers);
  EXPECT_EQ(nio.scaled_names, ScaledNames::kContaining);
  const auto& other = std::get<NioOptions>(steps[12]);
  EXPECT_EQ(other.split, SubBatchSplit::kPaper);
  EXPECT_FALSE(other.diagonal);
  EXPECT_EQ(other.norms, NioNorms::kSum);
  EXPECT_EQ(other.cap, NioCap::kMeanNorm);
  EXPECT_FALSE(other.optimizer.plain);
  EXPECT_EQ(other.gradient_layers, GradientLayers::kConvLinearLayerNorm);
  EXPECT_EQ(other.batch_norm, BatchNormMode::kBatch);
  EXPECT_EQ(other.scaled_names, ScaledNames::kEnding);
  const NioObjective objectives[] = {
      NioObjective::kCosineAndSquaredNorms, NioObjective::kVariance,
      NioObjective::kVarianceAndNorms, NioObjective::kVarianceAndSquaredNorms};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(std::get<NioOptions>(steps[13 + i]).objective, objectives[i]);
  }
  EXPECT_EQ(LargestBatch(recipe.initializer), 64);
}

TEST(RecipeTest, ReadsWhatAHypernetworkNeeds) {
  using namespace initializers;
  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(Golden()[36].dump()));
  const auto& steps = std::get<ChainOptions>(recipe.initializer).steps;
  ASSERT_EQ(steps.size(), 3u);
  const auto& ghn = std::get<FromGhn2Options>(steps[0]);
  EXPECT_EQ(ghn.weights, "imports/ghn2/epochs/0");
  EXPECT_FALSE(ghn.predict_classifier);
  const auto& code = std::get<ConditionalOrthogonalOptions>(steps[1]);
  EXPECT_EQ(code.first_layer, 3);
  EXPECT_EQ(code.noise, 0.001);
  EXPECT_EQ(code.mode, NoiseMode::kCode);
  const auto& paper = std::get<ConditionalOrthogonalOptions>(steps[2]);
  EXPECT_EQ(paper.noise, 0);
  EXPECT_EQ(paper.mode, NoiseMode::kPaper);
  EXPECT_EQ(LargestBatch(recipe.initializer), 1);
}

TEST(RecipeTest, ReadsWhatIsDoneOnlyWhenItIsThere) {
  const Json golden = Golden();

  ASSERT_OK_AND_ASSIGN(const Recipe plain, ParseRecipe(golden[0].dump()));
  EXPECT_EQ(plain.schedule.warm_up.epochs, 0);
  EXPECT_EQ(plain.dataset.split.label_noise.fraction, 0);
  EXPECT_FALSE(plain.augmentation.random_resized_crop.has_value());
  EXPECT_FALSE(plain.stop_accuracy.has_value());
  EXPECT_TRUE(plain.deterministic);
  EXPECT_FALSE(plain.evaluate_start);

  ASSERT_OK_AND_ASSIGN(const Recipe full, ParseRecipe(golden[6].dump()));
  const SplitOptions& split = full.dataset.split;
  EXPECT_EQ(split.split, SplitKind::kPlain);
  EXPECT_TRUE(split.split_per_run);
  EXPECT_EQ(split.label_noise.fraction, 0.2);
  EXPECT_EQ(split.label_noise.seed, 4);
  EXPECT_TRUE(split.label_noise.per_run);
  EXPECT_TRUE(split.label_noise.clean_validation);
  EXPECT_EQ(split.chunks, 5);
  EXPECT_EQ(split.chunk, 2);
  EXPECT_THAT(full.dataset.normalization.mean, ElementsAre(0.5, 0.4, 0.3));
  EXPECT_THAT(full.dataset.normalization.standard_deviation,
              ElementsAre(0.25, 0.2, 0.1));
  const auto& adamw = std::get<AdamWOptions>(full.optimizer.rule);
  EXPECT_EQ(adamw.learning_rate, 0.001);
  EXPECT_EQ(adamw.beta1, 0.8);
  EXPECT_EQ(adamw.weight_decay, 0.05);
  EXPECT_EQ(full.optimizer.groups.norm.weight_decay_factor, 0);
  EXPECT_EQ(full.optimizer.groups.scale.learning_rate_factor, 0.1);
  EXPECT_EQ(full.optimizer.groups.scale.weight_decay_factor, 0.5);
  EXPECT_EQ(full.optimizer.groups.bias.learning_rate_factor, 2);
  const auto& steps = std::get<MultiStepSchedule>(full.schedule.shape);
  EXPECT_THAT(steps.milestones, ElementsAre(10, 20));
  EXPECT_EQ(steps.factor, 0.2);
  EXPECT_EQ(full.schedule.warm_up.epochs, 3);
  EXPECT_EQ(full.schedule.warm_up.start_factor, 0.01);
  EXPECT_EQ(full.loss.label_smoothing, 0.1);
  EXPECT_EQ(full.loss.auxiliary_weight, 0.3);
  EXPECT_EQ(full.augmentation.crop_padding, 4);
  EXPECT_EQ(full.augmentation.flip_probability, 0.5);
  EXPECT_EQ(full.augmentation.cutout_size, 16);
  EXPECT_EQ(full.augmentation.mixup_alpha, 1.5);
  EXPECT_EQ(full.clip_gradient_norm, 5);
  EXPECT_EQ(full.precision, Precision::kBf16);
  EXPECT_EQ(full.accumulation_steps, 4);
  EXPECT_EQ(full.stop_accuracy, 0.9);
  EXPECT_FALSE(full.deterministic);
  EXPECT_TRUE(full.evaluate_start);

  ASSERT_OK_AND_ASSIGN(const Recipe jpegs, ParseRecipe(golden[7].dump()));
  EXPECT_EQ(jpegs.dataset.classes, 10);
  EXPECT_EQ(jpegs.dataset.image_size, 48);
  EXPECT_EQ(jpegs.augmentation.random_resized_crop->min_scale, 0.1);
  EXPECT_EQ(jpegs.augmentation.random_resized_crop->max_ratio, 1.25);
  const auto& cycle = std::get<OneCycleSchedule>(jpegs.schedule.shape);
  EXPECT_EQ(cycle.rise, 0.25);
  EXPECT_EQ(cycle.start_divisor, 20);
  EXPECT_EQ(cycle.final_divisor, 1000);
  EXPECT_EQ(jpegs.precision, Precision::kFp64);

  ASSERT_OK_AND_ASSIGN(const Recipe folder, ParseRecipe(golden[9].dump()));
  EXPECT_EQ(folder.dataset.folder, "my-cats");
  EXPECT_EQ(folder.model.options_json, R"({"stem":"SMALL_IMAGES"})");

  ASSERT_OK_AND_ASSIGN(const Recipe drawn, ParseRecipe(golden[10].dump()));
  EXPECT_EQ(drawn.dataset.synthetic.train_examples, 100);
  EXPECT_EQ(drawn.dataset.synthetic.seed, 3);
  EXPECT_EQ(drawn.dataset.split.validation_examples, 20);
  EXPECT_EQ(drawn.dataset.split.split_seed, 2);

  ASSERT_OK_AND_ASSIGN(const Recipe own, ParseRecipe(golden[33].dump()));
  EXPECT_EQ(own.model.name, "plugin/mlp/1.2");
  EXPECT_EQ(own.model_plugin, (PluginSpec{.name = "mlp",
                                          .version = "1.2",
                                          .options_json = R"({"width":8})"}));
  EXPECT_EQ(own.dataset.name, "plugin/greys/2");
  EXPECT_EQ(
      own.dataset.plugin,
      (PluginSpec{.name = "greys", .version = "2", .options_json = "{}"}));
  EXPECT_EQ(own.dataset.split.train_examples, 5000);
}

TEST(RecipeTest, NamesAMissingField) {
  for (const Json& spec : Golden()) {
    std::vector<Json::json_pointer> paths;
    CollectPaths(spec, Json::json_pointer(), paths);
    for (const Json::json_pointer& path : paths) {
      if (MayBeLeftOut(path)) continue;
      Json cut = spec;
      cut[path.parent_pointer()].erase(path.back());

      const absl::Status status = ParseRecipe(cut.dump()).status();

      // A oneof without its kind names the parent and lists the kinds.
      EXPECT_THAT(status,
                  StatusIs(absl::StatusCode::kInvalidArgument, path.back()))
          << path;
    }
  }
}

TEST(RecipeTest, NamesAnUnknownField) {
  for (const Json& spec : Golden()) {
    std::vector<Json::json_pointer> paths = {Json::json_pointer()};
    CollectPaths(spec, Json::json_pointer(), paths);
    for (const Json::json_pointer& path : paths) {
      if (!spec[path].is_object()) continue;
      if (path.parent_pointer().to_string() == "/model" &&
          path.back() != "plugin") {
        continue;  // MakeModel.
      }
      Json more = spec;
      more[path]["learning_rat"] = 1;

      EXPECT_THAT(ParseRecipe(more.dump()),
                  StatusIs(absl::StatusCode::kInvalidArgument, "learning_rat"))
          << path;
    }
  }
}

TEST(RecipeTest, ReadsIntegersWrittenAsNumbers) {
  Json spec = Golden()[0];
  spec["epochs"] = 3;

  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(spec.dump()));

  EXPECT_EQ(recipe.epochs, 3);
}

TEST(RecipeTest, TakesNoFreshLayersForAnEmptyList) {
  Json spec = Golden()[5];
  spec["initializer"]["checkpoint"].erase("fresh_layers");

  ASSERT_OK_AND_ASSIGN(const Recipe recipe, ParseRecipe(spec.dump()));

  EXPECT_TRUE(std::get<initializers::FromCheckpointOptions>(recipe.initializer)
                  .fresh_layers.empty());
}

struct Bad {
  int golden;
  const char* path;
  Json value;
  const char* says;
};

TEST(RecipeTest, RefusesValuesThatAreNotAllowed) {
  const std::vector<Bad> cases = {
      {0, "/epochs", 0, "training.epochs: must be an integer from 1 to 100000"},
      {0, "/epochs", "1.5", "training.epochs"},
      {0, "/epochs", "9x", "training.epochs"},
      {0, "/batch_size", 65537, "training.batch_size"},
      {0, "/optimizer/adam/learning_rate", 0,
       "training.optimizer.adam.learning_rate: must be a number above 0"},
      {0, "/optimizer/adam/learning_rate", "NaN", "learning_rate"},
      {0, "/optimizer/adam/beta1", 1, "of at least 0 and below 1"},
      {0, "/optimizer/adam/epsilon", 0, "above 0"},
      {0, "/dataset/mnist/validation_examples", -10, "of at least 0"},
      {1, "/optimizer/sgd/momentum", 0, "nesterov: needs a momentum above 0"},
      {1, "/optimizer/sgd/nesterov", 1, "must be true or false"},
      {1, "/schedule/cosine/step", "PER_BATCH",
       "must be one of PER_EPOCH, PER_STEP"},
      {1, "/schedule/cosine/period_epochs", 0, "of at least 1"},
      {1, "/initializer/xavier_uniform/gain", 0, "above 0"},
      {5, "/initializer/checkpoint/checkpoint", "", "must be a text"},
      {5, "/initializer/checkpoint/fresh_layers", "layers", "list of texts"},
      {35, "/initializer/chain/steps/0/mean/checkpoints",
       Json::array({"studies/1/trials/1/epochs/1"}),
       "mean.checkpoints: needs two or more names, none twice"},
      {35, "/initializer/chain/steps/1/shrink_perturb/shrink", 2, "shrink"},
      {35, "/initializer/chain/steps/3/keep_blocks/blocks", 0, "from 1 to"},
      {39, "/pruning/rate", 1, "above 0 and below 1"},
      {39, "/pruning/rewind_epoch", 3, "is not below epochs_per_level"},
      {44, "/stages/count", 4, "stages.count: 4 stages do not divide"},
      {44, "/stages/shrink_perturb/shrink", 1.5, "shrink"},
      {44, "/stages/distillation/weight", 0, "above 0"},
      {47, "/stages/layer_wise/blocks", 1, "from 2 to"},
      {0, "/model", Json{{"lenet_5", Json::object()}},
       "training.model: must have exactly one of lenet_300_100"},
      {0, "/evaluate", "TEST_SOMETIMES", "TEST_NEVER"},
  };
  const Json golden = Golden();
  for (const Bad& bad : cases) {
    Json spec = golden[bad.golden];
    spec[Json::json_pointer(bad.path)] = bad.value;

    EXPECT_THAT(ParseRecipe(spec.dump()),
                StatusIs(absl::StatusCode::kInvalidArgument, bad.says))
        << bad.path;
  }
}

TEST(RecipeTest, RefusesWhatIsNoSpec) {
  for (const char* text : {"", "{", "[]", "3", "null", "\"x\""}) {
    EXPECT_THAT(ParseRecipe(text),
                StatusIs(absl::StatusCode::kInvalidArgument, "training"))
        << text;
  }
}

}  // namespace
}  // namespace headstart::worker
