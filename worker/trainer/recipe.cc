#include "worker/trainer/recipe.h"

#include <limits>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/models/registry.h"
#include "worker/spec_fields/spec_fields.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr int64_t kBatchMax = 65'536;
constexpr int64_t kIterationsMax = 100'000;
constexpr int64_t kAnySeed = std::numeric_limits<int64_t>::min();

void ReadModel(SpecFields& spec, Recipe& recipe);
DatasetSpec ReadDatasetSpec(SpecFields& spec);
OptimizerOptions ReadOptimizer(SpecFields& spec);
Schedule ReadSchedule(SpecFields& spec);
LossOptions ReadLoss(SpecFields& spec);
AugmentationOptions ReadAugmentation(SpecFields& spec);
std::optional<double> ReadStopAccuracy(SpecFields& spec);
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
      .evaluate_start = spec.Bool("evaluate_start")};
  ReadModel(spec, recipe);
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

using initializers::InitializerOptions;

// The kinds that are rules for weights.
const std::vector<std::string>& WeightRuleKinds() {
  static const auto& kinds = *new std::vector<std::string>{
      "xavier_uniform", "xavier_normal",    "kaiming_uniform",
      "kaiming_normal", "normal",           "uniform",
      "constant",       "truncated_normal", "orthogonal"};
  return kinds;
}

initializers::WeightRule ReadWeightRule(const std::string& kind,
                                        SpecFields& fields) {
  using initializers::Distribution;
  using initializers::FanMode;
  const Distribution distribution = absl::EndsWith(kind, "_uniform")
                                        ? Distribution::kUniform
                                        : Distribution::kNormal;
  if (absl::StartsWith(kind, "xavier_")) {
    return initializers::XavierOptions{
        .distribution = distribution, .gain = fields.Number("gain", kPositive)};
  }
  if (absl::StartsWith(kind, "kaiming_")) {
    return initializers::KaimingOptions{
        .distribution = distribution,
        .gain = fields.Number("gain", kPositive),
        .mode = fields.Enum<FanMode>(
            "mode", {{"FAN_IN", FanMode::kIn}, {"FAN_OUT", FanMode::kOut}})};
  }
  if (kind == "normal") {
    return initializers::NormalOptions{
        .mean = fields.Number("mean", kAnyNumber),
        .deviation = fields.Number("deviation", kPositive)};
  }
  if (kind == "uniform") {
    const double min = fields.Number("min", kAnyNumber);
    return initializers::UniformOptions{
        .min = min, .max = fields.Number("max", {.min = min, .above = true})};
  }
  if (kind == "truncated_normal") {
    const double deviation = fields.Number("deviation", kPositive);
    const double unit = fields.Enum<double>(
        "cut_unit", {{"CUT_AT_VALUE", 1}, {"CUT_AT_DEVIATIONS", deviation}});
    return initializers::TruncatedNormalOptions{
        .deviation = deviation, .cut = fields.Number("cut", kPositive) * unit};
  }
  if (kind == "orthogonal") {
    return initializers::OrthogonalOptions{
        .gain = fields.Number("gain", kPositive)};
  }
  return initializers::ConstantOptions{.value =
                                           fields.Number("value", kAnyNumber)};
}

initializers::ForLayersOptions ReadForLayers(SpecFields& fields) {
  using initializers::LayerKind;
  auto [kind, rule] = fields.Kind("initializer", WeightRuleKinds());
  initializers::ForLayersOptions options = {
      .rule = ReadWeightRule(kind, rule),
      .filter = {.names = fields.Texts("names"), .kind = std::nullopt}};
  rule.Done();
  if (fields.Has("kind")) {
    options.filter.kind = fields.Enum<LayerKind>(
        "kind", {{"CONVOLUTION_LAYER", LayerKind::kConvolution},
                 {"LINEAR_LAYER", LayerKind::kLinear}});
  }
  return options;
}

double ReadCap(SpecFields& fields) {
  return fields.Has("max_gradient_norm")
             ? fields.Number("max_gradient_norm", kPositive)
             : std::numeric_limits<double>::infinity();
}

initializers::WholeLsuvOptions ReadLsuv(SpecFields& fields) {
  return {
      .orthogonal = fields.Bool("orthogonal"),
      .corrections = {.batch_size = fields.Integer("batch_size", 1, kBatchMax),
                      .tolerance = fields.Number("tolerance", kPositive),
                      .max_attempts = fields.Integer("max_attempts", 0, 1'000),
                      .shift_bias = fields.Bool("shift_bias")}};
}

initializers::MetainitOptions ReadMetainit(SpecFields& fields) {
  return {.iterations = fields.Integer("iterations", 1, kIterationsMax),
          .batch_size = fields.Integer("batch_size", 1, kBatchMax),
          .learning_rate = fields.Number("learning_rate", kPositive),
          .momentum = fields.Number("momentum", kBelowOne)};
}

initializers::GradinitOptions ReadGradinit(SpecFields& fields) {
  using initializers::GradinitStep;
  return {
      .iterations = fields.Integer("iterations", 1, kIterationsMax),
      .half_batch = fields.Integer("half_batch", 1, kBatchMax / 2),
      .step = fields.Enum<GradinitStep>(
          "step", {{"GRADINIT_SGD", GradinitStep::kSgd},
                   {"GRADINIT_ADAM", GradinitStep::kAdam}}),
      .step_size = fields.Number("step_size", kPositive),
      .max_gradient_norm = ReadCap(fields),
      .share_half = fields.Bool("share_half"),
      .optimizer = {
          .learning_rate = fields.Number("learning_rate", kPositive),
          .min_weight_scale = fields.Number("min_weight_factor", kNotNegative),
          .min_bias_scale = fields.Number("min_bias_factor", kNotNegative)}};
}

initializers::NioOptions ReadNio(SpecFields& fields) {
  using initializers::BatchNormMode;
  using initializers::GradientLayers;
  using initializers::NioCap;
  using initializers::NioNorms;
  using initializers::NioObjective;
  using initializers::ScaledNames;
  using initializers::SubBatchSplit;
  return {
      .iterations = fields.Integer("iterations", 1, kIterationsMax),
      .batch_size = fields.Integer("batch_size", 2, kBatchMax),
      .sub_batches = fields.Integer("sub_batches", 2, kBatchMax),
      .overlap = fields.Number("overlap", kBelowOne),
      .split = fields.Enum<SubBatchSplit>(
          "split", {{"BALANCED", SubBatchSplit::kBalanced},
                    {"PAPER", SubBatchSplit::kPaper},
                    {"OFFICIAL", SubBatchSplit::kOfficial}}),
      .objective = fields.Enum<NioObjective>(
          "objective",
          {{"COSINE", NioObjective::kCosine},
           {"COSINE_AND_NORMS", NioObjective::kCosineAndNorms},
           {"COSINE_AND_SQUARED_NORMS", NioObjective::kCosineAndSquaredNorms},
           {"VARIANCE", NioObjective::kVariance},
           {"VARIANCE_AND_NORMS", NioObjective::kVarianceAndNorms},
           {"VARIANCE_AND_SQUARED_NORMS",
            NioObjective::kVarianceAndSquaredNorms}}),
      .diagonal = fields.Bool("diagonal"),
      .norms =
          fields.Enum<NioNorms>("norms", {{"SUM_OF_NORMS", NioNorms::kSum},
                                          {"MEAN_OF_NORMS", NioNorms::kMean}}),
      .norm_weight = fields.Number("norm_weight", kNotNegative),
      .cap = fields.Enum<NioCap>("cap",
                                 {{"CAP_MEAN_NORM", NioCap::kMeanNorm},
                                  {"CAP_LARGEST_NORM", NioCap::kLargestNorm}}),
      .max_gradient_norm = ReadCap(fields),
      .optimizer = {.learning_rate = fields.Number("learning_rate", kPositive),
                    .plain = fields.Enum<bool>("step", {{"RESCALE_ADAM", false},
                                                        {"PLAIN_STEP", true}}),
                    .min_weight_scale =
                        fields.Number("min_weight_factor", kNotNegative),
                    .min_bias_scale =
                        fields.Number("min_bias_factor", kNotNegative)},
      .scaled_names = fields.Enum<ScaledNames>(
          "scaled_names", {{"ENDING", ScaledNames::kEnding},
                           {"CONTAINING", ScaledNames::kContaining}}),
      .gradient_layers = fields.Enum<GradientLayers>(
          "gradient",
          {{"LAYERS_WITHOUT_BATCH_NORM", GradientLayers::kConvLinearLayerNorm},
           {"ALL_PARAMETERS", GradientLayers::kAll}}),
      .batch_norm = fields.Enum<BatchNormMode>(
          "batch_norm", {{"BATCH_STATISTICS", BatchNormMode::kBatch},
                         {"RUNNING_STATISTICS", BatchNormMode::kBuffers}})};
}

initializers::MeanOptions ReadMean(SpecFields& fields) {
  initializers::MeanOptions options = {
      .checkpoints = fields.Texts("checkpoints"),
      .fresh_layers = fields.Texts("fresh_layers"),
      .buffers = fields.Bool("buffers")};
  const absl::flat_hash_set<std::string> names(options.checkpoints.begin(),
                                               options.checkpoints.end());
  if (names.size() < 2 || names.size() < options.checkpoints.size()) {
    fields.Refuse(fields.At("checkpoints"),
                  "needs two or more names, none twice");
  }
  return options;
}

initializers::ConditionalOrthogonalOptions ReadConditionalOrthogonal(
    SpecFields& fields) {
  using initializers::NoiseMode;
  return {.first_layer = fields.Integer("first_layer", 1, 100'000),
          .noise = fields.Number("noise", kNotNegative),
          .mode = fields.Enum<NoiseMode>(
              "mode", {{"NOISE_BY_CODE", NoiseMode::kCode},
                       {"NOISE_BY_PAPER", NoiseMode::kPaper}})};
}

// What has been found under `kind`, which is no chain.
InitializerOptions ReadStep(const std::string& kind, SpecFields& fields) {
  InitializerOptions options = initializers::FrameworkDefaultOptions{};
  if (kind == "zero_init_residual") {
    options = initializers::ZeroInitResidualOptions{};
  } else if (kind == "for_layers") {
    options = ReadForLayers(fields);
  } else if (kind == "checkpoint") {
    options = initializers::FromCheckpointOptions{
        .checkpoint = fields.Text("checkpoint"),
        .fresh_layers = fields.Texts("fresh_layers"),
        .buffers = fields.Bool("buffers")};
  } else if (kind == "mean") {
    options = ReadMean(fields);
  } else if (kind == "shrink_perturb") {
    options = initializers::ShrinkPerturbOptions{
        .shrink = fields.Number("shrink", kShare),
        .perturb = fields.Number("perturb", kShare)};
  } else if (kind == "keep_blocks") {
    options = initializers::KeepBlocksOptions{
        .blocks = fields.Integer("blocks", 1, 1'000)};
  } else if (kind == "lsuv") {
    options = ReadLsuv(fields);
  } else if (kind == "metainit") {
    options = ReadMetainit(fields);
  } else if (kind == "gradinit") {
    options = ReadGradinit(fields);
  } else if (kind == "nio") {
    options = ReadNio(fields);
  } else if (kind == "conditional_orthogonal") {
    options = ReadConditionalOrthogonal(fields);
  } else if (kind == "ghn2") {
    options = initializers::FromGhn2Options{
        .weights = fields.Text("weights"),
        .predict_classifier = fields.Bool("predict_classifier")};
  } else if (absl::c_linear_search(WeightRuleKinds(), kind)) {
    std::visit([&](const auto& rule) { options = rule; },
               ReadWeightRule(kind, fields));
  }
  fields.Done();
  return options;
}

InitializerOptions ReadInitializer(SpecFields& spec) {
  std::vector<std::string> kinds = WeightRuleKinds();
  kinds.insert(kinds.begin(), "framework_default");
  kinds.insert(kinds.end(),
               {"zero_init_residual", "for_layers", "lsuv", "metainit",
                "gradinit", "nio", "checkpoint", "mean", "shrink_perturb",
                "keep_blocks", "conditional_orthogonal", "ghn2"});
  const std::vector<std::string> step_kinds = kinds;
  kinds.push_back("chain");
  auto [kind, fields] = spec.Kind("initializer", kinds);
  if (kind != "chain") return ReadStep(kind, fields);

  initializers::ChainOptions chain;
  for (SpecFields& step : fields.Objects("steps")) {
    auto [step_kind, step_fields] = step.Kind(step_kinds);
    chain.steps.push_back(ReadStep(step_kind, step_fields));
    step.Done();
  }
  if (chain.steps.empty()) fields.Refuse(fields.At("steps"), "is empty");
  fields.Done();
  if (chain.steps.empty()) return initializers::FrameworkDefaultOptions{};
  return chain;
}

}  // namespace
}  // namespace headstart::worker
