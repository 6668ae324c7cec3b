// What a TrainingSpec takes from plug-ins: a model, a data set, or neither.
//
// A recorded spec holds the option schema that it was checked against, so that
// judging it needs nothing but the spec.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/training_spec.pb.h"
#include "headstart/v1/worker_service.pb.h"
#include "scheduler/search/option_schema.h"

namespace headstart::scheduler {

// Calls `visit(kind, plugin, field)` for each of the spec's plug-ins: a
// PluginModel or PluginDataset, and where it is, model.plugin or
// dataset.plugin. Changes nothing in a spec without.
template <typename Spec, typename Visit>
void ForEachPlugin(Spec& spec, Visit visit) {
  constexpr bool kConst = std::is_const_v<Spec>;
  if (spec.model().has_plugin()) {
    if constexpr (kConst) {
      visit(v1::PluginDescription::MODEL, spec.model().plugin(),
            "model.plugin");
    } else {
      visit(v1::PluginDescription::MODEL,
            *spec.mutable_model()->mutable_plugin(), "model.plugin");
    }
  }
  if (spec.dataset().has_plugin()) {
    if constexpr (kConst) {
      visit(v1::PluginDescription::DATASET, spec.dataset().plugin(),
            "dataset.plugin");
    } else {
      visit(v1::PluginDescription::DATASET,
            *spec.mutable_dataset()->mutable_plugin(), "dataset.plugin");
    }
  }
}

// "model plug-in mlp 1".
std::string PluginText(v1::PluginDescription::Kind kind, absl::string_view name,
                       absl::string_view version);

// 1 to 64 letters, digits, '-', '_' and '.'.
bool IsPluginName(absl::string_view name);

// That names are such, and options fit their schema. The error begins with the
// path, such as training.model.plugin.options_json#/width.
absl::Status CheckPlugins(const v1::TrainingSpec& spec,
                          absl::string_view prefix);

// Options that fit get their defaults and their one form; others stay.
void FillPluginDefaults(v1::TrainingSpec& spec);

// What a worker must offer to run the spec: its data set by name, what comes
// from plug-ins by PluginNeed.
std::vector<std::string> NeedsOf(const v1::TrainingSpec& spec);

// Equal where kind, name, version and schema are.
std::string PluginNeed(const v1::PluginDescription& plugin);

// A need for people: "dataset mnist" or "model plug-in mlp 1".
std::string NeedText(absl::string_view need);
bool IsPluginNeed(absl::string_view need);

}  // namespace headstart::scheduler
