// The plug-ins of a worker: found, checked, loaded and asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/models/model_shape.h"
#include "worker/plugin/plugin.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {

// The proto's PluginModel or PluginDataset, but for what all data sets share.
struct PluginSpec {
  std::string name;
  std::string version;
  std::string options_json;

  bool operator==(const PluginSpec&) const = default;
};

// What was loaded once; nothing is ever unloaded. One thread.
class Plugins final {
 public:
  // None.
  Plugins() = default;

  // Every file *.so of the folder, by name. One that cannot be used is refused
  // with a reason and the others are loaded: no shared library, no description,
  // made for another LibTorch or another version of plugin.h, a symbol that is
  // missing, an exception, names that another plug-in has.
  //
  // A plug-in is first loaded in a child process, so that one that crashes or
  // hangs does so there. So this is called before the process has threads.
  static Plugins Load(const std::string& folder);

  const std::vector<PluginDescription>& descriptions() const {
    return descriptions_;
  }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }

  // Both throw what the plug-in throws, other than std::invalid_argument.
  //   NotFound         no plug-in has it; the message lists them.
  //   InvalidArgument  an option is missing, unknown or not allowed, or the
  //                    plug-in refused; the message names option or plug-in.
  //   Internal         the plug-in broke plugin.h's contract.
  absl::StatusOr<std::shared_ptr<Model>> MakeModel(
      const PluginSpec& spec, const ModelShape& shape) const;
  absl::StatusOr<plugin::Images> ReadImages(
      const PluginSpec& spec, const std::vector<std::string>& folders,
      plugin::Part part) const;

 private:
  // An entry with the name of the file that registered it.
  template <typename Entry>
  struct Loaded {
    Entry entry;
    std::string file;
  };

  template <typename Entry>
  absl::StatusOr<const Loaded<Entry>*> Find(
      const std::vector<Loaded<Entry>>& all, PluginKind kind,
      const PluginSpec& spec) const;
  absl::Status Add(const std::string& folder, const std::string& file);

  std::vector<Loaded<plugin::ModelEntry>> models_;
  std::vector<Loaded<plugin::DatasetEntry>> datasets_;
  std::vector<PluginDescription> descriptions_;
  std::vector<RefusedPlugin> refused_;
};

// "model plug-in mlp 1".
std::string PluginText(PluginKind kind, const PluginSpec& spec);

}  // namespace headstart::worker
