#include "scheduler/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <boost/math/distributions/complement.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/policies/policy.hpp>

#include "base/check.h"
#include "base/random_stream.h"

namespace headstart::scheduler {
namespace {

constexpr double kRounding = 1e-12;

// Nothing throws: arguments are finite, and what underflows is 0.
using Quiet = boost::math::policies::policy<
    boost::math::policies::domain_error<boost::math::policies::ignore_error>,
    boost::math::policies::pole_error<boost::math::policies::ignore_error>,
    boost::math::policies::overflow_error<boost::math::policies::ignore_error>,
    boost::math::policies::evaluation_error<
        boost::math::policies::ignore_error>>;
using StudentsT = boost::math::students_t_distribution<double, Quiet>;
using Normal = boost::math::normal_distribution<double, Quiet>;

double TwoSidedT(double t, double degrees_of_freedom) {
  const StudentsT distribution(degrees_of_freedom);
  return std::min(1.0, 2 * cdf(complement(distribution, std::abs(t))));
}

double LargestMagnitude(Sample values) {
  double largest = 0;
  for (const double value : values) {
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

// Largest minus smallest.
double Range(Sample values) {
  if (values.empty()) return 0;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *high - *low;
}

std::vector<double> Differences(Sample first, Sample second) {
  HS_CHECK(first.size() == second.size());
  std::vector<double> differences(first.size());
  for (size_t i = 0; i < first.size(); ++i) {
    differences[i] = first[i] - second[i];
  }
  return differences;
}

// A t test of samples without spread, whose means differ by `difference`.
TTest WithoutSpread(double difference, double rounding,
                    double degrees_of_freedom) {
  if (std::abs(difference) <= rounding) return {0, degrees_of_freedom, 1};
  return {std::copysign(std::numeric_limits<double>::infinity(), difference),
          degrees_of_freedom, 0};
}

// Two samples in one order, without their values: twice the midrank of each
// value, so that all are whole.
struct Ranks {
  std::vector<int64_t> doubled;  // Ascending, of both samples.
  int64_t doubled_u = 0;         // 2 U of the first sample.
  bool tied = false;
  double tie_sum = 0;  // Sum of t^3 - t over groups of ties.
};

Ranks RanksOf(Sample first, Sample second) {
  struct Entry {
    double value;
    bool of_first;
  };
  std::vector<Entry> entries;
  entries.reserve(first.size() + second.size());
  for (const double value : first) entries.push_back({value, true});
  for (const double value : second) entries.push_back({value, false});
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.value < b.value; });

  Ranks ranks;
  ranks.doubled.reserve(entries.size());
  const auto size = static_cast<int64_t>(entries.size());
  for (int64_t begin = 0; begin < size;) {
    int64_t end = begin + 1;
    while (end < size && entries[end].value == entries[begin].value) ++end;
    const auto group = static_cast<double>(end - begin);
    ranks.tied |= end - begin > 1;
    ranks.tie_sum += group * group * group - group;
    // Ranks begin + 1 .. end, whose mean is half of this.
    const int64_t doubled = begin + 1 + end;
    for (; begin < end; ++begin) {
      ranks.doubled.push_back(doubled);
      if (entries[begin].of_first) ranks.doubled_u += doubled;
    }
  }
  const auto n = static_cast<int64_t>(first.size());
  ranks.doubled_u -= n * (n + 1);
  return ranks;
}

// The exact p of MannWhitney. Counts, value by value, how many choices of k of
// the values so far have each sum of ranks, as Mann and Whitney's recursion
// does; with midranks it counts what enumeration of all choices would.
double ExactP(const Ranks& ranks, int64_t n) {
  const auto size = static_cast<int64_t>(ranks.doubled.size());
  const int64_t m = size - n;
  // The same p from the other sample's ranks: fewer counts for the smaller.
  const int64_t chosen = std::min(n, m);
  const int64_t sum_max = std::accumulate(ranks.doubled.end() - chosen,
                                          ranks.doubled.end(), int64_t{0});
  // counts[k][s]: choices of k values whose doubled ranks have the sum s.
  // Doubles: they pass 2^63, and sums of positive numbers stay accurate.
  std::vector<std::vector<double>> counts(
      chosen + 1, std::vector<double>(sum_max + 1, 0.0));
  std::vector<int64_t> largest(chosen + 1, -1);  // Sum reached with k so far.
  counts[0][0] = 1;
  largest[0] = 0;
  for (const int64_t rank : ranks.doubled) {
    for (int64_t k = chosen; k >= 1; --k) {
      if (largest[k - 1] < 0) continue;
      const int64_t end = std::min(largest[k - 1], sum_max - rank);
      for (int64_t sum = 0; sum <= end; ++sum) {
        counts[k][sum + rank] += counts[k - 1][sum];
      }
      largest[k] = std::max(largest[k], end + rank);
    }
  }
  const int64_t distance = std::abs(ranks.doubled_u - n * m);
  double far = 0, all = 0;
  for (int64_t sum = 0; sum <= sum_max; ++sum) {
    const int64_t doubled_u = sum - chosen * (chosen + 1);
    all += counts[chosen][sum];
    if (std::abs(doubled_u - n * m) >= distance) far += counts[chosen][sum];
  }
  return std::min(1.0, far / all);
}

double NormalP(const Ranks& ranks, int64_t n, ContinuityCorrection correction) {
  const auto size = static_cast<double>(ranks.doubled.size());
  const double pairs = static_cast<double>(n) * (size - static_cast<double>(n));
  const double variance =
      pairs / 12 * (size + 1 - ranks.tie_sum / (size * (size - 1)));
  // All values equal: 0, or what rounding leaves of it.
  if (ranks.doubled.front() == ranks.doubled.back()) return 1;
  double distance =
      std::abs(static_cast<double>(ranks.doubled_u) / 2 - pairs / 2);
  if (correction == ContinuityCorrection::kYes) {
    distance = std::max(0.0, distance - 0.5);
  }
  const double z = distance / std::sqrt(variance);
  return std::min(1.0, 2 * cdf(complement(Normal(), z)));
}

// The q-th quantile, between order statistics linearly. Reorders the values.
double Quantile(std::vector<double>& values, double q) {
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const auto at = values.begin() + static_cast<int64_t>(below);
  std::nth_element(values.begin(), at, values.end());
  const double low = *at;
  if (below + 1 == values.size()) return low;
  const double high = *std::min_element(at + 1, values.end());
  return low + (place - static_cast<double>(below)) * (high - low);
}

Interval Around(double mean, std::vector<double> deviations) {
  Interval interval;
  interval.low = mean + Quantile(deviations, 0.025);
  interval.high = mean + Quantile(deviations, 0.975);
  return interval;
}

}  // namespace

std::optional<double> Mean(Sample values) {
  if (values.empty()) return std::nullopt;
  // From the first value on, so that equal values have exactly that mean.
  double sum = 0;
  for (const double value : values) sum += value - values[0];
  return values[0] + sum / static_cast<double>(values.size());
}

std::optional<double> SampleStandardDeviation(Sample values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = *Mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

bool HasSpread(Sample values) {
  return Range(values) > kRounding * LargestMagnitude(values);
}

std::optional<TTest> PairedT(Sample first, Sample second) {
  const std::vector<double> differences = Differences(first, second);
  if (differences.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  const double mean = *Mean(differences);
  // Of what was subtracted: differences of accuracies carry the rounding of
  // the accuracies.
  const double rounding =
      kRounding * std::max(LargestMagnitude(first), LargestMagnitude(second));
  const double deviation = *SampleStandardDeviation(differences);
  if (Range(differences) <= rounding || deviation == 0) {
    return WithoutSpread(mean, rounding, n - 1);
  }
  TTest test;
  test.t = mean / (deviation / std::sqrt(n));
  test.degrees_of_freedom = n - 1;
  test.p = TwoSidedT(test.t, test.degrees_of_freedom);
  return test;
}

std::optional<TTest> WelchT(Sample first, Sample second) {
  if (first.size() < 2 || second.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(first.size());
  const auto m = static_cast<double>(second.size());
  const double difference = *Mean(first) - *Mean(second);
  // Squared standard errors of both means.
  const double first_error = std::pow(*SampleStandardDeviation(first), 2) / n;
  const double second_error = std::pow(*SampleStandardDeviation(second), 2) / m;
  const double error = first_error + second_error;
  if ((!HasSpread(first) && !HasSpread(second)) || error == 0) {
    const double rounding =
        kRounding * std::max(LargestMagnitude(first), LargestMagnitude(second));
    return WithoutSpread(difference, rounding, n + m - 2);
  }
  // Shares first, so that small variances do not underflow when squared.
  const double first_share = first_error / error;
  const double second_share = second_error / error;
  TTest test;
  test.t = difference / std::sqrt(error);
  test.degrees_of_freedom = 1 / (first_share * first_share / (n - 1) +
                                 second_share * second_share / (m - 1));
  test.p = TwoSidedT(test.t, test.degrees_of_freedom);
  return test;
}

std::optional<MannWhitneyTest> MannWhitney(Sample first, Sample second) {
  if (first.size() < 2 || second.size() < 2) return std::nullopt;
  if (static_cast<int64_t>(first.size() + second.size()) > kExactValuesMax) {
    return MannWhitneyNormal(first, second, ContinuityCorrection::kYes);
  }
  const Ranks ranks = RanksOf(first, second);
  MannWhitneyTest test;
  test.u = static_cast<double>(ranks.doubled_u) / 2;
  test.p = ExactP(ranks, static_cast<int64_t>(first.size()));
  test.method = ranks.tied ? kExactWithTies : kExact;
  return test;
}

std::optional<MannWhitneyTest> MannWhitneyNormal(
    Sample first, Sample second, ContinuityCorrection correction) {
  if (first.size() < 2 || second.size() < 2) return std::nullopt;
  const Ranks ranks = RanksOf(first, second);
  MannWhitneyTest test;
  test.u = static_cast<double>(ranks.doubled_u) / 2;
  test.p = NormalP(ranks, static_cast<int64_t>(first.size()), correction);
  test.method =
      correction == ContinuityCorrection::kYes ? kNormal : kNormalUncorrected;
  return test;
}

std::vector<double> HolmCorrected(absl::Span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size());
  double largest = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto left = static_cast<double>(p.size() - i);
    largest = std::max(largest, std::min(1.0, left * p[order[i]]));
    corrected[order[i]] = largest;
  }
  return corrected;
}

std::optional<double> VarghaDelaney(Sample first, Sample second) {
  if (first.empty() || second.empty()) return std::nullopt;
  return static_cast<double>(RanksOf(first, second).doubled_u) / 2 /
         static_cast<double>(first.size() * second.size());
}

std::optional<Interval> Bootstrap::OfMean(Sample values) {
  if (values.size() < 2) return std::nullopt;
  return Around(*Mean(values), Deviations(Side::kFirst, values));
}

std::optional<Interval> Bootstrap::OfPairedDifference(Sample first,
                                                      Sample second) {
  return OfMean(Differences(first, second));
}

std::optional<Interval> Bootstrap::OfDifference(Sample first, Sample second) {
  if (first.size() < 2 || second.size() < 2) return std::nullopt;
  std::vector<double> deviations = Deviations(Side::kFirst, first);
  const std::vector<double> others = Deviations(Side::kSecond, second);
  for (size_t i = 0; i < deviations.size(); ++i) deviations[i] -= others[i];
  return Around(*Mean(first) - *Mean(second), std::move(deviations));
}

const std::vector<uint32_t>& Bootstrap::Draws(Side side, int64_t size) {
  std::vector<uint32_t>& draws = draws_[{side, size}];
  if (draws.empty()) {
    RandomStream stream = RandomStream(0).Child(
        side == Side::kFirst ? "bootstrap.first" : "bootstrap.second", size);
    draws.resize(kResamples * size);
    for (uint32_t& draw : draws) {
      draw = static_cast<uint32_t>(stream.UniformInt(size));
    }
  }
  return draws;
}

std::vector<double> Bootstrap::Deviations(Side side, Sample values) {
  const auto size = static_cast<int64_t>(values.size());
  const double mean = *Mean(values);
  std::vector<double> from_mean(values.begin(), values.end());
  for (double& value : from_mean) value -= mean;
  const std::vector<uint32_t>& draws = Draws(side, size);
  std::vector<double> deviations(kResamples);
  auto draw = draws.begin();
  for (double& deviation : deviations) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += from_mean[*draw++];
    deviation = sum / static_cast<double>(size);
  }
  return deviations;
}

}  // namespace headstart::scheduler
