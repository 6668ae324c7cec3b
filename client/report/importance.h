// How much a study's objective depends on each searched value: a first look,
// from ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {

// Ranks from 1 on, smallest first; equal values share the mean of theirs.
std::vector<double> MidRanks(absl::Span<const double> values);

// Spearman's rank correlation, -1 to 1: the correlation of mid-ranks. NaN when
// one side is constant.
double RankCorrelation(absl::Span<const double> a, absl::Span<const double> b);

// Share of the variance of `values`' ranks that lies between groups, 0 to 1
// (eta squared of ranks: the H of Kruskal and Wallis over n - 1). NaN when all
// values are equal.
double RankVarianceBetween(absl::Span<const double> values,
                           absl::Span<const int64_t> groups);

struct ParameterImportance {
  std::string path;
  // Share of the variance of the objective's ranks: the square of Spearman's
  // correlation for numbers, the variance between groups for choices.
  double share = 0;
  // What `share` would be on average if the parameter had no influence.
  double share_by_chance = 0;
  // Of numbers: above 0 when larger values are better.
  std::optional<double> correlation;
  int64_t group_count = 0;  // Of choices.
};

struct ImportanceReport {
  // The objective is compared after this epoch: the last that three quarters of
  // the trials have reached, so that trials are compared after equal training.
  int64_t epoch = 0;
  int64_t trial_count = 0;
  // Of those: INFEASIBLE before `epoch`, ranked below all others.
  int64_t infeasible_count = 0;
  // The most important first. Empty with fewer than 8 trials. Parameters that
  // had one value only, or that some trial lacks, are not among them.
  std::vector<ParameterImportance> parameters;
};

ImportanceReport ImportanceOf(const v1::Study& study,
                              absl::Span<const v1::Trial> trials);

}  // namespace headstart::client
