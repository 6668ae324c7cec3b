#include "scheduler/service/storage_link.h"

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "scheduler/service/service_fixture.h"

namespace headstart::scheduler {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using StorageLinkTest = ServiceTest;

TEST_F(StorageLinkTest, StatesReferencesAgainAndAgain) {
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

TEST_F(StorageLinkTest,
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

TEST_F(StorageLinkTest, StatesNothingToTheStoreOfAnotherClusterAndSaysSo) {
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

TEST_F(StorageLinkTest, RefusesATrainingFromACheckpointThatIsNotStoredAnyMore) {
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

TEST_F(StorageLinkTest, RepeatsATrainingsFirstAnswerWhenItsSourceHasGone) {
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

TEST_F(StorageLinkTest, FailsAPreparingTrainingWhoseSourceHasGone) {
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

}  // namespace
}  // namespace headstart::scheduler
