#include "scheduler/service/tuning_service.h"

#include <utility>

#include "base/names.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "scheduler/service/creation.h"
#include "scheduler/service/unary.h"
#include "scheduler/service/watch_stream.h"

namespace headstart::scheduler {
namespace {

bool IsOver(v1::Study::State state) {
  return state == v1::Study::SUCCEEDED || state == v1::Study::FAILED ||
         state == v1::Study::CANCELLED;
}

bool IsOver(v1::Training::State state) {
  return state == v1::Training::SUCCEEDED || state == v1::Training::FAILED ||
         state == v1::Training::CANCELLED;
}

// A running study cannot end well while storage is away: say so.
void AddTrouble(const StorageLink& storage, v1::Study& study) {
  if (study.state() != v1::Study::RUNNING) return;
  storage.AddTrouble(*study.mutable_state_message());
}

}  // namespace

absl::StatusOr<v1::Study> TuningService::FindStudy(
    const EngineView& view, absl::string_view name) const {
  absl::StatusOr<v1::Study> study = view.scheduler.GetStudy(name);
  if (study.ok()) AddTrouble(storage_, *study);
  return study;
}

grpc::ServerUnaryReactor* TuningService::CreateStudy(
    grpc::CallbackServerContext* context, const v1::CreateStudyRequest* request,
    v1::CreateStudyResponse* response) {
  const auto plan = [](const EngineView& view,
                       const scheduler::CreateStudy& command) {
    return view.scheduler.PlanStudy(command.study);
  };
  return AnswerCreation(
      engine_, storage_, context, request,
      "headstart.v1.TuningService/CreateStudy",
      scheduler::CreateStudy{{}, request->study()}, response, plan,
      [this, plan](
          const EngineView& view, const scheduler::CreateStudy& command,
          const std::string& name) -> absl::StatusOr<v1::CreateStudyResponse> {
        // A repeat is answered though the plan may be impossible by now.
        v1::CreateStudyResponse created =
            plan(view, command).value_or(v1::CreateStudyResponse());
        HS_ASSIGN_OR_RETURN(*created.mutable_study(), FindStudy(view, name));
        return created;
      });
}

grpc::ServerUnaryReactor* TuningService::GetStudy(
    grpc::CallbackServerContext* context, const v1::GetStudyRequest* request,
    v1::Study* response) {
  return AnswerQuestion<v1::Study>(engine_, context, response,
                                   [this, request](const EngineView& view) {
                                     return FindStudy(view, request->name());
                                   });
}

grpc::ServerUnaryReactor* TuningService::ListStudies(
    grpc::CallbackServerContext* context, const v1::ListStudiesRequest* request,
    v1::ListStudiesResponse* response) {
  return AnswerQuestion<v1::ListStudiesResponse>(
      engine_, context, response,
      [this, request](
          const EngineView& view) -> absl::StatusOr<v1::ListStudiesResponse> {
        HS_ASSIGN_OR_RETURN(v1::ListStudiesResponse page,
                            view.scheduler.ListStudies(*request));
        for (v1::Study& study : *page.mutable_studies()) {
          AddTrouble(storage_, study);
        }
        return page;
      });
}

grpc::ServerUnaryReactor* TuningService::DeleteStudy(
    grpc::CallbackServerContext* context, const v1::DeleteStudyRequest* request,
    google::protobuf::Empty* response) {
  return AnswerNamedChange<scheduler::DeleteStudy, v1::DeleteStudyRequest,
                           google::protobuf::Empty>(
      engine_, context, *request, "headstart.v1.TuningService/DeleteStudy",
      response, [](const EngineView&, const std::string&) {
        return google::protobuf::Empty();
      });
}

grpc::ServerUnaryReactor* TuningService::PauseStudy(
    grpc::CallbackServerContext* context, const v1::PauseStudyRequest* request,
    v1::Study* response) {
  return AnswerNamedChange<scheduler::PauseStudy, v1::PauseStudyRequest,
                           v1::Study>(
      engine_, context, *request, "headstart.v1.TuningService/PauseStudy",
      response, [this](const EngineView& view, const std::string& name) {
        return FindStudy(view, name);
      });
}

grpc::ServerUnaryReactor* TuningService::ResumeStudy(
    grpc::CallbackServerContext* context, const v1::ResumeStudyRequest* request,
    v1::Study* response) {
  return AnswerNamedChange<scheduler::ResumeStudy, v1::ResumeStudyRequest,
                           v1::Study>(
      engine_, context, *request, "headstart.v1.TuningService/ResumeStudy",
      response, [this](const EngineView& view, const std::string& name) {
        return FindStudy(view, name);
      });
}

grpc::ServerUnaryReactor* TuningService::CancelStudy(
    grpc::CallbackServerContext* context, const v1::CancelStudyRequest* request,
    v1::Study* response) {
  return AnswerNamedChange<scheduler::CancelStudy, v1::CancelStudyRequest,
                           v1::Study>(
      engine_, context, *request, "headstart.v1.TuningService/CancelStudy",
      response, [this](const EngineView& view, const std::string& name) {
        return FindStudy(view, name);
      });
}

grpc::ServerWriteReactor<v1::WatchStudyResponse>* TuningService::WatchStudy(
    grpc::CallbackServerContext*, const v1::WatchStudyRequest* request) {
  return new WatchStream<v1::WatchStudyResponse>(
      engine_,
      {.look = [this, name = request->name()](const EngineView& view)
           -> absl::StatusOr<v1::WatchStudyResponse> {
         HS_ASSIGN_OR_RETURN(v1::WatchStudyResponse described,
                             view.scheduler.DescribeStudy(name));
         AddTrouble(storage_, *described.mutable_study());
         return described;
       },
       .version =
           [this](const EngineView& view, const v1::WatchStudyResponse& last) {
             int64_t version = storage_.trouble_count() +
                               view.scheduler.WaitingVersion() +
                               view.scheduler.OwnerVersion(last.study().name());
             for (const std::string& training : last.study().trainings()) {
               version += view.scheduler.OwnerVersion(training);
             }
             return version;
           },
       .over =
           [](const EngineView& view, const v1::WatchStudyResponse& last) {
             if (!IsOver(last.study().state())) return false;
             for (const std::string& name : last.study().trainings()) {
               const auto training = view.scheduler.GetTraining(name);
               if (training.ok() && !IsOver(training->state())) return false;
             }
             return true;
           }});
}

grpc::ServerUnaryReactor* TuningService::GetTrial(
    grpc::CallbackServerContext* context, const v1::GetTrialRequest* request,
    v1::Trial* response) {
  return AnswerQuestion<v1::Trial>(
      engine_, context, response, [request](const EngineView& view) {
        absl::StatusOr<v1::Trial> trial =
            view.scheduler.GetTrial(request->name());
        if (trial.ok()) AddProgress(view, *trial);
        return trial;
      });
}

grpc::ServerUnaryReactor* TuningService::ListTrials(
    grpc::CallbackServerContext* context, const v1::ListTrialsRequest* request,
    v1::ListTrialsResponse* response) {
  return AnswerQuestion<v1::ListTrialsResponse>(
      engine_, context, response, [request](const EngineView& view) {
        return view.scheduler.ListTrials(*request);
      });
}

grpc::ServerUnaryReactor* TuningService::ExplainTrial(
    grpc::CallbackServerContext* context,
    const v1::ExplainTrialRequest* request,
    v1::ExplainTrialResponse* response) {
  return AnswerQuestion<v1::ExplainTrialResponse>(
      engine_, context, response, [request](const EngineView& view) {
        return view.scheduler.ExplainTrial(request->name());
      });
}

grpc::ServerUnaryReactor* TuningService::StopTrial(
    grpc::CallbackServerContext* context, const v1::StopTrialRequest* request,
    v1::Trial* response) {
  return AnswerNamedChange<scheduler::StopTrial, v1::StopTrialRequest,
                           v1::Trial>(
      engine_, context, *request, "headstart.v1.TuningService/StopTrial",
      response, [](const EngineView& view, const std::string& name) {
        return view.scheduler.GetTrial(name);
      });
}

grpc::ServerUnaryReactor* TuningService::RetryTrial(
    grpc::CallbackServerContext* context, const v1::RetryTrialRequest* request,
    v1::Trial* response) {
  return AnswerNamedChange<scheduler::RetryTrial, v1::RetryTrialRequest,
                           v1::Trial>(
      engine_, context, *request, "headstart.v1.TuningService/RetryTrial",
      response, [](const EngineView& view, const std::string& name) {
        return view.scheduler.GetTrial(name);
      });
}

grpc::ServerUnaryReactor* TuningService::ReplayStudy(
    grpc::CallbackServerContext* context, const v1::ReplayStudyRequest* request,
    v1::ReplayStudyResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  engine_.Read(
      [request](const EngineView& view) {
        return view.scheduler.GetStudy(request->name()).status();
      },
      [this, request, response, reactor](const absl::Status& found) {
        if (!found.ok()) {
          reactor->Finish(ToGrpcStatus(found));
          return;
        }
        const absl::Status queued =
            answers_.Run([this, request, response, reactor] {
              StudyReplay replay(StudyName::Parse(request->name())->study);
              const absl::Status read = engine_.journal().ReadFrom(
                  1, [&replay](int64_t, const Event& event) {
                    replay.Next(event);
                    return absl::OkStatus();
                  });
              if (read.ok()) *response = replay.Finish();
              reactor->Finish(ToGrpcStatus(read));
            });
        if (!queued.ok()) reactor->Finish(ToGrpcStatus(queued));
      });
  return reactor;
}

}  // namespace headstart::scheduler
