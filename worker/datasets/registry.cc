#include "worker/datasets/registry.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/log.h"
#include "base/status_macros.h"
#include "worker/datasets/memory_images.h"

namespace headstart::worker {
namespace {

constexpr char kSynthetic[] = "synthetic";

absl::StatusOr<const DatasetInfo*> Find(const DatasetSpec& spec) {
  const DatasetInfo* info = FindDatasetInfo(spec.name);
  if (info != nullptr) return info;
  return absl::NotFoundError(
      absl::StrCat("there is no data set \"", spec.name, "\"; there are ",
                   absl::StrJoin(DatasetNames(), ", "), "."));
}

// Whether two specs read the same files to the same pixels.
bool SameParts(const DatasetSpec& a, const DatasetSpec& b) {
  return a.name == b.name && a.folder == b.folder && a.classes == b.classes &&
         a.image_size == b.image_size && a.synthetic == b.synthetic &&
         a.plugin == b.plugin;
}

InputInfo OfficialInput(const DatasetInfo& info) {
  return {.channels = info.channels,
          .height = info.height,
          .width = info.width,
          .classes = info.classes,
          .mean = {info.mean.begin(), info.mean.end()},
          .standard_deviation = {info.standard_deviation.begin(),
                                 info.standard_deviation.end()},
          .resized = IsImageTree(info)};
}

InputInfo SyntheticInput(const SyntheticOptions& options) {
  return {.channels = options.channels,
          .height = options.image_size,
          .width = options.image_size,
          .classes = options.classes,
          .mean = std::vector<double>(options.channels, 0.5),
          .standard_deviation = std::vector<double>(options.channels, 0.2)};
}

// `input` with the statistics that the spec names.
absl::StatusOr<InputInfo> Normalized(InputInfo input,
                                     const NormalizationOptions& own) {
  if (own.mean.empty() && own.standard_deviation.empty()) return input;
  const size_t channels = input.channels;
  if (own.mean.size() != channels ||
      own.standard_deviation.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat(
        "normalization: mean and standard_deviation must both be empty or have "
        "a number for each of the ",
        channels, " channels, got ", own.mean.size(), " and ",
        own.standard_deviation.size(), "."));
  }
  for (size_t i = 0; i < channels; ++i) {
    if (std::isfinite(own.mean[i]) && own.standard_deviation[i] > 0 &&
        std::isfinite(own.standard_deviation[i])) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "normalization: each mean must be finite and each standard_deviation "
        "finite and above 0, got ",
        own.mean[i], " and ", own.standard_deviation[i], "."));
  }
  input.mean = own.mean;
  input.standard_deviation = own.standard_deviation;
  return input;
}

Rows AllRows(const std::vector<int32_t>& labels) {
  Rows all = {.rows = std::vector<int32_t>(labels.size()), .labels = labels};
  std::iota(all.rows.begin(), all.rows.end(), 0);
  return all;
}

}  // namespace

std::vector<std::string> DatasetNames() {
  std::vector<std::string> names;
  for (const DatasetInfo& info : KnownDatasets()) names.emplace_back(info.name);
  names.emplace_back(kSynthetic);
  return names;
}

DatasetReader::DatasetReader(std::vector<std::string> roots,
                             DecodeOptions decoding, const Plugins* plugins)
    : roots_(std::move(roots)),
      decoding_(std::move(decoding)),
      plugins_(plugins) {}

absl::StatusOr<TrainingData> DatasetReader::ReadTraining(
    const DatasetSpec& spec, int64_t run_seed,
    const AugmentationOptions& augmentation) {
  HS_ASSIGN_OR_RETURN(const Part* part, Read(spec, DatasetPart::kTrain));
  const std::string where = absl::StrCat("dataset.", spec.name);
  absl::StatusOr<InputInfo> input = Normalized(part->input, spec.normalization);
  if (!input.ok()) return Annotate(input.status(), where);
  HS_RETURN_IF_ERROR(
      CheckAugmentation(augmentation, input->height, input->width));
  absl::StatusOr<Split> split =
      SplitTrainingPart(part->labels, input->classes, spec.split, run_seed);
  if (!split.ok()) return Annotate(split.status(), where);

  std::vector<int32_t> wanted = split->validation.rows;
  // A resized crop reads the files anew each time.
  if (!augmentation.random_resized_crop.has_value()) {
    wanted.insert(wanted.end(), split->training.rows.begin(),
                  split->training.rows.end());
  }
  HS_RETURN_IF_ERROR(part->source->Prepare(wanted));
  return TrainingData{
      .training = Examples(*input, part->source, std::move(split->training)),
      .validation =
          Examples(*input, part->source, std::move(split->validation))};
}

absl::StatusOr<Examples> DatasetReader::ReadTest(const DatasetSpec& spec) {
  HS_ASSIGN_OR_RETURN(const Part* part, Read(spec, DatasetPart::kTest));
  absl::StatusOr<InputInfo> input = Normalized(part->input, spec.normalization);
  if (!input.ok()) {
    return Annotate(input.status(), absl::StrCat("dataset.", spec.name));
  }
  Rows all = AllRows(part->labels);
  HS_RETURN_IF_ERROR(part->source->Prepare(all.rows));
  return Examples(*std::move(input), part->source, std::move(all));
}

absl::StatusOr<const DatasetReader::Part*> DatasetReader::Read(
    const DatasetSpec& spec, DatasetPart part) {
  if (!SameParts(spec, spec_)) {
    spec_ = spec;
    train_ = {};
    test_ = {};
  }
  Part& kept = part == DatasetPart::kTrain ? train_ : test_;
  if (kept.source == nullptr) {
    HS_ASSIGN_OR_RETURN(kept, ReadAnew(spec, part));
  }
  return &kept;
}

absl::StatusOr<DatasetReader::Part> DatasetReader::ReadAnew(
    const DatasetSpec& spec, DatasetPart part) const {
  if (spec.plugin.has_value()) return ReadPlugin(*spec.plugin, part);
  InputInfo input;
  RawExamples raw;
  if (spec.name == kSynthetic) {
    input = SyntheticInput(spec.synthetic);
    absl::StatusOr<RawExamples> made = MakeSynthetic(spec.synthetic, part);
    if (!made.ok()) return Annotate(made.status(), "dataset.synthetic");
    raw = *std::move(made);
  } else {
    HS_ASSIGN_OR_RETURN(const DatasetInfo* info, Find(spec));
    if (IsImageTree(*info)) return ReadTree(spec, *info, part);
    input = OfficialInput(*info);
    HS_ASSIGN_OR_RETURN(raw, ReadDataset(roots_, *info, part));
    const int64_t official = part == DatasetPart::kTrain ? info->train_examples
                                                         : info->test_examples;
    const int64_t found = raw.labels.size();
    if (found != official) {
      HS_LOG(kInfo, "data set is a subset dataset={} examples={} official={}",
             spec.name, found, official);
    }
  }
  return Part{
      .source = std::make_shared<MemoryImages>(
          input.channels, input.height, input.width, std::move(raw.pixels)),
      .labels = std::move(raw.labels),
      .input = std::move(input)};
}

absl::StatusOr<DatasetReader::Part> DatasetReader::ReadPlugin(
    const PluginSpec& spec, DatasetPart part) const {
  const Plugins none;
  const bool train = part == DatasetPart::kTrain;
  HS_ASSIGN_OR_RETURN(
      plugin::Images images,
      (plugins_ == nullptr ? none : *plugins_)
          .ReadImages(spec, roots_,
                      train ? plugin::Part::kTrain : plugin::Part::kTest));
  const Part& other = train ? test_ : train_;
  if (other.source != nullptr && (other.input.channels != images.channels ||
                                  other.input.height != images.height ||
                                  other.input.width != images.width ||
                                  other.input.classes != images.classes)) {
    return absl::InternalError(absl::StrCat(
        "training.dataset.plugin: ", PluginText(PluginKind::kDataset, spec),
        " gave training and test images of different shapes or classes."));
  }
  return Part{
      .source = std::make_shared<MemoryImages>(images.channels, images.height,
                                               images.width,
                                               std::move(images.pixels)),
      .labels = std::move(images.labels),
      .input = {.channels = images.channels,
                .height = images.height,
                .width = images.width,
                .classes = images.classes,
                .mean = std::move(images.mean),
                .standard_deviation = std::move(images.standard_deviation)}};
}

absl::StatusOr<DatasetReader::Part> DatasetReader::ReadTree(
    const DatasetSpec& spec, const DatasetInfo& info, DatasetPart part) const {
  // Large enough for any model, small enough that sizes stay far from overflow.
  constexpr int64_t kMaxImageSize = 4096;
  if (spec.image_size < 0 || spec.image_size > kMaxImageSize) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dataset.", spec.name, ".image_size: must be from 1 to ", kMaxImageSize,
        ", or 0 for the usual ", info.height, ", got ", spec.image_size, "."));
  }
  HS_ASSIGN_OR_RETURN(ImageList list,
                      ListImages(roots_, info, spec.folder, part));
  const int64_t wanted = spec.classes > 0 ? spec.classes : info.classes;
  const int64_t found = list.classes.size();
  if (wanted > 0 && found != wanted) {
    return absl::FailedPreconditionError(absl::StrCat(
        "dataset.", spec.name, ".classes: ", list.folder, " has ", found,
        " classes, but the spec says ", wanted, ". Set classes to ", found,
        ", or use the folder that was meant."));
  }
  InputInfo input = OfficialInput(info);
  input.classes = found;
  if (spec.image_size > 0) input.height = input.width = spec.image_size;
  std::vector<int32_t> labels = list.labels;
  HS_LOG(kInfo,
         "images listed dataset={} folder={} classes={} examples={} "
         "left_out={}",
         spec.name, list.folder, found, labels.size(), list.left_out);
  return Part{.source = std::make_shared<JpegImages>(
                  std::move(list), input.height, input.width, decoding_),
              .labels = std::move(labels),
              .input = std::move(input)};
}

}  // namespace headstart::worker
