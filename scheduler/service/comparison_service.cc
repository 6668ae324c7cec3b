#include "scheduler/service/comparison_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/net/grpc_status.h"
#include "base/status_macros.h"
#include "scheduler/report/comparison_report.h"
#include "scheduler/service/creation.h"
#include "scheduler/service/unary.h"
#include "scheduler/service/watch_stream.h"

namespace headstart::scheduler {
namespace {

// What a report is made from.
struct ReportFacts {
  v1::Comparison comparison;
  std::vector<ReportArm> arms;
  bool study_was_deleted = false;
};

// The epoch of the checkpoint whose weights an initializer takes, the latest
// where it takes several; 0 where weights are drawn. Masks and hypernetworks
// are no weights that were trained for this.
int64_t EpochsBefore(const v1::Initializer& initializer) {
  const auto epoch_of = [](const std::string& name) {
    const absl::StatusOr<CheckpointName> source = CheckpointName::Parse(name);
    return source.ok() ? source->epoch : 0;
  };
  int64_t epochs = 0;
  if (initializer.has_checkpoint()) {
    epochs = epoch_of(initializer.checkpoint().checkpoint());
  }
  for (const std::string& name : initializer.mean().checkpoints()) {
    epochs = std::max(epochs, epoch_of(name));
  }
  for (const v1::Initializer& step : initializer.chain().steps()) {
    epochs = std::max(epochs, EpochsBefore(step));
  }
  return epochs;
}

absl::StatusOr<ReportFacts> FactsOf(const EngineView& view,
                                    absl::string_view name) {
  ReportFacts facts;
  HS_ASSIGN_OR_RETURN(facts.comparison, view.scheduler.GetComparison(name));
  for (const v1::ComparisonArm& arm : facts.comparison.arms()) {
    if (arm.training_name().empty()) continue;  // It could not be started.
    ReportArm& fact = facts.arms.emplace_back();
    fact.arm = arm;
    HS_ASSIGN_OR_RETURN(fact.training,
                        view.scheduler.GetTraining(arm.training_name()));
    fact.start_epoch =
        EpochsBefore(fact.training.resolved_training().initializer());
  }
  facts.study_was_deleted =
      !facts.comparison.study().empty() &&
      absl::IsNotFound(
          view.scheduler.GetStudy(facts.comparison.study()).status());
  return facts;
}

}  // namespace

absl::StatusOr<v1::Comparison> ComparisonService::FindComparison(
    const EngineView& view, absl::string_view name) const {
  absl::StatusOr<v1::Comparison> comparison =
      view.scheduler.GetComparison(name);
  if (comparison.ok() && comparison->state() == v1::Comparison::RUNNING) {
    storage_.AddTrouble(*comparison->mutable_state_message());
  }
  return comparison;
}

grpc::ServerUnaryReactor* ComparisonService::CreateComparison(
    grpc::CallbackServerContext* context,
    const v1::CreateComparisonRequest* request, v1::Comparison* response) {
  return AnswerCreation(
      engine_, storage_, context, request,
      "headstart.v1.ComparisonService/CreateComparison",
      scheduler::CreateComparison{{}, request->comparison()}, response,
      [](const EngineView& view, const scheduler::CreateComparison& command) {
        return view.scheduler.PlanComparison(command.comparison);
      },
      [this](const EngineView& view, const scheduler::CreateComparison&,
             const std::string& name) { return FindComparison(view, name); });
}

grpc::ServerUnaryReactor* ComparisonService::GetComparison(
    grpc::CallbackServerContext* context,
    const v1::GetComparisonRequest* request, v1::Comparison* response) {
  return AnswerQuestion<v1::Comparison>(
      engine_, context, response, [this, request](const EngineView& view) {
        return FindComparison(view, request->name());
      });
}

grpc::ServerUnaryReactor* ComparisonService::ListComparisons(
    grpc::CallbackServerContext* context,
    const v1::ListComparisonsRequest* request,
    v1::ListComparisonsResponse* response) {
  return AnswerQuestion<v1::ListComparisonsResponse>(
      engine_, context, response, [request](const EngineView& view) {
        return view.scheduler.ListComparisons(*request);
      });
}

grpc::ServerUnaryReactor* ComparisonService::CancelComparison(
    grpc::CallbackServerContext* context,
    const v1::CancelComparisonRequest* request, v1::Comparison* response) {
  return AnswerNamedChange<scheduler::CancelComparison,
                           v1::CancelComparisonRequest, v1::Comparison>(
      engine_, context, *request,
      "headstart.v1.ComparisonService/CancelComparison", response,
      [this](const EngineView& view, const std::string& name) {
        return FindComparison(view, name);
      });
}

grpc::ServerUnaryReactor* ComparisonService::DeleteComparison(
    grpc::CallbackServerContext* context,
    const v1::DeleteComparisonRequest* request,
    google::protobuf::Empty* response) {
  return AnswerNamedChange<scheduler::DeleteComparison,
                           v1::DeleteComparisonRequest,
                           google::protobuf::Empty>(
      engine_, context, *request,
      "headstart.v1.ComparisonService/DeleteComparison", response,
      [](const EngineView&, const std::string&) {
        return google::protobuf::Empty();
      });
}

grpc::ServerWriteReactor<v1::Comparison>* ComparisonService::WatchComparison(
    grpc::CallbackServerContext*, const v1::WatchComparisonRequest* request) {
  return new WatchStream<v1::Comparison>(
      engine_, {.look =
                    [this, name = request->name()](const EngineView& view) {
                      return FindComparison(view, name);
                    },
                .version =
                    [this](const EngineView& view, const v1::Comparison& last) {
                      return storage_.trouble_count() +
                             view.leases.progress_count() +
                             view.scheduler.WaitingVersion() +
                             view.scheduler.OwnerVersion(last.name());
                    },
                .over =
                    [](const EngineView&, const v1::Comparison& last) {
                      return last.state() != v1::Comparison::RUNNING;
                    }});
}

grpc::ServerUnaryReactor* ComparisonService::ReportComparison(
    grpc::CallbackServerContext* context,
    const v1::ReportComparisonRequest* request,
    v1::ComparisonReport* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto facts = std::make_shared<ReportFacts>();
  engine_.Read(
      [facts, request](const EngineView& view) -> absl::Status {
        HS_ASSIGN_OR_RETURN(*facts, FactsOf(view, request->name()));
        return absl::OkStatus();
      },
      [this, facts, response, reactor](const absl::Status& found) {
        if (!found.ok()) {
          reactor->Finish(ToGrpcStatus(found));
          return;
        }
        // Statistics take their time; the engine goes on.
        const absl::Status queued = answers_.Run([facts, response, reactor] {
          *response = MakeComparisonReport(facts->comparison, facts->arms);
          if (facts->study_was_deleted) {
            response->add_warnings(absl::StrCat(
                facts->comparison.study(),
                ", whose winner's values the arms have, has been deleted. What "
                "was measured stays."));
          }
          reactor->Finish(grpc::Status::OK);
        });
        if (!queued.ok()) reactor->Finish(ToGrpcStatus(queued));
      });
  return reactor;
}

}  // namespace headstart::scheduler
