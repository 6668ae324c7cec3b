#include "client/cli/known_trainings.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/progress.h"
#include "client/cli/views.h"

namespace headstart::client {

void KnownTrainings::Read(const std::string& name) {
  const auto known = trainings_.find(name);
  if (known != trainings_.end() && IsOver(known->second)) return;
  v1::GetTrainingRequest request;
  request.set_name(name);
  auto training = client_.GetTraining(request);
  if (training.ok()) trainings_[name] = *std::move(training);
}

const v1::Training* KnownTrainings::Find(const std::string& name) const {
  const auto known = trainings_.find(name);
  return known == trainings_.end() ? nullptr : &known->second;
}

int64_t KnownTrainings::EpochsDone() const {
  int64_t epochs = 0;
  for (const auto& [name, training] : trainings_) {
    epochs += client::EpochsDone(training);
  }
  return epochs;
}

int64_t KnownTrainings::EpochsInAll() const {
  int64_t epochs = 0;
  for (const auto& [name, training] : trainings_) {
    epochs += client::EpochsInAll(training);
  }
  return epochs;
}

void KnownTrainings::SayChanges(Printer& printer) {
  for (const auto& [name, training] : trainings_) {
    const std::string notable = StatesText(training);
    if (said_[name] == notable) continue;
    said_[name] = notable;
    printer.Progress(absl::StrCat(
        name, training.arm_of().empty() ? "" : " (",
        training.arm_of().empty() ? "" : training.display_name(),
        training.arm_of().empty() ? "" : ")", ": ",
        v1::Training::State_Name(training.state()),
        training.state_message().empty() ? "" : ": ", training.state_message(),
        ": ", absl::StrJoin(RunsParts(training), ", ")));
  }
}

}  // namespace headstart::client
