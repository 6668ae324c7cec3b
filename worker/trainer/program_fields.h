// What a TrainingSpec says of phases.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/spec_fields/spec_fields.h"
#include "worker/training/pruning.h"
#include "worker/training/stages.h"

namespace headstart::worker {

// The fields `pruning` and `stages` of `spec`; nothing where they are absent.
// Problems go where SpecFields says.
std::optional<IterativePruning> ReadPruning(SpecFields& spec);
std::optional<StagedTraining> ReadStages(SpecFields& spec, int64_t epochs);

}  // namespace headstart::worker
