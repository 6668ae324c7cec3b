// One plug-in's file: what it says of itself, and its code.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "worker/plugin/plugin.h"

namespace headstart::worker {

// What one plug-in registered.
struct PluginEntries {
  std::vector<plugin::ModelEntry> models;
  std::vector<plugin::DatasetEntry> datasets;
};

// That the bytes are those of a shared library with the description that
// HEADSTART_PLUGIN writes, for this plugin.h and this LibTorch. No code of it
// runs. FailedPrecondition says what it is made for and what is needed.
absl::Status CheckDescription(absl::string_view file_bytes);

// Loads a file whose description is good and lets it register. Never unloads.
//   FailedPrecondition  it cannot be loaded, lacks its symbol or throws.
absl::StatusOr<PluginEntries> LoadEntries(const std::string& path);

// Does the same in a child process: FailedPrecondition when that crashes,
// exits, or takes longer than `at_most` or 20 seconds. Called before the
// process has threads.
absl::Status ProbeLoading(const std::string& path, absl::Duration at_most);

}  // namespace headstart::worker
