// Whether storage has what a new study or training starts from.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "scheduler/core/command.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"

namespace headstart::scheduler {

// Calls `done` with what deciding `command` (CreateStudy, CreateTraining or
// CreateComparison) would say, or else with NotFound when storage lacks a
// checkpoint that it starts from: so a wrong epoch is an error, not a FAILED
// training. Nothing is created. A request that was answered before is OK
// whatever storage has.
void CheckSources(Engine& engine, StorageLink& storage, Command command,
                  absl::AnyInvocable<void(absl::Status)> done);

}  // namespace headstart::scheduler
