// The commands about trainings.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "client/cli/handlers.h"
#include "client/cli/paging.h"
#include "client/cli/study_file.h"
#include "client/cli/training_progress.h"
#include "client/cli/views.h"
#include "client/cli/watch.h"

namespace headstart::client {
namespace {

// The training of a file, if there is one, with what flags say on top.
absl::StatusOr<v1::Training> TrainingOfFlags(const Flags& flags) {
  v1::Training training;
  if (!flags.file.empty()) {
    absl::StatusOr<v1::Training> file = ReadTrainingFile(flags.file);
    if (!file.ok()) return UsageError(file.status().message());
    training = *std::move(file);
  }
  if (!flags.from.empty()) {
    const absl::StatusOr<WinnerName> winner = WinnerName::Parse(flags.from);
    if (winner.ok() && winner->epoch) {
      auto& source = *training.mutable_from()->mutable_winner();
      source.set_study(StudyName{.study = winner->study}.ToString());
      source.set_epoch(*winner->epoch);
    } else {
      training.mutable_from()->set_checkpoint(flags.from);
    }
  }
  if (flags.epochs > 0) training.set_epochs(flags.epochs);
  if (!flags.seeds.empty()) {
    training.mutable_seeds()->Assign(flags.seeds.begin(), flags.seeds.end());
  }
  return training;
}

}  // namespace

absl::Status WatchTrainingToItsEnd(Session& session, const std::string& name) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  Printer& printer = session.printer();
  v1::WatchTrainingRequest request;
  request.set_name(name);
  v1::Training last;
  TrainingProgress progress(*client, printer, session.clock());
  HS_RETURN_IF_ERROR(
      client->WatchTraining(request, [&](const v1::Training& training) {
        last = training;
        if (printer.json()) {
          printer.Json(training);
        } else {
          progress.Update(training);
        }
        return true;
      }));
  printer.Redraw({});  // All that it showed is in what follows.
  printer.Show(TrainingLines(last));
  if (last.state() == v1::Training::SUCCEEDED) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      name, " is ", v1::Training::State_Name(last.state()),
      last.state_message().empty() ? "" : ": ", last.state_message()));
}

absl::Status CreateTraining(Session& session) {
  const Flags& flags = session.flags();
  if (flags.file.empty() && flags.from.empty()) {
    return UsageError(
        "trainings create: say with --from which checkpoint it starts from, "
        "or with -f which file describes it.");
  }
  v1::CreateTrainingRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_training(), TrainingOfFlags(flags));
  request.set_validate_only(flags.dry_run);
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(const v1::Training training,
                      client->CreateTraining(std::move(request)));
  if (flags.dry_run) {
    session.Answer(training, TrainingLines(training));
    return absl::OkStatus();
  }
  if (session.printer().json()) {
    session.printer().Json(training);
  } else {
    session.printer().Result(training.name());
  }
  if (!flags.watch) return absl::OkStatus();
  return WatchTrainingToItsEnd(session, training.name());
}

absl::Status ListTrainings(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(
      const std::vector<v1::Training> trainings,
      ReadPages(
          v1::ListTrainingsRequest(),
          [&](const auto& r) { return client->ListTrainings(r); },
          &v1::ListTrainingsResponse::trainings));
  AnswerRows(session, trainings, TrainingTable(trainings));
  return absl::OkStatus();
}

absl::Status GetTraining(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetTrainingRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Training training,
                      client->GetTraining(request));
  session.Answer(training, TrainingLines(training));
  return absl::OkStatus();
}

absl::Status WatchTraining(Session& session) {
  return WatchTrainingToItsEnd(session, session.flags().name);
}

absl::Status CancelTraining(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::CancelTrainingRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Training training,
                      client->CancelTraining(request));
  session.Answer(training,
                 {absl::StrCat(training.name(), " is ",
                               v1::Training::State_Name(training.state()))});
  return absl::OkStatus();
}

absl::Status DeleteTraining(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::DeleteTrainingRequest request;
  request.set_name(session.flags().name);
  HS_RETURN_IF_ERROR(client->DeleteTraining(request));
  session.printer().Progress(absl::StrCat(session.flags().name, " is deleted"));
  return absl::OkStatus();
}

}  // namespace headstart::client
