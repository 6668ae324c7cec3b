// Finding one's way in a ComparisonReport: its quantities and tests.
#pragma once

#include <array>
#include <cstdint>

#include "headstart/v1/comparison.pb.h"

namespace headstart::scheduler {

// What arms are compared in.
enum class Quantity { kBest, kLast, kTime };
inline constexpr std::array kQuantities = {Quantity::kBest, Quantity::kLast,
                                           Quantity::kTime};

enum class TestKind { kPairedT, kWelch, kMannWhitney };
inline constexpr std::array kTestKinds = {TestKind::kPairedT, TestKind::kWelch,
                                          TestKind::kMannWhitney};

// Null without one.
const v1::ArmReport* BaselineOf(const v1::ComparisonReport& report);

// Epochs of the longest run that counts: early_stop may end it before its last.
// Those it is to have, while none counts.
int64_t LongestRun(const v1::ArmReport& arm);

const v1::Spread& SpreadOf(const v1::ArmReport& arm, Quantity quantity);

// The arm against the baseline; null where it is absent.
const v1::ArmComparison* ComparisonOf(const v1::ArmReport& arm,
                                      Quantity quantity);

// Null where it is absent.
const v1::TestResult* ResultOf(const v1::ArmComparison& comparison,
                               TestKind kind);

// The test that the summary quotes, one for all arms: paired t where every
// comparison in this quantity has one with a finite t, else Welch's, else
// Mann-Whitney's. In times only Mann-Whitney's as soon as one of the runs never
// reached the target, since t tests leave such runs out.
TestKind QuotedTest(const v1::ComparisonReport& report, Quantity quantity);

// Arms that are compared with the baseline in it.
int64_t ComparedCount(const v1::ComparisonReport& report, Quantity quantity);

// At most this p, after Holm's correction, counts as significant.
inline constexpr double kSignificanceLevel = 0.05;

}  // namespace headstart::scheduler
