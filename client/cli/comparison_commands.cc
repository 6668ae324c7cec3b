// The commands about comparisons.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/cli/comparison_progress.h"
#include "client/cli/comparison_result.h"
#include "client/cli/comparison_view.h"
#include "client/cli/handlers.h"
#include "client/cli/paging.h"
#include "client/cli/report_output.h"
#include "client/cli/study_file.h"
#include "client/cli/watch.h"

namespace headstart::client {
absl::Status WatchComparisonToItsEnd(Session& session,
                                     const std::string& name) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  Printer& printer = session.printer();
  ComparisonProgress progress(*client, printer, session.clock());
  v1::WatchComparisonRequest request;
  request.set_name(name);
  v1::Comparison last;
  HS_RETURN_IF_ERROR(
      client->WatchComparison(request, [&](const v1::Comparison& comparison) {
        last = comparison;
        if (printer.json()) {
          printer.Json(comparison);
        } else {
          progress.Update(comparison);
        }
        return true;
      }));
  printer.KeepDrawn();
  if (last.state() != v1::Comparison::SUCCEEDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is ", v1::Comparison::State_Name(last.state()),
        last.state_message().empty() ? "" : ": ", last.state_message()));
  }
  if (printer.json()) return absl::OkStatus();
  HS_RETURN_IF_ERROR(ShowComparison(session, *client, name, /*folder=*/""));
  printer.Progress(
      absl::StrCat("The whole report as a page: headstart "
                   "comparisons report ",
                   name, " -o report.html", ClusterFlags(session.flags())));
  return absl::OkStatus();
}

absl::Status CreateComparison(Session& session) {
  const Flags& flags = session.flags();
  v1::CreateComparisonRequest request;
  absl::StatusOr<v1::Comparison> file = ReadComparisonFile(flags.file);
  if (!file.ok()) return UsageError(file.status().message());
  *request.mutable_comparison() = *std::move(file);
  request.set_validate_only(flags.dry_run);
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(const v1::Comparison comparison,
                      client->CreateComparison(std::move(request)));
  if (flags.dry_run) {
    session.Answer(comparison, ComparisonLines(comparison));
    return absl::OkStatus();
  }
  if (session.printer().json()) {
    session.printer().Json(comparison);
  } else {
    session.printer().Result(comparison.name());
  }
  if (!flags.watch) return absl::OkStatus();
  return WatchComparisonToItsEnd(session, comparison.name());
}

absl::Status ListComparisons(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  HS_ASSIGN_OR_RETURN(
      const std::vector<v1::Comparison> comparisons,
      ReadPages(
          v1::ListComparisonsRequest(),
          [&](const auto& r) { return client->ListComparisons(r); },
          &v1::ListComparisonsResponse::comparisons));
  AnswerRows(session, comparisons, ComparisonTable(comparisons));
  return absl::OkStatus();
}

absl::Status GetComparison(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::GetComparisonRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Comparison comparison,
                      client->GetComparison(request));
  session.Answer(comparison, ComparisonLines(comparison));
  return absl::OkStatus();
}

absl::Status WatchComparison(Session& session) {
  return WatchComparisonToItsEnd(session, session.flags().name);
}

absl::Status CancelComparison(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::CancelComparisonRequest request;
  request.set_name(session.flags().name);
  HS_ASSIGN_OR_RETURN(const v1::Comparison comparison,
                      client->CancelComparison(request));
  session.Answer(
      comparison,
      {absl::StrCat(comparison.name(), " is ",
                    v1::Comparison::State_Name(comparison.state()))});
  return absl::OkStatus();
}

absl::Status DeleteComparison(Session& session) {
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::DeleteComparisonRequest request;
  request.set_name(session.flags().name);
  HS_RETURN_IF_ERROR(client->DeleteComparison(request));
  session.printer().Progress(absl::StrCat(session.flags().name, " is deleted"));
  return absl::OkStatus();
}

absl::Status ReportComparison(Session& session) {
  const Flags& flags = session.flags();
  HS_ASSIGN_OR_RETURN(Client* const client, session.FindClient());
  v1::ReportComparisonRequest request;
  request.set_name(flags.name);
  HS_ASSIGN_OR_RETURN(const v1::ComparisonReport report,
                      client->ReportComparison(request));
  const std::string format = ReportFormat(flags, "table");
  if (format == "table") {
    Printer& printer = session.printer();
    printer.Show(
        ShortReport(report, printer.is_live() ? printer.columns() : 0));
    return absl::OkStatus();
  }
  HS_ASSIGN_OR_RETURN(const std::string text,
                      ReportText(*client, report, format));
  return WriteReport(session, text);
}

}  // namespace headstart::client
