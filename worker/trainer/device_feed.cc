#include "worker/trainer/device_feed.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include <ATen/ops/empty.h>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

constexpr int64_t kBatchesUnderWay = 8;
// With the images of each in pinned memory.
constexpr int64_t kImageBatchesUnderWay = 3;
constexpr int64_t kUploadBytes = 64 << 20;

static_assert(std::is_trivially_copyable_v<StepNumbers> &&
              std::is_trivially_copyable_v<Pick>);

// Where the parts of a message begin.
struct Layout {
  explicit Layout(int64_t batch_size)
      : mixed_labels(labels + batch_size * sizeof(int64_t)),
        picks(mixed_labels + batch_size * sizeof(int64_t)),
        bytes((picks + batch_size * sizeof(Pick) + 63) / 64 * 64) {}

  const int64_t labels = (sizeof(StepNumbers) + 63) / 64 * 64;
  const int64_t mixed_labels;
  const int64_t picks;
  const int64_t bytes;
};

template <typename T>
T* At(char* memory, int64_t offset) {
  return reinterpret_cast<T*>(memory + offset);
}

}  // namespace

DeviceFeed::DeviceFeed(Device& device, const Examples& examples,
                       const AugmentationOptions& options, int64_t seed,
                       int64_t batch_size, Precision precision)
    : device_(device),
      info_(examples.info()),
      options_(options),
      seed_(seed),
      batch_size_(batch_size) {
  const auto bytes = at::TensorOptions(at::kByte).device(device.torch_device());
  if (options.random_resized_crop.has_value()) {
    why_on_host_ = "random_resized_crop decodes their files anew";
  } else {
    UploadPixels(examples);
  }
  if (!resident()) reader_.emplace(examples, options, seed, batch_size);

  const int64_t values = examples.image_bytes();
  message_ = at::empty({Layout(batch_size).bytes}, bytes);
  const bool halves = resident() && precision == Precision::kBf16;
  images_ = at::empty({batch_size, values},
                      bytes.dtype(halves ? at::kBFloat16 : at::kFloat));
  image_batch_ =
      IsInterleaved(info_)
          ? images_
                .view({batch_size, info_.height, info_.width, info_.channels})
                .permute({0, 3, 1, 2})
          : images_.view(
                {batch_size, info_.channels, info_.height, info_.width});

  const std::vector<Normalization> channels = MakeNormalization(info_);
  const int64_t channel_bytes = channels.size() * sizeof(Normalization);
  at::Tensor on_host = at::empty({channel_bytes}, at::kByte);
  std::memcpy(on_host.mutable_data_ptr(), channels.data(), channel_bytes);
  channels_ = on_host.to(device.torch_device());

  const int64_t slot_bytes =
      Layout(batch_size).bytes + (resident() ? 0 : images_.nbytes());
  const int64_t count = resident() ? kBatchesUnderWay : kImageBatchesUnderWay;
  for (int64_t i = 0; i < count; ++i) {
    slots_.push_back({.memory = device.HostMemory(slot_bytes), .copied = {}});
  }
}

void DeviceFeed::UploadPixels(const Examples& examples) {
  const int64_t image = examples.image_bytes();
  const int64_t bytes = examples.size() * image;
  // The other half is for the model and its activations.
  if (const int64_t free = device_.FreeBytes(); bytes > free / 2) {
    why_on_host_ = absl::StrCat("they take ", bytes, " bytes, and ", free,
                                " are free on the device");
    return;
  }
  pixels_ = at::empty(
      {bytes}, at::TensorOptions(at::kByte).device(device_.torch_device()));
  const int64_t at_once = std::max<int64_t>(kUploadBytes / image, 1);
  const at::Tensor part =
      device_.HostMemory(std::min(at_once, examples.size()) * image);
  char* memory = static_cast<char*>(part.mutable_data_ptr());
  for (int64_t begin = 0; begin < examples.size(); begin += at_once) {
    const int64_t count = std::min(at_once, examples.size() - begin);
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(memory + i * image, examples.pixels(begin + i), image);
    }
    pixels_.narrow(0, begin * image, count * image)
        .copy_(part.narrow(0, 0, count * image));
  }
}

char* DeviceFeed::NextSlot() {
  Slot& slot = slots_[next_slot_];
  if (slot.copied != nullptr) slot.copied->Wait();
  return static_cast<char*>(slot.memory.mutable_data_ptr());
}

absl::Status DeviceFeed::Send(int64_t epoch, int64_t batch,
                              const Examples& examples,
                              absl::Span<const int32_t> which,
                              const StepTerms* terms) {
  const Layout layout(batch_size_);
  const int64_t count = which.size();
  HS_CHECK_LE(count, batch_size_);
  char* memory = NextSlot();
  std::memset(memory, 0, layout.bytes);  // Rows that only fill: example 0.
  StepNumbers numbers = {.mix_weight = 1, .counted = count};
  if (terms != nullptr) {
    std::copy(terms->sgd.begin(), terms->sgd.end(), numbers.sgd);
    std::copy(terms->adam.begin(), terms->adam.end(), numbers.adam);
  }
  auto* labels = At<int64_t>(memory, layout.labels);
  auto* mixed_labels = At<int64_t>(memory, layout.mixed_labels);
  for (int64_t i = 0; i < count; ++i) labels[i] = examples.label(which[i]);

  at::Tensor& slot = slots_[next_slot_].memory;
  if (resident()) {
    numbers.pixels = pixels_.const_data_ptr<uint8_t>();
    const BatchPlan plan =
        PlanBatch(examples, options_, seed_, epoch, batch, which);
    numbers.mix_weight = plan.mix_weight;
    auto* picks = At<Pick>(memory, layout.picks);
    for (int64_t i = 0; i < batch_size_; ++i) picks[i].partner = -1;
    for (int64_t i = 0; i < count; ++i) {
      picks[i] = {.example = which[i],
                  .partner = plan.partners.empty() ? -1 : plan.partners[i],
                  .plan = plan.images[i]};
      if (picks[i].partner >= 0) {
        mixed_labels[i] = labels[picks[i].partner];
      }
    }
  } else {
    HS_ASSIGN_OR_RETURN(const Batch made,
                        reader_->ReadAugmented(epoch, batch, which));
    numbers.mix_weight = made.mix_weight;
    if (made.mixed_labels.defined()) {
      std::memcpy(mixed_labels, made.mixed_labels.const_data_ptr(),
                  made.mixed_labels.nbytes());
    }
    std::memcpy(memory + layout.bytes, made.images.const_data_ptr(),
                made.images.nbytes());
    images_.narrow(0, 0, count)
        .view({-1})
        .view(at::kByte)
        .copy_(slot.narrow(0, layout.bytes, made.images.nbytes()),
               /*non_blocking=*/true);
  }
  std::memcpy(memory, &numbers, sizeof(numbers));
  message_.copy_(slot.narrow(0, 0, layout.bytes), /*non_blocking=*/true);
  slots_[next_slot_].copied = device_.Mark();
  next_slot_ = (next_slot_ + 1) % slots_.size();
  return absl::OkStatus();
}

Batch DeviceFeed::Assemble(int64_t rows) {
  const Layout layout(batch_size_);
  if (resident()) {
    device_.Assemble(
        {.numbers = numbers(),
         .picks = At<const Pick>(
             static_cast<char*>(message_.mutable_data_ptr()), layout.picks),
         .channels =
             static_cast<const Normalization*>(channels_.const_data_ptr()),
         .rows = rows,
         .channel_count = static_cast<int32_t>(info_.channels),
         .height = static_cast<int32_t>(info_.height),
         .width = static_cast<int32_t>(info_.width),
         .interleaved = IsInterleaved(info_),
         .type = images_.scalar_type() == at::kBFloat16 ? ImageType::kBf16
                                                        : ImageType::kFloat,
         .images = images_.mutable_data_ptr()});
  }
  const auto of_message = [&](int64_t offset, int64_t count,
                              at::ScalarType type) {
    return message_.narrow(0, offset, count * sizeof(int64_t)).view(type);
  };
  Batch batch = {.images = image_batch_.narrow(0, 0, rows),
                 .labels = of_message(layout.labels, rows, at::kLong),
                 .mixed_labels = {}};
  if (options_.mixup_alpha > 0) {
    batch.mixed_labels = of_message(layout.mixed_labels, rows, at::kLong);
    batch.mix_weight_tensor =
        of_message(offsetof(StepNumbers, mix_weight), 1, at::kDouble)
            .select(0, 0);
  }
  return batch;
}

const StepNumbers* DeviceFeed::numbers() const {
  return static_cast<const StepNumbers*>(message_.const_data_ptr());
}

}  // namespace headstart::worker
