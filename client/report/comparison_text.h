// A comparison's report as text: Markdown for a repository or a thread, CSV for
// a statistics program, lines for a terminal.
#pragma once

#include <string>
#include <vector>

#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

// Title, summary, warnings, tables and method; ends with a newline.
std::string ComparisonMarkdown(const v1::ComparisonReport& report);

// One line per run, under a line of column names. Accuracies are shares of 1
// with all their digits; what was not measured or reached is empty. csv.h says
// how texts are written.
std::string ComparisonRunsCsv(const v1::ComparisonReport& report);

// One line per run, one column per epoch: the metric after epoch_1, epoch_2,
// ... as shares of 1.
std::string ComparisonEpochsCsv(const v1::ComparisonReport& report);

// Summary, warnings and a narrow table.
std::vector<std::string> ComparisonLines(const v1::ComparisonReport& report);

}  // namespace headstart::client
