#include "scheduler/search/phase_rules.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "proto/phases.h"
#include "scheduler/search/spec_error.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::scheduler {
namespace {

absl::Status CheckLevels(const v1::TrainingSpec& spec, absl::string_view path) {
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

absl::Status CheckPruning(const v1::TrainingSpec& spec,
                          absl::string_view path) {
  const v1::Pruning& pruning = spec.pruning();
  if (pruning.rewind_epoch() > 0) {
    if (pruning.reset() != v1::RESET_TO_START) {
      return Wrong(path, "rewind_epoch",
                   "is for reset RESET_TO_START only. Leave it out.");
    }
    if (pruning.rewind_epoch() >= pruning.epochs_per_level()) {
      return Wrong(path, "rewind_epoch",
                   absl::StrCat("must be below epochs_per_level (",
                                pruning.epochs_per_level(), "), got ",
                                pruning.rewind_epoch(), "."));
    }
  }
  if (pruning.scope() == v1::PRUNE_GLOBALLY && pruning.output_rate() > 0) {
    return Wrong(path, "output_rate",
                 "must be 0 or left out with scope PRUNE_GLOBALLY, which "
                 "knows one rate.");
  }
  if (spec.has_early_stop()) {
    return Wrong(path, "epochs_per_level",
                 "the levels of a run that early_stop may end are not known. "
                 "Leave one of the two out.");
  }
  return CheckLevels(spec, path);
}

absl::Status CheckStageCount(const v1::TrainingSpec& spec,
                             absl::string_view path) {
  const v1::Stages& stages = spec.stages();
  const int64_t count = StageCount(stages);
  if (stages.has_layer_wise() && stages.has_count()) {
    return Wrong(path, "count",
                 absl::StrCat("layer_wise has blocks * repeats = ", count,
                              " stages. Leave it out."));
  }
  if (count == 0) return Wrong(path, "count", "is required.");
  const int64_t left_over = spec.epochs() % count;
  if (left_over == 0) return absl::OkStatus();
  const int64_t whole = spec.epochs() - left_over;
  return Wrong(path, stages.has_layer_wise() ? "layer_wise.blocks" : "count",
               absl::StrCat(count, " stages of ", spec.epochs() / count,
                            " epochs leave ", left_over, " of ", spec.epochs(),
                            " over. Set epochs to ",
                            whole == 0 ? "" : absl::StrCat(whole, " or "),
                            whole + count, "."));
}

absl::Status CheckStages(const v1::TrainingSpec& spec, absl::string_view path) {
  const v1::Stages& stages = spec.stages();
  HS_RETURN_IF_ERROR(CheckStageCount(spec, path));
  const int64_t count = StageCount(stages);
  if (stages.has_distillation()) {
    if (count == 1) {
      return Wrong(path, "distillation",
                   "a single stage has none before it to learn from. Leave it "
                   "out, or set count to 2 or more.");
    }
    if (stages.distillation().targets() == v1::CACHED &&
        spec.augmentation().mixup_alpha() > 0) {
      return Wrong(path, "distillation.targets",
                   "must be RECOMPUTED with augmentation.mixup_alpha: what the "
                   "teacher says of single images does not fit mixed ones.");
    }
  }
  const std::optional<int64_t> examples = TrainingExamples(spec);
  if (stages.growing_data() && examples.has_value() &&
      spec.batch_size() > *examples / count) {
    return Wrong(path, "growing_data",
                 absl::StrCat("the first stage has ", *examples / count,
                              " examples, fewer than batch_size (",
                              spec.batch_size(), ")."));
  }
  return absl::OkStatus();
}

}  // namespace

bool HasMask(const v1::Initializer& initializer) {
  if (initializer.has_mask()) return true;
  for (const v1::Initializer& step : initializer.chain().steps()) {
    if (step.has_mask()) return true;
  }
  return false;
}

absl::Status CheckPhases(const v1::TrainingSpec& spec,
                         absl::string_view prefix) {
  if (spec.has_pruning() && spec.has_stages()) {
    return absl::InvalidArgumentError(absl::StrCat(
        Below(prefix, "stages"),
        ": must be left out of a run with pruning, or pruning of one with "
        "stages."));
  }
  if (spec.has_stages() && HasMask(spec.initializer())) {
    return absl::InvalidArgumentError(absl::StrCat(
        Below(prefix, "stages"),
        ": must be left out of a run whose initializer has a mask, which no "
        "stage would keep."));
  }
  if (spec.has_pruning()) return CheckPruning(spec, Below(prefix, "pruning"));
  if (spec.has_stages()) return CheckStages(spec, Below(prefix, "stages"));
  return absl::OkStatus();
}

}  // namespace headstart::scheduler
