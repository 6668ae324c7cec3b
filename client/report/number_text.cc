#include "client/report/number_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace headstart::client {

std::string FixedText(double value, int decimals) {
  if (std::isnan(value)) return std::string(kMissingText);
  std::string digits = absl::StrFormat("%.*f", decimals, std::abs(value));
  const bool is_zero = digits.find_first_not_of("0.") == std::string::npos;
  return absl::StrCat(value < 0 && !is_zero ? "−" : "", digits);
}

std::string PercentDigits(double share, int decimals) {
  return FixedText(share * 100, decimals);
}

std::string PointsDigits(double difference, int decimals) {
  const std::string digits = FixedText(difference * 100, decimals);
  const bool has_sign = std::isnan(difference) || absl::StartsWith(digits, "−");
  return absl::StrCat(has_sign ? "" : "+", digits);
}

int DecimalsFor(double standard_deviation) {
  if (std::isnan(standard_deviation) || standard_deviation <= 0) return 2;
  const double magnitude = std::floor(std::log10(standard_deviation * 100));
  return static_cast<int>(std::clamp(1 - magnitude, 1.0, 3.0));
}

int AccuracyDecimals(const v1::ComparisonReport& report) {
  double least = std::numeric_limits<double>::quiet_NaN();
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::Spread* spread : {&arm.best(), &arm.last()}) {
      // Runs that agree exactly say nothing about the others.
      if (spread->count() >= 2 && spread->standard_deviation() > 0) {
        least = std::fmin(least, spread->standard_deviation());
      }
    }
  }
  return DecimalsFor(least);
}

namespace {

std::string SpreadDigits(const v1::Spread& spread, double scale, int decimals) {
  if (spread.count() == 0) return std::string(kMissingText);
  std::string text = FixedText(spread.mean() * scale, decimals);
  if (spread.count() >= 2 && !std::isnan(spread.standard_deviation())) {
    absl::StrAppend(&text, " ± ",
                    FixedText(spread.standard_deviation() * scale, decimals));
  }
  return text;
}

}  // namespace

std::string PercentSpread(const v1::Spread& spread, int decimals) {
  return SpreadDigits(spread, 100, decimals);
}

std::string EpochsSpread(const v1::Spread& spread) {
  return SpreadDigits(spread, 1, 1);
}

std::string PDigits(double p) {
  if (std::isnan(p)) return std::string(kMissingText);
  if (p < 0.0001) return "< 0.0001";
  // Rounded first: 0.0996 is written as 0.10 and not as 0.100.
  if (p >= 0.0995) return absl::StrFormat("%.2f", p);
  if (p >= 0.00995) return absl::StrFormat("%.3f", p);
  return absl::StrFormat("%.4f", p);
}

std::string PText(double p) {
  const std::string digits = PDigits(p);
  return absl::StrCat("p ", absl::StartsWith(digits, "<") ? "" : "= ", digits);
}

std::string ExactText(double value) {
  if (std::isnan(value)) return "";
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::general)
                       .ptr;
  return std::string(text.data(), end);
}

std::string ShortText(double value) {
  return std::isnan(value) ? std::string(kMissingText)
                           : absl::StrFormat("%.4g", value);
}

std::string SecondsText(double seconds) {
  if (!(seconds >= 0) || std::isinf(seconds)) return std::string(kMissingText);
  if (seconds < 9.95) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::min(seconds + 0.5, 1e15));
  if (whole < 60) return absl::StrCat(whole, " s");
  if (whole < 3600) return absl::StrCat(whole / 60, " min ", whole % 60, " s");
  if (whole < 24 * 3600) {
    return absl::StrCat(whole / 3600, " h ", whole / 60 % 60, " min");
  }
  return absl::StrCat(whole / (24 * 3600), " d ", whole / 3600 % 24, " h");
}

std::string MinuteText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M UTC",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string Capitalized(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return text;
}

std::string CountText(int64_t count, absl::string_view singular) {
  return absl::StrCat(count, " ", singular, count == 1 ? "" : "s");
}

}  // namespace headstart::client
