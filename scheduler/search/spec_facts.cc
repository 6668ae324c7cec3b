#include "scheduler/search/spec_facts.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"

namespace headstart::scheduler {
namespace {

const google::protobuf::FieldDescriptor* KindOf(
    const google::protobuf::Message& message) {
  return message.GetReflection()->GetOneofFieldDescriptor(
      message, message.GetDescriptor()->oneof_decl(0));
}

std::string KindName(const google::protobuf::Message& message) {
  const google::protobuf::FieldDescriptor* field = KindOf(message);
  return field == nullptr ? "" : field->name();
}

}  // namespace

std::string DatasetName(const v1::TrainingSpec& training) {
  const v1::Dataset& dataset = training.dataset();
  const std::string kind = KindName(dataset);
  if (!dataset.has_image_folder()) return kind;
  return absl::StrCat(kind, "/", dataset.image_folder().folder());
}

std::string ModelName(const v1::TrainingSpec& training) {
  return KindName(training.model());
}

v1::ImageDataset* FindImageDataset(v1::Dataset& dataset) {
  const auto* kind = KindOf(dataset);
  if (kind == nullptr ||
      kind->message_type() != v1::ImageDataset::descriptor()) {
    return nullptr;
  }
  return static_cast<v1::ImageDataset*>(
      dataset.GetReflection()->MutableMessage(&dataset, kind));
}

const v1::ImageDataset* FindImageDataset(const v1::Dataset& dataset) {
  // Finding changes nothing where the kind is set.
  return FindImageDataset(const_cast<v1::Dataset&>(dataset));
}

int64_t ValidationExamples(const v1::TrainingSpec& training) {
  const v1::ImageDataset* images = FindImageDataset(training.dataset());
  return images != nullptr
             ? images->validation_examples()
             : training.dataset().synthetic().validation_examples();
}

DatasetFacts FactsOf(const v1::Dataset& dataset) {
  const auto of_jpegs = [](const v1::ImageDataset& images) {
    return DatasetFacts{.classes = images.classes(),
                        .image_size = images.image_size(),
                        .channels = 3,
                        .jpeg = true};
  };
  switch (dataset.kind_case()) {
    case v1::Dataset::kMnist:
    case v1::Dataset::kFashionMnist:
      return {.train_examples = 60'000,
              .classes = 10,
              .image_size = 28,
              .channels = 1};
    case v1::Dataset::kCifar10:
      return {.train_examples = 50'000,
              .classes = 10,
              .image_size = 32,
              .channels = 3};
    case v1::Dataset::kCifar100:
      return {.classes = 100, .image_size = 32, .channels = 3};
    case v1::Dataset::kTinyImagenet:
      return of_jpegs(dataset.tiny_imagenet());
    case v1::Dataset::kFood101:
      return of_jpegs(dataset.food101());
    case v1::Dataset::kImageFolder:
      return of_jpegs(dataset.image_folder());
    case v1::Dataset::kSynthetic:
      return {.train_examples = dataset.synthetic().train_examples(),
              .classes = dataset.synthetic().classes(),
              .image_size = dataset.synthetic().image_size(),
              .channels = dataset.synthetic().channels()};
    case v1::Dataset::KIND_NOT_SET:
      break;
  }
  return {};
}

std::optional<int64_t> TrainingExamples(const v1::TrainingSpec& training) {
  int64_t used = FactsOf(training.dataset()).train_examples;
  if (const auto* images = FindImageDataset(training.dataset())) {
    if (images->chunks() > 1) return std::nullopt;
    if (images->train_examples() > 0) used = images->train_examples();
  }
  if (used == 0) return std::nullopt;
  return used - ValidationExamples(training);
}

int64_t ModelBytes(const v1::TrainingSpec& training) {
  const DatasetFacts facts = FactsOf(training.dataset());
  constexpr int64_t kFloat = 4;
  constexpr int64_t kCounter = 8;  // num_batches_tracked, one a batch norm.
  switch (training.model().kind_case()) {
    case v1::Model::kLenet300100:
      return 266'610 * kFloat;
    case v1::Model::kSmallCnn:
      // 94,186 parameters with one channel: 32 3x3 kernels a channel in the
      // first layer. 3 batch norms over 224 channels, two statistics each.
      return (94'186 + (facts.channels - 1) * 32 * 9 + 2 * 224) * kFloat +
             3 * kCounter;
    case v1::Model::kCifarResnet18:
      // 11,173,962 parameters with 3 channels: 64 3x3 kernels a channel in the
      // stem. 20 batch norms over 4,800 channels, two statistics each.
      return (11'173'962 + (facts.channels - 3) * 64 * 9 + 2 * 4'800) * kFloat +
             20 * kCounter;
    default:
      break;
  }
  return 0;
}

}  // namespace headstart::scheduler
