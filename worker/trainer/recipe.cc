#include "worker/trainer/recipe.h"

#include <limits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "worker/models/registry.h"
#include "worker/spec_fields/spec_fields.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

ModelSpec ReadModel(SpecFields& spec);
DatasetSpec ReadDatasetSpec(SpecFields& spec);
OptimizerOptions ReadOptimizer(SpecFields& spec);
Schedule ReadSchedule(SpecFields& spec);
initializers::InitializerOptions ReadInitializer(SpecFields& spec);

}  // namespace

absl::StatusOr<Recipe> ParseRecipe(absl::string_view training_json) {
  const Json json = Json::parse(training_json.begin(), training_json.end(),
                                /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError("training: this is not JSON.");
  }
  absl::Status status;
  SpecFields spec(json, "training", status);
  Recipe recipe = {
      .model = ReadModel(spec),
      .dataset = ReadDatasetSpec(spec),
      .epochs = spec.Integer("epochs", 1, 100'000),
      .batch_size = spec.Integer("batch_size", 1, 65'536),
      .optimizer = ReadOptimizer(spec),
      .schedule = ReadSchedule(spec),
      .initializer = ReadInitializer(spec),
      .evaluate = spec.Enum<TestWhen>(
          "evaluate", {{"TEST_NEVER", TestWhen::kNever},
                       {"TEST_LAST_EPOCH", TestWhen::kLastEpoch},
                       {"TEST_EVERY_EPOCH", TestWhen::kEveryEpoch}})};
  spec.Done();
  if (!status.ok()) return status;
  return recipe;
}

namespace {

ModelSpec ReadModel(SpecFields& spec) {
  auto [kind, fields] = spec.Kind("model", ModelNames());
  // MakeModel reads the options, when it knows the images.
  return {.name = kind, .options_json = fields.json().dump()};
}

DatasetSpec ReadDatasetSpec(SpecFields& spec) {
  auto [kind, fields] = spec.Kind("dataset", DatasetNames());
  DatasetSpec dataset = {
      .name = kind,
      .split = {.validation_examples = fields.Integer("validation_examples", 0),
                .train_examples = fields.Integer("train_examples", 0),
                .split_seed = fields.Integer(
                    "split_seed", std::numeric_limits<int64_t>::min())}};
  fields.Done();
  return dataset;
}

OptimizerOptions ReadOptimizer(SpecFields& spec) {
  auto [kind, fields] = spec.Kind("optimizer", {"sgd", "adam"});
  OptimizerOptions optimizer;
  if (kind == "sgd") {
    const SgdOptions sgd = {
        .learning_rate = fields.Number("learning_rate", kPositive),
        .momentum = fields.Number("momentum", kBelowOne),
        .nesterov = fields.Bool("nesterov"),
        .weight_decay = fields.Number("weight_decay", kNotNegative)};
    if (sgd.nesterov && sgd.momentum == 0) {
      fields.Refuse(fields.At("nesterov"), "needs a momentum above 0");
    }
    optimizer.rule = sgd;
  } else {
    optimizer.rule = AdamOptions{
        .learning_rate = fields.Number("learning_rate", kPositive),
        .beta1 = fields.Number("beta1", kBelowOne),
        .beta2 = fields.Number("beta2", kBelowOne),
        .epsilon = fields.Number("epsilon", kPositive),
        .weight_decay = fields.Number("weight_decay", kNotNegative)};
  }
  fields.Done();
  return optimizer;
}

Schedule ReadSchedule(SpecFields& spec) {
  auto [kind, fields] = spec.Kind("schedule", {"constant", "cosine"});
  Schedule schedule;
  if (kind == "cosine") {
    schedule.shape =
        CosineSchedule{.step = fields.Enum<CosineStep>(
                           "step", {{"PER_EPOCH", CosineStep::kPerEpoch},
                                    {"PER_STEP", CosineStep::kPerStep}}),
                       .period_epochs = fields.Integer("period_epochs", 1),
                       .final_learning_rate =
                           fields.Number("final_learning_rate", kNotNegative)};
  }
  fields.Done();
  return schedule;
}

initializers::InitializerOptions ReadInitializer(SpecFields& spec) {
  using initializers::Distribution;
  using initializers::FanMode;
  auto [kind, fields] = spec.Kind(
      "initializer", {"framework_default", "xavier_uniform", "xavier_normal",
                      "kaiming_uniform", "kaiming_normal", "checkpoint"});
  initializers::InitializerOptions initializer =
      initializers::FrameworkDefaultOptions{};
  if (kind == "xavier_uniform" || kind == "xavier_normal") {
    initializer = initializers::XavierOptions{
        .distribution = kind == "xavier_uniform" ? Distribution::kUniform
                                                 : Distribution::kNormal,
        .gain = fields.Number("gain", kPositive)};
  } else if (kind == "kaiming_uniform" || kind == "kaiming_normal") {
    initializer = initializers::KaimingOptions{
        .distribution = kind == "kaiming_uniform" ? Distribution::kUniform
                                                  : Distribution::kNormal,
        .gain = fields.Number("gain", kPositive),
        .mode = fields.Enum<FanMode>(
            "mode", {{"FAN_IN", FanMode::kIn}, {"FAN_OUT", FanMode::kOut}})};
  } else if (kind == "checkpoint") {
    initializer = initializers::FromCheckpointOptions{
        .checkpoint = fields.Text("checkpoint"),
        .fresh_layers = fields.Texts("fresh_layers")};
  }
  fields.Done();
  return initializer;
}

}  // namespace
}  // namespace headstart::worker
