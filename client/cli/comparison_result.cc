#include "client/cli/comparison_result.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/cli/print.h"
#include "client/cli/progress.h"
#include "client/report/comparison_page.h"
#include "client/report/comparison_text.h"

namespace headstart::client {

std::vector<std::string> ShortReport(const v1::ComparisonReport& report,
                                     int64_t columns) {
  std::vector<std::string> lines;
  for (std::string& line : ComparisonLines(report)) {
    const bool is_row = absl::StrContains(line, "  ");
    if (columns <= 0 || is_row || line.empty()) {
      lines.push_back(std::move(line));
      continue;
    }
    WrappedInto(lines, columns)("", absl::StrSplit(line, ' '), " ");
  }
  return lines;
}

absl::StatusOr<std::string> ReportText(const v1::ComparisonReport& report,
                                       absl::string_view format) {
  if (format == "html") return ComparisonPage(report);
  if (format == "markdown") return ComparisonMarkdown(report);
  if (format == "csv") return ComparisonRunsCsv(report);
  return ToJsonLine(report);
}

absl::Status ShowComparison(Session& session, Client& client,
                            const std::string& name,
                            const std::string& folder) {
  v1::ReportComparisonRequest request;
  request.set_name(name);
  HS_ASSIGN_OR_RETURN(const v1::ComparisonReport report,
                      client.ReportComparison(request));
  Printer& printer = session.printer();
  printer.Result("");
  for (const std::string& line :
       ShortReport(report, printer.is_live() ? printer.columns() : 0)) {
    printer.Result(line);
  }
  const v1::Comparison& comparison = report.comparison();
  if (comparison.state() == v1::Comparison::FAILED) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is FAILED: ", comparison.state_message()));
  }
  if (folder.empty()) return absl::OkStatus();
  HS_ASSIGN_OR_RETURN(const std::string page, ComparisonPage(report));
  const std::string file = absl::StrCat(
      folder, "/", absl::StrReplaceAll(name, {{"/", "-"}}), ".html");
  HS_RETURN_IF_ERROR(MakeFolders(folder));
  HS_RETURN_IF_ERROR(WriteFileAtomically(file, page));
  printer.Result(absl::StrCat("The whole report: ", file));
  return absl::OkStatus();
}

}  // namespace headstart::client
