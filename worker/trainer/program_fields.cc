#include "worker/trainer/program_fields.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace headstart::worker {
namespace {

LayerWiseStages ReadLayerWise(SpecFields& fields) {
  return {.groups = fields.Integer("blocks", 2, 1'000),
          .repeats = fields.Integer("repeats", 1, 1'000),
          .rescale = fields.Enum<LayerWiseRescale>(
              "rescale", {{"RESCALE_LAYERS", LayerWiseRescale::kLayers},
                          {"RESCALE_PARAMETERS", LayerWiseRescale::kParameters},
                          {"RESCALE_NOTHING", LayerWiseRescale::kNothing}}),
          .normalization = fields.Enum<LayerWiseNormalization>(
              "normalization",
              {{"NORMALIZE_CHANNELS", LayerWiseNormalization::kChannels},
               {"NORMALIZE_TOGETHER", LayerWiseNormalization::kTogether},
               {"NORMALIZE_NOTHING", LayerWiseNormalization::kNothing}})};
}

void ReadMethod(SpecFields& stages, StagedTraining& staged) {
  auto [kind, fields] =
      stages.Kind({"shrink_perturb", "redraw", "keep", "layer_wise"});
  if (kind == "layer_wise") {
    const LayerWiseStages options = ReadLayerWise(fields);
    staged.count = options.groups * options.repeats;
    staged.method = options;
  } else {
    staged.count = stages.Integer("count", 1, 100'000);
  }
  if (kind == "shrink_perturb") {
    staged.method =
        ShrinkPerturbStages{.shrink = fields.Number("shrink", kShare),
                            .perturb = fields.Number("perturb", kShare)};
  } else if (kind == "redraw") {
    staged.method = RedrawAll{};
  } else if (kind == "keep") {
    staged.method = KeepWeights{};
  }
  fields.Done();
}

}  // namespace

std::optional<IterativePruning> ReadPruning(SpecFields& spec) {
  if (!spec.Has("pruning")) return std::nullopt;
  SpecFields fields = spec.Object("pruning");
  IterativePruning pruning = {
      .prune = {.rate =
                    fields.Number("rate", {.min = 0, .above = true, .max = 1}),
                .output_rate = std::nullopt,
                .scope = fields.Enum<PruningScope>(
                    "scope", {{"PRUNE_BY_TENSOR", PruningScope::kTensor},
                              {"PRUNE_BY_LAYER", PruningScope::kLayer},
                              {"PRUNE_GLOBALLY", PruningScope::kGlobal}}),
                .rounding = fields.Enum<PruningRounding>(
                    "rounding",
                    {{"ROUND_DOWN", PruningRounding::kFloor},
                     {"ROUND_NEAREST", PruningRounding::kRound},
                     {"ROUND_UP", PruningRounding::kCeil},
                     {"ROUND_AS_GOOGLE", PruningRounding::kGoogle},
                     {"ROUND_AS_OPEN_LTH", PruningRounding::kOpenLth}}),
                .order = fields.Enum<PruningOrder>(
                    "order", {{"SMALLEST_MAGNITUDE", PruningOrder::kMagnitude},
                              {"BY_LOT", PruningOrder::kRandom}})},
      .biases = fields.Bool("biases"),
      .epochs_per_level = fields.Integer("epochs_per_level", 1, 100'000),
      .reset = fields.Enum<PruningReset>(
          "reset",
          {{"RESET_TO_START", PruningReset::kStart},
           {"RESET_TO_FRAMEWORK_DEFAULT", PruningReset::kFrameworkDefault},
           {"RESET_NOTHING", PruningReset::kNothing}}),
      .rewind_epoch = fields.Integer("rewind_epoch", 0, 100'000),
      .reset_optimizer = fields.Bool("reset_optimizer")};
  if (fields.Has("output_rate")) {
    pruning.prune.output_rate = fields.Number("output_rate", kBelowOne);
  }
  if (pruning.rewind_epoch >= pruning.epochs_per_level) {
    fields.Refuse(fields.At("rewind_epoch"), "is not below epochs_per_level");
  }
  fields.Done();
  return pruning;
}

std::optional<StagedTraining> ReadStages(SpecFields& spec, int64_t epochs) {
  if (!spec.Has("stages")) return std::nullopt;
  SpecFields fields = spec.Object("stages");
  StagedTraining stages = {.count = 1,
                           .method = KeepWeights{},
                           .distillation = {},
                           .reset_optimizer = fields.Bool("reset_optimizer"),
                           .growing_data = fields.Bool("growing_data")};
  ReadMethod(fields, stages);
  if (epochs % stages.count != 0) {
    fields.Refuse(fields.At("count"),
                  absl::StrCat(stages.count, " stages do not divide ", epochs,
                               " epochs"));
  }
  if (fields.Has("distillation")) {
    SpecFields distillation = fields.Object("distillation");
    stages.distillation = {
        .weight = distillation.Number("weight", kPositive),
        .cached = distillation.Enum<bool>(
            "targets", {{"RECOMPUTED", false}, {"CACHED", true}})};
    distillation.Done();
  }
  fields.Done();
  return stages;
}

}  // namespace headstart::worker
