#include "client/cli/views.h"

#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/cli/units.h"
#include "proto/checkpoint_fields.h"

namespace headstart::client {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr auto kRight = Table::Align::kRight;

void Append(std::vector<std::string>& lines, std::vector<std::string> more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

std::optional<double> If(bool is_there, double value) {
  return is_there ? std::optional<double>(value) : std::nullopt;
}

std::string MethodText(const v1::Search& search) {
  switch (search.method_case()) {
    case v1::Search::kRandom:
      return absl::StrCat("random, ",
                          Count(search.random().trial_count(), "trial"));
    case v1::Search::kGrid:
      return "grid";
    case v1::Search::kAsha:
      return absl::StrCat("asha, ", Count(search.asha().trial_count(), "trial"),
                          ", from ", Count(search.asha().min_epochs(), "epoch"),
                          ", one in ", search.asha().reduction(), " promoted");
    case v1::Search::METHOD_NOT_SET:
      break;
  }
  return "-";
}

void AddFailure(Fields& fields, const v1::Failure& failure) {
  fields.emplace_back(
      "failure", absl::StrCat(v1::Failure::Reason_Name(failure.reason()), ": ",
                              failure.message()));
}

std::string TimeText(const v1::PhaseSeconds& seconds) {
  const double sum = seconds.train() + seconds.evaluate() + seconds.snapshot() +
                     seconds.stall() + seconds.initialize();
  return sum > 0 ? HumanDuration(absl::Seconds(sum)) : "-";
}

Table EpochTable(
    const google::protobuf::RepeatedPtrField<v1::EpochRecord>& epochs) {
  const bool pruned = std::any_of(
      epochs.begin(), epochs.end(), [](const v1::EpochRecord& epoch) {
        return epoch.measurement().has_survivor_share();
      });
  std::vector<Table::Column> columns = {{"EPOCH", kRight},
                                        {"TRAINING LOSS", kRight},
                                        {"TRAINING ACCURACY", kRight},
                                        {"VALIDATION LOSS", kRight},
                                        {"VALIDATION ACCURACY", kRight},
                                        {"TEST LOSS", kRight},
                                        {"TEST ACCURACY", kRight},
                                        {"TIME", kRight},
                                        {"EXAMPLES/S", kRight},
                                        {"MEMORY", kRight}};
  if (pruned) columns.push_back({"WEIGHTS LEFT", kRight});
  Table table(std::move(columns));
  for (const v1::EpochRecord& epoch : epochs) {
    const v1::Measurement& m = epoch.measurement();
    std::vector<std::string> row = {
        absl::StrCat(epoch.epoch()),
        Number(If(m.has_training_loss(), m.training_loss())),
        Percent(If(m.has_training_accuracy(), m.training_accuracy())),
        Number(If(m.has_validation_loss(), m.validation_loss())),
        Percent(If(m.has_validation_accuracy(), m.validation_accuracy())),
        Number(If(m.has_test_loss(), m.test_loss())),
        Percent(If(m.has_test_accuracy(), m.test_accuracy())),
        TimeText(epoch.seconds()),
        epoch.epoch() == 0
            ? "-"
            : absl::StrFormat("%.0f", epoch.examples_per_second()),
        epoch.peak_memory_bytes() == 0 ? "-"
                                       : HumanBytes(epoch.peak_memory_bytes())};
    if (pruned) {
      row.push_back(Percent(If(m.has_survivor_share(), m.survivor_share())));
    }
    table.Add(std::move(row));
  }
  return table;
}

Table AttemptTable(
    const google::protobuf::RepeatedPtrField<v1::Attempt>& attempts) {
  Table table({{"ATTEMPT", kRight},
               {"STATE"},
               {"WORKER"},
               {"SLOT"},
               {"EPOCHS"},
               {"STARTED"},
               {"ENDED"},
               {"FAILURE"}});
  for (const v1::Attempt& attempt : attempts) {
    table.Add(
        {absl::StrCat(attempt.number()),
         v1::Attempt::State_Name(attempt.state()), attempt.worker(),
         attempt.slot(),
         absl::StrCat(attempt.from_epoch(), " to ", attempt.until_epoch()),
         Instant(attempt.start_time()), Instant(attempt.end_time()),
         OrDash(attempt.failure().message())});
  }
  return table;
}

// Of a Trial or TrainingRun: "3", or "3 (epoch 4 at 37 %)".
template <typename Run>
std::string EpochText(const Run& run) {
  std::string text = absl::StrCat(run.epoch());
  if (!run.attempts().empty() && run.attempts().rbegin()->has_progress()) {
    const v1::Attempt::Progress& now = run.attempts().rbegin()->progress();
    if (!now.activity().empty()) {
      // How far, without what it measures.
      return absl::StrCat(
          text, " (", now.activity().substr(0, now.activity().find(':')), ")");
    }
    absl::StrAppend(&text, absl::StrFormat(" (epoch %d at %.0f %%)",
                                           now.epoch(), 100 * now.share()));
  }
  return text;
}

// "BEST_TRIAL of studies/1, PINNED (why)".
std::string ReferencesText(const v1::Checkpoint& checkpoint) {
  std::vector<std::string> reasons;
  for (const v1::Reference& reference : checkpoint.references()) {
    std::string text = v1::ReferenceReason_Name(reference.reason());
    if (reference.reason() != v1::PINNED && !reference.owner().empty()) {
      absl::StrAppend(&text, " of ", reference.owner());
    }
    if (!reference.detail().empty()) {
      absl::StrAppend(&text, " (", reference.detail(), ")");
    }
    reasons.push_back(std::move(text));
  }
  return OrDash(absl::StrJoin(reasons, ", "));
}

int64_t RunsOver(const v1::Training& training) {
  int64_t count = 0;
  for (const v1::TrainingRun& run : training.runs()) {
    if (run.state() != v1::TrainingRun::WAITING &&
        run.state() != v1::TrainingRun::TRAINING) {
      ++count;
    }
  }
  return count;
}

}  // namespace

std::string MetricName(v1::Objective::Metric metric) {
  return absl::StrReplaceAll(
      absl::AsciiStrToLower(v1::Objective::Metric_Name(metric)), {{"_", " "}});
}

std::string ObjectiveText(v1::Objective::Metric metric,
                          std::optional<double> value) {
  return metric == v1::Objective::VALIDATION_ACCURACY ? Percent(value)
                                                      : Number(value);
}

std::optional<double> ObjectiveOf(const v1::Trial& trial) {
  return If(trial.has_objective(), trial.objective());
}

std::vector<std::string> ShortValues(const v1::Trial& trial) {
  std::vector<std::string> values;
  for (const v1::ParameterValue& value : trial.values()) {
    std::string text = value.value();
    double number = 0;
    absl::string_view choice = text;
    if (absl::SimpleAtod(text, &number) && text.size() > 6 &&
        text.find_first_of(".e") != std::string::npos) {
      text = Number(number);
    } else if (absl::ConsumePrefix(&choice, "{\"") &&
               absl::ConsumeSuffix(&choice, "\":{}}")) {
      text = std::string(choice);
    }
    values.push_back(absl::StrCat(value.path(), "=", text));
  }
  return values;
}

int64_t TrialsStarted(const v1::TrialCounts& counts) {
  return counts.waiting() + counts.training() + counts.paused() +
         counts.succeeded() + counts.stopped() + counts.infeasible() +
         counts.failed() + counts.cancelled();
}

std::string TrialCountsText(const v1::TrialCounts& counts) {
  const std::pair<int64_t, const char*> states[] = {
      {counts.waiting(), "waiting"}, {counts.training(), "training"},
      {counts.paused(), "paused"},   {counts.succeeded(), "succeeded"},
      {counts.stopped(), "stopped"}, {counts.infeasible(), "infeasible"},
      {counts.failed(), "failed"},   {counts.cancelled(), "cancelled"}};
  std::vector<std::string> parts;
  for (const auto& [count, state] : states) {
    if (count > 0) parts.push_back(absl::StrCat(count, " ", state));
  }
  const int64_t started = TrialsStarted(counts);
  if (parts.empty()) return "0";
  return absl::StrCat(started, ": ", absl::StrJoin(parts, ", "));
}

bool IsOver(const v1::Training& training) {
  return training.state() == v1::Training::SUCCEEDED ||
         training.state() == v1::Training::FAILED ||
         training.state() == v1::Training::CANCELLED;
}

std::string SourceText(const v1::Training& training) {
  if (!training.source_checkpoint().empty()) {
    return training.source_checkpoint();
  }
  const std::vector<std::string> several =
      CheckpointsIn(training.resolved_training());
  if (!several.empty()) return absl::StrJoin(several, ", ");
  return OrDash(training.from().checkpoint());
}

Spread SpreadOf(absl::Span<const double> values) {
  Spread spread;
  spread.count = static_cast<int64_t>(values.size());
  if (values.empty()) return spread;
  for (const double value : values) spread.mean += value;
  spread.mean /= static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) {
    squares += (value - spread.mean) * (value - spread.mean);
  }
  if (values.size() > 1) {
    spread.deviation =
        std::sqrt(squares / static_cast<double>(values.size() - 1));
  }
  return spread;
}

const v1::Measurement* LastMeasurement(const v1::Trial& trial) {
  return trial.epochs().empty() ? nullptr
                                : &trial.epochs().rbegin()->measurement();
}

const v1::Measurement* LastMeasurement(const v1::TrainingRun& run) {
  return run.epochs().empty() ? nullptr : &run.epochs().rbegin()->measurement();
}

Spread TestAccuracy(const v1::Training& training) {
  std::vector<double> accuracies;
  for (const v1::TrainingRun& run : training.runs()) {
    const v1::Measurement* const last = LastMeasurement(run);
    if (run.state() == v1::TrainingRun::SUCCEEDED && last != nullptr &&
        last->has_test_accuracy()) {
      accuracies.push_back(last->test_accuracy());
    }
  }
  return SpreadOf(accuracies);
}

std::string TestAccuracyText(const v1::Training& training) {
  const Spread spread = TestAccuracy(training);
  if (spread.count == 0) return "";
  std::string text = absl::StrCat("test accuracy: mean ", Percent(spread.mean));
  if (spread.count > 1) {
    absl::StrAppend(&text, ", standard deviation ", Percent(spread.deviation));
  }
  return absl::StrCat(text, " over ", Count(spread.count, "seed"));
}

Table StudyTable(absl::Span<const v1::Study> studies) {
  Table table({{"NAME"},
               {"STATE"},
               {"TRIALS", kRight},
               {"EPOCHS", kRight},
               {"BEST TRIAL"},
               {"OBJECTIVE", kRight},
               {"CREATED"},
               {"DISPLAY NAME"}});
  for (const v1::Study& study : studies) {
    table.Add(
        {study.name(), v1::Study::State_Name(study.state()),
         absl::StrCat(TrialsStarted(study.trial_counts())),
         absl::StrCat(study.recorded_epochs()), OrDash(study.best_trial()),
         ObjectiveText(study.objective().metric(),
                       If(study.has_best_objective(), study.best_objective())),
         Instant(study.create_time()), study.display_name()});
  }
  return table;
}

std::vector<std::string> StudyLines(const v1::Study& study) {
  Fields fields = {{"name", study.name()},
                   {"display name", OrDash(study.display_name())},
                   {"state", v1::Study::State_Name(study.state())}};
  if (!study.state_message().empty()) {
    fields.emplace_back("because", study.state_message());
  }
  fields.emplace_back("search", MethodText(study.search()));
  fields.emplace_back("trials", TrialCountsText(study.trial_counts()));
  fields.emplace_back("epochs", absl::StrCat(study.recorded_epochs()));
  fields.emplace_back("best trial", OrDash(study.best_trial()));
  fields.emplace_back(MetricName(study.objective().metric()),
                      absl::StrCat(ObjectiveText(study.objective().metric(),
                                                 If(study.has_best_objective(),
                                                    study.best_objective())),
                                   " at epoch ", study.best_epoch()));
  fields.emplace_back("trainings",
                      OrDash(absl::StrJoin(study.trainings(), ", ")));
  if (!study.comparisons().empty()) {
    fields.emplace_back("comparisons",
                        absl::StrJoin(study.comparisons(), ", "));
  }
  fields.emplace_back("created", Instant(study.create_time()));
  fields.emplace_back("ended", Instant(study.end_time()));
  return FieldLines(fields);
}

std::vector<std::string> PlanLines(const v1::StudyPlan& plan) {
  std::vector<std::string> lines =
      FieldLines({{"trials", absl::StrCat(plan.trial_count())},
                  {"epochs over all trials", absl::StrCat(plan.epochs())},
                  {"weights stored at most",
                   plan.bytes_max() > 0 ? HumanBytes(plan.bytes_max())
                                        : "not known for this model"}});
  Table rungs({{"RUNG EPOCHS", kRight}, {"TRIALS AT MOST", kRight}});
  for (const v1::StudyPlan::Rung& rung : plan.rungs()) {
    rungs.Add({absl::StrCat(rung.epochs()), absl::StrCat(rung.trials())});
  }
  AppendTable(lines, rungs);
  return lines;
}

Table TrialTable(absl::Span<const v1::Trial> trials,
                 v1::Objective::Metric metric) {
  std::vector<Table::Column> columns = {
      {"NAME"},
      {"STATE"},
      {"EPOCH", kRight},
      {absl::AsciiStrToUpper(MetricName(metric)), kRight}};
  // Every trial of a study has the same paths.
  if (!trials.empty()) {
    for (const v1::ParameterValue& value : trials.front().values()) {
      columns.push_back({value.path()});
    }
  }
  const size_t width = columns.size();
  Table table(std::move(columns));
  for (const v1::Trial& trial : trials) {
    std::vector<std::string> cells = {
        trial.name(), v1::Trial::State_Name(trial.state()),
        absl::StrCat(trial.epoch()), ObjectiveText(metric, ObjectiveOf(trial))};
    for (const v1::ParameterValue& value : trial.values()) {
      cells.push_back(value.value());
    }
    cells.resize(width);
    table.Add(std::move(cells));
  }
  return table;
}

std::vector<std::string> TrialLines(const v1::Trial& trial) {
  Fields fields = {{"name", trial.name()},
                   {"state", v1::Trial::State_Name(trial.state())}};
  if (trial.has_failure()) AddFailure(fields, trial.failure());
  for (const v1::ParameterValue& value : trial.values()) {
    fields.emplace_back(value.path(), value.value());
  }
  fields.emplace_back("seed", absl::StrCat(trial.seed()));
  fields.emplace_back("epoch", EpochText(trial));
  fields.emplace_back("objective", Number(ObjectiveOf(trial)));
  fields.emplace_back("created", Instant(trial.create_time()));
  fields.emplace_back("ended", Instant(trial.end_time()));
  std::vector<std::string> lines = FieldLines(fields);
  AppendTable(lines, EpochTable(trial.epochs()));
  AppendTable(lines, AttemptTable(trial.attempts()));
  if (!trial.failure().log_tail().empty()) {
    lines.emplace_back();
    lines.emplace_back("last log lines:");
    for (absl::string_view rest = trial.failure().log_tail(); !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      lines.push_back(absl::StrCat("  ", rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return lines;
}

std::vector<std::string> ExplanationLines(
    const v1::ExplainTrialResponse& explanation) {
  Table table({{"TIME"},
               {"DECISION"},
               {"RUNG", kRight},
               {"RANK", kRight},
               {"OF", kRight},
               {"BY"},
               {"WHY"}});
  for (const v1::TrialDecision& decision : explanation.decisions()) {
    const bool is_ranked = decision.rank() > 0;
    table.Add({Instant(decision.decide_time()),
               v1::TrialDecision::Kind_Name(decision.kind()),
               absl::StrCat(decision.rung_epochs()),
               is_ranked ? absl::StrCat(decision.rank()) : "-",
               is_ranked ? absl::StrCat(decision.rung_size()) : "-",
               decision.rule_version(), decision.text()});
  }
  std::vector<std::string> lines = table.Lines();
  lines.emplace_back();
  Append(lines, FieldLines({{"now", explanation.now()}}));
  return lines;
}

Table CheckpointTable(absl::Span<const v1::Checkpoint> checkpoints) {
  Table table({{"NAME"},
               {"WEIGHTS", kRight},
               {"RESUME", kRight},
               {"VALIDATION ACCURACY", kRight},
               {"TEST ACCURACY", kRight},
               {"KEPT AS"}});
  for (const v1::Checkpoint& checkpoint : checkpoints) {
    const v1::Measurement& m = checkpoint.measurement();
    table.Add(
        {checkpoint.name(), HumanBytes(checkpoint.tensor_bytes()),
         checkpoint.resume_bytes() > 0 ? HumanBytes(checkpoint.resume_bytes())
                                       : "-",
         Percent(If(m.has_validation_accuracy(), m.validation_accuracy())),
         Percent(If(m.has_test_accuracy(), m.test_accuracy())),
         ReferencesText(checkpoint)});
  }
  return table;
}

std::vector<std::string> CheckpointLines(const v1::Checkpoint& checkpoint) {
  const v1::Manifest& manifest = checkpoint.manifest();
  const v1::Measurement& m = checkpoint.measurement();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"name", checkpoint.name()},
      {"model", OrDash(manifest.model())},
      {"digest", DigestText(checkpoint.manifest_digest())},
      {"kept as", ReferencesText(checkpoint)},
      {"weights", absl::StrCat(HumanBytes(checkpoint.tensor_bytes()), " in ",
                               Count(checkpoint.tensor_count(), "tensor"))},
      {"resume", checkpoint.resume_bytes() > 0
                     ? HumanBytes(checkpoint.resume_bytes())
                     : "-"},
      {"training loss", Number(If(m.has_training_loss(), m.training_loss()))},
      {"validation loss",
       Number(If(m.has_validation_loss(), m.validation_loss()))},
      {"validation accuracy",
       Percent(If(m.has_validation_accuracy(), m.validation_accuracy()))},
      {"test loss", Number(If(m.has_test_loss(), m.test_loss()))},
      {"test accuracy", Percent(If(m.has_test_accuracy(), m.test_accuracy()))},
      {"input transform", OrDash(manifest.input_transform())},
      {"trained with", OrDash(manifest.environment().library())},
      {"trained on", OrDash(manifest.environment().device())},
      {"committed", Instant(checkpoint.commit_time())},
      {"took", TimeText(checkpoint.seconds())},
      {"memory", checkpoint.peak_memory_bytes() > 0
                     ? HumanBytes(checkpoint.peak_memory_bytes())
                     : "-"}};
  if (m.has_survivor_share()) {
    fields.emplace_back("weights left", Percent(m.survivor_share()));
  }
  std::vector<std::string> lines = FieldLines(fields);
  Append(lines, InitializationLines(manifest.initialization()));
  Table tensors({{"TENSOR"}, {"TYPE"}, {"SHAPE"}, {"ROLE"}});
  for (const v1::Tensor& tensor : manifest.tensors()) {
    tensors.Add({tensor.name(), tensor.dtype(),
                 absl::StrCat("[", absl::StrJoin(tensor.shape(), ", "), "]"),
                 v1::Tensor::Role_Name(tensor.role())});
  }
  AppendTable(lines, tensors);
  return lines;
}

std::vector<std::string> UsageLines(const v1::GetUsageResponse& usage) {
  std::vector<std::string> lines = FieldLines(
      {{"checkpoints", absl::StrCat(usage.checkpoint_count())},
       {"weights, each counted once", HumanBytes(usage.live_bytes())},
       {"weights, if nothing were shared", HumanBytes(usage.logical_bytes())},
       {"in packs, needed by nothing", HumanBytes(usage.dead_bytes())},
       {"packs on disk", HumanBytes(usage.pack_bytes())},
       {"free on that disk", HumanBytes(usage.free_bytes())}});
  Table reasons({{"KEPT AS"}, {"CHECKPOINTS", kRight}, {"WEIGHTS", kRight}});
  for (const v1::GetUsageResponse::ByReason& by : usage.by_reason()) {
    reasons.Add({v1::ReferenceReason_Name(by.reason()),
                 absl::StrCat(by.checkpoint_count()), HumanBytes(by.bytes())});
  }
  AppendTable(lines, reasons);
  return lines;
}

Table TrainingTable(absl::Span<const v1::Training> trainings) {
  Table table({{"NAME"},
               {"STATE"},
               {"FROM"},
               {"EPOCHS", kRight},
               {"RUNS OVER", kRight},
               {"STUDY"},
               {"CREATED"},
               {"DISPLAY NAME"}});
  for (const v1::Training& training : trainings) {
    table.Add({training.name(), v1::Training::State_Name(training.state()),
               SourceText(training),
               absl::StrCat(training.resolved_training().epochs()),
               absl::StrCat(RunsOver(training), " of ", training.runs_size()),
               OrDash(training.study()), Instant(training.create_time()),
               training.display_name()});
  }
  return table;
}

std::vector<std::string> TrainingLines(const v1::Training& training) {
  Fields fields = {{"name", training.name()},
                   {"display name", OrDash(training.display_name())},
                   {"state", v1::Training::State_Name(training.state())}};
  if (!training.state_message().empty()) {
    fields.emplace_back("because", training.state_message());
  }
  fields.emplace_back("from", SourceText(training));
  fields.emplace_back("study", OrDash(training.study()));
  fields.emplace_back("epochs",
                      absl::StrCat(training.resolved_training().epochs()));
  fields.emplace_back("created", Instant(training.create_time()));
  fields.emplace_back("ended", Instant(training.end_time()));
  std::vector<std::string> lines = FieldLines(fields);

  Table runs({{"RUN"},
              {"SEED", kRight},
              {"STATE"},
              {"EPOCH", kRight},
              {"VALIDATION ACCURACY", kRight},
              {"TEST ACCURACY", kRight},
              {"FAILURE"}});
  for (const v1::TrainingRun& run : training.runs()) {
    const v1::Measurement* const last = LastMeasurement(run);
    const v1::Measurement m = last == nullptr ? v1::Measurement() : *last;
    runs.Add({run.name(), absl::StrCat(run.seed()),
              v1::TrainingRun::State_Name(run.state()), EpochText(run),
              Percent(If(m.has_validation_accuracy(), m.validation_accuracy())),
              Percent(If(m.has_test_accuracy(), m.test_accuracy())),
              OrDash(run.failure().message())});
  }
  AppendTable(lines, runs);
  const std::string accuracy = TestAccuracyText(training);
  if (!accuracy.empty()) Append(lines, {"", accuracy});
  return lines;
}

Table WorkerTable(absl::Span<const v1::Worker> workers) {
  Table table({{"NAME"},
               {"STATE"},
               {"SLOTS"},
               {"TRAINS"},
               {"DATASETS"},
               {"LAST SEEN"}});
  for (const v1::Worker& worker : workers) {
    const std::string slots = absl::StrJoin(
        worker.slots(), ", ", [](std::string* out, const v1::Slot& slot) {
          absl::StrAppend(out, slot.name(), " (", slot.device(), ", ",
                          Count(slot.thread_count(), "thread"), ")");
        });
    table.Add({worker.name(), v1::Worker::State_Name(worker.state()),
               OrDash(slots), OrDash(absl::StrJoin(worker.runs(), ", ")),
               OrDash(absl::StrJoin(worker.datasets(), ", ")),
               Instant(worker.last_seen_time())});
  }
  return table;
}

}  // namespace headstart::client
