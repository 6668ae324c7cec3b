#include "scheduler/service/tuning_service.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/service/service_fixture.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using TuningServiceTest = ServiceTest;

TEST_F(TuningServiceTest, TunesThenTrainsFromTheWinner) {
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

TEST_F(TuningServiceTest, GoesOnAfterARestartInTheMiddle) {
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

// What a person gets wrong, and the words that help.
struct BadStudy {
  const char* name;
  void (*spoil)(v1::Study& study);
  std::vector<std::string> words;
};

const BadStudy kBadStudies[] = {
    {"PathOfNoField",
     [](v1::Study& study) {
       study.mutable_search()->mutable_parameters(0)->set_path(
           "optimizer.adam.learning_rat");
     },
     {"search.parameters[0]", "learning_rat", "learning_rate"}},
    {"PathIntoAnotherKind",
     [](v1::Study& study) {
       study.mutable_search()->mutable_parameters(0)->set_path(
           "optimizer.sgd.momentum");
     },
     {"search.parameters[0]", "sgd", "adam"}},
    {"EmptyRange",
     [](v1::Study& study) {
       study.mutable_search()
           ->mutable_parameters(0)
           ->mutable_double_()
           ->set_max(1e-4);
     },
     {"search.parameters[0]", "below max"}},
    {"ReversedRange",
     [](v1::Study& study) {
       study.mutable_search()
           ->mutable_parameters(0)
           ->mutable_double_()
           ->set_max(1e-5);
     },
     {"search.parameters[0]", "below max"}},
    {"LogScaleAtZero",
     [](v1::Study& study) {
       study.mutable_search()
           ->mutable_parameters(0)
           ->mutable_double_()
           ->set_min(0);
     },
     {"search.parameters[0]", "log scale", "above 0"}},
    {"MinAboveMaxOfAsha",
     [](v1::Study& study) {
       study.mutable_search()->mutable_asha()->set_trial_count(3);
       study.mutable_search()->mutable_asha()->set_min_epochs(10);
     },
     {"search.asha.min_epochs", "10", "3"}},
    {"NoModel",
     [](v1::Study& study) { study.mutable_training()->clear_model(); },
     {"training.model", "lenet_300_100"}},
    {"NoGoal",
     [](v1::Study& study) { study.mutable_objective()->clear_goal(); },
     {"objective.goal", "MAXIMIZE"}},
    {"NoValidationSplit",
     [](v1::Study& study) {
       study.mutable_training()
           ->mutable_dataset()
           ->mutable_mnist()
           ->set_validation_examples(0);
     },
     {"validation_examples"}},
    {"NoBatchSize",
     [](v1::Study& study) { study.mutable_training()->set_batch_size(0); },
     {"training.batch_size"}},
};

class BadStudyTest : public ServiceTest,
                     public testing::WithParamInterface<BadStudy> {};

TEST_P(BadStudyTest, IsRefusedByFieldPathAndCreatesNothing) {
  v1::Study study = RandomStudy(3, 3);
  GetParam().spoil(study);

  const absl::Status refused = CreateStudy(study).status();

  for (const std::string& word : GetParam().words) {
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument, word));
  }
  EXPECT_EQ(journal_.last_sequence(), 0);
}

INSTANTIATE_TEST_SUITE_P(TuningService, BadStudyTest,
                         testing::ValuesIn(kBadStudies), [](const auto& info) {
                           return std::string(info.param.name);
                         });

TEST_F(TuningServiceTest, SaysThatAStudyWaitsForADataSet) {
  v1::Study study = RandomStudy(1, 1);
  study.mutable_training()
      ->mutable_dataset()
      ->mutable_fashion_mnist()
      ->set_validation_examples(5000);
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(study));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());

  EXPECT_THAT(agent.assignments(), SizeIs(0));
  EXPECT_EQ(GetStudy(name).state(), v1::Study::RUNNING);
  EXPECT_THAT(GetStudy(name).state_message(), HasSubstr("fashion_mnist"));
}

TEST_F(TuningServiceTest, PlansAStudyWithoutCreatingIt) {
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

TEST_F(TuningServiceTest, RefusesChangesWithoutARequestIdOrWithALongOne) {
  for (const std::string& id : {std::string(), std::string(65, 'x')}) {
    auto pause = Named<v1::PauseStudyRequest>("studies/1");
    pause.set_request_id(id);

    EXPECT_THAT(CreateStudy(RandomStudy(1, 1), id).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, "request_id"));
    EXPECT_THAT(CreateTraining("studies/1/trials/1/epochs/1", id).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, "request_id"));
    EXPECT_THAT(
        Call(*tuning_, &v1::TuningService::Stub::PauseStudy, pause).status(),
        StatusIs(absl::StatusCode::kInvalidArgument, "request_id"));
  }
  EXPECT_EQ(journal_.last_sequence(), 0);
}

TEST_F(TuningServiceTest, RefusesARequestIdThatWasUsedForSomethingElse) {
  ASSERT_OK(CreateStudy(RandomStudy(1, 1), "id"));
  auto pause = Named<v1::PauseStudyRequest>("studies/1");
  pause.set_request_id("id");

  EXPECT_THAT(CreateStudy(RandomStudy(2, 1), "id").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "id"));
  EXPECT_THAT(
      Call(*tuning_, &v1::TuningService::Stub::PauseStudy, pause).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, "id"));
}

TEST_F(TuningServiceTest, PagesThroughStudies) {
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

TEST_F(TuningServiceTest, PausesResumesCancelsAndDeletes) {
  ASSERT_OK_AND_ASSIGN(const std::string name, CreateStudy(RandomStudy(3, 2)));
  const auto pause = Named<v1::PauseStudyRequest>(name);
  const auto state = [&] { return GetStudy(name).state(); };

  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::PauseStudy, pause));
  EXPECT_EQ(state(), v1::Study::PAUSED);
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.Synchronize());
  EXPECT_THAT(agent.assignments(), SizeIs(0));

  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::ResumeStudy,
                 Named<v1::ResumeStudyRequest>(name)));
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
  const auto remove = Named<v1::DeleteStudyRequest>(name);
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy, remove));
  EXPECT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy, remove));
  EXPECT_THAT(Call(*tuning_, &v1::TuningService::Stub::GetStudy,
                   Named<v1::GetStudyRequest>(name))
                  .status(),
              StatusIs(absl::StatusCode::kNotFound, name));
}

TEST_F(TuningServiceTest, SaysThatTheStudyOfARepeatedRequestWasDeleted) {
  ASSERT_OK(CreateStudy(RandomStudy(1, 1), "id"));
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::CancelStudy,
                 Named<v1::CancelStudyRequest>("studies/1")));
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>("studies/1")));

  EXPECT_THAT(CreateStudy(RandomStudy(1, 1), "id").status(),
              StatusIs(absl::StatusCode::kAborted,
                       "studies/1, made by this request_id, was deleted"));
  EXPECT_THAT(CreateStudy(RandomStudy(1, 1)), IsOkAndHolds("studies/2"));
}

TEST_F(TuningServiceTest, StopsExplainsAndListsTrials) {
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

TEST_F(TuningServiceTest, ReplaysAStudyAndAgreesWithItself) {
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

TEST_F(TuningServiceTest, WatchesAStudyUntilItAndItsTrainingsAreOver) {
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

TEST_F(TuningServiceTest, EndsAWatchOfWhatDoesNotExistAndOfAStoppingScheduler) {
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

TEST_F(TuningServiceTest, SurvivesClientsThatLeave) {
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

}  // namespace
}  // namespace headstart::scheduler
