// A scheduler with agents that do as they are told, for the tests of core.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "scheduler/core/effective.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::scheduler {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// LeNet on MNIST, learning rate drawn, minimizing validation loss. `method` is
// the search method in text form.
inline v1::Study SmallStudy(const std::string& method, int64_t epochs) {
  return Parse<v1::Study>(absl::StrCat(
      R"(training {
           model { lenet_300_100 {} }
           dataset { mnist { validation_examples: 5000 } }
           epochs: )",
      epochs, R"( batch_size: 60
           optimizer { adam { learning_rate: 0.0012 } } }
         search { parameters {
           path: "optimizer.adam.learning_rate"
           double { min: 1e-4 max: 1e-1 scale: LOG } } )",
      method, R"( }
         objective { metric: VALIDATION_LOSS goal: MINIMIZE }
         seed: 42)"));
}

// What a trainer uses that does exactly what it was told.
inline v1::EffectiveValues EffectiveOf(const v1::Assignment& work) {
  v1::EffectiveValues effective;
  effective.set_learning_rate(BaseLearningRate(work.training().optimizer()));
  effective.set_batch_size(work.training().batch_size());
  effective.set_training_examples(TrainingExamples(work.training()).value());
  effective.set_validation_examples(ValidationExamples(work.training()));
  effective.set_thread_count(1);
  return effective;
}

inline v1::EpochReport ReportOf(int64_t epoch, double loss) {
  v1::EpochReport report;
  report.set_epoch(epoch);
  report.set_manifest_digest(std::string(32, static_cast<char>('a' + epoch)));
  if (epoch > 0) {
    report.mutable_measurement()->set_training_loss(loss);
    report.mutable_measurement()->set_validation_loss(loss);
    report.mutable_measurement()->set_validation_accuracy(1 - loss);
  }
  return report;
}

// One scheduler, its journal, and the messages of agents.
class TestWorld {
 public:
  Scheduler& scheduler() { return scheduler_; }
  const std::vector<Event>& journal() const { return journal_; }

  absl::StatusOr<Outcome> Execute(const Command& command) {
    now_ += absl::Seconds(1);
    absl::StatusOr<Outcome> outcome = scheduler_.Execute(command, now_);
    if (outcome.ok()) {
      journal_.insert(journal_.end(), outcome->events.begin(),
                      outcome->events.end());
    }
    return outcome;
  }

  // The name of what a command made or changed.
  std::string Do(const Command& command) {
    const absl::StatusOr<Outcome> outcome = Execute(command);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? outcome->name : "";
  }

  absl::Status Refusal(const Command& command) {
    return Execute(command).status();
  }

  // An agent's message with these attempts, and the answer.
  v1::SynchronizeResponse Call(
      const std::string& worker, int64_t slots,
      const std::vector<v1::AttemptStatus>& attempts = {},
      int64_t incarnation = 1) {
    const v1::SynchronizeRequest request =
        Message(worker, slots, attempts, incarnation);
    const absl::StatusOr<Outcome> outcome = Execute(Synchronize{request});
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    refusals_.clear();
    if (outcome.ok()) refusals_ = outcome->refusals;
    return scheduler_.AnswerWorker(request);
  }
  const std::vector<Outcome::Refusal>& refusals() const { return refusals_; }

  static v1::SynchronizeRequest Message(
      const std::string& worker, int64_t slots,
      const std::vector<v1::AttemptStatus>& attempts, int64_t incarnation = 1) {
    v1::SynchronizeRequest request;
    request.set_protocol_version(1);
    request.set_worker(worker);
    request.set_incarnation(incarnation);
    for (int64_t i = 0; i < slots; ++i) {
      request.add_slots()->set_name(absl::StrCat("cpu:", i));
    }
    request.add_datasets("mnist");
    request.mutable_attempts()->Assign(attempts.begin(), attempts.end());
    return request;
  }

  static v1::AttemptStatus StatusOf(const v1::Assignment& work,
                                    v1::Attempt::State state) {
    v1::AttemptStatus status;
    status.set_run(work.run());
    status.set_attempt(work.attempt());
    status.set_token(work.token());
    status.set_state(state);
    *status.mutable_effective() = EffectiveOf(work);
    return status;
  }

  // The news of an attempt that trained all its epochs.
  using Loss = std::function<double(const v1::Assignment&, int64_t epoch)>;
  static v1::AttemptStatus Trained(const v1::Assignment& work,
                                   const Loss& loss) {
    v1::AttemptStatus status = StatusOf(work, v1::Attempt::SUCCEEDED);
    const int64_t first = work.from_epoch() == 0 ? 0 : work.from_epoch() + 1;
    for (int64_t epoch = first; epoch <= work.until_epoch(); ++epoch) {
      *status.add_reports() = ReportOf(epoch, loss(work, epoch));
    }
    return status;
  }

  // One worker with one slot trains whatever it is given until nothing is left;
  // returns "trial@until" per assignment.
  std::vector<std::string> TrainAll(const Loss& loss) {
    std::vector<std::string> jobs;
    v1::SynchronizeResponse answer = Call("workers/a", 1);
    while (answer.assignments_size() == 1) {
      const v1::Assignment work = answer.assignments(0).assignment();
      jobs.push_back(absl::StrCat(work.run(), "@", work.until_epoch()));
      answer = Call("workers/a", 1, {Trained(work, loss)});
    }
    return jobs;
  }

  // The same state from the journal alone.
  void ExpectReplayEqual() {
    Scheduler replayed;
    for (const Event& event : journal_) replayed.Apply(event);
    EXPECT_EQ(replayed.DebugState(), scheduler_.DebugState());
  }

 private:
  Scheduler scheduler_;
  std::vector<Event> journal_;
  std::vector<Outcome::Refusal> refusals_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

}  // namespace headstart::scheduler
