#include "scheduler/core/plugins.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {
namespace {

constexpr size_t kNamed = 10;

// Who has it, with which schema.
struct Announcement {
  const Worker* worker = nullptr;
  const v1::PluginDescription* plugin = nullptr;
};

std::vector<Announcement> Announcements(const State& state) {
  std::vector<Announcement> all;
  for (const auto& [name, worker] : state.fleet.workers()) {
    if (worker.gone) continue;
    for (const v1::PluginDescription& plugin : worker.plugins) {
      all.push_back({&worker, &plugin});
    }
  }
  return all;
}

absl::Status NobodyHas(const State& state, const std::string& path,
                       const std::string& what) {
  std::vector<std::string> others;
  for (const Announcement& other : Announcements(state)) {
    if (others.size() == kNamed) break;
    others.push_back(
        absl::StrCat(other.worker->name, " has ",
                     PluginText(other.plugin->kind(), other.plugin->name(),
                                other.plugin->version())));
  }
  for (const auto& [name, worker] : state.fleet.workers()) {
    if (worker.gone) continue;
    for (const v1::RefusedPlugin& refused : worker.refused_plugins) {
      if (others.size() >= 2 * kNamed) break;
      others.push_back(absl::StrCat(name, " could not load ", refused.file(),
                                    ": ",
                                    absl::StripSuffix(refused.message(), ".")));
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": no worker has ", what, "; ",
      others.empty() ? "none has any plug-in" : absl::StrJoin(others, "; "),
      ". Put the plug-in into the folder that --plugins of a worker names, and "
      "start that worker again."));
}

}  // namespace

absl::Status ResolvePlugins(const State& state,
                            absl::Span<const v1::TrainingSpec* const> recorded,
                            absl::string_view prefix, v1::TrainingSpec& spec) {
  absl::Status status;
  ForEachPlugin(spec, [&](v1::PluginDescription::Kind kind, auto& plugin,
                          absl::string_view field) {
    if (!status.ok() || plugin.name().empty() || plugin.version().empty()) {
      return;  // The fields' own check says what is missing.
    }
    const auto is_it = [&](const auto& other) {
      return other.name() == plugin.name() &&
             other.version() == plugin.version();
    };
    plugin.clear_options_schema_json();
    for (const v1::TrainingSpec* other : recorded) {
      if (other == nullptr) continue;
      ForEachPlugin(*other, [&](v1::PluginDescription::Kind other_kind,
                                const auto& known, absl::string_view) {
        if (other_kind == kind && is_it(known)) {
          plugin.set_options_schema_json(known.options_schema_json());
        }
      });
      if (!plugin.options_schema_json().empty()) return;
    }
    const std::string path =
        prefix.empty() ? std::string(field) : absl::StrCat(prefix, ".", field);
    const std::string what = PluginText(kind, plugin.name(), plugin.version());
    const Worker* first = nullptr;
    for (const Announcement& one : Announcements(state)) {
      if (one.plugin->kind() != kind || !is_it(*one.plugin)) continue;
      if (first == nullptr) {
        first = one.worker;
        plugin.set_options_schema_json(one.plugin->options_schema_json());
      } else if (plugin.options_schema_json() !=
                 one.plugin->options_schema_json()) {
        status = absl::FailedPreconditionError(absl::StrCat(
            path, ": ", first->name, " and ", one.worker->name, " both have ",
            what,
            ", but with different options. Give the newer of both another "
            "version, or the same plug-in to all workers."));
        return;
      }
    }
    if (first == nullptr) status = NobodyHas(state, path, what);
  });
  return status;
}

std::string OffersText(const Worker& worker) {
  std::vector<std::string> offers = worker.datasets;
  for (const v1::PluginDescription& plugin : worker.plugins) {
    offers.push_back(
        PluginText(plugin.kind(), plugin.name(), plugin.version()));
  }
  return offers.empty() ? "none" : absl::StrJoin(offers, ", ");
}

}  // namespace headstart::scheduler
