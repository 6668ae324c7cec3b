// What a ComparisonReport says in words, for readers who know neither the
// project nor statistics.
#pragma once

#include <string>

#include "headstart/v1/comparison.pb.h"

namespace headstart::scheduler {

// ComparisonReport.summary: which arm is best, which fastest, by how much, and
// whether that is more than chance. All else in the report is there.
std::string SummaryOf(const v1::ComparisonReport& report);

// ComparisonReport.method.
std::string MethodOf(const v1::ComparisonReport& report);

}  // namespace headstart::scheduler
