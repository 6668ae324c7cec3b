#include "scheduler/search/pruning_rules.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace headstart::scheduler {
namespace {

absl::Status CheckEpochs(const v1::TrainingSpec& spec, absl::string_view path) {
  const v1::Pruning& pruning = spec.pruning();
  const int64_t first = pruning.epochs_per_level();
  const int64_t other = first - pruning.rewind_epoch();
  const auto after = [&](int64_t levels) {
    return first + (levels - 1) * other;
  };
  if (spec.epochs() < after(2)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ".epochs_per_level: two levels are ", after(2),
        " epochs, but the run has ", spec.epochs(),
        ". Nothing would be pruned: give it more epochs or shorter levels."));
  }
  const int64_t levels = 1 + (spec.epochs() - first) / other;
  const int64_t left_over = spec.epochs() - after(levels);
  if (left_over == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path, ".epochs_per_level: ", levels, " levels are ", after(levels),
      " epochs, which leaves ", left_over, " of ", spec.epochs(),
      " over. Set epochs to ", after(levels), " or ", after(levels + 1), "."));
}

}  // namespace

int64_t ScheduleEpochs(const v1::TrainingSpec& spec) {
  return spec.has_pruning() ? spec.pruning().epochs_per_level() : spec.epochs();
}

std::optional<int64_t> LevelEndingWith(const v1::TrainingSpec& spec,
                                       int64_t epoch) {
  if (!spec.has_pruning()) return std::nullopt;
  const v1::Pruning& pruning = spec.pruning();
  const int64_t behind = epoch - pruning.epochs_per_level();
  const int64_t other = pruning.epochs_per_level() - pruning.rewind_epoch();
  if (behind < 0 || behind % other != 0) return std::nullopt;
  return 1 + behind / other;
}

absl::Status CheckPruning(const v1::TrainingSpec& spec,
                          absl::string_view prefix) {
  if (!spec.has_pruning()) return absl::OkStatus();
  const v1::Pruning& pruning = spec.pruning();
  const std::string path =
      prefix.empty() ? "pruning" : absl::StrCat(prefix, ".pruning");
  const auto wrong = [&](absl::string_view field, absl::string_view message) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ".", field, ": ", message));
  };
  if (pruning.rewind_epoch() > 0) {
    if (pruning.reset() != v1::RESET_TO_START) {
      return wrong("rewind_epoch",
                   "is for reset RESET_TO_START only. Leave it out.");
    }
    if (pruning.rewind_epoch() >= pruning.epochs_per_level()) {
      return wrong("rewind_epoch",
                   absl::StrCat("must be below epochs_per_level (",
                                pruning.epochs_per_level(), "), got ",
                                pruning.rewind_epoch(), "."));
    }
  }
  if (pruning.scope() == v1::PRUNE_GLOBALLY && pruning.output_rate() > 0) {
    return wrong("output_rate",
                 "must be 0 or left out with scope PRUNE_GLOBALLY, which "
                 "knows one rate.");
  }
  if (spec.has_early_stop()) {
    return wrong("epochs_per_level",
                 "the levels of a run that early_stop may end are not known. "
                 "Leave one of the two out.");
  }
  return CheckEpochs(spec, path);
}

}  // namespace headstart::scheduler
