#include "worker/trainer/distiller.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>

#include "worker/measurement/evaluation.h"

namespace headstart::worker {

absl::Status Distiller::Teach(std::shared_ptr<Model> teacher,
                              c10::Device device, const Examples& examples,
                              absl::FunctionRef<bool()> cancelled) {
  teacher_ = std::move(teacher);
  teacher_->to(device);
  teacher_->eval();
  cached_ = at::Tensor();
  if (!options_.cached) return absl::OkStatus();
  const int64_t count = examples.size();
  const int64_t at_once = RowsAtOnce(examples);
  BatchReader reader(examples, at_once);
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  at::Tensor targets;
  for (int64_t begin = 0; begin < count; begin += at_once) {
    if (cancelled()) return absl::CancelledError();
    const int64_t rows = std::min(at_once, count - begin);
    const Batch batch =
        reader.Read(absl::MakeConstSpan(order).subspan(begin, rows));
    const at::Tensor part = Targets(batch.images.to(device));
    if (!targets.defined()) {
      targets = at::empty({count, part.size(1)}, part.options());
    }
    targets.narrow(0, begin, rows).copy_(part);
  }
  cached_ = targets;
  return absl::OkStatus();
}

at::Tensor Distiller::Targets(const at::Tensor& images) const {
  const at::NoGradGuard no_grad;
  at::Tensor logits;
  {
    const at::Tensor input = ToInput(images, precision_);
    const PrecisionScope scope(precision_, input.device().type());
    logits = teacher_->forward(input);
  }
  if (precision_ == Precision::kBf16) logits = logits.to(at::kFloat);
  return at::softmax(logits, 1);
}

}  // namespace headstart::worker
