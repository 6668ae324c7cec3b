#include "worker/datasets/registry.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "worker/datasets/memory_images.h"

namespace headstart::worker {
namespace {

absl::StatusOr<const DatasetInfo*> Find(const DatasetSpec& spec) {
  const DatasetInfo* info = FindDatasetInfo(spec.name);
  if (info != nullptr) return info;
  return absl::NotFoundError(
      absl::StrCat("there is no data set \"", spec.name, "\"; there are ",
                   absl::StrJoin(DatasetNames(), ", "), "."));
}

absl::StatusOr<InputInfo> MakeInput(const DatasetSpec& spec,
                                    const DatasetInfo& info) {
  InputInfo input = {.channels = info.channels,
                     .height = info.height,
                     .width = info.width,
                     .classes = info.classes,
                     .mean = {info.mean.begin(), info.mean.end()},
                     .standard_deviation = {info.standard_deviation.begin(),
                                            info.standard_deviation.end()}};
  const NormalizationOptions& own = spec.normalization;
  if (own.mean.empty() && own.standard_deviation.empty()) return input;
  const size_t channels = info.channels;
  if (own.mean.size() != channels ||
      own.standard_deviation.size() != channels) {
    return absl::InvalidArgumentError(absl::StrCat(
        "normalization: mean and standard_deviation must both be empty or have "
        "a number for each of the ",
        channels, " channels, got ", own.mean.size(), " and ",
        own.standard_deviation.size(), "."));
  }
  for (const double deviation : own.standard_deviation) {
    if (deviation > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("normalization.standard_deviation: must be above 0, got ",
                     deviation, "."));
  }
  input.mean = own.mean;
  input.standard_deviation = own.standard_deviation;
  return input;
}

}  // namespace

std::vector<std::string> DatasetNames() {
  std::vector<std::string> names;
  for (const DatasetInfo& info : KnownDatasets()) names.emplace_back(info.name);
  return names;
}

DatasetReader::DatasetReader(std::vector<std::string> roots)
    : roots_(std::move(roots)) {}

absl::StatusOr<TrainingData> DatasetReader::ReadTraining(
    const DatasetSpec& spec, int64_t run_seed,
    const AugmentationOptions& augmentation) {
  HS_ASSIGN_OR_RETURN(const DatasetInfo* info, Find(spec));
  HS_ASSIGN_OR_RETURN(const Part* part, Read(*info, DatasetPart::kTrain));
  absl::StatusOr<InputInfo> input = MakeInput(spec, *info);
  if (!input.ok()) {
    return Annotate(input.status(), absl::StrCat("dataset.", spec.name));
  }
  HS_RETURN_IF_ERROR(
      CheckAugmentation(augmentation, input->height, input->width));
  absl::StatusOr<Split> split =
      SplitTrainingPart(part->labels, info->classes, spec.split, run_seed);
  if (!split.ok()) {
    return Annotate(split.status(), absl::StrCat("dataset.", spec.name));
  }
  return TrainingData{
      .training = Examples(*input, part->source, std::move(split->training)),
      .validation =
          Examples(*input, part->source, std::move(split->validation))};
}

absl::StatusOr<Examples> DatasetReader::ReadTest(const DatasetSpec& spec) {
  HS_ASSIGN_OR_RETURN(const DatasetInfo* info, Find(spec));
  HS_ASSIGN_OR_RETURN(const Part* part, Read(*info, DatasetPart::kTest));
  HS_ASSIGN_OR_RETURN(InputInfo input, MakeInput(spec, *info));
  Rows all = {.rows = std::vector<int32_t>(part->labels.size()),
              .labels = part->labels};
  std::iota(all.rows.begin(), all.rows.end(), 0);
  return Examples(std::move(input), part->source, std::move(all));
}

absl::StatusOr<const DatasetReader::Part*> DatasetReader::Read(
    const DatasetInfo& info, DatasetPart part) {
  if (info_ != &info) {
    info_ = &info;
    train_ = {};
    test_ = {};
  }
  Part& kept = part == DatasetPart::kTrain ? train_ : test_;
  if (kept.source == nullptr) {
    HS_ASSIGN_OR_RETURN(RawExamples raw, ReadDataset(roots_, info, part));
    kept = {.source = std::make_shared<MemoryImages>(
                info.channels, info.height, info.width, std::move(raw.pixels)),
            .labels = std::move(raw.labels)};
  }
  return &kept;
}

}  // namespace headstart::worker
