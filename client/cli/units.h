// Numbers as people read them: bytes, spans of time, shares, instants.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace headstart::client {

// "17 bytes", "1.07 MB": powers of 1000, three digits.
std::string HumanBytes(int64_t bytes);

// "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". "-" below 0 and for
// infinity.
std::string HumanDuration(absl::Duration duration);

// The text, or "-" for none.
std::string OrDash(const std::string& text);

// A share of 1 as "97.62 %": exact for parts of 10,000 examples. "-" without.
std::string Percent(std::optional<double> share);

// Four significant digits, "0.0813"; "-" without.
std::string Number(std::optional<double> value);

// "2026-03-01 14:02:11Z"; "-" when it was never set.
std::string Instant(const google::protobuf::Timestamp& time);

// Such as "1 trial", "27 trials".
std::string Count(int64_t count, const std::string& singular);

// "sha256:" and 64 hexadecimal digits; "-" for no bytes.
std::string DigestText(const std::string& bytes);

}  // namespace headstart::client
