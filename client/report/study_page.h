// A study's report as one HTML page: which trial is best, how the search got
// there, and which values mattered.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {

// `trials` are all of the study, with their epochs. Studies of any size and in
// any state make a page.
//   InvalidArgument  a figure cannot be drawn; a bug here.
absl::StatusOr<std::string> StudyPage(const v1::Study& study,
                                      absl::Span<const v1::Trial> trials);

// One line per trial: state, epoch, objective, values and why it failed.
std::string TrialsCsv(const v1::Study& study,
                      absl::Span<const v1::Trial> trials);

// One line per trial and epoch, with all that was measured.
std::string TrialEpochsCsv(absl::Span<const v1::Trial> trials);

// The study as a file that `headstart studies create -f` reads: what the
// scheduler adds by itself is left out.
std::string StudyFile(const v1::Study& study);

}  // namespace headstart::client
