#include "worker/dataset_files/dataset_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "worker/dataset_files/formats.h"
#include "worker/dataset_files/jpeg.h"
#include "worker/dataset_files/parallel.h"

namespace headstart::worker {
namespace {

namespace fs = std::filesystem;

DatasetPresence Look(absl::Span<const std::string> roots,
                     const DatasetInfo& info);
void AddImageFolders(absl::Span<const std::string> roots,
                     std::vector<DatasetPresence>& list);
absl::StatusOr<std::string> FindFolder(absl::Span<const std::string> roots,
                                       const DatasetInfo& info);
absl::StatusOr<std::string> FindImageFolder(absl::Span<const std::string> roots,
                                            absl::string_view folder);
absl::StatusOr<int64_t> CountRecords(const std::string& path,
                                     int64_t record_bytes);
absl::Status CheckContent(const std::string& path, const DatasetFile& file,
                          uint32_t crc32);

constexpr int64_t kCoarseClasses = 20;  // Of CIFAR-100.

bool Exists(const std::string& path) {
  std::error_code ignored;  // What cannot be looked at is not there.
  return fs::exists(path, ignored);
}

}  // namespace

std::vector<DatasetPresence> ListDatasets(absl::Span<const std::string> roots) {
  std::vector<DatasetPresence> list;
  for (const DatasetInfo& info : KnownDatasets()) {
    if (info.format == DatasetFormat::kImageFolder) continue;
    list.push_back(Look(roots, info));
  }
  AddImageFolders(roots, list);
  return list;
}

absl::StatusOr<RawExamples> ReadDataset(absl::Span<const std::string> roots,
                                        const DatasetInfo& info,
                                        DatasetPart part) {
  HS_ASSIGN_OR_RETURN(const std::string folder, FindFolder(roots, info));
  const bool train = part == DatasetPart::kTrain;
  const auto files = train ? info.train_files : info.test_files;
  const int64_t image_bytes = info.channels * info.height * info.width;
  int64_t count = train ? info.train_examples : info.test_examples;
  ImageFormat format = {.channels = info.channels,
                        .height = info.height,
                        .width = info.width,
                        .classes = info.classes};
  if (info.format == DatasetFormat::kCifar100Binary) {
    format.coarse_classes = kCoarseClasses;
    HS_ASSIGN_OR_RETURN(count,
                        CountRecords(absl::StrCat(folder, "/", files[0].name),
                                     2 + image_bytes));
  }
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

absl::StatusOr<ImageList> ListImages(absl::Span<const std::string> roots,
                                     const DatasetInfo& info,
                                     absl::string_view folder,
                                     DatasetPart part) {
  if (info.format == DatasetFormat::kImageFolder) {
    HS_ASSIGN_OR_RETURN(const std::string path, FindImageFolder(roots, folder));
    return ListImageFolder(path, part);
  }
  HS_ASSIGN_OR_RETURN(const std::string path, FindFolder(roots, info));
  return info.format == DatasetFormat::kTinyImagenet
             ? ListTinyImagenet(path, part)
             : ListFood101(path, part);
}

absl::StatusOr<std::string> VerifyDataset(absl::Span<const std::string> roots,
                                          const DatasetPresence& presence) {
  const DatasetInfo& info = *presence.info;
  const int64_t threads =
      std::max<int64_t>(std::thread::hardware_concurrency(), 1);
  int64_t counts[2];
  for (const DatasetPart part : {DatasetPart::kTrain, DatasetPart::kTest}) {
    int64_t& count = counts[part == DatasetPart::kTest];
    if (!IsImageTree(info)) {
      HS_ASSIGN_OR_RETURN(const RawExamples examples,
                          ReadDataset(roots, info, part));
      count = examples.labels.size();
      continue;
    }
    HS_ASSIGN_OR_RETURN(
        const ImageList list,
        ListImages(roots, info, fs::path(presence.folder).filename().string(),
                   part));
    count = list.paths.size();
    HS_RETURN_IF_ERROR(ForEach(
        count, threads, [] { return false; },
        [&list](int64_t i) {
          return ReadJpegFile(absl::StrCat(list.folder, "/", list.paths[i]))
              .status();
        }));
  }
  return SubsetNote(info, counts[0], counts[1]);
}

std::string SubsetNote(const DatasetInfo& info, int64_t train_examples,
                       int64_t test_examples) {
  if (info.format == DatasetFormat::kImageFolder ||
      (train_examples == info.train_examples &&
       test_examples == info.test_examples)) {
    return "";
  }
  return absl::StrCat("a subset: ", train_examples, " of ", info.train_examples,
                      " training and ", test_examples, " of ",
                      info.test_examples, " test examples");
}

namespace {

DatasetPresence Look(absl::Span<const std::string> roots,
                     const DatasetInfo& info) {
  DatasetPresence best = {.name = std::string(info.name),
                          .info = &info,
                          .folder = "",
                          .missing_files = {}};
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
        if (!Exists(absl::StrCat(folder, "/", name))) missing.push_back(name);
      }
      if (missing.size() < best.missing_files.size() || best.folder.empty()) {
        best.folder = folder;
        best.missing_files = missing;
      }
    }
  }
  return best;
}

bool IsImageFolder(const std::string& path) {
  return Exists(path + "/train") &&
         (Exists(path + "/test") || Exists(path + "/val")) &&
         !Exists(path +
                 "/wnids.txt");  // Tiny ImageNet has a format of its own.
}

// What a spec may have as `folder`.
bool IsSpecName(absl::string_view name) {
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

void AddImageFolders(absl::Span<const std::string> roots,
                     std::vector<DatasetPresence>& list) {
  std::vector<DatasetPresence> found;
  for (const std::string& root : roots) {
    std::error_code error;
    fs::directory_iterator entry(root, error);
    for (; !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (!IsSpecName(name) || !IsImageFolder(entry->path().string())) continue;
      DatasetPresence presence = {.name = absl::StrCat("image_folder/", name),
                                  .info = FindDatasetInfo("image_folder"),
                                  .folder = entry->path().string(),
                                  .missing_files = {}};
      const bool known = std::any_of(found.begin(), found.end(),
                                     [&presence](const DatasetPresence& each) {
                                       return each.name == presence.name;
                                     });
      if (!known) found.push_back(std::move(presence));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const DatasetPresence& a, const DatasetPresence& b) {
              return a.name < b.name;
            });
  list.insert(list.end(), std::make_move_iterator(found.begin()),
              std::make_move_iterator(found.end()));
}

absl::Status NoRoots(absl::string_view name, absl::string_view below) {
  return absl::NotFoundError(
      absl::StrCat("data set ", name,
                   ": no data sets folder was given. Start with "
                   "--datasets DIR, where DIR holds ",
                   below, "/."));
}

absl::StatusOr<std::string> FindFolder(absl::Span<const std::string> roots,
                                       const DatasetInfo& info) {
  const DatasetPresence presence = Look(roots, info);
  if (presence.missing_files.empty()) return presence.folder;
  if (roots.empty()) return NoRoots(info.name, info.folders.front());
  return absl::NotFoundError(
      absl::StrCat("data set ", info.name, ": ", presence.folder, " lacks ",
                   absl::StrJoin(presence.missing_files, ", "),
                   ". Get it from ", info.where_to_get_it, "."));
}

absl::StatusOr<std::string> FindImageFolder(absl::Span<const std::string> roots,
                                            absl::string_view folder) {
  if (folder.empty() || folder == "." || folder == ".." ||
      folder.find('/') != absl::string_view::npos ||
      folder.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "folder: must be the name of a folder directly below a data sets "
        "folder, got \"",
        folder, "\"."));
  }
  for (const std::string& root : roots) {
    const std::string path = absl::StrCat(root, "/", folder);
    if (IsImageFolder(path)) return path;
  }
  if (roots.empty()) return NoRoots("image_folder", folder);
  return absl::NotFoundError(absl::StrCat(
      "data set image_folder: none of ", absl::StrJoin(roots, ", "),
      " has a folder ", folder,
      " with train/<class>/ and test/<class>/ or val/<class>/ in it."));
}

absl::StatusOr<int64_t> CountRecords(const std::string& path,
                                     int64_t record_bytes) {
  std::error_code error;
  const int64_t bytes = fs::file_size(path, error);
  if (error) {
    return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  }
  if (bytes > 0 && bytes % record_bytes == 0) return bytes / record_bytes;
  return absl::DataLossError(
      absl::StrCat(path, ": its ", bytes, " bytes are no whole number of ",
                   "records of ", record_bytes, ". Get the file again."));
}

absl::Status CheckContent(const std::string& path, const DatasetFile& file,
                          uint32_t crc32) {
  if (file.content_crc32 == 0 || crc32 == file.content_crc32) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrFormat(
      "%s: its %d bytes have CRC-32 %08x, the official file's have %08x. Get "
      "the file again.",
      path, file.content_bytes, crc32, file.content_crc32));
}

}  // namespace
}  // namespace headstart::worker
