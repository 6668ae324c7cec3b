#include "base/check.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace headstart {
namespace {

enum class Color { kRed = 3 };

TEST(CheckTest, PassesWhatHolds) {
  int evaluated = 0;
  HS_CHECK(++evaluated == 1) << "not printed";
  HS_CHECK_EQ(++evaluated, 2);
  HS_CHECK_LT(1, 2);
  HS_CHECK_OK(absl::OkStatus());
  EXPECT_EQ(evaluated, 2);
}

TEST(CheckTest, CanBeTheBodyOfAnIf) {
  bool other = false;
  if (true)
    HS_CHECK(true);
  else
    other = true;
  EXPECT_FALSE(other);
}

TEST(CheckDeathTest, PrintsTheConditionAndWhatWasStreamed) {
  const int attempt = 4;
  EXPECT_DEATH(HS_CHECK(attempt < 0) << "attempt " << attempt,
               "check_test.cc:[0-9]+: bug: expected attempt < 0 .*attempt 4");
}

TEST(CheckDeathTest, PrintsBothSides) {
  EXPECT_DEATH(HS_CHECK_EQ(2 + 3, 7), "2 \\+ 3 == 7  \\(5 and 7\\)");
  EXPECT_DEATH(HS_CHECK_GT(std::string("a"), "b"), "\\(a and b\\)");
  EXPECT_DEATH(HS_CHECK_NE(Color::kRed, Color::kRed), "\\(3 and 3\\)");
}

TEST(CheckDeathTest, PrintsTheStatus) {
  EXPECT_DEATH(HS_CHECK_OK(absl::NotFoundError("no such epoch")),
               "no such epoch");
  EXPECT_DEATH(
      HS_CHECK_OK(absl::StatusOr<int>(absl::AbortedError("lost lease"))),
      "lost lease");
}

TEST(ReachedTest, CountsEachMark) {
  for (int i = 0; i < 3; ++i) HS_REACHED("check_test_mark");
  EXPECT_EQ(ReachedMarks().at("check_test_mark"), 3);
  EXPECT_FALSE(ReachedMarks().contains("check_test_other"));
}

}  // namespace
}  // namespace headstart
