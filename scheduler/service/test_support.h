// What the tests of this folder share: a study, an agent, a storage.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/worker_service.grpc.pb.h"

namespace headstart::scheduler {

// LeNet on MNIST, its learning rate drawn at random, `epochs` each.
v1::Study RandomStudy(int64_t trial_count, int64_t epochs);

// The storage services, with checkpoints that are names only.
class FakeStorage final : public v1::CheckpointService::Service {
 public:
  void Commit(const std::string& checkpoint);
  void Forget(const std::string& checkpoint);
  // Every SetReferences from now on fails with `status`; OK ends it.
  void RefuseReferences(grpc::Status status);

  // The last whole set of an owner, all parts put together.
  std::optional<v1::SetReferencesRequest> References(
      const std::string& owner) const;
  // How many whole sets of this owner came in.
  int64_t StatementCount(const std::string& owner) const;
  // Waits until this many have.
  void AwaitStatements(const std::string& owner, int64_t count) const;

  // The call of ReferenceService, for a class that is one.
  grpc::Status SetReferences(const v1::SetReferencesRequest& request,
                             v1::SetReferencesResponse* response);
  grpc::Status GetCheckpoint(grpc::ServerContext* context,
                             const v1::GetCheckpointRequest* request,
                             v1::Checkpoint* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext* context,
                               const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;

 private:
  mutable Mutex mu_;
  std::set<std::string> checkpoints_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::SetReferencesRequest> parts_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::SetReferencesRequest> sets_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mu_);
  grpc::Status refusal_ ABSL_GUARDED_BY(mu_);
};

// One agent whose trainers take no time. The test calls it turn by turn.
class FakeAgent {
 public:
  // How the agent talks: to a server, or right to an engine.
  using Call = std::function<absl::StatusOr<v1::SynchronizeResponse>(
      const v1::SynchronizeRequest&)>;

  FakeAgent(std::string worker, int slots, Call call,
            FakeStorage* storage = nullptr);

  // One Synchronize with what the agent has to say; takes in the answer.
  absl::Status Synchronize();
  // Trains every assignment it holds to its end; the next Synchronize says so.
  void Train();
  // Synchronize and Train until `done`, at most 1,000 times.
  absl::Status TrainUntil(const std::function<bool()>& done);

  // Forgets `seen_version`, so that the next call is answered at once.
  void HurryNextCall() { request_.set_seen_version(0); }

  v1::SynchronizeRequest& request() { return request_; }
  const v1::SynchronizeResponse& response() const { return response_; }
  // What it was told to train at last.
  std::vector<v1::Assignment> assignments() const;

 private:
  v1::AttemptStatus* StatusOf(const v1::Assignment& assignment);

  const Call call_;
  FakeStorage* const storage_;
  v1::SynchronizeRequest request_;
  v1::SynchronizeResponse response_;
};

}  // namespace headstart::scheduler
