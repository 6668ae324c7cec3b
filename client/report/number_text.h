// Measured numbers as people read them in reports: with as many digits as mean
// something.
//
// What is missing (NaN, no runs) reads "–".
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

inline constexpr absl::string_view kMissingText = "–";

// With a fixed number of decimals, and a minus sign that is as wide as a plus.
std::string FixedText(double value, int decimals);

// A share of 1 in percent, without the sign: "94.23".
std::string PercentDigits(double share, int decimals);

// A difference of two shares in percentage points, with its sign: "+0.16".
std::string PointsDigits(double difference, int decimals);

// How many decimals of a percentage mean something where values scatter by
// `standard_deviation` (a share): two digits of the deviation, but 1 to 3
// decimals in all; 2 where it is not known.
int DecimalsFor(double standard_deviation);

// The same for a report's accuracies: the arm that scatters least decides.
int AccuracyDecimals(const v1::ComparisonReport& report);

// "94.231 ± 0.098", in percent; without deviation where there is none.
std::string PercentSpread(const v1::Spread& spread, int decimals);

// "14.4 ± 2.3".
std::string EpochsSpread(const v1::Spread& spread);

// "0.0097", "0.032", "0.52", "< 0.0001".
std::string PDigits(double p);

// "p = 0.0097", "p < 0.0001".
std::string PText(double p);

// As many digits as make the value again when read: for files.
std::string ExactText(double value);

// Four significant digits: "0.0813", "1.2e-06".
std::string ShortText(double value);

// "4 s", "12 min 20 s", "2 h 5 min", "3 d 4 h".
std::string SecondsText(double seconds);

// "2026-03-01 14:02 UTC"; empty when it was never set.
std::string MinuteText(const google::protobuf::Timestamp& time);

// With a capital first letter.
std::string Capitalized(std::string text);

// "1 run", "8 runs".
std::string CountText(int64_t count, absl::string_view singular);

}  // namespace headstart::client
