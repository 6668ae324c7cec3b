#include "worker/trainer/recipe.h"

#include <limits>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "worker/models/registry.h"
#include "worker/spec_fields/spec_fields.h"
#include "worker/trainer/initializer_fields.h"
#include "worker/trainer/program_fields.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr int64_t kBatchMax = 65'536;
constexpr int64_t kAnySeed = std::numeric_limits<int64_t>::min();

void ReadModel(SpecFields& spec, Recipe& recipe);
DatasetSpec ReadDatasetSpec(SpecFields& spec);
OptimizerOptions ReadOptimizer(SpecFields& spec);
Schedule ReadSchedule(SpecFields& spec);
LossOptions ReadLoss(SpecFields& spec);
AugmentationOptions ReadAugmentation(SpecFields& spec);
std::optional<double> ReadStopAccuracy(SpecFields& spec);

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
      .model = {},
      .model_plugin = {},
      .dataset = ReadDatasetSpec(spec),
      .epochs = spec.Integer("epochs", 1, 100'000),
      .batch_size = spec.Integer("batch_size", 1, kBatchMax),
      .optimizer = ReadOptimizer(spec),
      .schedule = ReadSchedule(spec),
      .initializer = ReadInitializer(spec),
      .evaluate = spec.Enum<TestWhen>(
          "evaluate", {{"TEST_NEVER", TestWhen::kNever},
                       {"TEST_LAST_EPOCH", TestWhen::kLastEpoch},
                       {"TEST_EVERY_EPOCH", TestWhen::kEveryEpoch}}),
      .loss = ReadLoss(spec),
      .augmentation = ReadAugmentation(spec),
      .clip_gradient_norm = spec.Number("clip_gradient_norm", kNotNegative),
      .precision =
          spec.Enum<Precision>("precision", {{"FP32", Precision::kFp32},
                                             {"FP64", Precision::kFp64},
                                             {"BF16", Precision::kBf16}}),
      .accumulation_steps = spec.Integer("accumulation_steps", 1, 65'536),
      .stop_accuracy = ReadStopAccuracy(spec),
      .deterministic = spec.Bool("deterministic"),
      .evaluate_start = spec.Bool("evaluate_start"),
      .pruning = ReadPruning(spec),
      .stages = {}};
  recipe.stages = ReadStages(spec, recipe.epochs);
  ReadModel(spec, recipe);
  if (recipe.stages.has_value() &&
      (recipe.pruning.has_value() ||
       !initializers::MasksIn(recipe.initializer).empty())) {
    spec.Refuse(spec.At("stages"),
                "goes neither with pruning nor with an initializer's mask");
  }
  spec.Done();
  if (!status.ok()) return status;
  return recipe;
}

namespace {

// The fields that model and data set of a plug-in share.
PluginSpec ReadPlugin(SpecFields& fields) {
  PluginSpec plugin = {.name = fields.Text("name"),
                       .version = fields.Text("version"),
                       .options_json = fields.Text("options_json")};
  // The scheduler's; the plug-in has its own.
  fields.Text("options_schema_json");
  return plugin;
}

std::string NameOf(const PluginSpec& plugin) {
  return absl::StrCat("plugin/", plugin.name, "/", plugin.version);
}

void ReadModel(SpecFields& spec, Recipe& recipe) {
  std::vector<std::string> kinds = ModelNames();
  kinds.push_back("plugin");
  auto [kind, fields] = spec.Kind("model", kinds);
  if (kind == "plugin") {
    recipe.model_plugin = ReadPlugin(fields);
    recipe.model.name = NameOf(*recipe.model_plugin);
    fields.Done();
    return;
  }
  // MakeModel reads the options, when it knows the images.
  recipe.model = {.name = kind, .options_json = fields.json().dump()};
}

// What all data sets but the synthetic one share.
void ReadImageFields(SpecFields& fields, DatasetSpec& dataset) {
  SplitOptions& split = dataset.split;
  split.validation_examples = fields.Integer("validation_examples", 0);
  split.split_seed = fields.Integer("split_seed", kAnySeed);
  split.train_examples = fields.Integer("train_examples", 0);
  split.split = fields.Enum<SplitKind>(
      "split",
      {{"STRATIFIED", SplitKind::kStratified}, {"PLAIN", SplitKind::kPlain}});
  split.split_per_run = fields.Bool("split_per_run");
  SpecFields normalization = fields.Object("normalization");
  dataset.normalization = {.mean = normalization.Numbers("mean", kShare),
                           .standard_deviation = normalization.Numbers(
                               "standard_deviation", kPositive)};
  normalization.Done();
  if (fields.Has("label_noise")) {
    SpecFields noise = fields.Object("label_noise");
    split.label_noise = {.fraction = noise.Number("fraction", kShare),
                         .seed = noise.Integer("seed", kAnySeed),
                         .per_run = noise.Bool("per_run"),
                         .clean_validation = noise.Bool("clean_validation")};
    noise.Done();
  }
  split.chunks = fields.Integer("chunks", 1, 1000);
  split.chunk = fields.Integer("chunk", 1, split.chunks);
}

DatasetSpec ReadDatasetSpec(SpecFields& spec) {
  auto [kind, fields] =
      spec.Kind("dataset", {"mnist", "fashion_mnist", "cifar10", "cifar100",
                            "tiny_imagenet", "food101", "image_folder",
                            "synthetic", "plugin"});
  DatasetSpec dataset = {.name = kind};
  if (kind == "plugin") {
    const PluginSpec plugin = ReadPlugin(fields);
    SpecFields images = fields.Object("images");
    ReadImageFields(images, dataset);
    images.Done();
    fields.Done();
    dataset.name = NameOf(plugin);
    dataset.plugin = plugin;
    return dataset;
  }
  if (kind != "synthetic") ReadImageFields(fields, dataset);
  if (kind == "synthetic") {
    SplitOptions& split = dataset.split;
    split.validation_examples = fields.Integer("validation_examples", 0);
    split.split_seed = fields.Integer("split_seed", kAnySeed);
    dataset.synthetic = {.train_examples = fields.Integer("train_examples", 1),
                         .test_examples = fields.Integer("test_examples", 1),
                         .channels = fields.Integer("channels", 1, 4),
                         .image_size = fields.Integer("image_size", 4, 1024),
                         .classes = fields.Integer("classes", 2, 100'000),
                         .seed = fields.Integer("seed", kAnySeed)};
  }
  if (kind == "tiny_imagenet" || kind == "food101" || kind == "image_folder") {
    dataset.classes = fields.Integer("classes", 2, 100'000);
    dataset.image_size = fields.Integer("image_size", 8, 1024);
  }
  if (kind == "image_folder") dataset.folder = fields.Text("folder");
  fields.Done();
  return dataset;
}

GroupFactors ReadFactors(SpecFields& groups, const std::string& name) {
  SpecFields fields = groups.Object(name);
  const GroupFactors factors = {.learning_rate_factor = fields.Number(
                                    "learning_rate_factor", kNotNegative),
                                .weight_decay_factor = fields.Number(
                                    "weight_decay_factor", kNotNegative)};
  fields.Done();
  return factors;
}

// Adam and AdamW have the same fields.
template <typename Options>
Options ReadAdam(SpecFields& fields) {
  return {.learning_rate = fields.Number("learning_rate", kPositive),
          .beta1 = fields.Number("beta1", kBelowOne),
          .beta2 = fields.Number("beta2", kBelowOne),
          .epsilon = fields.Number("epsilon", kPositive),
          .weight_decay = fields.Number("weight_decay", kNotNegative)};
}

OptimizerOptions ReadOptimizer(SpecFields& spec) {
  SpecFields optimizer = spec.Object("optimizer");
  auto [kind, fields] = optimizer.Kind({"sgd", "adam", "adamw"});
  OptimizerOptions options;
  if (kind == "sgd") {
    const SgdOptions sgd = {
        .learning_rate = fields.Number("learning_rate", kPositive),
        .momentum = fields.Number("momentum", kBelowOne),
        .nesterov = fields.Bool("nesterov"),
        .weight_decay = fields.Number("weight_decay", kNotNegative)};
    if (sgd.nesterov && sgd.momentum == 0) {
      fields.Refuse(fields.At("nesterov"), "needs a momentum above 0");
    }
    options.rule = sgd;
  } else if (kind == "adam") {
    options.rule = ReadAdam<AdamOptions>(fields);
  } else {
    options.rule = ReadAdam<AdamWOptions>(fields);
  }
  fields.Done();
  SpecFields groups = optimizer.Object("groups");
  options.groups = {.bias = ReadFactors(groups, "bias"),
                    .norm = ReadFactors(groups, "norm"),
                    .scale = ReadFactors(groups, "scale")};
  groups.Done();
  optimizer.Done();
  return options;
}

Schedule ReadSchedule(SpecFields& spec) {
  SpecFields object = spec.Object("schedule");
  auto [kind, fields] =
      object.Kind({"constant", "cosine", "multi_step", "one_cycle"});
  Schedule schedule = {.shape = ConstantSchedule{}};
  if (kind == "cosine") {
    schedule.shape =
        CosineSchedule{.step = fields.Enum<CosineStep>(
                           "step", {{"PER_EPOCH", CosineStep::kPerEpoch},
                                    {"PER_STEP", CosineStep::kPerStep}}),
                       .period_epochs = fields.Integer("period_epochs", 1),
                       .final_learning_rate =
                           fields.Number("final_learning_rate", kNotNegative)};
  } else if (kind == "multi_step") {
    schedule.shape =
        MultiStepSchedule{.milestones = fields.Integers("milestones", 1),
                          .factor = fields.Number("factor", kPositive)};
  } else if (kind == "one_cycle") {
    schedule.shape = OneCycleSchedule{
        .rise = fields.Number("rise", kBelowOne),
        .start_divisor = fields.Number("start_divisor", kPositive),
        .final_divisor = fields.Number("final_divisor", kPositive)};
  }
  fields.Done();
  if (object.Has("warm_up")) {
    SpecFields warm_up = object.Object("warm_up");
    schedule.warm_up = {.epochs = warm_up.Integer("epochs", 1),
                        .start_factor = warm_up.Number("start_factor", kShare)};
    warm_up.Done();
  }
  object.Done();
  return schedule;
}

LossOptions ReadLoss(SpecFields& spec) {
  SpecFields fields = spec.Object("loss");
  const LossOptions loss = {
      .label_smoothing = fields.Number("label_smoothing", kBelowOne),
      .auxiliary_weight = fields.Number("auxiliary_weight", kNotNegative)};
  fields.Done();
  return loss;
}

AugmentationOptions ReadAugmentation(SpecFields& spec) {
  SpecFields fields = spec.Object("augmentation");
  AugmentationOptions augmentation;
  if (fields.Has("random_resized_crop")) {
    SpecFields crop = fields.Object("random_resized_crop");
    augmentation.random_resized_crop = {
        .min_scale = crop.Number("min_scale", kPositive),
        .max_scale = crop.Number("max_scale", kPositive),
        .min_ratio = crop.Number("min_ratio", kPositive),
        .max_ratio = crop.Number("max_ratio", kPositive)};
    crop.Done();
  }
  augmentation.crop_padding = fields.Integer("crop_padding", 0, 64);
  augmentation.flip_probability = fields.Number("flip_probability", kShare);
  augmentation.cutout_size = fields.Integer("cutout_size", 0, 1024);
  augmentation.mixup_alpha = fields.Number("mixup_alpha", kNotNegative);
  fields.Done();
  return augmentation;
}

std::optional<double> ReadStopAccuracy(SpecFields& spec) {
  if (!spec.Has("early_stop")) return std::nullopt;
  SpecFields fields = spec.Object("early_stop");
  const double accuracy = fields.Number("validation_accuracy", kShare);
  fields.Done();
  return accuracy;
}

}  // namespace
}  // namespace headstart::worker
