#include "client/report/study_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/report/number_text.h"
#include "client/report/study_trials.h"

namespace headstart::client {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kWidth = 940;
constexpr size_t kCurvesMax = 150;
constexpr size_t kCurvePointsMax = 200;
constexpr size_t kPathsMax = 300;
constexpr size_t kDotsMax = 400;
constexpr size_t kAxesMax = 8;
constexpr size_t kAxisLabelsMax = 6;
constexpr double kLogRange = 20;  // Losses that span more get a log axis.
// Styles without dashes.
constexpr int kBestStyle = 25;
constexpr int kBetterStyle = 0;
constexpr int kWorseStyle = 30;

double Scaled(double value, const v1::Objective& objective) {
  return IsInPercent(objective) ? value * 100 : value;
}

Axis ObjectiveAxis(const v1::Objective& objective) {
  return {.label = ObjectiveName(objective),
          .unit = IsInPercent(objective) ? "%" : ""};
}

// `count` of `items`: all of the first `kept`, and of the rest at equal steps.
template <typename T>
std::vector<T> Thinned(const std::vector<T>& items, size_t kept, size_t count) {
  if (items.size() <= count) return items;
  std::vector<T> thinned(items.begin(),
                         items.begin() + static_cast<int64_t>(kept));
  const double step = static_cast<double>(items.size() - kept) /
                      static_cast<double>(count - kept);
  for (size_t i = 0; i < count - kept; ++i) {
    thinned.push_back(
        items[kept + static_cast<size_t>(static_cast<double>(i) * step)]);
  }
  return thinned;
}

// Losses that reach far up, and are all above 0, are drawn on a log axis.
void ChooseScale(Panel* panel) {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (const Line& line : panel->lines) {
    for (const double y : line.y) {
      if (!std::isfinite(y)) continue;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (panel->y.unit.empty() && low > 0 && high > kLogRange * low) {
    panel->y.scale = Scale::kLog;
  }
}

// What is worse than nine in ten points is cut off if it would take more than
// half of the panel.
void CutAstray(const v1::Objective& objective, Panel* panel) {
  std::vector<double> goodness;
  for (const Line& line : panel->lines) {
    for (const double y : line.y) {
      if (std::isfinite(y)) goodness.push_back(Goodness(y, objective));
    }
  }
  if (goodness.size() < 10) return;
  std::sort(goodness.rbegin(), goodness.rend());
  const double best = goodness.front();
  const double tenth_worst = goodness[goodness.size() * 9 / 10];
  const double usual = best - tenth_worst;
  if (usual == 0 || best - goodness.back() <= 2 * usual) return;
  const double worst_end = Goodness(tenth_worst - usual / 4, objective);
  const double best_end = Goodness(best + usual / 10, objective);
  const double low = std::min(worst_end, best_end);
  if (panel->y.scale == Scale::kLog && low <= 0) return;
  panel->y.min = low;
  panel->y.max = std::max(worst_end, best_end);
}

// Where a trial stands among `count`, best first: how its line is drawn.
struct Standing {
  const char* name;
  int style;
  bool is_best;
};

Standing StandingOf(size_t place, size_t count) {
  if (place < std::max<size_t>(1, count / 10)) {
    return {"best tenth", kBestStyle, true};
  }
  if (place < (count + 1) / 2) return {"better half", kBetterStyle, false};
  return {"worse half", kWorseStyle, false};
}

struct Placed {
  const v1::Trial* trial;
  Standing standing;
};

// The best first; at most `count_max`, with all of the first `kept`.
std::vector<Placed> PlacedTrials(const v1::Study& study,
                                 absl::Span<const v1::Trial> trials,
                                 size_t kept, size_t count_max) {
  std::vector<Placed> placed;
  for (const v1::Trial* trial : BestFirst(study, trials)) {
    placed.push_back({trial, {}});
  }
  for (size_t i = 0; i < placed.size(); ++i) {
    placed[i].standing = StandingOf(i, placed.size());
  }
  return Thinned(placed, std::min(kept, placed.size()), count_max);
}

// ----------------------------------------------------------- the values

// An axis of parallel coordinates: where on it, from 0 to 1, a value lies.
class ValueAxis {
 public:
  ValueAxis(const v1::Parameter& parameter,
            const std::vector<const v1::Trial*>& trials)
      : path_(parameter.path()) {
    if (parameter.has_double_()) {
      SetRange(parameter.double_().min(), parameter.double_().max(),
               parameter.double_().scale());
    } else if (parameter.has_integer()) {
      SetRange(static_cast<double>(parameter.integer().min()),
               static_cast<double>(parameter.integer().max()),
               parameter.integer().scale());
    } else {
      SetList(trials, parameter.has_choice());
    }
  }

  double PlaceOf(const v1::Trial& trial) const {
    const v1::ParameterValue* value = ValueAt(trial, path_);
    if (value == nullptr) return kNan;
    if (!is_range_) {
      const auto at = places_.find(value->value());
      return at == places_.end() ? kNan : at->second;
    }
    double number = 0;
    if (!absl::SimpleAtod(value->value(), &number)) return kNan;
    return (Transformed(number) - low_) / (high_ - low_);
  }

  // Place and text.
  const std::vector<std::pair<double, std::string>>& labels() const {
    return labels_;
  }

 private:
  double Transformed(double value) const {
    return is_log_ ? std::log(value) : value;
  }

  void SetRange(double min, double max, v1::Scale scale) {
    is_range_ = true;
    is_log_ = scale == v1::LOG && min > 0;
    low_ = Transformed(min);
    high_ = Transformed(max);
    labels_ = {{0, ShortText(min)}, {1, ShortText(max)}};
    const double middle = (low_ + high_) / 2;
    labels_.emplace_back(0.5, ShortText(is_log_ ? std::exp(middle) : middle));
  }

  // The values that trials have, evenly spaced; numbers by size, choices in the
  // order of trials.
  void SetList(const std::vector<const v1::Trial*>& trials, bool is_choice) {
    std::vector<std::string> values;
    for (const v1::Trial* trial : trials) {
      const v1::ParameterValue* value = ValueAt(*trial, path_);
      if (value != nullptr && places_.emplace(value->value(), 0).second) {
        values.push_back(value->value());
      }
    }
    if (is_choice) {
      std::sort(values.begin(), values.end());
    } else {
      std::stable_sort(values.begin(), values.end(),
                       [](const std::string& a, const std::string& b) {
                         double x = 0;
                         double y = 0;
                         return absl::SimpleAtod(a, &x) &&
                                absl::SimpleAtod(b, &y) && x < y;
                       });
    }
    const size_t every = (values.size() + kAxisLabelsMax - 1) / kAxisLabelsMax;
    for (size_t i = 0; i < values.size(); ++i) {
      const double place =
          values.size() == 1
              ? 0.5
              : static_cast<double>(i) / static_cast<double>(values.size() - 1);
      places_[values[i]] = place;
      if (i % every == 0) labels_.emplace_back(place, ShortValue(values[i]));
    }
  }

  std::string path_;
  bool is_range_ = false;
  bool is_log_ = false;
  double low_ = 0;
  double high_ = 0;
  std::map<std::string, double> places_;
  std::vector<std::pair<double, std::string>> labels_;
};

// The objective's axis: the best above. What is worse than nine in ten trials
// lies at the lower end, so that a few that went astray do not squeeze the
// rest.
struct ObjectiveScale {
  double best = 0;
  double worst = 0;
  bool is_cut = false;

  double PlaceOf(double goodness) const {
    if (best == worst) return 1;
    return std::max(0.0, (goodness - worst) / (best - worst));
  }
};

ObjectiveScale ScaleOf(const std::vector<const v1::Trial*>& trials,
                       const v1::Objective& objective) {
  std::vector<double> goodness;
  for (const v1::Trial* trial : trials) {
    goodness.push_back(Goodness(trial->objective(), objective));
  }
  std::sort(goodness.rbegin(), goodness.rend());
  const size_t at =
      goodness.size() < 10 ? goodness.size() - 1 : goodness.size() * 9 / 10;
  return {.best = goodness.front(),
          .worst = goodness[at],
          .is_cut = goodness[at] > goodness.back()};
}

std::vector<const v1::Parameter*> MostImportant(
    const v1::Study& study, const ImportanceReport& importance) {
  std::vector<const v1::Parameter*> chosen;
  for (const v1::Parameter& parameter : study.search().parameters()) {
    chosen.push_back(&parameter);
  }
  if (chosen.size() <= kAxesMax) return chosen;
  const auto place = [&](const v1::Parameter* parameter) {
    for (size_t i = 0; i < importance.parameters.size(); ++i) {
      if (importance.parameters[i].path == parameter->path()) return i;
    }
    return importance.parameters.size();
  };
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](const v1::Parameter* a, const v1::Parameter* b) {
                     return place(a) < place(b);
                   });
  chosen.resize(kAxesMax);
  return chosen;
}

}  // namespace

Figure ProgressFigure(const v1::Study& study,
                      absl::Span<const v1::Trial> trials) {
  struct Record {
    int64_t seconds;
    int32_t nanos;
    int64_t trial;
    int64_t epoch;
    double value;
    bool is_last;

    auto Order() const { return std::tie(seconds, nanos, trial, epoch); }
  };
  const v1::Objective& objective = study.objective();
  std::vector<Record> records;
  for (size_t i = 0; i < trials.size(); ++i) {
    for (const v1::EpochRecord& record : trials[i].epochs()) {
      if (record.epoch() < 1) continue;  // Not trained yet.
      records.push_back(
          {.seconds = record.record_time().seconds(),
           .nanos = record.record_time().nanos(),
           .trial = static_cast<int64_t>(i),
           .epoch = record.epoch(),
           .value = ObjectiveIn(record.measurement(), objective).value_or(kNan),
           .is_last = record.epoch() == trials[i].epoch()});
    }
  }
  Figure figure = {.width = kWidth, .panel_height = 240};
  if (records.empty()) return figure;
  std::sort(
      records.begin(), records.end(),
      [](const Record& a, const Record& b) { return a.Order() < b.Order(); });

  Line best = {.name = "best so far", .style = kBestStyle};
  std::vector<std::pair<double, double>> ends;
  double best_value = kNan;
  for (size_t i = 0; i < records.size(); ++i) {
    const double value = records[i].value;
    const auto x = static_cast<double>(i + 1);
    if (std::isfinite(value)) {
      if (records[i].is_last) ends.emplace_back(x, Scaled(value, objective));
      if (std::isnan(best_value) ||
          Goodness(value, objective) > Goodness(best_value, objective)) {
        if (!std::isnan(best_value)) {  // A step has two corners.
          best.x.push_back(x);
          best.y.push_back(Scaled(best_value, objective));
        }
        best_value = value;
        best.x.push_back(x);
        best.y.push_back(Scaled(value, objective));
      }
    }
  }
  if (best.x.empty()) return figure;
  best.x.push_back(static_cast<double>(records.size()));
  best.y.push_back(Scaled(best_value, objective));
  Line dots = {.name = "last epoch of a trial",
               .draw = Line::Draw::kMarkers,
               .style = 0};
  for (const auto& [x, y] : Thinned(ends, 0, kDotsMax)) {
    dots.x.push_back(x);
    dots.y.push_back(y);
  }
  Panel panel = {.x = {.label = "epochs recorded, over all trials"},
                 .y = ObjectiveAxis(objective),
                 .lines = {std::move(dots), std::move(best)}};
  ChooseScale(&panel);
  CutAstray(objective, &panel);
  figure.panels = {std::move(panel)};
  return figure;
}

Figure LearningCurvesFigure(const v1::Study& study,
                            absl::Span<const v1::Trial> trials) {
  const v1::Objective& objective = study.objective();
  const std::vector<int64_t> rungs = RungsOf(study);
  std::map<int64_t, int64_t> counts;  // Trials per rung reached.
  for (const v1::Trial* trial : BestFirst(study, trials)) {
    ++counts[RungReached(*trial, rungs)];
  }
  const std::vector<Placed> placed =
      PlacedTrials(study, trials, /*kept=*/20, kCurvesMax);

  Panel panel = {.x = {.label = "epoch"}, .y = ObjectiveAxis(objective)};
  // The best last, over the others.
  for (auto at = placed.rbegin(); at != placed.rend(); ++at) {
    const v1::Trial& trial = *at->trial;
    Line line;
    if (counts.size() == 1) {
      line = {.name = at->standing.name,
              .faint = !at->standing.is_best,
              .style = at->standing.style};
    } else {
      const int64_t reached = RungReached(trial, rungs);
      const auto rungs_above = static_cast<int>(
          std::distance(counts.upper_bound(reached), counts.end()));
      line = {.name = absl::StrCat(
                  reached == 0 ? absl::StrCat("not yet at epoch ",
                                              rungs.empty() ? 1 : rungs.front())
                               : absl::StrCat("reached epoch ", reached),
                  " (", CountText(counts[reached], "trial"), ")"),
              .faint = rungs_above > 0 || counts[reached] > 10};
      line.style = rungs_above == 0   ? kBestStyle
                   : rungs_above == 1 ? kBetterStyle
                                      : rungs_above;
    }
    const size_t step = (trial.epochs_size() + kCurvePointsMax - 1) /
                        std::max<size_t>(kCurvePointsMax, 1);
    for (int i = 0; i < trial.epochs_size(); ++i) {
      const v1::EpochRecord& record = trial.epochs(i);
      const bool is_last = i + 1 == trial.epochs_size();
      if (record.epoch() < 1 || (!is_last && step > 1 && i % step != 0)) {
        continue;
      }
      line.x.push_back(static_cast<double>(record.epoch()));
      line.y.push_back(
          Scaled(ObjectiveIn(record.measurement(), objective).value_or(kNan),
                 objective));
    }
    if (line.x.empty()) continue;
    // A faint line of one point would hardly be seen.
    if (line.x.size() == 1) line.faint = false;
    panel.lines.push_back(std::move(line));
  }
  Figure figure = {.width = kWidth, .panel_height = 300};
  if (panel.lines.empty()) return figure;
  ChooseScale(&panel);
  CutAstray(objective, &panel);
  figure.panels = {std::move(panel)};
  return figure;
}

Figure ValuesFigure(const v1::Study& study, absl::Span<const v1::Trial> trials,
                    const ImportanceReport& importance) {
  Figure figure = {.width = kWidth, .panel_height = 320};
  const v1::Objective& objective = study.objective();
  const std::vector<const v1::Trial*> sorted = BestFirst(study, trials);
  const std::vector<const v1::Parameter*> parameters =
      MostImportant(study, importance);
  if (sorted.size() < 2 || parameters.empty()) return figure;

  std::vector<std::string> paths;
  std::vector<ValueAxis> axes;
  Panel panel;
  for (const v1::Parameter* parameter : parameters) {
    const auto x = static_cast<double>(axes.size());
    paths.push_back(parameter->path());
    axes.emplace_back(*parameter, sorted);
    for (const auto& [place, text] : axes.back().labels()) {
      panel.labels.push_back({x, place, text});
    }
    panel.vertical_rules.push_back({x});
  }
  const ObjectiveScale scale = ScaleOf(sorted, objective);
  const auto x = static_cast<double>(axes.size());
  panel.vertical_rules.push_back({x});
  panel.labels.push_back(
      {x, 1, ObjectiveDigits(objective, Goodness(scale.best, objective))});
  panel.labels.push_back(
      {x, 0,
       absl::StrCat(
           !scale.is_cut                                 ? ""
           : objective.goal() == v1::Objective::MINIMIZE ? "≥ "
                                                         : "≤ ",
           ObjectiveDigits(objective, Goodness(scale.worst, objective)))});
  panel.x.categories = ShortPaths(paths);
  panel.x.categories.push_back(ObjectiveName(objective));
  // An axis of its own stands at each place; this one says nothing.
  panel.y = {.min = -0.06, .max = 1.06, .ticks = {{0}, {1}}};

  const std::vector<Placed> placed =
      PlacedTrials(study, trials, kPathsMax / 2, kPathsMax);
  for (auto at = placed.rbegin(); at != placed.rend(); ++at) {
    Line line = {.name = at->standing.name,
                 .faint = !at->standing.is_best,
                 .style = at->standing.style};
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      line.x.push_back(static_cast<double>(axis));
      line.y.push_back(axes[axis].PlaceOf(*at->trial));
    }
    line.x.push_back(x);
    line.y.push_back(
        scale.PlaceOf(Goodness(at->trial->objective(), objective)));
    panel.lines.push_back(std::move(line));
  }
  figure.panels = {std::move(panel)};
  return figure;
}

Figure ImportanceFigure(const ImportanceReport& importance) {
  Figure figure = {.width = kWidth, .panel_height = 200};
  if (importance.parameters.empty()) return figure;
  std::vector<std::string> paths;
  Bars share = {.name = "share of the ranks’ variance"};
  Bars chance = {.name = "without any influence, on average"};
  for (const ParameterImportance& parameter : importance.parameters) {
    paths.push_back(parameter.path);
    share.y.push_back(parameter.share * 100);
    chance.y.push_back(parameter.share_by_chance * 100);
  }
  figure.panels = {{.x = {.categories = ShortPaths(paths)},
                    .y = {.label = "explained", .unit = "%"},
                    .bars = {std::move(share), std::move(chance)}}};
  return figure;
}

}  // namespace headstart::client
