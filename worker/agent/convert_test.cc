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

}  // namespace
}  // namespace headstart::worker
