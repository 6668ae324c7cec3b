#include "client/plot/ticks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace headstart::client {
namespace {

// Numbers from here on, and steps below the second, are written with e.
constexpr double kPlainMax = 1e7;
constexpr int kPlainExponentMin = -5;
constexpr double kLogPlainMax = 1e6;  // The same for powers of ten.

std::string TrimZeros(std::string digits) {
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') {
      digits.pop_back();
    }
  }
  return digits;
}

std::string Signed(bool negative, std::string digits) {
  const bool zero = digits.find_first_of("123456789") == std::string::npos;
  return negative && !zero ? absl::StrCat("\u2212", digits) : digits;
}

// "12,345.6" of "12345.6"; four digits stay together.
std::string Grouped(std::string digits) {
  size_t at = std::min(digits.find('.'), digits.size());
  if (at <= 4) {
    return digits;
  }
  while (at > 3) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string Plain(double value, int decimals) {
  return Signed(value < 0,
                Grouped(absl::StrFormat("%.*f", decimals, std::abs(value))));
}

// "1.5e−6".
std::string Scientific(double value, int decimals) {
  const std::string text = absl::StrFormat("%.*e", decimals, std::abs(value));
  const size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  return Signed(value < 0,
                absl::StrCat(TrimZeros(text.substr(0, e)), "e",
                             exponent < 0 ? "\u2212" : "", std::abs(exponent)));
}

int Exponent(double value) {
  return static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-12));
}

// digit * 10^exponent, with the one rounding of a division.
double Scaled(double digit, int exponent) {
  return exponent < 0 ? digit / std::pow(10.0, -exponent)
                      : digit * std::pow(10.0, exponent);
}

// Powers of ten are read by their exponent sooner than other numbers.
std::string LogLabel(double value) {
  return value >= kLogPlainMax ? Scientific(value, 0) : NumberText(value);
}

int LabelCount(const std::vector<Tick>& ticks) {
  return static_cast<int>(
      std::count_if(ticks.begin(), ticks.end(),
                    [](const Tick& tick) { return !tick.label.empty(); }));
}

}  // namespace

std::vector<Tick> LinearTicks(double low, double high, int count, bool whole) {
  const double step_min = (high - low) / count;
  int exponent = Exponent(step_min);
  int digit = 1;
  for (int larger : {2, 5, 10}) {
    if (Scaled(digit, exponent) < step_min * (1 - 1e-9)) {
      digit = larger;
    }
  }
  if (digit == 10) {
    digit = 1;
    ++exponent;
  }
  if (whole && exponent < 0) {
    digit = 1;
    exponent = 0;
  }

  const double step = Scaled(digit, exponent);
  const bool plain = std::max(std::abs(low), std::abs(high)) < kPlainMax &&
                     exponent >= kPlainExponentMin;
  std::vector<Tick> ticks;
  const auto last = static_cast<int64_t>(std::floor(high / step + 1e-6));
  for (auto i = static_cast<int64_t>(std::ceil(low / step - 1e-6)); i <= last;
       ++i) {
    Tick tick = {.value = Scaled(static_cast<double>(i * digit), exponent)};
    if (plain) {
      tick.label = Plain(tick.value, std::max(0, -exponent));
    } else if (i == 0) {
      tick.label = "0";
    } else {
      tick.label =
          Scientific(tick.value, std::max(0, Exponent(tick.value) - exponent));
    }
    ticks.push_back(std::move(tick));
  }
  return ticks;
}

std::vector<Tick> LogTicks(double low, double high, int count) {
  const double decades = std::log10(high) - std::log10(low);
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / count)));
  const bool has_room = 3 * decades <= count;
  // A tenth of a rounding error below a power of ten still is that power.
  const int first = static_cast<int>(std::ceil(std::log10(low) - 1e-9));
  std::vector<Tick> ticks;
  for (int exponent = Exponent(low); exponent <= Exponent(high); ++exponent) {
    for (int digit = 1; digit <= 9; ++digit) {
      const double value = Scaled(digit, exponent);
      if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) {
        continue;
      }
      const bool labelled = (digit == 1 && (exponent - first) % stride == 0) ||
                            (has_room && (digit == 2 || digit == 5));
      // Short marks say that this is a log axis, where they can be told apart.
      if (labelled || digit == 1 || 2 * decades <= count) {
        ticks.push_back({value, labelled ? LogLabel(value) : ""});
      }
    }
  }
  if (LabelCount(ticks) < 3 && stride == 1) {
    std::vector<Tick> linear = LinearTicks(low, high, count, false);
    if (LabelCount(linear) > LabelCount(ticks)) {
      return linear;
    }
  }
  return ticks;
}

std::string NumberText(double value) {
  if (!std::isfinite(value)) {
    return std::isnan(value) ? "NaN"
           : value < 0       ? "\u2212infinite"
                             : "infinite";
  }
  if (value == 0) {
    return "0";
  }
  const int exponent = Exponent(value);
  if (std::abs(value) >= kPlainMax || exponent <= kPlainExponentMin) {
    return Scientific(value, 4);
  }
  const int decimals = std::max(0, 4 - exponent);
  return Signed(
      value < 0,
      Grouped(TrimZeros(absl::StrFormat("%.*f", decimals, std::abs(value)))));
}

}  // namespace headstart::client
