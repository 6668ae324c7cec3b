// The commands about trials.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "client/cli/handlers.h"
#include "client/cli/paging.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

absl::StatusOr<v1::Trial::State> ParseTrialState(const std::string& text) {
  v1::Trial::State state;
  if (v1::Trial::State_Parse(text, &state) &&
      state != v1::Trial::STATE_UNSPECIFIED) {
    return state;
  }
  std::vector<std::string> names;
  for (int i = 1; i < v1::Trial::State_ARRAYSIZE; ++i) {
    names.push_back(v1::Trial::State_Name(i));
  }
  return UsageError(absl::StrCat("--state ", text, ": must be one of ",
                                 absl::StrJoin(names, ", "), "."));
}

template <typename Request>
absl::Status ChangeTrial(Session& session,
                         absl::StatusOr<v1::Trial> (Client::*method)(Request)) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  Request request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Trial trial, (client->*method)(request));
  session.Answer(trial, {absl::StrCat(trial.name(), " is ",
                                      v1::Trial::State_Name(trial.state()))});
  return absl::OkStatus();
}

}  // namespace

absl::Status ListTrials(Session& session) {
  v1::ListTrialsRequest request;
  request.set_parent(session.flags().name);
  request.set_best(session.flags().best);
  if (!session.flags().state.empty()) {
    HS_ASSIGN_OR_RETURN(const v1::Trial::State state,
                        ParseTrialState(session.flags().state));
    request.set_state(state);
  }
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(
      const std::vector<v1::Trial> trials,
      ReadPages(
          request, [&](const auto& r) { return client->ListTrials(r); },
          &v1::ListTrialsResponse::trials));

  // Only a table needs to know what the objective is.
  v1::Objective::Metric metric = v1::Objective::METRIC_UNSPECIFIED;
  if (!session.printer().json()) {
    v1::GetStudyRequest get;
    get.set_name(session.flags().name);
    HS_ASSIGN_OR_RETURN(const v1::Study study, client->GetStudy(get));
    metric = study.objective().metric();
  }
  AnswerRows(session, trials, TrialTable(trials, metric));
  return absl::OkStatus();
}

absl::Status GetTrial(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetTrialRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Trial trial, client->GetTrial(request));
  session.Answer(trial, TrialLines(trial));
  return absl::OkStatus();
}

absl::Status ExplainTrial(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::ExplainTrialRequest request;
  HS_ASSIGN_OR_RETURN(*request.mutable_name(),
                      session.Resolve(session.flags().name));
  HS_ASSIGN_OR_RETURN(const v1::ExplainTrialResponse explanation,
                      client->ExplainTrial(request));
  session.Answer(explanation, ExplanationLines(explanation));
  return absl::OkStatus();
}

absl::Status StopTrial(Session& session) {
  return ChangeTrial(session, &Client::StopTrial);
}

absl::Status RetryTrial(Session& session) {
  return ChangeTrial(session, &Client::RetryTrial);
}

}  // namespace headstart::client
