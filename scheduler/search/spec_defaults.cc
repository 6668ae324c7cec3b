#include "scheduler/search/spec_defaults.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "proto/phases.h"
#include "scheduler/search/field_rules.h"
#include "scheduler/search/initializer_rules.h"
#include "scheduler/search/phase_rules.h"
#include "scheduler/search/plugin_spec.h"
#include "scheduler/search/spec_error.h"
#include "scheduler/search/spec_facts.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

// The classes and the image size that a data set of JPEG files officially has.
void FillOfficialShape(v1::ImageDataset& images, int64_t classes,
                       int64_t image_size) {
  if (!images.has_classes()) images.set_classes(classes);
  if (!images.has_image_size()) images.set_image_size(image_size);
}

// The period of a cosine that nobody wrote: all epochs behind the warm-up.
int64_t DerivedPeriod(const v1::TrainingSpec& spec) {
  return std::max<int64_t>(
      1, ScheduleEpochs(spec) - spec.schedule().warm_up().epochs());
}

bool IsFolderName(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         std::ranges::all_of(name, [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

// Fields that only some data sets have.
absl::Status CheckJpegFields(const v1::Dataset& dataset,
                             const v1::ImageDataset& images,
                             const std::string& path) {
  if (dataset.has_image_folder()) {
    if (!IsFolderName(images.folder())) {
      return Wrong(path, "folder",
                   absl::StrCat("must be the name of a folder below a worker's "
                                "data sets folder: 1 to 100 letters, digits, "
                                "'-', '_' and '.', not '.' first, got \"",
                                images.folder(), "\"."));
    }
    if (!images.has_classes() || !images.has_image_size()) {
      return Wrong(path, images.has_classes() ? "image_size" : "classes",
                   "is required for image_folder.");
    }
    return absl::OkStatus();
  }
  if (!images.folder().empty()) {
    return Wrong(path, "folder", "is for image_folder only. Leave it out.");
  }
  if (!FactsOf(dataset).jpeg &&
      (images.has_classes() || images.has_image_size())) {
    return Wrong(path, images.has_classes() ? "classes" : "image_size",
                 "is for data sets of JPEG files only. Leave it out.");
  }
  return absl::OkStatus();
}

absl::Status CheckMultiple(const std::string& path, absl::string_view field,
                           int64_t value, int64_t classes) {
  // A plug-in's classes are for the worker to know.
  if (classes == 0 || value % classes == 0) return absl::OkStatus();
  return Wrong(path, field,
               absl::StrCat("must be a multiple of ", classes,
                            ", the number of classes, got ", value, "."));
}

absl::Status CheckImages(const v1::Dataset& dataset,
                         const v1::ImageDataset& images,
                         const std::string& path) {
  HS_RETURN_IF_ERROR(CheckJpegFields(dataset, images, path));
  const DatasetFacts facts = FactsOf(dataset);
  const int64_t train = images.train_examples();
  if (facts.train_examples > 0 && train > facts.train_examples) {
    return Wrong(path, "train_examples",
                 absl::StrCat("must be from 0 to ", facts.train_examples,
                              ", got ", train, "."));
  }
  HS_RETURN_IF_ERROR(
      CheckMultiple(path, "train_examples", train, facts.classes));
  const v1::Normalization& normalization = images.normalization();
  const int means = normalization.mean_size();
  if (means != normalization.standard_deviation_size() ||
      (means != 0 && facts.channels != 0 && means != facts.channels)) {
    return Wrong(
        path, "normalization",
        absl::StrCat(
            "needs ",
            facts.channels == 0 ? "" : absl::StrCat(facts.channels, " "),
            "numbers, one per channel, in mean and in standard_deviation, or "
            "none in either, got ",
            means, " and ", normalization.standard_deviation_size(), "."));
  }
  if (images.chunk() > images.chunks()) {
    return Wrong(path, "chunk",
                 absl::StrCat("must be from 1 to chunks (", images.chunks(),
                              "), got ", images.chunk(), "."));
  }
  return absl::OkStatus();
}

absl::Status CheckDataset(const v1::TrainingSpec& spec,
                          absl::string_view prefix) {
  const v1::Dataset& dataset = spec.dataset();
  const std::string path = Below(prefix, DatasetPath(dataset));
  const v1::ImageDataset* images = FindImageDataset(dataset);
  if (images != nullptr) {
    HS_RETURN_IF_ERROR(CheckImages(dataset, *images, path));
  }
  const DatasetFacts facts = FactsOf(dataset);
  const bool stratified =
      images == nullptr || images->split() == v1::STRATIFIED;
  if (stratified) {
    HS_RETURN_IF_ERROR(CheckMultiple(path, "validation_examples",
                                     ValidationExamples(spec), facts.classes));
  }
  int64_t used = facts.train_examples;
  if (images != nullptr && images->train_examples() > 0) {
    used = images->train_examples();
  }
  if (used == 0) return absl::OkStatus();  // The worker will know.
  const int64_t least = stratified ? facts.classes : 1;
  if (ValidationExamples(spec) > used - least) {
    return Wrong(path, "validation_examples",
                 absl::StrCat("must be from 0 to ", used - least, ", got ",
                              ValidationExamples(spec), "."));
  }
  const std::optional<int64_t> training = TrainingExamples(spec);
  if (training.has_value() && spec.batch_size() > *training) {
    return Wrong(prefix, "batch_size",
                 absl::StrCat("must be at most the ", *training,
                              " examples that are trained on, got ",
                              spec.batch_size(), "."));
  }
  return absl::OkStatus();
}

// The side of the smallest images that a model takes; model.proto says why.
int64_t LeastSide(const v1::Model& model) {
  const auto by_stem = [](v1::Stem stem, int64_t imagenet, int64_t small) {
    return stem == v1::SMALL_IMAGES ? small : imagenet;
  };
  switch (model.kind_case()) {
    case v1::Model::kSmallCnn:
    case v1::Model::kSampledCnn:
    case v1::Model::kGhn2:
    case v1::Model::kDensenetBc10012:
    case v1::Model::kSwinT:
      return 4;
    case v1::Model::kDensenet121:
      return by_stem(model.densenet121().stem(), 29, 8);
    case v1::Model::kConvnextTiny:
      return by_stem(model.convnext_tiny().stem(), 32, 11);
    case v1::Model::kConvnextBase:
      return by_stem(model.convnext_base().stem(), 32, 11);
    case v1::Model::kInceptionV3:
      return model.inception_v3().auxiliary_head() ? 299 : 75;
    default:
      return 1;
  }
}

absl::Status CheckOptions(const v1::Model& model, absl::string_view prefix) {
  if (const int64_t hidden = model.ghn2().hidden(); hidden % 4 != 0) {
    return Wrong(prefix, "model.ghn2.hidden",
                 absl::StrCat("must be a multiple of 4, got ", hidden, "."));
  }
  const auto& layers = model.sampled_cnn().layers();
  for (int i = 0; i < layers.size(); ++i) {
    if (layers[i].kernel() % 2 == 1) continue;
    return Wrong(prefix,
                 absl::StrCat("model.sampled_cnn.layers[", i, "].kernel"),
                 absl::StrCat("must be odd, got ", layers[i].kernel(), "."));
  }
  return absl::OkStatus();
}

absl::Status CheckModel(const v1::TrainingSpec& spec,
                        absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckOptions(spec.model(), prefix));
  const DatasetFacts facts = FactsOf(spec.dataset());
  if (facts.image_size == 0) return absl::OkStatus();  // The worker will know.
  const v1::Model& model = spec.model();
  const auto misfit = [&](absl::string_view needs, absl::string_view advice) {
    return Wrong(
        prefix, "model",
        absl::StrCat(ModelName(spec), " needs ", needs, " input, and dataset ",
                     DatasetName(spec), " is ", facts.image_size, "x",
                     facts.image_size, "x", facts.channels, ". ", advice));
  };
  if (model.has_lenet_300_100() &&
      (facts.image_size != 28 || facts.channels != 1)) {
    return misfit("28x28x1", "Use small_cnn or cifar_resnet18.");
  }
  const int64_t least = LeastSide(model);
  if (facts.image_size < least) {
    return misfit(absl::StrCat("at least ", least, "x", least),
                  "Use a model for small images, such as cifar_resnet18, a "
                  "stem SMALL_IMAGES, or a larger image_size.");
  }
  return absl::OkStatus();
}

absl::Status CheckSchedule(const v1::TrainingSpec& spec,
                           absl::string_view prefix) {
  const v1::Schedule& schedule = spec.schedule();
  if (schedule.warm_up().epochs() >= ScheduleEpochs(spec)) {
    return Wrong(prefix, "schedule.warm_up.epochs",
                 absl::StrCat("must be fewer than ",
                              spec.has_pruning()  ? "pruning.epochs_per_level"
                              : spec.has_stages() ? "the epochs of a stage"
                                                  : "epochs",
                              " (", ScheduleEpochs(spec), "), got ",
                              schedule.warm_up().epochs(), "."));
  }
  const auto& milestones = schedule.multi_step().milestones();
  if (schedule.has_multi_step() &&
      (milestones.empty() ||
       std::ranges::adjacent_find(milestones, std::greater_equal<>()) !=
           milestones.end())) {
    return Wrong(prefix, "schedule.multi_step.milestones",
                 "must be one or more epochs in ascending order.");
  }
  return absl::OkStatus();
}

absl::Status CheckAugmentation(const v1::TrainingSpec& spec,
                               absl::string_view prefix) {
  const v1::Augmentation& augmentation = spec.augmentation();
  const int64_t side = FactsOf(spec.dataset()).image_size;
  const auto at_most = [&](absl::string_view field, int64_t value,
                           int64_t most) {
    if (side == 0 || value <= most) return absl::OkStatus();
    return Wrong(prefix, absl::StrCat("augmentation.", field),
                 absl::StrCat("must be at most ", most, " for images of ", side,
                              "x", side, ", got ", value, "."));
  };
  HS_RETURN_IF_ERROR(
      at_most("crop_padding", augmentation.crop_padding(), side));
  HS_RETURN_IF_ERROR(
      at_most("cutout_size", augmentation.cutout_size(), 2 * side));
  if (!augmentation.has_random_resized_crop()) return absl::OkStatus();
  const v1::RandomResizedCrop& crop = augmentation.random_resized_crop();
  const std::string path = Below(prefix, "augmentation.random_resized_crop");
  if (!FactsOf(spec.dataset()).jpeg) {
    return Wrong(
        prefix, "augmentation.random_resized_crop",
        absl::StrCat("is for data sets of JPEG files only, and ",
                     DatasetName(spec), " is none. Use crop_padding."));
  }
  if (crop.min_scale() > crop.max_scale()) {
    return Wrong(path, "min_scale", "must be at most max_scale.");
  }
  if (crop.min_ratio() > crop.max_ratio()) {
    return Wrong(path, "min_ratio", "must be at most max_ratio.");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::TrainingSpec> CompleteSpec(const v1::TrainingSpec& spec,
                                              absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckFields(spec, prefix));
  v1::TrainingSpec complete = spec;
  FillSpecDefaults(complete);
  HS_RETURN_IF_ERROR(CheckRules(complete, prefix));
  return complete;
}

void FillSpecDefaults(v1::TrainingSpec& spec) {
  FillDefaults(spec);
  FillPluginDefaults(spec);
  v1::Dataset& dataset = *spec.mutable_dataset();
  if (dataset.has_tiny_imagenet()) {
    FillOfficialShape(*dataset.mutable_tiny_imagenet(), 200, 64);
  } else if (dataset.has_food101()) {
    FillOfficialShape(*dataset.mutable_food101(), 101, 299);
  }
  if (spec.schedule().has_cosine() &&
      !spec.schedule().cosine().has_period_epochs()) {
    spec.mutable_schedule()->mutable_cosine()->set_period_epochs(
        DerivedPeriod(spec));
  }
}

void ForgetDerivedPeriod(const v1::TrainingSpec& base, v1::TrainingSpec& spec) {
  const int64_t period = base.schedule().cosine().period_epochs();
  if (spec.schedule().has_cosine() && period == DerivedPeriod(base) &&
      spec.schedule().cosine().period_epochs() == period) {
    spec.mutable_schedule()->mutable_cosine()->clear_period_epochs();
  }
}

absl::Status CheckFields(const v1::TrainingSpec& spec,
                         absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckFieldRules(spec, prefix));
  HS_RETURN_IF_ERROR(CheckPlugins(spec, prefix));
  return CheckInitializer(spec.initializer(), Below(prefix, "initializer"));
}

absl::Status CheckRules(const v1::TrainingSpec& spec,
                        absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckDataset(spec, prefix));
  HS_RETURN_IF_ERROR(CheckModel(spec, prefix));
  HS_RETURN_IF_ERROR(CheckPhases(spec, prefix));
  HS_RETURN_IF_ERROR(CheckSchedule(spec, prefix));
  HS_RETURN_IF_ERROR(CheckAugmentation(spec, prefix));
  if (spec.optimizer().sgd().nesterov() &&
      !(spec.optimizer().sgd().momentum() > 0)) {
    return Wrong(prefix, "optimizer.sgd.nesterov",
                 "needs momentum above 0, got 0. Set "
                 "optimizer.sgd.momentum, such as 0.9.");
  }
  if (spec.accumulation_steps() > spec.batch_size()) {
    return Wrong(prefix, "accumulation_steps",
                 absl::StrCat("must be at most batch_size (", spec.batch_size(),
                              "), got ", spec.accumulation_steps(), "."));
  }
  if (ValidationExamples(spec) > 0) return absl::OkStatus();
  const std::string without =
      absl::StrCat(DatasetPath(spec.dataset()), ".validation_examples is 0");
  if (spec.has_early_stop()) {
    return Wrong(prefix, "early_stop",
                 absl::StrCat("needs a validation split, and ", without, "."));
  }
  if (spec.evaluate() != v1::TEST_EVERY_EPOCH) {
    return Wrong(prefix, "evaluate",
                 absl::StrCat("must be TEST_EVERY_EPOCH when ", without,
                              ", got ", v1::Evaluate_Name(spec.evaluate()),
                              ". Otherwise no epoch would be measured."));
  }
  return absl::OkStatus();
}

}  // namespace headstart::scheduler
