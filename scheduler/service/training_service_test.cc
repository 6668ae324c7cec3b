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
  EXPECT_THAT(
      CreateTraining("studies/1/winner/epochs/1", "id").status(),
      StatusIs(absl::StatusCode::kAborted,
               "trainings/1, made by this request_id, was deleted"));
  storage_.fake.AwaitStatements("trainings/1", 1);
  EXPECT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(name)));
}

}  // namespace
}  // namespace headstart::scheduler
