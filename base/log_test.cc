#include "base/log.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

enum class Color { kRed = 3 };

TEST(LogTest, WritesTimeSeverityAndFact) {
  CaptureStderr();
  HS_LOG(kWarning, "trial promoted trial={} epoch={} loss={:.4f}",
         RunName::Trial(7, 12), 3, 0.25);
  EXPECT_THAT(GetCapturedStderr(),
              ::testing::MatchesRegex(
                  "....-..-..T..:..:..\\....Z W trial promoted "
                  "trial=studies/7/trials/12 epoch=3 loss=0.2500\n"));
}

TEST(LogTest, TakesEveryKindOfValue) {
  CaptureStderr();
  HS_LOG(kInfo, "{} {} {} {} {} {} {} {} {} {} {}", true, -1, uint8_t{200},
         ~uint64_t{0}, 1.5f, "text", std::string("string"),
         absl::string_view("view"), Color::kRed,
         absl::NotFoundError("no such epoch"), absl::Milliseconds(1500));
  EXPECT_THAT(
      GetCapturedStderr(),
      EndsWith("true -1 200 18446744073709551615 1.5 text string view 3 "
               "NOT_FOUND: no such epoch 1.5s\n"));
}

TEST(LogTest, KeepsAFactOnOneLine) {
  CaptureStderr();
  HS_LOG(kInfo, "failed error={}", "first\nsecond");
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("error=first\\nsecond\n"));
}

TEST(LogTest, BracesInValuesAreNotFormats) {
  CaptureStderr();
  HS_LOG(kInfo, "{{}} is {}", "{}");
  EXPECT_THAT(GetCapturedStderr(), EndsWith("{} is {}\n"));
}

TEST(LogTest, AFormatThatDoesNotSuitItsValueIsStillALine) {
  CaptureStderr();
  HS_LOG(kInfo, "count={:.4f}", "many");
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("count={:.4f} (bad format"));
}

TEST(LogTest, CountsWhatItWrites) {
  const int64_t warnings = LogLinesCount(LogSeverity::kWarning);
  const int64_t debugs = LogLinesCount(LogSeverity::kDebug);
  CaptureStderr();
  HS_LOG(kWarning, "one");
  HS_LOG(kDebug, "not asked for");
  SetLogSeverityMin(LogSeverity::kDebug);
  HS_LOG(kDebug, "asked for");
  SetLogSeverityMin(LogSeverity::kInfo);

  const std::string text = GetCapturedStderr();
  EXPECT_THAT(text, ::testing::Not(HasSubstr("not asked for")));
  EXPECT_THAT(text, HasSubstr(" D asked for\n"));
  EXPECT_EQ(LogLinesCount(LogSeverity::kWarning), warnings + 1);
  EXPECT_EQ(LogLinesCount(LogSeverity::kDebug), debugs + 1);
}

}  // namespace
}  // namespace headstart
