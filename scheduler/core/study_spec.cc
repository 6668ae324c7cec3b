#include "scheduler/core/study_spec.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "scheduler/core/comparison.h"
#include "scheduler/core/plugins.h"
#include "scheduler/core/sources.h"
#include "scheduler/search/registry.h"
#include "scheduler/search/space.h"
#include "scheduler/search/spec_defaults.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::scheduler {
namespace {

absl::Status CheckObjective(const v1::Study& study) {
  const v1::Objective& objective = study.objective();
  if (objective.metric() == v1::Objective::METRIC_UNSPECIFIED ||
      !v1::Objective::Metric_IsValid(objective.metric())) {
    return absl::InvalidArgumentError(
        "objective.metric: is required. Choose VALIDATION_ACCURACY, "
        "VALIDATION_LOSS or TRAINING_LOSS.");
  }
  if (objective.goal() == v1::Objective::GOAL_UNSPECIFIED ||
      !v1::Objective::Goal_IsValid(objective.goal())) {
    return absl::InvalidArgumentError(
        "objective.goal: is required. Choose MAXIMIZE or MINIMIZE.");
  }
  if (!v1::Objective::Ranking_IsValid(objective.rank())) {
    return absl::InvalidArgumentError(
        "objective.rank: must be MAX_EPOCHS_FIRST or OBJECTIVE_ONLY.");
  }
  if (objective.metric() != v1::Objective::TRAINING_LOSS &&
      ValidationExamples(study.training()) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "objective.metric: ", v1::Objective::Metric_Name(objective.metric()),
        " needs a validation split. Set training.",
        DatasetPath(study.training().dataset()),
        ".validation_examples above 0, such as 5000."));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view field, int64_t value, int64_t min) {
  if (value >= min) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must be ", min, " or more, got ", value, "."));
}

// An entry of `then` as it is recorded. Plug-ins are looked up now and not when
// the study ends: the workers may be others by then.
absl::StatusOr<v1::Training> KeepThen(const State& state,
                                      const v1::TrainingSpec& study,
                                      const v1::Training& written,
                                      absl::string_view path) {
  v1::Training kept;
  if (written.has_comparison()) {
    v1::Training rest = written;
    rest.clear_comparison();
    if (rest.ByteSizeLong() > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          path,
          ".comparison: must stand alone, and beside it is something of a "
          "training. Make two entries of them."));
    }
    v1::Comparison& comparison = *kept.mutable_comparison();
    comparison = WrittenPart(written.comparison());
    if (comparison.has_training()) {
      HS_RETURN_IF_ERROR(ResolvePlugins(
          state, {&study}, absl::StrCat(path, ".comparison.training"),
          *comparison.mutable_training()));
    }
    for (int i = 0; i < comparison.arms_size(); ++i) {
      if (!comparison.arms(i).has_training()) continue;
      HS_RETURN_IF_ERROR(ResolvePlugins(
          state, {&study, &comparison.training()},
          absl::StrCat(path, ".comparison.arms[", i, "].training"),
          *comparison.mutable_arms(i)->mutable_training()));
    }
    return kept;
  }
  kept.set_display_name(written.display_name());
  if (written.has_from()) *kept.mutable_from() = written.from();
  if (written.has_training()) {
    *kept.mutable_training() = written.training();
    HS_RETURN_IF_ERROR(ResolvePlugins(
        state, {written.from().has_winner() ? &study : nullptr},
        absl::StrCat(path, ".training"), *kept.mutable_training()));
  }
  kept.set_epochs(written.epochs());
  *kept.mutable_seeds() = written.seeds();
  *kept.mutable_keep_epochs() = written.keep_epochs();
  return kept;
}

// What can be said of the trainings that follow before there is a winner.
absl::Status CheckThen(const State& state, const v1::Study& study) {
  if (study.then_size() > 20) {
    return absl::InvalidArgumentError(absl::StrCat(
        "then: there must be at most 20, got ", study.then_size(), "."));
  }
  for (int i = 0; i < study.then_size(); ++i) {
    const v1::Training& training = study.then(i);
    const std::string path = absl::StrCat("then[", i, "]");
    if (training.has_comparison()) {
      HS_RETURN_IF_ERROR(CheckThenComparison(
          state, study, training.comparison(), path + ".comparison"));
      continue;
    }
    HS_RETURN_IF_ERROR(CheckTraining(training, path));
    const bool winner = training.from().has_winner();
    if (winner && !training.from().winner().study().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ".from.winner.study: must be left out, it is this study."));
    }
    const int64_t epoch = training.from().winner().epoch();
    if (winner && (epoch < 0 || epoch > study.training().epochs())) {
      return absl::InvalidArgumentError(absl::StrCat(
          path,
          ".from.winner.epoch: must be from 0 to training.epochs, which "
          "is ",
          study.training().epochs(), ", got ", epoch, "."));
    }
    // A checkpoint's own spec is known when it is resolved.
    if (!training.from().has_checkpoint()) {
      HS_RETURN_IF_ERROR(InheritSpec(state,
                                     winner ? &study.training() : nullptr,
                                     training, path)
                             .status());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Study> CompleteStudy(const State& state,
                                        const v1::Study& study) {
  v1::Study complete;
  if (study.display_name().size() > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("display_name: must have at most 100 characters, got ",
                     study.display_name().size(), "."));
  }
  complete.set_display_name(study.display_name());
  v1::TrainingSpec training = study.training();
  HS_RETURN_IF_ERROR(
      ResolvePlugins(state, /*recorded=*/{}, "training", training));
  HS_ASSIGN_OR_RETURN(*complete.mutable_training(),
                      CompleteSpec(training, "training"));
  const bool searches_stop =
      absl::c_any_of(study.search().parameters(), [](const auto& parameter) {
        return parameter.path() == "early_stop" ||
               absl::StartsWith(parameter.path(), "early_stop.");
      });
  if (study.search().has_asha() &&
      (study.training().has_early_stop() || searches_stop)) {
    return absl::InvalidArgumentError(
        "training.early_stop: cannot go with search.asha, which ends trials at "
        "its rungs. Leave it out, or search with random or grid.");
  }

  *complete.mutable_search() = study.search();
  FillSearchDefaults(*complete.mutable_search());
  const absl::StatusOr<Space> space =
      Space::Create(complete.search().parameters(), complete.training());
  if (!space.ok()) {
    return absl::Status(space.status().code(),
                        absl::StrCat("search.", space.status().message()));
  }
  const absl::StatusOr<std::unique_ptr<SearchMethod>> method =
      CreateSearchMethod(complete.search(), *space,
                         complete.training().epochs());
  if (!method.ok()) {
    return absl::Status(method.status().code(),
                        absl::StrCat("search.", method.status().message()));
  }

  *complete.mutable_objective() = study.objective();
  HS_RETURN_IF_ERROR(CheckObjective(complete));
  if (complete.objective().rank() == v1::Objective::RANKING_UNSPECIFIED) {
    complete.mutable_objective()->set_rank(DefaultRanking(complete.search()));
  }

  v1::Retention& retention = *complete.mutable_retention();
  retention = study.retention();
  if (retention.best_trials() == 0) retention.set_best_trials(3);
  HS_RETURN_IF_ERROR(
      CheckCount("retention.best_trials", retention.best_trials(), 1));
  if (retention.keep_paused() == v1::Retention::KEEP_PAUSED_UNSPECIFIED) {
    retention.set_keep_paused(v1::Retention::ALL_EPOCHS);
  }

  complete.set_seed(study.seed());

  v1::FailurePolicy& policy = *complete.mutable_failure_policy();
  policy = DefaultFailurePolicy();
  policy.MergeFrom(study.failure_policy());
  HS_RETURN_IF_ERROR(
      CheckCount("failure_policy.max_retries", policy.max_retries(), 0));
  HS_RETURN_IF_ERROR(
      CheckCount("failure_policy.max_losses", policy.max_losses(), 0));
  HS_RETURN_IF_ERROR(CheckCount("failure_policy.max_failed_trials",
                                policy.max_failed_trials(), 0));

  for (int i = 0; i < study.then_size(); ++i) {
    HS_ASSIGN_OR_RETURN(*complete.add_then(),
                        KeepThen(state, complete.training(), study.then(i),
                                 absl::StrCat("then[", i, "]")));
  }
  HS_RETURN_IF_ERROR(CheckThen(state, complete));
  HS_RETURN_IF_ERROR(ResolveSources(state, complete));
  return complete;
}

v1::FailurePolicy DefaultFailurePolicy() {
  v1::FailurePolicy policy;
  policy.set_max_retries(1);
  policy.set_max_losses(10);
  return policy;
}

v1::StudyPlan PlanOf(const v1::Study& study, int64_t slot_count) {
  const absl::StatusOr<Space> space =
      Space::Create(study.search().parameters(), study.training());
  HS_CHECK_OK(space.status());
  const absl::StatusOr<std::unique_ptr<SearchMethod>> method =
      CreateSearchMethod(study.search(), *space, study.training().epochs());
  HS_CHECK_OK(method.status());
  const std::vector<int64_t>& rungs = (*method)->rung_epochs();
  const int64_t trial_count = (*method)->trial_count();
  const int64_t reduction =
      study.search().has_asha() ? study.search().asha().reduction() : 1;

  v1::StudyPlan plan;
  plan.set_trial_count(trial_count);
  int64_t trials = trial_count;
  int64_t epochs = 0;
  int64_t trained_before = 0;
  for (const int64_t rung_epochs : rungs) {
    v1::StudyPlan::Rung& rung = *plan.add_rungs();
    rung.set_epochs(rung_epochs);
    rung.set_trials(trials);
    epochs += trials * (rung_epochs - trained_before);
    trained_before = rung_epochs;
    trials /= reduction;
  }
  plan.set_epochs(epochs);

  // Checkpoints at any time: all epochs of what trains and of the best trials,
  // and at each rung but the last those of at most one in `reduction` of all
  // trials that wait there for a promotion.
  const int64_t all_epochs = rungs.back() + 1;  // With epoch 0.
  int64_t checkpoints =
      (std::max<int64_t>(slot_count, 1) + study.retention().best_trials()) *
      all_epochs;
  for (size_t i = 0; i + 1 < rungs.size(); ++i) {
    const bool rung_only =
        study.retention().keep_paused() == v1::Retention::RUNG_ONLY;
    checkpoints += trial_count / reduction * (rung_only ? 1 : rungs[i] + 1);
  }
  checkpoints = std::min(checkpoints, trial_count * all_epochs);
  plan.set_bytes_max(checkpoints * ModelBytes(study.training()));
  return plan;
}

}  // namespace headstart::scheduler
