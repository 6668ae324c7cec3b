// Plug-ins that workers announce: which specs they make good, and who gets the
// runs.
#include "scheduler/core/plugins.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/scheduler_world.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;

constexpr char kSchema[] =
    R"({"properties":{"width":{"type":"integer","default":32,"minimum":1,)"
    R"("maximum":64}}})";

v1::PluginDescription Mlp(const std::string& schema = kSchema) {
  v1::PluginDescription plugin;
  plugin.set_kind(v1::PluginDescription::MODEL);
  plugin.set_name("mlp");
  plugin.set_version("1");
  plugin.set_options_schema_json(schema);
  plugin.set_file("mlp.so");
  return plugin;
}

v1::SynchronizeRequest MessageWith(
    const std::string& worker,
    const std::vector<v1::PluginDescription>& plugins, int64_t slots = 1) {
  v1::SynchronizeRequest request = TestWorld::Message(worker, slots, {});
  request.mutable_plugins()->Assign(plugins.begin(), plugins.end());
  return request;
}

v1::Study PluginStudy(const std::string& options = "{}",
                      const std::string& version = "1") {
  v1::Study study = SmallStudy("random { trial_count: 4 }", 2);
  v1::PluginModel& plugin =
      *study.mutable_training()->mutable_model()->mutable_plugin();
  plugin.set_name("mlp");
  plugin.set_version(version);
  plugin.set_options_json(options);
  v1::Parameter& parameter = *study.mutable_search()->mutable_parameters(0);
  parameter.set_path("model.plugin.options_json#/width");
  parameter.mutable_integer()->set_min(2);
  parameter.mutable_integer()->set_max(60);
  return study;
}

class PluginsTest : public ::testing::Test {
 protected:
  v1::SynchronizeResponse Call(const v1::SynchronizeRequest& request) {
    world_.Do(Synchronize{request});
    return world_.scheduler().AnswerWorker(request);
  }
  // workers/a, which has the first version alone, trains all there is.
  void TrainAll() {
    v1::SynchronizeResponse answer = Call(MessageWith("workers/a", {Mlp()}));
    while (answer.assignments_size() == 1) {
      v1::SynchronizeRequest request = MessageWith("workers/a", {Mlp()});
      *request.add_attempts() =
          TestWorld::Trained(answer.assignments(0).assignment(),
                             [](const v1::Assignment& work, int64_t) {
                               return 1.0 / work.attempt();
                             });
      answer = Call(request);
    }
  }
  std::string Why() {
    return world_.scheduler().GetStudy("studies/1")->state_message();
  }

  TestWorld world_;
};

TEST_F(PluginsTest, GivesRunsOnlyToWorkersThatAnnounceIt) {
  Call(MessageWith("workers/a", {}));
  Call(MessageWith("workers/b", {Mlp()}));
  world_.Do(CreateStudy{{}, PluginStudy()});

  EXPECT_EQ(Call(MessageWith("workers/a", {})).assignments_size(), 0);
  const auto answer = Call(MessageWith("workers/b", {Mlp()}));
  ASSERT_EQ(answer.assignments_size(), 1);
  const v1::PluginModel& plugin =
      answer.assignments(0).assignment().training().model().plugin();
  EXPECT_EQ(plugin.options_schema_json(), kSchema);
  EXPECT_THAT(plugin.options_json(), HasSubstr(R"({"width":)"));

  // Another trial waits, and workers/a still is not given it.
  EXPECT_EQ(Call(MessageWith("workers/a", {})).assignments_size(), 0);
  world_.ExpectReplayEqual();
}

TEST_F(PluginsTest, SaysWhyItWaitsAndGoesOnOnceTheyAreBack) {
  Call(MessageWith("workers/a", {Mlp()}, /*slots=*/0));
  world_.Do(CreateStudy{{}, PluginStudy()});
  Call(MessageWith("workers/b", {}));
  world_.Do(WorkerGone{"workers/a"});
  EXPECT_THAT(Why(), HasSubstr("no worker has the dataset mnist and the model "
                               "plug-in mlp 1, with the options that were "
                               "checked; workers/b offers mnist. Give one the "
                               "plug-in with --plugins."));

  // The same version with other options is another plug-in.
  EXPECT_EQ(Call(MessageWith("workers/b", {Mlp("{}")})).assignments_size(), 0);
  EXPECT_THAT(Why(), HasSubstr("workers/b offers mnist, model plug-in mlp 1"));
  EXPECT_EQ(Call(MessageWith("workers/b", {Mlp()})).assignments_size(), 1);
  world_.ExpectReplayEqual();
}

TEST_F(PluginsTest, ChecksOptionsWhenAStudyOrTrainingIsCreated) {
  Call(MessageWith("workers/a", {Mlp()}));
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, PluginStudy(R"({"width":65})")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.options_json#/width: must be "
                       "from 1 to 64, got 65."));
  v1::Training training;
  *training.mutable_training() = PluginStudy(R"({"wdth":1})").training();
  training.add_seeds(1);
  EXPECT_THAT(world_.Refusal(CreateTraining{{}, training}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.options_json#/wdth: there is no "
                       "such option; there are width."));
  // What a person writes as the schema counts for nothing.
  v1::Study study = PluginStudy(R"({"width":65})");
  study.mutable_training()
      ->mutable_model()
      ->mutable_plugin()
      ->set_options_schema_json("{}");
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, study}),
              StatusIs(absl::StatusCode::kInvalidArgument, "from 1 to 64"));
}

TEST_F(PluginsTest, NamesWhatThereIsInsteadOfAnUnknownOne) {
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, PluginStudy()}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "training.model.plugin: no worker has model plug-in mlp "
                       "1; none has any plug-in. Put the plug-in"));
  v1::SynchronizeRequest request = MessageWith("workers/a", {Mlp()});
  v1::RefusedPlugin& refused = *request.add_refused_plugins();
  refused.set_file("old.so");
  refused.set_message("it was built for torch 2.10.0");
  Call(request);
  EXPECT_THAT(
      world_.Refusal(CreateStudy{{}, PluginStudy("{}", "2")}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "no worker has model plug-in mlp 2; workers/a has model plug-in "
               "mlp 1; workers/a could not load old.so: it was built for torch "
               "2.10.0."));
}

TEST_F(PluginsTest, RefusesOneVersionWithTwoSchemas) {
  Call(MessageWith("workers/a", {Mlp()}));
  Call(MessageWith("workers/b", {Mlp("{}")}));
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, PluginStudy()}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "workers/a and workers/b both have model plug-in mlp 1, "
                       "but with different options"));
  world_.Do(WorkerGone{"workers/b"});
  world_.Do(CreateStudy{{}, PluginStudy()});
}

TEST_F(PluginsTest, RefusesMalformedSchemasOnceSomebodyNeedsThem) {
  Call(MessageWith("workers/a", {Mlp("{\"properties\": [")}));
  EXPECT_THAT(world_.Refusal(CreateStudy{{}, PluginStudy()}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "the option schema of the plug-in is not JSON"));
}

TEST_F(PluginsTest, BoundsWhatAWorkerAnnounces) {
  const auto refusal = [&](const v1::PluginDescription& plugin) {
    return world_.Refusal(Synchronize{MessageWith("workers/a", {plugin})});
  };
  v1::PluginDescription plugin = Mlp(std::string(16'385, ' '));
  EXPECT_THAT(refusal(plugin), StatusIs(absl::StatusCode::kInvalidArgument,
                                        "at most 16384 bytes"));
  plugin = Mlp();
  plugin.set_name("a\nb");
  EXPECT_THAT(refusal(plugin), StatusIs(absl::StatusCode::kInvalidArgument,
                                        "needs a kind, a name and a version"));
  plugin = Mlp();
  plugin.clear_kind();
  EXPECT_THAT(refusal(plugin),
              StatusIs(absl::StatusCode::kInvalidArgument, "needs a kind"));
  plugin = Mlp();
  plugin.set_file(std::string(256, 'f'));
  EXPECT_THAT(refusal(plugin),
              StatusIs(absl::StatusCode::kInvalidArgument, "file's name"));
  EXPECT_THAT(
      world_.Refusal(Synchronize{MessageWith("workers/a", {Mlp(), Mlp("{}")})}),
      StatusIs(absl::StatusCode::kInvalidArgument, "stands twice"));
  EXPECT_THAT(
      world_.Refusal(Synchronize{MessageWith(
          "workers/a", std::vector<v1::PluginDescription>(101, Mlp()))}),
      StatusIs(absl::StatusCode::kInvalidArgument, "there may be 100"));
}

// A `then` keeps the schema that its study was checked against.
TEST_F(PluginsTest, TrainingsKeepTheSchemaOfTheirSource) {
  Call(MessageWith("workers/a", {Mlp()}));
  v1::Study study = PluginStudy();
  v1::Training& then = *study.add_then();
  then.mutable_from()->mutable_winner();
  then.add_seeds(1);
  world_.Do(CreateStudy{{}, study});
  TrainAll();
  const auto training = world_.scheduler().GetTraining("trainings/1");
  ASSERT_THAT(training, IsOk());
  EXPECT_EQ(
      training->resolved_training().model().plugin().options_schema_json(),
      kSchema);
  EXPECT_EQ(training->state(), v1::Training::PREPARING);
  world_.ExpectReplayEqual();
}

// Nobody has the training's plug-in any more when the study ends.
TEST_F(PluginsTest, ThenKeepsThePluginsThatItWasCreatedWith) {
  v1::PluginDescription second = Mlp();
  second.set_version("2");
  Call(MessageWith("workers/a", {Mlp(), second}));
  v1::Study study = PluginStudy();
  v1::Training& then = *study.add_then();
  *then.mutable_training() = study.training();
  v1::PluginModel& plugin =
      *then.mutable_training()->mutable_model()->mutable_plugin();
  plugin.set_version("2");
  plugin.set_options_schema_json("not what the worker says");
  then.add_seeds(1);
  world_.Do(CreateStudy{{}, study});

  TrainAll();
  const auto training = world_.scheduler().GetTraining("trainings/1");
  ASSERT_THAT(training, IsOk());
  EXPECT_EQ(training->state(), v1::Training::RUNNING)
      << training->state_message();
  EXPECT_EQ(
      training->resolved_training().model().plugin().options_schema_json(),
      kSchema);
  world_.ExpectReplayEqual();
}

}  // namespace
}  // namespace headstart::scheduler
