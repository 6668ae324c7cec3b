#include "scheduler/search/spec_facts.h"

#include "google/protobuf/message.h"

namespace headstart::scheduler {
namespace {

std::string KindName(const google::protobuf::Message& message) {
  const google::protobuf::FieldDescriptor* field =
      message.GetReflection()->GetOneofFieldDescriptor(
          message, message.GetDescriptor()->oneof_decl(0));
  return field == nullptr ? "" : field->name();
}

}  // namespace

std::string DatasetName(const v1::TrainingSpec& training) {
  return KindName(training.dataset());
}

std::string ModelName(const v1::TrainingSpec& training) {
  return KindName(training.model());
}

const v1::ImageDataset* FindDataset(const v1::TrainingSpec& training) {
  const v1::Dataset& dataset = training.dataset();
  switch (dataset.kind_case()) {
    case v1::Dataset::kMnist:
      return &dataset.mnist();
    case v1::Dataset::kFashionMnist:
      return &dataset.fashion_mnist();
    case v1::Dataset::kCifar10:
      return &dataset.cifar10();
    case v1::Dataset::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

DatasetFacts FactsOf(const v1::Dataset& dataset) {
  switch (dataset.kind_case()) {
    case v1::Dataset::kMnist:
    case v1::Dataset::kFashionMnist:
      return {.train_examples = 60'000,
              .test_examples = 10'000,
              .classes = 10,
              .height = 28,
              .channels = 1};
    case v1::Dataset::kCifar10:
      return {.train_examples = 50'000,
              .test_examples = 10'000,
              .classes = 10,
              .height = 32,
              .channels = 3};
    case v1::Dataset::KIND_NOT_SET:
      break;
  }
  return {};
}

int64_t TrainingExamples(const v1::TrainingSpec& training) {
  const v1::ImageDataset* dataset = FindDataset(training);
  if (dataset == nullptr) return 0;
  const int64_t used = dataset->train_examples() > 0
                           ? dataset->train_examples()
                           : FactsOf(training.dataset()).train_examples;
  return used - dataset->validation_examples();
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
    case v1::Model::KIND_NOT_SET:
      break;
  }
  return 0;
}

}  // namespace headstart::scheduler
