#include "tests/simulation/fake_agent.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "scheduler/core/effective.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::simulation {
namespace {

constexpr absl::Duration kCallEvery = absl::Seconds(3);

v1::EffectiveValues EffectiveOf(const v1::Assignment& work) {
  v1::EffectiveValues effective;
  effective.set_learning_rate(
      scheduler::BaseLearningRate(work.training().optimizer()));
  effective.set_batch_size(work.training().batch_size());
  effective.set_training_examples(
      *scheduler::TrainingExamples(work.training()));
  effective.set_validation_examples(
      scheduler::ValidationExamples(work.training()));
  return effective;
}

}  // namespace

double LossOf(int64_t seed, int64_t epoch, const Faults& faults) {
  RandomStream random =
      RandomStream(static_cast<uint64_t>(seed)).Child("epoch", epoch);
  if (random.Uniform() < faults.objective_nan) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return std::floor(random.Uniform() * 40) / static_cast<double>(epoch + 1);
}

FakeAgent::FakeAgent(std::string name, int64_t slots, Timeline& timeline,
                     FakeStorage& storage, const Faults& faults,
                     RandomStream random, Send send, Missing missing)
    : name_(std::move(name)),
      slots_(slots),
      timeline_(timeline),
      storage_(storage),
      faults_(faults),
      random_(random),
      send_(std::move(send)),
      missing_(std::move(missing)) {}

void FakeAgent::Start() {
  HS_CHECK(!alive_);
  alive_ = true;
  leaving_ = false;
  seen_version_ = 0;
  ++incarnation_;
  Call();
}

void FakeAgent::Die() {
  alive_ = false;
  held_.clear();
}

void FakeAgent::Call() {
  v1::SynchronizeRequest request;
  request.set_protocol_version(1);
  request.set_worker(name_);
  request.set_incarnation(incarnation_);
  for (int64_t slot = 0; slot < slots_; ++slot) {
    request.add_slots()->set_name(absl::StrCat("cpu:", slot));
  }
  request.add_datasets("mnist");
  request.set_draining(leaving_);
  for (auto& [key, held] : held_) {
    v1::AttemptStatus& status = *request.add_attempts();
    status = held.status;
    if (held.acknowledged.has_value() &&
        random_.Uniform() < faults_.agent_contradicts) {
      HS_REACHED("agent_contradicts");
      status.clear_reports();
      v1::EpochReport& wrong = *status.add_reports();
      wrong = *held.acknowledged;
      wrong.mutable_measurement()->set_validation_loss(-1);
    }
  }
  send_(request);
  timeline_.After(kCallEvery, [this, incarnation = incarnation_] {
    if (alive_ && incarnation == incarnation_) Call();
  });
}

void FakeAgent::Receive(const v1::SynchronizeResponse& response,
                        int64_t incarnation) {
  if (!alive_ || incarnation != incarnation_) return;
  for (const v1::Acknowledgement& done : response.acknowledgements()) {
    const auto found = held_.find({done.run(), done.attempt()});
    if (found == held_.end()) continue;
    auto& reports = *found->second.status.mutable_reports();
    while (!reports.empty() &&
           reports.begin()->epoch() <= done.through_epoch()) {
      found->second.acknowledged = *reports.begin();
      reports.erase(reports.begin());
    }
    if (done.ended()) held_.erase(found);
  }
  if (response.version() < seen_version_) {
    HS_REACHED("answer_overtaken");
    return;
  }
  seen_version_ = response.version();

  std::set<Key> wanted;
  for (const v1::SlotAssignment& slot : response.assignments()) {
    const v1::Assignment& work = slot.assignment();
    const Key key{work.run(), work.attempt()};
    wanted.insert(key);
    const auto found = held_.find(key);
    if (found != held_.end()) {
      found->second.release = slot.release();
    } else if (!slot.release()) {
      Begin(slot.slot(), work);
    } else {
      // Never begun: handed back as it is.
      Held& held = held_[key];
      held.work = work;
      held.status.set_run(work.run());
      held.status.set_attempt(work.attempt());
      held.status.set_token(work.token());
      held.status.set_state(v1::Attempt::RELEASED);
    }
  }
  // What is not wanted any more ends at once; what is over waits for its
  // acknowledgement.
  std::erase_if(held_, [&](const auto& entry) {
    return !wanted.contains(entry.first) && !entry.second.over();
  });
}

void FakeAgent::Begin(const std::string& slot, const v1::Assignment& work) {
  const Key key{work.run(), work.attempt()};
  Held& held = held_[key];
  held.work = work;
  held.slot = slot;
  held.status.set_run(work.run());
  held.status.set_attempt(work.attempt());
  held.status.set_token(work.token());
  held.status.set_state(v1::Attempt::LEASED);
  held.next_epoch = work.from_epoch() == 0 ? 0 : work.from_epoch() + 1;
  const std::string& source =
      work.training().initializer().checkpoint().checkpoint();
  if (work.from_epoch() > 0 &&
      !storage_.CanResume(work.run(), work.from_epoch())) {
    missing_(work, absl::StrCat("epoch ", work.from_epoch()));
    return Fail(held, v1::Failure::SOURCE_UNAVAILABLE);
  }
  if (work.from_epoch() == 0 && !source.empty() && !storage_.Has(source)) {
    missing_(work, source);
    return Fail(held, v1::Failure::SOURCE_UNAVAILABLE);
  }
  timeline_.After(absl::Milliseconds(100),
                  [this, key, incarnation = incarnation_] {
                    TrainNextEpoch(key, incarnation);
                  });
}

void FakeAgent::TrainNextEpoch(const Key& key, int64_t incarnation) {
  if (!alive_ || incarnation != incarnation_) return;
  const auto found = held_.find(key);
  if (found == held_.end() || found->second.over()) return;
  Held& held = found->second;
  held.status.set_state(v1::Attempt::RUNNING);
  *held.status.mutable_effective() = EffectiveOf(held.work);
  if (random_.Uniform() < faults_.trainer_fails) {
    return Fail(held, v1::Failure::SIGNAL);
  }
  const int64_t epoch = held.next_epoch;
  RandomStream spec = RandomStream(static_cast<uint64_t>(held.work.seed()))
                          .Child("infeasible", epoch);
  if (epoch > 0 && spec.Uniform() < faults_.loss_not_finite) {
    return Fail(held, v1::Failure::NON_FINITE_LOSS);
  }
  if (!storage_.Commit(key.first, epoch, DigestOf(key.first, epoch),
                       held.work.token())) {
    // The attempt is not this worker's any more; the scheduler will say so.
    held.status.set_state(v1::Attempt::RELEASED);
    return;
  }
  v1::EpochReport& report = *held.status.add_reports();
  report.set_epoch(epoch);
  report.set_manifest_digest(DigestOf(key.first, epoch));
  if (epoch > 0) {
    const double loss = LossOf(held.work.seed(), epoch, faults_);
    report.mutable_measurement()->set_training_loss(loss);
    report.mutable_measurement()->set_validation_loss(loss);
  }
  ++held.next_epoch;
  if (epoch == held.work.until_epoch()) {
    held.status.set_state(v1::Attempt::SUCCEEDED);
  } else if (held.release) {
    held.status.set_state(v1::Attempt::RELEASED);
  } else {
    timeline_.After(
        absl::Seconds(1 + 4 * random_.Uniform()),
        [this, key, incarnation] { TrainNextEpoch(key, incarnation); });
  }
}

void FakeAgent::Fail(Held& held, v1::Failure::Reason reason) {
  held.status.set_state(v1::Attempt::FAILED);
  held.status.mutable_failure()->set_reason(reason);
  held.status.mutable_failure()->set_message("simulated");
}

// Another machine gives another digest, as another kind of CPU does.
std::string FakeAgent::DigestOf(const std::string& run, int64_t epoch) const {
  const uint64_t hash = StableHash(absl::StrCat(name_, " ", run, " ", epoch));
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16),
                      absl::Hex(~hash, absl::kZeroPad16));
}

}  // namespace headstart::simulation
