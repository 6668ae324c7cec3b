// Unary calls: a question to the engine, or a change by it.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/net/grpc_status.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/request_key.h"

namespace headstart::scheduler {

inline grpc::ServerUnaryReactor* AnswerNow(grpc::CallbackServerContext* context,
                                           const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Adds to a Trial or TrainingRun how far its live attempt is, when that is more
// than what is recorded.
template <typename RunMessage>
void AddProgress(const EngineView& view, RunMessage& run) {
  if (run.attempts().empty()) return;
  v1::Attempt& last = *run.mutable_attempts()->rbegin();
  const auto* const progress =
      view.leases.FindProgress(run.name(), last.number());
  if (progress == nullptr ||
      (progress->epoch() <= run.epoch() && progress->activity().empty())) {
    return;
  }
  *last.mutable_progress() = *progress;
}

// What a request to create `name` is answered with, when `found` is what there
// is under that name. Only what a repeated request had made can be gone.
template <typename Resource>
absl::StatusOr<Resource> Created(absl::StatusOr<Resource> found,
                                 absl::string_view name) {
  if (!absl::IsNotFound(found.status())) return found;
  return absl::AbortedError(
      absl::StrCat(name, ", made by this request_id, was deleted."));
}

// Answers with what `question` finds in the durable state.
template <typename Response>
grpc::ServerUnaryReactor* AnswerQuestion(
    Engine& engine, grpc::CallbackServerContext* context, Response* response,
    absl::AnyInvocable<absl::StatusOr<Response>(const EngineView&)> question) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  engine.Read(
      [response, question = std::move(question)](
          const EngineView& view) mutable -> absl::Status {
        absl::StatusOr<Response> answer = question(view);
        if (answer.ok()) *response = *std::move(answer);
        return answer.status();
      },
      [reactor](const absl::Status& status) {
        reactor->Finish(ToGrpcStatus(status));
      });
  return reactor;
}

// Executes `command` and answers with what `result` finds afterwards under the
// name of the resource that was made or changed.
template <typename Response>
grpc::ServerUnaryReactor* AnswerChange(
    Engine& engine, grpc::CallbackServerContext* context, Response* response,
    Command command,
    absl::AnyInvocable<absl::StatusOr<Response>(const EngineView&,
                                                const std::string& name)>
        result) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  engine.Submit(
      std::move(command),
      [response, result = std::move(result)](const EngineView& view,
                                             const Outcome& outcome) mutable {
        absl::StatusOr<Response> answer = result(view, outcome.name);
        if (answer.ok()) *response = *std::move(answer);
        return answer.status();
      },
      [reactor](const absl::Status& status) {
        reactor->Finish(ToGrpcStatus(status));
      });
  return reactor;
}

// The same for a command about one named resource.
template <typename CommandType, typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerNamedChange(
    Engine& engine, grpc::CallbackServerContext* context,
    const Request& request, absl::string_view method, Response* response,
    absl::AnyInvocable<absl::StatusOr<Response>(const EngineView&,
                                                const std::string& name)>
        result) {
  absl::StatusOr<RequestKey> key =
      MakeRequestKey(request, request.request_id(), method);
  if (!key.ok()) return AnswerNow(context, key.status());
  CommandType command;
  command.request = *std::move(key);
  command.name = request.name();
  return AnswerChange<Response>(engine, context, response, std::move(command),
                                std::move(result));
}

}  // namespace headstart::scheduler
