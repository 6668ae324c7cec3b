#include "client/report/comparison_page.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "client/report/comparison_figures.h"
#include "client/report/comparison_tables.h"
#include "client/report/comparison_text.h"
#include "client/report/message_text.h"
#include "client/report/number_text.h"
#include "client/report/page.h"

namespace headstart::client {
namespace {

// Names of files are the same for every page: a folder says which it is.
constexpr char kComparisonFile[] = "comparison.yaml";

std::string BaselineLabel(const v1::ComparisonReport& report) {
  const v1::ArmReport* baseline = BaselineOf(report);
  return baseline == nullptr ? "the baseline" : baseline->label();
}

// "Test accuracy from 8 starts, 8 seeds each. comparisons/3, ended ...".
std::string Subtitle(const v1::ComparisonReport& report) {
  const v1::Comparison& comparison = report.comparison();
  std::string text =
      absl::StrCat(Capitalized(ComparedMetricText(comparison.metric())),
                   " from ", CountText(report.arms_size(), "start"), ", ",
                   CountText(comparison.seeds_size(), "seed"),
                   comparison.seeds_size() == 1 ? "" : " each", ".");
  if (!comparison.name().empty()) {
    absl::StrAppend(&text, " ", comparison.name());
    const std::string created = MinuteText(comparison.create_time());
    const std::string ended = MinuteText(comparison.end_time());
    if (!created.empty()) absl::StrAppend(&text, ", started ", created);
    if (!ended.empty()) absl::StrAppend(&text, ", ended ", ended);
    text += ".";
  }
  return text;
}

std::string StateText(const v1::Comparison& comparison) {
  std::string text;
  switch (comparison.state()) {
    case v1::Comparison::RUNNING:
      text = "The comparison is still running; numbers will change.";
      break;
    case v1::Comparison::FAILED:
      text = "The comparison failed.";
      break;
    case v1::Comparison::CANCELLED:
      text = "The comparison was ended by a person before it was over.";
      break;
    default:
      return "";
  }
  const std::string& message = comparison.state_message();
  return message.empty() ? text : absl::StrCat(text, " ", message);
}

Html Summary(const v1::ComparisonReport& report) {
  Html html;
  if (const std::string state = StateText(report.comparison());
      !state.empty()) {
    html += Paragraph(state);
  }
  if (!report.summary().empty()) html += Paragraph(report.summary());
  if (report.arms().empty()) {
    html += Paragraph("There is nothing to report yet: no arm has a run.");
  }
  html += WarningList(std::vector<std::string>(report.warnings().begin(),
                                               report.warnings().end()));
  return html;
}

absl::StatusOr<Html> Drawn(const Figure& figure, absl::string_view caption) {
  if (figure.panels.empty()) return Html();
  HS_ASSIGN_OR_RETURN(const std::string svg, DrawSvg(figure));
  return Picture(svg, caption);
}

absl::StatusOr<Html> Curves(const v1::ComparisonReport& report) {
  Figure curves = CurvesFigure(report);
  curves.title = "Accuracy after each epoch";
  const std::vector<Line>& lines = curves.panels[0].lines;
  const bool has_bands =
      std::any_of(lines.begin(), lines.end(),
                  [](const Line& line) { return !line.low.empty(); });
  HS_ASSIGN_OR_RETURN(
      Html html,
      Drawn(
          curves,
          absl::StrCat(
              "Each line is the mean over an arm’s runs",
              has_bands ? "; its band is one standard deviation to either side"
                        : "",
              ". Epochs are counted from the start of this training",
              HasEarlierEpochs(report)
                  ? ", also where weights had been trained before."
                  : ".")));
  Figure quarters = QuartersFigure(report);
  quarters.title = "The same, closer";
  HS_ASSIGN_OR_RETURN(
      const Html closer,
      Drawn(quarters,
            "Ranges differ. What lies below the first quarter’s "
            "range is cut off."));
  html += closer;
  Figure differences = DifferencesFigure(report);
  differences.title =
      absl::StrCat("How far each arm is ahead of ", BaselineLabel(report));
  HS_ASSIGN_OR_RETURN(
      const Html ahead,
      Drawn(differences,
            "Mean difference between runs of equal seed after each epoch, with "
            "a band of one standard deviation to either side; above 0 the arm "
            "is ahead. What lies beyond the range is cut off."));
  html += ahead;
  return html;
}

absl::StatusOr<Html> Best(const v1::ComparisonReport& report) {
  Figure figure = BestFigure(report);
  figure.title = "Best accuracy of each run";
  return Drawn(
      figure,
      "Each dot is a run, from left to right in the order of seeds; so "
      "dots at the same place in two boxes are a pair. Boxes reach "
      "from the first to the third quartile, with the median inside; "
      "whiskers reach to the farthest run within 1.5 times the box’s height "
      "from it.");
}

absl::StatusOr<Html> Time(const v1::ComparisonReport& report) {
  if (!HasTarget(report)) {
    return Paragraph(
        "No target accuracy was set, so there are no times to report.");
  }
  const std::string target = TargetText(report.comparison());
  Figure figure = TimeFigure(report);
  figure.title = absl::StrCat("Epochs until ", target);
  if (figure.panels.empty()) {
    return Paragraph(absl::StrCat("No run reached ", target, "."));
  }
  return Drawn(
      figure,
      absl::StrCat("Mean over the runs that reached ", target,
                   ", with its 95 % interval. The time of a run is its first "
                   "epoch there, even if it falls back; so it can be earlier "
                   "than where the mean curve crosses.",
                   HasEarlierEpochs(report)
                       ? " The second bar adds the epochs that the weights had "
                         "been trained for before: what the head start cost, "
                         "unless that training was needed anyway, such as in "
                         "a search for hyperparameters."
                       : ""));
}

Html Tests(const v1::ComparisonReport& report) {
  Html html;
  const std::string metric = ComparedMetricText(report.comparison().metric());
  for (const auto& [quantity, heading, reading] :
       {std::tuple(Quantity::kBest, absl::StrCat("Best ", metric),
                   "Differences in percentage points; above 0 the arm is "
                   "better."),
        std::tuple(Quantity::kLast, absl::StrCat("Last ", metric),
                   "Differences in percentage points; above 0 the arm is "
                   "better."),
        std::tuple(Quantity::kTime, std::string("Time to accuracy"),
                   "Differences in epochs; below 0 the arm is faster.")}) {
    PageTable table = TestsTable(report, quantity);
    if (table.rows.empty()) continue;
    table.caption = reading;
    html += Subheading(heading);
    html += TableOf(table);
  }
  if (html.markup.empty()) {
    html += Paragraph(
        "No arm can be compared with the baseline: each needs two runs that "
        "count.");
  }
  if (!report.method().empty()) html += Remark(report.method());
  return html;
}

Html Runs(const v1::ComparisonReport& report) {
  Html html = TableOf(RunsTable(report));
  html += SaveLink("Save the table of runs (CSV)",
                   {"runs.csv", "text/csv", ComparisonRunsCsv(report)});
  html += SaveLink("Save the accuracy after every epoch (CSV)",
                   {"epochs.csv", "text/csv", ComparisonEpochsCsv(report)});
  return html;
}

// ------------------------------------------------------ what was compared

// "checkpoint studies/1/trials/12/epochs/5", "nio iterations 100".
std::string StartText(const v1::ArmReport& arm) {
  const v1::Initializer& initializer = arm.training_spec().initializer();
  if (initializer.has_checkpoint()) {
    return absl::StrCat("checkpoint ", initializer.checkpoint().checkpoint());
  }
  return absl::StrJoin(
      FieldsOf(initializer), ", ", [](std::string* out, const auto& field) {
        absl::StrAppend(out, field.first, field.second == "{}" ? "" : " ",
                        field.second == "{}" ? "" : field.second);
      });
}

PageTable StartsTable(const v1::ComparisonReport& report) {
  PageTable table = {.columns = {{"arm"},
                                 {"weights start from"},
                                 {"epochs before", true},
                                 {"training"}}};
  for (const v1::ArmReport& arm : report.arms()) {
    table.rows.push_back({{arm.label(), StartText(arm),
                           absl::StrCat(arm.start_epoch()), arm.training()},
                          arm.is_baseline()});
  }
  return table;
}

// Every field of the arms' specs: once where all agree, else per value. Which
// checkpoint it starts from is in the table of starts.
struct SpecTables {
  PageTable same = {.columns = {{"field"}, {"value"}}};
  PageTable different = {.columns = {{"field"}, {"value"}, {"arms"}}};
};

SpecTables SpecTablesOf(const v1::ComparisonReport& report) {
  struct Shared {
    std::string value;
    std::vector<std::string> labels;
  };
  std::vector<std::string> paths;  // In the order in which they turn up.
  absl::btree_map<std::string, std::vector<Shared>> values_by_path;
  for (const v1::ArmReport& arm : report.arms()) {
    for (const auto& [path, value] : FieldsOf(arm.training_spec())) {
      if (path == "initializer.checkpoint.checkpoint") continue;
      if (!values_by_path.contains(path)) paths.push_back(path);
      std::vector<Shared>& values = values_by_path[path];
      auto at = std::find_if(values.begin(), values.end(),
                             [&value = value](const Shared& shared) {
                               return shared.value == value;
                             });
      if (at == values.end()) at = values.insert(at, {value, {}});
      at->labels.push_back(arm.label());
    }
  }
  SpecTables tables;
  for (const std::string& path : paths) {
    for (const Shared& shared : values_by_path[path]) {
      if (shared.labels.size() == static_cast<size_t>(report.arms_size())) {
        tables.same.rows.push_back({{path, shared.value}});
      } else {
        tables.different.rows.push_back(
            {{path, shared.value, absl::StrJoin(shared.labels, ", ")}});
      }
    }
  }
  return tables;
}

std::string Specs(const v1::ComparisonReport& report) {
  std::string text;
  for (const v1::ArmReport& arm : report.arms()) {
    v1::ComparisonArm with_label;
    with_label.set_label(arm.label());
    *with_label.mutable_training() = arm.training_spec();
    absl::StrAppend(&text, text.empty() ? "" : "---\n", YamlOf(with_label));
  }
  return text;
}

// "cpu x86-64 avx512, 1 thread".
std::string DeviceText(const v1::Environment& environment) {
  if (environment.thread_count() == 0) return environment.device();
  return absl::StrCat(environment.device(), ", ",
                      CountText(environment.thread_count(), "thread"));
}

Html Compared(const v1::ComparisonReport& report,
              absl::Span<const v1::Environment> environments) {
  const v1::Comparison& comparison = report.comparison();
  std::set<std::string> libraries;
  std::set<std::string> devices;
  for (const v1::Environment& environment : environments) {
    libraries.insert(environment.library());
    devices.insert(DeviceText(environment));
  }
  for (const v1::ArmReport& arm : report.arms()) {
    for (const v1::ComparedRun& run : arm.runs()) {
      if (environments.empty() && !run.device().empty()) {
        devices.insert(run.device());
      }
    }
  }
  PageTable facts = {.columns = {{"what"}, {"value"}}};
  const auto add = [&](const char* what, std::string value) {
    if (!value.empty()) facts.rows.push_back({{what, std::move(value)}});
  };
  add("comparison", comparison.name());
  add("study", comparison.study());
  add("measured", ComparedMetricText(comparison.metric()));
  if (HasTarget(report)) add("target", TargetText(comparison));
  add("baseline", BaselineOf(report) == nullptr ? "" : BaselineLabel(report));
  add("seeds", absl::StrJoin(comparison.seeds(), ", "));
  add("trained with", absl::StrJoin(libraries, "; "));
  add("trained on", absl::StrJoin(devices, "; "));

  Html html = TableOf(facts);
  html += Subheading("The starts");
  html += TableOf(StartsTable(report));
  if (!comparison.study().empty() && HasEarlierEpochs(report)) {
    html += Paragraph(absl::StrCat(
        "Epochs are those of the best trial of ", comparison.study(),
        ", which that study chose by its own objective."));
  }
  const SpecTables specs = SpecTablesOf(report);
  if (!specs.different.rows.empty()) {
    html += Subheading("What differs between arms beside their starts");
    html += TableOf(specs.different);
  }
  if (!specs.same.rows.empty()) {
    html += Subheading("What all arms have in common");
    html += TableOf(specs.same);
  }
  html += SaveLink("Save the complete specs of all arms (YAML)",
                   {"specs.yaml", "application/yaml", Specs(report)});
  return html;
}

Html Repeat(const v1::ComparisonReport& report) {
  const std::string file = ComparisonFile(report.comparison());
  Html html = Paragraph(absl::StrCat(
      "Save the lines below as ", kComparisonFile,
      " and give them to a scheduler that has the study and the checkpoints "
      "named in them; epochs are those of the study’s best trial. Equal seeds "
      "on equal devices give equal runs, unless `deterministic` is false."));
  html += Preformatted(
      absl::StrCat("headstart comparisons create -f ", kComparisonFile));
  html += SaveLink("Save the comparison (YAML)",
                   {kComparisonFile, "application/yaml", file});
  html += Preformatted(file);
  return html;
}

Html Words() {
  return TermList({
      {"such as 94.23 ± 0.10",
       "Mean and sample standard deviation over the runs of an arm: the "
       "average, and how far single runs typically lie from it. Runs of one "
       "arm differ only in their seed."},
      {"95 % interval",
       "Runs are drawn again from those there are, thousands of times "
       "(bootstrap); the middle 95 % of their means, or differences, are "
       "inside. If it spans 0, the runs do not show which arm is ahead. If it "
       "does not, that alone is not significant yet: the interval is not "
       "corrected for several arms, and of few runs it is too narrow."},
      {"p, paired t, Welch’s t, Mann–Whitney",
       "How often chance alone would make a difference at least this large if "
       "the arms were alike. Paired t compares runs of equal seed, Welch’s t "
       "the means, Mann–Whitney the ranks. A small p (by custom below 0.05) "
       "speaks against chance; it says neither how large nor how useful the "
       "difference is."},
      {"Holm",
       "Of many arms one looks good by luck. These p are raised so that they "
       "can be read together: the chance of even one false alarm among all "
       "arms stays below the level, by custom 0.05."},
      {"A, time and speed-up",
       "A (Vargha and Delaney): how often a run of the arm is above one of the "
       "baseline, 0.5 when they are alike; of times, less is better. Time: the "
       "first epoch that reaches the target. Time in all: with the epochs "
       "before it. Speed-up: mean time of the baseline over that of the arm."},
  });
}

}  // namespace

v1::Comparison ComparisonInput(const v1::Comparison& comparison) {
  v1::Comparison input = comparison;
  input.clear_name();
  input.clear_state();
  input.clear_state_message();
  input.clear_create_time();
  input.clear_end_time();
  input.clear_started_by_study();
  for (v1::ComparisonArm& arm : *input.mutable_arms()) {
    arm.clear_training_name();
    arm.clear_source_checkpoint();
  }
  return input;
}

std::string ComparisonFile(const v1::Comparison& comparison) {
  return YamlOf(ComparisonInput(comparison));
}

absl::StatusOr<std::string> ComparisonPage(
    const v1::ComparisonReport& report,
    absl::Span<const v1::Environment> environments) {
  Page page = {.title = ComparisonTitle(report.comparison()),
               .subtitle = Subtitle(report)};
  page.sections.push_back({"summary", "Summary", Summary(report)});
  if (!report.arms().empty()) {
    HS_ASSIGN_OR_RETURN(const Html curves, Curves(report));
    HS_ASSIGN_OR_RETURN(const Html best, Best(report));
    HS_ASSIGN_OR_RETURN(const Html time, Time(report));
    page.sections.push_back(
        {"results", "Results", TableOf(ResultsTable(report))});
    page.sections.push_back({"curves", "Accuracy by epoch", curves});
    page.sections.push_back({"best", "Best accuracy", best});
    page.sections.push_back({"time", "Time to accuracy", time});
    page.sections.push_back(
        {"tests",
         absl::StrCat("How sure: each arm against ", BaselineLabel(report)),
         Tests(report)});
    page.sections.push_back({"runs", "Every run", Runs(report)});
  }
  page.sections.push_back(
      {"compared", "What was compared", Compared(report, environments)});
  page.sections.push_back({"repeat", "How to repeat it", Repeat(report)});
  page.sections.push_back({"words", "How to read the numbers", Words()});
  return PageText(page);
}

}  // namespace headstart::client
