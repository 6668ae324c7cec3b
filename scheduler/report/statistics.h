// The statistics of comparisons: means, tests of two samples, corrections for
// many tests, intervals.
//
// Pure functions over samples of doubles; a sample is one number per run, such
// as its best accuracy. Values are finite, but for MannWhitney and
// VarghaDelaney, which only compare and take infinities too; NaN never goes in
// and never comes out. All p are two-sided. Where there is too little to say
// anything the answer is absent.
//
// A spread of at most 1e-12 of the largest magnitude is rounding of doubles and
// counts as none: three runs that gained 0.02 each gained the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace headstart::scheduler {

using Sample = absl::Span<const double>;

// Absent for no values.
std::optional<double> Mean(Sample values);
// With n - 1. Absent below two values; 0 exactly where all are equal.
std::optional<double> SampleStandardDeviation(Sample values);
// Whether the values differ by more than rounding.
bool HasSpread(Sample values);

// A t test.
struct TTest {
  double t = 0;
  double degrees_of_freedom = 0;
  double p = 1;
};

// Whether the mean of first[i] - second[i] is 0 (Student 1908): t = mean /
// (sd / sqrt(n)) with n - 1 degrees of freedom. Above 0 where the first is
// larger. Absent below two pairs.
//
// Differences without spread: p = 1 and t = 0 where they are 0; else p = 0 and
// t is infinite, with the sign of the difference.
//
// Both samples have the same size.
std::optional<TTest> PairedT(Sample first, Sample second);

// Whether two means are equal, without assuming equal variances (Welch 1947;
// degrees of freedom by Satterthwaite 1946). Absent where a sample has fewer
// than two values.
//
// Neither sample with spread: as in PairedT, with n + m - 2 degrees of freedom.
std::optional<TTest> WelchT(Sample first, Sample second);

// How the p of a Mann-Whitney test was found.
inline constexpr absl::string_view kExact = "exact";
inline constexpr absl::string_view kExactWithTies =
    "exact, with ties by enumeration";
inline constexpr absl::string_view kNormal =
    "normal approximation with continuity correction";
inline constexpr absl::string_view kNormalUncorrected =
    "normal approximation without continuity correction";

// A Mann-Whitney test.
struct MannWhitneyTest {
  // Pairs (i, j) in which first[i] is above second[j], ties half: 0 to n * m.
  double u = 0;
  double p = 1;
  absl::string_view method;  // One of the above.
};

// Values of both samples together up to which p is found exactly: some
// milliseconds of work.
inline constexpr int64_t kExactValuesMax = 80;

// Whether values of one sample tend to be above those of the other (Mann and
// Whitney 1947). Absent where a sample has fewer than two values.
//
// p is the share, among all ways to choose n of the n + m values, of those
// whose U is at least as far from its mean n * m / 2 as the observed one. Up to
// kExactValuesMax values they are counted, tied values at their midranks;
// beyond, MannWhitneyNormal says. All values equal: U = n * m / 2 and p = 1.
std::optional<MannWhitneyTest> MannWhitney(Sample first, Sample second);

enum class ContinuityCorrection { kYes, kNo };

// The same with p from a normal distribution whose variance is corrected for
// ties, n m / 12 (N + 1 - sum(t^3 - t) / (N (N - 1))) with N = n + m and the
// size t of each group of ties (Lehmann 1975); the continuity correction takes
// 1/2 off the distance from the mean.
std::optional<MannWhitneyTest> MannWhitneyNormal(
    Sample first, Sample second, ContinuityCorrection correction);

// p-values corrected for being several, in the order given (Holm 1979): the
// chance of even one false alarm stays below the level that they are read at.
// The i-th smallest of m becomes the largest of min(1, (m - j + 1) p_j) over
// j <= i.
std::vector<double> HolmCorrected(absl::Span<const double> p);

// A: how often a value of the first sample is above one of the second, ties
// half (Vargha and Delaney 2000); U / (n m). 0.5: neither. Absent where a
// sample is empty.
std::optional<double> VarghaDelaney(Sample first, Sample second);

struct Interval {
  double low = 0;
  double high = 0;
};

// Intervals that hold a mean with 95 % confidence: the 2.5th and 97.5th
// percentiles (between order statistics linearly) of the means of 10,000
// samples of the same size drawn from the sample with replacement (Efron
// 1979).
//
// The draws are always the same, at addresses of a RandomStream, so equal
// samples have equal intervals whatever else was asked. They are kept: asking
// for many intervals over equally many runs draws once.
class Bootstrap {
 public:
  static constexpr int64_t kResamples = 10000;

  // Absent below two values.
  std::optional<Interval> OfMean(Sample values);
  // mean(first) - mean(second) of pairs, which are drawn together: the interval
  // of the mean difference. Both have the same size; absent below two pairs.
  std::optional<Interval> OfPairedDifference(Sample first, Sample second);
  // The same of samples without pairs, each drawn by itself. Absent where one
  // has fewer than two values.
  std::optional<Interval> OfDifference(Sample first, Sample second);

 private:
  // Which of two samples: they must not be drawn alike.
  enum class Side { kFirst, kSecond };

  // kResamples times `size` places in a sample, one resample after the other.
  const std::vector<uint32_t>& Draws(Side side, int64_t size);
  // The mean of each resample minus that of the sample.
  std::vector<double> Deviations(Side side, Sample values);

  std::map<std::pair<Side, int64_t>, std::vector<uint32_t>> draws_;
};

}  // namespace headstart::scheduler
