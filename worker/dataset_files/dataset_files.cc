#include "worker/dataset_files/dataset_files.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "worker/dataset_files/formats.h"

namespace headstart::worker {
namespace {

DatasetPresence Look(absl::Span<const std::string> roots,
                     const DatasetInfo& info);
absl::StatusOr<std::string> FindFolder(absl::Span<const std::string> roots,
                                       const DatasetInfo& info);
absl::Status CheckContent(const std::string& path, const DatasetFile& file,
                          uint32_t crc32);

}  // namespace

std::vector<DatasetPresence> ListDatasets(absl::Span<const std::string> roots) {
  std::vector<DatasetPresence> list;
  for (const DatasetInfo& info : KnownDatasets()) {
    list.push_back(Look(roots, info));
  }
  return list;
}

absl::StatusOr<RawExamples> ReadDataset(absl::Span<const std::string> roots,
                                        const DatasetInfo& info,
                                        DatasetPart part) {
  HS_ASSIGN_OR_RETURN(const std::string folder, FindFolder(roots, info));
  const bool train = part == DatasetPart::kTrain;
  const auto files = train ? info.train_files : info.test_files;
  const int64_t count = train ? info.train_examples : info.test_examples;
  const int64_t image_bytes = info.channels * info.height * info.width;
  const ImageFormat format = {.channels = info.channels,
                              .height = info.height,
                              .width = info.width,
                              .classes = info.classes};
  RawExamples examples;
  examples.pixels.resize(count * image_bytes);
  std::vector<uint8_t> label_bytes(count);
  const auto pixels = absl::MakeSpan(examples.pixels);
  const auto labels = absl::MakeSpan(label_bytes);

  for (size_t i = 0; i < files.size(); ++i) {
    const std::string path = absl::StrCat(folder, "/", files[i].name);
    absl::StatusOr<uint32_t> crc32;
    if (info.format == DatasetFormat::kIdx) {
      crc32 = i == 0 ? ReadIdxImages(path, format, pixels)
                     : ReadIdxLabels(path, format, labels);
    } else {
      const size_t n = count / files.size();
      crc32 = ReadCifarBatch(
          path, format, pixels.subspan(i * n * image_bytes, n * image_bytes),
          labels.subspan(i * n, n));
    }
    HS_RETURN_IF_ERROR(crc32.status());
    HS_RETURN_IF_ERROR(CheckContent(path, files[i], *crc32));
  }
  examples.labels.assign(label_bytes.begin(), label_bytes.end());
  return examples;
}

absl::Status VerifyDataset(absl::Span<const std::string> roots,
                           const DatasetInfo& info) {
  HS_RETURN_IF_ERROR(ReadDataset(roots, info, DatasetPart::kTrain).status());
  return ReadDataset(roots, info, DatasetPart::kTest).status();
}

namespace {

DatasetPresence Look(absl::Span<const std::string> roots,
                     const DatasetInfo& info) {
  DatasetPresence best = {.info = &info, .folder = "", .missing_files = {}};
  for (const auto& files : {info.train_files, info.test_files}) {
    for (const DatasetFile& file : files) {
      best.missing_files.emplace_back(file.name);
    }
  }
  const std::vector<std::string> all = best.missing_files;
  for (const std::string& root : roots) {
    for (const absl::string_view below : info.folders) {
      const std::string folder = absl::StrCat(root, "/", below);
      std::vector<std::string> missing;
      for (const std::string& name : all) {
        std::error_code ignored;  // What cannot be looked at is not there.
        if (!std::filesystem::exists(absl::StrCat(folder, "/", name),
                                     ignored)) {
          missing.push_back(name);
        }
      }
      if (missing.size() < best.missing_files.size() || best.folder.empty()) {
        best.folder = folder;
        best.missing_files = missing;
      }
    }
  }
  return best;
}

absl::StatusOr<std::string> FindFolder(absl::Span<const std::string> roots,
                                       const DatasetInfo& info) {
  const DatasetPresence presence = Look(roots, info);
  if (presence.missing_files.empty()) return presence.folder;
  if (roots.empty()) {
    return absl::NotFoundError(
        absl::StrCat("data set ", info.name,
                     ": no data sets folder was given. Start with "
                     "--datasets DIR, where DIR holds ",
                     info.folders.front(), "/."));
  }
  return absl::NotFoundError(
      absl::StrCat("data set ", info.name, ": ", presence.folder, " lacks ",
                   absl::StrJoin(presence.missing_files, ", "),
                   ". Get it from ", info.where_to_get_it, "."));
}

absl::Status CheckContent(const std::string& path, const DatasetFile& file,
                          uint32_t crc32) {
  if (crc32 == file.content_crc32) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "%s: its %d bytes have CRC-32 %08x, the official file's have %08x. Get "
      "the file again.",
      path, file.content_bytes, crc32, file.content_crc32));
}

}  // namespace
}  // namespace headstart::worker
