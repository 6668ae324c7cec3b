// In which form a report is asked for, and where it goes.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/cli/session.h"

namespace headstart::client {

// html, markdown, csv, json or table: what --format says, or else the ending of
// --output, or else html where there is an output and `fallback` where not.
std::string ReportFormat(const Flags& flags, absl::string_view fallback);

// Writes the report into the file of --output, whole or not at all, and prints
// the file's name; without one prints the report.
absl::Status WriteReport(Session& session, absl::string_view text);

}  // namespace headstart::client
