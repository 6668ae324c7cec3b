#include "client/report/comparison_text.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/report/test_reports.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(ComparisonTextTest, MarkdownHasTablesAndMethod) {
  v1::ComparisonReport report = MakeReport();
  report.add_warnings("A warning.");
  const std::string text = ComparisonMarkdown(report);

  EXPECT_THAT(text, StartsWith("# Which epoch is the best start?\n"));
  EXPECT_THAT(text, HasSubstr("- A warning.\n"));
  EXPECT_THAT(text, HasSubstr("| **random (baseline)** |"));
  EXPECT_THAT(text, HasSubstr("## Best accuracy against random\n"));
  EXPECT_THAT(text, HasSubstr("| ---: |"));
  EXPECT_THAT(text, HasSubstr("## Method\n"));
}

TEST(ComparisonTextTest, MarkdownTakesTextForText) {
  v1::ComparisonReport report = MakeReport();
  report.mutable_comparison()->set_display_name("<script>*a*|[b](c)`\nd");
  report.mutable_arms(1)->set_label("a|b");
  const std::string text = ComparisonMarkdown(report);

  EXPECT_THAT(text, StartsWith("# &lt;script>\\*a\\*\\|\\[b\\](c)\\` d\n"));
  EXPECT_THAT(text, HasSubstr("| a\\|b |"));
}

TEST(ComparisonTextTest, RunsCsvHasALinePerRun) {
  v1::ComparisonReport report = MakeReport();
  FailARun(&report);
  const std::vector<std::string> lines = Lines(ComparisonRunsCsv(report));

  ASSERT_THAT(lines, SizeIs(1 + 12));
  EXPECT_THAT(lines[0], StartsWith("arm,is_baseline,start_epoch,seed,run,best_"
                                   "accuracy,best_epoch,last_accuracy,time_to_"
                                   "accuracy,"));
  EXPECT_THAT(lines[1],
              StartsWith("random,true,0,1001,trainings/1/runs/1,0.9"));
  EXPECT_THAT(lines[12], HasSubstr("FAILED at epoch 3: out of memory"));
  // Device holds a comma.
  EXPECT_THAT(lines[1], HasSubstr(",\"cpu, LibTorch 2.11, headstart 0.1.0\","));
}

TEST(ComparisonTextTest, CsvQuotesAndDefusesWhatPeopleWrite) {
  v1::ComparisonReport report = MakeReport();
  report.mutable_arms(0)->set_label("=HYPERLINK(\"http://x\")");
  report.mutable_arms(1)->set_label("a\nb");

  EXPECT_THAT(ComparisonRunsCsv(report),
              HasSubstr("\n\"'=HYPERLINK(\"\"http://x\"\")\",true,"));
  EXPECT_THAT(ComparisonEpochsCsv(report), HasSubstr("\n\"a\nb\",1001,"));
}

TEST(ComparisonTextTest, EpochsCsvHasAColumnPerEpoch) {
  v1::ComparisonReport report =
      MakeReport({.arms = 2, .seeds = 2, .epochs = 3});
  FailARun(&report);
  const std::vector<std::string> lines = Lines(ComparisonEpochsCsv(report));

  ASSERT_THAT(lines, SizeIs(1 + 4));
  EXPECT_EQ(lines[0], "arm,seed,run,epoch_1,epoch_2,epoch_3");
  for (const std::string& line : lines) {
    EXPECT_THAT(std::vector<std::string>(absl::StrSplit(line, ',')), SizeIs(6));
  }
  EXPECT_EQ(lines[4].back(), ',');
}

TEST(ComparisonTextTest, TerminalLinesAreNarrow) {
  const std::vector<std::string> lines = ComparisonLines(MakeReport());

  EXPECT_EQ(lines[0], "Epoch 5 is 0.16 points above random.");
  EXPECT_THAT(lines, Contains(StartsWith("ARM ")));
  EXPECT_THAT(lines, Contains(StartsWith("random (baseline)")));
  EXPECT_THAT(lines, Each(Not(HasSubstr("\n"))));
  for (const std::string& line : lines) {
    if (line.find("±") == std::string::npos) continue;
    EXPECT_LE(line.size(), 110) << line;
  }
}

TEST(ComparisonTextTest, EmptyReportsHaveNoTables) {
  EXPECT_THAT(ComparisonLines({}), IsEmpty());
  EXPECT_EQ(ComparisonMarkdown({}), "# Comparison\n");
  EXPECT_THAT(Lines(ComparisonRunsCsv({})), SizeIs(1));
  EXPECT_EQ(ComparisonEpochsCsv({}), "arm,seed,run\n");
}

TEST(ComparisonTextTest, OneSeedHasNoTestsInTheTerminal) {
  const std::vector<std::string> lines =
      ComparisonLines(MakeReport({.seeds = 1}));
  EXPECT_THAT(lines, Each(Not(HasSubstr("P (HOLM)"))));
}

}  // namespace
}  // namespace headstart::client
