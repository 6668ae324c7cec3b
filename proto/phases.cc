#include "proto/phases.h"

#include "absl/strings/str_cat.h"

namespace headstart {

int64_t StageCount(const v1::Stages& stages) {
  return stages.has_layer_wise()
             ? stages.layer_wise().blocks() * stages.layer_wise().repeats()
             : stages.count();
}

int64_t ScheduleEpochs(const v1::TrainingSpec& spec) {
  if (spec.has_pruning()) return spec.pruning().epochs_per_level();
  const int64_t stages = StageCount(spec.stages());
  return stages > 0 ? spec.epochs() / stages : spec.epochs();
}

std::optional<Phase> PhaseOf(const v1::TrainingSpec& spec, int64_t epoch) {
  if (!spec.has_pruning() && !spec.has_stages()) return std::nullopt;
  if (epoch < 1) return std::nullopt;
  // Rewound levels but the first are shorter.
  const int64_t first = ScheduleEpochs(spec);
  const int64_t other = first - spec.pruning().rewind_epoch();
  if (other < 1) return std::nullopt;
  const auto number = [&](int64_t at) {
    return at <= first ? 1 : 2 + (at - first - 1) / other;
  };
  return Phase{.name = absl::StrCat(spec.has_pruning() ? "level " : "stage ",
                                    number(epoch)),
               .count = number(spec.epochs()),
               .ends = number(epoch + 1) > number(epoch)};
}

}  // namespace headstart
