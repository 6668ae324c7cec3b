// A comparison's report as one HTML page, for readers who have never seen the
// project.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/manifest.pb.h"

namespace headstart::client {

// The page: what came out first, then how sure that is, then figures, every
// run, what was compared, and a file that repeats it. It holds its data as CSV.
// Reports of any size and of comparisons in any state make a page.
// `environments`: what runs were trained with, as their checkpoints say; none
// where they cannot be asked.
//   InvalidArgument  a figure cannot be drawn; a bug here.
absl::StatusOr<std::string> ComparisonPage(
    const v1::ComparisonReport& report,
    absl::Span<const v1::Environment> environments = {});

// What a person gives to make such a comparison: what the scheduler adds by
// itself is left out.
v1::Comparison ComparisonInput(const v1::Comparison& comparison);

// That as a file that `headstart comparisons create -f` reads.
std::string ComparisonFile(const v1::Comparison& comparison);

}  // namespace headstart::client
