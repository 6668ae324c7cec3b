// The scheduler as its clients see it: real servers on Unix sockets, a journal
// in memory, an agent and a storage that are made up.
#include <grpcpp/create_channel.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
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
#include "scheduler/service/engine.h"
#include "scheduler/service/storage_link.h"
#include "scheduler/service/test_support.h"
#include "scheduler/service/training_service.h"
#include "scheduler/service/tuning_service.h"
#include "scheduler/service/worker_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::scheduler {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::unique_ptr<Listener> MustListen(const std::string& address,
                                     std::vector<grpc::Service*> services) {
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
        tuning_(*engine_, storage_),
        training_(*engine_, storage_),
        admin_(*engine_, storage_),
        worker_(*engine_, storage_) {
    listener_ = MustListen(absl::StrCat("unix:", folder, "/users.sock"),
                           {&tuning_, &training_, &admin_});
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
  TuningService tuning_;
  TrainingService training_;
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
  template <typename Request>
  static Request Named(const std::string& name,
                       const std::string& request_id = "") {
    Request request;
    request.set_name(name);
    if constexpr (requires { request.set_request_id(request_id); }) {
      request.set_request_id(request_id);
    }
    return request;
  }

  absl::StatusOr<std::string> CreateStudy(const v1::Study& study,
                                          const std::string& request_id = "") {
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
  absl::StatusOr<v1::Training> CreateTraining(
      const std::string& checkpoint, const std::string& request_id = "") {
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

  TempDir folder_;
  StorageServer storage_{
      absl::StrCat("unix:", folder_.path(), "/storage.sock")};
  MemoryJournal journal_{std::string(32, 'c')};
  std::unique_ptr<SchedulerServer> scheduler_;
  std::unique_ptr<v1::TuningService::Stub> tuning_;
  std::unique_ptr<v1::TrainingService::Stub> training_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
};

TEST_F(ServiceTest, TunesThenTrainsFromTheWinner) {
  v1::Study study = RandomStudy(/*trial_count=*/4, /*epochs=*/3);
  v1::Training& then = *study.add_then();
  then.mutable_from()->mutable_winner()->set_epoch(2);
  then.set_epochs(5);
  then.add_seeds(42);
  then.add_seeds(43);
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(study));
  FakeAgent agent = MakeAgent("workers/a", 2);

  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  const v1::Study over = GetStudy(name);
  ASSERT_EQ(over.trainings_size(), 1);
  const std::string training_name = over.trainings(0);
  ASSERT_OK(agent.TrainUntil([&] {
    return GetTraining(training_name).state() == v1::Training::SUCCEEDED;
  }));

  EXPECT_EQ(over.recorded_epochs(), 12);
  EXPECT_EQ(over.trial_counts().succeeded(), 4);
  const v1::Training training = GetTraining(training_name);
  EXPECT_EQ(training.source_checkpoint(),
            absl::StrCat(over.best_trial(), "/epochs/2"));
  EXPECT_EQ(
      training.resolved_training().initializer().checkpoint().checkpoint(),
      training.source_checkpoint());
  EXPECT_EQ(training.resolved_training().epochs(), 5);
  ASSERT_EQ(training.runs_size(), 2);
  EXPECT_EQ(training.runs(0).epoch(), 5);
  EXPECT_EQ(training.runs(1).seed(), 43);
}

TEST_F(ServiceTest, GoesOnAfterARestartInTheMiddle) {
  ASSERT_OK_AND_ASSIGN(const std::string name,
                       CreateStudy(RandomStudy(4, 3), "create"));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).trial_counts().succeeded() >= 2; }));
  const v1::Study before = GetStudy(name);

  Restart();

  EXPECT_EQ(GetStudy(name).recorded_epochs(), before.recorded_epochs());
  ASSERT_OK_AND_ASSIGN(const std::string again,
                       CreateStudy(RandomStudy(4, 3), "create"));
  EXPECT_EQ(again, name);
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  EXPECT_EQ(GetStudy(name).recorded_epochs(), 12);
}

TEST_F(ServiceTest, RefusesAStudyByFieldPathAndCreatesNothing) {
  v1::Study study = RandomStudy(3, 3);
  study.mutable_search()->mutable_parameters(0)->set_path(
      "optimizer.adam.learning_rat");
  EXPECT_THAT(
      CreateStudy(study).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, "search.parameters[0]"));

  v1::ListStudiesRequest request;
  ASSERT_OK_AND_ASSIGN(
      const v1::ListStudiesResponse listed,
      Call(*tuning_, &v1::TuningService::Stub::ListStudies, request));
  EXPECT_THAT(listed.studies(), SizeIs(0));
}

TEST_F(ServiceTest, PlansAStudyWithoutCreatingIt) {
  v1::CreateStudyRequest request;
  *request.mutable_study() = RandomStudy(3, 2);
  request.set_validate_only(true);

  ASSERT_OK_AND_ASSIGN(
      const v1::CreateStudyResponse plan,
      Call(*tuning_, &v1::TuningService::Stub::CreateStudy, request));

  EXPECT_EQ(plan.study().name(), "");
  EXPECT_EQ(plan.plan().trial_count(), 3);
  EXPECT_EQ(plan.plan().epochs(), 6);
  EXPECT_EQ(journal_.last_sequence(), 0);
}

TEST_F(ServiceTest, RefusesALongRequestIdAndOneUsedForSomethingElse) {
  EXPECT_THAT(CreateStudy(RandomStudy(1, 1), std::string(65, 'x')).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "request_id"));
  ASSERT_OK(CreateStudy(RandomStudy(1, 1), "id"));

  EXPECT_THAT(CreateStudy(RandomStudy(2, 1), "id").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "id"));
  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::PauseStudy,
                   Named<v1::PauseStudyRequest>("studies/1", "id"))
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "id"));
}

TEST_F(ServiceTest, PagesThroughStudies) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(CreateStudy(RandomStudy(1, 1)));
  v1::ListStudiesRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  std::vector<int> sizes;
  do {
    ASSERT_OK_AND_ASSIGN(
        const v1::ListStudiesResponse page,
        Call(*tuning_, &v1::TuningService::Stub::ListStudies, request));
    sizes.push_back(page.studies_size());
    for (const v1::Study& study : page.studies()) names.push_back(study.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  EXPECT_THAT(sizes, testing::ElementsAre(2, 2, 1));
  EXPECT_THAT(names, testing::ElementsAre("studies/1", "studies/2", "studies/3",
                                          "studies/4", "studies/5"));
  for (const int64_t size : {-1, 1'001}) {
    request.set_page_size(size);
    EXPECT_THAT(
        Call(*tuning_, &v1::TuningService::Stub::ListStudies, request).status(),
        StatusIs(absl::StatusCode::kInvalidArgument, "page_size"));
  }
  request.set_page_size(1);
  request.set_page_token("no token of ours");
  EXPECT_THAT(
      Call(*tuning_, &v1::TuningService::Stub::ListStudies, request).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, "page_token"));
}

TEST_F(ServiceTest, PausesResumesCancelsAndDeletes) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(3, 2)));
  const auto pause = Named<v1::PauseStudyRequest>(name, "p");
  const auto state = [&] { return GetStudy(name).state(); };

  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::PauseStudy, pause));
  EXPECT_EQ(state(), v1::Study::PAUSED);
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  EXPECT_THAT(agent.assignments(), SizeIs(0));

  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::ResumeStudy,
                 Named<v1::ResumeStudyRequest>(name, "r")));
  EXPECT_EQ(state(), v1::Study::RUNNING);
  ASSERT_OK(agent.Synchronize());
  EXPECT_THAT(agent.assignments(), SizeIs(1));
  // A repeat of what was done before the resume pauses nothing.
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::PauseStudy, pause));
  EXPECT_EQ(state(), v1::Study::RUNNING);

  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                   Named<v1::DeleteStudyRequest>(name))
                  .status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, name));
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::CancelStudy,
                 Named<v1::CancelStudyRequest>(name)));
  EXPECT_EQ(state(), v1::Study::CANCELLED);
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(name, "d")));
  EXPECT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(name, "d")));
  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::GetStudy,
                   Named<v1::GetStudyRequest>(name))
                  .status(),
              StatusIs(absl::StatusCode::kNotFound, name));
}

TEST_F(ServiceTest, StopsExplainsAndListsTrials) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(3, 2)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  ASSERT_THAT(agent.assignments(), SizeIs(1));
  const std::string trial = agent.assignments()[0].run();

  ASSERT_OK_AND_ASSIGN(const v1::Trial stopped,
                       Call(*tuning_, &v1::TuningService::Stub::StopTrial,
                            Named<v1::StopTrialRequest>(trial)));
  EXPECT_EQ(stopped.state(), v1::Trial::STOPPED);
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));

  ASSERT_OK_AND_ASSIGN(const auto explained,
                       Call(*tuning_, &v1::TuningService::Stub::ExplainTrial,
                            Named<v1::ExplainTrialRequest>(trial)));
  EXPECT_GT(explained.decisions_size(), 0);
  v1::ListTrialsRequest list;
  list.set_parent(name);
  list.set_best(1);
  ASSERT_OK_AND_ASSIGN(
      const auto best,
      Call(*tuning_, &v1::TuningService::Stub::ListTrials, list));
  ASSERT_EQ(best.trials_size(), 1);
  EXPECT_EQ(best.trials(0).name(), GetStudy(name).best_trial());
  ASSERT_OK_AND_ASSIGN(const auto winner,
                       Call(*tuning_, &v1::TuningService::Stub::GetTrial,
                            Named<v1::GetTrialRequest>(name + "/winner")));
  EXPECT_EQ(winner.name(), best.trials(0).name());
}

TEST_F(ServiceTest, ReplaysAStudyAndAgreesWithItself) {
  v1::Study study = RandomStudy(9, 9);
  study.mutable_search()->mutable_asha()->set_trial_count(9);
  study.mutable_search()->mutable_asha()->set_reduction(3);
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(study));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));

  ASSERT_OK_AND_ASSIGN(const v1::ReplayStudyResponse replayed,
                       Call(*tuning_, &v1::TuningService::Stub::ReplayStudy,
                            Named<v1::ReplayStudyRequest>(name)));

  EXPECT_GT(replayed.decisions_count(), 9);
  EXPECT_THAT(replayed.differences(), SizeIs(0));
  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::ReplayStudy,
                   Named<v1::ReplayStudyRequest>("studies/9"))
                  .status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServiceTest, WatchesAStudyUntilItAndItsTrainingsAreOver) {
  v1::Study study = RandomStudy(2, 1);
  study.add_then()->mutable_from()->mutable_winner()->set_epoch(1);
  study.mutable_then(0)->add_seeds(1);
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(study));
  std::thread worker([&] {
    FakeAgent agent = MakeAgent();
    EXPECT_OK(agent.TrainUntil([&] {
      const v1::Study now = GetStudy(name);
      return now.trainings_size() == 1 &&
             GetTraining(now.trainings(0)).state() == v1::Training::SUCCEEDED;
    }));
  });

  grpc::ClientContext context;
  auto stream =
      tuning_->WatchStudy(&context, Named<v1::WatchStudyRequest>(name));
  std::vector<v1::Study> seen;
  v1::WatchStudyResponse message;
  while (stream->Read(&message)) seen.push_back(message.study());
  worker.join();

  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().state(), v1::Study::SUCCEEDED);
  EXPECT_EQ(GetTraining(seen.back().trainings(0)).state(),
            v1::Training::SUCCEEDED);
  EXPECT_THAT(message.best_trials(), SizeIs(2));
}

TEST_F(ServiceTest, EndsAWatchOfWhatDoesNotExistAndOfAStoppingScheduler) {
  {
    grpc::ClientContext context;
    auto stream = tuning_->WatchStudy(
        &context, Named<v1::WatchStudyRequest>("studies/9"));
    v1::WatchStudyResponse message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
  }
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 1)));
  grpc::ClientContext context;
  auto stream =
      tuning_->WatchStudy(&context, Named<v1::WatchStudyRequest>(name));
  v1::WatchStudyResponse message;
  ASSERT_TRUE(stream->Read(&message));

  scheduler_->Drain();

  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServiceTest, SurvivesClientsThatLeave) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 1)));
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext watch;
    auto stream =
        tuning_->WatchStudy(&watch, Named<v1::WatchStudyRequest>(name));
    v1::WatchStudyResponse message;
    if (i % 2 == 0) {
      ASSERT_TRUE(stream->Read(&message));
    }
    watch.TryCancel();

    grpc::ClientContext poll;
    v1::SynchronizeRequest request;
    request.set_protocol_version(1);
    request.set_worker("workers/idle");
    request.set_incarnation(1);
    request.add_slots()->set_name("cpu:0");
    poll.set_deadline(std::chrono::system_clock::now() +
                      std::chrono::milliseconds(5 * (i % 4)));
    v1::SynchronizeResponse response;
    (void)worker_->Synchronize(&poll, request, &response).ok();
  }

  EXPECT_EQ(GetStudy(name).state(), v1::Study::RUNNING);
}

TEST_F(ServiceTest, AnswersAPollOnceThereIsWork) {
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  EXPECT_THAT(agent.assignments(), SizeIs(0));
  EXPECT_EQ(agent.response().cluster_id(), std::string(32, 'c'));
  EXPECT_EQ(agent.response().lease_duration().seconds(), 30);
  EXPECT_THAT(agent.response().storage_address(), HasSubstr("storage.sock"));

  std::thread creator([&] { EXPECT_OK(CreateStudy(RandomStudy(1, 1))); });
  absl::Status status;
  while (status.ok() && agent.assignments().empty()) {
    status = agent.Synchronize();
  }
  creator.join();

  EXPECT_OK(status);
  ASSERT_THAT(agent.assignments(), SizeIs(1));
  EXPECT_EQ(agent.assignments()[0].run(), "studies/1/trials/1");
}

TEST_F(ServiceTest, AnswersAPollWithoutNewsAfterAThirdOfTheLease) {
  Restart(absl::Seconds(1));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  const int64_t version = agent.response().version();

  ASSERT_OK(agent.Synchronize());

  EXPECT_EQ(agent.response().version(), version);
}

TEST_F(ServiceTest, TellsAnOldIncarnationToEndAlsoWhileItWaits) {
  FakeAgent old = MakeAgent();
  ASSERT_OK(old.Synchronize());
  absl::Status status;
  std::thread waiting([&] {
    while (status.ok()) status = old.Synchronize();
  });

  FakeAgent young = MakeAgent();
  young.request().set_incarnation(2);
  ASSERT_OK(young.Synchronize());
  waiting.join();

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted));
}

TEST_F(ServiceTest, RefusesAnotherProtocolVersion) {
  FakeAgent agent = MakeAgent();
  agent.request().set_protocol_version(2);

  EXPECT_THAT(agent.Synchronize(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "2"));
}

TEST_F(ServiceTest, KeepsManyPollsWithoutAThreadForEach) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<v1::SynchronizeRequest> requests(300);
  std::vector<v1::SynchronizeResponse> responses(300);
  Mutex mu;
  int done = 0;
  for (int i = 0; i < 300; ++i) {
    requests[i].set_protocol_version(1);
    requests[i].set_worker(absl::StrCat("workers/w", i));
    requests[i].set_incarnation(1);
    auto& slot = *requests[i].add_slots();
    slot.set_name("cpu:0");
    requests[i].add_datasets("mnist");
  }
  const auto call = [&](int i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    worker_->async()->Synchronize(contexts.back().get(), &requests[i],
                                  &responses[i], [&](const grpc::Status&) {
                                    MutexLock lock(&mu);
                                    ++done;
                                  });
  };
  for (int i = 0; i < 300; ++i) call(i);
  {
    MutexLock lock(&mu);
    mu.Await([&] { return done == 300; });
    done = 0;
  }
  for (int i = 0; i < 300; ++i) {
    requests[i].set_seen_version(responses[i].version());
    call(i);
  }

  ASSERT_OK(CreateStudy(RandomStudy(300, 1)));
  {
    MutexLock lock(&mu);
    mu.Await([&] { return done == 300; });
  }

  std::set<std::string> runs;
  for (const v1::SynchronizeResponse& response : responses) {
    for (const auto& each : response.assignments()) {
      runs.insert(each.assignment().run());
    }
  }
  EXPECT_EQ(runs.size(), 300u);
}

TEST_F(ServiceTest, ListsCordonsAndDrainsWorkers) {
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  ASSERT_OK(MakeAgent("workers/b").Synchronize());

  ASSERT_OK_AND_ASSIGN(const v1::ListWorkersResponse listed,
                       Call(*admin_, &v1::AdminService::Stub::ListWorkers, {}));
  ASSERT_EQ(listed.workers_size(), 2);
  EXPECT_TRUE(listed.workers(0).has_last_seen_time());
  ASSERT_OK_AND_ASSIGN(const v1::Worker cordoned,
                       Call(*admin_, &v1::AdminService::Stub::CordonWorker,
                            Named<v1::WorkerRequest>("workers/a")));
  EXPECT_EQ(cordoned.state(), v1::Worker::CORDONED);
  ASSERT_OK(CreateStudy(RandomStudy(1, 1)));
  agent.HurryNextCall();
  ASSERT_OK(agent.Synchronize());
  EXPECT_THAT(agent.assignments(), SizeIs(0));

  ASSERT_OK_AND_ASSIGN(const v1::Worker ready,
                       Call(*admin_, &v1::AdminService::Stub::UncordonWorker,
                            Named<v1::WorkerRequest>("workers/a")));
  EXPECT_EQ(ready.state(), v1::Worker::READY);
  ASSERT_OK_AND_ASSIGN(const v1::Worker draining,
                       Call(*admin_, &v1::AdminService::Stub::DrainWorker,
                            Named<v1::WorkerRequest>("workers/a")));
  EXPECT_EQ(draining.state(), v1::Worker::DRAINING);
  EXPECT_THAT(Call(*admin_, &v1::AdminService::Stub::DrainWorker,
                   Named<v1::WorkerRequest>("workers/x"))
                  .status(),
              StatusIs(absl::StatusCode::kNotFound, "workers/x"));
}

TEST_F(ServiceTest, TellsWhereStorageIs) {
  ASSERT_OK_AND_ASSIGN(
      const v1::ServerInfo info,
      Call(*admin_, &v1::AdminService::Stub::GetServerInfo, {}));

  EXPECT_EQ(info.cluster_id(), std::string(32, 'c'));
  EXPECT_THAT(info.storage_address(), HasSubstr("storage.sock"));
  EXPECT_EQ(info.journal_sequence(), journal_.last_sequence());
}

// Storage.

TEST_F(ServiceTest, StatesReferencesAgainAndAgain) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(2, 2)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));

  storage_.fake.AwaitStatements(name, storage_.fake.StatementCount(name) + 3);

  const auto set = storage_.fake.References(name);
  ASSERT_TRUE(set.has_value());
  EXPECT_EQ(set->cluster_id(), std::string(32, 'c'));
  EXPECT_LE(set->scheduler_sequence(), journal_.last_sequence());
  std::set<std::string> kept;
  for (const v1::Reference& each : set->references()) {
    kept.insert(each.checkpoint());
  }
  EXPECT_THAT(kept, Contains(GetStudy(name).best_trial() + "/epochs/2"));
  EXPECT_EQ(set->horizons_size(), 2);
}

TEST_F(ServiceTest,
       StatesEverythingAgainWhenStorageIsBackAndSaysThatItWasAway) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 2)));
  storage_.fake.AwaitStatements(name, 1);

  storage_.Stop();
  std::string message;
  while (message.empty()) message = GetStudy(name).state_message();
  while (!absl::StrContains(message, "Storage")) {
    message = GetStudy(name).state_message();
  }
  EXPECT_THAT(message, HasSubstr("storage.sock"));
  const int64_t before = storage_.fake.StatementCount(name);
  storage_.Start();

  storage_.fake.AwaitStatements(name, before + 1);
}

TEST_F(ServiceTest, StatesNothingToTheStoreOfAnotherClusterAndSaysSo) {
  storage_.fake.RefuseReferences(
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                   "this store belongs to cluster dddd; adopt it with ..."));
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 2)));

  std::string message;
  while (!absl::StrContains(message, "adopt")) {
    message = GetStudy(name).state_message();
  }
  EXPECT_EQ(storage_.fake.StatementCount(name), 0);

  storage_.fake.RefuseReferences(grpc::Status::OK);
  storage_.fake.AwaitStatements(name, 1);
}

TEST_F(ServiceTest, RefusesATrainingFromACheckpointThatIsNotStoredAnyMore) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 3)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  storage_.fake.Forget("studies/1/trials/1/epochs/1");

  const auto refused = CreateTraining("studies/1/winner/epochs/1");

  EXPECT_THAT(refused.status(),
              StatusIs(absl::StatusCode::kNotFound, "studies/1/trials/1"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("0, 2 and 3"));
  EXPECT_THAT(CreateTraining("studies/1/winner/epochs/9").status(),
              StatusIs(absl::StatusCode::kNotFound, "0 to 3"));
  EXPECT_THAT(CreateTraining("studies/4/trials/1/epochs/1").status(),
              StatusIs(absl::StatusCode::kNotFound, "studies/4"));
  ASSERT_OK_AND_ASSIGN(
      const v1::ListTrainingsResponse listed,
      Call(*training_, &v1::TrainingService::Stub::ListTrainings, {}));
  EXPECT_THAT(listed.trainings(), SizeIs(0));
}

TEST_F(ServiceTest, RepeatsATrainingsFirstAnswerWhenItsSourceHasGone) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 1)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  ASSERT_OK_AND_ASSIGN(const v1::Training first,
                       CreateTraining("studies/1/winner/epochs/1", "id"));
  AwaitTraining(first.name(), v1::Training::RUNNING);
  storage_.fake.Forget("studies/1/trials/1/epochs/1");

  ASSERT_OK_AND_ASSIGN(const v1::Training again,
                       CreateTraining("studies/1/winner/epochs/1", "id"));

  EXPECT_EQ(again.name(), first.name());
}

TEST_F(ServiceTest, FailsAPreparingTrainingWhoseSourceHasGone) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 1)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  // Storage is away when the training is created, and back without the source.
  storage_.Stop();
  ASSERT_OK_AND_ASSIGN(const v1::Training training,
                       CreateTraining("studies/1/winner/epochs/1"));
  EXPECT_EQ(training.state(), v1::Training::PREPARING);
  storage_.fake.Forget("studies/1/trials/1/epochs/1");
  storage_.Start();

  AwaitTraining(training.name(), v1::Training::FAILED);

  EXPECT_THAT(GetTraining(training.name()).state_message(),
              HasSubstr("studies/1/trials/1/epochs/1"));
}

TEST_F(ServiceTest, CancelsDeletesAndValidatesTrainings) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(1, 1)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(name).state() == v1::Study::SUCCEEDED; }));
  v1::CreateTrainingRequest dry;
  dry.mutable_training()->mutable_from()->set_checkpoint(
      "studies/1/winner/epochs/1");
  dry.mutable_training()->add_seeds(1);
  dry.set_validate_only(true);
  ASSERT_OK_AND_ASSIGN(
      const v1::Training plan,
      Call(*training_, &v1::TrainingService::Stub::CreateTraining, dry));
  EXPECT_EQ(plan.name(), "");
  EXPECT_EQ(plan.source_checkpoint(), "studies/1/trials/1/epochs/1");

  ASSERT_OK_AND_ASSIGN(const v1::Training training,
                       CreateTraining("studies/1/winner/epochs/1"));
  EXPECT_EQ(training.name(), "trainings/1");
  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                   Named<v1::DeleteStudyRequest>(name))
                  .status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "trainings/1"));
  ASSERT_OK_AND_ASSIGN(
      const v1::Training cancelled,
      Call(*training_, &v1::TrainingService::Stub::CancelTraining,
           Named<v1::CancelTrainingRequest>("trainings/1")));
  EXPECT_EQ(cancelled.state(), v1::Training::CANCELLED);
  ASSERT_OK(Call(*training_, &v1::TrainingService::Stub::DeleteTraining,
                 Named<v1::DeleteTrainingRequest>("trainings/1")));
  storage_.fake.AwaitStatements("trainings/1", 1);
  EXPECT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(name)));
}

}  // namespace
}  // namespace headstart::scheduler
