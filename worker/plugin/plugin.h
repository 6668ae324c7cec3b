// What a plug-in includes: its models and data sets, as it hands them over.
//
//   #include "worker/plugin/plugin.h"
//
//   HEADSTART_PLUGIN(registry) {
//     registry.AddModel({.name = "mlp", .version = "1",
//                        .options = {{.name = "width", .default_value = 64,
//                                     .minimum = 1, .maximum = 4096}},
//                        .make = MakeMlp});
//   }
//
// docs/plugins.md is the manual. This header needs nothing but LibTorch: a
// plug-in shares no code with the trainer but LibTorch's, and the trainer no
// more with the plug-in than what is written here. Any change here that a
// plug-in could notice counts HEADSTART_PLUGIN_API up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <torch/version.h>  // defines: TORCH_VERSION

#include "base/version.h"  // defines: HEADSTART_VERSION
#include "worker/models/model.h"
#include "worker/models/model_shape.h"

#define HEADSTART_PLUGIN_API 2

namespace headstart::plugin {

using worker::Model;
using worker::ModelShape;
using worker::TrainingOutput;

// Whole numbers are int64_t, of at most 2^53.
using Value = std::variant<int64_t, double, bool, std::string>;

// One option. A person who leaves it out gets the default; its type is the
// option's.
struct Option {
  std::string name;
  std::string description = "";
  Value default_value = int64_t{0};
  // Of numbers.
  std::optional<double> minimum = std::nullopt;
  std::optional<double> exclusive_minimum = std::nullopt;
  std::optional<double> maximum = std::nullopt;
  std::optional<double> exclusive_maximum = std::nullopt;
  // All that are allowed, of the default's type; empty: any.
  std::vector<Value> allowed = {};
};

// A value for every option that was declared, each of them allowed.
class Options final {
 public:
  explicit Options(std::map<std::string, Value> values)
      : values_(std::move(values)) {}

  // Throw when no option of that name was declared with that type.
  int64_t Integer(const std::string& name) const { return Get<int64_t>(name); }
  double Number(const std::string& name) const { return Get<double>(name); }
  bool Bool(const std::string& name) const { return Get<bool>(name); }
  const std::string& Text(const std::string& name) const {
    return Get<std::string>(name);
  }

 private:
  template <typename T>
  const T& Get(const std::string& name) const {
    return std::get<T>(values_.at(name));
  }

  std::map<std::string, Value> values_;
};

// Names and versions are 1 to 64 letters, digits, '-', '_' and '.'. What is
// trained depends on them: a change of the model or its options is another
// version.
struct ModelEntry {
  std::string name;
  std::string version;
  std::vector<Option> options = {};
  // The names of its tensors are keys in stored checkpoints. Throws
  // std::invalid_argument when shape and options do not go together: the trial
  // is then INFEASIBLE. Anything else that it or the model throws fails the
  // attempt.
  std::function<std::shared_ptr<Model>(const ModelShape&, const Options&)> make;
};

enum class Part { kTrain, kTest };

// One part of a data set, of images of one shape.
struct Images {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t classes = 0;
  // Per channel, of pixels scaled to [0, 1]: what they are normalized with.
  std::vector<double> mean = {};
  std::vector<double> standard_deviation = {};
  std::vector<uint8_t> pixels = {};  // [count, channels, height, width]
  std::vector<int32_t> labels = {};  // [count], each below classes.
};

struct DatasetEntry {
  std::string name;
  std::string version;
  std::vector<Option> options = {};
  // Both parts have one shape; the same arguments give the same images.
  // `folders` are the worker's folders with data sets. Throws as `make` does.
  std::function<Images(const Options&, const std::vector<std::string>& folders,
                       Part)>
      read;
};

class Registry {
 public:
  virtual ~Registry() = default;
  virtual void AddModel(ModelEntry entry) = 0;
  virtual void AddDataset(DatasetEntry entry) = 0;
};

}  // namespace headstart::plugin

#define HEADSTART_PLUGIN_STRINGIFY_(number) #number
#define HEADSTART_PLUGIN_STRING_(number) HEADSTART_PLUGIN_STRINGIFY_(number)

// The description is text that the trainer reads out of the file, before any
// code in it runs.
#define HEADSTART_PLUGIN_MARKER "headstart plug-in description\n"
#define HEADSTART_PLUGIN_DESCRIPTION \
  HEADSTART_PLUGIN_MARKER            \
  "api=" HEADSTART_PLUGIN_STRING_(HEADSTART_PLUGIN_API) "\n"      \
  "torch=" TORCH_VERSION "\n"                                     \
  "headstart=" HEADSTART_VERSION "\n"

// Stands once in a plug-in, in front of the body of a function that registers
// all there is; its parameter is a Registry&.
#define HEADSTART_PLUGIN(registry)                                          \
  extern "C" {                                                              \
  extern __attribute__((visibility("default"), used))                       \
  const char headstart_plugin_description[];                                \
  const char headstart_plugin_description[] = HEADSTART_PLUGIN_DESCRIPTION; \
  }                                                                         \
  extern "C" __attribute__((visibility("default"))) void                    \
  headstart_plugin_register(::headstart::plugin::Registry& registry)
