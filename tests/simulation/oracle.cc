#include "tests/simulation/oracle.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "tests/simulation/fake_agent.h"

namespace headstart::simulation {

void Oracle::Observe(const Event& event) {
  if (event.has_study_created()) {
    studies_[event.study_created().study()].spec = event.study_created().spec();
  } else if (event.has_study_state_changed()) {
    StudyFacts& study = studies_[event.study_state_changed().study()];
    study.state = event.study_state_changed().state();
    if (study.state == v1::Study::SUCCEEDED) {
      const int64_t winner = event.study_state_changed().winner();
      Expect(winner == WinnerOf(event.study_state_changed().study()),
             absl::StrCat("trial ", winner, " is not the best"));
    }
  } else if (event.has_trial_created()) {
    Started(event.trial_created());
  } else if (event.has_trial_promoted()) {
    Promoted(event.trial_promoted());
  } else if (event.has_trial_state_changed()) {
    Changed(event.trial_state_changed());
  } else if (event.has_training_created()) {
    const internal::v1::TrainingCreated& created = event.training_created();
    for (int i = 0; i < created.spec().seeds_size(); ++i) {
      runs_[RunName::TrainingRun(created.training(), i + 1).ToString()].seed =
          created.spec().seeds(i);
    }
  } else if (event.has_attempt_leased()) {
    const internal::v1::AttemptLeased& leased = event.attempt_leased();
    RunFacts& run = runs_[leased.run()];
    Expect(!run.live.has_value(),
           absl::StrCat(leased.run(), " has two lease holders"));
    Expect(leased.token() > token_, "tokens do not grow");
    token_ = leased.token();
    run.live = leased.attempt();
    run.place = absl::StrCat(leased.worker(), " ", leased.slot());
    Expect(busy_.insert(run.place).second,
           absl::StrCat(run.place, " is taken twice"));
  } else if (event.has_attempt_ended()) {
    RunFacts& run = runs_[event.attempt_ended().run()];
    Expect(run.live == event.attempt_ended().attempt(),
           absl::StrCat(event.attempt_ended().run(),
                        ": an attempt ends that is not live"));
    run.live.reset();
    busy_.erase(run.place);
  } else if (event.has_epoch_recorded()) {
    Recorded(event.epoch_recorded());
  } else if (event.has_retries_renewed()) {
    retried_.insert(event.retries_renewed().run());
  }
}

void Oracle::Started(const internal::v1::TrialCreated& event) {
  StudyFacts& study = studies_[event.study()];
  Expect(study.state == v1::Study::RUNNING,
         "a trial starts in a study that "
         "is not RUNNING");
  TrialFacts& trial = study.trials[event.trial()];
  trial.seed = event.seed();
  trial.until = event.until_epoch();
  runs_[RunName::Trial(event.study(), event.trial()).ToString()].seed =
      event.seed();
}

void Oracle::Promoted(const internal::v1::TrialPromoted& event) {
  StudyFacts& study = studies_[event.study()];
  TrialFacts& trial = study.trials[event.trial()];
  const std::string name =
      RunName::Trial(event.study(), event.trial()).ToString();
  Expect(study.state == v1::Study::RUNNING && trial.state == v1::Trial::PAUSED,
         absl::StrCat(name, " is promoted though it is not paused"));
  const auto& results = study.results[trial.until];
  const int64_t share = static_cast<int64_t>(results.size()) /
                        study.spec.search().asha().reduction();
  Expect(PlaceOf(results, event.trial()) <= share,
         absl::StrCat(name, " is promoted beyond the share of its rung"));
  Expect(trial.promoted_from.insert(trial.until).second,
         absl::StrCat(name, " is promoted twice from one rung"));
  trial.until = event.until_epoch();
  trial.state = v1::Trial::WAITING;
}

void Oracle::Changed(const internal::v1::TrialStateChanged& event) {
  StudyFacts& study = studies_[event.study()];
  TrialFacts& trial = study.trials[event.trial()];
  const RunFacts& run =
      runs_[RunName::Trial(event.study(), event.trial()).ToString()];
  auto& results = study.results[trial.until];
  switch (event.state()) {
    case v1::Trial::PAUSED:
    case v1::Trial::SUCCEEDED:
      Expect(run.recorded == trial.until, "a rung is reached too early");
      results[event.trial()] = run.loss;
      break;
    case v1::Trial::FAILED:
    case v1::Trial::INFEASIBLE:
      results[event.trial()] = std::nullopt;
      break;
    case v1::Trial::WAITING:
      Expect(trial.state == v1::Trial::FAILED,
             "what is retried had not FAILED");
      results.erase(event.trial());
      break;
    default:
      break;
  }
  trial.state = event.state();
}

void Oracle::Recorded(const internal::v1::EpochRecorded& event) {
  RunFacts& run = runs_[event.run()];
  const int64_t epoch = event.report().epoch();
  Expect(run.live == event.attempt(),
         absl::StrCat(event.run(), ": an attempt reports that is not live"));
  Expect(
      epoch == run.recorded + 1 || (epoch == 0 && run.recorded == 0),
      absl::StrCat(event.run(), ": epoch ", epoch, " follows ", run.recorded));
  run.recorded = epoch;
  if (epoch == 0) return;
  run.loss = event.report().measurement().validation_loss();
  const double told = LossOf(run.seed, epoch, faults_);
  Expect(run.loss == told || (std::isnan(run.loss) && std::isnan(told)),
         absl::StrCat(event.run(), ": epoch ", epoch,
                      " is recorded with a value that contradicts the first"));
}

int64_t Oracle::WinnerOf(int64_t number) const {
  const StudyFacts& study = studies_.at(number);
  const bool rungs_first =
      study.spec.objective().rank() == v1::Objective::MAX_EPOCHS_FIRST;
  std::optional<std::tuple<int64_t, double, int64_t>> best;
  for (const auto& [trial, facts] : study.trials) {
    const auto run = runs_.find(RunName::Trial(number, trial).ToString());
    if (facts.state != v1::Trial::SUCCEEDED &&
        facts.state != v1::Trial::STOPPED) {
      continue;
    }
    const int64_t recorded = run->second.recorded;
    if (recorded < 1 || !std::isfinite(run->second.loss)) continue;
    int64_t reached = 0;
    const v1::Asha& asha = study.spec.search().asha();
    const int64_t last = study.spec.training().epochs();
    if (study.spec.search().has_asha()) {
      for (int64_t rung = asha.min_epochs(); rung < last;
           rung *= asha.reduction()) {
        if (recorded >= rung) ++reached;
      }
    }
    if (recorded >= last) ++reached;
    const std::tuple standing(rungs_first ? -reached : 0, run->second.loss,
                              trial);
    if (!best.has_value() || standing < *best) best = standing;
  }
  return best.has_value() ? std::get<2>(*best) : 0;
}

int64_t Oracle::PlaceOf(const std::map<int64_t, std::optional<double>>& results,
                        int64_t trial) {
  const auto at = results.find(trial);
  const auto worst = static_cast<int64_t>(results.size());
  if (at == results.end() || !at->second.has_value() ||
      !std::isfinite(*at->second)) {
    return worst + 1;
  }
  return 1 +
         std::count_if(results.begin(), results.end(), [&](const auto& other) {
           return other.second.has_value() &&
                  (*other.second < *at->second ||
                   (*other.second == *at->second && other.first < trial));
         });
}

void Oracle::Expect(bool holds, const std::string& what) {
  if (!holds) violations_.push_back(what);
}

}  // namespace headstart::simulation
