// Resource names, such as studies/7/trials/12/epochs/40: the only place that
// reads and writes them.
//
//   studies/{n}              studies/{n}/trials/{n}     .../epochs/{n}[/resume]
//   trainings/{n}            trainings/{n}/runs/{n}     .../epochs/{n}[/resume]
//   comparisons/{n}
//   studies/{n}/winner       studies/{n}/winner/epochs/{n}
//   imports                  imports/{name}             .../epochs/0
//   workers/{id}
//
// Numbers are decimal, without leading zeros, of at most 18 digits, from 1;
// epochs from 0. An import's name has 1 to 64 of a-z, 0-9, ".", "_" and "-",
// and begins with a letter or digit. Each Parse takes the whole text, and its
// error, always InvalidArgument, says how such a name is written.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace headstart {

// studies/{n}
struct StudyName {
  int64_t study = 0;

  static absl::StatusOr<StudyName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const StudyName&) const = default;
};

// trainings/{n}
struct TrainingName {
  int64_t training = 0;

  static absl::StatusOr<TrainingName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const TrainingName&) const = default;
};

// comparisons/{n}
struct ComparisonName {
  int64_t comparison = 0;

  static absl::StatusOr<ComparisonName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const ComparisonName&) const = default;
};

// What the names of imports begin with, and the parent of them all.
inline constexpr absl::string_view kImports = "imports";

enum class RunKind { kTrial, kTrainingRun, kImport };

// Where a checkpoint's weights come from. What is leased and trains:
// studies/{n}/trials/{n} or trainings/{n}/runs/{n}. Or imports/{name}: a
// person's file, which storage alone knows, with epoch 0 only.
struct RunName {
  RunKind kind = RunKind::kTrial;
  int64_t parent = 0;       // The study's or the training's number; imports: 0.
  int64_t number = 0;       // The trial's or the run's, within its parent.
  std::string import = {};  // The import's name; empty for the others.

  static RunName Trial(int64_t study, int64_t trial) {
    return {RunKind::kTrial, study, trial};
  }
  static RunName TrainingRun(int64_t training, int64_t run) {
    return {RunKind::kTrainingRun, training, run};
  }
  static RunName Import(std::string name) {
    return {RunKind::kImport, 0, 0, std::move(name)};
  }

  static absl::StatusOr<RunName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const RunName&) const = default;

  // studies/{n}, trainings/{n} or imports.
  std::string ParentString() const;
};

// The weights of a run after an epoch: {run}/epochs/{n}. Epoch 0 is the
// initial state.
struct CheckpointName {
  RunName run;
  int64_t epoch = 0;

  static absl::StatusOr<CheckpointName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const CheckpointName&) const = default;
};

// A manifest of an epoch: the weights' under the checkpoint's own name, or,
// under {checkpoint}/resume, that of what a run needs besides to go on.
struct ManifestName {
  CheckpointName checkpoint;
  bool resume = false;

  static absl::StatusOr<ManifestName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const ManifestName&) const = default;
};

// The best trial of a study, resolved when it is used: studies/{n}/winner, or
// its checkpoint of an epoch, studies/{n}/winner/epochs/{n}.
struct WinnerName {
  int64_t study = 0;
  std::optional<int64_t> epoch;

  static absl::StatusOr<WinnerName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const WinnerName&) const = default;
};

// workers/{id}; an id has 1 to 63 letters, digits, "-", "_" and ".".
struct WorkerName {
  std::string id;

  static absl::StatusOr<WorkerName> Parse(absl::string_view text);
  std::string ToString() const;
  auto operator<=>(const WorkerName&) const = default;
};

// For absl's hash containers.
template <typename H>
H AbslHashValue(H h, const StudyName& name) {
  return H::combine(std::move(h), name.study);
}
template <typename H>
H AbslHashValue(H h, const TrainingName& name) {
  return H::combine(std::move(h), name.training);
}
template <typename H>
H AbslHashValue(H h, const RunName& name) {
  return H::combine(std::move(h), name.kind, name.parent, name.number,
                    name.import);
}
template <typename H>
H AbslHashValue(H h, const CheckpointName& name) {
  return H::combine(std::move(h), name.run, name.epoch);
}
template <typename H>
H AbslHashValue(H h, const ManifestName& name) {
  return H::combine(std::move(h), name.checkpoint, name.resume);
}
template <typename H>
H AbslHashValue(H h, const WorkerName& name) {
  return H::combine(std::move(h), name.id);
}

}  // namespace headstart
