#include "base/log.h"

#include <fmt/args.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <iterator>
#include <memory>

namespace headstart {
namespace {

constexpr int kSeverityCount = 4;

std::atomic<LogSeverity> severity_min = LogSeverity::kInfo;
std::array<std::atomic<int64_t>, kSeverityCount> line_counts = {};

// Never destroyed: threads may log while the process exits.
spdlog::logger& Logger() {
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger(
        "", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %v",
                      spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return logger;
}

spdlog::level::level_enum SpdlogLevel(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::kDebug:
      return spdlog::level::debug;
    case LogSeverity::kInfo:
      return spdlog::level::info;
    case LogSeverity::kWarning:
      return spdlog::level::warn;
    case LogSeverity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// The line; a format that does not suit its values is shown as it is, since a
// log line must never end a process.
std::string Formatted(std::string_view format,
                      std::initializer_list<LogValue> values) {
  fmt::dynamic_format_arg_store<fmt::format_context> store;
  for (const LogValue& value : values) {
    std::visit([&store](const auto& held) { store.push_back(held); },
               value.value());
  }
  try {
    return fmt::vformat(fmt::string_view(format.data(), format.size()), store);
  } catch (const fmt::format_error& error) {
    return std::string(format) + " (bad format: " + error.what() + ")";
  }
}

// One fact stays on one line, whatever a message brings along.
std::string OneLine(std::string text) {
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
    text.replace(at, 1, "\\n");
  }
  return text;
}

}  // namespace

void SetLogSeverityMin(LogSeverity severity) { severity_min = severity; }

int64_t LogLinesCount(LogSeverity severity) {
  return line_counts[static_cast<size_t>(severity)];
}

absl::string_view LogSeverityName(LogSeverity severity) {
  constexpr std::array<absl::string_view, kSeverityCount> kNames = {
      "debug", "info", "warning", "error"};
  return kNames[static_cast<size_t>(severity)];
}

namespace log_internal {

void Write(LogSeverity severity, std::string_view format,
           std::initializer_list<LogValue> values) {
  if (severity < severity_min.load(std::memory_order_relaxed)) return;
  ++line_counts[static_cast<size_t>(severity)];
  Logger().log(SpdlogLevel(severity), OneLine(Formatted(format, values)));
}

}  // namespace log_internal
}  // namespace headstart
