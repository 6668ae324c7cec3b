// What a report page costs: time to make it, and bytes.
//
// The comparison is as large as all five experiments of the paper together: 232
// runs of 200 epochs in 29 arms. The study is 1,000 trials, a third of which
// reach each next rung of 81 epochs. Both are made before.
//
// Sketch: 46,400 accuracies are written once as CSV (7 bytes each) and drawn as
// 29 curves with bands three times, 240 points of about 35 bytes; so about 1 MB
// at the speed of formatting numbers, some 100 ns each: 30 ms. The goal is 2 s
// and 3 MB.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "client/report/comparison_page.h"
#include "client/report/study_page.h"
#include "client/report/test_reports.h"
#include "client/report/test_studies.h"

namespace headstart::client {
namespace {

void BM_ComparisonPage(benchmark::State& state) {
  const v1::ComparisonReport report =
      MakeReport({.arms = static_cast<int>(state.range(0)),
                  .seeds = 8,
                  .epochs = static_cast<int>(state.range(1))});
  size_t bytes = 0;
  for (auto _ : state) {
    const absl::StatusOr<std::string> page = ComparisonPage(report);
    HS_CHECK(page.ok());
    bytes = page->size();
  }
  state.counters["page_bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_ComparisonPage)
    ->ArgNames({"arms", "epochs"})
    ->Args({8, 200})
    ->Args({29, 200})
    ->Unit(benchmark::kMillisecond);

void BM_StudyPage(benchmark::State& state) {
  v1::Study study = MakeStudy();
  study.mutable_training()->set_epochs(81);
  const std::vector<v1::Trial> trials =
      MakeTrials(&study, static_cast<int>(state.range(0)));
  size_t bytes = 0;
  for (auto _ : state) {
    const absl::StatusOr<std::string> page = StudyPage(study, trials);
    HS_CHECK(page.ok());
    bytes = page->size();
  }
  state.counters["page_bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_StudyPage)
    ->ArgNames({"trials"})
    ->Arg(27)
    ->Arg(1000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headstart::client

BENCHMARK_MAIN();
