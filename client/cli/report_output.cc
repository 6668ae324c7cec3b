#include "client/cli/report_output.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace headstart::client {

std::string ReportFormat(const Flags& flags, absl::string_view fallback) {
  if (!flags.report_format.empty()) return flags.report_format;
  for (const auto& [ending, format] :
       {std::pair{".csv", "csv"}, std::pair{".md", "markdown"},
        std::pair{".json", "json"}}) {
    if (absl::EndsWith(flags.output, ending)) return format;
  }
  return flags.output.empty() ? std::string(fallback) : "html";
}

absl::Status WriteReport(Session& session, absl::string_view text) {
  const std::string& file = session.flags().output;
  if (!file.empty()) {
    HS_RETURN_IF_ERROR(WriteFileAtomically(file, text));
    session.printer().Result(file);
    return absl::OkStatus();
  }
  for (const absl::string_view line :
       absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    session.printer().Result(line);
  }
  return absl::OkStatus();
}

}  // namespace headstart::client
