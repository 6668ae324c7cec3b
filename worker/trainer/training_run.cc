#include "worker/trainer/training_run.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "base/random_stream.h"
#include "base/status_macros.h"
#include "initializers/state_dict.h"
#include "worker/models/registry.h"
#include "worker/trainer/initializer_data.h"
#include "worker/trainer/phase_timer.h"
#include "worker/trainer/pruner.h"
#include "worker/trainer/pulse.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/slab_source.h"
#include "worker/trainer/stager.h"

namespace headstart::worker {
namespace {

using initializers::InitializationReport;
using initializers::LearningProgress;
using initializers::NamedTensor;

absl::Status CheckEpochs(const Assign& assign, const Recipe& recipe);
absl::Status CheckBatchSize(const Recipe& recipe, int64_t training_examples);
void SeedDefaultGenerator(int64_t seed);
void SetGeneratorState(const at::Tensor& state);
void ListState(TrainingRun& run);
absl::StatusOr<std::vector<InitializationReport>> Initialize(TrainingRun& run,
                                                             int64_t seed,
                                                             SlabSource& source,
                                                             Clock& clock,
                                                             Host& host);
absl::StatusOr<std::unique_ptr<TrainingProgram>> MakeProgram(
    const TrainingRun& run, int64_t seed, ModelFactory make_model);
absl::Status TakeMasks(TrainingRun& run, SlabSource& source);
absl::Status Resume(TrainingRun& run, int64_t from_epoch,
                    const SlabSource& source);
Initializing ToMessage(const LearningProgress& progress);
Started ReadBack(const TrainingRun& run, const Assign& assign,
                 const std::vector<InitializationReport>& reports);

}  // namespace

absl::StatusOr<TrainingRun> PrepareRun(const Assignment& assignment,
                                       DatasetReader& datasets,
                                       const Plugins& plugins, Clock& clock,
                                       Host& host) {
  const Assign& assign = assignment.assign;
  HS_ASSIGN_OR_RETURN(Recipe recipe, ParseRecipe(assign.training_json));
  HS_RETURN_IF_ERROR(CheckEpochs(assign, recipe));
  SeedDefaultGenerator(assign.seed);
  HS_ASSIGN_OR_RETURN(
      TrainingData data,
      datasets.ReadTraining(recipe.dataset, assign.seed, recipe.augmentation));
  HS_RETURN_IF_ERROR(CheckBatchSize(recipe, data.training.size()));
  at::globalContext().setDeterministicAlgorithms(recipe.deterministic,
                                                 /*warn_only=*/false);
  const InputInfo& info = data.training.info();
  const ModelShape shape = {.channels = info.channels,
                            .height = info.height,
                            .width = info.width,
                            .classes = info.classes};
  const ModelFactory make_model =
      [recipe, shape, &plugins]() -> absl::StatusOr<std::shared_ptr<Model>> {
    // What a plug-in's constructors draw is no part of the run's numbers.
    const KeptGenerator kept;
    HS_ASSIGN_OR_RETURN(std::shared_ptr<Model> model,
                        recipe.model_plugin.has_value()
                            ? plugins.MakeModel(*recipe.model_plugin, shape)
                            : MakeModel(recipe.model, shape));
    SetWeightType(*model, recipe.precision);
    return model;
  };
  HS_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, make_model());
  HS_RETURN_IF_ERROR(CheckTensors(initializers::StateDict(*model)));
  OptimizedParameters parameters = ListParameters(*model);
  TrainingRun run = {
      .recipe = recipe,
      .data = std::move(data),
      .model = std::move(model),
      .optimizer = MakeOptimizer(recipe.optimizer, std::move(parameters)),
      .program = {},
      .state = {},
      .generator = {},
      .position = at::zeros({}, at::kLong),
      .started = {}};
  HS_ASSIGN_OR_RETURN(run.program, MakeProgram(run, assign.seed, make_model));
  ListState(run);

  SlabSource source(assignment);
  std::vector<InitializationReport> reports;
  if (assign.from_epoch == 0) {
    TakePeakMemory();
    {
      const PhaseTimer timer(clock, run.initialize_seconds);
      HS_ASSIGN_OR_RETURN(reports,
                          Initialize(run, assign.seed, source, clock, host));
    }
    HS_RETURN_IF_ERROR(TakeMasks(run, source));
    if (run.program != nullptr) HS_RETURN_IF_ERROR(run.program->Begin());
    run.initialize_peak_bytes = TakePeakMemory();
  } else {
    HS_RETURN_IF_ERROR(Resume(run, assign.from_epoch, source));
  }
  run.started = ReadBack(run, assign, reports);
  return run;
}

absl::Status CheckTensors(absl::Span<const NamedTensor> tensors) {
  absl::flat_hash_map<const void*, absl::string_view> seen;
  for (const NamedTensor& each : tensors) {
    if (!each.tensor.is_contiguous()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the model's ", each.name,
                       " is not contiguous; register tensor.contiguous()."));
    }
    const auto [first, is_new] =
        seen.emplace(each.tensor.unsafeGetTensorImpl(), each.name);
    if (!is_new) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the model's ", first->second, " and ", each.name,
          " are one tensor. Register it once, and use it in both places."));
    }
  }
  return absl::OkStatus();
}

void NoteEpoch(TrainingRun& run, int64_t epoch) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  run.generator.copy_(generator.get_state());
  run.position.fill_(epoch);
}

namespace {

absl::Status CheckEpochs(const Assign& assign, const Recipe& recipe) {
  if (assign.from_epoch >= 0 && assign.from_epoch < assign.until_epoch &&
      assign.until_epoch <= recipe.epochs) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("until_epoch: must be above from_epoch (", assign.from_epoch,
                   ") and at most training.epochs (", recipe.epochs, "), got ",
                   assign.until_epoch, "."));
}

absl::Status CheckBatchSize(const Recipe& recipe, int64_t training_examples) {
  if (recipe.batch_size <= training_examples) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "training.batch_size: must be at most the ", training_examples,
      " training examples, got ", recipe.batch_size, "."));
}

// The one place that seeds an assignment: this process may have served others.
void SeedDefaultGenerator(int64_t seed) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(RandomStream(seed).Child("training").Bits64());
}

void SetGeneratorState(const at::Tensor& state) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

void ListState(TrainingRun& run) {
  for (const NamedTensor& each : initializers::StateDict(*run.model)) {
    run.state.push_back({.name = each.name,
                         .tensor = each.tensor,
                         .role = each.is_buffer ? TensorRole::kBuffer
                                                : TensorRole::kParameter});
  }
  const auto append = [&](const std::vector<StateTensor>& tensors) {
    run.state.insert(run.state.end(), tensors.begin(), tensors.end());
  };
  if (run.program != nullptr) append(run.program->weights());
  for (const auto& [name, tensor] : run.optimizer->State()) {
    run.state.push_back({.name = absl::StrCat("optimizer.", name),
                         .tensor = tensor,
                         .role = TensorRole::kOptimizer});
  }
  if (run.program != nullptr) append(run.program->state());
  run.generator = at::detail::getDefaultCPUGenerator().get_state();
  run.state.push_back({.name = "generator",
                       .tensor = run.generator,
                       .role = TensorRole::kState});
  run.state.push_back(
      {.name = "position", .tensor = run.position, .role = TensorRole::kState});
}

absl::StatusOr<std::vector<InitializationReport>> Initialize(TrainingRun& run,
                                                             int64_t seed,
                                                             SlabSource& source,
                                                             Clock& clock,
                                                             Host& host) {
  const int64_t batch = initializers::LargestBatch(run.recipe.initializer);
  const int64_t examples = run.data.training.size();
  if (batch > examples) {
    return absl::InvalidArgumentError(absl::StrCat(
        "training.initializer: takes batches of ", batch,
        " examples, but there are ", examples, " training examples."));
  }
  Pulse pulse(clock, host);
  absl::Duration next_message = clock.Monotonic() + kProgressInterval;
  const auto note = [&](const LearningProgress& progress) {
    const absl::Duration now = clock.Monotonic();
    if (now < next_message) return;
    next_message = now + kProgressInterval;
    // That nobody listens shows with the next message that matters.
    host.Send(ToMessage(progress)).IgnoreError();
  };
  const auto cancelled = [&pulse] { return pulse(); };
  std::optional<InitializerData> data;
  if (batch > 0) {
    data.emplace(*run.model, run.data.training, batch, run.recipe.precision,
                 seed, cancelled, note);
  }
  at::Generator generator =
      at::detail::createCPUGenerator(InitializerSeed(seed));
  return initializers::MakeStart(run.recipe.initializer)
      .Apply(*run.model, {.generator = generator,
                          .weights = source,
                          .signal = data.has_value() ? &*data : nullptr});
}

absl::StatusOr<std::unique_ptr<TrainingProgram>> MakeProgram(
    const TrainingRun& run, int64_t seed, ModelFactory make_model) {
  const Recipe& recipe = run.recipe;
  if (recipe.pruning.has_value()) {
    return std::make_unique<Pruner>(*recipe.pruning, seed,
                                    std::move(make_model), *run.model,
                                    *run.optimizer);
  }
  if (!initializers::MasksIn(recipe.initializer).empty()) {
    // One level of all epochs: nothing more goes.
    const IterativePruning ticket = {.prune = {},
                                     .biases = true,
                                     .epochs_per_level = recipe.epochs,
                                     .reset = PruningReset::kNothing};
    return std::make_unique<Pruner>(ticket, seed, std::move(make_model),
                                    *run.model, *run.optimizer);
  }
  if (!recipe.stages.has_value()) return nullptr;
  return Stager::Make({.stages = *recipe.stages,
                       .epochs = recipe.epochs,
                       .seed = seed,
                       .initializer = recipe.initializer,
                       .make_model = std::move(make_model),
                       .examples = run.data.training,
                       .batch_size = recipe.batch_size,
                       .precision = recipe.precision},
                      *run.model, *run.optimizer);
}

// Of a ticket, whose program is a pruner; the initializer has applied them.
absl::Status TakeMasks(TrainingRun& run, SlabSource& source) {
  auto* pruner = dynamic_cast<Pruner*>(run.program.get());
  for (const std::string& name :
       initializers::MasksIn(run.recipe.initializer)) {
    HS_ASSIGN_OR_RETURN(const auto masks, source.OpenMasks(name));
    HS_RETURN_IF_ERROR(pruner->TakeMasks(masks));
  }
  return absl::OkStatus();
}

absl::Status Resume(TrainingRun& run, int64_t from_epoch,
                    const SlabSource& source) {
  HS_ASSIGN_OR_RETURN(const auto stored, source.OpenResume());
  std::vector<NamedTensor> tensors;
  for (const StateTensor& each : run.state) {
    tensors.push_back({.name = each.name, .tensor = each.tensor});
  }
  const auto skip_none = [](absl::string_view) { return false; };
  HS_RETURN_IF_ERROR(initializers::CompareStored("the state to resume from",
                                                 stored, tensors, skip_none));
  initializers::CopyStored(stored, tensors, skip_none);
  const int64_t position = run.position.item<int64_t>();
  if (position != from_epoch) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the state to resume from is that of epoch ", position,
        ", but the assignment goes on after epoch ", from_epoch, "."));
  }
  SetGeneratorState(run.generator);
  return absl::OkStatus();
}

Initializing ToMessage(const LearningProgress& progress) {
  Initializing message = {.kind = std::string(progress.kind),
                          .iteration = progress.iteration,
                          .iterations = progress.iterations};
  for (const auto& [name, value] : progress.values) {
    message.values.push_back({.name = std::string(name), .value = value});
  }
  return message;
}

InitializationStep ToMessage(const InitializationReport& report) {
  InitializationStep step = {.kind = report.kind,
                             .loaded_tensors = report.loaded_tensors,
                             .drawn_names = report.drawn_names};
  for (const auto& each : report.scaled) {
    step.scaled.push_back({.name = each.name, .factor = each.factor});
  }
  for (const auto& each : report.series) {
    step.series.push_back(
        {.name = each.name, .stride = each.stride, .values = each.values});
  }
  return step;
}

Started ReadBack(const TrainingRun& run, const Assign& assign,
                 const std::vector<InitializationReport>& reports) {
  int64_t parameter_count = 0;
  for (const at::Tensor& parameter : run.model->parameters()) {
    parameter_count += parameter.numel();
  }
  TensorTable table = MakeTable(run.state);
  const int64_t slab_bytes = SlabBytes(table);
  std::vector<InitializationStep> steps;
  for (const InitializationReport& report : reports) {
    steps.push_back(ToMessage(report));
  }
  return {.run = assign.run,
          .attempt = assign.attempt,
          .slab_bytes = slab_bytes,
          .tensors = std::move(table),
          .effective = {.learning_rate = run.optimizer->learning_rate(),
                        .batch_size = run.recipe.batch_size,
                        .parameter_count = parameter_count,
                        .training_examples = run.data.training.size(),
                        .validation_examples = run.data.validation.size(),
                        .thread_count = at::get_num_threads()},
          .model = run.recipe.model.name,
          .input_transform = InputTransform(run.data.training.info()),
          .initialization = std::move(steps)};
}

}  // namespace
}  // namespace headstart::worker
