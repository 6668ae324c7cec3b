// The statistics of comparisons against scipy's, over 1,000 random samples:
// samples.csv, which make_samples.py explains.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "base/file.h"
#include "scheduler/report/statistics.h"
#include "tests/support/process.h"

namespace headstart::scheduler {
namespace {

std::vector<double> Numbers(absl::string_view text, char separator) {
  std::vector<double> numbers;
  for (const absl::string_view word : absl::StrSplit(text, separator)) {
    HS_CHECK(absl::SimpleAtod(word, &numbers.emplace_back()));
  }
  return numbers;
}

// 12 digits are written.
#define EXPECT_CLOSE(got, want) EXPECT_NEAR(got, want, 2e-11 * std::abs(want))

TEST(ScipyTest, AgreesOnAThousandSamples) {
  const std::string text =
      ReadFile(SourceFolder() + "/tests/oracles/statistics/samples.csv")
          .value();
  int64_t count = 0, tied_count = 0;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    SCOPED_TRACE(line);
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(';', 1));
    const std::pair<absl::string_view, absl::string_view> rest =
        absl::StrSplit(halves.second, absl::MaxSplits(';', 1));
    const std::vector<double> first = Numbers(halves.first, ' ');
    const std::vector<double> second = Numbers(rest.first, ' ');
    const std::vector<double> expected = Numbers(rest.second, ';');
    ASSERT_EQ(expected.size(), 9);

    const MannWhitneyTest exact = *MannWhitney(first, second);
    EXPECT_EQ(exact.u, expected[0]);
    EXPECT_CLOSE(exact.p, expected[1]);
    EXPECT_CLOSE(
        MannWhitneyNormal(first, second, ContinuityCorrection::kYes)->p,
        expected[2]);
    EXPECT_CLOSE(MannWhitneyNormal(first, second, ContinuityCorrection::kNo)->p,
                 expected[3]);
    const size_t both = std::min(first.size(), second.size());
    const TTest paired =
        *PairedT(Sample(first).first(both), Sample(second).first(both));
    EXPECT_NEAR(paired.t, expected[4], 2e-11 * (1 + std::abs(expected[4])));
    EXPECT_CLOSE(paired.p, expected[5]);
    const TTest welch = *WelchT(first, second);
    EXPECT_NEAR(welch.t, expected[6], 2e-11 * (1 + std::abs(expected[6])));
    EXPECT_CLOSE(welch.degrees_of_freedom, expected[7]);
    EXPECT_CLOSE(welch.p, expected[8]);
    ++count;
    tied_count += exact.method == kExactWithTies;
  }
  EXPECT_EQ(count, 1000);
  EXPECT_EQ(tied_count, 500);
}

}  // namespace
}  // namespace headstart::scheduler
