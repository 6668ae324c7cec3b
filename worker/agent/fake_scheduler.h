// A scheduler that does what a test says: WorkerService over real gRPC.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"
#include "base/net/listener.h"
#include "headstart/v1/worker_service.grpc.pb.h"

namespace headstart::worker {

// What the scheduler has heard of one attempt.
struct HeardAttempt {
  v1::AttemptStatus last;  // Without its reports.
  std::map<int64_t, v1::EpochReport> reports;
  // How many calls brought each epoch's report.
  std::map<int64_t, int64_t> report_calls;
  bool ended = false;
};

class FakeScheduler final : public v1::WorkerService::Service {
 public:
  FakeScheduler(std::string address, std::string storage_address);
  ~FakeScheduler() override;

  std::string address() const;

  // Goes away without a word, and comes back, at another address if that is
  // not empty. What it has heard stays.
  void GoAway();
  void ComeBack(const std::string& address = "");

  void Assign(const std::string& slot, const v1::Assignment& assignment,
              bool release = false);
  void Unassign(const std::string& slot);
  // Answers name this cluster from here on.
  void SetCluster(const std::string& cluster);
  // Every call fails like this from here on.
  void RefuseWith(grpc::StatusCode code, const std::string& message);
  // Reports are heard and not acknowledged while this is false.
  void SetAcknowledges(bool acknowledges);

  // Attempts that have ended stay assigned while this is true, as in an answer
  // that comes late.
  void SetListsEnded(bool lists_ended);

  // Waits until `done` is true of all that was heard.
  using Heard = std::map<std::pair<std::string, int64_t>, HeardAttempt>;
  void Await(absl::FunctionRef<bool(const Heard&)> done);
  // Waits until the attempt has ended, and returns it.
  HeardAttempt AwaitEnd(const std::string& run, int64_t attempt);
  // Waits until the report of this epoch is there.
  void AwaitReport(const std::string& run, int64_t attempt, int64_t epoch);
  // Waits for so many calls after this moment.
  void AwaitCalls(int64_t count);

  v1::SynchronizeRequest last_request() const;

 private:
  grpc::Status Synchronize(grpc::ServerContext* context,
                           const v1::SynchronizeRequest* request,
                           v1::SynchronizeResponse* response) override;
  bool Hear(const v1::SynchronizeRequest& request,
            v1::SynchronizeResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Start();

  std::string address_;
  const std::string storage_address_;

  mutable Mutex mu_;
  bool away_ ABSL_GUARDED_BY(mu_) = false;
  bool acknowledges_ ABSL_GUARDED_BY(mu_) = true;
  bool lists_ended_ ABSL_GUARDED_BY(mu_) = false;
  std::string cluster_ ABSL_GUARDED_BY(mu_) = "cluster-1";
  grpc::Status refusal_ ABSL_GUARDED_BY(mu_);
  int64_t version_ ABSL_GUARDED_BY(mu_) = 1;
  int64_t call_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, v1::SlotAssignment> assignments_ ABSL_GUARDED_BY(mu_);
  Heard heard_ ABSL_GUARDED_BY(mu_);
  v1::SynchronizeRequest last_request_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Listener> listener_;
};

}  // namespace headstart::worker
