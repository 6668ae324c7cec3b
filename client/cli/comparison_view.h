// Comparisons as tables and lines for people.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "client/cli/print.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

Table ComparisonTable(absl::Span<const v1::Comparison> comparisons);
std::vector<std::string> ComparisonLines(const v1::Comparison& comparison);

}  // namespace headstart::client
