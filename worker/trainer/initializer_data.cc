#include "worker/trainer/initializer_data.h"

#include "base/check.h"
#include "base/random_stream.h"
#include "worker/datasets/split.h"

namespace headstart::worker {

InitializerData::InitializerData(
    Model& model, const Examples& examples, int64_t largest_batch,
    Precision precision, int64_t seed, absl::FunctionRef<bool()> cancelled,
    absl::FunctionRef<void(const initializers::LearningProgress&)> note)
    : model_(model),
      examples_(examples),
      precision_(precision),
      seed_(static_cast<int64_t>(
          RandomStream(seed).Child("initializer_data").Bits64())),
      cancelled_(cancelled),
      note_(note),
      reader_(examples, largest_batch) {}

at::Tensor InitializerData::Forward(const at::Tensor& inputs) {
  return model_.forward(inputs);
}

initializers::LabelledBatch InitializerData::NextBatch(int64_t examples) {
  HS_CHECK_LE(examples, examples_.size());
  // A batch has no example twice: what is too little of a pass is left out.
  if (static_cast<int64_t>(order_.size()) < examples) {
    order_ = EpochOrder(seed_, ++pass_, examples_.size());
  }
  const Batch batch = reader_.Read(absl::MakeConstSpan(order_).last(examples));
  order_.resize(order_.size() - examples);
  // The reader's tensors are for one batch at a time.
  return {.inputs = ToInput(batch.images, precision_).clone(),
          .labels = batch.labels.clone()};
}

absl::Status InitializerData::GoOn() {
  return cancelled_() ? absl::CancelledError() : absl::OkStatus();
}

}  // namespace headstart::worker
