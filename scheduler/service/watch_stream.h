// Streams that show something again whenever it has changed.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/net/grpc_status.h"
#include "scheduler/service/engine.h"

namespace headstart::scheduler {

// One call of a Watch method: sends what is there at once, then
// again when it has changed, at most twice a second, until it is over.
//
// Owns itself from its construction until gRPC says that the call is done.
template <typename Response>
class WatchStream final : public grpc::ServerWriteReactor<Response> {
 public:
  struct Source {
    absl::AnyInvocable<absl::StatusOr<Response>(const EngineView&)> look;
    // Differs whenever `look` might give something else than `last`.
    absl::AnyInvocable<int64_t(const EngineView&, const Response& last)>
        version;
    // Whether `last` is all there will ever be.
    absl::AnyInvocable<bool(const EngineView&, const Response& last)> over;
  };

  WatchStream(Engine& engine, Source source)
      : engine_(engine), source_(std::move(source)) {
    WaitForChange(/*first=*/true);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      this->Finish(grpc::Status::CANCELLED);
    } else {
      WaitForChange(/*first=*/false);
    }
  }

  void OnCancel() override {
    MutexLock lock(&mu_);
    cancelled_ = true;
    if (wait_ != 0) engine_.EndWait(wait_);
  }

  void OnDone() override { delete this; }

 private:
  static constexpr absl::Duration kPause = absl::Milliseconds(500);

  void WaitForChange(bool first) {
    absl::Status refusal;
    {
      MutexLock lock(&mu_);
      if (!cancelled_) {
        absl::StatusOr<int64_t> wait = engine_.Wait(
            {.not_before = first ? absl::ZeroDuration() : kPause,
             .ready =
                 [this, first](const EngineView& view) {
                   return first || source_.version(view, last_) != version_;
                 },
             .then = [this](const EngineView& view,
                            WaitEnd end) { Send(view, end); }});
        if (wait.ok()) {
          wait_ = *wait;
          return;
        }
        refusal = wait.status();
      }
    }
    this->Finish(refusal.ok() ? grpc::Status::CANCELLED
                              : ToGrpcStatus(refusal));
  }

  // On the engine's thread.
  void Send(const EngineView& view, WaitEnd end) {
    if (end == WaitEnd::kEnded) {
      this->Finish(grpc::Status(
          grpc::StatusCode::UNAVAILABLE,
          "the scheduler is stopping. Watch again when it is back."));
      return;
    }
    absl::StatusOr<Response> look = source_.look(view);
    if (!look.ok()) {
      this->Finish(ToGrpcStatus(look.status()));
      return;
    }
    last_ = *std::move(look);
    version_ = source_.version(view, last_);
    if (source_.over(view, last_)) {
      this->StartWriteAndFinish(&last_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      this->StartWrite(&last_);
    }
  }

  Engine& engine_;
  Source source_;

  // Of the wait's functions and the write that follows them, in turns.
  Response last_;
  int64_t version_ = 0;

  Mutex mu_;
  int64_t wait_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace headstart::scheduler
