#include "base/net/call_group.h"

namespace headstart {

void CallGroup::Cancel() {
  MutexLock lock(&mu_);
  cancelled_ = true;
  for (grpc::ClientContext* call : calls_) call->TryCancel();
}

CallGroup::Member::Member(CallGroup* group, grpc::ClientContext& context)
    : group_(group), context_(context) {
  if (group_ == nullptr) return;
  MutexLock lock(&group_->mu_);
  group_->calls_.insert(&context_);
  // gRPC remembers it for a call that has not begun.
  if (group_->cancelled_) context_.TryCancel();
}

CallGroup::Member::~Member() {
  if (group_ == nullptr) return;
  MutexLock lock(&group_->mu_);
  group_->calls_.erase(&context_);
}

}  // namespace headstart
