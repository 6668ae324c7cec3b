#include "scheduler/search/asha.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace headstart::scheduler {
namespace {

// Raised with every change of what Asha decides.
constexpr char kRuleVersion[] = "asha-promotion/1";

std::vector<int64_t> RungEpochs(const AshaOptions& options) {
  // In integers: floor(log(243) / log(3)) is 4 in doubles.
  std::vector<int64_t> epochs;
  for (int64_t rung = options.min_epochs; rung < options.max_epochs;
       rung *= options.reduction) {
    epochs.push_back(rung);
  }
  epochs.push_back(options.max_epochs);
  return epochs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Asha>> Asha::Create(const AshaOptions& options) {
  if (options.trial_count < 1 || options.trial_count > 1'000'000) {
    return absl::InvalidArgumentError(
        absl::StrCat("trial_count: must be from 1 to 1,000,000, got ",
                     options.trial_count, "."));
  }
  if (options.min_epochs < 1 || options.min_epochs > options.max_epochs) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_epochs: must be from 1 to training.epochs, which is ",
                     options.max_epochs, ", got ", options.min_epochs, "."));
  }
  if (options.reduction < 2 || options.reduction > 100) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reduction: must be from 2 to 100, got ", options.reduction, "."));
  }
  return absl::WrapUnique(new Asha(options));
}

Asha::Asha(const AshaOptions& options)
    : options_(options),
      rung_epochs_(RungEpochs(options)),
      rungs_(rung_epochs_.size()) {}

void Asha::Observe(const TrialEvent& event) {
  if (event.kind == TrialEvent::Kind::kStarted) {
    HS_CHECK_EQ(event.trial, static_cast<int64_t>(trials_.size()) + 1);
    TrialState& trial = trials_.emplace_back();
    trial.rung = RungAt(event.epochs);
    ++rungs_[trial.rung].on_the_way;
    return;
  }
  HS_CHECK(event.trial >= 1 &&
           event.trial <= static_cast<int64_t>(trials_.size()));
  TrialState& trial = trials_[event.trial - 1];
  Rung& rung = rungs_[trial.rung];
  switch (event.kind) {
    case TrialEvent::Kind::kStarted:
      break;
    case TrialEvent::Kind::kReached:
      trial.rank = Rank::Of(event.loss, event.trial);
      --rung.on_the_way;
      rung.results.Insert(trial.rank);
      trial.paused = trial.rung + 1 < rungs_.size() && !trial.rank.non_finite;
      if (trial.paused) rung.waiting.Insert(trial.rank);
      break;
    case TrialEvent::Kind::kPromoted:
      rung.waiting.Erase(trial.rank);
      trial.paused = false;
      trial.rung = RungAt(event.epochs);
      ++rungs_[trial.rung].on_the_way;
      break;
    case TrialEvent::Kind::kFailed:
      trial.rank = Rank::Worst(event.trial);
      --rung.on_the_way;
      rung.results.Insert(trial.rank);
      break;
    case TrialEvent::Kind::kWithdrawn:
      if (trial.paused) {
        rung.waiting.Erase(trial.rank);
        trial.paused = false;
      } else {
        --rung.on_the_way;
      }
      break;
    case TrialEvent::Kind::kRetried:
      rung.results.Erase(trial.rank);
      ++rung.on_the_way;
      break;
  }
}

std::optional<Decision> Asha::Next() const {
  for (size_t below = rungs_.size() - 1; below > 0; --below) {
    const size_t index = below - 1;
    const Rung& rung = rungs_[index];
    if (PromotableNow(rung) == 0) continue;
    const Rank& best = rung.waiting.Best();
    const int64_t place = rung.results.PlaceOf(best);
    Decision decision =
        Describe(v1::TrialDecision::PROMOTED, best.trial, index, place,
                 rung.results.size(), StillExpected(index));
    const int64_t until = rung_epochs_[index + 1];
    decision.record.set_until_epoch(until);
    decision.record.set_text(
        absl::StrCat("Promoted from epoch ", rung_epochs_[index], " to epoch ",
                     until, ": place ", place, " of ", rung.results.size(),
                     " there, and ", ShareText(rung.results.size()), "."));
    return decision;
  }
  const int64_t started = static_cast<int64_t>(trials_.size());
  if (started >= options_.trial_count) return std::nullopt;
  Decision decision;
  decision.trial = started + 1;
  decision.record.set_kind(v1::TrialDecision::STARTED);
  decision.record.set_until_epoch(rung_epochs_.front());
  decision.record.set_rule_version(kRuleVersion);
  decision.record.set_text(absl::StrCat(
      "Started as number ", started + 1, " of ", options_.trial_count,
      ", to epoch ", rung_epochs_.front(),
      ": a slot was free and no paused trial was due for promotion."));
  return decision;
}

Decision Asha::Reach(int64_t trial, double loss) const {
  HS_CHECK(std::isfinite(loss)) << "trial " << trial;
  const size_t index = trials_[trial - 1].rung;
  const Rung& rung = rungs_[index];
  const int64_t place = rung.results.PlaceOf(Rank::Of(loss, trial));
  const int64_t size = rung.results.size() + 1;  // With this one.
  const int64_t still_expected = StillExpected(index) - 1;
  const bool last = index + 1 == rungs_.size();
  Decision decision =
      Describe(last ? v1::TrialDecision::COMPLETED : v1::TrialDecision::PAUSED,
               trial, index, place, size, still_expected);
  if (last) {
    decision.record.set_text(absl::StrCat("Completed: reached the last epoch, ",
                                          rung_epochs_[index], ", with place ",
                                          place, " of ", size, " so far."));
  } else {
    decision.record.set_text(
        absl::StrCat("Paused at epoch ", rung_epochs_[index], " with place ",
                     place, " of ", size, " there; ", ShareText(size), ", and ",
                     still_expected, " more can arrive."));
  }
  return decision;
}

std::optional<Decision> Asha::Stop() const {
  for (size_t index = 0; index + 1 < rungs_.size(); ++index) {
    const Rung& rung = rungs_[index];
    if (rung.waiting.empty()) continue;
    const Rank& worst = rung.waiting.Worst();
    if (IsPromotable(worst.trial)) continue;
    const int64_t place = rung.results.PlaceOf(worst);
    const int64_t size = rung.results.size();
    const int64_t still_expected = StillExpected(index);
    Decision decision = Describe(v1::TrialDecision::STOPPED, worst.trial, index,
                                 place, size, still_expected);
    decision.record.set_text(absl::StrCat(
        "Stopped at epoch ", rung_epochs_[index], ": place ", place, " of ",
        size, " there, ",
        still_expected == 0
            ? "no more can arrive"
            : absl::StrCat("at most ", still_expected, " more can arrive"),
        ", and of ", size + still_expected, " ",
        ShareText(size + still_expected), "."));
    return decision;
  }
  return std::nullopt;
}

bool Asha::IsPromotable(int64_t trial) const {
  const TrialState& state = trials_[trial - 1];
  if (!state.paused) return false;
  const Rung& rung = rungs_[state.rung];
  return rung.results.PlaceOf(state.rank) <=
         (rung.results.size() + StillExpected(state.rung)) / options_.reduction;
}

size_t Asha::RungAt(int64_t epochs) const {
  for (size_t index = 0; index < rung_epochs_.size(); ++index) {
    if (rung_epochs_[index] == epochs) return index;
  }
  HS_CHECK(false) << "no rung at epoch " << epochs;
  return 0;
}

int64_t Asha::Share(const Rung& rung) const {
  return rung.results.size() / options_.reduction;
}

int64_t Asha::PromotableNow(const Rung& rung) const {
  const int64_t share = Share(rung);
  if (share == 0) return 0;
  const Rank& last = rung.results.At(share);
  return rung.waiting.CountBetter(last) + (rung.waiting.Contains(last) ? 1 : 0);
}

int64_t Asha::StillExpected(size_t rung) const {
  int64_t expected =
      options_.trial_count - static_cast<int64_t>(trials_.size());
  for (size_t index = 0; index <= rung; ++index) {
    if (index > 0) expected += PromotableNow(rungs_[index - 1]);
    expected += rungs_[index].on_the_way;
  }
  return expected;
}

std::string Asha::ShareText(int64_t results) const {
  const int64_t share = results / options_.reduction;
  return share == 0
             ? absl::StrCat("none trains on (one in ", options_.reduction, ")")
             : absl::StrCat("the best ", share,
                            share == 1 ? " trains" : " train", " on (one in ",
                            options_.reduction, ")");
}

Decision Asha::Describe(v1::TrialDecision::Kind kind, int64_t trial,
                        size_t rung, int64_t place, int64_t rung_size,
                        int64_t still_expected) const {
  Decision decision;
  decision.trial = trial;
  decision.record.set_kind(kind);
  decision.record.set_rung_epochs(rung_epochs_[rung]);
  decision.record.set_rank(place);
  decision.record.set_rung_size(rung_size);
  decision.record.set_still_expected(still_expected);
  decision.record.set_rule_version(kRuleVersion);
  return decision;
}

}  // namespace headstart::scheduler
