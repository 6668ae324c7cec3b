// A scheduler as its clients see it, for the tests of its services: real
// servers on Unix sockets, a journal in memory, a storage and agents that are
// made up.
#pragma once

#include <grpcpp/create_channel.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/net/grpc_status.h"
#include "base/net/listener.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "headstart/v1/admin_service.grpc.pb.h"
#include "headstart/v1/training_service.grpc.pb.h"
#include "headstart/v1/tuning_service.grpc.pb.h"
#include "scheduler/journal/memory_journal.h"
#include "scheduler/service/admin_service.h"
#include "scheduler/service/comparison_service.h"
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"
#include "scheduler/service/test_support.h"
#include "scheduler/service/training_service.h"
#include "scheduler/service/tuning_service.h"
#include "scheduler/service/worker_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::scheduler {

inline std::unique_ptr<Listener> MustListen(
    const std::string& address, std::vector<grpc::Service*> services) {
  auto parsed = ListenAddress::Parse(address);
  EXPECT_OK(parsed);
  auto listener =
      Listener::Start({.address = *parsed, .services = std::move(services)});
  EXPECT_OK(listener);
  return *std::move(listener);
}

// A storage process.
class StorageServer {
 public:
  explicit StorageServer(const std::string& address) : address_(address) {
    Start();
  }
  void Start() { listener_ = MustListen(address_, {&references_, &fake}); }
  void Stop() { listener_.reset(); }

  FakeStorage fake;

 private:
  class References final : public v1::ReferenceService::Service {
   public:
    explicit References(FakeStorage& fake) : fake_(fake) {}
    grpc::Status SetReferences(grpc::ServerContext*,
                               const v1::SetReferencesRequest* request,
                               v1::SetReferencesResponse* response) override {
      return fake_.SetReferences(*request, response);
    }

   private:
    FakeStorage& fake_;
  };

  const std::string address_;
  References references_{fake};
  std::unique_ptr<Listener> listener_;
};

// A scheduler process.
class SchedulerServer {
 public:
  SchedulerServer(Journal& journal, const std::string& folder,
                  absl::Duration lease_duration)
      : engine_(MustStart(journal, lease_duration, telemetry_)),
        storage_({.address = absl::StrCat("unix:", folder, "/storage.sock"),
                  .restate_period = absl::Seconds(1)},
                 *engine_),
        tuning_(*engine_, storage_, answers_),
        training_(*engine_, storage_),
        comparison_(*engine_, storage_, answers_),
        admin_(*engine_, storage_),
        worker_(*engine_, storage_) {
    listener_ = MustListen(absl::StrCat("unix:", folder, "/users.sock"),
                           {&tuning_, &training_, &comparison_, &admin_});
    worker_listener_ =
        MustListen(absl::StrCat("unix:", folder, "/workers.sock"), {&worker_});
    storage_.Start();
  }

  ~SchedulerServer() {
    storage_.Stop();
    engine_->Drain();
    listener_->Shutdown(absl::Seconds(5));
    worker_listener_->Shutdown(absl::Seconds(5));
  }

  Engine& engine() { return *engine_; }
  void Drain() { engine_->Drain(); }

 private:
  static std::unique_ptr<Engine> MustStart(Journal& journal,
                                           absl::Duration lease_duration,
                                           Telemetry& telemetry) {
    auto engine =
        Engine::Start({.lease_duration = lease_duration,
                       .stop_process = [](const absl::Status&) { FAIL(); }},
                      journal, Clock::Real(), telemetry);
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  Telemetry telemetry_;
  const std::unique_ptr<Engine> engine_;
  StorageLink storage_;
  AnswerThread answers_;
  TuningService tuning_;
  TrainingService training_;
  ComparisonService comparison_;
  AdminService admin_;
  WorkerService worker_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Listener> worker_listener_;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    const auto channel = [this](const char* socket) {
      return grpc::CreateChannel(
          absl::StrCat("unix:", folder_.path(), "/", socket),
          grpc::InsecureChannelCredentials());
    };
    Restart();
    tuning_ = v1::TuningService::NewStub(channel("users.sock"));
    training_ = v1::TrainingService::NewStub(channel("users.sock"));
    comparison_ = v1::ComparisonService::NewStub(channel("users.sock"));
    admin_ = v1::AdminService::NewStub(channel("users.sock"));
    worker_ = v1::WorkerService::NewStub(channel("workers.sock"));
  }

  // kill -9 and a new process, as far as a journal in memory can tell.
  void Restart(absl::Duration lease_duration = absl::Seconds(30)) {
    scheduler_.reset();
    scheduler_ = std::make_unique<SchedulerServer>(journal_, folder_.path(),
                                                   lease_duration);
  }

  // Calls `method` of `stub`; waits for a server that is only just there.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const std::type_identity_t<Request>& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::minutes(1));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }
  // A request_id that no other request has.
  std::string NewId() { return absl::StrCat("new-", ++last_id_); }

  // With an id of its own when it takes one.
  template <typename Request>
  Request Named(const std::string& name) {
    Request request;
    request.set_name(name);
    if constexpr (requires { request.set_request_id(""); }) {
      request.set_request_id(NewId());
    }
    return request;
  }

  absl::StatusOr<std::string> CreateStudy(const v1::Study& study) {
    return CreateStudy(study, NewId());
  }

  absl::StatusOr<std::string> CreateStudy(const v1::Study& study,
                                          const std::string& request_id) {
    v1::CreateStudyRequest request;
    *request.mutable_study() = study;
    request.set_request_id(request_id);
    auto created =
        Call(*tuning_, &v1::TuningService::Stub::CreateStudy, request);
    if (!created.ok()) return created.status();
    return created->study().name();
  }
  v1::Study GetStudy(const std::string& name) {
    auto study = Call(*tuning_, &v1::TuningService::Stub::GetStudy,
                      Named<v1::GetStudyRequest>(name));
    EXPECT_OK(study);
    return *study;
  }
  absl::StatusOr<v1::Training> CreateTraining(const std::string& checkpoint) {
    return CreateTraining(checkpoint, NewId());
  }
  absl::StatusOr<v1::Training> CreateTraining(const std::string& checkpoint,
                                              const std::string& request_id) {
    v1::CreateTrainingRequest request;
    request.mutable_training()->mutable_from()->set_checkpoint(checkpoint);
    request.mutable_training()->set_epochs(2);
    request.mutable_training()->add_seeds(1);
    request.set_request_id(request_id);
    return Call(*training_, &v1::TrainingService::Stub::CreateTraining,
                request);
  }
  v1::Training GetTraining(const std::string& name) {
    auto training = Call(*training_, &v1::TrainingService::Stub::GetTraining,
                         Named<v1::GetTrainingRequest>(name));
    EXPECT_OK(training);
    return *training;
  }
  // Ends when a WatchTraining shows `state`.
  void AwaitTraining(const std::string& name, v1::Training::State state) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    auto stream = training_->WatchTraining(
        &context, Named<v1::WatchTrainingRequest>(name));
    v1::Training training;
    while (stream->Read(&training)) {
      if (training.state() == state) return;
    }
    FAIL() << name << " ended as "
           << v1::Training::State_Name(training.state());
  }

  FakeAgent MakeAgent(const std::string& worker = "workers/a", int slots = 1) {
    return FakeAgent(
        worker, slots,
        [this](const v1::SynchronizeRequest& request) {
          return Call(*worker_, &v1::WorkerService::Stub::Synchronize, request);
        },
        &storage_.fake);
  }

  std::atomic<int64_t> last_id_ = 0;  // Tests call from several threads.
  TempDir folder_;
  StorageServer storage_{
      absl::StrCat("unix:", folder_.path(), "/storage.sock")};
  MemoryJournal journal_{std::string(32, 'c')};
  std::unique_ptr<SchedulerServer> scheduler_;
  std::unique_ptr<v1::TuningService::Stub> tuning_;
  std::unique_ptr<v1::TrainingService::Stub> training_;
  std::unique_ptr<v1::ComparisonService::Stub> comparison_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
};

}  // namespace headstart::scheduler
