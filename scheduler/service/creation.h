// Requests that create something: plans, sources, and the answer to repeats.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/request_key.h"
#include "scheduler/service/source_check.h"
#include "scheduler/service/unary.h"

namespace headstart::scheduler {

// Answers `request`, which came in by `method`, once storage has said that it
// has what `command` starts from: with `plan` where it is validate_only, else
// by executing the command, with `find` of the name that it made.
//
//   plan(view, command)        absl::StatusOr<Response>
//   find(view, command, name)  absl::StatusOr<Response>; NotFound only where a
//                              repeated request had made what is gone since
template <typename CommandType, typename Request, typename Response,
          typename Plan, typename Find>
grpc::ServerUnaryReactor* AnswerCreation(
    Engine& engine, StorageLink& storage, grpc::CallbackServerContext* context,
    const Request* request, absl::string_view method, CommandType command,
    Response* response, Plan plan, Find find) {
  if (!request->validate_only()) {
    absl::StatusOr<RequestKey> key =
        MakeRequestKey(*request, request->request_id(), method);
    if (!key.ok()) return AnswerNow(context, key.status());
    command.request = *std::move(key);
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  CheckSources(
      engine, storage, command,
      [&engine, request, response, reactor, command, plan,
       find](const absl::Status& checked) {
        const auto finish = [reactor](const absl::Status& status) {
          reactor->Finish(ToGrpcStatus(status));
        };
        if (!checked.ok()) {
          finish(checked);
        } else if (request->validate_only()) {
          engine.Read(
              [response, command,
               plan](const EngineView& view) -> absl::Status {
                HS_ASSIGN_OR_RETURN(*response, plan(view, command));
                return absl::OkStatus();
              },
              finish);
        } else {
          engine.Submit(
              command,
              [response, command, find](
                  const EngineView& view,
                  const Outcome& outcome) -> absl::Status {
                HS_ASSIGN_OR_RETURN(
                    *response,
                    Created(find(view, command, outcome.name), outcome.name));
                return absl::OkStatus();
              },
              finish);
        }
      });
  return reactor;
}

}  // namespace headstart::scheduler
