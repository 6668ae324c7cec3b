// MakeComparisonReport: what the runs of a comparison say, with the statistics.
#pragma once

#include <cstdint>
#include <vector>

#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/training.pb.h"

namespace headstart::scheduler {

// One arm of a comparison with its runs.
struct ReportArm {
  // With label, training_name and, where weights are a checkpoint's,
  // source_checkpoint.
  v1::ComparisonArm arm;
  // In full, with the epochs of its runs.
  v1::Training training;
  // Epochs that the weights it starts from had been trained for; 0 where they
  // are drawn.
  int64_t start_epoch = 0;
};

// The report on what is measured so far. Pure: equal arguments, equal report.
//
// `arms` are the comparison's, in its order. The comparison is one that was
// accepted: metric set, labels and seeds unlike each other, `baseline` a label
// or empty (then the first arm).
//
// A run counts once it has SUCCEEDED; the others are listed with the reason why
// they do not. Runs of two arms with one seed are a pair. Accuracies are
// shares, 0 to 1, in all fields; texts give percent.
//
// In times, a run that counts and never reached the target is in no mean and no
// t test; Mann-Whitney and the effect size put it behind all runs that did,
// tied with the others that did not. `time_comparison` is also absent where no
// run of either arm reached the target.
//
// The interval of a difference is of pairs where every run has a partner, else
// of two samples.
v1::ComparisonReport MakeComparisonReport(const v1::Comparison& comparison,
                                          const std::vector<ReportArm>& arms);

}  // namespace headstart::scheduler
