// The figures of a study's report.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "client/plot/figure.h"
#include "client/report/importance.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {

// In each: without panels when there is nothing to show. Trials beyond some
// hundreds are thinned out evenly from the best to the worst, so that pages
// stay small; the best are always drawn.

// The best objective of all epochs recorded so far, and where trials are now.
Figure ProgressFigure(const v1::Study& study,
                      absl::Span<const v1::Trial> trials);

// A line per trial, one colour for each rung reached.
Figure LearningCurvesFigure(const v1::Study& study,
                            absl::Span<const v1::Trial> trials);

// Parallel coordinates: an axis per parameter (the 8 most important) and one
// for the objective, a line per trial.
Figure ValuesFigure(const v1::Study& study, absl::Span<const v1::Trial> trials,
                    const ImportanceReport& importance);

// A bar per parameter.
Figure ImportanceFigure(const ImportanceReport& importance);

}  // namespace headstart::client
