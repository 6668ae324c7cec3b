#include "client/report/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "absl/strings/numbers.h"
#include "base/check.h"
#include "client/report/study_trials.h"

namespace headstart::client {
namespace {

constexpr int64_t kTrialsMin = 8;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double MeanOf(absl::Span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// The last epoch that three quarters of the trials with an epoch have reached.
int64_t CommonEpoch(absl::Span<const v1::Trial> trials) {
  std::vector<int64_t> epochs;
  for (const v1::Trial& trial : trials) {
    if (trial.epoch() > 0) epochs.push_back(trial.epoch());
  }
  if (epochs.empty()) return 0;
  std::sort(epochs.rbegin(), epochs.rend());
  return epochs[(3 * epochs.size() + 3) / 4 - 1];
}

struct Sample {
  const v1::Trial* trial;
  double goodness;
};

bool IsChoice(const v1::Parameter& parameter) { return parameter.has_choice(); }

std::optional<ParameterImportance> ImportanceOfOne(
    const v1::Parameter& parameter, const std::vector<Sample>& samples) {
  std::vector<double> goodness;
  std::vector<double> numbers;
  std::vector<int64_t> groups;
  std::map<std::string, int64_t> group_by_value;
  for (const Sample& sample : samples) {
    const v1::ParameterValue* value = ValueAt(*sample.trial, parameter.path());
    if (value == nullptr) return std::nullopt;
    double number = 0;
    if (!IsChoice(parameter) && !absl::SimpleAtod(value->value(), &number)) {
      return std::nullopt;
    }
    goodness.push_back(sample.goodness);
    numbers.push_back(number);
    groups.push_back(group_by_value
                         .emplace(value->value(),
                                  static_cast<int64_t>(group_by_value.size()))
                         .first->second);
  }
  if (group_by_value.size() < 2) return std::nullopt;

  ParameterImportance importance = {.path = parameter.path()};
  const double others = static_cast<double>(samples.size()) - 1;
  if (IsChoice(parameter)) {
    importance.group_count = static_cast<int64_t>(group_by_value.size());
    importance.share = RankVarianceBetween(goodness, groups);
    importance.share_by_chance =
        static_cast<double>(importance.group_count - 1) / others;
  } else {
    importance.correlation = RankCorrelation(numbers, goodness);
    importance.share = *importance.correlation * *importance.correlation;
    importance.share_by_chance = 1 / others;
  }
  if (std::isnan(importance.share)) return std::nullopt;
  return importance;
}

}  // namespace

std::vector<double> MidRanks(absl::Span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) {
      ++end;
    }
    for (size_t i = first; i < end; ++i) {
      ranks[order[i]] = static_cast<double>(first + end + 1) / 2;
    }
    first = end;
  }
  return ranks;
}

double RankCorrelation(absl::Span<const double> a, absl::Span<const double> b) {
  HS_CHECK_EQ(a.size(), b.size());
  if (a.empty()) return kNan;
  const std::vector<double> ranks_a = MidRanks(a);
  const std::vector<double> ranks_b = MidRanks(b);
  const double mean = MeanOf(ranks_a);  // That of the others too.
  double products = 0;
  double squares_a = 0;
  double squares_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    products += (ranks_a[i] - mean) * (ranks_b[i] - mean);
    squares_a += (ranks_a[i] - mean) * (ranks_a[i] - mean);
    squares_b += (ranks_b[i] - mean) * (ranks_b[i] - mean);
  }
  if (squares_a == 0 || squares_b == 0) return kNan;
  return products / std::sqrt(squares_a * squares_b);
}

double RankVarianceBetween(absl::Span<const double> values,
                           absl::Span<const int64_t> groups) {
  HS_CHECK_EQ(values.size(), groups.size());
  if (values.empty()) return kNan;
  const std::vector<double> ranks = MidRanks(values);
  const double mean = MeanOf(ranks);
  struct Group {
    double count = 0;
    double sum = 0;
  };
  std::map<int64_t, Group> by_group;
  double all = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    Group& group = by_group[groups[i]];
    ++group.count;
    group.sum += ranks[i];
    all += (ranks[i] - mean) * (ranks[i] - mean);
  }
  if (all == 0) return kNan;
  double between = 0;
  for (const auto& [key, group] : by_group) {
    const double distance = group.sum / group.count - mean;
    between += group.count * distance * distance;
  }
  return between / all;
}

ImportanceReport ImportanceOf(const v1::Study& study,
                              absl::Span<const v1::Trial> trials) {
  ImportanceReport report = {.epoch = CommonEpoch(trials)};
  std::vector<Sample> samples;
  for (const v1::Trial& trial : trials) {
    const std::optional<double> value =
        ObjectiveAt(trial, report.epoch, study.objective());
    if (value.has_value() && std::isfinite(*value)) {
      samples.push_back({&trial, Goodness(*value, study.objective())});
    } else if (trial.state() == v1::Trial::INFEASIBLE) {
      samples.push_back({&trial, -std::numeric_limits<double>::infinity()});
      ++report.infeasible_count;
    }
  }
  report.trial_count = static_cast<int64_t>(samples.size());
  if (report.trial_count < kTrialsMin) return report;
  for (const v1::Parameter& parameter : study.search().parameters()) {
    std::optional<ParameterImportance> importance =
        ImportanceOfOne(parameter, samples);
    if (importance.has_value()) report.parameters.push_back(*importance);
  }
  std::stable_sort(
      report.parameters.begin(), report.parameters.end(),
      [](const ParameterImportance& a, const ParameterImportance& b) {
        return a.share > b.share;
      });
  return report;
}

}  // namespace headstart::client
