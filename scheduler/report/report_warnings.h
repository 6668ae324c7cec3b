// What a reader of a ComparisonReport has to know before believing a number.
#pragma once

#include <string>
#include <vector>

#include "headstart/v1/comparison.pb.h"
#include "scheduler/report/comparison_report.h"

namespace headstart::scheduler {

// ComparisonReport.warnings, the gravest first; `arms` are those that it was
// made from.
std::vector<std::string> WarningsOf(const v1::ComparisonReport& report);

}  // namespace headstart::scheduler
