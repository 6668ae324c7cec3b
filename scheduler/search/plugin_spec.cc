#include "scheduler/search/plugin_spec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "scheduler/search/spec_facts.h"

namespace headstart::scheduler {
namespace {

template <typename Plugin>
absl::StatusOr<OptionValues> CompleteOptions(const Plugin& plugin,
                                             const std::string& path) {
  const absl::StatusOr<OptionSchema> schema =
      OptionSchema::Parse(plugin.options_schema_json());
  if (!schema.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the option schema of the plug-in ",
                     schema.status().message()));
  }
  const std::string where = absl::StrCat(path, ".options_json");
  absl::StatusOr<OptionValues> options = ParseOptions(plugin.options_json());
  if (!options.ok()) return Annotate(options.status(), where);
  options = schema->Complete(*std::move(options), where);
  if (!options.ok()) return options;
  // It is recorded with its defaults and escapes.
  if (const size_t bytes = PrintOptions(*options).size();
      bytes > kOptionsBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": has ", bytes,
                     " bytes with its defaults, as it is recorded; at most ",
                     kOptionsBytesMax, " are allowed."));
  }
  return options;
}

}  // namespace

std::string PluginText(v1::PluginDescription::Kind kind, absl::string_view name,
                       absl::string_view version) {
  return absl::StrCat(
      kind == v1::PluginDescription::DATASET ? "data set" : "model",
      " plug-in ", name, " ", version);
}

bool IsPluginName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::Status CheckPlugins(const v1::TrainingSpec& spec,
                          absl::string_view prefix) {
  absl::Status status;
  ForEachPlugin(spec, [&](auto, const auto& plugin, absl::string_view field) {
    if (!status.ok()) return;
    const std::string path =
        prefix.empty() ? std::string(field) : absl::StrCat(prefix, ".", field);
    for (const auto& [part, text] :
         {std::pair<absl::string_view, absl::string_view>("name",
                                                          plugin.name()),
          {"version", plugin.version()}}) {
      if (IsPluginName(text)) continue;
      status = absl::InvalidArgumentError(
          absl::StrCat(path, ".", part,
                       ": must be 1 to 64 letters, digits, '-', '_' and '.', "
                       "got \"",
                       text.substr(0, 100), "\"."));
      return;
    }
    status = CompleteOptions(plugin, path).status();
  });
  return status;
}

void FillPluginDefaults(v1::TrainingSpec& spec) {
  ForEachPlugin(spec, [](auto, auto& plugin, absl::string_view field) {
    const absl::StatusOr<OptionValues> options =
        CompleteOptions(plugin, std::string(field));
    if (options.ok()) plugin.set_options_json(PrintOptions(*options));
  });
}

std::vector<std::string> NeedsOf(const v1::TrainingSpec& spec) {
  std::vector<std::string> needs;
  if (!spec.dataset().has_plugin()) needs.push_back(DatasetName(spec));
  ForEachPlugin(spec, [&](v1::PluginDescription::Kind kind, const auto& plugin,
                          absl::string_view) {
    v1::PluginDescription description;
    description.set_kind(kind);
    description.set_name(plugin.name());
    description.set_version(plugin.version());
    description.set_options_schema_json(plugin.options_schema_json());
    needs.push_back(PluginNeed(description));
  });
  return needs;
}

// A data set's name has no line break.
std::string PluginNeed(const v1::PluginDescription& plugin) {
  return absl::StrCat(
      PluginText(plugin.kind(), plugin.name(), plugin.version()), "\n",
      plugin.options_schema_json());
}

std::string NeedText(absl::string_view need) {
  return IsPluginNeed(need) ? std::string(need.substr(0, need.find('\n')))
                            : absl::StrCat("dataset ", need);
}

bool IsPluginNeed(absl::string_view need) {
  return need.find('\n') != absl::string_view::npos;
}

}  // namespace headstart::scheduler
