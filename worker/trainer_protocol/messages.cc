#include "worker/trainer_protocol/messages.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "worker/trainer_protocol/json_form.h"

namespace headstart::worker {
namespace {

constexpr std::pair<SourceRole, absl::string_view> kSourceRoles[] = {
    {SourceRole::kResume, "resume"},
    {SourceRole::kInitializer, "initializer"},
};
constexpr std::pair<StopMode, absl::string_view> kStopModes[] = {
    {StopMode::kAfterEpoch, "after_epoch"},
    {StopMode::kNow, "now"},
};
constexpr std::pair<TensorRole, absl::string_view> kTensorRoles[] = {
    {TensorRole::kParameter, "PARAMETER"}, {TensorRole::kBuffer, "BUFFER"},
    {TensorRole::kOptimizer, "OPTIMIZER"}, {TensorRole::kState, "STATE"},
    {TensorRole::kMask, "MASK"},           {TensorRole::kInserted, "INSERTED"},
};
constexpr std::pair<PluginKind, absl::string_view> kPluginKinds[] = {
    {PluginKind::kModel, "MODEL"},
    {PluginKind::kDataset, "DATASET"},
};
constexpr std::pair<FailureReason, absl::string_view> kFailureReasons[] = {
    {FailureReason::kException, "EXCEPTION"},
    {FailureReason::kOutOfMemory, "OUT_OF_MEMORY"},
    {FailureReason::kNonFiniteLoss, "NON_FINITE_LOSS"},
    {FailureReason::kInvalidSpec, "INVALID_SPEC"},
    {FailureReason::kSourceUnavailable, "SOURCE_UNAVAILABLE"},
};

}  // namespace

// The fields of each message, for writing and reading alike.

template <typename Form>
void Describe(Form& form, TableEntry& entry) {
  form.Text("name", entry.name, 1);
  form.Type("dtype", entry.dtype);
  form.Integers("shape", entry.shape);
  form.Choice("role", entry.role, Names<TensorRole>(kTensorRoles));
  form.Integer("offset", entry.offset, 0);
  form.Integer("bytes", entry.bytes, 0);
}

template <typename Form>
void Describe(Form& form, Source& source) {
  form.Text("checkpoint", source.checkpoint, 1);
  form.Choice("role", source.role, Names<SourceRole>(kSourceRoles));
  form.Integer("bytes", source.bytes, 1);
  form.List("tensors", source.tensors);
}

template <typename Form>
void Describe(Form& form, Assign& assign) {
  form.Text("run", assign.run, 1);
  form.Integer("attempt", assign.attempt, 1);
  form.RawObject("training", assign.training_json);
  form.Integer("seed", assign.seed, 0);
  form.Integer("from_epoch", assign.from_epoch, 0);
  form.Integer("until_epoch", assign.until_epoch, 0);
  form.List("sources", assign.sources);
}

template <typename Form>
void Describe(Form& form, Slabs& slabs) {
  form.Integer("bytes", slabs.bytes, 1);
}

template <typename Form>
void Describe(Form& form, SlabFree& slab_free) {
  form.Integer("slab", slab_free.slab, 0);
}

template <typename Form>
void Describe(Form& form, Stop& stop) {
  form.Choice("mode", stop.mode, Names<StopMode>(kStopModes));
}

template <typename Form>
void Describe(Form&, Exit&) {}

template <typename Form>
void Describe(Form& form, PluginDescription& plugin) {
  form.Choice("kind", plugin.kind, Names<PluginKind>(kPluginKinds));
  form.Text("name", plugin.name, 1);
  form.Text("version", plugin.version, 1);
  form.Text("options_schema_json", plugin.options_schema_json, 1);
  form.Text("file", plugin.file, 1);
}

template <typename Form>
void Describe(Form& form, RefusedPlugin& plugin) {
  form.Text("file", plugin.file, 1);
  form.Text("message", plugin.message, 1);
}

template <typename Form>
void Describe(Form& form, Ready& ready) {
  form.Integer("protocol", ready.protocol, 1);
  form.Text("library", ready.library, 1);
  form.Text("device", ready.device, 1);
  form.Integer("threads", ready.threads, 1);
  form.ListOrAbsent("plugins", ready.plugins);
  form.ListOrAbsent("refused_plugins", ready.refused_plugins);
}

template <typename Form>
void Describe(Form& form, Effective& effective) {
  form.Number("learning_rate", effective.learning_rate);
  form.Integer("batch_size", effective.batch_size, 1);
  form.Integer("parameter_count", effective.parameter_count, 0);
  form.Integer("training_examples", effective.training_examples, 0);
  form.Integer("validation_examples", effective.validation_examples, 0);
  form.Integer("thread_count", effective.thread_count, 1);
}

template <typename Form>
void Describe(Form& form, ScaledTensor& scaled) {
  form.Text("name", scaled.name, 1);
  form.Number("factor", scaled.factor);
}

template <typename Form>
void Describe(Form& form, Series& series) {
  form.Text("name", series.name, 1);
  form.Integer("stride", series.stride, 1);
  form.Numbers("values", series.values);
}

template <typename Form>
void Describe(Form& form, InitializationStep& step) {
  form.Text("kind", step.kind, 1);
  form.Integer("loaded_tensors", step.loaded_tensors, 0);
  form.Texts("drawn_names", step.drawn_names);
  form.List("scaled", step.scaled);
  form.List("series", step.series);
}

template <typename Form>
void Describe(Form& form, NamedValue& value) {
  form.Text("name", value.name, 1);
  form.Number("value", value.value);
}

template <typename Form>
void Describe(Form& form, Initializing& initializing) {
  form.Text("kind", initializing.kind, 1);
  form.Integer("iteration", initializing.iteration, 1);
  form.Integer("iterations", initializing.iterations, 0);
  form.List("values", initializing.values);
}

template <typename Form>
void Describe(Form& form, Started& started) {
  form.Text("run", started.run, 1);
  form.Integer("attempt", started.attempt, 1);
  form.Integer("slab_bytes", started.slab_bytes, 1);
  form.List("tensors", started.tensors);
  form.Nested("effective", started.effective);
  form.Text("model", started.model, 1);
  form.Text("input_transform", started.input_transform, 0);
  form.List("initialization", started.initialization);
}

template <typename Form>
void Describe(Form& form, Step& step) {
  form.Integer("epoch", step.epoch, 1);
  form.Integer("step", step.step, 0);
  form.Integer("steps", step.steps, 1);
  form.Number("training_loss", step.training_loss);
  form.Number("examples_per_second", step.examples_per_second);
}

template <typename Form>
void Describe(Form&, Heartbeat&) {}

template <typename Form>
void Describe(Form& form, Survivors& survivors) {
  form.Text("tensor", survivors.tensor, 1);
  form.Integer("count", survivors.count, 0);
  form.Integer("entries", survivors.entries, 0);
}

template <typename Form>
void Describe(Form& form, Measurement& measurement) {
  form.NumberOrAbsent("training_loss", measurement.training_loss);
  form.NumberOrAbsent("training_accuracy", measurement.training_accuracy);
  form.NumberOrAbsent("validation_loss", measurement.validation_loss);
  form.NumberOrAbsent("validation_accuracy", measurement.validation_accuracy);
  form.NumberOrAbsent("test_loss", measurement.test_loss);
  form.NumberOrAbsent("test_accuracy", measurement.test_accuracy);
  form.NumberOrAbsent("survivor_share", measurement.survivor_share);
  form.ListOrAbsent("survivors", measurement.survivors);
}

template <typename Form>
void Describe(Form& form, PhaseSeconds& seconds) {
  form.Number("train", seconds.train);
  form.Number("evaluate", seconds.evaluate);
  form.Number("snapshot", seconds.snapshot);
  form.Number("stall", seconds.stall);
  form.Number("initialize", seconds.initialize);
}

template <typename Form>
void Describe(Form& form, EpochDone& epoch) {
  form.Integer("epoch", epoch.epoch, 0);
  form.Nested("measurement", epoch.measurement);
  form.Nested("seconds", epoch.seconds);
  form.Number("examples_per_second", epoch.examples_per_second);
  form.Integer("peak_memory_bytes", epoch.peak_memory_bytes, 0);
}

template <typename Form>
void Describe(Form& form, Snapshot& snapshot) {
  form.Integer("epoch", snapshot.epoch, 0);
  form.Integer("slab", snapshot.slab, 0);
}

template <typename Form>
void Describe(Form& form, Paused& paused) {
  form.Integer("epoch", paused.epoch, -1);
  form.Nested("seconds", paused.seconds);
}

template <typename Form>
void Describe(Form& form, Finished& finished) {
  form.Integer("epoch", finished.epoch, 0);
  form.Nested("seconds", finished.seconds);
}

template <typename Form>
void Describe(Form& form, Failed& failed) {
  form.Choice("reason", failed.reason, Names<FailureReason>(kFailureReasons));
  form.Text("message", failed.message, 0);
}

namespace {

// What the fields must be to each other.

absl::Status Check(const Assign& assign) {
  if (assign.until_epoch < assign.from_epoch) {
    return absl::InvalidArgumentError(
        absl::StrCat("assign.until_epoch is ", assign.until_epoch,
                     ", before from_epoch ", assign.from_epoch));
  }
  int64_t resume_count = 0;
  for (const Source& source : assign.sources) {
    if (source.role == SourceRole::kResume) ++resume_count;
    HS_RETURN_IF_ERROR(
        Annotate(CheckTable(source.tensors, source.bytes),
                 absl::StrCat("assign.sources: ", source.checkpoint)));
  }
  if (resume_count != (assign.from_epoch > 0 ? 1 : 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "assign.sources has ", resume_count, " of role resume; from epoch ",
        assign.from_epoch, " there must be ",
        assign.from_epoch > 0 ? "one" : "none"));
  }
  return absl::OkStatus();
}

absl::Status Check(const Started& started) {
  return Annotate(CheckTable(started.tensors, started.slab_bytes),
                  "started.tensors");
}

absl::Status CheckSeconds(const PhaseSeconds& phases, const char* type) {
  for (const double seconds : {phases.train, phases.evaluate, phases.snapshot,
                               phases.stall, phases.initialize}) {
    if (!std::isfinite(seconds) || seconds < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          type, ".seconds has ", seconds, "; finite and 0 or more is allowed"));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const EpochDone& epoch) {
  return CheckSeconds(epoch.seconds, "epoch");
}

absl::Status Check(const Paused& paused) {
  return CheckSeconds(paused.seconds, "paused");
}

absl::Status Check(const Finished& finished) {
  return CheckSeconds(finished.seconds, "finished");
}

absl::Status Check(const Ready& ready) {
  const size_t refused = ready.refused_plugins.size();
  if (std::max(ready.plugins.size(), refused) <= kPluginsMax) return {};
  return absl::InvalidArgumentError(absl::StrCat(
      "ready has ", ready.plugins.size(), " plugins and ", refused,
      " refused_plugins; at most ", kPluginsMax, " of each are allowed"));
}

template <typename Message>
absl::Status Check(const Message&) {
  return absl::OkStatus();
}

const char* TypeName(const Assign&) { return "assign"; }
const char* TypeName(const Slabs&) { return "slabs"; }
const char* TypeName(const SlabFree&) { return "slab_free"; }
const char* TypeName(const Stop&) { return "stop"; }
const char* TypeName(const Exit&) { return "exit"; }
const char* TypeName(const Ready&) { return "ready"; }
const char* TypeName(const Initializing&) { return "initializing"; }
const char* TypeName(const Started&) { return "started"; }
const char* TypeName(const Step&) { return "step"; }
const char* TypeName(const Heartbeat&) { return "heartbeat"; }
const char* TypeName(const EpochDone&) { return "epoch"; }
const char* TypeName(const Snapshot&) { return "snapshot"; }
const char* TypeName(const Paused&) { return "paused"; }
const char* TypeName(const Finished&) { return "finished"; }
const char* TypeName(const Failed&) { return "failed"; }

template <typename Variant>
std::string WriteMessage(Variant message) {
  Json object = Json::object();
  std::visit(
      [&](auto& body) {
        object["type"] = TypeName(body);
        Writer writer(object);
        Describe(writer, body);
      },
      message);
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Tries the variant's alternatives one after another.
template <typename Variant, size_t kIndex = 0>
absl::StatusOr<Variant> ReadBody(const Json& object, const std::string& type) {
  if constexpr (kIndex == std::variant_size_v<Variant>) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no message of type \"", type, "\""));
  } else {
    std::variant_alternative_t<kIndex, Variant> body;
    if (type != TypeName(body)) {
      return ReadBody<Variant, kIndex + 1>(object, type);
    }
    absl::Status status;
    Reader reader(object, type, status);
    Describe(reader, body);
    HS_RETURN_IF_ERROR(status);
    HS_RETURN_IF_ERROR(Check(body));
    return Variant(std::move(body));
  }
}

template <typename Variant>
absl::StatusOr<Variant> ReadMessage(absl::string_view json) {
  const Json object = Json::parse(json.begin(), json.end(), nullptr,
                                  /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::InvalidArgumentError("a message is no JSON object");
  }
  absl::Status status;
  std::string type;
  Reader(object, "message", status).Text("type", type, 1);
  HS_RETURN_IF_ERROR(status);
  return ReadBody<Variant>(object, type);
}

}  // namespace

absl::string_view FailureReasonName(FailureReason reason) {
  for (const auto& [value, name] : kFailureReasons) {
    if (value == reason) return name;
  }
  HS_CHECK(false) << "reason " << static_cast<int>(reason);
  return "";
}

std::string ToJson(const AgentMessage& message) {
  return WriteMessage(message);
}

std::string ToJson(const TrainerMessage& message) {
  return WriteMessage(message);
}

absl::StatusOr<AgentMessage> ParseAgentMessage(absl::string_view json) {
  return ReadMessage<AgentMessage>(json);
}

absl::StatusOr<TrainerMessage> ParseTrainerMessage(absl::string_view json) {
  return ReadMessage<TrainerMessage>(json);
}

}  // namespace headstart::worker
