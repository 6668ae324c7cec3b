// The commands about workers.
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/cli/handlers.h"
#include "client/cli/paging.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

absl::Status ChangeWorker(
    Session& session,
    absl::StatusOr<v1::Worker> (Client::*method)(v1::WorkerRequest)) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::WorkerRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Worker worker, (client->*method)(request));
  session.Answer(worker,
                 {absl::StrCat(worker.name(), " is ",
                               v1::Worker::State_Name(worker.state()))});
  return absl::OkStatus();
}

}  // namespace

absl::Status ListWorkers(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(const std::vector<v1::Worker> workers,
                      ReadPages(
                          v1::ListWorkersRequest(),
                          [&](const auto& r) { return client->ListWorkers(r); },
                          &v1::ListWorkersResponse::workers));
  AnswerRows(session, workers, WorkerTable(workers));
  return absl::OkStatus();
}

absl::Status CordonWorker(Session& session) {
  return ChangeWorker(session, &Client::CordonWorker);
}

absl::Status UncordonWorker(Session& session) {
  return ChangeWorker(session, &Client::UncordonWorker);
}

absl::Status DrainWorker(Session& session) {
  return ChangeWorker(session, &Client::DrainWorker);
}

}  // namespace headstart::client
