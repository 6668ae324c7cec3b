#include "worker/datasets/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"

namespace headstart::worker {
namespace {

absl::StatusOr<const DatasetInfo*> Find(const DatasetSpec& spec) {
  const DatasetInfo* info = FindDatasetInfo(spec.name);
  if (info != nullptr) return info;
  return absl::NotFoundError(
      absl::StrCat("there is no data set \"", spec.name, "\"; there are ",
                   absl::StrJoin(DatasetNames(), ", "), "."));
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
    const DatasetSpec& spec) {
  HS_ASSIGN_OR_RETURN(const DatasetInfo* info, Find(spec));
  HS_ASSIGN_OR_RETURN(Part part, Read(*info, DatasetPart::kTrain));
  absl::StatusOr<Split> split =
      SplitTrainingPart(part->labels, info->classes, spec.split);
  if (!split.ok()) {
    return Annotate(split.status(), absl::StrCat("dataset.", spec.name));
  }
  return TrainingData{
      .training = Examples(*info, part, std::move(split->training)),
      .validation = Examples(*info, part, std::move(split->validation))};
}

absl::StatusOr<Examples> DatasetReader::ReadTest(const DatasetSpec& spec) {
  HS_ASSIGN_OR_RETURN(const DatasetInfo* info, Find(spec));
  HS_ASSIGN_OR_RETURN(Part part, Read(*info, DatasetPart::kTest));
  return Examples(*info, std::move(part));
}

absl::StatusOr<DatasetReader::Part> DatasetReader::Read(const DatasetInfo& info,
                                                        DatasetPart part) {
  if (info_ != &info) {
    info_ = &info;
    train_.reset();
    test_.reset();
  }
  Part& kept = part == DatasetPart::kTrain ? train_ : test_;
  if (kept == nullptr) {
    HS_ASSIGN_OR_RETURN(RawExamples raw, ReadDataset(roots_, info, part));
    kept = std::make_shared<const RawExamples>(std::move(raw));
  }
  return kept;
}

}  // namespace headstart::worker
