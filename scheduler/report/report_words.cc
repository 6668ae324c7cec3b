#include "scheduler/report/report_words.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace headstart::scheduler {

std::string Quoted(absl::string_view label) {
  return absl::StrCat("\"", label, "\"");
}

std::string Count(int64_t count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

absl::string_view MetricText(v1::Comparison::Metric metric) {
  return metric == v1::Comparison::TEST_ACCURACY ? "test accuracy"
                                                 : "validation accuracy";
}

std::string TargetText(const v1::Comparison& comparison) {
  return absl::StrFormat("%g %%", 100 * comparison.target_accuracy());
}

bool IsUnfinished(const v1::ComparedRun& run) {
  return absl::StartsWith(run.excluded_because(), kNotFinished);
}

}  // namespace headstart::scheduler
