#include "worker/trainer/device_engine.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "base/check.h"
#include "base/log.h"
#include "base/random_stream.h"
#include "worker/trainer/cpu_engine.h"
#include "worker/trainer/loss.h"

namespace headstart::worker {
namespace {

// Steps before one is recorded: libraries choose their algorithms in them.
constexpr int64_t kWarmUpRuns = 3;

// Enough to fill a GPU; a ResNet-18's activations stay below 2 GB.
int64_t EvaluationBatch(const Examples& examples) {
  constexpr int64_t kMost = 1024;
  constexpr int64_t kPixels = kMost * 64 * 64;
  const InputInfo& info = examples.info();
  const int64_t most =
      std::clamp<int64_t>(kPixels / (info.height * info.width), 1, kMost);
  return std::min(most, examples.size());
}

// ClipFactor of GradientNorm, on the gradients' device: a double.
at::Tensor ClipFactorOf(const std::vector<at::Tensor>& gradients,
                        double limit) {
  const at::Tensor norm = at::linalg_vector_norm(
      at::stack(at::_foreach_norm(gradients, 2, at::kDouble)));
  return (at::full_like(norm, limit) / (norm + 1e-6)).clamp_max(1);
}

}  // namespace

std::unique_ptr<Engine> MakeEngine(TrainingRun& run, int64_t seed, Clock& clock,
                                   Host& host, Device* device) {
  if (device == nullptr) {
    return std::make_unique<CpuEngine>(run, seed, clock, host);
  }
  return std::make_unique<DeviceEngine>(*device, run, seed, clock, host);
}

DeviceEngine::DeviceEngine(Device& device, TrainingRun& run, int64_t seed,
                           Clock& clock, Host& host)
    : device_(device),
      run_(run),
      seed_(seed),
      state_(device, run, clock, host),
      training_(device, run.data.training, run.recipe.augmentation, seed,
                run.recipe.batch_size, run.recipe.precision),
      sums_(at::zeros(
          {2}, at::TensorOptions(at::kDouble).device(device.torch_device()))) {
  TellOfHost(training_);
  if (!can_record_) {
    HS_LOG(
        kInfo,
        "steps are not recorded, which is slower why=\"what a plug-in's model "
        "does may differ from batch to batch\"");
  }
  at::globalContext().setDeterministicCuDNN(run.recipe.deterministic);
  at::globalContext().setBenchmarkCuDNN(!run.recipe.deterministic);
}

void DeviceEngine::TellOfHost(const DeviceFeed& feed) {
  if (feed.resident() || std::exchange(told_of_host_, true)) return;
  HS_LOG(kInfo, "images come from the host, which is slower why=\"{}\"",
         feed.why_on_host());
}

void DeviceEngine::BeginPhase() {
  // Recorded with what the phase before computed.
  steps_.clear();
  evaluated_.clear();
}

void DeviceEngine::BeginEpoch(int64_t epoch) {
  sums_.zero_();
  // Of epoch and seed alone: nothing of it need be stored.
  device_.SeedGenerator(RandomStream(seed_).Child("device", epoch).Bits64());
}

void DeviceEngine::Run(Program& program, const std::function<void()>& work) {
  if (program.recording == nullptr && can_record_ &&
      program.runs++ >= kWarmUpRuns) {
    std::string why;
    program.recording = device_.Record(work, why);
    if (program.recording == nullptr) {
      can_record_ = false;
      HS_LOG(kWarning, "steps are not recorded, which is slower why=\"{}\"",
             why);
    }
  }
  if (program.recording != nullptr) {
    program.recording->Replay();
  } else {
    work();
  }
}

absl::Status DeviceEngine::Step(const StepPlace& place,
                                absl::Span<const int32_t> which) {
  const StepTerms terms = run_.optimizer->CountStep();
  const absl::Status sent = training_.Send(place.epoch, place.step,
                                           run_.data.training, which, &terms);
  if (!sent.ok()) return sent;
  const int64_t rows = which.size();
  if (const Distiller* distiller = run_.distiller();
      distiller != nullptr && distiller->cached().defined()) {
    const at::Tensor& cached = distiller->cached();
    if (!taught_.defined()) {
      taught_ =
          at::zeros({run_.recipe.batch_size, cached.size(1)}, cached.options());
    }
    const at::Tensor places =
        at::from_blob(const_cast<int32_t*>(which.data()), {rows}, at::kInt)
            .to(cached.device());
    taught_.narrow(0, 0, rows).copy_(cached.index_select(0, places));
  }
  Run(steps_[rows], [this, rows] { TrainRows(rows); });
  return absl::OkStatus();
}

void DeviceEngine::TrainRows(int64_t rows) {
  const Recipe& recipe = run_.recipe;
  run_.model->zero_grad(/*set_to_none=*/true);
  const Batch batch = training_.Assemble(rows);
  const int64_t parts = std::min(recipe.accumulation_steps, rows);
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t begin = i * rows / parts;
    const int64_t end = (i + 1) * rows / parts;
    const Batch part = Rows(batch, begin, end);
    const ForwardPass pass = RunForward(
        *run_.model, recipe, part, TaughtPart(part.images, begin, end),
        static_cast<double>(end - begin) / rows);
    Count(training_, pass.logits.detach(), part, pass.loss.detach(), rows);
    pass.loss.backward();
  }
  Update();
}

Taught DeviceEngine::TaughtPart(const at::Tensor& images, int64_t begin,
                                int64_t end) const {
  const Distiller* distiller = run_.distiller();
  if (distiller == nullptr) return {};
  return {.targets = distiller->cached().defined()
                         ? taught_.narrow(0, begin, end - begin)
                         : distiller->Targets(images),
          .weight = distiller->weight()};
}

void DeviceEngine::Update() {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  std::vector<StepTensor> tensors;
  const auto data = [](const at::Tensor& tensor) -> void* {
    return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
  };
  for (const OptimizedTensors& each : run_.optimizer->Tensors()) {
    if (!each.parameter.grad().defined()) continue;
    gradients.push_back(each.parameter.grad().contiguous());
    HS_CHECK(gradients.back().scalar_type() == each.parameter.scalar_type());
    tensors.push_back({.gradient = gradients.back().const_data_ptr(),
                       .weight = data(each.parameter),
                       .first = data(each.first),
                       .second = data(each.second),
                       .count = each.parameter.numel(),
                       .group = static_cast<int32_t>(each.group)});
  }
  if (tensors.empty()) return;
  UpdateArguments how = {
      .numbers = training_.numbers(),
      .gradient_scale = nullptr,
      .rule = std::holds_alternative<SgdOptions>(run_.recipe.optimizer.rule)
                  ? StepRule::kSgd
                  : StepRule::kAdam,
      .is_double = gradients[0].scalar_type() == at::kDouble};
  at::Tensor factor;
  if (run_.recipe.clip_gradient_norm > 0) {
    factor = ClipFactorOf(gradients, run_.recipe.clip_gradient_norm);
    how.gradient_scale = factor.const_data_ptr<double>();
  }
  device_.Update(how, tensors);
  if (run_.program != nullptr) run_.program->AfterStep();
}

void DeviceEngine::Count(const DeviceFeed& feed, const at::Tensor& logits,
                         const Batch& batch, const at::Tensor& loss,
                         double loss_weight) {
  const at::Tensor rows = logits.contiguous();
  device_.Count(
      {.numbers = feed.numbers(),
       .logits = rows.const_data_ptr(),
       .labels = batch.labels.const_data_ptr<int64_t>(),
       .mixed_labels = batch.mixed_labels.defined()
                           ? batch.mixed_labels.const_data_ptr<int64_t>()
                           : nullptr,
       .loss = loss.defined() ? loss.const_data_ptr() : nullptr,
       .loss_weight = loss_weight,
       .rows = rows.size(0),
       .classes = rows.size(1),
       .is_double = rows.scalar_type() == at::kDouble,
       .sums = static_cast<Sums*>(sums_.mutable_data_ptr())});
}

Sums DeviceEngine::Read() const {
  const at::Tensor sums = sums_.to(at::kCPU);
  const double* values = sums.const_data_ptr<double>();
  return {.loss = values[0], .correct = values[1]};
}

EpochSums DeviceEngine::ReadSums() {
  const Sums sums = Read();
  return {.loss = sums.loss, .correct = sums.correct};
}

void DeviceEngine::EvaluateRows(DeviceFeed& feed) {
  const Batch batch = feed.Assemble(feed.batch_size());
  at::Tensor logits;
  {
    const at::Tensor images = ToInput(batch.images, run_.recipe.precision);
    const PrecisionScope scope(run_.recipe.precision, images.device().type());
    logits = run_.model->forward(images);
  }
  if (run_.recipe.precision == Precision::kBf16) logits = logits.to(at::kFloat);
  Count(feed, logits, batch, /*loss=*/{}, 0);
}

std::optional<Evaluation> DeviceEngine::Evaluate(
    EvaluatedPart part, const Examples& examples,
    absl::FunctionRef<bool()> cancelled) {
  const at::NoGradGuard no_grad;
  run_.model->eval();
  auto found = evaluated_.find(part);
  if (found == evaluated_.end() || !found->second.feed.resident()) {
    // The host's reader lends the examples for this call alone.
    evaluated_.erase(part);
    found = evaluated_
                .emplace(part,
                         EvaluatedExamples{
                             .feed = DeviceFeed(device_, examples, {}, seed_,
                                                EvaluationBatch(examples),
                                                run_.recipe.precision),
                             .program = {}})
                .first;
  }
  TellOfHost(found->second.feed);
  auto& [feed, program] = found->second;
  sums_.zero_();
  std::vector<int32_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  for (int64_t at = 0; at < examples.size(); at += feed.batch_size()) {
    if (cancelled()) return std::nullopt;
    // Without augmentation no file is read: nothing can fail.
    HS_CHECK_OK(feed.Send(
        0, 0, examples,
        absl::MakeConstSpan(order).subspan(at, feed.batch_size()), nullptr));
    Run(program, [this, &feed = feed] { EvaluateRows(feed); });
  }
  const Sums sums = Read();
  const double count = examples.size();
  return Evaluation{.loss = sums.loss / count,
                    .accuracy = sums.correct / count};
}

}  // namespace headstart::worker
