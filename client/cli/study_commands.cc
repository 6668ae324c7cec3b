// The commands about studies.
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/cli/handlers.h"
#include "client/cli/paging.h"
#include "client/cli/report_output.h"
#include "client/cli/study_file.h"
#include "client/cli/study_progress.h"
#include "client/cli/study_result.h"
#include "client/cli/units.h"
#include "client/cli/views.h"
#include "client/cli/watch.h"
#include "client/report/study_page.h"

namespace headstart::client {
namespace {

template <typename Request>
absl::Status ChangeStudy(Session& session,
                         absl::StatusOr<v1::Study> (Client::*method)(Request)) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  Request request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Study study, (client->*method)(request));
  session.Answer(study, {absl::StrCat(study.name(), " is ",
                                      v1::Study::State_Name(study.state()))});
  return absl::OkStatus();
}

}  // namespace

absl::Status WatchStudyToItsEnd(Session& session, const std::string& name) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  StudyProgress progress(*client, session.printer(), session.clock());
  v1::WatchStudyRequest request;
  request.set_name(name);
  v1::Study last;
  HS_RETURN_IF_ERROR(
      client->WatchStudy(request, [&](const v1::WatchStudyResponse& update) {
        last = update.study();
        if (session.printer().json()) {
          session.printer().Json(update);
        } else {
          progress.Update(update);
        }
        return true;
      }));
  session.printer().KeepDrawn();
  if (last.state() != v1::Study::SUCCEEDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is ", v1::Study::State_Name(last.state()),
        last.state_message().empty() ? "" : ": ", last.state_message()));
  }
  if (session.printer().json()) return absl::OkStatus();
  return ReportStudy(session, *client, name, /*folder=*/"");
}

absl::Status CreateStudy(Session& session) {
  absl::StatusOr<v1::Study> file = ReadStudyFile(session.flags().file);
  if (!file.ok()) return UsageError(file.status().message());
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());

  v1::CreateStudyRequest request;
  *request.mutable_study() = *std::move(file);
  request.set_validate_only(session.flags().dry_run);
  HS_ASSIGN_OR_RETURN(const v1::CreateStudyResponse response,
                      client->CreateStudy(std::move(request)));
  if (session.flags().dry_run) {
    session.Answer(response.plan(), PlanLines(response.plan()));
    return absl::OkStatus();
  }
  const std::string& name = response.study().name();
  if (session.printer().json()) {
    session.printer().Json(response.study());
  } else {
    session.printer().Result(name);
  }
  if (!session.flags().watch) return absl::OkStatus();
  session.printer().Progress(absl::StrCat(
      "Ctrl-C ends the watching, not the study; \"headstart studies watch ",
      name, ClusterFlags(session.flags()), "\" takes it up again."));
  return WatchStudyToItsEnd(session, name);
}

absl::Status ListStudies(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(const std::vector<v1::Study> studies,
                      ReadPages(
                          v1::ListStudiesRequest(),
                          [&](const auto& r) { return client->ListStudies(r); },
                          &v1::ListStudiesResponse::studies));
  AnswerRows(session, studies, StudyTable(studies));
  return absl::OkStatus();
}

absl::Status GetStudy(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetStudyRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Study study, client->GetStudy(request));
  session.Answer(study, StudyLines(study));
  return absl::OkStatus();
}

absl::Status WatchStudy(Session& session) {
  return WatchStudyToItsEnd(session, session.flags().name);
}

absl::Status PauseStudy(Session& session) {
  return ChangeStudy(session, &Client::PauseStudy);
}

absl::Status ResumeStudy(Session& session) {
  return ChangeStudy(session, &Client::ResumeStudy);
}

absl::Status CancelStudy(Session& session) {
  return ChangeStudy(session, &Client::CancelStudy);
}

absl::Status DeleteStudy(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::DeleteStudyRequest request;
  request.set_name(session.flags().name);
  HS_RETURN_IF_ERROR(client->DeleteStudy(request));
  session.printer().Progress(absl::StrCat(session.flags().name, " is deleted"));
  return absl::OkStatus();
}

absl::Status ReplayStudy(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::ReplayStudyRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::ReplayStudyResponse replay,
                      client->ReplayStudy(request));
  std::vector<std::string> lines = {absl::StrCat(
      Count(replay.decisions_count(), "decision"), " taken again: ",
      replay.differences().empty()
          ? "all agree"
          : Count(replay.differences_size(), "difference"))};
  lines.insert(lines.end(), replay.differences().begin(),
               replay.differences().end());
  session.Answer(replay, lines);
  if (replay.differences().empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      session.flags().name, ": ", Count(replay.differences_size(), "decision"),
      " came out differently, the first: ", replay.differences(0)));
}

absl::Status ReportStudyPage(Session& session) {
  const std::string format = ReportFormat(session.flags(), "html");
  if (format != "html" && format != "csv") {
    return UsageError(absl::StrCat("--output ", session.flags().output,
                                   ": a study's report is .html or .csv."));
  }
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetStudyRequest get;
  get.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Study study, client->GetStudy(get));
  v1::ListTrialsRequest list;
  list.set_parent(study.name());
  HS_ASSIGN_OR_RETURN(
      std::vector<v1::Trial> trials,
      ReadPages(
          list, [&](const auto& r) { return client->ListTrials(r); },
          &v1::ListTrialsResponse::trials));
  if (format == "csv") return WriteReport(session, TrialsCsv(study, trials));
  int done = 0;
  for (v1::Trial& trial : trials) {  // Lists leave out epochs.
    v1::GetTrialRequest get_trial;
    get_trial.set_name(trial.name());
    HS_ASSIGN_OR_RETURN(trial, client->GetTrial(get_trial));
    if (++done % 1000 == 0) {
      session.printer().Progress(absl::StrCat(
          "read ", done, " of ", Count(std::ssize(trials), "trial")));
    }
  }
  HS_ASSIGN_OR_RETURN(const std::string page, StudyPage(study, trials));
  return WriteReport(session, page);
}

}  // namespace headstart::client
