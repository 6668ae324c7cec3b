#include "scheduler/report/report_warnings.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "scheduler/report/report_fields.h"
#include "scheduler/report/report_words.h"

namespace headstart::scheduler {
namespace {

// Of one arm's runs that are named one by one.
constexpr int64_t kNamedMax = 10;

std::vector<std::string> RunWarnings(const v1::ArmReport& arm) {
  std::vector<std::string> warnings;
  int64_t unnamed = 0;
  for (const v1::ComparedRun& run : arm.runs()) {
    if (run.excluded_because().empty() || IsUnfinished(run)) continue;
    if (static_cast<int64_t>(warnings.size()) == kNamedMax) {
      ++unnamed;
      continue;
    }
    warnings.push_back(absl::StrCat(
        Quoted(arm.label()), ": ", run.run(), " (seed ", run.seed(),
        ") does not count: ", run.excluded_because(), "."));
  }
  if (unnamed > 0) {
    warnings.push_back(absl::StrCat(Quoted(arm.label()), ": ", unnamed,
                                    " more runs do not count."));
  }
  return warnings;
}

std::string NotReachedWarning(const v1::ComparisonReport& report,
                              const v1::ArmReport& arm) {
  const int64_t reached = arm.time_to_accuracy().count();
  if (reached == 0) {
    return absl::StrCat(Quoted(arm.label()), ": no run reached ",
                        TargetText(report.comparison()),
                        ", so there is no time to accuracy.");
  }
  return absl::StrCat(
      Quoted(arm.label()), ": ", arm.not_reached_count(), " of ",
      Count(reached + arm.not_reached_count(), "run"), " never reached ",
      TargetText(report.comparison()),
      ". Its mean time is over those that did and flatters it.");
}

// Labels of arms with several runs that all have one value.
std::vector<std::string> Constant(const v1::ComparisonReport& report,
                                  Quantity quantity) {
  std::vector<std::string> labels;
  for (const v1::ArmReport& arm : report.arms()) {
    const v1::Spread& spread = SpreadOf(arm, quantity);
    if (spread.count() > 1 && spread.standard_deviation() == 0) {
      labels.push_back(Quoted(arm.label()));
    }
  }
  return labels;
}

// Values with the labels of arms that have them, if there are several.
std::string Unlike(const std::map<std::string, std::vector<std::string>>& by) {
  if (by.size() < 2) return "";
  return absl::StrJoin(by, "; ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first, " (", absl::StrJoin(entry.second, ", "),
                    ")");
  });
}

// The smallest p that Mann-Whitney's test can have, 2 / (n + m choose n), once
// Holm has multiplied it.
double SmallestP(int64_t n, int64_t m, int64_t arm_count) {
  double p = 2.0 * static_cast<double>(arm_count);
  for (int64_t i = 1; i <= n; ++i) {
    p *= static_cast<double>(i) / static_cast<double>(m + i);
  }
  return std::min(1.0, p);
}

void WarnOfState(const v1::ComparisonReport& report,
                 std::vector<std::string>& warnings) {
  int64_t unfinished = 0, runs = 0;
  for (const v1::ArmReport& arm : report.arms()) {
    runs += arm.runs_size();
    unfinished +=
        std::count_if(arm.runs().begin(), arm.runs().end(), IsUnfinished);
  }
  const v1::Comparison& comparison = report.comparison();
  if (unfinished > 0) {
    warnings.push_back(absl::StrCat(
        "Still running: ", unfinished, " of ", Count(runs, "run"),
        " are not finished and do not count yet. Numbers will change, and "
        "looking until one is significant is no test."));
  } else if (comparison.state() == v1::Comparison::FAILED) {
    warnings.push_back(
        absl::StrCat("The comparison FAILED: ", comparison.state_message()));
  } else if (comparison.state() == v1::Comparison::CANCELLED) {
    warnings.push_back(
        "The comparison was cancelled: arms may have fewer runs than seeds.");
  }
}

void WarnOfCounts(const v1::ComparisonReport& report,
                  std::vector<std::string>& warnings) {
  if (report.comparison().seeds_size() == 1) {
    warnings.push_back(
        "One seed: every number is a single run, and there are no tests. "
        "Another seed may give another order.");
  } else {
    for (const v1::ArmReport& arm : report.arms()) {
      if (arm.best().count() == 1) {
        warnings.push_back(absl::StrCat(Quoted(arm.label()),
                                        " has one run that counts: no tests."));
      }
    }
  }
  const v1::ArmReport* baseline = BaselineOf(report);
  const int64_t compared = ComparedCount(report, Quantity::kBest);
  if (baseline == nullptr || compared == 0) return;
  double smallest = 1;
  int64_t most = 0;
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.is_baseline() || !arm.has_best_comparison()) continue;
    smallest = std::min(
        smallest,
        SmallestP(arm.best().count(), baseline->best().count(), compared));
    most = std::max(most, arm.best().count());
  }
  if (smallest > kSignificanceLevel) {
    warnings.push_back(absl::StrCat(
        "Few runs: with ", most, " against ", baseline->best().count(),
        " Mann-Whitney's p cannot be below ", absl::StrFormat("%.2g", smallest),
        " after Holm's correction for ", Count(compared, "arm"),
        ", whatever runs without ties show. More seeds would help."));
  }
}

}  // namespace

std::vector<std::string> WarningsOf(const v1::ComparisonReport& report) {
  std::vector<std::string> warnings;
  WarnOfState(report, warnings);
  for (const v1::ArmReport& arm : report.arms()) {
    for (std::string& warning : RunWarnings(arm)) {
      warnings.push_back(std::move(warning));
    }
  }
  WarnOfCounts(report, warnings);

  std::map<std::string, std::vector<std::string>> by_epochs, by_device;
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.runs_size() == 0) continue;
    by_epochs[Count(LongestRun(arm), "epoch")].push_back(Quoted(arm.label()));
    for (const v1::ComparedRun& run : arm.runs()) {
      if (!run.excluded_because().empty() || run.device().empty()) continue;
      std::vector<std::string>& labels = by_device[run.device()];
      if (labels.empty() || labels.back() != Quoted(arm.label())) {
        labels.push_back(Quoted(arm.label()));
      }
    }
  }
  if (const std::string unlike = Unlike(by_epochs); !unlike.empty()) {
    warnings.push_back(absl::StrCat(
        "Arms were trained for unlike numbers of epochs: ", unlike,
        ". Longer ones have more chances of a high best accuracy."));
  }
  for (const v1::ArmReport& arm : report.arms()) {
    if (arm.not_reached_count() > 0) {
      warnings.push_back(NotReachedWarning(report, arm));
    }
  }
  for (const Quantity quantity : kQuantities) {
    const std::vector<std::string> constant = Constant(report, quantity);
    if (constant.empty()) continue;
    warnings.push_back(absl::StrCat(
        "All runs have the same ",
        quantity == Quantity::kTime ? "time to accuracy"
        : quantity == Quantity::kBest
            ? absl::StrCat("best ", MetricText(report.comparison().metric()))
            : absl::StrCat("last ", MetricText(report.comparison().metric())),
        " in ", absl::StrJoin(constant, ", "),
        ": t tests, which measure differences by the spread of runs, say "
        "little there."));
  }
  if (const std::string unlike = Unlike(by_device); !unlike.empty()) {
    warnings.push_back(
        absl::StrCat("Runs were trained by unlike devices: ", unlike,
                     ". Equal seeds then give unlike numbers."));
  }
  return warnings;
}

}  // namespace headstart::scheduler
