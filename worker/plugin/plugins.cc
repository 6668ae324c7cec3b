#include "worker/plugin/plugins.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "worker/plugin/load.h"
#include "worker/plugin/options.h"

namespace headstart::worker {
namespace {

// Of all files, one after the other: agents wait two minutes for a trainer.
constexpr absl::Duration kProbeTimeMax = absl::Seconds(60);

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (const std::filesystem::directory_iterator end; !error && at != end;
       at.increment(error)) {
    const std::string file = at->path().filename();
    if (absl::EndsWith(file, ".so")) files.push_back(file);
  }
  if (error) return ErrnoStatus(error.value(), "listing it");
  std::sort(files.begin(), files.end());
  return files;
}

// What the entry is called, once its names and options are good.
template <typename Entry>
absl::StatusOr<PluginDescription> DescribeEntry(PluginKind kind,
                                                const Entry& entry,
                                                bool has_function) {
  const std::string text = PluginText(kind, {entry.name, entry.version, ""});
  if (!IsName(entry.name) || !IsName(entry.version)) {
    return absl::FailedPreconditionError(absl::StrCat(
        text,
        ": name and version must be 1 to 64 letters, digits, '-', '_' "
        "and '.'."));
  }
  if (!has_function) {
    return absl::FailedPreconditionError(
        absl::StrCat(text, ": its function is empty."));
  }
  const absl::StatusOr<std::string> schema = OptionSchemaJson(entry.options);
  if (!schema.ok()) return Annotate(schema.status(), text);
  return PluginDescription{.kind = kind,
                           .name = entry.name,
                           .version = entry.version,
                           .options_schema_json = *schema,
                           .file = ""};
}

absl::Status CheckImages(const plugin::Images& images) {
  const auto wrong = [](absl::string_view what) {
    return absl::InternalError(absl::StrCat("gave images ", what, "."));
  };
  constexpr int64_t kSideMax = 4096;
  for (const int64_t side : {images.channels, images.height, images.width}) {
    if (side < 1 || side > kSideMax) {
      return wrong("whose channels, height or width is not from 1 to 4096");
    }
  }
  if (images.classes < 2 || images.classes > 100'000) {
    return wrong("of fewer than 2 or more than 100000 classes");
  }
  const size_t channels = images.channels;
  if (images.mean.size() != channels ||
      images.standard_deviation.size() != channels) {
    return wrong("without a mean and a standard deviation for each channel");
  }
  for (size_t i = 0; i < channels; ++i) {
    if (!std::isfinite(images.mean[i]) ||
        !std::isfinite(images.standard_deviation[i]) ||
        !(images.standard_deviation[i] > 0)) {
      return wrong("with a mean or standard deviation that is no such number");
    }
  }
  const size_t bytes = channels * images.height * images.width;
  if (images.labels.empty() ||
      images.pixels.size() / bytes != images.labels.size() ||
      images.pixels.size() % bytes != 0) {
    return wrong(absl::StrCat("of ", images.pixels.size(), " bytes for ",
                              images.labels.size(), " labels, and ", bytes,
                              " per image"));
  }
  for (const int32_t label : images.labels) {
    if (label < 0 || label >= images.classes) {
      return wrong(absl::StrCat("with label ", label, " of ", images.classes,
                                " classes"));
    }
  }
  return absl::OkStatus();
}

// That the file can be loaded.
absl::Status Probe(const std::string& path, absl::Duration at_most) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::FailedPreconditionError(
        error ? absl::StrCat("it cannot be read: ", error.message(), ".")
              : "it is no regular file.");
  }
  {
    HS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    HS_RETURN_IF_ERROR(CheckDescription(bytes));
  }
  return ProbeLoading(path, at_most);
}

}  // namespace

std::string PluginText(PluginKind kind, const PluginSpec& spec) {
  return absl::StrCat(kind == PluginKind::kModel ? "model" : "data set",
                      " plug-in ", spec.name, " ", spec.version);
}

Plugins Plugins::Load(const std::string& folder) {
  Plugins plugins;
  const auto refuse = [&](const std::string& file, const absl::Status& why) {
    HS_LOG(kError, "plug-in refused file={} why=\"{}\"", file, why.message());
    if (plugins.refused_.size() == kPluginsMax) return;
    plugins.refused_.push_back(
        {.file = file, .message = std::string(why.message())});
  };
  const absl::StatusOr<std::vector<std::string>> files = ListFiles(folder);
  if (!files.ok()) {
    refuse(folder, files.status());
    return plugins;
  }
  // All in child processes first: a loaded one may have started threads.
  const absl::Duration end = Clock::Real().Monotonic() + kProbeTimeMax;
  std::vector<std::string> good;
  for (const std::string& file : *files) {
    const absl::Status status =
        Probe(absl::StrCat(folder, "/", file), end - Clock::Real().Monotonic());
    if (status.ok()) {
      good.push_back(file);
    } else {
      refuse(file, status);
    }
  }
  for (const std::string& file : good) {
    const absl::Status status = plugins.Add(folder, file);
    if (!status.ok()) refuse(file, status);
  }
  return plugins;
}

absl::Status Plugins::Add(const std::string& folder, const std::string& file) {
  const std::string path = absl::StrCat(folder, "/", file);
  HS_ASSIGN_OR_RETURN(PluginEntries entries, LoadEntries(path));

  std::vector<PluginDescription> added;
  for (const plugin::ModelEntry& entry : entries.models) {
    HS_ASSIGN_OR_RETURN(added.emplace_back(),
                        DescribeEntry(PluginKind::kModel, entry,
                                      static_cast<bool>(entry.make)));
  }
  for (const plugin::DatasetEntry& entry : entries.datasets) {
    HS_ASSIGN_OR_RETURN(added.emplace_back(),
                        DescribeEntry(PluginKind::kDataset, entry,
                                      static_cast<bool>(entry.read)));
  }
  std::vector<PluginDescription> all = descriptions_;
  for (PluginDescription& one : added) {
    one.file = file;
    for (const PluginDescription& other : all) {
      if (other.kind != one.kind || other.name != one.name ||
          other.version != one.version) {
        continue;
      }
      return absl::FailedPreconditionError(
          absl::StrCat(PluginText(one.kind, {one.name, one.version, ""}),
                       " is registered by ", other.file, " already."));
    }
    all.push_back(one);
  }
  if (all.size() > kPluginsMax) {
    return absl::FailedPreconditionError(
        absl::StrCat("with it there would be more than ", kPluginsMax,
                     " models and data sets of plug-ins."));
  }
  descriptions_ = std::move(all);
  for (plugin::ModelEntry& entry : entries.models) {
    models_.push_back({std::move(entry), file});
  }
  for (plugin::DatasetEntry& entry : entries.datasets) {
    datasets_.push_back({std::move(entry), file});
  }
  HS_LOG(kInfo, "plug-in loaded file={} models={} datasets={}", file,
         entries.models.size(), entries.datasets.size());
  return absl::OkStatus();
}

template <typename Entry>
absl::StatusOr<const Plugins::Loaded<Entry>*> Plugins::Find(
    const std::vector<Loaded<Entry>>& all, PluginKind kind,
    const PluginSpec& spec) const {
  std::vector<std::string> others;
  for (const Loaded<Entry>& loaded : all) {
    if (loaded.entry.name == spec.name &&
        loaded.entry.version == spec.version) {
      return &loaded;
    }
    others.push_back(
        PluginText(kind, {loaded.entry.name, loaded.entry.version, ""}));
  }
  return absl::NotFoundError(
      absl::StrCat("this trainer has no ", PluginText(kind, spec), "; it has ",
                   others.empty() ? "none" : absl::StrJoin(others, ", "),
                   ". Start the worker again when its plug-ins change."));
}

absl::StatusOr<std::shared_ptr<Model>> Plugins::MakeModel(
    const PluginSpec& spec, const ModelShape& shape) const {
  HS_ASSIGN_OR_RETURN(const auto* loaded,
                      Find(models_, PluginKind::kModel, spec));
  const std::string where = absl::StrCat(
      "training.model.plugin: ", PluginText(PluginKind::kModel, spec), " (",
      loaded->file, ")");
  const auto options = ReadOptions(loaded->entry.options, spec.options_json);
  if (!options.ok()) return Annotate(options.status(), where);
  std::shared_ptr<Model> model;
  try {
    model = loaded->entry.make(shape, *options);
  } catch (const std::invalid_argument& error) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", error.what()));
  }
  if (model == nullptr) {
    return absl::InternalError(absl::StrCat(where, ": it made no model."));
  }
  return model;
}

absl::StatusOr<plugin::Images> Plugins::ReadImages(
    const PluginSpec& spec, const std::vector<std::string>& folders,
    plugin::Part part) const {
  HS_ASSIGN_OR_RETURN(const auto* loaded,
                      Find(datasets_, PluginKind::kDataset, spec));
  const std::string where = absl::StrCat(
      "training.dataset.plugin: ", PluginText(PluginKind::kDataset, spec), " (",
      loaded->file, ")");
  const auto options = ReadOptions(loaded->entry.options, spec.options_json);
  if (!options.ok()) return Annotate(options.status(), where);
  plugin::Images images;
  try {
    images = loaded->entry.read(*options, folders, part);
  } catch (const std::invalid_argument& error) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", error.what()));
  }
  HS_RETURN_IF_ERROR(Annotate(CheckImages(images), where));
  return images;
}

}  // namespace headstart::worker
