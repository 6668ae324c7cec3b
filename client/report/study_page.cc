#include "client/report/study_page.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "client/report/comparison_page.h"
#include "client/report/csv.h"
#include "client/report/importance.h"
#include "client/report/message_text.h"
#include "client/report/number_text.h"
#include "client/report/page.h"
#include "client/report/study_figures.h"
#include "client/report/study_trials.h"

namespace headstart::client {
namespace {

constexpr char kStudyFile[] = "study.yaml";
constexpr size_t kBestMax = 20;
constexpr size_t kValueColumnsMax = 5;

std::string StateText(const v1::Study& study) {
  std::string text;
  switch (study.state()) {
    case v1::Study::RUNNING:
      text = "The study is still running; its best trial may change.";
      break;
    case v1::Study::PAUSED:
      text = "The study is paused; its best trial may change.";
      break;
    case v1::Study::FAILED:
      text = "The study failed.";
      break;
    case v1::Study::CANCELLED:
      text = "The study was ended by a person before it was over.";
      break;
    default:
      return "";
  }
  return study.state_message().empty()
             ? text
             : absl::StrCat(text, " ", study.state_message());
}

std::string MethodName(const v1::Search& search) {
  switch (search.method_case()) {
    case v1::Search::kRandom:
      return "random search";
    case v1::Search::kGrid:
      return "grid search";
    case v1::Search::kAsha:
      return "asynchronous successive halving (ASHA)";
    case v1::Search::METHOD_NOT_SET:
      break;
  }
  return "a search";
}

std::string Subtitle(const v1::Study& study, size_t trial_count) {
  std::string text =
      absl::StrCat(CountText(static_cast<int64_t>(trial_count), "trial"),
                   " of ", MethodName(study.search()), ".");
  if (!study.name().empty()) {
    absl::StrAppend(&text, " ", study.name());
    const std::string created = MinuteText(study.create_time());
    const std::string ended = MinuteText(study.end_time());
    if (!created.empty()) absl::StrAppend(&text, ", started ", created);
    if (!ended.empty()) absl::StrAppend(&text, ", ended ", ended);
    text += ".";
  }
  return text;
}

std::string ValuesText(const v1::Study& study, const v1::Trial& trial) {
  const std::vector<std::string> paths = ParameterPaths(study);
  const std::vector<std::string> names = ShortPaths(paths);
  std::vector<std::string> values;
  for (size_t i = 0; i < paths.size(); ++i) {
    const v1::ParameterValue* value = ValueAt(trial, paths[i]);
    if (value == nullptr) continue;
    values.push_back(absl::StrCat(names[i], " ", ShortValue(value->value())));
  }
  return absl::StrJoin(values, ", ");
}

// "18 stopped, 7 paused and 2 succeeded".
std::string StatesText(absl::Span<const v1::Trial> trials) {
  std::vector<std::string> texts;
  for (const auto& [state, name] :
       {std::pair(v1::Trial::SUCCEEDED, "reached the last epoch"),
        std::pair(v1::Trial::STOPPED, "were stopped early"),
        std::pair(v1::Trial::PAUSED, "are paused at a rung"),
        std::pair(v1::Trial::TRAINING, "are training"),
        std::pair(v1::Trial::WAITING, "are waiting"),
        std::pair(v1::Trial::INFEASIBLE, "had no finite loss"),
        std::pair(v1::Trial::FAILED, "failed"),
        std::pair(v1::Trial::CANCELLED, "were cancelled")}) {
    const auto count = std::count_if(trials.begin(), trials.end(),
                                     [state = state](const v1::Trial& trial) {
                                       return trial.state() == state;
                                     });
    if (count > 0) texts.push_back(absl::StrCat(count, " ", name));
  }
  return absl::StrJoin(texts, ", ");
}

Html Summary(const v1::Study& study, absl::Span<const v1::Trial> trials,
             const std::vector<const v1::Trial*>& sorted) {
  Html html;
  if (const std::string state = StateText(study); !state.empty()) {
    html += Paragraph(state);
  }
  if (sorted.empty()) {
    html += Paragraph("No trial has been measured yet.");
  } else {
    const v1::Trial& best = *sorted.front();
    const std::string name = TrialText(best);
    html += Paragraph(
        absl::StrCat("Best is ", name, ": ", ObjectiveName(study.objective()),
                     " ", ObjectiveDigits(study.objective(), best.objective()),
                     " after ", CountText(best.epoch(), "epoch"), ", with ",
                     ValuesText(study, best), "."));
  }
  if (!trials.empty()) {
    int64_t epochs = 0;
    for (const v1::Trial& trial : trials) epochs += trial.epoch();
    const int64_t most =
        static_cast<int64_t>(trials.size()) * study.training().epochs();
    html += Paragraph(absl::StrCat(
        "Of ", CountText(static_cast<int64_t>(trials.size()), "trial"), ", ",
        StatesText(trials), ". Together they trained ",
        CountText(epochs, "epoch"),
        epochs < most
            ? absl::StrCat("; all of them to the end would be ", most, ".")
            : "."));
  }
  return html;
}

PageTable BestTable(const v1::Study& study,
                    const std::vector<const v1::Trial*>& sorted) {
  PageTable table;
  table.caption = absl::StrCat(
      "The best of the trials, as the study ranks them",
      sorted.size() > kBestMax
          ? absl::StrCat(" (", kBestMax, " of ", sorted.size(), ")")
          : "",
      ".");
  table.columns = {{"trial"},
                   {ObjectiveName(study.objective()), true},
                   {"epoch", true, "The last one recorded."}};
  const std::vector<std::string> paths = ParameterPaths(study);
  const std::vector<std::string> names = ShortPaths(paths);
  const bool in_columns = paths.size() <= kValueColumnsMax;
  for (size_t i = 0; i < paths.size() && in_columns; ++i) {
    const bool is_choice =
        study.search().parameters(static_cast<int>(i)).has_choice();
    table.columns.push_back({names[i], !is_choice, paths[i]});
  }
  if (!in_columns) table.columns.push_back({"values"});
  for (size_t i = 0; i < sorted.size() && i < kBestMax; ++i) {
    const v1::Trial& trial = *sorted[i];
    PageTable::Row row = {
        {TrialText(trial),
         ObjectiveDigits(study.objective(), trial.objective()),
         absl::StrCat(trial.epoch())},
        i == 0};
    for (size_t k = 0; k < paths.size() && in_columns; ++k) {
      const v1::ParameterValue* value = ValueAt(trial, paths[k]);
      row.cells.push_back(value == nullptr ? std::string(kMissingText)
                                           : ShortValue(value->value()));
    }
    if (!in_columns) row.cells.push_back(ValuesText(study, trial));
    table.rows.push_back(std::move(row));
  }
  return table;
}

absl::StatusOr<Html> Drawn(Figure figure, std::string title,
                           absl::string_view caption,
                           absl::string_view otherwise) {
  if (figure.panels.empty()) return Paragraph(otherwise);
  figure.title = std::move(title);
  HS_ASSIGN_OR_RETURN(const std::string svg, DrawSvg(figure));
  return Picture(svg, caption);
}

absl::StatusOr<Html> Importance(const ImportanceReport& importance) {
  if (importance.parameters.empty()) {
    return Paragraph(
        "This takes at least 8 trials with unlike values that have been "
        "measured after the same epoch.");
  }
  HS_ASSIGN_OR_RETURN(
      Html html,
      Drawn(ImportanceFigure(importance),
            "How much of the objective’s order each value explains", "", ""));
  PageTable table;
  table.columns = {{"parameter"},
                   {"explains", true, "Share of the variance of ranks."},
                   {"by chance", true,
                    "What a value without influence explains on average."},
                   {"direction"}};
  for (const ParameterImportance& parameter : importance.parameters) {
    std::string direction;
    if (!parameter.correlation.has_value()) {
      direction = CountText(parameter.group_count, "choice");
    } else {
      // A correlation below twice its standard deviation may well be chance.
      const bool is_clear = parameter.share > 4 * parameter.share_by_chance;
      direction = absl::StrCat(
          !is_clear                     ? "no clear direction"
          : *parameter.correlation >= 0 ? "larger is better"
                                        : "smaller is better",
          " (rank correlation ", FixedText(*parameter.correlation, 2), ")");
    }
    table.rows.push_back(
        {{parameter.path,
          absl::StrCat(FixedText(parameter.share * 100, 0), " %"),
          absl::StrCat(FixedText(parameter.share_by_chance * 100, 0), " %"),
          std::move(direction)}});
  }
  html += TableOf(table);
  html += Remark(absl::StrCat(
      "Method: ", CountText(importance.trial_count, "trial"),
      " ranked by the objective after epoch ", importance.epoch,
      ", the last that three quarters of the trials have reached",
      importance.infeasible_count > 0
          ? absl::StrCat("; ", importance.infeasible_count,
                         " without a finite loss come last")
          : "",
      ". For numbers the square of Spearman’s rank correlation, for choices "
      "the "
      "share of the ranks’ variance between them (eta squared, as in the test "
      "of Kruskal and Wallis)."));
  html += Remark(
      "Limits: each value is looked at alone, so what only matters together "
      "with another is missed, and so is an optimum in the middle of a range. "
      "It holds for the ranges searched, and for training of this length. With "
      "few trials a share near the one by chance says nothing.");
  return html;
}

std::string RangeText(double min, double max, v1::Scale scale) {
  return absl::StrCat(ExactText(min), " to ", ExactText(max),
                      scale == v1::LOG ? ", on a log scale" : "");
}

template <typename List, typename Text>
std::string ListText(const List& list, Text text) {
  std::vector<std::string> values;
  for (const auto& value : list) values.push_back(text(value));
  return absl::StrJoin(values, ", ");
}

std::string DomainText(const v1::Parameter& parameter) {
  switch (parameter.domain_case()) {
    case v1::Parameter::kDouble:
      return RangeText(parameter.double_().min(), parameter.double_().max(),
                       parameter.double_().scale());
    case v1::Parameter::kInteger:
      return absl::StrCat(
          "whole numbers, ",
          RangeText(static_cast<double>(parameter.integer().min()),
                    static_cast<double>(parameter.integer().max()),
                    parameter.integer().scale()));
    case v1::Parameter::kDoubleList:
      return ListText(parameter.double_list().values(), ExactText);
    case v1::Parameter::kIntegerList:
      return ListText(parameter.integer_list().values(),
                      [](int64_t value) { return absl::StrCat(value); });
    case v1::Parameter::kChoice:
      return ListText(parameter.choice().values(),
                      [](const google::protobuf::Value& value) {
                        const std::string text = ValueText(value);
                        // Of kinds without fields the name says all.
                        absl::string_view kind = text;
                        return absl::ConsumePrefix(&kind, "{") &&
                                       absl::ConsumeSuffix(&kind, ": {}}")
                                   ? std::string(kind)
                                   : text;
                      });
    case v1::Parameter::DOMAIN_NOT_SET:
      break;
  }
  return "";
}

Html Searched(const v1::Study& study) {
  PageTable parameters = {.columns = {{"parameter"}, {"values searched"}}};
  for (const v1::Parameter& parameter : study.search().parameters()) {
    parameters.rows.push_back({{parameter.path(), DomainText(parameter)}});
  }
  Html html = TableOf(parameters);
  html += Subheading("What all trials have in common");
  PageTable fields = {.columns = {{"field"}, {"value"}}};
  for (const auto& [path, value] : FieldsOf(study.training())) {
    const std::vector<std::string> searched = ParameterPaths(study);
    if (std::find(searched.begin(), searched.end(), path) == searched.end()) {
      fields.rows.push_back({{path, value}});
    }
  }
  html += TableOf(fields);
  return html;
}

Html Repeat(const v1::Study& study) {
  const std::string file = StudyFile(study);
  Html html = Paragraph(
      absl::StrCat("Save the lines below as ", kStudyFile,
                   ". Equal seeds draw equal values; which trials are promoted "
                   "also depends on the order in which results arrive."));
  html +=
      Preformatted(absl::StrCat("headstart studies create -f ", kStudyFile));
  html +=
      SaveLink("Save the study (YAML)", {kStudyFile, "application/yaml", file});
  html += Preformatted(file);
  return html;
}

}  // namespace

std::string TrialsCsv(const v1::Study& study,
                      absl::Span<const v1::Trial> trials) {
  const std::vector<std::string> paths = ParameterPaths(study);
  std::string csv = "trial,state,seed,epoch,objective,failure";
  for (const std::string& path : paths) {
    absl::StrAppend(&csv, ",", CsvCell(path));
  }
  csv += "\n";
  for (const v1::Trial& trial : trials) {
    absl::StrAppend(&csv, CsvCell(trial.name()), ",",
                    v1::Trial::State_Name(trial.state()), ",", trial.seed(),
                    ",", trial.epoch(), ",",
                    trial.has_objective() ? ExactText(trial.objective()) : "",
                    ",", CsvCell(trial.failure().message()));
    for (const std::string& path : paths) {
      const v1::ParameterValue* value = ValueAt(trial, path);
      double number = 0;
      absl::StrAppend(&csv, ",",
                      value == nullptr ? ""
                      : absl::SimpleAtod(value->value(), &number)
                          ? value->value()  // A minus makes no formula of it.
                          : CsvCell(value->value()));
    }
    csv += "\n";
  }
  return csv;
}

std::string TrialEpochsCsv(absl::Span<const v1::Trial> trials) {
  std::string csv =
      "trial,epoch,training_loss,training_accuracy,validation_loss,"
      "validation_accuracy,test_loss,test_accuracy\n";
  for (const v1::Trial& trial : trials) {
    const std::string name = CsvCell(trial.name());
    for (const v1::EpochRecord& record : trial.epochs()) {
      const v1::Measurement& m = record.measurement();
      absl::StrAppend(&csv, name, ",", record.epoch());
      for (const auto& [is_there, value] :
           {std::pair(m.has_training_loss(), m.training_loss()),
            std::pair(m.has_training_accuracy(), m.training_accuracy()),
            std::pair(m.has_validation_loss(), m.validation_loss()),
            std::pair(m.has_validation_accuracy(), m.validation_accuracy()),
            std::pair(m.has_test_loss(), m.test_loss()),
            std::pair(m.has_test_accuracy(), m.test_accuracy())}) {
        absl::StrAppend(&csv, ",", is_there ? ExactText(value) : "");
      }
      csv += "\n";
    }
  }
  return csv;
}

std::string StudyFile(const v1::Study& study) {
  v1::Study input;
  input.set_display_name(study.display_name());
  *input.mutable_training() = study.training();
  *input.mutable_search() = study.search();
  *input.mutable_objective() = study.objective();
  if (study.has_retention()) *input.mutable_retention() = study.retention();
  input.set_seed(study.seed());
  if (study.has_failure_policy()) {
    *input.mutable_failure_policy() = study.failure_policy();
  }
  for (const v1::Training& then : study.then()) {
    v1::Training& training = *input.add_then();
    if (then.has_comparison()) {
      *training.mutable_comparison() = ComparisonInput(then.comparison());
      continue;
    }
    training.set_display_name(then.display_name());
    if (then.has_from()) *training.mutable_from() = then.from();
    if (then.has_training()) *training.mutable_training() = then.training();
    training.set_epochs(then.epochs());
    *training.mutable_seeds() = then.seeds();
    *training.mutable_keep_epochs() = then.keep_epochs();
  }
  return YamlOf(input);
}

absl::StatusOr<std::string> StudyPage(const v1::Study& study,
                                      absl::Span<const v1::Trial> trials) {
  const std::vector<const v1::Trial*> sorted = BestFirst(study, trials);
  const ImportanceReport importance = ImportanceOf(study, trials);
  const std::string objective = ObjectiveName(study.objective());
  Page page = {.title = !study.display_name().empty() ? study.display_name()
                        : study.name().empty()        ? "Study"
                                                      : study.name(),
               .subtitle = Subtitle(study, trials.size())};
  page.sections.push_back(
      {"summary", "Summary", Summary(study, trials, sorted)});
  if (!sorted.empty()) {
    Html best = TableOf(BestTable(study, sorted));
    best += SaveLink("Save all trials (CSV)",
                     {"trials.csv", "text/csv", TrialsCsv(study, trials)});
    best += SaveLink("Save all epochs of all trials (CSV)",
                     {"epochs.csv", "text/csv", TrialEpochsCsv(trials)});
    page.sections.push_back({"best", "Best trials", best});
    HS_ASSIGN_OR_RETURN(
        const Html progress,
        Drawn(
            ProgressFigure(study, trials),
            absl::StrCat("Best ", objective, " so far"),
            "Epochs of all trials in the order in which they were recorded. "
            "A dot is where a trial ended, or is now; what went far astray is "
            "cut off.",
            "No epoch has been measured yet."));
    page.sections.push_back({"progress", "Progress", progress});
    HS_ASSIGN_OR_RETURN(
        const Html curves,
        Drawn(LearningCurvesFigure(study, trials),
              absl::StrCat(Capitalized(objective), " of each trial"),
              "A line is a trial; one that has a single epoch is a dot. What "
              "went "
              "far astray is cut off, and of very many trials some are left "
              "out.",
              "No epoch has been measured yet."));
    page.sections.push_back({"curves", "Learning curves", curves});
    HS_ASSIGN_OR_RETURN(
        const Html values,
        Drawn(ValuesFigure(study, trials, importance),
              "Values and what came of them",
              "A line is a trial; it crosses each axis at its value, and the "
              "last at its objective after its last epoch, the best on top. "
              "Tenths and halves are by the study’s ranking.",
              "This takes two trials and a parameter."));
    page.sections.push_back({"values", "Searched values", values});
    HS_ASSIGN_OR_RETURN(const Html important, Importance(importance));
    page.sections.push_back({"importance", "Which values mattered", important});
  }
  page.sections.push_back({"searched", "What was searched", Searched(study)});
  page.sections.push_back({"repeat", "How to repeat it", Repeat(study)});
  return PageText(page);
}

}  // namespace headstart::client
