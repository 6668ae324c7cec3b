#include "worker/plugin/options.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;
using plugin::Option;
using plugin::Value;

// As the scheduler has them (scheduler/search/option_schema.h).
constexpr size_t kSchemaBytesMax = 16 << 10;
constexpr size_t kOptionsMax = 100;
constexpr size_t kNameBytesMax = 100;
constexpr int64_t kIntegerMax = int64_t{1} << 53;

absl::Status Wrong(const std::string& name, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("option \"", name, "\" ", why, "."));
}

std::string Print(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json ToJson(const Value& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

const char* TypeName(const Value& value) {
  constexpr const char* kNames[] = {"integer", "number", "boolean", "string"};
  return kNames[value.index()];
}

// The value in the type of `like`; none when it has another.
std::optional<Value> FromJson(const Json& json, const Value& like) {
  if (std::holds_alternative<bool>(like)) {
    if (!json.is_boolean()) return std::nullopt;
    return json.get<bool>();
  }
  if (std::holds_alternative<std::string>(like)) {
    if (!json.is_string()) return std::nullopt;
    return json.get<std::string>();
  }
  if (!json.is_number()) return std::nullopt;
  const double number = json.get<double>();
  if (std::holds_alternative<double>(like)) return number;
  if (std::floor(number) != number || std::abs(number) > kIntegerMax) {
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

bool IsAllowed(const Option& option, const Value& value) {
  if (value.index() != option.default_value.index()) return false;
  if (!option.allowed.empty() &&
      std::find(option.allowed.begin(), option.allowed.end(), value) ==
          option.allowed.end()) {
    return false;
  }
  double number = 0;
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    if (*whole > kIntegerMax || *whole < -kIntegerMax) return false;
    number = static_cast<double>(*whole);
  } else if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else {
    return true;
  }
  return std::isfinite(number) &&
         !(option.minimum.has_value() && number < *option.minimum) &&
         !(option.maximum.has_value() && number > *option.maximum) &&
         !(option.exclusive_minimum.has_value() &&
           number <= *option.exclusive_minimum) &&
         !(option.exclusive_maximum.has_value() &&
           number >= *option.exclusive_maximum);
}

absl::StatusOr<Json> Describe(const Option& option) {
  Json json = {{"type", TypeName(option.default_value)}};
  if (!option.description.empty()) json["description"] = option.description;
  const bool number = option.default_value.index() < 2;
  for (const auto& [keyword, bound] :
       {std::pair("minimum", option.minimum),
        std::pair("maximum", option.maximum),
        std::pair("exclusiveMinimum", option.exclusive_minimum),
        std::pair("exclusiveMaximum", option.exclusive_maximum)}) {
    if (!bound.has_value()) continue;
    if (!number || !std::isfinite(*bound)) {
      return Wrong(option.name,
                   absl::StrCat("has a ", keyword,
                                " that is not finite, or is no number"));
    }
    json[keyword] = *bound;
  }
  for (const Value& allowed : option.allowed) {
    if (allowed.index() != option.default_value.index()) {
      return Wrong(option.name,
                   "allows a value of another type than its default");
    }
    json["enum"].push_back(ToJson(allowed));
  }
  if (!IsAllowed(option, option.default_value)) {
    return Wrong(option.name, "has a default that it does not allow");
  }
  json["default"] = ToJson(option.default_value);
  return json;
}

}  // namespace

absl::StatusOr<std::string> OptionSchemaJson(
    const std::vector<Option>& options) {
  Json properties = Json::object();
  for (const Option& option : options) {
    if (option.name.empty() || option.name.size() > kNameBytesMax) {
      return Wrong(option.name, "needs a name of 1 to 100 bytes");
    }
    if (properties.contains(option.name)) {
      return Wrong(option.name, "is declared twice");
    }
    absl::StatusOr<Json> json = Describe(option);
    if (!json.ok()) return json.status();
    properties[option.name] = *std::move(json);
  }
  std::string schema =
      Print({{"type", "object"}, {"properties", std::move(properties)}});
  if (options.size() > kOptionsMax || schema.size() > kSchemaBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there may be ", kOptionsMax, " options, whose schema has at most ",
        kSchemaBytesMax, " bytes; it has ", schema.size(), "."));
  }
  return schema;
}

absl::StatusOr<plugin::Options> ReadOptions(const std::vector<Option>& options,
                                            const std::string& text) {
  const Json json = Json::parse(text, /*cb=*/nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("options_json is no JSON object.");
  }
  std::map<std::string, Value> values;
  for (const Option& option : options) {
    const auto found = json.find(option.name);
    if (found == json.end()) return Wrong(option.name, "is missing");
    const auto value = FromJson(*found, option.default_value);
    if (!value.has_value() || !IsAllowed(option, *value)) {
      return Wrong(option.name,
                   absl::StrCat("cannot be ", Print(*found).substr(0, 100)));
    }
    values[option.name] = *value;
  }
  for (const auto& each : json.items()) {
    if (!values.contains(each.key())) {
      return Wrong(each.key().substr(0, kNameBytesMax), "is unknown");
    }
  }
  return plugin::Options(std::move(values));
}

}  // namespace headstart::worker
