#include "scheduler/service/training_service.h"

#include "scheduler/service/service_fixture.h"

namespace headstart::scheduler {
namespace {

using TrainingServiceTest = ServiceTest;

TEST_F(TrainingServiceTest, CancelsDeletesAndValidatesTrainings) {
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
                       CreateTraining("studies/1/winner/epochs/1", "id"));
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
  EXPECT_THAT(CreateTraining("studies/1/winner/epochs/1", "id").status(),
              StatusIs(absl::StatusCode::kAborted,
                       "trainings/1, made by this request_id, was deleted"));
  storage_.fake.AwaitStatements("trainings/1", 1);
  EXPECT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(name)));
}

// 200 seeds of 200 epochs are more than gRPC's usual 4 MiB.
TEST_F(TrainingServiceTest, AnswersWithALongTrainingInOneMessage) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "gRPC is not instrumented: megabytes take minutes there";
#endif
  v1::CreateTrainingRequest request;
  v1::Training& training = *request.mutable_training();
  *training.mutable_training() = RandomStudy(1, 200).training();
  for (int seed = 1; seed <= 200; ++seed) training.add_seeds(seed);
  request.set_request_id(NewId());
  ASSERT_OK(
      Call(*training_, &v1::TrainingService::Stub::CreateTraining, request));
  FakeAgent agent = MakeAgent("workers/a", 100);
  for (int turn = 0; turn < 2; ++turn) {
    ASSERT_OK(agent.Synchronize());
    agent.Train();
  }
  ASSERT_OK(agent.Synchronize());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  const auto stub = v1::TrainingService::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("unix:", folder_.path(), "/users.sock"),
      grpc::InsecureChannelCredentials(), arguments));

  ASSERT_OK_AND_ASSIGN(const v1::Training all,
                       Call(*stub, &v1::TrainingService::Stub::GetTraining,
                            Named<v1::GetTrainingRequest>("trainings/1")));

  EXPECT_EQ(all.runs_size(), 200);
  EXPECT_EQ(all.runs(199).epochs_size(), 201);
  EXPECT_GT(all.ByteSizeLong(), size_t{4} << 20);
}

}  // namespace
}  // namespace headstart::scheduler
