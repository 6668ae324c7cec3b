#include "scheduler/service/worker_service.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/net/grpc_status.h"

namespace headstart::scheduler {
namespace {

constexpr absl::Duration kPollMax = absl::Seconds(20);

// One call of Synchronize. Owns itself until gRPC says that the call is done.
//
//   submitted --news--> answered
//       \--none--> waits --change or time--> submitted again --> answered
//
// Submitting again what the agent said changes nothing that it has not changed
// before, and tells an agent that waited while a newer incarnation came.
class Poll final : public grpc::ServerUnaryReactor {
 public:
  Poll(Engine& engine, const StorageLink& storage,
       const v1::SynchronizeRequest& request, v1::SynchronizeResponse& response)
      : engine_(engine),
        storage_(storage),
        request_(request),
        response_(response) {
    Submit(/*last=*/false);
  }

  void OnCancel() override {
    MutexLock lock(&mu_);
    cancelled_ = true;
    if (wait_ != 0) engine_.EndWait(wait_);
  }

  void OnDone() override { delete this; }

 private:
  void Submit(bool last) {
    engine_.Submit(
        Synchronize{.request = request_},
        [this](const EngineView& view, const Outcome&) {
          FillIn(view);
          return absl::OkStatus();
        },
        [this, last](const absl::Status& status) {
          if (status.ok() && !last && !HasNews()) {
            Wait();
          } else {
            Finish(ToGrpcStatus(status));
          }
        });
  }

  void FillIn(const EngineView& view) {
    response_ = view.scheduler.AnswerWorker(request_);
    const absl::Duration lease = engine_.lease_duration();
    *response_.mutable_lease_duration() =
        google::protobuf::util::TimeUtil::NanosecondsToDuration(
            absl::ToInt64Nanoseconds(lease));
    response_.set_cluster_id(engine_.cluster_id());
    response_.set_storage_address(storage_.address());
  }

  bool HasNews() const {
    return response_.version() != request_.seen_version() ||
           !response_.acknowledgements().empty();
  }

  void Wait() {
    absl::Status refusal;
    {
      MutexLock lock(&mu_);
      if (!cancelled_) {
        absl::StatusOr<int64_t> wait = engine_.Wait(
            {.timeout = std::min(kPollMax, engine_.lease_duration() / 3),
             .ready =
                 [this](const EngineView& view) {
                   return view.scheduler.WorkerVersion(request_.worker()) !=
                              request_.seen_version() ||
                          storage_.address() != response_.storage_address();
                 },
             .then =
                 [this](const EngineView&, WaitEnd end) {
                   if (end == WaitEnd::kEnded) {
                     Finish(grpc::Status(
                         grpc::StatusCode::UNAVAILABLE,
                         "the scheduler is stopping. Call again when it is "
                         "back."));
                   } else {
                     Submit(/*last=*/true);
                   }
                 }});
        if (wait.ok()) {
          wait_ = *wait;
          return;
        }
        refusal = wait.status();
      }
    }
    Finish(refusal.ok() ? grpc::Status::CANCELLED : ToGrpcStatus(refusal));
  }

  Engine& engine_;
  const StorageLink& storage_;
  const v1::SynchronizeRequest& request_;  // gRPC's, until OnDone.
  v1::SynchronizeResponse& response_;

  Mutex mu_;
  int64_t wait_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

grpc::ServerUnaryReactor* WorkerService::Synchronize(
    grpc::CallbackServerContext*, const v1::SynchronizeRequest* request,
    v1::SynchronizeResponse* response) {
  return new Poll(engine_, storage_, *request, *response);
}

}  // namespace headstart::scheduler
