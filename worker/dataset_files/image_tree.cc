#include "worker/dataset_files/image_tree.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/file.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

namespace fs = std::filesystem;

absl::Status Damaged(const std::string& where, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(where, ": ", what, ". Get the data set again."));
}

// A name that stays inside its folder.
bool IsPlainName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find('/') == absl::string_view::npos &&
         name.find('\0') == absl::string_view::npos;
}

bool IsJpegName(absl::string_view name) {
  return absl::EndsWithIgnoreCase(name, ".jpg") ||
         absl::EndsWithIgnoreCase(name, ".jpeg");
}

struct Line {
  int64_t number;
  std::string text;
};

// The lines that are not empty.
absl::StatusOr<std::vector<Line>> ReadLines(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  std::vector<Line> lines;
  int64_t number = 0;
  for (const absl::string_view each : absl::StrSplit(bytes, '\n')) {
    ++number;
    const absl::string_view text = absl::StripAsciiWhitespace(each);
    if (!text.empty()) lines.push_back({number, std::string(text)});
  }
  return lines;
}

std::string At(const std::string& path, const Line& line) {
  return absl::StrCat(path, ": line ", line.number);
}

enum class Kind { kFolders, kFiles };

// The names in a folder but for hidden ones, sorted.
absl::StatusOr<std::vector<std::string>> Names(const std::string& folder,
                                               Kind kind) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    std::error_code gone;  // What cannot be looked at is neither.
    const bool wanted = kind == Kind::kFolders ? entry->is_directory(gone)
                                               : entry->is_regular_file(gone);
    if (wanted && name[0] != '.') names.push_back(std::move(name));
  }
  if (error) return ErrnoStatus(error.value(), folder);
  std::sort(names.begin(), names.end());
  return names;
}

// Classes from a file with one name on each line.
absl::StatusOr<std::vector<std::string>> ReadClasses(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const std::vector<Line> lines, ReadLines(path));
  std::set<std::string> classes;
  for (const Line& line : lines) {
    if (!IsPlainName(line.text)) {
      return Damaged(At(path, line), "this is no name of a class");
    }
    if (!classes.insert(line.text).second) {
      return Damaged(At(path, line),
                     absl::StrCat("class ", line.text, " came before"));
    }
  }
  if (classes.empty()) return Damaged(path, "there is no class in it");
  return std::vector<std::string>(classes.begin(), classes.end());
}

// The class's number, or -1.
int32_t ClassNumber(const std::vector<std::string>& classes,
                    absl::string_view name) {
  const auto found = std::lower_bound(classes.begin(), classes.end(), name);
  if (found == classes.end() || *found != name) return -1;
  return found - classes.begin();
}

// Adds the images in `below`, a folder of one class.
absl::Status AddClassFolder(const std::string& below, int32_t label,
                            ImageList& list) {
  const std::string folder = absl::StrCat(list.folder, "/", below);
  HS_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                      Names(folder, Kind::kFiles));
  const size_t before = list.paths.size();
  for (const std::string& name : names) {
    if (!IsJpegName(name)) {
      ++list.left_out;
      continue;
    }
    list.paths.push_back(absl::StrCat(below, "/", name));
    list.labels.push_back(label);
  }
  if (list.paths.size() > before) return absl::OkStatus();
  return Damaged(folder, "there is no image (.jpg, .jpeg) in it");
}

// Sorts by label, then by name, and refuses a path that is named twice.
absl::Status SortByClass(const std::string& source, ImageList& list) {
  std::vector<std::pair<int32_t, std::string>> images;
  for (size_t i = 0; i < list.paths.size(); ++i) {
    images.emplace_back(list.labels[i], std::move(list.paths[i]));
  }
  std::sort(images.begin(), images.end());
  const auto twice = std::adjacent_find(images.begin(), images.end());
  if (twice != images.end()) {
    return Damaged(source, absl::StrCat("it names ", twice->second, " twice"));
  }
  for (size_t i = 0; i < images.size(); ++i) {
    list.labels[i] = images[i].first;
    list.paths[i] = std::move(images[i].second);
  }
  return absl::OkStatus();
}

absl::Status CheckExists(const std::string& source, const Line& line,
                         const std::string& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return absl::OkStatus();
  return Damaged(At(source, line),
                 absl::StrCat("it names ", path, ", which is not there"));
}

absl::Status AddTinyValidation(ImageList& list) {
  const std::string source =
      absl::StrCat(list.folder, "/val/val_annotations.txt");
  HS_ASSIGN_OR_RETURN(const std::vector<Line> lines, ReadLines(source));
  for (const Line& line : lines) {
    // The file, its class and the corners of a box.
    const std::vector<std::string> columns = absl::StrSplit(line.text, '\t');
    if (columns.size() < 2 || !IsPlainName(columns[0])) {
      return Damaged(At(source, line),
                     "an image's name, a tab and its class belong here");
    }
    const int32_t label = ClassNumber(list.classes, columns[1]);
    if (label < 0) {
      return Damaged(At(source, line), absl::StrCat("class ", columns[1],
                                                    " is not in wnids.txt"));
    }
    list.paths.push_back(absl::StrCat("val/images/", columns[0]));
    list.labels.push_back(label);
    HS_RETURN_IF_ERROR(CheckExists(
        source, line, absl::StrCat(list.folder, "/", list.paths.back())));
  }
  HS_RETURN_IF_ERROR(SortByClass(source, list));
  HS_ASSIGN_OR_RETURN(
      const std::vector<std::string> images,
      Names(absl::StrCat(list.folder, "/val/images"), Kind::kFiles));
  const size_t there =
      std::count_if(images.begin(), images.end(),
                    [](const std::string& name) { return IsJpegName(name); });
  if (there == list.paths.size()) return absl::OkStatus();
  return Damaged(source, absl::StrCat("it names ", list.paths.size(),
                                      " images, but val/images has ", there));
}

}  // namespace

absl::StatusOr<ImageList> ListTinyImagenet(const std::string& folder,
                                           DatasetPart part) {
  ImageList list = {.folder = folder};
  const std::string wnids = folder + "/wnids.txt";
  HS_ASSIGN_OR_RETURN(list.classes, ReadClasses(wnids));
  HS_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                      Names(folder + "/train", Kind::kFolders));
  if (folders != list.classes) {
    return Damaged(wnids, absl::StrCat("its ", list.classes.size(),
                                       " classes are not the ", folders.size(),
                                       " folders of train/"));
  }
  if (part == DatasetPart::kTest) {
    HS_RETURN_IF_ERROR(AddTinyValidation(list));
    return list;
  }
  for (size_t label = 0; label < list.classes.size(); ++label) {
    HS_RETURN_IF_ERROR(AddClassFolder(
        absl::StrCat("train/", list.classes[label], "/images"), label, list));
  }
  return list;
}

absl::StatusOr<ImageList> ListFood101(const std::string& folder,
                                      DatasetPart part) {
  ImageList list = {.folder = folder};
  HS_ASSIGN_OR_RETURN(list.classes, ReadClasses(folder + "/meta/classes.txt"));
  const std::string source =
      absl::StrCat(folder, part == DatasetPart::kTrain ? "/meta/train.txt"
                                                       : "/meta/test.txt");
  HS_ASSIGN_OR_RETURN(const std::vector<Line> lines, ReadLines(source));
  for (const Line& line : lines) {
    const std::vector<std::string> parts = absl::StrSplit(line.text, '/');
    if (parts.size() != 2 || !IsPlainName(parts[1])) {
      return Damaged(At(source, line), "<class>/<id> belongs here");
    }
    const int32_t label = ClassNumber(list.classes, parts[0]);
    if (label < 0) {
      return Damaged(At(source, line), absl::StrCat("class ", parts[0],
                                                    " is not in classes.txt"));
    }
    list.paths.push_back(absl::StrCat("images/", line.text, ".jpg"));
    list.labels.push_back(label);
    HS_RETURN_IF_ERROR(CheckExists(
        source, line, absl::StrCat(folder, "/", list.paths.back())));
  }
  if (list.paths.empty()) return Damaged(source, "it names no image");
  HS_RETURN_IF_ERROR(SortByClass(source, list));
  return list;
}

absl::StatusOr<ImageList> ListImageFolder(const std::string& folder,
                                          DatasetPart part) {
  ImageList list = {.folder = folder};
  HS_ASSIGN_OR_RETURN(list.classes, Names(folder + "/train", Kind::kFolders));
  if (list.classes.empty()) {
    return Damaged(folder + "/train", "there is no folder of a class in it");
  }
  std::string below = "train";
  if (part == DatasetPart::kTest) {
    std::error_code ignored;
    below = fs::is_directory(folder + "/test", ignored) ? "test" : "val";
  }
  const std::string whole = absl::StrCat(folder, "/", below);
  HS_ASSIGN_OR_RETURN(const std::vector<std::string> found,
                      Names(whole, Kind::kFolders));
  for (const std::string& name : found) {
    const int32_t label = ClassNumber(list.classes, name);
    if (label < 0) {
      return Damaged(whole,
                     absl::StrCat("class ", name, " has no folder in train/"));
    }
    HS_RETURN_IF_ERROR(
        AddClassFolder(absl::StrCat(below, "/", name), label, list));
  }
  if (list.paths.empty()) {
    return Damaged(whole, "there is no folder of a class in it");
  }
  return list;
}

}  // namespace headstart::worker
