// Makes pages of every kind. With HEADSTART_REPORT_SAMPLES=DIR it writes them
// there, to be looked at and for pages_test.py.
#include <cstdlib>
#include <fstream>
#include <string>

#include "client/report/comparison_page.h"
#include "client/report/study_page.h"
#include "client/report/test_reports.h"
#include "client/report/test_studies.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

constexpr char kHostile[] = "</p><script>document.title = 'owned'</script>&\"'";

void Keep(const std::string& name, const absl::StatusOr<std::string>& page) {
  ASSERT_THAT(page, IsOk());
  if (const char* folder = std::getenv("HEADSTART_REPORT_SAMPLES")) {
    std::ofstream(std::string(folder) + "/" + name + ".html") << *page;
  }
}

TEST(SamplesTest, Comparisons) {
  Keep("comparison", ComparisonPage(MakeReport({.arms = 5, .seeds = 8})));
  Keep("comparison_empty", ComparisonPage({}));
  Keep("comparison_one_seed", ComparisonPage(MakeReport({.seeds = 1})));
  Keep("comparison_no_target", ComparisonPage(MakeReport({.target = 0})));
  Keep("comparison_two_arms_short",
       ComparisonPage(MakeReport({.arms = 2, .epochs = 3})));
  Keep("comparison_many_arms", ComparisonPage(MakeReport({.arms = 24})));

  v1::ComparisonReport failed = MakeReport();
  FailARun(&failed);
  failed.add_warnings("One run failed and does not count.");
  Keep("comparison_failed_run", ComparisonPage(failed));

  v1::ComparisonReport hostile = MakeReport();
  hostile.mutable_comparison()->set_display_name(kHostile);
  hostile.set_summary(kHostile);
  hostile.add_warnings(kHostile);
  hostile.mutable_arms(1)->set_label(kHostile);
  hostile.mutable_arms(1)->mutable_runs(0)->set_excluded_because(kHostile);
  Keep("comparison_hostile", ComparisonPage(hostile));
}

TEST(SamplesTest, Studies) {
  v1::Study study = MakeStudy();
  Keep("study_empty", StudyPage(study, {}));
  Keep("study", StudyPage(study, MakeTrials(&study, 27)));
  Keep("study_many_trials", StudyPage(study, MakeTrials(&study, 400)));

  study.set_display_name(kHostile);
  std::vector<v1::Trial> trials = MakeTrials(&study, 9);
  trials[0].mutable_values(2)->set_value(kHostile);
  Keep("study_hostile", StudyPage(study, trials));
}

}  // namespace
}  // namespace headstart::client
