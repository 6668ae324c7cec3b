#include "scheduler/search/spec_facts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace headstart::scheduler {
namespace {

const google::protobuf::FieldDescriptor* KindOf(
    const google::protobuf::Message& message) {
  return message.GetReflection()->GetOneofFieldDescriptor(
      message, message.GetDescriptor()->oneof_decl(0));
}

template <typename Plugin>
std::string PluginName(const Plugin& plugin) {
  return absl::StrCat("plugin/", plugin.name(), "/", plugin.version());
}

std::string KindName(const google::protobuf::Message& message) {
  const google::protobuf::FieldDescriptor* field = KindOf(message);
  return field == nullptr ? "" : field->name();
}

// What a model's parameters and buffers take, with its default options.
struct ModelSize {
  absl::string_view name;
  int64_t bytes;  // With 10 classes and 3 channels.
  int64_t class_bytes;
  int64_t channel_bytes;
};
// Of the state dicts of tests/oracles/models/reference_models.py. LeNet's bytes
// are those for its one channel.
constexpr ModelSize kModelSizes[] = {
    {"lenet_300_100", 1'066'440, 404, 0},
    {"small_cnn", 380'864, 516, 1'152},
    {"cifar_resnet18", 44'734'408, 2'052, 2'304},
    {"cifar_resnet50", 94'296'272, 8'196, 2'304},
    {"cifar_resnet152", 233'233'408, 8'196, 2'304},
    {"preact_resnet18", 44'711'848, 2'052, 2'304},
    {"resnet18", 44'765'128, 2'052, 12'544},
    {"resnet34", 85'227'592, 2'052, 12'544},
    {"resnet50", 94'326'992, 8'196, 12'544},
    {"resnet101", 170'504'808, 8'196, 12'544},
    {"resnet152", 233'264'128, 8'196, 12'544},
    {"wide_resnet50_2", 267'692'240, 8'196, 12'544},
    {"resnet110", 6'945'888, 260, 576},
    {"wide_resnet28_10", 146'029'168, 2'564, 576},
    {"densenet_bc_100_12", 3'173'392, 1'372, 864},
    {"densenet121", 28'191'984, 4'100, 12'544},
    {"fixup_resnet20", 1'073'572, 260, 576},
    {"fixup_resnet56", 3'396'364, 260, 576},
    {"fixup_resnet110", 6'880'552, 260, 576},
    {"fixup_resnet18", 44'688'336, 2'052, 12'544},
    {"fixup_resnet50", 93'902'064, 8'196, 12'544},
    {"inception_v3", 87'362'712, 8'196, 1'152},
    {"mobilenet_v2", 9'083'592, 5'124, 1'152},
    {"cifar_mobilenet_v2", 9'328'496, 5'124, 1'152},
    {"convnext_tiny", 111'311'272, 3'076, 6'144},
    {"convnext_base", 350'306'856, 4'100, 8'192},
    {"ghn2", 1'683'824, 264, 0},
    {"ghn2", 1'683'824, 264, 0},
    {"swin_t", 110'338'672, 3'076, 6'144},
};

}  // namespace

std::string DatasetName(const v1::TrainingSpec& training) {
  const v1::Dataset& dataset = training.dataset();
  const std::string kind = KindName(dataset);
  if (dataset.has_plugin()) return PluginName(dataset.plugin());
  if (!dataset.has_image_folder()) return kind;
  return absl::StrCat(kind, "/", dataset.image_folder().folder());
}

std::string ModelName(const v1::TrainingSpec& training) {
  const v1::Model& model = training.model();
  return model.has_plugin() ? PluginName(model.plugin()) : KindName(model);
}

std::string DatasetPath(const v1::Dataset& dataset) {
  return absl::StrCat(
      "dataset.", dataset.has_plugin() ? "plugin.images" : KindName(dataset));
}

v1::ImageDataset* FindImageDataset(v1::Dataset& dataset) {
  if (dataset.has_plugin()) return dataset.mutable_plugin()->mutable_images();
  const auto* kind = KindOf(dataset);
  if (kind == nullptr ||
      kind->message_type() != v1::ImageDataset::descriptor()) {
    return nullptr;
  }
  return static_cast<v1::ImageDataset*>(
      dataset.GetReflection()->MutableMessage(&dataset, kind));
}

const v1::ImageDataset* FindImageDataset(const v1::Dataset& dataset) {
  if (dataset.has_plugin()) return &dataset.plugin().images();
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
    case v1::Dataset::kPlugin:  // Its worker will know.
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

namespace {

int64_t SampledCnnBytes(const v1::SampledCnn& model,
                        const DatasetFacts& facts) {
  int64_t parameters = 0;
  int64_t in = facts.channels;
  for (const v1::SampledCnnLayer& layer : model.layers()) {
    const int64_t out = layer.channels();
    parameters += (layer.kernel() * layer.kernel() * in + 1) * out;
    if (layer.skip() && in != out) parameters += (in + 1) * out;
    in = out;
  }
  parameters += (in + 1) * facts.classes;
  return 4 * parameters;
}

}  // namespace

int64_t ModelBytes(const v1::TrainingSpec& training) {
  const DatasetFacts facts = FactsOf(training.dataset());
  const std::string name = ModelName(training);
  if (facts.classes == 0) return 0;
  if (training.model().has_sampled_cnn()) {
    return SampledCnnBytes(training.model().sampled_cnn(), facts);
  }
  for (const ModelSize& size : kModelSizes) {
    if (size.name != name) continue;
    return size.bytes + (facts.classes - 10) * size.class_bytes +
           (facts.channels - 3) * size.channel_bytes;
  }
  return 0;
}

}  // namespace headstart::scheduler
