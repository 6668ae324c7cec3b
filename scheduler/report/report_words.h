// Words that a report's texts share.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

#include "headstart/v1/comparison.pb.h"

namespace headstart::scheduler {

// final -> "final", with the quotation marks.
std::string Quoted(absl::string_view label);

// 1, "run" -> 1 run; 2, "run" -> 2 runs.
std::string Count(int64_t count, absl::string_view what);

// test accuracy or validation accuracy.
absl::string_view MetricText(v1::Comparison::Metric metric);

// 0.9 -> 90 %.
std::string TargetText(const v1::Comparison& comparison);

// Of ComparedRun.excluded_because for runs that may still count.
inline constexpr absl::string_view kNotFinished = "not finished yet";
bool IsUnfinished(const v1::ComparedRun& run);

}  // namespace headstart::scheduler
