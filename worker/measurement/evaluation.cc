#include "worker/measurement/evaluation.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "absl/types/span.h"

#include "base/check.h"
#include "worker/datasets/dataset.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

// Large enough for matrix products at full speed, small enough that a
// ResNet-18's activations stay below 100 MB.
constexpr int64_t kBatchSize = 256;

}  // namespace

std::optional<Evaluation> Evaluate(Model& model, const Examples& examples,
                                   absl::FunctionRef<bool()> cancelled) {
  HS_CHECK_GT(examples.size(), 0);
  const at::NoGradGuard no_grad;
  model.eval();
  std::vector<int32_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  BatchReader reader(examples, std::min(kBatchSize, examples.size()));
  double loss = 0;
  int64_t correct = 0;
  for (int64_t at = 0; at < examples.size(); at += kBatchSize) {
    if (cancelled()) return std::nullopt;
    const Batch batch =
        reader.Read(absl::MakeConstSpan(order).subspan(at, kBatchSize));
    const at::Tensor logits = model.forward(batch.images);
    loss += at::cross_entropy_loss(logits.to(at::kDouble), batch.labels, {},
                                   at::Reduction::Sum)
                .item<double>();
    correct += CountCorrect(logits, batch.labels);
  }
  const double count = examples.size();
  return Evaluation{.loss = loss / count, .accuracy = correct / count};
}

int64_t CountCorrect(const at::Tensor& logits, const at::Tensor& labels) {
  HS_CHECK(logits.is_contiguous() && labels.is_contiguous());
  const int64_t classes = logits.size(1);
  const float* row = logits.const_data_ptr<float>();
  const int64_t* label = labels.const_data_ptr<int64_t>();
  int64_t correct = 0;
  for (int64_t i = 0; i < logits.size(0); ++i, row += classes) {
    correct += std::max_element(row, row + classes) - row == label[i];
  }
  return correct;
}

}  // namespace headstart::worker
