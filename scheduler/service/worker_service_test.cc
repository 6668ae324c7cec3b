#include "scheduler/service/worker_service.h"

#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "scheduler/service/service_fixture.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using WorkerServiceTest = ServiceTest;

TEST_F(WorkerServiceTest, AnswersAPollOnceThereIsWork) {
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

TEST_F(WorkerServiceTest, AnswersAPollWithoutNewsAfterAThirdOfTheLease) {
  Restart(absl::Seconds(1));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  const int64_t version = agent.response().version();

  ASSERT_OK(agent.Synchronize());

  EXPECT_EQ(agent.response().version(), version);
}

TEST_F(WorkerServiceTest, ShowsHowFarAnAttemptIs) {
  ASSERT_OK(CreateStudy(RandomStudy(1, 3)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  v1::AttemptStatus& status = *agent.request().mutable_attempts(0);
  const auto progress_at = [&](int64_t epoch) {
    status.set_current_epoch(epoch);
    status.set_epoch_progress(0.5);
    agent.HurryNextCall();
    EXPECT_OK(agent.Synchronize());
    const auto trial = Call(*tuning_, &v1::TuningService::Stub::GetTrial,
                            Named<v1::GetTrialRequest>("studies/1/trials/1"));
    EXPECT_OK(trial);
    return trial->attempts(0).progress();
  };

  status.set_activity("nio 3 of 100: objective -3.2");
  EXPECT_EQ(progress_at(0).activity(), "nio 3 of 100: objective -3.2");
  status.clear_activity();
  EXPECT_EQ(progress_at(0).activity(), "");
  EXPECT_EQ(progress_at(1).epoch(), 1);
  EXPECT_EQ(progress_at(2).share(), 0.5);
  EXPECT_EQ(progress_at(0).epoch(), 2);  // Nothing new.
}

TEST_F(WorkerServiceTest, TellsAnOldIncarnationToEndAlsoWhileItWaits) {
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

TEST_F(WorkerServiceTest, RefusesAnotherProtocolVersion) {
  FakeAgent agent = MakeAgent();
  agent.request().set_protocol_version(2);

  EXPECT_THAT(agent.Synchronize(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "2"));
}

TEST_F(WorkerServiceTest, KeepsManyPollsWithoutAThreadForEach) {
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
  const auto await = [&](int count) {
    MutexLock lock(&mu);
    mu.Await([&] { return done == count; });
    done = 0;
  };
  for (int i = 0; i < 300; ++i) call(i);
  await(300);

  // Those that have no work yet. On a slow machine some polls end before the
  // study is there; they are made again.
  std::vector<int> idle(300);
  std::iota(idle.begin(), idle.end(), 0);
  std::set<std::string> runs;
  for (bool created = false; !idle.empty(); created = true) {
    for (const int i : idle) {
      requests[i].set_seen_version(responses[i].version());
      call(i);
    }
    if (!created) {
      ASSERT_OK(CreateStudy(RandomStudy(300, 1)));
    }
    await(idle.size());
    std::erase_if(idle, [&](int i) {
      for (const auto& each : responses[i].assignments()) {
        runs.insert(each.assignment().run());
      }
      return !responses[i].assignments().empty();
    });
  }

  EXPECT_EQ(runs.size(), 300u);
}

TEST_F(WorkerServiceTest, ListsCordonsAndDrainsWorkers) {
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

TEST_F(WorkerServiceTest, TellsWhereStorageIs) {
  ASSERT_OK_AND_ASSIGN(
      const v1::ServerInfo info,
      Call(*admin_, &v1::AdminService::Stub::GetServerInfo, {}));

  EXPECT_EQ(info.cluster_id(), std::string(32, 'c'));
  EXPECT_THAT(info.storage_address(), HasSubstr("storage.sock"));
  EXPECT_EQ(info.journal_sequence(), journal_.last_sequence());
}

}  // namespace
}  // namespace headstart::scheduler
