#include "scheduler/service/training_service.h"

#include <memory>
#include <string>
#include <utility>

#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "scheduler/service/creation.h"
#include "scheduler/service/unary.h"
#include "scheduler/service/watch_stream.h"

namespace headstart::scheduler {
namespace {

// A training that waits for its source or its first lease cannot go on while
// storage is away: say so.
void AddTrouble(const StorageLink& storage, v1::Training& training) {
  if (training.state() != v1::Training::PREPARING &&
      training.state() != v1::Training::RUNNING) {
    return;
  }
  storage.AddTrouble(*training.mutable_state_message());
}

}  // namespace

absl::StatusOr<v1::Training> TrainingService::FindTraining(
    const EngineView& view, absl::string_view name) const {
  absl::StatusOr<v1::Training> training = view.scheduler.GetTraining(name);
  if (!training.ok()) return training;
  AddTrouble(storage_, *training);
  for (v1::TrainingRun& run : *training->mutable_runs()) {
    AddProgress(view, run);
  }
  return training;
}

grpc::ServerUnaryReactor* TrainingService::CreateTraining(
    grpc::CallbackServerContext* context,
    const v1::CreateTrainingRequest* request, v1::Training* response) {
  return AnswerCreation(
      engine_, storage_, context, request,
      "headstart.v1.TrainingService/CreateTraining",
      scheduler::CreateTraining{{}, request->training()}, response,
      [](const EngineView& view, const scheduler::CreateTraining& command) {
        return view.scheduler.PlanTraining(command.training);
      },
      [this](const EngineView& view, const scheduler::CreateTraining&,
             const std::string& name) { return FindTraining(view, name); });
}

grpc::ServerUnaryReactor* TrainingService::GetTraining(
    grpc::CallbackServerContext* context, const v1::GetTrainingRequest* request,
    v1::Training* response) {
  return AnswerQuestion<v1::Training>(
      engine_, context, response, [this, request](const EngineView& view) {
        return FindTraining(view, request->name());
      });
}

grpc::ServerUnaryReactor* TrainingService::ListTrainings(
    grpc::CallbackServerContext* context,
    const v1::ListTrainingsRequest* request,
    v1::ListTrainingsResponse* response) {
  return AnswerQuestion<v1::ListTrainingsResponse>(
      engine_, context, response,
      [this, request](
          const EngineView& view) -> absl::StatusOr<v1::ListTrainingsResponse> {
        HS_ASSIGN_OR_RETURN(v1::ListTrainingsResponse page,
                            view.scheduler.ListTrainings(*request));
        for (v1::Training& training : *page.mutable_trainings()) {
          AddTrouble(storage_, training);
        }
        return page;
      });
}

grpc::ServerUnaryReactor* TrainingService::CancelTraining(
    grpc::CallbackServerContext* context,
    const v1::CancelTrainingRequest* request, v1::Training* response) {
  return AnswerNamedChange<scheduler::CancelTraining, v1::CancelTrainingRequest,
                           v1::Training>(
      engine_, context, *request, "headstart.v1.TrainingService/CancelTraining",
      response, [this](const EngineView& view, const std::string& name) {
        return FindTraining(view, name);
      });
}

grpc::ServerUnaryReactor* TrainingService::DeleteTraining(
    grpc::CallbackServerContext* context,
    const v1::DeleteTrainingRequest* request,
    google::protobuf::Empty* response) {
  return AnswerNamedChange<scheduler::DeleteTraining, v1::DeleteTrainingRequest,
                           google::protobuf::Empty>(
      engine_, context, *request, "headstart.v1.TrainingService/DeleteTraining",
      response, [](const EngineView&, const std::string&) {
        return google::protobuf::Empty();
      });
}

grpc::ServerWriteReactor<v1::Training>* TrainingService::WatchTraining(
    grpc::CallbackServerContext*, const v1::WatchTrainingRequest* request) {
  return new WatchStream<v1::Training>(
      engine_,
      {.look = [this, name = request->name()](
                   const EngineView& view) { return FindTraining(view, name); },
       .version =
           [this](const EngineView& view, const v1::Training& last) {
             return storage_.trouble_count() + view.leases.progress_count() +
                    view.scheduler.WaitingVersion() +
                    view.scheduler.OwnerVersion(last.name());
           },
       .over =
           [](const EngineView&, const v1::Training& last) {
             return last.state() == v1::Training::SUCCEEDED ||
                    last.state() == v1::Training::FAILED ||
                    last.state() == v1::Training::CANCELLED;
           }});
}

}  // namespace headstart::scheduler
