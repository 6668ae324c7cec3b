#include "proto/checkpoint_fields.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "headstart/v1/training_spec.pb.h"
#include "tests/support/status_matchers.h"

namespace headstart {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::Initializer InitializerOf(const std::string& text) {
  v1::Initializer initializer;
  EXPECT_TRUE(
      google::protobuf::TextFormat::ParseFromString(text, &initializer));
  return initializer;
}

TEST(CheckpointFieldsTest, FindsThemAtAnyDepth) {
  v1::TrainingSpec spec;
  *spec.mutable_initializer() = InitializerOf(R"(
    chain { steps { checkpoint { checkpoint: "a" fresh_layers: "fc" } }
            steps { orthogonal {} }
            steps { mean { checkpoints: ["b", "c"] } } })");
  std::vector<std::string> paths;

  const absl::Status status = VisitCheckpoints(
      spec, "training", [&](const std::string& path, std::string& name) {
        paths.push_back(absl::StrCat(path, "=", name));
        name += "!";
        return absl::OkStatus();
      });

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(
      paths,
      ElementsAre("training.initializer.chain.steps[0].checkpoint.checkpoint=a",
                  "training.initializer.chain.steps[2].mean.checkpoints[0]=b",
                  "training.initializer.chain.steps[2].mean.checkpoints[1]=c"));
  EXPECT_THAT(CheckpointsIn(spec), ElementsAre("a!", "b!", "c!"));
  EXPECT_EQ(spec.initializer().chain().steps(0).checkpoint().fresh_layers(0),
            "fc");
}

TEST(CheckpointFieldsTest, NamesEachOnce) {
  EXPECT_THAT(CheckpointsIn(InitializerOf(R"(
                chain { steps { checkpoint { checkpoint: "a" } }
                        steps { mean { checkpoints: ["b", "a"] } } })")),
              ElementsAre("a", "b"));
  EXPECT_THAT(CheckpointsIn(InitializerOf("orthogonal {}")), IsEmpty());
}

TEST(CheckpointFieldsTest, EndsWithTheFirstError) {
  v1::Initializer initializer =
      InitializerOf(R"(mean { checkpoints: ["a", "b"] })");
  int count = 0;
  const absl::Status status = VisitCheckpoints(
      initializer, "", [&](const std::string& path, const std::string&) {
        ++count;
        return absl::NotFoundError(path);
      });
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kNotFound, "mean.checkpoints[0]"));
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace headstart
