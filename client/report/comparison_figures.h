// The figures of a comparison's report. An arm has the same look in all.
#pragma once

#include <vector>

#include "client/plot/figure.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

// Values over epochs: their mean over runs, and a standard deviation to either
// side of it, all in percent. Where fewer than half of the runs were measured
// there is no mean (NaN): those left may be unlike the others. `low` and `high`
// are empty with one run.
struct Curve {
  std::vector<double> epochs;
  std::vector<double> mean;
  std::vector<double> low;
  std::vector<double> high;
};

// Accuracy of the arm's runs. At most `points_max` points: of more epochs every
// second, third, ... and the last.
Curve AccuracyCurve(const v1::ArmReport& arm, int points_max);

// How far the arm's runs are above those of the baseline with the same seed.
Curve DifferenceCurve(const v1::ArmReport& arm, const v1::ArmReport& baseline,
                      int points_max);

// All arms, over all epochs.
Figure CurvesFigure(const v1::ComparisonReport& report);

// The first and the last quarter, closer. Without panels below 12 epochs.
Figure QuartersFigure(const v1::ComparisonReport& report);

// A panel per arm with its difference to the baseline. Without panels where
// there is nothing to pair, or with more arms than a page can show.
Figure DifferencesFigure(const v1::ComparisonReport& report);

// Box plots of the runs' best accuracies.
Figure BestFigure(const v1::ComparisonReport& report);

// Bars of mean times to accuracy. Without panels when there is no target or no
// run reached it.
Figure TimeFigure(const v1::ComparisonReport& report);

}  // namespace headstart::client
