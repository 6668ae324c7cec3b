#include "scheduler/search/random_search.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace headstart::scheduler {

absl::StatusOr<std::unique_ptr<RandomSearch>> RandomSearch::Create(
    int64_t trial_count, int64_t epochs) {
  if (trial_count < 1 || trial_count > 1'000'000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trial_count: must be from 1 to 1,000,000, got ", trial_count, "."));
  }
  return absl::WrapUnique(new RandomSearch(trial_count, epochs));
}

FullLength::FullLength(int64_t trial_count, int64_t epochs,
                       std::string rule_version)
    : trial_count_(trial_count),
      rung_epochs_({epochs}),
      rule_version_(std::move(rule_version)) {}

void FullLength::Observe(const TrialEvent& event) {
  switch (event.kind) {
    case TrialEvent::Kind::kStarted:
      HS_CHECK_EQ(event.trial, started_ + 1);
      ++started_;
      break;
    case TrialEvent::Kind::kReached:
      results_.Insert(Rank::Of(event.loss, event.trial));
      break;
    case TrialEvent::Kind::kFailed:
      results_.Insert(Rank::Worst(event.trial));
      break;
    case TrialEvent::Kind::kRetried:
      results_.Erase(Rank::Worst(event.trial));
      break;
    case TrialEvent::Kind::kWithdrawn:
      ++withdrawn_;
      break;
    case TrialEvent::Kind::kPromoted:
      HS_CHECK(false) << "trial " << event.trial << " was promoted";
  }
}

std::optional<Decision> FullLength::Next() const {
  if (started_ >= trial_count_) return std::nullopt;
  Decision decision;
  decision.trial = started_ + 1;
  decision.record.set_kind(v1::TrialDecision::STARTED);
  decision.record.set_until_epoch(rung_epochs_.front());
  decision.record.set_rule_version(rule_version_);
  decision.record.set_text(
      absl::StrCat("Started as number ", started_ + 1, " of ", trial_count_,
                   ", to epoch ", rung_epochs_.front(), ": a slot was free."));
  return decision;
}

Decision FullLength::Reach(int64_t trial, double loss) const {
  const int64_t place = results_.PlaceOf(Rank::Of(loss, trial));
  const int64_t size = results_.size() + 1;  // With this one.
  Decision decision;
  decision.trial = trial;
  decision.record.set_kind(v1::TrialDecision::COMPLETED);
  decision.record.set_rung_epochs(rung_epochs_.front());
  decision.record.set_rank(place);
  decision.record.set_rung_size(size);
  decision.record.set_still_expected(trial_count_ - withdrawn_ - size);
  decision.record.set_rule_version(rule_version_);
  decision.record.set_text(absl::StrCat("Completed: reached the last epoch, ",
                                        rung_epochs_.front(), ", with place ",
                                        place, " of ", size, " so far."));
  return decision;
}

}  // namespace headstart::scheduler
