#include "scheduler/core/effective.h"

#include <cmath>

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

double BaseLearningRate(const v1::Optimizer& optimizer) {
  switch (optimizer.kind_case()) {
    case v1::Optimizer::kSgd:
      return optimizer.sgd().learning_rate();
    case v1::Optimizer::kAdam:
      return optimizer.adam().learning_rate();
    case v1::Optimizer::kAdamw:
      return optimizer.adamw().learning_rate();
    case v1::Optimizer::KIND_NOT_SET:
      break;
  }
  return 0;
}

absl::Status CheckEffective(const v1::TrainingSpec& training,
                            const v1::EffectiveValues& effective) {
  const double rate = BaseLearningRate(training.optimizer());
  // Both sides compute in doubles, in their own order.
  if (!(std::abs(effective.learning_rate() - rate) <=
        1e-9 * std::abs(rate) + 1e-15)) {
    return absl::InternalError(absl::StrCat(
        "learning_rate: the spec gives ", DoubleText(rate),
        ", the trainer uses ", DoubleText(effective.learning_rate()), "."));
  }
  HS_RETURN_IF_ERROR(
      CheckCount("batch_size", training.batch_size(), effective.batch_size()));
  if (const auto examples = TrainingExamples(training); examples.has_value()) {
    HS_RETURN_IF_ERROR(CheckCount("training_examples", *examples,
                                  effective.training_examples()));
  }
  return CheckCount("validation_examples", ValidationExamples(training),
                    effective.validation_examples());
}

}  // namespace headstart::scheduler
