#include "worker/datasets/dataset.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "base/mutex.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "worker/dataset_files/resize.h"

namespace headstart::worker {
namespace {

// Below this a thread takes longer to wake than to gather.
constexpr int64_t kBytesPerThread = 256 * 1024;

at::MemoryFormat MemoryFormat(const InputInfo& info) {
  return IsInterleaved(info) ? at::MemoryFormat::ChannelsLast
                             : at::MemoryFormat::Contiguous;
}

// The error of the first of several images that failed, whichever thread
// found it first.
class FirstError final {
 public:
  void Note(int64_t position, const absl::Status& status) {
    const MutexLock lock(&mu_);
    if (position >= position_) return;
    position_ = position;
    status_ = status;
  }
  absl::Status status() {
    const MutexLock lock(&mu_);
    return status_;
  }

 private:
  Mutex mu_;
  int64_t position_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<int64_t>::max();
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

// All that is drawn in an epoch but the order of its examples.
RandomStream AugmentationOf(int64_t seed, int64_t epoch) {
  return RandomStream(seed).Child("augmentation", epoch);
}

// Who is blended into whom: every image is the other one of exactly one.
std::vector<int32_t> DrawPartners(int64_t count, const RandomStream& batch) {
  std::vector<int32_t> partners(count);
  std::iota(partners.begin(), partners.end(), 0);
  RandomStream stream = batch.Child("mix_partners");
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(partners[i], partners[stream.UniformInt(i + 1)]);
  }
  return partners;
}

}  // namespace

std::vector<Normalization> MakeNormalization(const InputInfo& info) {
  std::vector<Normalization> channels;
  for (int64_t channel = 0; channel < info.channels; ++channel) {
    const double deviation = info.standard_deviation[channel];
    channels.push_back(
        {.scale = static_cast<float>(1 / (255 * deviation)),
         .shift = static_cast<float>(-info.mean[channel] / deviation)});
  }
  return channels;
}

bool IsInterleaved(const InputInfo& info) { return info.channels == 3; }

BatchPlan PlanBatch(const Examples& examples,
                    const AugmentationOptions& options, int64_t seed,
                    int64_t epoch, int64_t batch,
                    absl::Span<const int32_t> which) {
  const InputInfo& info = examples.info();
  const RandomStream stream = AugmentationOf(seed, epoch);
  BatchPlan plan;
  plan.images.reserve(which.size());
  for (const int32_t position : which) {
    plan.images.push_back(
        DrawPlan(options, info.height, info.width,
                 stream.Child("example", examples.row(position))));
  }
  if (options.mixup_alpha > 0) {
    const RandomStream of = stream.Child("batch", batch);
    plan.partners = DrawPartners(which.size(), of);
    plan.mix_weight = DrawMixWeight(options.mixup_alpha, of);
  }
  return plan;
}

std::string InputTransform(const InputInfo& info) {
  return absl::StrCat(
      "pixel/255; ",
      info.resized ? absl::StrCat("resized to ", info.height, "x", info.width,
                                  " bilinear with antialias; ")
                   : "",
      "mean ", absl::StrJoin(info.mean, " "), "; std ",
      absl::StrJoin(info.standard_deviation, " "));
}

Examples::Examples(InputInfo info, std::shared_ptr<const ImageSource> source,
                   Rows rows)
    : info_(std::move(info)),
      source_(std::move(source)),
      rows_(std::move(rows)) {
  HS_CHECK_EQ(rows_.rows.size(), rows_.labels.size());
}

BatchReader::BatchReader(const Examples& examples, int64_t batch_size)
    : BatchReader(examples, {}, 0, batch_size) {}

BatchReader::BatchReader(const Examples& examples,
                         const AugmentationOptions& options, int64_t seed,
                         int64_t batch_size)
    : examples_(examples),
      options_(options),
      seed_(seed),
      channels_(MakeNormalization(examples.info())),
      images_(at::empty({batch_size, examples.info().channels,
                         examples.info().height, examples.info().width},
                        at::TensorOptions(at::kFloat)
                            .memory_format(MemoryFormat(examples.info())))),
      labels_(at::empty({batch_size}, at::kLong)) {
  if (options.mixup_alpha == 0) return;
  mixed_images_ = at::empty_like(images_);
  mixed_labels_ = at::empty_like(labels_);
}

Batch BatchReader::Read(absl::Span<const int32_t> which) {
  const int64_t values = examples_.image_bytes();
  float* images = images_.mutable_data_ptr<float>();
  at::parallel_for(
      0, which.size(), std::max<int64_t>(kBytesPerThread / values, 1),
      [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          Augment(examples_.pixels(which[i]), {}, images + i * values);
        }
      });
  return WithLabels(which);
}

absl::StatusOr<Batch> BatchReader::ReadAugmented(
    int64_t epoch, int64_t batch, absl::Span<const int32_t> which) {
  const int64_t values = examples_.image_bytes();
  const RandomStream stream = AugmentationOf(seed_, epoch);
  float* images = images_.mutable_data_ptr<float>();
  FirstError error;
  // A resized crop decodes a file, which is worth a thread for each image.
  const int64_t grain = options_.random_resized_crop.has_value()
                            ? 1
                            : std::max<int64_t>(kBytesPerThread / values, 1);
  at::parallel_for(0, which.size(), grain, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> cropped;
    for (int64_t i = begin; i < end; ++i) {
      const absl::Status status =
          ReadImage(which[i], stream.Child("example", examples_.row(which[i])),
                    cropped, images + i * values);
      if (!status.ok()) error.Note(i, status);
    }
  });
  HS_RETURN_IF_ERROR(error.status());
  Batch result = WithLabels(which);
  if (options_.mixup_alpha > 0) Mix(stream.Child("batch", batch), result);
  return result;
}

absl::Status BatchReader::ReadImage(int64_t position,
                                    const RandomStream& example,
                                    std::vector<uint8_t>& cropped, float* out) {
  const InputInfo& info = examples_.info();
  const uint8_t* pixels;
  if (options_.random_resized_crop.has_value()) {
    HS_ASSIGN_OR_RETURN(const Image original, examples_.original(position));
    cropped.resize(examples_.image_bytes());
    ResizeBox(original,
              DrawCropBox(*options_.random_resized_crop, original.height,
                          original.width, example),
              info.height, info.width, absl::MakeSpan(cropped));
    pixels = cropped.data();
  } else {
    pixels = examples_.pixels(position);
  }
  Augment(pixels, DrawPlan(options_, info.height, info.width, example), out);
  return absl::OkStatus();
}

void BatchReader::Augment(const uint8_t* pixels, const ImagePlan& plan,
                          float* out) const {
  const InputInfo& info = examples_.info();
  const auto augment =
      IsInterleaved(info) ? AugmentImageInterleaved : AugmentImage;
  augment(pixels, info.height, info.width, plan, channels_, out);
}

Batch BatchReader::WithLabels(absl::Span<const int32_t> which) {
  const int64_t count = which.size();
  HS_CHECK(count <= images_.size(0));
  int64_t* label = labels_.mutable_data_ptr<int64_t>();
  for (const int32_t position : which) *label++ = examples_.label(position);
  return {.images = images_.narrow(0, 0, count),
          .labels = labels_.narrow(0, 0, count),
          .mixed_labels = {}};
}

void BatchReader::Mix(const RandomStream& batch, Batch& of) {
  const int64_t count = of.labels.size(0);
  const int64_t values = examples_.image_bytes();
  const std::vector<int32_t> partner = DrawPartners(count, batch);
  of.mix_weight = DrawMixWeight(options_.mixup_alpha, batch);
  const auto weight = static_cast<float>(of.mix_weight);
  const float* images = images_.const_data_ptr<float>();
  const int64_t* labels = labels_.const_data_ptr<int64_t>();
  float* mixed = mixed_images_.mutable_data_ptr<float>();
  int64_t* mixed_labels = mixed_labels_.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    const float* a = images + i * values;
    const float* b = images + partner[i] * values;
    MixImages(a, b, weight, values, mixed + i * values);
    mixed_labels[i] = labels[partner[i]];
  }
  of.images = mixed_images_.narrow(0, 0, count);
  of.mixed_labels = mixed_labels_.narrow(0, 0, count);
}

}  // namespace headstart::worker
