#include "worker/agent/convert.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace headstart::worker {
namespace {

// The scheduler's bounds.
constexpr size_t kFileBytesMax = 255;
constexpr size_t kMessageBytesMax = 2'000;
// Of what is shown in one line.
constexpr size_t kActivityBytesMax = 200;

// The text, or as many of its characters as fit. UTF-8, as all that trainers
// say.
std::string Start(const std::string& text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  const auto continues = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  while (bytes_max > 0 && continues(bytes_max)) --bytes_max;
  return text.substr(0, bytes_max);
}

}  // namespace

Assign ToAssign(const v1::Assignment& assignment, std::vector<Source> sources) {
  Assign assign{.run = assignment.run(),
                .attempt = assignment.attempt(),
                .training_json = "",
                .seed = assignment.seed(),
                .from_epoch = assignment.from_epoch(),
                .until_epoch = assignment.until_epoch(),
                .sources = std::move(sources)};
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  HS_CHECK(google::protobuf::util::MessageToJsonString(
               assignment.training(), &assign.training_json, options)
               .ok());
  return assign;
}

v1::Measurement ToProto(const Measurement& measurement) {
  v1::Measurement proto;
  if (measurement.training_loss.has_value()) {
    proto.set_training_loss(*measurement.training_loss);
  }
  if (measurement.training_accuracy.has_value()) {
    proto.set_training_accuracy(*measurement.training_accuracy);
  }
  if (measurement.validation_loss.has_value()) {
    proto.set_validation_loss(*measurement.validation_loss);
  }
  if (measurement.validation_accuracy.has_value()) {
    proto.set_validation_accuracy(*measurement.validation_accuracy);
  }
  if (measurement.test_loss.has_value()) {
    proto.set_test_loss(*measurement.test_loss);
  }
  if (measurement.test_accuracy.has_value()) {
    proto.set_test_accuracy(*measurement.test_accuracy);
  }
  if (measurement.survivor_share.has_value()) {
    proto.set_survivor_share(*measurement.survivor_share);
  }
  for (const Survivors& each : measurement.survivors) {
    v1::Survivors& survivors = *proto.add_survivors();
    survivors.set_tensor(each.tensor);
    survivors.set_count(each.count);
    survivors.set_entries(each.entries);
  }
  return proto;
}

v1::PhaseSeconds ToProto(const PhaseSeconds& seconds) {
  v1::PhaseSeconds proto;
  proto.set_train(seconds.train);
  proto.set_evaluate(seconds.evaluate);
  proto.set_snapshot(seconds.snapshot);
  proto.set_stall(seconds.stall);
  proto.set_initialize(seconds.initialize);
  return proto;
}

v1::EffectiveValues ToProto(const Effective& effective) {
  v1::EffectiveValues proto;
  proto.set_learning_rate(effective.learning_rate);
  proto.set_batch_size(effective.batch_size);
  proto.set_parameter_count(effective.parameter_count);
  proto.set_training_examples(effective.training_examples);
  proto.set_validation_examples(effective.validation_examples);
  proto.set_thread_count(effective.thread_count);
  return proto;
}

v1::Initialization::Step ToProto(const InitializationStep& step) {
  v1::Initialization::Step proto;
  proto.set_kind(step.kind);
  proto.set_loaded_tensors(step.loaded_tensors);
  proto.mutable_drawn_names()->Add(step.drawn_names.begin(),
                                   step.drawn_names.end());
  for (const ScaledTensor& each : step.scaled) {
    v1::Initialization::ScaledTensor& scaled = *proto.add_scaled();
    scaled.set_name(each.name);
    scaled.set_factor(each.factor);
  }
  for (const Series& each : step.series) {
    v1::Initialization::Series& series = *proto.add_series();
    series.set_name(each.name);
    series.set_stride(each.stride);
    series.mutable_values()->Add(each.values.begin(), each.values.end());
  }
  return proto;
}

std::string ActivityText(const Initializing& initializing) {
  std::string text =
      absl::StrCat(initializing.kind, " ", initializing.iteration);
  if (initializing.iterations > 0) {
    absl::StrAppend(&text, " of ", initializing.iterations);
  }
  const char* separator = ": ";
  for (const NamedValue& each : initializing.values) {
    absl::StrAppend(&text, separator, each.name, " ",
                    absl::StrFormat("%.4g", each.value));
    separator = ", ";
  }
  return Start(text, kActivityBytesMax);
}

v1::PluginDescription ToProto(const PluginDescription& plugin) {
  v1::PluginDescription description;
  description.set_kind(plugin.kind == PluginKind::kModel
                           ? v1::PluginDescription::MODEL
                           : v1::PluginDescription::DATASET);
  description.set_name(plugin.name);
  description.set_version(plugin.version);
  description.set_options_schema_json(plugin.options_schema_json);
  description.set_file(Start(plugin.file, kFileBytesMax));
  return description;
}

v1::RefusedPlugin ToProto(const RefusedPlugin& refused) {
  v1::RefusedPlugin result;
  result.set_file(Start(refused.file, kFileBytesMax));
  result.set_message(Start(refused.message, kMessageBytesMax));
  return result;
}

v1::Failure ToProto(const Failed& failed) {
  v1::Failure::Reason reason = v1::Failure::EXCEPTION;
  // Both use the same names.
  HS_CHECK(v1::Failure::Reason_Parse(
      std::string(FailureReasonName(failed.reason)), &reason));
  return MakeFailure(reason, failed.message);
}

v1::Failure MakeFailure(v1::Failure::Reason reason, absl::string_view message) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_message(std::string(message));
  return failure;
}

}  // namespace headstart::worker
