#include "base/request_id.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart {
namespace {

TEST(RequestIdTest, HasOneTo64Characters) {
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_OK(CheckRequestId("a"));
  EXPECT_OK(CheckRequestId(std::string(64, 'a')));
  EXPECT_THAT(CheckRequestId(std::string(65, 'a')), StatusIs(kInvalid, "65"));
  EXPECT_THAT(CheckRequestId(""), StatusIs(kInvalid, "a new UUID"));
}

}  // namespace
}  // namespace headstart
