// HS_LOG: one line per fact on stderr, counted by severity.
//
// This header includes neither spdlog nor fmt: the folder of LibTorch's headers
// carries an fmt of another release.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/strings/string_view.h"

namespace headstart {

enum class LogSeverity {
  kDebug,    // For whoever debugs; not printed unless asked for.
  kInfo,     // A state someone may ask about later; never per batch.
  kWarning,  // Handled, but a person should look if it repeats.
  kError,    // Something the system could not do.
};

// Lines below `severity` are neither printed nor counted. kInfo at start.
void SetLogSeverityMin(LogSeverity severity);

// How many lines of this severity were logged since the process began.
int64_t LogLinesCount(LogSeverity severity);

// "debug", "info", "warning", "error".
absl::string_view LogSeverityName(LogSeverity severity);

// One value of a log line: a number, a bool, a text, an enum (its number), or
// anything with ToString(), such as a Status or a name; also absl::Duration and
// absl::Time.
class LogValue {
 public:
  using Value = std::variant<bool, int64_t, uint64_t, double, std::string_view,
                             std::string>;

  template <typename T>
  LogValue(const T& value) : value_(Hold(value)) {}  // NOLINT: for HS_LOG

  const Value& value() const { return value_; }

 private:
  template <typename T>
  static Value Hold(const T& value) {
    if constexpr (std::same_as<T, bool>) {
      return Value(std::in_place_type<bool>, value);
    } else if constexpr (std::is_enum_v<T> || std::signed_integral<T>) {
      return Value(std::in_place_type<int64_t>, static_cast<int64_t>(value));
    } else if constexpr (std::unsigned_integral<T>) {
      return Value(std::in_place_type<uint64_t>, value);
    } else if constexpr (std::floating_point<T>) {
      return Value(std::in_place_type<double>, value);
    } else if constexpr (std::convertible_to<T, std::string_view>) {
      return Value(std::in_place_type<std::string_view>, value);
    } else if constexpr (std::convertible_to<T, absl::string_view>) {
      const absl::string_view text = value;
      return Value(std::in_place_type<std::string_view>, text.data(),
                   text.size());
    } else if constexpr (requires { value.ToString(); }) {
      return Value(std::in_place_type<std::string>, value.ToString());
    } else {
      return Value(std::in_place_type<std::string>, AbslUnparseFlag(value));
    }
  }

  Value value_;
};

namespace log_internal {

// A format text with as many {} as there are arguments, or it does not compile.
template <typename... Args>
struct Format {
  consteval Format(const char* format) : text(format) {  // NOLINT: for HS_LOG
    size_t fields = 0;
    for (const char* c = format; *c != '\0'; ++c) {
      if (*c != '{') continue;
      if (c[1] == '{') {
        ++c;
      } else {
        ++fields;
      }
    }
    if (fields != sizeof...(Args)) {
      throw "HS_LOG: the number of {} is not the number of arguments";
    }
  }

  std::string_view text;
};

void Write(LogSeverity severity, std::string_view format,
           std::initializer_list<LogValue> values);

template <typename... Args>
void Log(LogSeverity severity, Format<std::type_identity_t<Args>...> format,
         const Args&... args) {
  Write(severity, format.text, {LogValue(args)...});
}

}  // namespace log_internal
}  // namespace headstart

// HS_LOG(kInfo, "trial promoted trial={} epoch={} loss={:.4f}", name, 3, loss)
//
// A fact in lower case, then key=value with full names and units. Logged once,
// by whoever handles it. Any thread may log. Formats are fmt's.
#define HS_LOG(severity, ...)                                        \
  ::headstart::log_internal::Log(::headstart::LogSeverity::severity, \
                                 __VA_ARGS__)
