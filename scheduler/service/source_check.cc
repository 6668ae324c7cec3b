#include "scheduler/service/source_check.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/sources.h"

namespace headstart::scheduler {
namespace {

// What `command` would have storage keep; nothing when it is a repeat.
absl::StatusOr<std::vector<std::string>> SourcesOfCommand(
    const EngineView& view, const Command& command) {
  HS_ASSIGN_OR_RETURN(const Outcome outcome,
                      view.scheduler.Decide(command, view.now));
  // Arms of a comparison are several trainings.
  absl::btree_set<std::string> names;
  const auto add = [&](const std::vector<CheckpointName>& sources) {
    for (const CheckpointName& source : sources) {
      names.insert(source.ToString());
    }
  };
  for (const Event& event : outcome.events) {
    if (event.has_study_created()) {
      add(SourcesOf(event.study_created().spec()));
    } else if (event.has_training_created()) {
      add(SourcesOf(event.training_created().spec()));
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace

void CheckSources(Engine& engine, StorageLink& storage, Command command,
                  absl::AnyInvocable<void(absl::Status)> done) {
  const auto sources = std::make_shared<std::vector<std::string>>();
  engine.Read(
      [sources,
       command = std::move(command)](const EngineView& view) -> absl::Status {
        HS_ASSIGN_OR_RETURN(*sources, SourcesOfCommand(view, command));
        return absl::OkStatus();
      },
      [&storage, sources,
       done = std::move(done)](const absl::Status& decided) mutable {
        if (decided.ok()) {
          storage.CheckCheckpoints(std::move(*sources), std::move(done));
        } else {
          done(decided);
        }
      });
}

}  // namespace headstart::scheduler
