#include "client/cli/units.h"

#include <array>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace headstart::client {

std::string HumanBytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB",
                                                 "TB", "PB", "EB"};
  if (std::llabs(bytes) < 1000) return absl::StrCat(bytes, " bytes");
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  // 999.5 and more would be written as 1000.
  while (std::abs(value) >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int digits = std::abs(value) < 9.995   ? 2
                     : std::abs(value) < 99.95 ? 1
                                               : 0;
  return absl::StrFormat("%.*f %s", digits, value, kUnits[unit]);
}

std::string HumanDuration(absl::Duration duration) {
  if (duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return "-";
  }
  if (duration < absl::Milliseconds(9950)) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  const int64_t seconds =
      absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) {
    return absl::StrCat(seconds / 60, " min ", seconds % 60, " s");
  }
  if (seconds < 24 * 3600) {
    return absl::StrCat(seconds / 3600, " h ", seconds / 60 % 60, " min");
  }
  return absl::StrCat(seconds / (24 * 3600), " d ", seconds / 3600 % 24, " h");
}

std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string Percent(std::optional<double> share) {
  return share ? absl::StrFormat("%.2f %%", *share * 100) : "-";
}

std::string Number(std::optional<double> value) {
  return value ? absl::StrFormat("%.4g", *value) : "-";
}

std::string Instant(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string Count(int64_t count, const std::string& singular) {
  return absl::StrCat(count, " ", singular, count == 1 ? "" : "s");
}

std::string DigestText(const std::string& bytes) {
  return bytes.empty() ? "-"
                       : absl::StrCat("sha256:", absl::BytesToHexString(bytes));
}

}  // namespace headstart::client
