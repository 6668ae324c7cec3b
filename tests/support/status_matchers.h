// IsOk, IsOkAndHolds and StatusIs, for absl::Status and absl::StatusOr.
//
//   EXPECT_THAT(store.Put(blob), IsOk());
//   EXPECT_THAT(DTypeFromNumber(1), IsOkAndHolds(DType::kBool));
//   EXPECT_THAT(ParseDType("F31"),
//               StatusIs(absl::StatusCode::kInvalidArgument, "F31"));
//   ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(path));
#pragma once

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart {
namespace status_matchers_internal {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace status_matchers_internal

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.ok();
}

// `value` is a value or a matcher.
MATCHER_P(IsOkAndHolds, value, "is OK and holds what was expected") {
  if (!arg.ok()) {
    *result_listener << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

// The message contains `text`: the one or two words a person needs.
MATCHER_P2(StatusIs, code, text,
           std::string("has the code ") + absl::StatusCodeToString(code) +
               " and says \"" + text + "\"") {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         std::string(status.message()).find(text) != std::string::npos;
}

MATCHER_P(StatusIs, code,
          std::string("has the code ") + absl::StatusCodeToString(code)) {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == code;
}

}  // namespace headstart

#define ASSERT_OK(expression) ASSERT_THAT(expression, ::headstart::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::headstart::IsOk())

// Ends the test, with the Status, when there is no value.
#define ASSERT_OK_AND_ASSIGN(left, expression)                          \
  ASSERT_OK_AND_ASSIGN_(ASSERT_CONCAT_(assert_result_, __LINE__), left, \
                        expression)
#define ASSERT_OK_AND_ASSIGN_(result, left, expression) \
  auto result = (expression);                           \
  ASSERT_TRUE(result.ok()) << result.status();          \
  left = *std::move(result)
#define ASSERT_CONCAT_(a, b) ASSERT_CONCAT_INNER_(a, b)
#define ASSERT_CONCAT_INNER_(a, b) a##b
