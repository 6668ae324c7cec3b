// Calls to a server that a shutdown can end.
#pragma once

#include <grpcpp/client_context.h>

#include "absl/container/flat_hash_set.h"
#include "base/mutex.h"

namespace headstart {

// The calls that are under way, so that whoever must not wait for them can end
// them: a server that hangs answers no sooner than its deadline.
//
// Any thread may call. Outlives its calls.
class CallGroup final {
 public:
  CallGroup() = default;
  CallGroup(const CallGroup&) = delete;
  CallGroup& operator=(const CallGroup&) = delete;

  // The calls under way, and all that begin later, end as Cancelled.
  void Cancel();

  // Counts a call in for the time of its life, which ends before the context's.
  class Member final {
   public:
    // No group: nothing happens.
    Member(CallGroup* group, grpc::ClientContext& context);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    CallGroup* const group_;
    grpc::ClientContext& context_;
  };

 private:
  Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart
