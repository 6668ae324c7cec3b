// The engine on a device other than the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

#include "worker/cuda/device.h"
#include "worker/trainer/device_feed.h"
#include "worker/trainer/device_state.h"
#include "worker/trainer/engine.h"
#include "worker/trainer/forward_pass.h"

namespace headstart::worker {

// Asks for steps and does not wait for them: sums stay on the device until they
// are read. After a few steps of one batch size the device records the step,
// from the batch's images to the weights, and does it again at one call, but
// for models of plug-ins.
class DeviceEngine final : public Engine {
 public:
  DeviceEngine(Device& device, TrainingRun& run, int64_t seed, Clock& clock,
               Host& host);

  absl::Status GoOn(PhaseSeconds&) override { return absl::OkStatus(); }
  void BeginPhase() override;
  void BeginEpoch(int64_t epoch) override;
  absl::Status Step(const StepPlace& place,
                    absl::Span<const int32_t> which) override;
  EpochSums ReadSums() override;
  std::optional<Evaluation> Evaluate(
      EvaluatedPart part, const Examples& examples,
      absl::FunctionRef<bool()> cancelled) override;
  absl::Status TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) override {
    return state_.TakeSnapshot(epoch, seconds);
  }
  absl::Status Deliver(bool wait) override { return state_.Deliver(wait); }
  int64_t delivered_epoch() const override { return state_.delivered_epoch(); }
  int64_t TakePeakMemory() override { return device_.TakePeakBytes(); }

 private:
  // Work that is done again and again.
  struct Program {
    int64_t runs = 0;
    std::unique_ptr<Recording> recording;
  };
  struct EvaluatedExamples {
    DeviceFeed feed;
    Program program;
  };

  // Once.
  void TellOfHost(const DeviceFeed& feed);
  void Run(Program& program, const std::function<void()>& work);
  // One step on the first `rows` of the batch that was sent.
  void TrainRows(int64_t rows);
  // What the teacher says of rows of the batch.
  Taught TaughtPart(const at::Tensor& images, int64_t begin, int64_t end) const;
  // The update, from the gradients that backward left.
  void Update();
  void EvaluateRows(DeviceFeed& feed);
  // Adds to the sums; without `loss` that of the rows that count.
  void Count(const DeviceFeed& feed, const at::Tensor& logits,
             const Batch& batch, const at::Tensor& loss, double loss_weight);
  Sums Read() const;

  Device& device_;
  TrainingRun& run_;
  const int64_t seed_;
  DeviceState state_;
  DeviceFeed training_;
  at::Tensor sums_;  // Sums, as doubles on the device.
  std::map<EvaluatedPart, EvaluatedExamples> evaluated_;
  std::map<int64_t, Program> steps_;  // By batch size.
  at::Tensor taught_;  // Cached targets of the batch that was sent.
  // A plug-in's forward may decide on the host, anew for each batch.
  bool can_record_ = !run_.recipe.model_plugin.has_value();
  bool told_of_host_ = false;
};

}  // namespace headstart::worker
