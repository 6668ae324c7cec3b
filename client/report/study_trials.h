// What a study's report takes from its trials: objectives, their order, rungs,
// and searched values as people read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {

// "validation accuracy".
std::string ObjectiveName(const v1::Objective& objective);

// Whether it is a share that is shown in percent.
bool IsInPercent(const v1::Objective& objective);

// "97.88 %", "0.0813", "–".
std::string ObjectiveDigits(const v1::Objective& objective,
                            std::optional<double> value);

// None where it was not measured.
std::optional<double> ObjectiveIn(const v1::Measurement& measurement,
                                  const v1::Objective& objective);
// After `epoch`, from the trial's records.
std::optional<double> ObjectiveAt(const v1::Trial& trial, int64_t epoch,
                                  const v1::Objective& objective);

// Larger is better, whatever the goal.
double Goodness(double value, const v1::Objective& objective);

// The epochs at which ASHA compares trials, the last epoch too; of other
// methods the last epoch alone.
std::vector<int64_t> RungsOf(const v1::Study& study);

// The highest of `rungs` that the trial has reached; 0 for none.
int64_t RungReached(const v1::Trial& trial, absl::Span<const int64_t> rungs);

// Those with an objective, the best first: by the study's ranking, and the one
// that the study calls its best before all.
std::vector<const v1::Trial*> BestFirst(const v1::Study& study,
                                        absl::Span<const v1::Trial> trials);

// "trial 12" of studies/7/trials/12.
std::string TrialText(const v1::Trial& trial);

// Null when the trial has none.
const v1::ParameterValue* ValueAt(const v1::Trial& trial,
                                  absl::string_view path);

// A searched value: "0.01324", "xavier_normal" for {"xavier_normal":{}}; at
// most 28 characters.
std::string ShortValue(absl::string_view value);

// As many parts of each path, from its end, as tell it from the others:
// "learning_rate" of optimizer.adam.learning_rate.
std::vector<std::string> ShortPaths(const std::vector<std::string>& paths);

// Of the study's parameters, in their order.
std::vector<std::string> ParameterPaths(const v1::Study& study);

}  // namespace headstart::client
