#include "client/report/comparison_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/report/comparison_tables.h"
#include "client/report/csv.h"
#include "client/report/number_text.h"

namespace headstart::client {
namespace {

// --------------------------------------------------------------- Markdown

// Text that Markdown, and the HTML inside it, take for nothing but text.
std::string EscapeMarkdown(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '&') {
      escaped += "&amp;";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      escaped += ' ';
    } else {
      if (absl::string_view("\\`*_[]|#~$@").find(c) !=
          absl::string_view::npos) {
        escaped += '\\';
      }
      escaped += c;
    }
  }
  return escaped;
}

std::string MarkdownTable(const PageTable& table) {
  std::string headings;
  std::string rule;
  for (const PageTable::Column& column : table.columns) {
    absl::StrAppend(&headings, "| ", EscapeMarkdown(column.group),
                    column.group.empty() ? "" : ", ",
                    EscapeMarkdown(column.heading), " ");
    rule += column.is_number ? "| ---: " : "| --- ";
  }
  std::string text = absl::StrCat(headings, "|\n", rule, "|\n");
  for (const PageTable::Row& row : table.rows) {
    for (const std::string& cell : row.cells) {
      absl::StrAppend(&text, "| ", row.is_marked ? "**" : "",
                      EscapeMarkdown(cell), row.is_marked ? "** " : " ");
    }
    text += "|\n";
  }
  return text;
}

// --------------------------------------------------------------- terminal

// Columns that UTF-8 text takes, one per character.
size_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

std::vector<std::string> Aligned(const PageTable& table) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    size_t width = Width(table.columns[i].heading);
    for (const PageTable::Row& row : table.rows) {
      width = std::max(width, Width(row.cells[i]));
    }
    widths.push_back(width);
  }
  std::vector<std::string> lines;
  const auto add = [&](auto cell_of) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = cell_of(i);
      const std::string padding(widths[i] - Width(cell), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ",
                      table.columns[i].is_number ? absl::StrCat(padding, cell)
                                                 : absl::StrCat(cell, padding));
    }
    lines.emplace_back(absl::StripTrailingAsciiWhitespace(line));
  };
  add([&](size_t i) {
    return absl::AsciiStrToUpper(table.columns[i].heading);
  });
  for (const PageTable::Row& row : table.rows) {
    add([&](size_t i) { return row.cells[i]; });
  }
  return lines;
}

// The results, without what is too wide, and with one test of each arm.
PageTable NarrowTable(const v1::ComparisonReport& report) {
  const PageTable results = ResultsTable(report);
  const int decimals = AccuracyDecimals(report);
  std::vector<size_t> kept;
  PageTable table;
  for (size_t i = 0; i < results.columns.size(); ++i) {
    const std::string& heading = results.columns[i].heading;
    if (heading == "last" || heading == "time in all") continue;
    kept.push_back(i);
    table.columns.push_back(results.columns[i]);
  }
  const bool has_tests = !TestsTable(report, Quantity::kBest).rows.empty();
  if (has_tests) {
    table.columns.push_back({"difference", true});
    table.columns.push_back({"p (Holm)", true});
  }
  for (int i = 0; i < report.arms_size(); ++i) {
    PageTable::Row row;
    for (const size_t column : kept) {
      row.cells.push_back(results.rows[i].cells[column]);
    }
    if (has_tests) {
      const v1::ArmComparison* comparison =
          ComparisonIn(report.arms(i), Quantity::kBest);
      row.cells.push_back(
          comparison == nullptr
              ? ""
              : PointsDigits(comparison->difference(), decimals));
      row.cells.push_back(comparison == nullptr || !comparison->has_paired_t()
                              ? ""
                              : PDigits(comparison->paired_t().holm_p()));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string ComparisonMarkdown(const v1::ComparisonReport& report) {
  std::string text = absl::StrCat(
      "# ", EscapeMarkdown(ComparisonTitle(report.comparison())), "\n");
  if (!report.summary().empty()) {
    absl::StrAppend(&text, "\n", EscapeMarkdown(report.summary()), "\n");
  }
  if (!report.warnings().empty()) {
    text += "\nBefore you believe the numbers:\n\n";
    for (const std::string& warning : report.warnings()) {
      absl::StrAppend(&text, "- ", EscapeMarkdown(warning), "\n");
    }
  }
  if (report.arms().empty()) return text;
  const PageTable results = ResultsTable(report);
  absl::StrAppend(&text, "\n## Results\n\n", MarkdownTable(results), "\n",
                  EscapeMarkdown(results.caption), "\n");
  const v1::ArmReport* baseline = BaselineOf(report);
  const std::string against = absl::StrCat(
      " against ",
      baseline == nullptr ? "the baseline" : EscapeMarkdown(baseline->label()));
  for (const auto& [quantity, heading] :
       {std::pair(Quantity::kBest, "Best accuracy"),
        std::pair(Quantity::kLast, "Last accuracy"),
        std::pair(Quantity::kTime, "Time to accuracy")}) {
    const PageTable tests = TestsTable(report, quantity);
    if (tests.rows.empty()) continue;
    absl::StrAppend(&text, "\n## ", heading, against, "\n\n",
                    MarkdownTable(tests), "\n",
                    quantity == Quantity::kTime
                        ? "Differences in epochs; below 0 the arm is faster.\n"
                        : "Differences in percentage points; above 0 the arm "
                          "is better.\n");
  }
  if (!report.method().empty()) {
    absl::StrAppend(&text, "\n## Method\n\n", EscapeMarkdown(report.method()),
                    "\n");
  }
  return text;
}

std::string ComparisonRunsCsv(const v1::ComparisonReport& report) {
  std::string csv =
      "arm,is_baseline,start_epoch,seed,run,best_accuracy,best_epoch,"
      "last_accuracy,time_to_accuracy,epochs,seconds,manifest_digest,device,"
      "excluded_because\n";
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      const std::vector<std::string> cells = {
          CsvCell(arm.label()),
          arm.is_baseline() ? "true" : "false",
          absl::StrCat(arm.start_epoch()),
          absl::StrCat(run.seed()),
          CsvCell(run.run()),
          run.has_best() ? ExactText(run.best()) : "",
          run.has_best() ? absl::StrCat(run.best_epoch()) : "",
          run.has_last() ? ExactText(run.last()) : "",
          run.has_time_to_accuracy() ? absl::StrCat(run.time_to_accuracy())
                                     : "",
          absl::StrCat(run.accuracy_size()),
          ExactText(run.seconds()),
          CsvCell(run.manifest_digest()),
          CsvCell(run.device()),
          CsvCell(run.excluded_because())};
      absl::StrAppend(&csv, absl::StrJoin(cells, ","), "\n");
    }
  }
  return csv;
}

std::string ComparisonEpochsCsv(const v1::ComparisonReport& report) {
  int epochs = 0;
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      epochs = std::max(epochs, run.accuracy_size());
    }
  }
  std::string csv = "arm,seed,run";
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    absl::StrAppend(&csv, ",epoch_", epoch);
  }
  csv += "\n";
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      absl::StrAppend(&csv, CsvCell(arm.label()), ",", run.seed(), ",",
                      CsvCell(run.run()));
      for (int i = 0; i < epochs; ++i) {
        csv += ",";
        if (i < run.accuracy_size()) csv += ExactText(run.accuracy(i));
      }
      csv += "\n";
    }
  }
  return csv;
}

std::vector<std::string> ComparisonLines(const v1::ComparisonReport& report) {
  std::vector<std::string> lines;
  if (!report.summary().empty()) lines.push_back(report.summary());
  for (const std::string& warning : report.warnings()) {
    lines.push_back(absl::StrCat("warning: ", warning));
  }
  if (report.arms().empty()) return lines;
  if (!lines.empty()) lines.emplace_back();
  const PageTable table = NarrowTable(report);
  for (std::string& line : Aligned(table)) lines.push_back(std::move(line));
  lines.emplace_back();
  lines.push_back(absl::StrCat(
      "Best ", ComparedMetricText(report.comparison().metric()),
      " in percent, mean ± standard deviation over runs",
      HasTarget(report) ? absl::StrCat("; time in epochs to ",
                                       TargetText(report.comparison()))
                        : "",
      "."));
  if (table.columns.back().heading == "p (Holm)") {
    lines.push_back(
        "Difference to the baseline in percentage points; p of the paired t "
        "test after Holm's correction.");
  }
  return lines;
}

}  // namespace headstart::client
