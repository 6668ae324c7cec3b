#include "base/dtype.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart {
namespace {

TEST(DTypeTest, NamesAndNumbersLeadBack) {
  int count = 0;
  for (int number = 1; number <= 10; ++number) {
    ASSERT_OK_AND_ASSIGN(const DType dtype, DTypeFromNumber(number));
    EXPECT_THAT(ParseDType(DTypeName(dtype)), IsOkAndHolds(dtype));
    EXPECT_EQ(static_cast<int>(dtype), number);
    ++count;
  }
  EXPECT_EQ(count, 10);
}

TEST(DTypeTest, HasSafetensorsNamesAndSizes) {
  EXPECT_EQ(DTypeName(DType::kF32), "F32");
  EXPECT_EQ(DTypeName(DType::kBF16), "BF16");
  EXPECT_EQ(DTypeName(DType::kBool), "BOOL");
  EXPECT_EQ(DTypeSize(DType::kF32), 4);
  EXPECT_EQ(DTypeSize(DType::kBF16), 2);
  EXPECT_EQ(DTypeSize(DType::kI64), 8);
  EXPECT_EQ(DTypeSize(DType::kBool), 1);
}

TEST(DTypeTest, UnknownOnesAreNamedBesideWhatThereIs) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ParseDType("F31"), StatusIs(kInvalid, "\"F31\""));
  EXPECT_THAT(ParseDType("f32"), StatusIs(kInvalid, "F16, BF16, F32"));
  EXPECT_THAT(DTypeFromNumber(0), StatusIs(kInvalid, "number 0"));
  EXPECT_THAT(DTypeFromNumber(11), StatusIs(kInvalid, "1 to 10"));
  EXPECT_THAT(DTypeFromNumber(257), StatusIs(kInvalid, "257"));
}

}  // namespace
}  // namespace headstart
