// Studies and trainings, as those who own runs, ask for slots and keep
// checkpoints.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/names.h"

namespace headstart::scheduler {

// studies/{n} or trainings/{n}. Trainings come first in order.
struct Owner {
  enum class Kind { kTraining, kStudy };

  Kind kind = Kind::kStudy;
  int64_t number = 0;

  static Owner Study(int64_t number) { return {Kind::kStudy, number}; }
  static Owner Training(int64_t number) { return {Kind::kTraining, number}; }
  // Not of an import, which has none.
  static Owner Of(const RunName& run) {
    return {run.kind == RunKind::kTrial ? Kind::kStudy : Kind::kTraining,
            run.parent};
  }
  static absl::StatusOr<Owner> Parse(absl::string_view text) {
    if (const auto study = StudyName::Parse(text); study.ok()) {
      return Study(study->study);
    }
    const auto training = TrainingName::Parse(text);
    if (!training.ok()) return training.status();
    return Training(training->training);
  }

  std::string ToString() const {
    return kind == Kind::kStudy ? StudyName{number}.ToString()
                                : TrainingName{number}.ToString();
  }
  auto operator<=>(const Owner&) const = default;
};

}  // namespace headstart::scheduler
