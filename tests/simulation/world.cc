#include "tests/simulation/world.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "base/check.h"
#include "base/names.h"

namespace headstart::simulation {
namespace {

constexpr absl::Duration kLease = absl::Seconds(10);
constexpr absl::Duration kTrouble = absl::Minutes(10);
constexpr absl::Duration kEnd = absl::Hours(12);

}  // namespace

World::World(uint64_t seed)
    : random_(RandomStream(seed).Child("world")),
      faults_(Faults::Draw(RandomStream(seed).Child("faults"))),
      oracle_(faults_) {
  const int64_t agents = 2 + Draw(3);
  for (int64_t i = 0; i < agents; ++i) {
    auto send = [this, i](const v1::SynchronizeRequest& request) {
      Transmit([this, i, request] { Deliver(*agents_[i], request); });
    };
    auto missing = [this](const v1::Assignment& work,
                          const std::string& checkpoint) {
      // A late message may bring work that nobody wants any more.
      if (!leases_.contains({work.run(), work.attempt()})) return;
      Violation(absl::StrCat(work.run(), " starts from ", checkpoint,
                             ", which is not stored"));
    };
    agents_.push_back(std::make_unique<FakeAgent>(
        absl::StrCat("workers/w", i), 1 + Draw(3), timeline_, storage_, faults_,
        RandomStream(seed).Child("agent", i), send, missing));
  }
}

std::vector<std::string> World::Run() {
  CreateStudies();
  for (auto& agent : agents_) agent->Start();
  Every(absl::Seconds(1), [this] { MeasureLeases(); });
  Every(absl::Seconds(2), [this] { StateReferences(); });
  Every(absl::Seconds(10), [this] {
    if (calm_) return;
    TroubleAgents();
    if (Chance(faults_.person_acts)) ActAsAPerson();
  });
  timeline_.After(kTrouble, [this] { CalmDown(); });

  const absl::Time end = timeline_.now() + kEnd;
  while (timeline_.Step() && violations_.empty()) {
    if (!oracle_.violations().empty()) break;
    if (calm_ && IsOver()) break;
    if (timeline_.now() > end) {
      Violation("the search does not end");
      break;
    }
  }
  violations_.insert(violations_.end(), oracle_.violations().begin(),
                     oracle_.violations().end());
  if (violations_.empty()) CheckTheEnd();
  return violations_;
}

absl::StatusOr<scheduler::Outcome> World::Execute(
    const scheduler::Command& command) {
  const bool dies = Chance(faults_.scheduler_dies);
  absl::StatusOr<scheduler::Outcome> outcome =
      scheduler_.Execute(command, timeline_.now());
  if (!outcome.ok()) return outcome;
  if (!dies) {
    for (const Event& event : outcome->events) Append(event);
    return outcome;
  }
  HS_REACHED("scheduler_restarted");
  const int64_t durable =
      Draw(static_cast<int64_t>(outcome->events.size()) + 1);
  for (int64_t i = 0; i < durable; ++i) Append(outcome->events[i]);
  Restart();
  return absl::UnavailableError("The scheduler was killed.");
}

void World::Append(const Event& event) {
  journal_.push_back(event);
  oracle_.Observe(event);
  if (event.has_attempt_leased()) {
    leases_[{event.attempt_leased().run(), event.attempt_leased().attempt()}] =
        timeline_.now() + kLease;
  } else if (event.has_attempt_ended()) {
    leases_.erase(
        {event.attempt_ended().run(), event.attempt_ended().attempt()});
  }
}

void World::Restart() {
  scheduler_ = scheduler::Scheduler();
  for (const Event& event : journal_) scheduler_.Apply(event);
  leases_.clear();
  for (const scheduler::Lease& lease : scheduler_.Leases()) {
    leases_[{lease.run, lease.attempt}] = timeline_.now() + kLease;
  }
  told_.clear();
  // What the crash left undone.
  const auto outcome =
      scheduler_.Execute(scheduler::Advance{}, timeline_.now());
  HS_CHECK_OK(outcome.status());
  for (const Event& event : outcome->events) Append(event);
}

void World::MeasureLeases() {
  // First, so that nothing is given to a worker that is silent.
  for (const auto& [worker, called] : last_calls_) {
    if (called + kLease <= timeline_.now() &&
        scheduler_.GetWorker(worker)->state() != v1::Worker::GONE) {
      HS_REACHED("worker_gone");
      (void)Execute(scheduler::WorkerGone{worker});
    }
  }
  std::vector<std::pair<std::string, int64_t>> expired;
  for (const auto& [key, deadline] : leases_) {
    if (deadline <= timeline_.now()) expired.push_back(key);
  }
  for (const auto& [run, attempt] : expired) {
    (void)Execute(scheduler::LeaseExpired{run, attempt});
  }
}

void World::StateReferences() {
  for (const auto& [owner, generation] : scheduler_.OwnersChangedSince(0)) {
    if (told_[owner] == generation) continue;
    const scheduler::WantedReferences wanted =
        *scheduler_.GetWantedReferences(owner);
    Transmit([this, wanted] {
      storage_.SetReferences(wanted);
      told_[wanted.owner] = wanted.generation;
      const auto training = scheduler_.GetTraining(wanted.owner);
      if (!training.ok() || training->state() != v1::Training::PREPARING) {
        return;
      }
      if (storage_.Has(training->source_checkpoint())) {
        (void)Execute(scheduler::SourceConfirmed{wanted.owner});
        return;
      }
      HS_REACHED("source_missing");
      const auto study = scheduler_.GetStudy(training->study());
      if (study.ok() &&
          study->retention().keep_paused() == v1::Retention::ALL_EPOCHS &&
          !oracle_.retried().contains(study->best_trial())) {
        Violation(absl::StrCat(training->source_checkpoint(),
                               " of a winner is not stored"));
      }
      (void)Execute(scheduler::SourceMissing{wanted.owner, "It is gone."});
    });
  }
}

void World::Deliver(FakeAgent& agent, const v1::SynchronizeRequest& request) {
  const auto outcome = Execute(scheduler::Synchronize{request});
  if (!outcome.ok()) return;
  last_calls_[request.worker()] = timeline_.now();
  for (const v1::AttemptStatus& status : request.attempts()) {
    const auto lease = leases_.find({status.run(), status.attempt()});
    if (lease != leases_.end()) lease->second = timeline_.now() + kLease;
  }
  const v1::SynchronizeResponse response = scheduler_.AnswerWorker(request);
  for (const v1::AttemptStatus& status : request.attempts()) {
    for (const v1::Acknowledgement& done : response.acknowledgements()) {
      if (done.run() == status.run() && done.attempt() == status.attempt() &&
          status.reports_size() > 0 && done.through_epoch() >= 0 &&
          status.reports(0).measurement().validation_loss() == -1) {
        Violation("a contradiction is acknowledged");
      }
    }
  }
  Transmit([&agent, response, incarnation = request.incarnation()] {
    agent.Receive(response, incarnation);
  });
}

void World::Transmit(std::function<void()> event) {
  if (Chance(faults_.message_lost)) return;
  const int copies = Chance(faults_.message_doubled) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const absl::Duration delay = Chance(faults_.message_late)
                                     ? absl::Seconds(60 * random_.Uniform())
                                     : absl::Milliseconds(1 + Draw(100));
    timeline_.After(delay, event);
  }
}

void World::CreateStudies() {
  const int64_t studies = 1 + Draw(3);
  for (int64_t i = 0; i < studies; ++i) {
    const int64_t epochs = 2 + Draw(8);
    std::string method;
    std::string domain = "double { min: 1e-4 max: 1e-1 scale: LOG }";
    switch (Draw(4)) {
      case 0:
        method = absl::StrCat("random { trial_count: ", 1 + Draw(12), " }");
        break;
      case 1:
        method = "grid {}";
        domain = "double_list { values: [0.1, 0.01, 0.001, 0.0001] }";
        break;
      default:
        method = absl::StrCat("asha { trial_count: ", 1 + Draw(30),
                              " min_epochs: ", 1 + Draw(2),
                              " reduction: ", 2 + Draw(3), " }");
    }
    v1::Study study;
    HS_CHECK(google::protobuf::TextFormat::ParseFromString(
        absl::StrCat(
            R"(training {
                 model { lenet_300_100 {} }
                 dataset { mnist { validation_examples: 5000 } }
                 epochs: )",
            epochs, R"( batch_size: 60
                 optimizer { adam { learning_rate: 0.0012 } }
                 schedule { cosine {} } }
               search { parameters {
                 path: "optimizer.adam.learning_rate" )",
            domain, " } ", method, R"( }
               objective { metric: VALIDATION_LOSS goal: MINIMIZE }
               retention { best_trials: )",
            1 + Draw(3), R"( keep_paused: )",
            Draw(3) == 0 ? "RUNG_ONLY" : "ALL_EPOCHS", R"( }
               failure_policy { max_retries: )",
            Draw(3), " max_losses: ", Draw(2) == 0 ? 2 : 1000,
            Draw(4) == 0 ? " max_failed_trials: 2" : "", R"( }
               seed: )",
            Draw(1000), Draw(2) == 0 ? "" : R"(
               then { from { winner { epoch: 2 } } epochs: 3 seeds: [1, 2] })"),
        &study));
    (void)Execute(scheduler::CreateStudy{{}, study});
  }
  v1::ListStudiesRequest all;
  study_count_ = scheduler_.ListStudies(all)->studies_size();
}

void World::ActAsAPerson() {
  if (study_count_ == 0) return;
  const std::string study = StudyName{1 + Draw(study_count_)}.ToString();
  const std::string trial = absl::StrCat(study, "/trials/", 1 + Draw(10));
  const std::string worker =
      agents_[Draw(static_cast<int64_t>(agents_.size()))]->name();
  switch (Draw(12)) {
    case 0:
    case 1:
      (void)Execute(scheduler::PauseStudy{{{}, study}});
      break;
    case 2:
    case 3:
      (void)Execute(scheduler::ResumeStudy{{{}, study}});
      break;
    case 4:
      (void)Execute(scheduler::StopTrial{{{}, trial}});
      break;
    case 5:
    case 6:
      (void)Execute(scheduler::RetryTrial{{{}, trial}});
      break;
    case 7:
      (void)Execute(scheduler::CordonWorker{{{}, worker}});
      break;
    case 8:
      (void)Execute(scheduler::UncordonWorker{{{}, worker}});
      break;
    case 9:
      (void)Execute(scheduler::DrainWorker{{{}, worker}});
      break;
    case 10: {
      v1::Training training;
      training.mutable_from()->set_checkpoint(
          absl::StrCat(trial, "/epochs/", Draw(4)));
      training.add_seeds(Draw(100));
      training.set_epochs(2);
      (void)Execute(scheduler::CreateTraining{{}, training});
      break;
    }
    default:
      if (Chance(0.2)) (void)Execute(scheduler::CancelStudy{{{}, study}});
      (void)Execute(scheduler::DeleteTraining{{{}, "trainings/1"}});
      (void)Execute(scheduler::DeleteStudy{{{}, study}});
      break;
  }
}

void World::TroubleAgents() {
  for (auto& agent : agents_) {
    if (!agent->alive()) {
      if (Chance(0.3)) agent->Start();
    } else if (Chance(faults_.agent_dies)) {
      if (Chance(0.3)) {
        agent->Leave();
      } else {
        agent->Die();
      }
    }
  }
}

void World::CalmDown() {
  calm_ = true;
  // What a spec or a seed is at fault for stays as it is.
  faults_.message_lost = faults_.message_doubled = faults_.message_late = 0;
  faults_.trainer_fails = faults_.agent_contradicts = 0;
  faults_.scheduler_dies = 0;
  for (auto& agent : agents_) {
    if (agent->alive()) agent->Die();
    agent->Start();
    (void)Execute(scheduler::UncordonWorker{{{}, agent->name()}});
  }
  for (int64_t study = 1; study <= study_count_; ++study) {
    (void)Execute(scheduler::ResumeStudy{{{}, StudyName{study}.ToString()}});
  }
}

bool World::IsOver() const {
  const scheduler::Counts counts = scheduler_.GetCounts();
  return counts.studies[v1::Study::RUNNING] == 0 &&
         counts.studies[v1::Study::PAUSED] == 0 &&
         counts.trainings[v1::Training::PREPARING] == 0 &&
         counts.trainings[v1::Training::RUNNING] == 0;
}

void World::CheckTheEnd() {
  scheduler::Scheduler replayed;
  for (const Event& event : journal_) replayed.Apply(event);
  if (replayed.DebugState() != scheduler_.DebugState()) {
    Violation("replaying the journal gives another state");
  }
  for (const auto& [owner, generation] : scheduler_.OwnersChangedSince(0)) {
    storage_.SetReferences(*scheduler_.GetWantedReferences(owner));
  }
  const v1::ListStudiesResponse studies =
      *scheduler_.ListStudies(v1::ListStudiesRequest());
  for (const v1::Study& study : studies.studies()) {
    scheduler::StudyReplay replay(StudyName::Parse(study.name())->study);
    for (const Event& event : journal_) replay.Next(event);
    for (const std::string& difference : replay.Finish().differences()) {
      Violation(difference);
    }
    if (study.state() != v1::Study::SUCCEEDED ||
        study.retention().keep_paused() != v1::Retention::ALL_EPOCHS) {
      continue;
    }
    v1::ListTrialsRequest best;
    best.set_parent(study.name());
    best.set_best(study.retention().best_trials());
    const v1::ListTrialsResponse trials = *scheduler_.ListTrials(best);
    for (const v1::Trial& trial : trials.trials()) {
      if (oracle_.retried().contains(trial.name())) continue;
      for (int64_t epoch = 0; epoch <= trial.epoch(); ++epoch) {
        const std::string name = absl::StrCat(trial.name(), "/epochs/", epoch);
        if (!storage_.Has(name)) {
          Violation(absl::StrCat(name, " of a best trial is not stored"));
        }
      }
    }
  }
}

void World::Violation(const std::string& what) { violations_.push_back(what); }

void World::Every(absl::Duration period, std::function<void()> action) {
  timeline_.After(period, [this, period, action] {
    action();
    Every(period, action);
  });
}

}  // namespace headstart::simulation
