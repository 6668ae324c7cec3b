#include "client/report/study_trials.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/report/number_text.h"

namespace headstart::client {
namespace {

constexpr size_t kValueLengthMax = 28;

// As the scheduler ranks: higher rungs first, unless by the objective alone.
bool RanksByRungs(const v1::Study& study) {
  switch (study.objective().rank()) {
    case v1::Objective::MAX_EPOCHS_FIRST:
      return true;
    case v1::Objective::OBJECTIVE_ONLY:
      return false;
    default:
      return study.search().has_asha();
  }
}

}  // namespace

std::string ObjectiveName(const v1::Objective& objective) {
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      return "validation accuracy";
    case v1::Objective::VALIDATION_LOSS:
      return "validation loss";
    case v1::Objective::TRAINING_LOSS:
      return "training loss";
    default:
      return "objective";
  }
}

bool IsInPercent(const v1::Objective& objective) {
  return objective.metric() == v1::Objective::VALIDATION_ACCURACY;
}

std::string ObjectiveDigits(const v1::Objective& objective,
                            std::optional<double> value) {
  if (!value.has_value() || std::isnan(*value)) {
    return std::string(kMissingText);
  }
  return IsInPercent(objective) ? absl::StrCat(PercentDigits(*value, 2), " %")
                                : ShortText(*value);
}

std::optional<double> ObjectiveIn(const v1::Measurement& measurement,
                                  const v1::Objective& objective) {
  switch (objective.metric()) {
    case v1::Objective::VALIDATION_ACCURACY:
      if (!measurement.has_validation_accuracy()) return std::nullopt;
      return measurement.validation_accuracy();
    case v1::Objective::VALIDATION_LOSS:
      if (!measurement.has_validation_loss()) return std::nullopt;
      return measurement.validation_loss();
    case v1::Objective::TRAINING_LOSS:
      if (!measurement.has_training_loss()) return std::nullopt;
      return measurement.training_loss();
    default:
      return std::nullopt;
  }
}

std::optional<double> ObjectiveAt(const v1::Trial& trial, int64_t epoch,
                                  const v1::Objective& objective) {
  for (const v1::EpochRecord& record : trial.epochs()) {
    if (record.epoch() == epoch) {
      return ObjectiveIn(record.measurement(), objective);
    }
  }
  return std::nullopt;
}

double Goodness(double value, const v1::Objective& objective) {
  return objective.goal() == v1::Objective::MINIMIZE ? -value : value;
}

std::vector<int64_t> RungsOf(const v1::Study& study) {
  const int64_t last = study.training().epochs();
  std::vector<int64_t> rungs;
  if (study.search().has_asha()) {
    const v1::Asha& asha = study.search().asha();
    // A report can also be of a study as a person wrote it, without defaults.
    const int64_t reduction = asha.reduction() > 1 ? asha.reduction() : 4;
    for (int64_t rung = std::max<int64_t>(1, asha.min_epochs()); rung < last;
         rung *= reduction) {
      rungs.push_back(rung);
    }
  }
  if (last > 0) rungs.push_back(last);
  return rungs;
}

int64_t RungReached(const v1::Trial& trial, absl::Span<const int64_t> rungs) {
  int64_t reached = 0;
  for (const int64_t rung : rungs) {
    if (trial.epoch() >= rung) reached = rung;
  }
  return reached;
}

std::vector<const v1::Trial*> BestFirst(const v1::Study& study,
                                        absl::Span<const v1::Trial> trials) {
  const std::vector<int64_t> rungs = RungsOf(study);
  const bool by_rungs = RanksByRungs(study);
  struct Place {
    bool is_best;
    int64_t rung;
    double goodness;
    const v1::Trial* trial;
  };
  std::vector<Place> places;
  for (const v1::Trial& trial : trials) {
    if (!trial.has_objective() || !std::isfinite(trial.objective())) continue;
    places.push_back(
        {.is_best = trial.name() == study.best_trial(),
         .rung = by_rungs ? RungReached(trial, rungs) : 0,
         .goodness = Goodness(trial.objective(), study.objective()),
         .trial = &trial});
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) {
                     if (a.is_best != b.is_best) return a.is_best;
                     if (a.rung != b.rung) return a.rung > b.rung;
                     return a.goodness > b.goodness;
                   });
  std::vector<const v1::Trial*> sorted;
  for (const Place& place : places) sorted.push_back(place.trial);
  return sorted;
}

std::string TrialText(const v1::Trial& trial) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(trial.name(), '/');
  return absl::StrCat("trial ", parts.back());
}

const v1::ParameterValue* ValueAt(const v1::Trial& trial,
                                  absl::string_view path) {
  for (const v1::ParameterValue& value : trial.values()) {
    if (value.path() == path) return &value;
  }
  return nullptr;
}

std::string ShortValue(absl::string_view value) {
  double number = 0;
  if (absl::SimpleAtod(value, &number)) {
    return value.size() <= 7 ? std::string(value) : ShortText(number);
  }
  absl::string_view name = value;
  if (absl::ConsumePrefix(&name, "{\"") &&
      absl::ConsumeSuffix(&name, "\":{}}")) {
    value = name;
  }
  if (value.size() <= kValueLengthMax) return std::string(value);
  size_t end = kValueLengthMax - 1;
  while (end > 0 && (value[end] & 0xC0) == 0x80) --end;  // Whole characters.
  return absl::StrCat(value.substr(0, end), "…");
}

std::vector<std::string> ShortPaths(const std::vector<std::string>& paths) {
  const auto suffix = [](const std::string& path, size_t parts) {
    const std::vector<std::string> all = absl::StrSplit(path, '.');
    const size_t from = all.size() - std::min(parts, all.size());
    return absl::StrJoin(all.begin() + static_cast<int64_t>(from), all.end(),
                         ".");
  };
  std::vector<size_t> parts(paths.size(), 1);
  while (true) {
    std::map<std::string, std::vector<size_t>> alike;
    for (size_t i = 0; i < paths.size(); ++i) {
      alike[suffix(paths[i], parts[i])].push_back(i);
    }
    bool grown = false;
    for (const auto& [name, places] : alike) {
      for (const size_t i : places) {
        if (places.size() > 1 && suffix(paths[i], parts[i]) != paths[i]) {
          ++parts[i];
          grown = true;
        }
      }
    }
    if (!grown) break;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < paths.size(); ++i) {
    names.push_back(suffix(paths[i], parts[i]));
  }
  return names;
}

std::vector<std::string> ParameterPaths(const v1::Study& study) {
  std::vector<std::string> paths;
  for (const v1::Parameter& parameter : study.search().parameters()) {
    paths.push_back(parameter.path());
  }
  return paths;
}

}  // namespace headstart::client
