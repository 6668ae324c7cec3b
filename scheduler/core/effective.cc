#include "scheduler/core/effective.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "scheduler/search/spec_facts.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

absl::Status CheckCount(absl::string_view field, int64_t recorded,
                        int64_t used) {
  if (recorded == used) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(field, ": the spec gives ", recorded,
                                          ", the trainer uses ", used, "."));
}

}  // namespace

double FirstLearningRate(const v1::TrainingSpec& training, int64_t from_epoch) {
  const v1::Optimizer& optimizer = training.optimizer();
  const double rate = optimizer.has_sgd() ? optimizer.sgd().learning_rate()
                                          : optimizer.adam().learning_rate();
  if (!training.schedule().has_cosine()) return rate;
  const v1::CosineSchedule& cosine = training.schedule().cosine();
  const double point =
      std::min(1.0, static_cast<double>(from_epoch) /
                        static_cast<double>(cosine.period_epochs()));
  const double last = cosine.final_learning_rate();
  return last + (rate - last) * (1 + std::cos(std::numbers::pi * point)) / 2;
}

absl::Status CheckEffective(const v1::TrainingSpec& training,
                            int64_t from_epoch,
                            const v1::EffectiveValues& effective) {
  const double rate = FirstLearningRate(training, from_epoch);
  // Both sides compute in doubles, in their own order.
  if (!(std::abs(effective.learning_rate() - rate) <=
        1e-9 * std::abs(rate) + 1e-15)) {
    return absl::InternalError(
        absl::StrCat("learning_rate: the spec gives ", DoubleText(rate),
                     " after epoch ", from_epoch, ", the trainer uses ",
                     DoubleText(effective.learning_rate()), "."));
  }
  HS_RETURN_IF_ERROR(
      CheckCount("batch_size", training.batch_size(), effective.batch_size()));
  HS_RETURN_IF_ERROR(CheckCount("training_examples", TrainingExamples(training),
                                effective.training_examples()));
  return CheckCount("validation_examples",
                    FindDataset(training)->validation_examples(),
                    effective.validation_examples());
}

}  // namespace headstart::scheduler
