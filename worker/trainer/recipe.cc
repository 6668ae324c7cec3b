#include "worker/trainer/recipe.h"

#include <charconv>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The numbers a field may have: from `min` on or only above it, up to `max` or
// only below it.
struct Range {
  double min;
  bool above = false;
  double max = kInfinity;
};
constexpr Range kPositive = {.min = 0, .above = true};
constexpr Range kNotNegative = {.min = 0};
constexpr Range kBelowOne = {.min = 0, .max = 1};  // 1 is refused.

// Reads one JSON object. Every field must be asked for; Done() refuses others.
//
// The first problem goes into `status`, which all objects of a spec share;
// after it the answers are arbitrary, so the status must be looked at before
// they are used.
class Fields final {
 public:
  Fields(const Json& object, std::string path, absl::Status& status)
      : object_(object), path_(std::move(path)), status_(status) {
    if (!object.is_object()) Refuse(path_, "must be an object");
  }

  int64_t Integer(const std::string& name, int64_t min,
                  int64_t max = std::numeric_limits<int64_t>::max()) {
    const Json& field = Take(name);
    int64_t value = 0;
    bool parsed = field.is_number_integer();
    if (parsed) value = field.get<int64_t>();
    if (field.is_string()) {  // proto3 JSON writes int64 so.
      const auto& text = field.get_ref<const std::string&>();
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), value);
      parsed = error == std::errc() && end == text.data() + text.size();
    }
    if (!parsed || value < min || value > max) {
      const std::string bound = max < std::numeric_limits<int64_t>::max()
                                    ? absl::StrCat("from ", min, " to ", max)
                                    : absl::StrCat("of at least ", min);
      Refuse(At(name), absl::StrCat("must be an integer ", bound, ", got ",
                                    field.dump()));
    }
    return value;
  }

  double Number(const std::string& name, Range range) {
    const Json& field = Take(name);
    const double value = field.is_number() ? field.get<double>() : -1;
    const bool good = field.is_number() && value < range.max &&
                      (range.above ? value > range.min : value >= range.min);
    if (!good) {
      Refuse(At(name),
             absl::StrCat("must be a number ",
                          range.above ? "above " : "of at least ", range.min,
                          range.max < kInfinity
                              ? absl::StrCat(" and below ", range.max)
                              : "",
                          ", got ", field.dump()));
    }
    return value;
  }

  bool Bool(const std::string& name) {
    const Json& field = Take(name);
    if (!field.is_boolean()) {
      Refuse(At(name),
             absl::StrCat("must be true or false, got ", field.dump()));
      return false;
    }
    return field.get<bool>();
  }

  std::string Text(const std::string& name) {
    const Json& field = Take(name);
    if (!field.is_string() || field.get_ref<const std::string&>().empty()) {
      Refuse(At(name), absl::StrCat("must be a text, got ", field.dump()));
      return "";
    }
    return field.get<std::string>();
  }

  // A repeated field: none when it is left out.
  std::vector<std::string> Texts(const std::string& name) {
    if (!object_.contains(name)) {
      taken_.insert(name);
      return {};
    }
    std::vector<std::string> texts;
    const Json& field = Take(name);
    for (const Json& each : field) {
      if (each.is_string()) texts.push_back(each.get<std::string>());
    }
    if (!field.is_array() || texts.size() != field.size()) {
      Refuse(At(name),
             absl::StrCat("must be a list of texts, got ", field.dump()));
    }
    return texts;
  }

  template <typename T>
  T Enum(const std::string& name,
         std::initializer_list<std::pair<const char*, T>> values) {
    const Json& field = Take(name);
    std::vector<std::string> allowed;
    for (const auto& [text, value] : values) {
      if (field == text) return value;
      allowed.emplace_back(text);
    }
    Refuse(At(name),
           absl::StrCat("must be one of ", absl::StrJoin(allowed, ", "),
                        ", got ", field.dump()));
    return values.begin()->second;
  }

  // The one field of an object that is a oneof: its name and what is in it.
  std::pair<std::string, Fields> Kind(const std::string& name,
                                      const std::vector<std::string>& kinds) {
    const Json& field = Take(name);
    if (field.is_object() && field.size() == 1) {
      for (const std::string& kind : kinds) {
        if (!field.contains(kind)) continue;
        return {kind, Fields(field.at(kind), absl::StrCat(At(name), ".", kind),
                             status_)};
      }
    }
    Refuse(At(name),
           absl::StrCat("must have exactly one of ", absl::StrJoin(kinds, ", "),
                        ", got ", field.dump()));
    return {"", Fields(kNone, At(name), status_)};
  }

  void Done() {
    if (!object_.is_object()) return;
    for (const auto& item : object_.items()) {
      if (taken_.contains(item.key())) continue;
      Refuse(At(item.key()), taken_.empty()
                                 ? "unknown field; there are none here"
                                 : absl::StrCat("unknown field; there are ",
                                                absl::StrJoin(taken_, ", ")));
    }
  }

  void Refuse(const std::string& path, const std::string& why) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(path, ": ", why, "."));
  }

  std::string At(const std::string& name) const {
    return absl::StrCat(path_, ".", name);
  }

 private:
  static inline const Json kNone = Json::object();

  const Json& Take(const std::string& name) {
    taken_.insert(name);
    const auto found = object_.is_object() ? object_.find(name) : object_.end();
    if (object_.is_object() && found != object_.end()) return *found;
    Refuse(At(name), "missing; a recorded spec has every default filled in");
    return kNone;
  }

  const Json& object_;
  const std::string path_;
  absl::Status& status_;
  std::set<std::string> taken_;
};

std::string ReadModel(Fields& spec);
DatasetSpec ReadDatasetSpec(Fields& spec);
OptimizerOptions ReadOptimizer(Fields& spec);
Schedule ReadSchedule(Fields& spec);
initializers::InitializerOptions ReadInitializer(Fields& spec);

}  // namespace

absl::StatusOr<Recipe> ParseRecipe(absl::string_view training_json) {
  const Json json = Json::parse(training_json.begin(), training_json.end(),
                                /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError("training: this is not JSON.");
  }
  absl::Status status;
  Fields spec(json, "training", status);
  Recipe recipe = {
      .model = ReadModel(spec),
      .dataset = ReadDatasetSpec(spec),
      .epochs = spec.Integer("epochs", 1, 100'000),
      .batch_size = spec.Integer("batch_size", 1, 65'536),
      .optimizer = ReadOptimizer(spec),
      .schedule = ReadSchedule(spec),
      .initializer = ReadInitializer(spec),
      .evaluate = spec.Enum<TestWhen>(
          "evaluate", {{"TEST_NEVER", TestWhen::kNever},
                       {"TEST_LAST_EPOCH", TestWhen::kLastEpoch},
                       {"TEST_EVERY_EPOCH", TestWhen::kEveryEpoch}})};
  spec.Done();
  if (!status.ok()) return status;
  return recipe;
}

namespace {

std::string ReadModel(Fields& spec) {
  auto [kind, fields] = spec.Kind("model", ModelNames());
  fields.Done();
  return kind;
}

DatasetSpec ReadDatasetSpec(Fields& spec) {
  auto [kind, fields] = spec.Kind("dataset", DatasetNames());
  DatasetSpec dataset = {
      .name = kind,
      .split = {.validation_examples = fields.Integer("validation_examples", 0),
                .train_examples = fields.Integer("train_examples", 0),
                .split_seed = fields.Integer(
                    "split_seed", std::numeric_limits<int64_t>::min())}};
  fields.Done();
  return dataset;
}

OptimizerOptions ReadOptimizer(Fields& spec) {
  auto [kind, fields] = spec.Kind("optimizer", {"sgd", "adam"});
  OptimizerOptions optimizer;
  if (kind == "sgd") {
    const SgdOptions sgd = {
        .learning_rate = fields.Number("learning_rate", kPositive),
        .momentum = fields.Number("momentum", kBelowOne),
        .nesterov = fields.Bool("nesterov"),
        .weight_decay = fields.Number("weight_decay", kNotNegative)};
    if (sgd.nesterov && sgd.momentum == 0) {
      fields.Refuse(fields.At("nesterov"), "needs a momentum above 0");
    }
    optimizer = sgd;
  } else {
    optimizer = AdamOptions{
        .learning_rate = fields.Number("learning_rate", kPositive),
        .beta1 = fields.Number("beta1", kBelowOne),
        .beta2 = fields.Number("beta2", kBelowOne),
        .epsilon = fields.Number("epsilon", kPositive),
        .weight_decay = fields.Number("weight_decay", kNotNegative)};
  }
  fields.Done();
  return optimizer;
}

Schedule ReadSchedule(Fields& spec) {
  auto [kind, fields] = spec.Kind("schedule", {"constant", "cosine"});
  Schedule schedule = ConstantSchedule{};
  if (kind == "cosine") {
    schedule =
        CosineSchedule{.step = fields.Enum<CosineStep>(
                           "step", {{"PER_EPOCH", CosineStep::kPerEpoch},
                                    {"PER_STEP", CosineStep::kPerStep}}),
                       .period_epochs = fields.Integer("period_epochs", 1),
                       .final_learning_rate =
                           fields.Number("final_learning_rate", kNotNegative)};
  }
  fields.Done();
  return schedule;
}

initializers::InitializerOptions ReadInitializer(Fields& spec) {
  using initializers::Distribution;
  using initializers::FanMode;
  auto [kind, fields] = spec.Kind(
      "initializer", {"framework_default", "xavier_uniform", "xavier_normal",
                      "kaiming_uniform", "kaiming_normal", "checkpoint"});
  initializers::InitializerOptions initializer =
      initializers::FrameworkDefaultOptions{};
  if (kind == "xavier_uniform" || kind == "xavier_normal") {
    initializer = initializers::XavierOptions{
        .distribution = kind == "xavier_uniform" ? Distribution::kUniform
                                                 : Distribution::kNormal,
        .gain = fields.Number("gain", kPositive)};
  } else if (kind == "kaiming_uniform" || kind == "kaiming_normal") {
    initializer = initializers::KaimingOptions{
        .distribution = kind == "kaiming_uniform" ? Distribution::kUniform
                                                  : Distribution::kNormal,
        .gain = fields.Number("gain", kPositive),
        .mode = fields.Enum<FanMode>(
            "mode", {{"FAN_IN", FanMode::kIn}, {"FAN_OUT", FanMode::kOut}})};
  } else if (kind == "checkpoint") {
    initializer = initializers::FromCheckpointOptions{
        .checkpoint = fields.Text("checkpoint"),
        .fresh_layers = fields.Texts("fresh_layers")};
  }
  fields.Done();
  return initializer;
}

}  // namespace
}  // namespace headstart::worker
