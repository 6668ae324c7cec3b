// State as the messages that users see; what the *_view.cc files share.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/names.h"
#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"
#include "headstart/v1/trial.pb.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {

// Lists leave out epochs and attempts.
enum class Detail { kBrief, kFull };

v1::Study ViewStudy(const State& state, const Study& study);
v1::Trial ViewTrial(const Study& study, const Trial& trial, Detail detail);
v1::Training ViewTraining(const State& state, const Training& training,
                          Detail detail);
v1::Comparison ViewComparison(const State& state, const Comparison& comparison);

// Why nothing of an owner trains although it has work for workers that offer
// `needs`, in one sentence.
std::string WhyWaiting(const State& state,
                       const std::vector<std::string>& needs);

// What live attempts of an owner's runs wait for, as their workers say: the
// first, and how many more do. Empty when none does.
std::string WhatAttemptsWaitFor(const State& state, RunKind kind,
                                int64_t owner);

// What the live attempt of a run waits for; empty when it goes on.
std::string WhatItWaitsFor(const State& state, const Run& run);

// How many to list: 100 for 0. InvalidArgument outside 0 to 1,000.
absl::StatusOr<int64_t> PageSize(int64_t page_size);
// The number that the last page ended with; 0 for an empty token.
// InvalidArgument for a token that no list gave out.
absl::StatusOr<int64_t> PageStart(absl::string_view page_token);
absl::Status UnknownPageToken(absl::string_view page_token);

}  // namespace headstart::scheduler
