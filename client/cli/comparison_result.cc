#include "client/cli/comparison_result.h"

#include <utility>

#include "absl/container/btree_set.h"
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
namespace {

// What runs were trained with: as the last checkpoint of one run says, for each
// arm and kind of device.
std::vector<v1::Environment> EnvironmentsOf(
    Client& client, const v1::ComparisonReport& report) {
  std::vector<v1::Environment> environments;
  for (const v1::ArmReport& arm : report.arms()) {
    absl::btree_set<std::string> seen;
    for (const v1::ComparedRun& run : arm.runs()) {
      if (run.accuracy().empty() || !seen.insert(run.device()).second) continue;
      v1::GetCheckpointRequest request;
      request.set_name(
          absl::StrCat(run.run(), "/epochs/", run.accuracy_size()));
      absl::StatusOr<v1::Checkpoint> checkpoint = client.GetCheckpoint(request);
      if (absl::IsNotFound(checkpoint.status())) continue;
      // Storage is away, or not for this person: the report can do without.
      if (!checkpoint.ok()) return environments;
      environments.push_back(
          std::move(*checkpoint->mutable_manifest()->mutable_environment()));
    }
  }
  return environments;
}

}  // namespace

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

absl::StatusOr<std::string> ReportText(Client& client,
                                       const v1::ComparisonReport& report,
                                       absl::string_view format) {
  if (format == "html") {
    return ComparisonPage(report, EnvironmentsOf(client, report));
  }
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
  HS_ASSIGN_OR_RETURN(const std::string page,
                      ReportText(client, report, "html"));
  const std::string file = absl::StrCat(
      folder, "/", absl::StrReplaceAll(name, {{"/", "-"}}), ".html");
  HS_RETURN_IF_ERROR(MakeFolders(folder));
  HS_RETURN_IF_ERROR(WriteFileAtomically(file, page));
  printer.Result(absl::StrCat("The whole report: ", file));
  return absl::OkStatus();
}

}  // namespace headstart::client
