#include "base/status_macros.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart {
namespace {

absl::StatusOr<std::unique_ptr<int>> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return std::make_unique<int>(number / 2);
}

absl::StatusOr<int> Quarter(int number) {
  HS_ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(number));
  int quarter = 0;
  HS_ASSIGN_OR_RETURN(auto kept, Half(*half));
  quarter = *kept;
  return quarter;
}

absl::Status CanBeQuartered(int number) {
  HS_RETURN_IF_ERROR(Half(number).status());
  HS_RETURN_IF_ERROR(Quarter(number).status());
  return absl::OkStatus();
}

TEST(StatusMacrosTest, UnpacksValues) {
  EXPECT_THAT(Quarter(12), IsOkAndHolds(3));
  EXPECT_OK(CanBeQuartered(12));
}

TEST(StatusMacrosTest, ReturnsTheFirstError) {
  EXPECT_THAT(Quarter(3), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
  EXPECT_THAT(Quarter(6), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
  EXPECT_THAT(CanBeQuartered(6),
              StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
}

TEST(AnnotateTest, SaysWhereAndKeepsCodeAndPayload) {
  absl::Status status = absl::DataLossError("digest differs");
  status.SetPayload("url", absl::Cord("payload"));

  const absl::Status annotated = Annotate(status, "reading epoch 5");

  EXPECT_EQ(annotated.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(annotated.message(), "reading epoch 5: digest differs");
  EXPECT_EQ(annotated.GetPayload("url"), absl::Cord("payload"));
  EXPECT_OK(Annotate(absl::OkStatus(), "reading epoch 5"));
}

}  // namespace
}  // namespace headstart
