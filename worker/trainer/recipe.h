// The TrainingSpec's JSON as typed structs.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "initializers/registry.h"
#include "worker/datasets/augmentation.h"
#include "worker/datasets/registry.h"
#include "worker/models/precision.h"
#include "worker/models/registry.h"
#include "worker/plugin/plugins.h"
#include "worker/trainer/loss.h"
#include "worker/training/optimizer.h"
#include "worker/training/pruning.h"
#include "worker/training/schedule.h"
#include "worker/training/stages.h"

namespace headstart::worker {

enum class TestWhen { kNever, kLastEpoch, kEveryEpoch };

// What one run does; the proto's TrainingSpec, field for field.
struct Recipe {
  // Of a plug-in's model only the name, plugin/<its name>/<its version>.
  ModelSpec model;
  std::optional<PluginSpec> model_plugin;
  DatasetSpec dataset;
  int64_t epochs;
  int64_t batch_size;
  OptimizerOptions optimizer;
  Schedule schedule;
  initializers::InitializerOptions initializer;
  TestWhen evaluate;
  LossOptions loss;
  AugmentationOptions augmentation;
  double clip_gradient_norm;  // 0: gradients are not clipped.
  Precision precision;
  int64_t accumulation_steps;
  // The validation accuracy that ends the run.
  std::optional<double> stop_accuracy;
  bool deterministic;
  bool evaluate_start;
  std::optional<IterativePruning> pruning;
  std::optional<StagedTraining> stages;  // Not with pruning.
};

// Reads a TrainingSpec in proto3 JSON with the proto's field names. Names turn
// into fields here and nowhere else: one that is unknown or missing fails the
// attempt before any data is read; only the model's options wait for MakeModel.
// Only repeated fields may be left out, since an empty one has no other form.
//   InvalidArgument  the message names the field's path and what is allowed.
absl::StatusOr<Recipe> ParseRecipe(absl::string_view training_json);

}  // namespace headstart::worker
