#include "worker/trainer/initializer_fields.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"

namespace headstart::worker {
namespace {

using initializers::InitializerOptions;

constexpr int64_t kBatchMax = 65'536;
constexpr int64_t kIterationsMax = 100'000;

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
  } else if (kind == "mask") {
    options = initializers::StoredMaskOptions{.checkpoint =
                                                  fields.Text("checkpoint")};
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

}  // namespace

InitializerOptions ReadInitializer(SpecFields& spec) {
  std::vector<std::string> kinds = WeightRuleKinds();
  kinds.insert(kinds.begin(), "framework_default");
  kinds.insert(kinds.end(),
               {"zero_init_residual", "for_layers", "lsuv", "metainit",
                "gradinit", "nio", "checkpoint", "mean", "shrink_perturb",
                "keep_blocks", "mask", "conditional_orthogonal", "ghn2"});
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

}  // namespace headstart::worker
