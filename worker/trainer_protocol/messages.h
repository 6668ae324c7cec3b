// Every message between agent and trainer as a struct, and its JSON line.
//
// README.md is the manual; fields are named as there. Parsing checks types,
// ranges and tables, so that whoever holds a struct can rely on it; an error is
// always InvalidArgument and names the message's type and the field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {

inline constexpr int64_t kTrainerProtocolVersion = 1;

// From the agent.

enum class SourceRole { kResume, kInitializer };

// Stored tensors, in the memory whose descriptor has the source's place.
struct Source {
  std::string checkpoint;
  SourceRole role = SourceRole::kResume;
  int64_t bytes = 0;
  TensorTable tensors = {};

  bool operator==(const Source&) const = default;
};

struct Assign {
  std::string run;
  int64_t attempt = 0;
  // A TrainingSpec as one JSON object; the trainer's recipe judges it.
  std::string training_json;
  int64_t seed = 0;
  int64_t from_epoch = 0;
  int64_t until_epoch = 0;
  std::vector<Source> sources = {};

  bool operator==(const Assign&) const = default;
};

struct Slabs {
  int64_t bytes = 0;

  bool operator==(const Slabs&) const = default;
};

struct SlabFree {
  int64_t slab = 0;

  bool operator==(const SlabFree&) const = default;
};

enum class StopMode { kAfterEpoch, kNow };

struct Stop {
  StopMode mode = StopMode::kAfterEpoch;

  bool operator==(const Stop&) const = default;
};

struct Exit {
  bool operator==(const Exit&) const = default;
};

using AgentMessage = std::variant<Assign, Slabs, SlabFree, Stop, Exit>;

// From the trainer.

enum class PluginKind { kModel, kDataset };

// A model or data set of a plug-in.
struct PluginDescription {
  PluginKind kind = PluginKind::kModel;
  std::string name;
  std::string version;
  std::string options_schema_json;
  std::string file;  // Without its folder.

  bool operator==(const PluginDescription&) const = default;
};

// A plug-in that could not be loaded, and why.
struct RefusedPlugin {
  std::string file;
  std::string message;

  bool operator==(const RefusedPlugin&) const = default;
};

// What `ready` may have of each kind.
inline constexpr size_t kPluginsMax = 100;

struct Ready {
  int64_t protocol = kTrainerProtocolVersion;
  std::string library;
  std::string device;
  int64_t threads = 0;
  // Trainers without plug-ins leave both out.
  std::vector<PluginDescription> plugins = {};
  std::vector<RefusedPlugin> refused_plugins = {};

  bool operator==(const Ready&) const = default;
};

// Read back from optimizer, model and data.
struct Effective {
  double learning_rate = 0;
  int64_t batch_size = 0;
  int64_t parameter_count = 0;
  int64_t training_examples = 0;
  int64_t validation_examples = 0;
  int64_t thread_count = 0;

  bool operator==(const Effective&) const = default;
};

// What an initializer measured while it learned; values[i] in iteration 1 + i *
// stride.
struct Series {
  std::string name;
  int64_t stride = 1;
  std::vector<double> values = {};

  bool operator==(const Series&) const = default;
};

struct ScaledTensor {
  std::string name;
  double factor = 1;

  bool operator==(const ScaledTensor&) const = default;
};

// What one step of the initializer did; empty when the run resumed.
struct InitializationStep {
  std::string kind;  // As in the spec: nio.
  int64_t loaded_tensors = 0;
  std::vector<std::string> drawn_names = {};
  std::vector<ScaledTensor> scaled = {};
  std::vector<Series> series = {};

  bool operator==(const InitializationStep&) const = default;
};

struct Started {
  std::string run;
  int64_t attempt = 0;
  int64_t slab_bytes = 0;
  TensorTable tensors = {};
  Effective effective = {};
  std::string model;
  std::string input_transform;
  std::vector<InitializationStep> initialization = {};

  bool operator==(const Started&) const = default;
};

// What is measured now.
struct NamedValue {
  std::string name;
  double value = 0;

  bool operator==(const NamedValue&) const = default;
};

// An initializer learns; before `started`.
struct Initializing {
  std::string kind;
  int64_t iteration = 0;
  int64_t iterations = 0;  // 0: it cannot be told before.
  std::vector<NamedValue> values = {};

  bool operator==(const Initializing&) const = default;
};

struct Step {
  int64_t epoch = 0;
  int64_t step = 0;
  int64_t steps = 0;
  double training_loss = 0;
  double examples_per_second = 0;

  bool operator==(const Step&) const = default;
};

// It is at work: evaluating, say.
struct Heartbeat {
  bool operator==(const Heartbeat&) const = default;
};

// What pruning has left of a tensor.
struct Survivors {
  std::string tensor;
  int64_t count = 0;
  int64_t entries = 0;

  bool operator==(const Survivors&) const = default;
};

// What was not measured is absent; what is not finite stays so.
struct Measurement {
  std::optional<double> training_loss = std::nullopt;
  std::optional<double> training_accuracy = std::nullopt;
  std::optional<double> validation_loss = std::nullopt;
  std::optional<double> validation_accuracy = std::nullopt;
  std::optional<double> test_loss = std::nullopt;
  std::optional<double> test_accuracy = std::nullopt;
  std::optional<double> survivor_share = std::nullopt;
  std::vector<Survivors> survivors = {};

  bool operator==(const Measurement&) const = default;
};

struct PhaseSeconds {
  double train = 0;
  double evaluate = 0;
  double snapshot = 0;
  double stall = 0;
  double initialize = 0;

  bool operator==(const PhaseSeconds&) const = default;
};

struct EpochDone {  // "epoch"
  int64_t epoch = 0;
  Measurement measurement = {};
  PhaseSeconds seconds = {};
  double examples_per_second = 0;
  int64_t peak_memory_bytes = 0;  // 0: not known.

  bool operator==(const EpochDone&) const = default;
};

struct Snapshot {
  int64_t epoch = 0;
  int64_t slab = 0;

  bool operator==(const Snapshot&) const = default;
};

struct Paused {
  int64_t epoch = 0;
  PhaseSeconds seconds = {};  // Since the last `epoch`.

  bool operator==(const Paused&) const = default;
};

struct Finished {
  int64_t epoch = 0;
  PhaseSeconds seconds = {};  // Since the last `epoch`.

  bool operator==(const Finished&) const = default;
};

enum class FailureReason {
  kException,
  kOutOfMemory,
  kNonFiniteLoss,
  kInvalidSpec,
  kSourceUnavailable,
};

// "EXCEPTION", ...
absl::string_view FailureReasonName(FailureReason reason);

struct Failed {
  FailureReason reason = FailureReason::kException;
  std::string message;

  bool operator==(const Failed&) const = default;
};

using TrainerMessage =
    std::variant<Ready, Initializing, Started, Step, Heartbeat, EpochDone,
                 Snapshot, Paused, Finished, Failed>;

// One JSON object, without '\n'. Texts that are not UTF-8 have their faulty
// bytes replaced.
std::string ToJson(const AgentMessage& message);
std::string ToJson(const TrainerMessage& message);

// Fields that a message does not have are ignored.
absl::StatusOr<AgentMessage> ParseAgentMessage(absl::string_view json);
absl::StatusOr<TrainerMessage> ParseTrainerMessage(absl::string_view json);

}  // namespace headstart::worker
