// The scheduler's side of storage: what is to be kept, and whether it exists.
#pragma once

#include <grpcpp/client_context.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "headstart/v1/checkpoint_service.grpc.pb.h"
#include "scheduler/service/engine.h"

namespace headstart::scheduler {

struct StorageLinkOptions {
  // As a gRPC channel takes it. Empty: what `endpoint_file` says, read again
  // whenever storage cannot be reached.
  std::string address;
  std::string endpoint_file;
  // How often what storage was told is told again.
  absl::Duration restate_period = absl::Seconds(30);
};

// States to storage, on a thread of its own, which checkpoints each owner wants
// kept: at the start and when storage is back all owners, then each that
// changes, and all of them again and again, a part at a time. So a lost or
// doubled message costs time, nothing else; and what storage is told is
// computed from durable state only.
//
// A PREPARING training's first set carries its source; storage's answer says
// whether the source is there, and goes to the engine as SourceConfirmed or
// SourceMissing.
//
// Any thread may call.
class StorageLink {
 public:
  // The engine outlives the link.
  StorageLink(StorageLinkOptions options, Engine& engine);
  ~StorageLink();  // Stop.

  StorageLink(const StorageLink&) = delete;
  StorageLink& operator=(const StorageLink&) = delete;

  void Start();
  void Stop();

  // Where storage is, as a gRPC channel takes it; empty while nobody knows.
  std::string address() const;

  // Why storage keeps nothing new and lets nothing go at the moment, in one
  // sentence; empty when all is well.
  std::string trouble() const;
  // Appends it to what a person reads of something that waits for storage.
  void AddTrouble(std::string& state_message) const;
  // Grows with every change of trouble().
  int64_t trouble_count() const;

  // Calls `done` with NotFound, naming the epochs that exist, when storage
  // lacks one of these checkpoints; with OK when it has them, or cannot be
  // asked now: who starts from them waits for the answer that counts. On any
  // thread.
  void CheckCheckpoints(std::vector<std::string> names,
                        absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Connection {
    std::string address;
    std::unique_ptr<v1::ReferenceService::Stub> references;
    std::unique_ptr<v1::CheckpointService::Stub> checkpoints;
  };
  struct Statement;

  void Run();
  absl::Status Connect();
  absl::Status StateChangedOwners();
  absl::Status StateNextOwners();
  absl::Status StateOwner(const std::string& owner);
  absl::Status Send(const Statement& statement,
                    absl::btree_set<std::string>* missing);
  void AnswerPreparing(const Statement& statement,
                       const absl::btree_set<std::string>& missing);
  void NoteTrouble(const absl::Status& status);
  // False when the link was stopped. `*timed_out`: nothing had changed.
  bool AwaitReason(const absl::Status& last, bool* timed_out);

  const StorageLinkOptions options_;
  Engine& engine_;

  // The link thread's own.
  int64_t stated_generation_ = 0;
  int64_t restated_generation_ = 0;
  int64_t failure_count_ = 0;
  int64_t sent_count_ = 0;  // References, since the last pass began.
  absl::btree_set<std::string> reported_missing_;

  mutable Mutex mu_;
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mu_);
  std::string trouble_ ABSL_GUARDED_BY(mu_);
  int64_t trouble_count_ ABSL_GUARDED_BY(mu_) = 0;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
  int64_t wait_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace headstart::scheduler
