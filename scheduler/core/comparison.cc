#include "scheduler/core/comparison.h"

#include <cmath>
#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/struct.pb.h"

#include "base/check.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/sources.h"
#include "scheduler/core/state.h"
#include "scheduler/search/field_rules.h"
#include "scheduler/search/spec_error.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::scheduler {
namespace {

constexpr int kArmsMax = 50;
constexpr size_t kLabelLengthMax = 40;
constexpr absl::string_view kFinal = "final";

struct Arm {
  v1::ComparisonArm spec;  // With a label, and at most one of `epochs`.
  std::string path;        // Of what a person wrote.
  v1::Training training;   // To be resolved.
};

std::string ArmPath(absl::string_view prefix, int index) {
  return Below(prefix, absl::StrCat("arms[", index, "]"));
}

std::string InitializerKind(const v1::Initializer& initializer) {
  const google::protobuf::OneofDescriptor* kind =
      v1::Initializer::descriptor()->FindOneofByName("kind");
  const google::protobuf::FieldDescriptor* field =
      initializer.GetReflection()->GetOneofFieldDescriptor(initializer, kind);
  return field == nullptr ? "" : field->name();
}

// The epoch of the winner that an entry of `epochs` means; `last` for final.
absl::StatusOr<int64_t> EpochOf(const google::protobuf::Value& value,
                                int64_t last, absl::string_view path) {
  if (value.string_value() == kFinal) return last;
  const double number = value.number_value();
  if (!value.has_number_value() || number != std::floor(number) || number < 0 ||
      number > static_cast<double>(last)) {
    return Wrong(
        path, "epochs",
        absl::StrCat("must be whole numbers from 0 to ", last,
                     ", the epochs of the study's trials, or final, got ",
                     value.has_number_value()
                         ? absl::StrCat(number)
                         : absl::StrCat("\"", value.string_value(), "\""),
                     "."));
  }
  return static_cast<int64_t>(number);
}

absl::Status CheckEvaluate(const v1::Comparison& comparison,
                           const v1::TrainingSpec& written,
                           absl::string_view path) {
  if (comparison.metric() == v1::Comparison::TEST_ACCURACY &&
      written.evaluate() != v1::EVALUATE_UNSPECIFIED &&
      written.evaluate() != v1::TEST_EVERY_EPOCH) {
    return Wrong(path, "training.evaluate",
                 absl::StrCat("is ", v1::Evaluate_Name(written.evaluate()),
                              ", and TEST_ACCURACY is compared epoch by "
                              "epoch. Leave it out."));
  }
  return absl::OkStatus();
}

absl::Status CheckArm(const v1::Comparison& comparison,
                      const v1::ComparisonArm& arm, absl::string_view path) {
  if (arm.label().size() > kLabelLengthMax) {
    return Wrong(path, "label",
                 absl::StrCat("must have at most ", kLabelLengthMax,
                              " characters, got ", arm.label().size(), "."));
  }
  if (arm.epochs_size() > 0 && arm.has_initializer()) {
    return Wrong(path, "initializer",
                 "must not be set together with epochs, whose checkpoints are "
                 "the initializers. Leave one of them out.");
  }
  if (arm.epochs_size() > 0 && comparison.study().empty()) {
    return Wrong(path, "epochs",
                 "are those of a study's winner: set the comparison's study.");
  }
  if (arm.epochs_size() > 1 && !arm.label().empty()) {
    return Wrong(path, "label",
                 absl::StrCat("must be left out where there are several "
                              "epochs, here ",
                              arm.epochs_size(),
                              ". Write an arm for each to name them."));
  }
  if (arm.training().has_initializer()) {
    return Wrong(path, "training.initializer",
                 "must be left out. Set the arm's initializer.");
  }
  return CheckEvaluate(comparison, arm.training(), path);
}

// What an arm trains, before anything is resolved.
absl::StatusOr<v1::Training> TrainingOf(const v1::Comparison& comparison,
                                        const v1::ComparisonArm& arm,
                                        int64_t last_epoch,
                                        absl::string_view path) {
  v1::Training training;
  v1::TrainingSpec& spec = *training.mutable_training();
  spec = comparison.training();
  ReplaceFields(arm.training(), spec);
  if (arm.has_initializer()) *spec.mutable_initializer() = arm.initializer();
  if (arm.epochs_size() > 0) spec.clear_initializer();
  if (comparison.metric() == v1::Comparison::TEST_ACCURACY) {
    spec.set_evaluate(v1::TEST_EVERY_EPOCH);
  }
  if (!comparison.study().empty()) {
    v1::TrainingSource& from = *training.mutable_from();
    from.mutable_winner()->set_study(comparison.study());
    if (arm.epochs_size() > 0) {
      HS_ASSIGN_OR_RETURN(const int64_t epoch,
                          EpochOf(arm.epochs(0), last_epoch, path));
      from.mutable_winner()->set_epoch(epoch);
    } else {
      from.set_values_only(true);
    }
  }
  // Those of an arm's own come first.
  if (arm.training().epochs() == 0) training.set_epochs(comparison.epochs());
  *training.mutable_seeds() = comparison.seeds();
  return training;
}

std::string DefaultLabel(const v1::ComparisonArm& arm, int number) {
  if (arm.epochs_size() > 0) {
    return arm.epochs(0).has_number_value()
               ? absl::StrCat("epoch ", arm.epochs(0).number_value())
               : std::string(kFinal);
  }
  if (arm.has_initializer()) return InitializerKind(arm.initializer());
  return absl::StrCat("arm ", number);
}

absl::Status CheckWhole(const v1::Comparison& comparison,
                        absl::string_view prefix) {
  // What it shares with a training.
  v1::Training common;
  common.set_display_name(comparison.display_name());
  *common.mutable_seeds() = comparison.seeds();
  *common.mutable_training() = comparison.training();
  common.set_epochs(comparison.epochs());
  HS_RETURN_IF_ERROR(CheckTraining(common, prefix));
  if (comparison.metric() != v1::Comparison::VALIDATION_ACCURACY &&
      comparison.metric() != v1::Comparison::TEST_ACCURACY) {
    return Wrong(prefix, "metric",
                 "must be set: VALIDATION_ACCURACY or TEST_ACCURACY.");
  }
  if (comparison.has_target_accuracy() &&
      !(comparison.target_accuracy() > 0 &&
        comparison.target_accuracy() <= 1)) {
    return Wrong(prefix, "target_accuracy",
                 absl::StrCat("must be above 0 and at most 1, such as 0.9 for "
                              "90 %, got ",
                              comparison.target_accuracy(), "."));
  }
  return CheckEvaluate(comparison, comparison.training(), prefix);
}

// The arms one by one. `last_epoch` is the winner's, or the last that it can
// have.
absl::StatusOr<std::vector<Arm>> Unfold(const v1::Comparison& comparison,
                                        int64_t last_epoch,
                                        absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckWhole(comparison, prefix));
  std::vector<Arm> arms;
  absl::btree_set<std::string> labels;
  const auto add = [&](v1::ComparisonArm arm,
                       const std::string& path) -> absl::Status {
    HS_ASSIGN_OR_RETURN(v1::Training training,
                        TrainingOf(comparison, arm, last_epoch, path));
    if (arm.label().empty()) {
      arm.set_label(DefaultLabel(arm, static_cast<int>(arms.size()) + 1));
    }
    if (!labels.insert(arm.label()).second) {
      return Wrong(path, "label",
                   absl::StrCat("two arms are called \"", arm.label(),
                                "\". Give one another label."));
    }
    arms.push_back({std::move(arm), path, std::move(training)});
    return absl::OkStatus();
  };
  for (int i = 0; i < comparison.arms_size(); ++i) {
    v1::ComparisonArm arm = comparison.arms(i);
    const std::string path = ArmPath(prefix, i);
    HS_RETURN_IF_ERROR(CheckArm(comparison, arm, path));
    if (arm.epochs_size() < 2) {
      HS_RETURN_IF_ERROR(add(arm, path));
      continue;
    }
    for (const google::protobuf::Value& epoch : comparison.arms(i).epochs()) {
      arm.clear_epochs();
      *arm.add_epochs() = epoch;
      HS_RETURN_IF_ERROR(add(arm, path));
    }
  }
  const int count = static_cast<int>(arms.size());
  if (count < 2 || count > kArmsMax) {
    return Wrong(prefix, "arms",
                 absl::StrCat("there must be 2 to ", kArmsMax, ", got ", count,
                              ". Each epoch of `epochs` is one."));
  }
  if (!comparison.baseline().empty() &&
      !labels.contains(comparison.baseline())) {
    return Wrong(prefix, "baseline",
                 absl::StrCat("no arm is called \"", comparison.baseline(),
                              "\"; there are \"",
                              absl::StrJoin(labels, "\", \""), "\"."));
  }
  return arms;
}

absl::Status CheckMeasured(const v1::Comparison& comparison,
                           const v1::TrainingSpec& spec,
                           absl::string_view path) {
  if (comparison.metric() == v1::Comparison::VALIDATION_ACCURACY &&
      ValidationExamples(spec) == 0) {
    return Wrong(path, "training.dataset",
                 "has no validation split, and VALIDATION_ACCURACY is "
                 "compared. Set validation_examples, or compare "
                 "TEST_ACCURACY.");
  }
  return absl::OkStatus();
}

// `error` of an arm, told as the comparison's where `check` finds it in what
// the arms have in common too: that is where a person wrote it.
absl::Status ArmError(
    const v1::Comparison& comparison, absl::string_view prefix, const Arm& arm,
    const absl::Status& error,
    absl::FunctionRef<absl::Status(const v1::Training&, absl::string_view path)>
        check) {
  const absl::StatusOr<v1::Training> common =
      TrainingOf(comparison, v1::ComparisonArm(), /*last_epoch=*/0, "");
  const absl::Status shared =
      common.ok() ? check(*common, "") : common.status();
  if (shared.ok() || error.message() != Below(arm.path, shared.message())) {
    return error;
  }
  return absl::Status(error.code(), Below(prefix, shared.message()));
}

}  // namespace

v1::Comparison WrittenPart(const v1::Comparison& comparison) {
  v1::Comparison written = comparison;
  written.clear_name();
  written.clear_state();
  written.clear_state_message();
  written.clear_create_time();
  written.clear_end_time();
  written.clear_started_by_study();
  for (v1::ComparisonArm& arm : *written.mutable_arms()) {
    arm.clear_training_name();
    arm.clear_source_checkpoint();
  }
  return written;
}

Comparison::Comparison(const internal::v1::ComparisonCreated& event,
                       const Timestamp& time)
    : number(event.comparison()), spec(event.spec()), create_time(time) {
  for (const v1::ComparisonArm& arm : spec.arms()) {
    if (arm.training_name().empty()) continue;
    trainings.push_back(TrainingName::Parse(arm.training_name())->training);
  }
}

absl::StatusOr<ResolvedComparison> ResolveComparison(
    const State& state, const v1::Comparison& comparison,
    absl::string_view prefix, bool recorded) {
  int64_t last_epoch = 0;
  if (!comparison.study().empty()) {
    const absl::StatusOr<StudyName> study =
        StudyName::Parse(comparison.study());
    if (!study.ok()) return Annotate(study.status(), Below(prefix, "study"));
    const absl::StatusOr<State::TrialOfStudy> winner =
        state.GetTrial(WinnerName{study->study, std::nullopt}.ToString());
    if (!winner.ok()) return Annotate(winner.status(), Below(prefix, "study"));
    last_epoch = winner->trial->run.recorded_epoch();
  }
  HS_ASSIGN_OR_RETURN(const std::vector<Arm> arms,
                      Unfold(comparison, last_epoch, prefix));
  ResolvedComparison resolved;
  resolved.spec = comparison;
  resolved.spec.clear_arms();
  const auto resolve =
      [&](const v1::Training& written,
          absl::string_view path) -> absl::StatusOr<v1::Training> {
    HS_ASSIGN_OR_RETURN(
        v1::Training training,
        ResolveTraining(state, written, path,
                        recorded ? &written.training() : nullptr));
    HS_RETURN_IF_ERROR(
        CheckMeasured(comparison, training.resolved_training(), path));
    return training;
  };
  for (const Arm& arm : arms) {
    absl::StatusOr<v1::Training> training = resolve(arm.training, arm.path);
    if (!training.ok()) {
      return ArmError(comparison, prefix, arm, training.status(),
                      [&](const v1::Training& common, absl::string_view path) {
                        return resolve(common, path).status();
                      });
    }
    v1::ComparisonArm& kept = *resolved.spec.add_arms();
    kept = arm.spec;
    kept.set_source_checkpoint(training->source_checkpoint());
    resolved.trainings.push_back(*std::move(training));
  }
  if (resolved.spec.baseline().empty()) {
    resolved.spec.set_baseline(resolved.spec.arms(0).label());
  }
  return resolved;
}

absl::Status CheckThenComparison(const State& state, const v1::Study& study,
                                 const v1::Comparison& comparison,
                                 absl::string_view prefix) {
  if (!comparison.study().empty()) {
    return Wrong(prefix, "study", "must be left out, it is this study.");
  }
  v1::Comparison wanted = comparison;
  wanted.set_study("studies/1");  // Any: it says that there is one.
  HS_ASSIGN_OR_RETURN(const std::vector<Arm> arms,
                      Unfold(wanted, study.training().epochs(), prefix));
  const auto check = [&](const v1::Training& written,
                         absl::string_view path) -> absl::Status {
    HS_RETURN_IF_ERROR(CheckTraining(written, path));
    HS_ASSIGN_OR_RETURN(const v1::TrainingSpec spec,
                        InheritSpec(state, &study.training(), written, path,
                                    /*recorded=*/&written.training()));
    return CheckMeasured(wanted, spec, path);
  };
  for (const Arm& arm : arms) {
    if (const absl::Status status = check(arm.training, arm.path);
        !status.ok()) {
      return ArmError(wanted, prefix, arm, status, check);
    }
    // A checkpoint that there is not is found now and not when the study ends.
    v1::Initializer initializer = arm.training.training().initializer();
    HS_RETURN_IF_ERROR(
        ResolveInitializer(state, Below(arm.path, "initializer"), initializer));
  }
  return absl::OkStatus();
}

}  // namespace headstart::scheduler
