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

// Large enough for matrix products at full speed, small enough that a
// ResNet-18's activations stay below 100 MB for 32x32 images and 400 MB for
// larger ones.
int64_t RowsAtOnce(const Examples& examples) {
  constexpr int64_t kMost = 256;
  constexpr int64_t kPixels = kMost * 64 * 64;
  const InputInfo& info = examples.info();
  const int64_t batch_size =
      std::clamp<int64_t>(kPixels / (info.height * info.width), 1, kMost);
  return std::min(batch_size, examples.size());
}

namespace {

template <typename T>
int64_t CountMaxima(const at::Tensor& logits, const at::Tensor& labels) {
  const int64_t classes = logits.size(1);
  const T* row = logits.const_data_ptr<T>();
  const int64_t* label = labels.const_data_ptr<int64_t>();
  int64_t correct = 0;
  for (int64_t i = 0; i < logits.size(0); ++i, row += classes) {
    correct += std::max_element(row, row + classes) - row == label[i];
  }
  return correct;
}

at::Tensor Forward(Model& model, const at::Tensor& images,
                   Precision precision) {
  const PrecisionScope scope(precision);
  const at::Tensor logits = model.forward(images);
  return precision == Precision::kBf16 ? logits.to(at::kFloat) : logits;
}

}  // namespace

std::optional<Evaluation> Evaluate(Model& model, const Examples& examples,
                                   Precision precision,
                                   absl::FunctionRef<bool()> cancelled) {
  HS_CHECK_GT(examples.size(), 0);
  const at::NoGradGuard no_grad;
  model.eval();
  std::vector<int32_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  const int64_t batch_size = RowsAtOnce(examples);
  BatchReader reader(examples, batch_size);
  double loss = 0;
  int64_t correct = 0;
  for (int64_t at = 0; at < examples.size(); at += batch_size) {
    if (cancelled()) return std::nullopt;
    const Batch batch =
        reader.Read(absl::MakeConstSpan(order).subspan(at, batch_size));
    const at::Tensor logits =
        Forward(model, ToInput(batch.images, precision), precision);
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
  return logits.scalar_type() == at::kDouble
             ? CountMaxima<double>(logits, labels)
             : CountMaxima<float>(logits, labels);
}

}  // namespace headstart::worker
