#include "worker/trainer/cpu_engine.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/from_blob.h>

#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "worker/trainer/forward_pass.h"
#include "worker/trainer/loss.h"
#include "worker/trainer/runtime.h"

namespace headstart::worker {
namespace {

// What the teacher says of examples of a batch.
Taught TaughtPart(const TrainingRun& run, const at::Tensor& images,
                  absl::Span<const int32_t> which) {
  const Distiller* distiller = run.distiller();
  if (distiller == nullptr) return {};
  const at::Tensor& cached = distiller->cached();
  if (!cached.defined()) {
    return {.targets = distiller->Targets(images),
            .weight = distiller->weight()};
  }
  const at::Tensor rows =
      at::from_blob(const_cast<int32_t*>(which.data()),
                    {static_cast<int64_t>(which.size())}, at::kInt);
  return {.targets = cached.index_select(0, rows),
          .weight = distiller->weight()};
}

}  // namespace

absl::Status CpuEngine::Step(const StepPlace& place,
                             absl::Span<const int32_t> which) {
  HS_ASSIGN_OR_RETURN(const Batch batch,
                      batches_.ReadAugmented(place.epoch, place.step, which));
  const double loss = TrainBatch(batch, which);
  if (!std::isfinite(loss)) {
    return absl::OutOfRangeError(absl::StrFormat(
        "epoch %d, batch %d of %d: the loss is %f at learning rate %g. Try "
        "a smaller learning rate.",
        place.epoch, place.step + 1, place.steps, loss,
        run_.optimizer->learning_rate()));
  }
  sums_.loss += loss * batch.labels.size(0);
  return absl::OkStatus();
}

double CpuEngine::TrainBatch(const Batch& batch,
                             absl::Span<const int32_t> which) {
  const Recipe& recipe = run_.recipe;
  // To none instead of zeros: backward then hands its tensors over uncopied.
  run_.model->zero_grad(/*set_to_none=*/true);
  const int64_t examples = batch.labels.size(0);
  // Parts whose sizes differ by one at most.
  const int64_t parts = std::min(recipe.accumulation_steps, examples);
  double loss = 0;
  for (int64_t part = 0; part < parts; ++part) {
    loss += AddGradients(batch, which, part * examples / parts,
                         (part + 1) * examples / parts);
    if (!std::isfinite(loss)) return loss;
  }
  StepOptions options;
  if (recipe.clip_gradient_norm > 0) {
    options.gradient_scale = ClipFactor(GradientNorm(run_.model->parameters()),
                                        recipe.clip_gradient_norm);
  }
  keeper_.Step(options);
  if (run_.program != nullptr) run_.program->AfterStep();
  return loss;
}

double CpuEngine::AddGradients(const Batch& batch,
                               absl::Span<const int32_t> which, int64_t begin,
                               int64_t end) {
  // The graph ends with this call: a step may move the weights only without
  // one.
  const Batch part = Rows(batch, begin, end);
  const ForwardPass pass = RunForward(
      *run_.model, run_.recipe, part,
      TaughtPart(run_, part.images, which.subspan(begin, end - begin)),
      static_cast<double>(end - begin) / batch.labels.size(0));
  const double value = pass.loss.item<double>();
  if (!std::isfinite(value)) return value;
  sums_.correct += CountCorrect(pass.logits, part);
  pass.loss.backward();
  return value;
}

std::optional<Evaluation> CpuEngine::Evaluate(
    EvaluatedPart /*part*/, const Examples& examples,
    absl::FunctionRef<bool()> cancelled) {
  return worker::Evaluate(*run_.model, examples, run_.recipe.precision,
                          cancelled);
}

absl::Status CpuEngine::TakeSnapshot(int64_t epoch, PhaseSeconds& seconds) {
  HS_RETURN_IF_ERROR(keeper_.TakeSnapshot(epoch, seconds));
  delivered_epoch_ = epoch;
  return absl::OkStatus();
}

int64_t CpuEngine::TakePeakMemory() { return worker::TakePeakMemory(); }

}  // namespace headstart::worker
