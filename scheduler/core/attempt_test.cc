// Leases, reports and failures of attempts.
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kTrial[] = "studies/1/trials/1";

// One study of one trial of four epochs, leased to workers/a.
class AttemptTest : public testing::Test {
 protected:
  void SetUp() override { Create({}); }

  void Create(const v1::FailurePolicy& policy) {
    world_ = TestWorld();
    v1::Study study = SmallStudy("random { trial_count: 1 }", 4);
    study.mutable_failure_policy()->MergeFrom(policy);
    world_.Do(CreateStudy{{}, study});
    work_ = Held(world_.Call("workers/a", 1));
  }

  static v1::Assignment Held(const v1::SynchronizeResponse& answer) {
    EXPECT_EQ(answer.assignments_size(), 1);
    return answer.assignments_size() == 1 ? answer.assignments(0).assignment()
                                          : v1::Assignment();
  }
  v1::AttemptStatus Running(std::initializer_list<v1::EpochReport> reports) {
    v1::AttemptStatus status = TestWorld::StatusOf(work_, v1::Attempt::RUNNING);
    for (const v1::EpochReport& report : reports) {
      *status.add_reports() = report;
    }
    return status;
  }
  // Fails the attempt that is held and takes the next.
  void Fail(v1::Failure::Reason reason) {
    v1::AttemptStatus status = TestWorld::StatusOf(work_, v1::Attempt::FAILED);
    status.mutable_failure()->set_reason(reason);
    status.mutable_failure()->set_message("it broke");
    const auto answer = world_.Call("workers/a", 1, {status});
    if (answer.assignments_size() == 1) work_ = Held(answer);
  }
  v1::Trial Trial() { return *world_.scheduler().GetTrial(kTrial); }

  TestWorld world_;
  v1::Assignment work_;
};

TEST_F(AttemptTest, GivesCompleteWork) {
  EXPECT_EQ(work_.run(), kTrial);
  EXPECT_EQ(work_.attempt(), 1);
  EXPECT_EQ(work_.token(), 1);
  EXPECT_EQ(work_.from_epoch(), 0);
  EXPECT_EQ(work_.until_epoch(), 4);
  EXPECT_GE(work_.seed(), 0);
  EXPECT_EQ(work_.training().optimizer().adam().beta2(), 0.999);
  EXPECT_TRUE(work_.training().schedule().has_constant());
}

TEST_F(AttemptTest, SaysTheSameAgainUntilSomethingChanges) {
  const auto first = world_.Call("workers/a", 1);
  const auto second = world_.Call("workers/a", 1);
  EXPECT_EQ(first.DebugString(), second.DebugString());
}

TEST_F(AttemptTest, AcknowledgesWhatIsRecorded) {
  const auto answer = world_.Call(
      "workers/a", 1, {Running({ReportOf(0, 0), ReportOf(1, 0.5)})});

  ASSERT_THAT(answer.acknowledgements(), SizeIs(1));
  EXPECT_EQ(answer.acknowledgements(0).through_epoch(), 1);
  EXPECT_FALSE(answer.acknowledgements(0).ended());
  EXPECT_EQ(Trial().epoch(), 1);
  EXPECT_EQ(Trial().objective(), 0.5);
  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::RUNNING);
}

TEST_F(AttemptTest, AcknowledgesNothingWhenNothingIsReported) {
  EXPECT_THAT(world_.Call("workers/a", 1, {Running({})}).acknowledgements(),
              IsEmpty());
}

TEST_F(AttemptTest, RecordsARepeatedReportOnce) {
  const v1::AttemptStatus status = Running({ReportOf(0, 0), ReportOf(1, 0.5)});
  world_.Call("workers/a", 1, {status});
  const int64_t events = world_.scheduler().event_count();

  const auto answer = world_.Call("workers/a", 1, {status});

  EXPECT_EQ(world_.scheduler().event_count(), events);
  EXPECT_EQ(answer.acknowledgements(0).through_epoch(), 1);
  EXPECT_THAT(world_.refusals(), IsEmpty());
}

// As AttemptTest, with a target that ends the trial.
class EarlyStopTest : public AttemptTest {
 protected:
  void SetUp() override {
    v1::Study study = SmallStudy("random { trial_count: 1 }", 4);
    study.mutable_training()->mutable_early_stop()->set_validation_accuracy(
        0.7);
    world_.Do(CreateStudy{{}, study});
    work_ = Held(world_.Call("workers/a", 1));
  }
};

TEST_F(EarlyStopTest, EndsTheTrialWithTheEpochThatReachesTheTarget) {
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0), ReportOf(1, 0.5)})});
  EXPECT_EQ(Trial().state(), v1::Trial::TRAINING);

  const auto answer =
      world_.Call("workers/a", 1, {Running({ReportOf(2, 0.25)})});

  EXPECT_TRUE(answer.acknowledgements(0).ended());
  EXPECT_EQ(Trial().state(), v1::Trial::SUCCEEDED);
  EXPECT_EQ(Trial().epoch(), 2);
  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::SUCCEEDED);
  EXPECT_EQ(Trial().attempts(0).until_epoch(), 2);
  const auto why = *world_.scheduler().ExplainTrial(kTrial);
  EXPECT_THAT(why.decisions(why.decisions_size() - 1).text(),
              HasSubstr("epoch 2 reached early_stop.validation_accuracy"));
  EXPECT_EQ(world_.scheduler().GetStudy("studies/1")->state(),
            v1::Study::SUCCEEDED);
}

TEST_F(EarlyStopTest, RefusesEpochsBehindIt) {
  world_.Call("workers/a", 1,
              {Running({ReportOf(0, 0), ReportOf(1, 0.2), ReportOf(2, 0.1)})});

  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status.message(),
              HasSubstr("epoch 2 was reported after epoch 1 had reached "
                        "early_stop.validation_accuracy"));
}

TEST_F(AttemptTest, RefusesAnotherValueForARecordedEpoch) {
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0), ReportOf(1, 0.5)})});

  const auto answer =
      world_.Call("workers/a", 1, {Running({ReportOf(1, 0.25)})});

  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kAlreadyExists, "0.5"));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kAlreadyExists, "0.25"));
  // The first value stands; the attempt that contradicts itself is over.
  EXPECT_EQ(answer.acknowledgements(0).through_epoch(), -1);
  EXPECT_TRUE(answer.acknowledgements(0).ended());
  EXPECT_EQ(Trial().objective(), 0.5);
  EXPECT_EQ(Trial().attempts(0).failure().reason(), v1::Failure::INTERNAL);
  EXPECT_EQ(Trial().attempts_size(), 2);
}

TEST_F(AttemptTest, RefusesToSkipAnEpoch) {
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0), ReportOf(2, 0.5)})});

  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kFailedPrecondition, "epoch 1"));
  EXPECT_EQ(Trial().epoch(), 0);
}

TEST_F(AttemptTest, RefusesEpochsBeyondTheAssignment) {
  world_.Call("workers/a", 1, {Running({ReportOf(5, 0.5)})});
  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kFailedPrecondition, "0 to 4"));
}

TEST_F(AttemptTest, RefusesAReportWithoutTheObjective) {
  v1::EpochReport report = ReportOf(1, 0.5);
  report.mutable_measurement()->clear_validation_loss();
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0), report})});
  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kInvalidArgument, "VALIDATION_LOSS"));
}

TEST_F(AttemptTest, EndsWithTheReportOfTheLastEpoch) {
  v1::AttemptStatus status =
      TestWorld::Trained(work_, [](const auto&, int64_t) { return 0.5; });
  status.set_state(v1::Attempt::RUNNING);

  const auto answer = world_.Call("workers/a", 1, {status});

  EXPECT_TRUE(answer.acknowledgements(0).ended());
  EXPECT_EQ(answer.acknowledgements(0).through_epoch(), 4);
  EXPECT_EQ(Trial().state(), v1::Trial::SUCCEEDED);
  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::SUCCEEDED);
}

TEST_F(AttemptTest, DoesNotBelieveAnEndWithoutReports) {
  world_.Call("workers/a", 1,
              {TestWorld::StatusOf(work_, v1::Attempt::SUCCEEDED)});
  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::FAILED);
}

TEST_F(AttemptTest, ResumesFromTheLastEpochAfterALostLease) {
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0), ReportOf(1, 0.5)})});
  world_.Do(WorkerGone{"workers/a"});
  world_.Do(LeaseExpired{kTrial, 1});
  EXPECT_EQ(Trial().state(), v1::Trial::WAITING);

  const v1::Assignment next = Held(world_.Call("workers/b", 1));

  EXPECT_EQ(next.attempt(), 2);
  EXPECT_EQ(next.token(), 2);
  EXPECT_EQ(next.from_epoch(), 1);
  // The worker that lost it learns to stop; what it did is not recorded.
  const auto answer =
      world_.Call("workers/a", 1, {Running({ReportOf(2, 0.25)})});
  EXPECT_TRUE(answer.acknowledgements(0).ended());
  EXPECT_THAT(answer.assignments(), IsEmpty());
  ASSERT_THAT(world_.refusals(), SizeIs(1));
  EXPECT_THAT(world_.refusals()[0].status,
              StatusIs(absl::StatusCode::kAborted, "epoch 2"));
  EXPECT_EQ(Trial().epoch(), 1);
  world_.ExpectReplayEqual();
}

TEST_F(AttemptTest, ExpiresOnlyTheAttemptThatIsLive) {
  const int64_t events = world_.scheduler().event_count();
  world_.Do(LeaseExpired{kTrial, 7});
  world_.Do(LeaseExpired{"studies/9/trials/1", 1});
  EXPECT_EQ(world_.scheduler().event_count(), events);
}

TEST_F(AttemptTest, StartsAgainWhenOnlyTheInitialStateIsRecorded) {
  world_.Call("workers/a", 1, {Running({ReportOf(0, 0)})});
  world_.Do(LeaseExpired{kTrial, 1});
  work_ = Held(world_.Call("workers/a", 1));
  EXPECT_EQ(work_.from_epoch(), 0);

  // Another machine may draw another initial state.
  v1::EpochReport initial = ReportOf(0, 0);
  initial.set_manifest_digest(std::string(32, 'z'));
  world_.Call("workers/a", 1, {Running({initial, ReportOf(1, 0.5)})});

  EXPECT_THAT(world_.refusals(), IsEmpty());
  EXPECT_EQ(Trial().epochs(0).manifest_digest(), std::string(32, 'z'));
  EXPECT_EQ(Trial().epochs(0).attempt(), 2);
  EXPECT_EQ(Trial().epoch(), 1);
  world_.ExpectReplayEqual();
}

TEST_F(AttemptTest, RetriesAFailureOnceThenGivesUp) {
  Fail(v1::Failure::SIGNAL);
  EXPECT_EQ(Trial().state(), v1::Trial::TRAINING);
  EXPECT_EQ(work_.attempt(), 2);

  Fail(v1::Failure::SIGNAL);

  EXPECT_EQ(Trial().state(), v1::Trial::FAILED);
  EXPECT_THAT(Trial().failure().message(), HasSubstr("it broke"));
  EXPECT_THAT(Trial().failure().message(), HasSubstr("max_retries is 1"));
  EXPECT_EQ(world_.scheduler().GetStudy("studies/1")->state(),
            v1::Study::FAILED);
  world_.ExpectReplayEqual();
}

TEST_F(AttemptTest, CountsRetriesSinceTheLastNewEpoch) {
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    Fail(v1::Failure::SIGNAL);
    ASSERT_EQ(Trial().state(), v1::Trial::TRAINING);
    v1::AttemptStatus status = Running({});
    if (epoch == 1) *status.add_reports() = ReportOf(0, 0);
    *status.add_reports() = ReportOf(epoch, 0.5);
    world_.Call("workers/a", 1, {status});
  }
  Fail(v1::Failure::SIGNAL);
  EXPECT_EQ(Trial().state(), v1::Trial::TRAINING);
  EXPECT_EQ(work_.from_epoch(), 3);
  Fail(v1::Failure::SIGNAL);
  EXPECT_EQ(Trial().state(), v1::Trial::FAILED);
}

TEST_F(AttemptTest, DoesNotRetryWhatCannotWork) {
  Fail(v1::Failure::NON_FINITE_LOSS);
  EXPECT_EQ(Trial().state(), v1::Trial::INFEASIBLE);
  EXPECT_EQ(Trial().attempts_size(), 1);
}

TEST_F(AttemptTest, LetsLossesRunOutOnTheirOwnCount) {
  v1::FailurePolicy policy;
  policy.set_max_losses(2);
  policy.set_max_retries(0);
  Create(policy);
  for (int64_t attempt = 1; attempt <= 2; ++attempt) {
    world_.Do(LeaseExpired{kTrial, attempt});
    ASSERT_EQ(Trial().state(), v1::Trial::TRAINING);
  }

  world_.Do(LeaseExpired{kTrial, 3});

  EXPECT_EQ(Trial().state(), v1::Trial::FAILED);
  EXPECT_EQ(Trial().failure().reason(), v1::Failure::LOST);
}

TEST_F(AttemptTest, TakesARestartedAgentsAttemptsAsLost) {
  const auto answer = world_.Call("workers/a", 1, {}, /*incarnation=*/2);
  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::LOST);
  EXPECT_EQ(Held(answer).attempt(), 2);
  EXPECT_THAT(world_.Refusal(Synchronize{
                  TestWorld::Message("workers/a", 1, {}, /*incarnation=*/1)}),
              StatusIs(absl::StatusCode::kAborted, "incarnation 1"));
}

TEST_F(AttemptTest, RefusesAnotherProtocolVersion) {
  v1::SynchronizeRequest request = TestWorld::Message("workers/a", 1, {});
  request.set_protocol_version(2);
  EXPECT_THAT(
      world_.Refusal(Synchronize{request}),
      StatusIs(absl::StatusCode::kFailedPrecondition, "protocol_version"));
}

TEST_F(AttemptTest, EndsAnAttemptThatDoesSomethingElse) {
  v1::AttemptStatus status = Running({});
  status.mutable_effective()->set_learning_rate(0.5);

  world_.Call("workers/a", 1, {status});

  EXPECT_EQ(Trial().attempts(0).state(), v1::Attempt::FAILED);
  EXPECT_EQ(Trial().attempts(0).failure().reason(), v1::Failure::INTERNAL);
  EXPECT_THAT(Trial().attempts(0).failure().message(),
              HasSubstr("learning_rate"));
}

TEST_F(AttemptTest, IsInfeasibleWhenTheObjectiveIsNotFinite) {
  world_.Call("workers/a", 1, {TestWorld::Trained(work_, [](auto&, int64_t) {
                return std::numeric_limits<double>::quiet_NaN();
              })});
  EXPECT_EQ(Trial().state(), v1::Trial::INFEASIBLE);
  EXPECT_THAT(Trial().failure().message(), HasSubstr("validation_loss is nan"));
}

TEST_F(AttemptTest, IsReleasedAndResumedWhenItsStudyIsPaused) {
  world_.Do(PauseStudy{{{}, "studies/1"}});
  const auto answer = world_.Call("workers/a", 1, {Running({ReportOf(0, 0)})});
  ASSERT_EQ(answer.assignments_size(), 1);
  EXPECT_TRUE(answer.assignments(0).release());

  v1::AttemptStatus released = Running({ReportOf(1, 0.5)});
  released.set_state(v1::Attempt::RELEASED);
  EXPECT_THAT(world_.Call("workers/a", 1, {released}).assignments(), IsEmpty());
  EXPECT_EQ(Trial().state(), v1::Trial::WAITING);

  world_.Do(ResumeStudy{{{}, "studies/1"}});
  EXPECT_EQ(Held(world_.Call("workers/a", 1)).from_epoch(), 1);
  world_.ExpectReplayEqual();
}

TEST_F(AttemptTest, IsReleasedFromADrainingWorker) {
  const int64_t before = world_.scheduler().WorkerVersion("workers/a");
  world_.Do(DrainWorker{{{}, "workers/a"}});
  EXPECT_GT(world_.scheduler().WorkerVersion("workers/a"), before);
  EXPECT_TRUE(world_.Call("workers/a", 1).assignments(0).release());

  v1::AttemptStatus released = Running({});
  released.set_state(v1::Attempt::RELEASED);
  EXPECT_THAT(world_.Call("workers/a", 1, {released}).assignments(), IsEmpty());
  EXPECT_EQ(Held(world_.Call("workers/b", 1)).run(), kTrial);
}

TEST_F(AttemptTest, GivesALeavingAgentNothingUntilItIsBack) {
  v1::SynchronizeRequest leaving = TestWorld::Message(
      "workers/a", 1, {TestWorld::StatusOf(work_, v1::Attempt::RELEASED)});
  leaving.set_draining(true);
  world_.Do(Synchronize{leaving});
  EXPECT_EQ(world_.scheduler().GetWorker("workers/a")->state(),
            v1::Worker::DRAINING);
  // A late message from before does not change that.
  EXPECT_THAT(world_.Call("workers/a", 1).assignments(), IsEmpty());

  EXPECT_EQ(Held(world_.Call("workers/a", 1, {}, /*incarnation=*/2)).run(),
            kTrial);
}

TEST_F(AttemptTest, IsWithdrawnWhenItsStudyIsCancelled) {
  world_.Do(CancelStudy{{{}, "studies/1"}});
  const auto answer = world_.Call("workers/a", 1, {Running({ReportOf(0, 0)})});
  EXPECT_THAT(answer.assignments(), IsEmpty());
  EXPECT_TRUE(answer.acknowledgements(0).ended());
  EXPECT_EQ(Trial().state(), v1::Trial::CANCELLED);
}

TEST_F(AttemptTest, GoesOnAfterARetryByAPerson) {
  v1::FailurePolicy policy;
  policy.set_max_retries(0);
  world_ = TestWorld();
  v1::Study study = SmallStudy("random { trial_count: 2 }", 4);
  *study.mutable_failure_policy() = policy;
  world_.Do(CreateStudy{{}, study});
  work_ = Held(world_.Call("workers/a", 1));
  Fail(v1::Failure::EXCEPTION);
  ASSERT_EQ(Trial().state(), v1::Trial::FAILED);

  world_.Do(RetryTrial{{{}, kTrial}});

  EXPECT_EQ(Trial().state(), v1::Trial::WAITING);
  EXPECT_EQ(Trial().failure().reason(), v1::Failure::REASON_UNSPECIFIED);
  // work_ is trial 2; once it is done trial 1 has its slot.
  const auto answer = world_.Call(
      "workers/a", 1,
      {TestWorld::Trained(work_, [](auto&, int64_t) { return 0.5; })});
  EXPECT_EQ(Held(answer).run(), kTrial);
  EXPECT_EQ(Held(answer).attempt(), 2);
  world_.ExpectReplayEqual();
}

}  // namespace
}  // namespace headstart::scheduler
