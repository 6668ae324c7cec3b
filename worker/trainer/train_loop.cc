#include "worker/trainer/train_loop.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

#include "base/status_macros.h"
#include "worker/datasets/dataset.h"
#include "worker/datasets/split.h"
#include "worker/measurement/evaluation.h"
#include "worker/trainer/loss.h"
#include "worker/trainer/phase_timer.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/state_keeper.h"
#include "worker/trainer/training_run.h"
#include "worker/training/schedule.h"

namespace headstart::worker {
namespace {

constexpr absl::Duration kStepMessageInterval = absl::Seconds(1);
constexpr absl::Duration kHeartbeatInterval = absl::Seconds(10);

// One assignment on its way through its epochs. What interrupts it, a stop
// asked for by the host, travels as Cancelled inside this file.
class Loop final {
 public:
  Loop(const Assign& assign, TrainingRun& run, DatasetReader& datasets,
       Clock& clock, Host& host)
      : assign_(assign),
        run_(run),
        datasets_(datasets),
        clock_(clock),
        host_(host),
        keeper_(run, clock, host),
        batches_(run.data.training, run.recipe.augmentation, assign.seed,
                 run.recipe.batch_size) {}

  absl::Status TrainEpochs();
  // The last epoch that the host has a snapshot of.
  int64_t snapshot_epoch() const { return snapshot_epoch_; }
  // Since the last `epoch` message.
  const PhaseSeconds& seconds() const { return seconds_; }

 private:
  absl::Status TrainEpoch(int64_t epoch, Measurement& measurement);
  // One step; the batch's mean loss, and no step when that is not finite.
  double TrainBatch(const Batch& batch, double& correct);
  // Adds the gradients of rows `begin` to `end` of the batch, whose loss counts
  // by their share of it; that part of the loss, and no gradients when it is
  // not finite.
  double AddGradients(const Batch& batch, int64_t begin, int64_t end,
                      double& correct);
  // Whether this epoch's measurement ends the run before its last epoch.
  bool StopsAfter(const Measurement& measurement) const;
  absl::Status Measure(int64_t epoch, Measurement& measurement);
  absl::StatusOr<Evaluation> EvaluateOn(const Examples& examples, int64_t epoch,
                                        const char* what);
  absl::Status TakeSnapshot(int64_t epoch);

  bool stop_now() const { return host_.stop() == StopMode::kNow; }

  const Assign& assign_;
  TrainingRun& run_;
  DatasetReader& datasets_;
  Clock& clock_;
  Host& host_;
  StateKeeper keeper_;
  BatchReader batches_;
  int64_t snapshot_epoch_ = 0;
  PhaseSeconds seconds_;
};

}  // namespace

absl::Status Train(const Assignment& assignment, DatasetReader& datasets,
                   Clock& clock, Host& host) {
  absl::StatusOr<TrainingRun> prepared = PrepareRun(assignment, datasets);
  if (absl::IsCancelled(prepared.status()))
    return host.Send(Paused{.epoch = -1});
  HS_ASSIGN_OR_RETURN(TrainingRun run, std::move(prepared));
  HS_RETURN_IF_ERROR(host.Begin(run.started));
  Loop loop(assignment.assign, run, datasets, clock, host);
  const absl::Status status = loop.TrainEpochs();
  if (absl::IsCancelled(status)) {
    return host.Send(
        Paused{.epoch = loop.snapshot_epoch(), .seconds = loop.seconds()});
  }
  HS_RETURN_IF_ERROR(status);
  return host.Send(
      Finished{.epoch = loop.snapshot_epoch(), .seconds = loop.seconds()});
}

namespace {

absl::Status Loop::TrainEpochs() {
  snapshot_epoch_ = assign_.from_epoch;
  HS_RETURN_IF_ERROR(keeper_.GoOn(seconds_));
  if (assign_.from_epoch == 0) HS_RETURN_IF_ERROR(TakeSnapshot(0));
  for (int64_t epoch = assign_.from_epoch + 1; epoch <= assign_.until_epoch;
       ++epoch) {
    HS_RETURN_IF_ERROR(keeper_.GoOn(seconds_));
    EpochDone done = {.epoch = epoch};
    HS_RETURN_IF_ERROR(TrainEpoch(epoch, done.measurement));
    HS_RETURN_IF_ERROR(Measure(epoch, done.measurement));
    done.seconds = std::exchange(seconds_, {});
    done.examples_per_second = run_.data.training.size() / done.seconds.train;
    done.peak_memory_bytes = TakePeakMemory();
    HS_RETURN_IF_ERROR(host_.Send(done));
    HS_RETURN_IF_ERROR(TakeSnapshot(epoch));
    if (StopsAfter(done.measurement)) break;
    if (host_.stop().has_value() && epoch < assign_.until_epoch) {
      return absl::CancelledError();
    }
  }
  return absl::OkStatus();
}

absl::Status Loop::TrainEpoch(int64_t epoch, Measurement& measurement) {
  const PhaseTimer timer(clock_, seconds_.train);
  const int64_t examples = run_.data.training.size();
  const int64_t batch_size = run_.recipe.batch_size;
  const int64_t steps = (examples + batch_size - 1) / batch_size;
  const std::vector<int32_t> order = EpochOrder(assign_.seed, epoch, examples);
  const double base_rate = LearningRate(run_.recipe.optimizer);
  absl::Duration next_message = clock_.Monotonic() + kStepMessageInterval;
  double loss_sum = 0;
  double correct = 0;
  run_.model->train();

  for (int64_t step = 0; step < steps; ++step) {
    if (stop_now()) return absl::CancelledError();
    run_.optimizer->SetLearningRate(
        ScheduledRate(run_.recipe.schedule, base_rate,
                      {.epoch = epoch,
                       .step = step,
                       .steps_per_epoch = steps,
                       .epochs = run_.recipe.epochs}));
    HS_ASSIGN_OR_RETURN(
        const Batch batch,
        batches_.ReadAugmented(
            epoch, step,
            absl::MakeConstSpan(order).subspan(step * batch_size, batch_size)));
    const double loss = TrainBatch(batch, correct);
    if (!std::isfinite(loss)) {
      return absl::OutOfRangeError(absl::StrFormat(
          "epoch %d, batch %d of %d: the loss is %f at learning rate %g. Try "
          "a smaller learning rate.",
          epoch, step + 1, steps, loss, run_.optimizer->learning_rate()));
    }
    loss_sum += loss * batch.labels.size(0);
    if (const absl::Duration now = clock_.Monotonic(); now >= next_message) {
      next_message = now + kStepMessageInterval;
      const double done = std::min<double>(examples, (step + 1.0) * batch_size);
      HS_RETURN_IF_ERROR(
          host_.Send(Step{.epoch = epoch,
                          .step = step + 1,
                          .steps = steps,
                          .training_loss = loss_sum / done,
                          .examples_per_second = done / timer.elapsed()}));
    }
  }
  measurement.training_loss = loss_sum / examples;
  measurement.training_accuracy = correct / examples;
  return absl::OkStatus();
}

double Loop::TrainBatch(const Batch& batch, double& correct) {
  const Recipe& recipe = run_.recipe;
  // To none instead of zeros: backward then hands its tensors over uncopied.
  run_.model->zero_grad(/*set_to_none=*/true);
  const int64_t examples = batch.labels.size(0);
  // Parts whose sizes differ by one at most.
  const int64_t parts = std::min(recipe.accumulation_steps, examples);
  double loss = 0;
  for (int64_t part = 0; part < parts; ++part) {
    loss += AddGradients(batch, part * examples / parts,
                         (part + 1) * examples / parts, correct);
    if (!std::isfinite(loss)) return loss;
  }
  StepOptions options;
  if (recipe.clip_gradient_norm > 0) {
    options.gradient_scale = ClipFactor(GradientNorm(run_.model->parameters()),
                                        recipe.clip_gradient_norm);
  }
  keeper_.Step(options);
  return loss;
}

double Loop::AddGradients(const Batch& batch, int64_t begin, int64_t end,
                          double& correct) {
  // The graph ends with this call: a step may move the weights only without
  // one.
  const Recipe& recipe = run_.recipe;
  const Batch part = Rows(batch, begin, end);
  TrainingOutput output;
  {
    const at::Tensor images = ToInput(part.images, recipe.precision);
    const PrecisionScope scope(recipe.precision);
    output = run_.model->ForwardTraining(images);
  }
  if (recipe.precision == Precision::kBf16) {
    output.logits = output.logits.to(at::kFloat);
    if (output.auxiliary_logits.defined()) {
      output.auxiliary_logits = output.auxiliary_logits.to(at::kFloat);
    }
  }
  at::Tensor loss = TrainingLoss(output, part, recipe.loss);
  const double share = static_cast<double>(end - begin) / batch.labels.size(0);
  if (share < 1) loss = loss * share;
  const double value = loss.item<double>();
  if (!std::isfinite(value)) return value;
  correct += CountCorrect(output.logits, part);
  loss.backward();
  return value;
}

bool Loop::StopsAfter(const Measurement& measurement) const {
  return run_.recipe.stop_accuracy.has_value() &&
         measurement.validation_accuracy >= run_.recipe.stop_accuracy;
}

absl::Status Loop::Measure(int64_t epoch, Measurement& measurement) {
  const PhaseTimer timer(clock_, seconds_.evaluate);
  if (run_.data.validation.size() > 0) {
    HS_ASSIGN_OR_RETURN(
        const Evaluation validation,
        EvaluateOn(run_.data.validation, epoch, "the validation split"));
    measurement.validation_loss = validation.loss;
    measurement.validation_accuracy = validation.accuracy;
  }
  const bool last = epoch == run_.recipe.epochs || StopsAfter(measurement);
  if (run_.recipe.evaluate == TestWhen::kEveryEpoch ||
      (run_.recipe.evaluate == TestWhen::kLastEpoch && last)) {
    HS_ASSIGN_OR_RETURN(const Examples examples,
                        datasets_.ReadTest(run_.recipe.dataset));
    HS_ASSIGN_OR_RETURN(const Evaluation test,
                        EvaluateOn(examples, epoch, "the test set"));
    measurement.test_loss = test.loss;
    measurement.test_accuracy = test.accuracy;
  }
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> Loop::EvaluateOn(const Examples& examples,
                                            int64_t epoch, const char* what) {
  absl::Duration next_heartbeat = clock_.Monotonic() + kHeartbeatInterval;
  const std::optional<Evaluation> evaluation =
      Evaluate(*run_.model, examples, run_.recipe.precision, [&] {
        if (const auto now = clock_.Monotonic(); now >= next_heartbeat) {
          next_heartbeat = now + kHeartbeatInterval;
          // That nobody listens shows with the next message that matters.
          host_.Send(Heartbeat{}).IgnoreError();
        }
        return stop_now();
      });
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
  HS_RETURN_IF_ERROR(keeper_.TakeSnapshot(epoch, seconds_));
  snapshot_epoch_ = epoch;
  return absl::OkStatus();
}

}  // namespace
}  // namespace headstart::worker
