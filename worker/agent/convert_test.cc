#include "worker/agent/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The trainer's recipe reads the same file.
TEST(ConvertTest, WritesTrainingSpecsAsTheTrainerReadsThem) {
  ASSERT_OK_AND_ASSIGN(
      const std::string text,
      ReadFile(SourceFolder() + "/tests/golden/training_spec_full.json"));
  const auto golden = nlohmann::json::parse(text);
  ASSERT_GT(golden.size(), 0u);
  for (const auto& spec : golden) {
    v1::Assignment assignment;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                    spec.dump(), assignment.mutable_training())
                    .ok());

    const Assign assign = ToAssign(assignment, {});

    EXPECT_EQ(nlohmann::json::parse(assign.training_json), spec);
    EXPECT_THAT(assign.training_json, Not(HasSubstr("\n")));
  }
}

TEST(ConvertTest, KnowsEveryFailureReason) {
  for (const FailureReason reason :
       {FailureReason::kException, FailureReason::kOutOfMemory,
        FailureReason::kNonFiniteLoss, FailureReason::kInvalidSpec,
        FailureReason::kSourceUnavailable}) {
    const v1::Failure failure =
        ToProto(Failed{.reason = reason, .message = "why"});

    EXPECT_EQ(v1::Failure::Reason_Name(failure.reason()),
              std::string(FailureReasonName(reason)));
    EXPECT_EQ(failure.message(), "why");
  }
}

// The scheduler counts bytes, and would refuse the worker.
TEST(ConvertTest, CutsLongTextsBetweenCharacters) {
  std::string a_umlaut;
  for (int i = 0; i < 1'500; ++i) a_umlaut += "\u00e4";

  const v1::RefusedPlugin refused =
      ToProto(RefusedPlugin{.file = "x" + a_umlaut, .message = a_umlaut});
  EXPECT_EQ(refused.file().size(), 255u);
  EXPECT_EQ(refused.message(), a_umlaut.substr(0, 2'000));

  const v1::PluginDescription plugin =
      ToProto(PluginDescription{.kind = PluginKind::kModel,
                                .name = "a",
                                .version = "1",
                                .options_schema_json = "{}",
                                .file = a_umlaut});
  EXPECT_EQ(plugin.file(), a_umlaut.substr(0, 254));
  EXPECT_EQ(plugin.name(), "a");
}

}  // namespace
}  // namespace headstart::worker
