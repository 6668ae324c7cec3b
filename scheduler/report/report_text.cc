#include "scheduler/report/report_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "scheduler/report/report_fields.h"
#include "scheduler/report/report_words.h"
#include "scheduler/report/statistics.h"

namespace headstart::scheduler {
namespace {

// 0.94391 -> 94.39 %
std::string Percent(double share) {
  return absl::StrFormat("%.2f %%", 100 * share);
}

std::string Points(double difference) {
  return absl::StrFormat("%.2f points", std::abs(100 * difference));
}

std::string PText(double p) {
  if (p < 1e-4) return "< 0.0001";
  return absl::StrFormat("= %.2g", p);
}

absl::string_view TestText(TestKind kind) {
  if (kind == TestKind::kPairedT) return "paired t";
  if (kind == TestKind::kWelch) return "Welch's t";
  return "Mann-Whitney";
}

// The result that the summary quotes; null where there is none.
const v1::TestResult* QuotedResult(const v1::ComparisonReport& report,
                                   const v1::ArmReport& arm,
                                   Quantity quantity) {
  const v1::ArmComparison* comparison = ComparisonOf(arm, quantity);
  return comparison == nullptr
             ? nullptr
             : ResultOf(*comparison, QuotedTest(report, quantity));
}

bool IsSignificant(const v1::TestResult& result) {
  return result.holm_p() <= kSignificanceLevel;
}

// "paired t p = 0.0097, after Holm's correction for 7 arms 0.068: not
// significant"
std::string Judgement(const v1::ComparisonReport& report,
                      const v1::ArmReport& arm, Quantity quantity) {
  const v1::TestResult* result = QuotedResult(report, arm, quantity);
  if (result == nullptr) return "too few runs for a test";
  const int64_t count = ComparedCount(report, quantity);
  std::string text = absl::StrCat(TestText(QuotedTest(report, quantity)), " p ",
                                  PText(result->p()));
  if (count > 1) {
    absl::StrAppend(&text, ", after Holm's correction for ", count, " arms ",
                    result->holm_p() < 1e-4
                        ? "< 0.0001"
                        : absl::StrFormat("%.2g", result->holm_p()));
  }
  return absl::StrCat(
      text, IsSignificant(*result) ? ": significant" : ": not significant");
}

// The arms with something to show, best first.
std::vector<const v1::ArmReport*> Ranked(const v1::ComparisonReport& report,
                                         Quantity quantity) {
  std::vector<const v1::ArmReport*> arms;
  for (const v1::ArmReport& arm : report.arms()) {
    if (SpreadOf(arm, quantity).count() > 0) arms.push_back(&arm);
  }
  std::stable_sort(
      arms.begin(), arms.end(),
      [&](const v1::ArmReport* a, const v1::ArmReport* b) {
        const double first = SpreadOf(*a, quantity).mean();
        const double second = SpreadOf(*b, quantity).mean();
        if (quantity != Quantity::kTime) return first > second;
        // A mean over some runs only flatters.
        if ((a->not_reached_count() > 0) != (b->not_reached_count() > 0)) {
          return b->not_reached_count() > 0;
        }
        return first < second;
      });
  return arms;
}

// What was done, and how far it is.
std::string Opening(const v1::ComparisonReport& report) {
  if (report.arms().empty()) {
    return absl::StrCat("Nothing was trained: ",
                        report.comparison().state_message());
  }
  int64_t runs = 0, over = 0, counted = 0;
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      ++runs;
      over += !IsUnfinished(run);
      counted += run.excluded_because().empty();
    }
  }
  std::string text = absl::StrCat(
      report.arms_size(), " ways to start were trained with ",
      report.comparison().seeds_size() == 1
          ? "one seed"
          : absl::StrCat("the same ", report.comparison().seeds_size(),
                         " seeds each"),
      " and compared by ", MetricText(report.comparison().metric()), ".");
  if (over < runs) {
    absl::StrAppend(&text, " So far ", over, " of ", runs, " runs are over.");
  }
  if (counted == 0) absl::StrAppend(&text, " No run counts yet.");
  return text;
}

std::string BestSentence(const v1::ComparisonReport& report) {
  const std::vector<const v1::ArmReport*> ranked =
      Ranked(report, Quantity::kBest);
  if (ranked.empty()) return "";
  const v1::ArmReport& best = *ranked.front();
  std::string text = absl::StrCat(
      Quoted(best.label()), " reaches the highest ",
      MetricText(report.comparison().metric()), ", ",
      Percent(best.best().mean()),
      best.best().count() > 1 ? absl::StrCat(" (mean of ", best.best().count(),
                                             " runs at their best epochs)")
                              : " at its best epoch");
  const v1::ArmReport* baseline = BaselineOf(report);
  if (best.is_baseline()) {
    absl::StrAppend(&text, "; the others are compared with it.");
    if (ranked.size() < 2) return text;
    const v1::ArmReport& next = *ranked[1];
    return absl::StrCat(text, " ", Quoted(next.label()), " comes next with ",
                        Percent(next.best().mean()), ", ",
                        Points(next.best().mean() - best.best().mean()),
                        " less (", Judgement(report, next, Quantity::kBest),
                        ").");
  }
  if (baseline == nullptr || baseline->best().count() == 0) {
    return absl::StrCat(text, ".");
  }
  absl::StrAppend(&text, ", ",
                  Points(best.best().mean() - baseline->best().mean()),
                  " more than ", Quoted(baseline->label()), " with ",
                  Percent(baseline->best().mean()), " (");
  if (best.has_best_comparison()) {
    absl::StrAppendFormat(&text, "95 %% interval %.2f to %.2f; ",
                          100 * best.best_comparison().low(),
                          100 * best.best_comparison().high());
  }
  absl::StrAppend(&text, Judgement(report, best, Quantity::kBest), ").");
  if (best.start_epoch() != baseline->start_epoch()) {
    const auto in_all = [](const v1::ArmReport& arm) {
      return arm.start_epoch() + LongestRun(arm);
    };
    absl::StrAppend(&text, " Counting the epochs before, its runs had ",
                    in_all(best), " in all, those of ",
                    Quoted(baseline->label()), " ", in_all(*baseline), ".");
  }
  return text;
}

// "after 14.4 epochs instead of 29.1, 2.03 times sooner (...)"
std::string Times(const v1::ComparisonReport& report,
                  const v1::ArmReport& arm) {
  std::string text =
      absl::StrFormat("after %.1f epochs", arm.time_to_accuracy().mean());
  if (arm.not_reached_count() > 0) {
    absl::StrAppend(&text, " (", arm.time_to_accuracy().count(), " of ",
                    arm.time_to_accuracy().count() + arm.not_reached_count(),
                    " runs did)");
  }
  const v1::ArmReport* baseline = BaselineOf(report);
  if (baseline == nullptr || arm.is_baseline()) return text;
  if (baseline->time_to_accuracy().count() == 0) {
    if (baseline->not_reached_count() > 0) {
      absl::StrAppend(&text, "; no run of ", Quoted(baseline->label()),
                      " did (", Judgement(report, arm, Quantity::kTime), ")");
    }
    return text;
  }
  absl::StrAppendFormat(&text, " instead of %.1f, ",
                        baseline->time_to_accuracy().mean());
  const double speed_up = arm.speed_up();
  if (speed_up >= 1) {
    absl::StrAppendFormat(&text, "%.2f times sooner", speed_up);
  } else {
    absl::StrAppendFormat(&text, "%.2f times later", 1 / speed_up);
  }
  return absl::StrCat(text, " (", Judgement(report, arm, Quantity::kTime), ")");
}

std::string TimeSentences(const v1::ComparisonReport& report) {
  if (!report.comparison().has_target_accuracy()) return "";
  const std::vector<const v1::ArmReport*> ranked =
      Ranked(report, Quantity::kTime);
  const std::vector<const v1::ArmReport*> best =
      Ranked(report, Quantity::kBest);
  if (best.empty()) return "";
  if (ranked.empty()) {
    return absl::StrCat("No run reached ", TargetText(report.comparison()),
                        ".");
  }
  const v1::ArmReport& fastest = *ranked.front();
  std::string text = absl::StrCat(
      Quoted(fastest.label()), " reaches ", TargetText(report.comparison()),
      " soonest, on average ", Times(report, fastest), ".");
  if (fastest.start_epoch() > 0) {
    const auto in_all = [](const v1::ArmReport& arm) {
      return arm.time_to_accuracy().mean() +
             static_cast<double>(arm.start_epoch());
    };
    absl::StrAppendFormat(
        &text,
        " Its weights had been trained for %s before; counting them it takes "
        "%.1f",
        Count(fastest.start_epoch(), "epoch"), in_all(fastest));
    const v1::ArmReport* baseline = BaselineOf(report);
    if (baseline != nullptr && baseline != &fastest &&
        baseline->time_to_accuracy().count() > 0) {
      absl::StrAppendFormat(&text, ", %s %.1f", Quoted(baseline->label()),
                            in_all(*baseline));
    }
    text += ".";
  }
  if (best.front() != &fastest && !best.front()->is_baseline() &&
      best.front()->time_to_accuracy().count() > 0) {
    absl::StrAppend(&text, " ", Quoted(best.front()->label()), " reaches ",
                    TargetText(report.comparison()), " ",
                    Times(report, *best.front()), ".");
  }
  return text;
}

// "final" (sooner), ...: the arms whose difference is significant, or "none".
std::string SignificantArms(const v1::ComparisonReport& report,
                            Quantity quantity) {
  std::vector<std::string> arms;
  for (const v1::ArmReport& arm : report.arms()) {
    const v1::TestResult* result = QuotedResult(report, arm, quantity);
    if (result == nullptr || !IsSignificant(*result)) continue;
    const v1::ArmComparison& comparison = *ComparisonOf(arm, quantity);
    const bool above = std::isnan(comparison.difference())
                           ? comparison.effect_size() > 0.5
                           : comparison.difference() > 0;
    arms.push_back(absl::StrCat(Quoted(arm.label()), " (",
                                quantity == Quantity::kTime
                                    ? (above ? "later" : "sooner")
                                    : (above ? "higher" : "lower"),
                                ")"));
  }
  return arms.empty() ? "none" : absl::StrJoin(arms, ", ");
}

// What is more than chance, in all.
std::string Conclusion(const v1::ComparisonReport& report) {
  const v1::ArmReport* baseline = BaselineOf(report);
  if (baseline == nullptr) return "";
  const int64_t best_count = ComparedCount(report, Quantity::kBest);
  const int64_t time_count = ComparedCount(report, Quantity::kTime);
  if (best_count + time_count == 0) {
    if (report.comparison().seeds_size() == 1) {
      return "With one seed there is no test: any of these differences may be "
             "chance.";
    }
    return "There are too few runs for a test: any difference may be chance.";
  }
  const absl::string_view metric = MetricText(report.comparison().metric());
  std::vector<std::pair<std::string, std::string>> found = {
      {absl::StrCat("best ", metric), SignificantArms(report, Quantity::kBest)},
      {absl::StrCat("last ", metric),
       SignificantArms(report, Quantity::kLast)}};
  if (time_count > 0) {
    found.push_back({"time", SignificantArms(report, Quantity::kTime)});
  }
  const bool nothing =
      std::all_of(found.begin(), found.end(),
                  [](const auto& in) { return in.second == "none"; });
  if (nothing) {
    return absl::StrCat(
        "No arm differs significantly from ", Quoted(baseline->label()),
        " in best or last ", metric, time_count > 0 ? " or in time" : "",
        " (level 0.05 after Holm's correction). That does not prove that they "
        "are equal; more seeds would tell smaller differences.");
  }
  return absl::StrCat(
      "These arms differ significantly from ", Quoted(baseline->label()),
      " (level 0.05 after Holm's correction): ",
      absl::StrJoin(found, "; ",
                    [](std::string* out, const auto& in) {
                      absl::StrAppend(out, "in ", in.first, " ", in.second);
                    }),
      ".");
}

}  // namespace

std::string SummaryOf(const v1::ComparisonReport& report) {
  std::vector<std::string> sentences = {Opening(report), BestSentence(report),
                                        TimeSentences(report)};
  if (!sentences[1].empty()) sentences.push_back(Conclusion(report));
  sentences.erase(std::remove(sentences.begin(), sentences.end(), ""),
                  sentences.end());
  return absl::StrJoin(sentences, " ");
}

std::string MethodOf(const v1::ComparisonReport& report) {
  const v1::ArmReport* baseline = BaselineOf(report);
  const bool with_times = report.comparison().has_target_accuracy();
  std::string text = absl::StrCat(
      "Only runs that came to their end count. Best is a run's highest ",
      MetricText(report.comparison().metric()),
      " over its epochs, last that after its last epoch.");
  if (report.comparison().metric() == v1::Comparison::TEST_ACCURACY) {
    absl::StrAppend(&text,
                    " Best is chosen on the test set that it is measured on "
                    "and so is optimistic; last is not.");
  }
  if (with_times) {
    absl::StrAppend(
        &text, " Time to accuracy is the first epoch, counted from 1, with ",
        TargetText(report.comparison()),
        " or more; runs that never got there are in no mean. Epochs that "
        "weights had been trained for before are not in it.");
  }
  absl::StrAppend(
      &text,
      " Deviations are those of samples (n - 1). Intervals are 95 % percentile "
      "intervals of ",
      Bootstrap::kResamples,
      " bootstrap resamples, drawn from a fixed seed; for a difference runs "
      "with one seed are drawn together where every run has its partner, else "
      "each arm by itself.");
  if (baseline != nullptr) {
    absl::StrAppend(
        &text, " Each arm is tested against ", Quoted(baseline->label()),
        ", two-sided: paired t over runs with one seed (Student); Welch's t, "
        "which needs neither pairs nor equal variances; Mann-Whitney's U, "
        "which compares ranks, with exact p up to ",
        kExactValuesMax, " runs of both.");
    if (with_times) {
      absl::StrAppend(
          &text,
          " In times, t tests leave out runs that never reached the target; "
          "Mann-Whitney and the effect size rank them behind all others, "
          "tied.");
    }
    absl::StrAppend(
        &text,
        " Holm's correction keeps the chance of any false alarm over all arms "
        "below the level; it is made for each test and quantity by itself. The "
        "effect size is Vargha and Delaney's A: how often a run of the arm is "
        "above one of the other, ties half. The summary quotes paired t; "
        "Welch's t where some arm lacks pairs or their differences do not "
        "vary; Mann-Whitney where that says nothing either",
        with_times ? ", and for times that some run never reached" : "", ".");
  }
  return text;
}

}  // namespace headstart::scheduler
