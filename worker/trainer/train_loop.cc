#include "worker/trainer/train_loop.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

#include "base/status_macros.h"
#include "worker/datasets/split.h"
#include "worker/measurement/evaluation.h"
#include "worker/trainer/arena.h"
#include "worker/trainer/engine.h"
#include "worker/trainer/phase_timer.h"
#include "worker/trainer/pulse.h"
#include "worker/trainer/training_run.h"
#include "worker/training/schedule.h"

namespace headstart::worker {
namespace {

// One assignment on its way through its epochs. What interrupts it, a stop
// asked for by the host, travels as Cancelled inside this file.
class Loop final {
 public:
  Loop(const Assign& assign, TrainingRun& run, DatasetReader& datasets,
       Clock& clock, Host& host, Device* device)
      : assign_(assign),
        run_(run),
        datasets_(datasets),
        clock_(clock),
        host_(host),
        engine_(MakeEngine(run, assign.seed, clock, host, device)),
        snapshot_epoch_(assign.from_epoch) {}

  // The host has every snapshot that was taken, however it ends.
  absl::Status Run();
  // The last epoch that the host has a snapshot of.
  int64_t snapshot_epoch() const {
    return std::max(snapshot_epoch_, engine_->delivered_epoch());
  }
  // Since the last `epoch` message.
  const PhaseSeconds& seconds() const { return seconds_; }

 private:
  absl::Status TrainEpochs();
  // The initial state's measurement, if it is asked for, and its snapshot.
  absl::Status SnapshotStart();
  // What the program does before the epoch.
  absl::Status EnterPhase(int64_t epoch);
  // In the schedule, which begins anew with each phase.
  ScheduleTime TimeOf(int64_t epoch) const;
  // How many training examples the phase has, and the order in which an epoch
  // visits them.
  int64_t TrainedExamples() const;
  std::vector<int32_t> OrderOf(int64_t epoch) const;
  absl::Status TrainEpoch(int64_t epoch, Measurement& measurement);
  // OutOfRange when the sums up to step `steps_done` are not finite.
  absl::Status CheckLoss(const EpochSums& sums, int64_t epoch,
                         int64_t steps_done) const;
  // Whether this epoch's measurement ends the run before its last epoch.
  bool StopsAfter(const Measurement& measurement) const;
  absl::Status Measure(int64_t epoch, Measurement& measurement);
  absl::StatusOr<Evaluation> EvaluateOn(EvaluatedPart part,
                                        const Examples& examples, int64_t epoch,
                                        const char* what);
  absl::Status TakeSnapshot(int64_t epoch);

  bool stop_now() const { return host_.stop() == StopMode::kNow; }

  const Assign& assign_;
  TrainingRun& run_;
  DatasetReader& datasets_;
  Clock& clock_;
  Host& host_;
  const std::unique_ptr<Engine> engine_;
  const int64_t snapshot_epoch_;  // When the loop began.
  PhaseSeconds seconds_;
};

// A device's tensors lie one after another, and its steps may be recorded.
absl::Status CheckMoves(const TrainingRun& run) {
  if (run.model->OnlyOnCpu()) {
    return absl::FailedPreconditionError(
        "the model cannot be trained on this slot's device: it chooses on the "
        "CPU at every step what to compute. Slots on the CPU take it.");
  }
  const absl::Status moves = Arena::CanHold(run.state);
  if (moves.ok()) return moves;
  return absl::FailedPreconditionError(
      absl::StrCat("the model cannot be trained on this slot's device: its ",
                   moves.message(), ". Slots on the CPU take it."));
}

}  // namespace

absl::Status Train(const Assignment& assignment, DatasetReader& datasets,
                   Clock& clock, Host& host, Device* device,
                   const Plugins& plugins) {
  absl::StatusOr<TrainingRun> prepared =
      PrepareRun(assignment, datasets, plugins, clock, host);
  if (absl::IsCancelled(prepared.status()))
    return host.Send(Paused{.epoch = -1});
  HS_ASSIGN_OR_RETURN(TrainingRun run, std::move(prepared));
  if (device != nullptr) HS_RETURN_IF_ERROR(CheckMoves(run));
  HS_RETURN_IF_ERROR(host.Begin(run.started));
  Loop loop(assignment.assign, run, datasets, clock, host, device);
  const absl::Status status = loop.Run();
  if (absl::IsCancelled(status)) {
    return host.Send(
        Paused{.epoch = loop.snapshot_epoch(), .seconds = loop.seconds()});
  }
  HS_RETURN_IF_ERROR(status);
  return host.Send(
      Finished{.epoch = loop.snapshot_epoch(), .seconds = loop.seconds()});
}

namespace {

absl::Status Loop::Run() {
  absl::Status status = TrainEpochs();
  status.Update(engine_->Deliver(/*wait=*/true));
  return status;
}

absl::Status Loop::TrainEpochs() {
  HS_RETURN_IF_ERROR(engine_->GoOn(seconds_));
  if (assign_.from_epoch == 0) HS_RETURN_IF_ERROR(SnapshotStart());
  for (int64_t epoch = assign_.from_epoch + 1; epoch <= assign_.until_epoch;
       ++epoch) {
    HS_RETURN_IF_ERROR(engine_->GoOn(seconds_));
    EpochDone done = {.epoch = epoch};
    HS_RETURN_IF_ERROR(EnterPhase(epoch));
    HS_RETURN_IF_ERROR(TrainEpoch(epoch, done.measurement));
    HS_RETURN_IF_ERROR(Measure(epoch, done.measurement));
    if (run_.program != nullptr) run_.program->AfterEpoch(epoch);
    HS_RETURN_IF_ERROR(engine_->Deliver(/*wait=*/true));
    done.seconds = std::exchange(seconds_, {});
    done.examples_per_second = TrainedExamples() / done.seconds.train;
    done.peak_memory_bytes = engine_->TakePeakMemory();
    HS_RETURN_IF_ERROR(host_.Send(done));
    HS_RETURN_IF_ERROR(TakeSnapshot(epoch));
    if (StopsAfter(done.measurement)) break;
    if (host_.stop().has_value() && epoch < assign_.until_epoch) {
      return absl::CancelledError();
    }
  }
  return absl::OkStatus();
}

absl::Status Loop::SnapshotStart() {
  EpochDone done = {.epoch = 0,
                    .peak_memory_bytes = run_.initialize_peak_bytes};
  if (run_.recipe.evaluate_start) {
    HS_RETURN_IF_ERROR(Measure(0, done.measurement));
  }
  done.seconds = std::exchange(seconds_, {});
  done.seconds.initialize = run_.initialize_seconds;
  HS_RETURN_IF_ERROR(host_.Send(done));
  return TakeSnapshot(0);
}

absl::Status Loop::EnterPhase(int64_t epoch) {
  if (run_.program == nullptr) return absl::OkStatus();
  const PhasePlace place = run_.program->PlaceOf(epoch);
  if (!place.begins && epoch != assign_.from_epoch + 1) return absl::OkStatus();
  const PhaseTimer timer(clock_, seconds_.initialize);
  engine_->BeginPhase();
  if (place.begins) {
    HS_RETURN_IF_ERROR(run_.program->BeginPhase(place.phase));
  }
  Pulse pulse(clock_, host_);
  return run_.program->EnterPhase(place.phase, [&pulse] { return pulse(); });
}

ScheduleTime Loop::TimeOf(int64_t epoch) const {
  if (run_.program == nullptr) {
    return {.epoch = epoch, .epochs = run_.recipe.epochs};
  }
  const PhasePlace place = run_.program->PlaceOf(epoch);
  return {.epoch = place.epoch, .epochs = place.epochs};
}

int64_t Loop::TrainedExamples() const {
  const bool all = run_.program == nullptr || run_.program->examples().empty();
  return all ? run_.data.training.size() : run_.program->examples().size();
}

std::vector<int32_t> Loop::OrderOf(int64_t epoch) const {
  std::vector<int32_t> order =
      EpochOrder(assign_.seed, epoch, TrainedExamples());
  if (run_.program == nullptr || run_.program->examples().empty()) return order;
  for (int32_t& position : order) position = run_.program->examples()[position];
  return order;
}

absl::Status Loop::TrainEpoch(int64_t epoch, Measurement& measurement) {
  const PhaseTimer timer(clock_, seconds_.train);
  const int64_t examples = TrainedExamples();
  const int64_t batch_size = run_.recipe.batch_size;
  const int64_t steps = (examples + batch_size - 1) / batch_size;
  const std::vector<int32_t> order = OrderOf(epoch);
  const double base_rate = LearningRate(run_.recipe.optimizer);
  ScheduleTime time = TimeOf(epoch);
  time.steps_per_epoch = steps;
  absl::Duration next_message = clock_.Monotonic() + kProgressInterval;
  run_.model->train();
  engine_->BeginEpoch(epoch);

  for (int64_t step = 0; step < steps; ++step) {
    if (stop_now()) return absl::CancelledError();
    time.step = step;
    run_.optimizer->SetLearningRate(
        ScheduledRate(run_.recipe.schedule, base_rate, time));
    HS_RETURN_IF_ERROR(engine_->Step(
        {.epoch = epoch, .step = step, .steps = steps},
        absl::MakeConstSpan(order).subspan(step * batch_size, batch_size)));
    HS_RETURN_IF_ERROR(engine_->Deliver(/*wait=*/false));
    if (const absl::Duration now = clock_.Monotonic(); now >= next_message) {
      next_message = now + kProgressInterval;
      const EpochSums sums = engine_->ReadSums();
      HS_RETURN_IF_ERROR(CheckLoss(sums, epoch, step + 1));
      HS_RETURN_IF_ERROR(engine_->Deliver(/*wait=*/true));
      const double done = std::min<double>(examples, (step + 1.0) * batch_size);
      HS_RETURN_IF_ERROR(
          host_.Send(Step{.epoch = epoch,
                          .step = step + 1,
                          .steps = steps,
                          .training_loss = sums.loss / done,
                          .examples_per_second = done / timer.elapsed()}));
    }
  }
  const EpochSums sums = engine_->ReadSums();
  HS_RETURN_IF_ERROR(CheckLoss(sums, epoch, steps));
  measurement.training_loss = sums.loss / examples;
  measurement.training_accuracy = sums.correct / examples;
  return absl::OkStatus();
}

absl::Status Loop::CheckLoss(const EpochSums& sums, int64_t epoch,
                             int64_t steps_done) const {
  if (std::isfinite(sums.loss)) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrFormat(
      "epoch %d, one of the batches up to %d: the loss is %f; the learning "
      "rate is %g now. Try a smaller learning rate.",
      epoch, steps_done, sums.loss, run_.optimizer->learning_rate()));
}

bool Loop::StopsAfter(const Measurement& measurement) const {
  return run_.recipe.stop_accuracy.has_value() &&
         measurement.validation_accuracy >= run_.recipe.stop_accuracy;
}

absl::Status Loop::Measure(int64_t epoch, Measurement& measurement) {
  const PhaseTimer timer(clock_, seconds_.evaluate);
  if (run_.program != nullptr) run_.program->Measure(measurement);
  if (run_.data.validation.size() > 0) {
    HS_ASSIGN_OR_RETURN(
        const Evaluation validation,
        EvaluateOn(EvaluatedPart::kValidation, run_.data.validation, epoch,
                   "the validation split"));
    measurement.validation_loss = validation.loss;
    measurement.validation_accuracy = validation.accuracy;
  }
  const bool last =
      epoch == run_.recipe.epochs || (epoch > 0 && StopsAfter(measurement));
  if (run_.recipe.evaluate == TestWhen::kEveryEpoch ||
      (run_.recipe.evaluate == TestWhen::kLastEpoch && last)) {
    HS_ASSIGN_OR_RETURN(const Examples examples,
                        datasets_.ReadTest(run_.recipe.dataset));
    HS_ASSIGN_OR_RETURN(
        const Evaluation test,
        EvaluateOn(EvaluatedPart::kTest, examples, epoch, "the test set"));
    measurement.test_loss = test.loss;
    measurement.test_accuracy = test.accuracy;
  }
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> Loop::EvaluateOn(EvaluatedPart part,
                                            const Examples& examples,
                                            int64_t epoch, const char* what) {
  Pulse pulse(clock_, host_);
  const std::optional<Evaluation> evaluation =
      engine_->Evaluate(part, examples, [&pulse] { return pulse(); });
  if (!evaluation.has_value()) return absl::CancelledError();
  if (!std::isfinite(evaluation->loss)) {
    // The last step of the epoch broke the weights.
    return absl::OutOfRangeError(absl::StrFormat(
        "epoch %d: the loss on %s is %f. Try a smaller learning rate.", epoch,
        what, evaluation->loss));
  }
  return *evaluation;
}

absl::Status Loop::TakeSnapshot(int64_t epoch) {
  if (stop_now()) return absl::CancelledError();
  return engine_->TakeSnapshot(epoch, seconds_);
}

}  // namespace
}  // namespace headstart::worker
