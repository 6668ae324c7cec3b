#include "client/report/comparison_tables.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/report/number_text.h"

namespace headstart::client {
namespace {

constexpr size_t kDigestDigits = 12;  // Enough to tell runs apart.

std::string Missing() { return std::string(kMissingText); }

// "8", "7 of 8".
std::string RunsText(const v1::ArmReport& arm) {
  const size_t counting = CountingRuns(arm).size();
  const auto all = static_cast<size_t>(arm.runs_size());
  return counting == all ? absl::StrCat(all)
                         : absl::StrCat(counting, " of ", all);
}

// "14.4 ± 2.3", "23.0 ± 1.2 (1 run never)".
std::string TimeCell(const v1::ArmReport& arm) {
  const std::string time = EpochsSpread(arm.time_to_accuracy());
  if (arm.not_reached_count() == 0) return time;
  return absl::StrCat(
      arm.time_to_accuracy().count() == 0
          ? "never"
          : absl::StrCat(time, " (", arm.not_reached_count(), " never)"));
}

std::string TotalTimeCell(const v1::ArmReport& arm) {
  if (arm.time_to_accuracy().count() == 0) return Missing();
  return FixedText(
      arm.time_to_accuracy().mean() + static_cast<double>(arm.start_epoch()),
      1);
}

// The digest without its kind, shortened.
std::string DigestCell(absl::string_view digest) {
  if (digest.empty()) return Missing();
  digest = digest.substr(digest.find(':') + 1);
  return digest.size() <= kDigestDigits
             ? std::string(digest)
             : absl::StrCat(digest.substr(0, kDigestDigits), "…");
}

// Decimals of single runs in percent: as many as write each of them exactly,
// from 2 to 4. Where 4 do not (55,000 examples), as many as for means.
int RunDecimals(const v1::ComparisonReport& report) {
  const auto is_exact = [&](double factor) {
    for (const v1::ArmReport& arm : report.arms()) {
      for (const v1::ComparedRun& run : arm.runs()) {
        for (const double share : {run.best(), run.last()}) {
          const double scaled = share * 100 * factor;
          if (std::abs(scaled - std::round(scaled)) > 1e-6 * factor) {
            return false;
          }
        }
      }
    }
    return true;
  };
  if (is_exact(1e2)) return 2;
  if (is_exact(1e3)) return 3;
  return is_exact(1e4) ? 4 : std::max(2, AccuracyDecimals(report));
}

bool Any(const v1::ComparisonReport& report,
         bool (*has)(const v1::ComparedRun&)) {
  return std::any_of(report.arms().begin(), report.arms().end(),
                     [&](const v1::ArmReport& arm) {
                       return std::any_of(arm.runs().begin(), arm.runs().end(),
                                          has);
                     });
}

}  // namespace

std::string ComparisonTitle(const v1::Comparison& comparison) {
  if (!comparison.display_name().empty()) return comparison.display_name();
  return comparison.name().empty() ? "Comparison" : comparison.name();
}

std::string ComparedMetricText(v1::Comparison::Metric metric) {
  switch (metric) {
    case v1::Comparison::VALIDATION_ACCURACY:
      return "validation accuracy";
    case v1::Comparison::TEST_ACCURACY:
      return "test accuracy";
    default:
      return "accuracy";
  }
}

const v1::ArmReport* BaselineOf(const v1::ComparisonReport& report) {
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.is_baseline()) return &arm;
  }
  return nullptr;
}

std::vector<const v1::ComparedRun*> CountingRuns(const v1::ArmReport& arm) {
  std::vector<const v1::ComparedRun*> runs;
  for (const v1::ComparedRun& run : arm.runs()) {
    if (run.excluded_because().empty()) runs.push_back(&run);
  }
  return runs;
}

bool HasTarget(const v1::ComparisonReport& report) {
  return report.comparison().has_target_accuracy();
}

std::string TargetText(const v1::Comparison& comparison) {
  return absl::StrCat(comparison.target_accuracy() * 100, " %");
}

bool HasEarlierEpochs(const v1::ComparisonReport& report) {
  return std::any_of(
      report.arms().begin(), report.arms().end(),
      [](const v1::ArmReport& arm) { return arm.start_epoch() > 0; });
}

PageTable ResultsTable(const v1::ComparisonReport& report) {
  const std::string metric = ComparedMetricText(report.comparison().metric());
  PageTable table;
  table.caption = absl::StrCat("Mean ± standard deviation over runs; ", metric,
                               " in percent");
  table.columns = {
      {"arm"},
      {"runs", true, "Runs that count, one per seed."},
      {"best", true,
       absl::StrCat("Highest ", metric, " of each run, after any epoch.")},
      {"last", true, absl::StrCat("The ", metric, " after the last epoch.")}};
  const bool has_target = HasTarget(report);
  const bool has_earlier = HasEarlierEpochs(report);
  if (has_target) {
    const std::string target = TargetText(report.comparison());
    absl::StrAppend(&table.caption, ", times in epochs until ", target);
    table.columns.push_back({"time", true,
                             absl::StrCat("First epoch with at least ", target,
                                          ", over the runs that reached it.")});
    if (has_earlier) {
      table.columns.push_back(
          {"time in all", true,
           "Mean time, with the epochs that the weights had been trained for "
           "before."});
    }
    table.columns.push_back(
        {"speed-up", true, "Mean time of the baseline over that of the arm."});
  }
  table.caption += ".";
  const int decimals = AccuracyDecimals(report);
  for (const v1::ArmReport& arm : report.arms()) {
    PageTable::Row row = {
        {absl::StrCat(arm.label(), arm.is_baseline() ? " (baseline)" : ""),
         RunsText(arm), PercentSpread(arm.best(), decimals),
         PercentSpread(arm.last(), decimals)},
        arm.is_baseline()};
    if (has_target) {
      row.cells.push_back(TimeCell(arm));
      if (has_earlier) row.cells.push_back(TotalTimeCell(arm));
      row.cells.push_back(arm.has_speed_up() ? FixedText(arm.speed_up(), 2)
                                             : Missing());
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

const v1::ArmComparison* ComparisonIn(const v1::ArmReport& arm,
                                      Quantity quantity) {
  switch (quantity) {
    case Quantity::kBest:
      return arm.has_best_comparison() ? &arm.best_comparison() : nullptr;
    case Quantity::kLast:
      return arm.has_last_comparison() ? &arm.last_comparison() : nullptr;
    case Quantity::kTime:
      return arm.has_time_comparison() ? &arm.time_comparison() : nullptr;
  }
  return nullptr;
}

PageTable TestsTable(const v1::ComparisonReport& report, Quantity quantity) {
  const bool is_time = quantity == Quantity::kTime;
  const int decimals = AccuracyDecimals(report);
  const auto number = [&](double value) {
    if (!is_time) return PointsDigits(value, decimals);
    const std::string digits = FixedText(value, 1);
    return absl::StrCat(value >= 0 && digits != "0.0" ? "+" : "", digits);
  };
  PageTable table;
  table.columns = {
      {"arm"},
      {"difference", true,
       is_time ? "Mean of the arm less that of the baseline, in epochs. Below "
                 "0 the arm is faster."
               : "Mean of the arm less that of the baseline, in percentage "
                 "points. Above 0 the arm is better."},
      {"95 % interval", true, "Where the true difference plausibly is."},
      {"pairs", true, "Seeds that both arms have a run of."}};
  for (const char* test : {"paired t", "Welch’s t", "Mann–Whitney"}) {
    table.columns.push_back({"p", true, "Two-sided.", test});
    table.columns.push_back(
        {"Holm", true, "p after the correction for many arms.", test});
  }
  table.columns.push_back({"A", true,
                           "How often a run of the arm is above one of the "
                           "baseline; 0.5: no difference."});
  for (const v1::ArmReport& arm : report.arms()) {
    const v1::ArmComparison* comparison = ComparisonIn(arm, quantity);
    if (comparison == nullptr) continue;
    PageTable::Row row = {{arm.label(), number(comparison->difference()),
                           absl::StrCat(number(comparison->low()), " to ",
                                        number(comparison->high())),
                           absl::StrCat(comparison->pair_count())}};
    for (const auto& [is_there, test] :
         {std::pair(comparison->has_paired_t(), &comparison->paired_t()),
          std::pair(comparison->has_welch(), &comparison->welch()),
          std::pair(comparison->has_mann_whitney(),
                    &comparison->mann_whitney())}) {
      row.cells.push_back(is_there ? PDigits(test->p()) : Missing());
      row.cells.push_back(is_there ? PDigits(test->holm_p()) : Missing());
    }
    row.cells.push_back(FixedText(comparison->effect_size(), 2));
    table.rows.push_back(std::move(row));
  }
  return table;
}

PageTable RunsTable(const v1::ComparisonReport& report) {
  const bool has_excluded = Any(report, [](const v1::ComparedRun& run) {
    return !run.excluded_because().empty();
  });
  const bool has_digests = Any(report, [](const v1::ComparedRun& run) {
    return !run.manifest_digest().empty();
  });
  const bool has_seconds =
      Any(report, [](const v1::ComparedRun& run) { return run.seconds() > 0; });
  const int decimals = RunDecimals(report);

  PageTable table;
  table.columns = {{"run"},
                   {"arm"},
                   {"seed", true},
                   {"best", true, "In percent."},
                   {"at epoch", true, "The first with the best accuracy."},
                   {"last", true, "In percent."}};
  if (HasTarget(report)) {
    table.columns.push_back({"time", true, "First epoch at the target."});
  }
  if (has_seconds) table.columns.push_back({"took", true});
  if (has_digests) {
    table.columns.push_back(
        {"checkpoint", false, "Digest of the last checkpoint’s manifest."});
  }
  if (has_excluded) table.columns.push_back({"left out because"});
  table.rows_max = 500;
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      PageTable::Row row = {
          {run.run(), arm.label(), absl::StrCat(run.seed()),
           run.has_best() ? PercentDigits(run.best(), decimals) : Missing(),
           run.has_best() ? absl::StrCat(run.best_epoch()) : Missing(),
           run.has_last() ? PercentDigits(run.last(), decimals) : Missing()}};
      if (HasTarget(report)) {
        row.cells.push_back(run.has_time_to_accuracy()
                                ? absl::StrCat(run.time_to_accuracy())
                            : run.has_best() ? "never"
                                             : Missing());
      }
      if (has_seconds) row.cells.push_back(SecondsText(run.seconds()));
      if (has_digests) row.cells.push_back(DigestCell(run.manifest_digest()));
      if (has_excluded) row.cells.push_back(run.excluded_because());
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace headstart::client
