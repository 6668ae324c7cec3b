#include "scheduler/service/engine.h"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/journal/memory_journal.h"
#include "scheduler/service/test_support.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLease = absl::Seconds(30);

// A value that one thread sets and another waits for.
template <typename T>
class Promise {
 public:
  void Set(T value) {
    MutexLock lock(&mu_);
    value_ = std::move(value);
  }
  T Await() {
    MutexLock lock(&mu_);
    mu_.Await(
        [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return value_.has_value(); });
    return *value_;
  }
  bool has_value() {
    MutexLock lock(&mu_);
    return value_.has_value();
  }

 private:
  Mutex mu_;
  std::optional<T> value_ ABSL_GUARDED_BY(mu_);
};

class EngineTest : public testing::Test {
 protected:
  EngineTest() { Restart(); }

  void Restart() {
    engine_.reset();
    telemetry_ = std::make_unique<Telemetry>();
    absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Start(
        {.lease_duration = kLease,
         .free_bytes_floor = 1'000,
         .folder = "/data/scheduler",
         .queue_max = 20,
         .stop_process = [this](const absl::Status&) { ++stop_count_; }},
        journal_, clock_, *telemetry_);
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
    clock_.AwaitWaiters(1);
  }

  // The name of the resource made or changed.
  absl::StatusOr<std::string> Do(Command command) {
    std::string name;
    HS_RETURN_IF_ERROR(engine_->SubmitAndWait(
        std::move(command), [&](const EngineView&, const Outcome& outcome) {
          name = outcome.name;
          return absl::OkStatus();
        }));
    return name;
  }

  CreateStudy MakeCreateStudy(const std::string& request_id,
                              int64_t trial_count = 1) {
    return {.request = {.id = request_id,
                        .method = "CreateStudy",
                        .fingerprint = absl::StrCat(trial_count)},
            .study = RandomStudy(trial_count, /*epochs=*/2)};
  }
  template <typename T>
  static T Named(const std::string& name) {
    T command;
    command.name = name;
    return command;
  }

  int64_t StudyCount() {
    int64_t count = 0;
    EXPECT_OK(engine_->ReadAndWait([&](const EngineView& view) {
      count = view.scheduler.ListStudies({})->studies_size();
      return absl::OkStatus();
    }));
    return count;
  }
  v1::Trial GetTrial(const std::string& name) {
    v1::Trial trial;
    EXPECT_OK(engine_->ReadAndWait([&](const EngineView& view) -> absl::Status {
      HS_ASSIGN_OR_RETURN(trial, view.scheduler.GetTrial(name));
      return absl::OkStatus();
    }));
    return trial;
  }

  // Lets time pass, and the engine see that it has.
  void Advance(absl::Duration duration) {
    constexpr absl::Duration kStep = absl::Seconds(1);
    for (; duration > kStep; duration -= kStep) AdvanceAtOnce(kStep);
    AdvanceAtOnce(duration);
  }
  // The same, but the engine sees nothing of the time in between.
  void AdvanceAtOnce(absl::Duration duration) {
    clock_.Advance(duration);
    ASSERT_OK(engine_->ReadAndWait(
        [](const EngineView&) { return absl::OkStatus(); }));
  }

  FakeAgent MakeAgent(const std::string& worker = "workers/a") {
    return FakeAgent(worker, /*slots=*/1,
                     [this](const v1::SynchronizeRequest& request)
                         -> absl::StatusOr<v1::SynchronizeResponse> {
                       v1::SynchronizeResponse response;
                       HS_RETURN_IF_ERROR(engine_->SubmitAndWait(
                           Synchronize{.request = request},
                           [&](const EngineView& view, const Outcome&) {
                             response = view.scheduler.AnswerWorker(request);
                             return absl::OkStatus();
                           }));
                       return response;
                     });
  }

  // Keeps the engine's thread busy until the result is Set.
  std::shared_ptr<Promise<bool>> Block() {
    auto release = std::make_shared<Promise<bool>>();
    Promise<bool> blocked;
    engine_->Read(
        [release, &blocked](const EngineView&) {
          blocked.Set(true);
          release->Await();
          return absl::OkStatus();
        },
        [](const absl::Status&) {});
    blocked.Await();
    return release;
  }

  MemoryJournal journal_;
  FakeClock clock_;
  std::atomic<int> stop_count_ = 0;
  std::unique_ptr<Telemetry> telemetry_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, AnswersOnceTheEventsAreInTheJournal) {
  const int64_t before = journal_.last_sequence();
  Promise<int64_t> sequence_at_answer;

  engine_->Submit(
      MakeCreateStudy("a"),
      [](const EngineView&, const Outcome&) { return absl::OkStatus(); },
      [&](const absl::Status& status) {
        EXPECT_OK(status);
        sequence_at_answer.Set(journal_.last_sequence());
      });

  EXPECT_GT(sequence_at_answer.Await(), before);
}

TEST_F(EngineTest, AppendsAllThatWaitedAsOneGroup) {
  const int64_t before = journal_.append_count();
  auto release = Block();
  std::vector<std::unique_ptr<Promise<absl::Status>>> answers;
  for (int i = 0; i < 10; ++i) {
    auto& answer =
        *answers.emplace_back(std::make_unique<Promise<absl::Status>>());
    engine_->Submit(
        MakeCreateStudy(absl::StrCat("id", i)),
        [](const EngineView&, const Outcome&) { return absl::OkStatus(); },
        [&answer](const absl::Status& status) { answer.Set(status); });
  }

  release->Set(true);
  for (auto& answer : answers) EXPECT_OK(answer->Await());

  EXPECT_EQ(journal_.append_count(), before + 1);
  EXPECT_EQ(StudyCount(), 10);
}

TEST_F(EngineTest, ARefusedCommandLeavesNoTrace) {
  const int64_t before = journal_.last_sequence();

  EXPECT_THAT(Do(Named<PauseStudy>("studies/1")),
              StatusIs(absl::StatusCode::kNotFound, "studies/1"));

  EXPECT_EQ(journal_.last_sequence(), before);
}

TEST_F(EngineTest, StopsWhenTheJournalCannotBeWrittenAndTellsNobodyTheState) {
  journal_.FailAppends(absl::DataLossError("disk"), /*keep_events=*/false);
  auto release = Block();
  Promise<absl::Status> changed;
  Promise<absl::Status> read;
  engine_->Submit(
      MakeCreateStudy("a"),
      [](const EngineView&, const Outcome&) { return absl::OkStatus(); },
      [&](const absl::Status& status) { changed.Set(status); });
  engine_->Read([](const EngineView&) { return absl::OkStatus(); },
                [&](const absl::Status& status) { read.Set(status); });

  release->Set(true);

  EXPECT_THAT(changed.Await(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(read.Await(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(stop_count_, 1);
  EXPECT_THAT(Do(MakeCreateStudy("b")),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(EngineTest, GivesTheFirstAnswerAgainAfterACrashBeforeIt) {
  journal_.FailAppends(absl::DataLossError("written, not answered"),
                       /*keep_events=*/true);
  EXPECT_THAT(Do(MakeCreateStudy("a")),
              StatusIs(absl::StatusCode::kUnavailable));
  journal_.FailAppends(absl::OkStatus(), false);

  Restart();

  EXPECT_EQ(StudyCount(), 1);
  EXPECT_THAT(Do(MakeCreateStudy("a")), IsOkAndHolds("studies/1"));
  EXPECT_EQ(StudyCount(), 1);
  EXPECT_THAT(Do(MakeCreateStudy("b")), IsOkAndHolds("studies/2"));
}

TEST_F(EngineTest, RefusesARequestIdWithOtherContentAfterARestartToo) {
  ASSERT_OK(Do(MakeCreateStudy("a", 1)));

  Restart();

  EXPECT_THAT(Do(MakeCreateStudy("a", 2)),
              StatusIs(absl::StatusCode::kInvalidArgument, "request_id"));
}

TEST_F(EngineTest, HasTheSameStateAfterARestart) {
  ASSERT_OK(Do(MakeCreateStudy("a", 3)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  agent.Train();
  ASSERT_OK(agent.Synchronize());
  const auto state = [this] {
    std::string bytes;
    EXPECT_OK(engine_->ReadAndWait([&](const EngineView& view) {
      bytes = view.scheduler.DebugState();
      return absl::OkStatus();
    }));
    return bytes;
  };
  const std::string before = state();

  Restart();

  EXPECT_EQ(state(), before);
}

TEST_F(EngineTest, RefusesWhatTheQueueHasNoRoomFor) {
  auto release = Block();
  std::vector<std::unique_ptr<Promise<absl::Status>>> answers;
  for (int i = 0; i < 21; ++i) {
    auto& answer =
        *answers.emplace_back(std::make_unique<Promise<absl::Status>>());
    engine_->Read(
        [](const EngineView&) { return absl::OkStatus(); },
        [&answer](const absl::Status& status) { answer.Set(status); });
  }

  EXPECT_THAT(answers.back()->Await(),
              StatusIs(absl::StatusCode::kUnavailable, "20 requests"));
  release->Set(true);
  for (int i = 0; i < 20; ++i) EXPECT_OK(answers[i]->Await());
}

TEST_F(EngineTest, RefusesGrowthBelowTheFloorAndNothingElse) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  journal_.set_free_bytes(999);

  const auto refused = Do(MakeCreateStudy("b"));
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted,
                                "/data/scheduler"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("999"));
  EXPECT_EQ(StudyCount(), 1);
  EXPECT_THAT(Do(MakeCreateStudy("a")), IsOkAndHolds("studies/1"));
  EXPECT_OK(Do(Named<CancelStudy>("studies/1")));
  EXPECT_OK(Do(Named<DeleteStudy>("studies/1")));

  journal_.set_free_bytes(1'000);
  EXPECT_OK(Do(MakeCreateStudy("b")));
}

TEST_F(EngineTest, KeepsLeasesOfAWorkerWhoseNewsFindsNoRoom) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  ASSERT_EQ(agent.assignments().size(), 1u);
  journal_.set_free_bytes(0);
  agent.Train();

  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(agent.Synchronize(),
                StatusIs(absl::StatusCode::kResourceExhausted));
    Advance(kLease / 2);
  }
  journal_.set_free_bytes(1'000);
  ASSERT_OK(agent.Synchronize());

  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts_size(), 1);
  EXPECT_EQ(GetTrial("studies/1/trials/1").state(), v1::Trial::SUCCEEDED);
}

TEST_F(EngineTest, LosesAnAttemptWhoseWorkerIsSilentForALease) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  ASSERT_EQ(agent.assignments().size(), 1u);

  Advance(kLease - absl::Seconds(1));
  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts(0).state(),
            v1::Attempt::LEASED);
  Advance(absl::Seconds(1));

  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts(0).state(),
            v1::Attempt::LOST);
  EXPECT_TRUE(absl::StrContains(telemetry_->Text(),
                                "headstart_leases_expired_total 1"));
}

TEST_F(EngineTest, RenewsTheLeaseOfAnAttemptThatTheWorkerNames) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());

  for (int i = 0; i < 5; ++i) {
    Advance(kLease * 2 / 3);
    ASSERT_OK(agent.Synchronize());
  }

  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts_size(), 1);
  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts(0).state(),
            v1::Attempt::RUNNING);
}

TEST_F(EngineTest, GivesEveryLeaseItsFullDurationAgainAfterARestart) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  Advance(kLease - absl::Seconds(1));

  Restart();

  Advance(kLease - absl::Seconds(1));
  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts(0).state(),
            v1::Attempt::LEASED);
  Advance(absl::Seconds(1));
  EXPECT_EQ(GetTrial("studies/1/trials/1").attempts(0).state(),
            v1::Attempt::LOST);
}

TEST_F(EngineTest, LosesNoAttemptToATimeInWhichItStoodStillItself) {
  ASSERT_OK(Do(MakeCreateStudy("a")));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());

  AdvanceAtOnce(kLease * 3);

  const auto attempt = [this] {
    return GetTrial("studies/1/trials/1").attempts(0).state();
  };
  EXPECT_EQ(attempt(), v1::Attempt::LEASED);
  ASSERT_OK(engine_->ReadAndWait([](const EngineView& view) {
    EXPECT_EQ(view.scheduler.GetWorker("workers/a")->state(),
              v1::Worker::READY);
    return absl::OkStatus();
  }));
  // What was left of the lease before runs on from here.
  Advance(kLease - absl::Seconds(1));
  EXPECT_EQ(attempt(), v1::Attempt::LEASED);
  Advance(absl::Seconds(1));
  EXPECT_EQ(attempt(), v1::Attempt::LOST);
}

TEST_F(EngineTest, NoticesAWorkerThatHasGone) {
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  const auto state = [this] {
    v1::Worker::State state = v1::Worker::STATE_UNSPECIFIED;
    EXPECT_OK(engine_->ReadAndWait([&](const EngineView& view) {
      state = view.scheduler.GetWorker("workers/a")->state();
      return absl::OkStatus();
    }));
    return state;
  };
  EXPECT_EQ(state(), v1::Worker::READY);

  Advance(kLease);
  EXPECT_EQ(state(), v1::Worker::GONE);

  ASSERT_OK(agent.Synchronize());
  EXPECT_EQ(state(), v1::Worker::READY);
}

TEST_F(EngineTest, EndsAWaitWhenItsConditionHolds) {
  Promise<WaitEnd> end;
  ASSERT_OK(engine_->Wait(
      {.ready =
           [](const EngineView& view) {
             return view.scheduler.OwnerVersion("studies/1") > 0;
           },
       .then = [&](const EngineView&, WaitEnd how) { end.Set(how); }}));
  EXPECT_EQ(StudyCount(), 0);
  EXPECT_FALSE(end.has_value());

  ASSERT_OK(Do(MakeCreateStudy("a")));

  EXPECT_EQ(end.Await(), WaitEnd::kReady);
}

TEST_F(EngineTest, EndsAWaitWhenItsTimeIsUp) {
  Promise<WaitEnd> end;
  ASSERT_OK(engine_->Wait(
      {.timeout = absl::Seconds(10),
       .ready = [](const EngineView&) { return false; },
       .then = [&](const EngineView&, WaitEnd how) { end.Set(how); }}));
  Advance(absl::Seconds(9));
  EXPECT_FALSE(end.has_value());

  Advance(absl::Seconds(1));

  EXPECT_EQ(end.Await(), WaitEnd::kTimeout);
}

TEST_F(EngineTest, DoesNotAskBeforeItsTime) {
  Promise<WaitEnd> end;
  ASSERT_OK(engine_->Wait(
      {.not_before = absl::Seconds(10),
       .ready = [](const EngineView&) { return true; },
       .then = [&](const EngineView&, WaitEnd how) { end.Set(how); }}));
  Advance(absl::Seconds(9));
  EXPECT_FALSE(end.has_value());

  Advance(absl::Seconds(1));

  EXPECT_EQ(end.Await(), WaitEnd::kReady);
}

TEST_F(EngineTest, EndsAWaitOnRequestAndAllWaitsWhenDraining) {
  const auto never = [](const EngineView&) { return false; };
  Promise<WaitEnd> first;
  Promise<WaitEnd> second;
  Promise<WaitEnd> third;
  ASSERT_OK_AND_ASSIGN(
      const int64_t wait,
      engine_->Wait(
          {.ready = never,
           .then = [&](const EngineView&, WaitEnd how) { first.Set(how); }}));
  ASSERT_OK(engine_->Wait(
      {.ready = never,
       .then = [&](const EngineView&, WaitEnd how) { second.Set(how); }}));

  engine_->EndWait(wait);
  EXPECT_EQ(first.Await(), WaitEnd::kEnded);
  EXPECT_FALSE(second.has_value());

  engine_->Drain();
  EXPECT_EQ(second.Await(), WaitEnd::kEnded);
  ASSERT_OK(engine_->Wait(
      {.ready = never,
       .then = [&](const EngineView&, WaitEnd how) { third.Set(how); }}));
  EXPECT_EQ(third.Await(), WaitEnd::kEnded);
  EXPECT_OK(Do(MakeCreateStudy("still served")));
}

TEST_F(EngineTest, EndsWaitsAndAnswersWhatIsQueuedWhenStopped) {
  Promise<WaitEnd> end;
  ASSERT_OK(engine_->Wait(
      {.ready = [](const EngineView&) { return false; },
       .then = [&](const EngineView&, WaitEnd how) { end.Set(how); }}));
  Promise<absl::Status> answer;
  engine_->Submit(
      MakeCreateStudy("a"),
      [](const EngineView&, const Outcome&) { return absl::OkStatus(); },
      [&](const absl::Status& status) { answer.Set(status); });

  engine_->Stop();

  EXPECT_OK(answer.Await());
  EXPECT_EQ(end.Await(), WaitEnd::kEnded);
  EXPECT_THAT(Do(MakeCreateStudy("b")),
              StatusIs(absl::StatusCode::kUnavailable, "stopping"));
}

TEST_F(EngineTest, CountsCommandsAndShowsTrialsAndStudies) {
  ASSERT_OK(Do(MakeCreateStudy("a", 2)));
  EXPECT_FALSE(Do(Named<PauseStudy>("studies/9")).ok());
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  agent.Train();
  ASSERT_OK(agent.Synchronize());

  Advance(absl::Seconds(2));
  StudyCount();  // Served after all that the group before it did.

  const std::string text = telemetry_->Text();
  for (
      const char* line : {
          R"(headstart_scheduler_commands_total{code="ok",command="create_study"} 1)",
          R"(headstart_scheduler_commands_total{code="not_found",command="pause_study"} 1)",
          R"(headstart_scheduler_commands_total{code="ok",command="drain_worker"} 0)",
          R"(headstart_studies{state="running"} 1)",
          R"(headstart_trainings{state="preparing"} 0)",
          R"(headstart_training_runs{state="training"} 0)",
          R"(headstart_trials{state="succeeded"} 1)",
          R"(headstart_workers{state="ready"} 1)",
          R"(headstart_study_trials{state="succeeded",study="studies/1"} 1)",
          R"(headstart_study_epochs_total{study="studies/1"} 2)",
          R"(headstart_study_best_objective{study="studies/1"} 0.)",
          "headstart_scheduler_decide_seconds_count",
          "headstart_journal_append_seconds_count",
      }) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line;
  }
}

TEST_F(EngineTest, ShowsSeriesOfTheFiftyNewestLiveStudiesOnly) {
  for (int i = 0; i < 52; ++i) {
    ASSERT_OK(Do(MakeCreateStudy(absl::StrCat("id", i))));
  }
  ASSERT_OK(Do(Named<CancelStudy>("studies/51")));

  Advance(absl::Seconds(2));
  StudyCount();  // Served after all that the group before it did.

  // 52 without the one that is over and without the oldest.
  const std::string text = telemetry_->Text();
  for (int i = 1; i <= 52; ++i) {
    const std::string line =
        absl::StrCat("headstart_study_epochs_total{study=\"studies/", i, "\"}");
    EXPECT_EQ(absl::StrContains(text, line), i != 1 && i != 51) << line;
  }
}

}  // namespace
}  // namespace headstart::scheduler
