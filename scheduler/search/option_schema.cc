#include "scheduler/search/option_schema.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/json_util.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

using ::google::protobuf::Struct;
using ::google::protobuf::Value;
using Type = OptionSchema::Type;

constexpr size_t kOptionsMax = 100;
constexpr size_t kNameBytesMax = 100;
// Whole numbers travel through JSON as doubles.
constexpr double kIntegerMax = 9007199254740992.0;

constexpr std::pair<Type, absl::string_view> kTypes[] = {
    {Type::kInteger, "integer"},
    {Type::kNumber, "number"},
    {Type::kBool, "boolean"},
    {Type::kText, "string"},
};

absl::StatusOr<Struct> ParseObject(const std::string& json, size_t bytes_max) {
  if (json.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has ", json.size(), " bytes; at most ", bytes_max, " are allowed."));
  }
  Value value;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &value);
  if (!status.ok()) {
    // Its first line; below it points into the text.
    const absl::string_view what(status.message().data(),
                                 status.message().size());
    return absl::InvalidArgumentError(absl::StrCat(
        "is not JSON: ",
        absl::StripSuffix(what.substr(0, what.find('\n')), "."), "."));
  }
  if (!value.has_struct_value()) {
    return absl::InvalidArgumentError("must be a JSON object.");
  }
  return std::move(*value.mutable_struct_value());
}

bool IsScalar(const Value& value) {
  return value.has_bool_value() || value.has_string_value() ||
         (value.has_number_value() && std::isfinite(value.number_value()));
}

std::string TypeText(Type type) {
  switch (type) {
    case Type::kInteger:
      return "a whole number";
    case Type::kNumber:
      return "a number";
    case Type::kBool:
      return "true or false";
    case Type::kText:
      break;
  }
  return "a text";
}

bool HasType(Type type, const Value& value) {
  switch (type) {
    case Type::kInteger:
      return value.has_number_value() &&
             std::floor(value.number_value()) == value.number_value() &&
             std::abs(value.number_value()) <= kIntegerMax;
    case Type::kNumber:
      return value.has_number_value() && std::isfinite(value.number_value());
    case Type::kBool:
      return value.has_bool_value();
    case Type::kText:
      return value.has_string_value();
  }
  return false;
}

// "must be from 1 to 4096", in the words of CheckFieldRules.
std::string RangeText(const OptionSchema::Option& option) {
  if (option.minimum.has_value() && option.maximum.has_value()) {
    return absl::StrCat("from ", DoubleText(*option.minimum), " to ",
                        DoubleText(*option.maximum));
  }
  std::vector<std::string> parts;
  if (option.exclusive_minimum.has_value()) {
    parts.push_back(
        absl::StrCat("above ", DoubleText(*option.exclusive_minimum)));
  }
  if (option.minimum.has_value()) {
    parts.push_back(absl::StrCat(DoubleText(*option.minimum), " or more"));
  }
  if (option.maximum.has_value()) {
    parts.push_back(absl::StrCat("at most ", DoubleText(*option.maximum)));
  }
  if (option.exclusive_maximum.has_value()) {
    parts.push_back(
        absl::StrCat("below ", DoubleText(*option.exclusive_maximum)));
  }
  return absl::StrJoin(parts, " and ");
}

bool InRange(const OptionSchema::Option& option, double value) {
  return (!option.minimum.has_value() || value >= *option.minimum) &&
         (!option.exclusive_minimum.has_value() ||
          value > *option.exclusive_minimum) &&
         (!option.maximum.has_value() || value <= *option.maximum) &&
         (!option.exclusive_maximum.has_value() ||
          value < *option.exclusive_maximum);
}

// What is wrong with the value; empty when nothing is.
std::string Fault(const OptionSchema::Option& option, const Value& value) {
  const auto must_be = [&](absl::string_view what) {
    // A value is as long as who wrote it liked.
    std::string text = IsScalar(value) ? PrintOption(value) : "something else";
    if (text.size() > 100) text = absl::StrCat(text.size(), " bytes");
    return absl::StrCat("must be ", what, ", got ", text, ".");
  };
  if (!HasType(option.type, value)) return must_be(TypeText(option.type));
  if (!option.allowed.empty() &&
      std::none_of(option.allowed.begin(), option.allowed.end(),
                   [&](const Value& allowed) {
                     return PrintOption(allowed) == PrintOption(value);
                   })) {
    return must_be(absl::StrCat(
        "one of ", absl::StrJoin(option.allowed, ", ",
                                 [](std::string* out, const Value& allowed) {
                                   out->append(PrintOption(allowed));
                                 })));
  }
  if (value.has_number_value() && !InRange(option, value.number_value())) {
    return must_be(RangeText(option));
  }
  return "";
}

absl::StatusOr<OptionSchema::Option> ParseOption(const Struct& keywords) {
  OptionSchema::Option option;
  const auto type = keywords.fields().find("type");
  const std::string type_name =
      type == keywords.fields().end() ? "" : type->second.string_value();
  const auto* known =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [&](const auto& each) { return each.second == type_name; });
  if (known == std::end(kTypes)) {
    return absl::InvalidArgumentError(
        "needs a type: integer, number, boolean or string.");
  }
  option.type = known->first;
  const bool number =
      option.type == Type::kInteger || option.type == Type::kNumber;
  for (const auto& [keyword, value] : keywords.fields()) {
    std::optional<double>* bound =
        keyword == "minimum"            ? &option.minimum
        : keyword == "maximum"          ? &option.maximum
        : keyword == "exclusiveMinimum" ? &option.exclusive_minimum
        : keyword == "exclusiveMaximum" ? &option.exclusive_maximum
                                        : nullptr;
    if (bound != nullptr) {
      if (!number || !HasType(Type::kNumber, value)) {
        return absl::InvalidArgumentError(absl::StrCat(
            keyword, " must be a number, and is for numbers only."));
      }
      *bound = value.number_value();
    } else if (keyword == "enum") {
      for (const Value& allowed : value.list_value().values()) {
        if (!HasType(option.type, allowed)) {
          return absl::InvalidArgumentError(
              "enum has a value of another type.");
        }
        option.allowed.push_back(allowed);
      }
      if (option.allowed.empty()) {
        return absl::InvalidArgumentError("enum must be a list with values.");
      }
    } else if (keyword == "default") {
      option.default_value = value;
    } else if (keyword != "type" && keyword != "description") {
      return absl::InvalidArgumentError(absl::StrCat(
          "has the keyword \"", keyword.substr(0, kNameBytesMax),
          "\"; there are type, description, default, enum, minimum, maximum, "
          "exclusiveMinimum and exclusiveMaximum."));
    }
  }
  if (option.default_value.has_value()) {
    const std::string fault = Fault(option, *option.default_value);
    if (!fault.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("default ", fault));
    }
  }
  return option;
}

}  // namespace

absl::StatusOr<OptionValues> ParseOptions(const std::string& json,
                                          size_t bytes_max) {
  OptionValues options;
  if (json.empty()) return options;
  HS_ASSIGN_OR_RETURN(const Struct object, ParseObject(json, bytes_max));
  for (const auto& [name, value] : object.fields()) {
    if (!IsScalar(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name.substr(0, kNameBytesMax),
                       "\" must be a number, a text, true or false."));
    }
    options[name] = value;
  }
  return options;
}

std::string PrintOptions(const OptionValues& options) {
  std::vector<std::string> fields;
  for (const auto& [name, value] : options) {
    Value key;
    key.set_string_value(name);
    fields.push_back(absl::StrCat(PrintOption(key), ":", PrintOption(value)));
  }
  return absl::StrCat("{", absl::StrJoin(fields, ","), "}");
}

std::string PrintOption(const Value& value) {
  if (value.has_number_value()) {
    const double number = value.number_value();
    return std::floor(number) == number && std::abs(number) <= kIntegerMax
               ? absl::StrCat(static_cast<int64_t>(number))
               : DoubleText(number);
  }
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(value, &json);
  HS_CHECK(status.ok()) << status.ToString();
  return json;
}

absl::StatusOr<OptionSchema> OptionSchema::Parse(const std::string& json) {
  HS_ASSIGN_OR_RETURN(const Struct object,
                      ParseObject(json, kOptionSchemaBytesMax));
  OptionSchema schema;
  for (const auto& [keyword, value] : object.fields()) {
    if (keyword == "type" && value.string_value() == "object") continue;
    // Which every schema means here.
    if (keyword == "additionalProperties" && value.has_bool_value() &&
        !value.bool_value()) {
      continue;
    }
    if (keyword != "properties" || !value.has_struct_value()) {
      return absl::InvalidArgumentError(
          "may have type (object), additionalProperties (false) and "
          "properties, an object.");
    }
    for (const auto& [name, keywords] : value.struct_value().fields()) {
      if (name.empty() || name.size() > kNameBytesMax ||
          schema.options_.size() == kOptionsMax) {
        return absl::InvalidArgumentError(
            absl::StrCat("may have ", kOptionsMax,
                         " properties, with names of "
                         "1 to ",
                         kNameBytesMax, " bytes."));
      }
      absl::StatusOr<Option> option = ParseOption(keywords.struct_value());
      if (!option.ok()) {
        return Annotate(option.status(), absl::StrCat("properties.", name));
      }
      schema.options_[name] = *std::move(option);
    }
  }
  return schema;
}

const OptionSchema::Option* OptionSchema::Find(absl::string_view name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? nullptr : &found->second;
}

absl::StatusOr<OptionValues> OptionSchema::Complete(
    OptionValues options, absl::string_view where) const {
  const auto wrong = [&](absl::string_view name, absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, OptionPointer(name.substr(0, kNameBytesMax)), ": ", message));
  };
  for (const auto& [name, value] : options) {
    const Option* option = Find(name);
    if (option == nullptr) {
      return wrong(name, absl::StrCat("there is no such option; there are ",
                                      NamesText(), "."));
    }
    const std::string fault = Fault(*option, value);
    if (!fault.empty()) return wrong(name, fault);
  }
  for (const auto& [name, option] : options_) {
    if (options.contains(name)) continue;
    if (!option.default_value.has_value()) {
      return wrong(name, absl::StrCat("is required, ", TypeText(option.type),
                                      "; it has no default."));
    }
    options[name] = *option.default_value;
  }
  return options;
}

std::string OptionSchema::NamesText() const {
  if (options_.empty()) return "none";
  return absl::StrJoin(
      options_, ", ",
      [](std::string* out, const auto& option) { out->append(option.first); });
}

std::string OptionPointer(absl::string_view name) {
  return absl::StrCat("#/",
                      absl::StrReplaceAll(name, {{"~", "~0"}, {"/", "~1"}}));
}

absl::StatusOr<std::string> ParseOptionPointer(absl::string_view pointer) {
  const absl::string_view token =
      absl::StartsWith(pointer, "#/") ? pointer.substr(2) : "";
  bool good = !token.empty();
  for (size_t i = 0; i < token.size(); ++i) {
    good &= token[i] != '/';
    if (token[i] == '~') {
      good &=
          i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1');
    }
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", pointer,
                     "\" is no pointer to an option, which is #/ and its "
                     "name, with ~0 for ~ and ~1 for /, such as #/width."));
  }
  return absl::StrReplaceAll(token, {{"~1", "/"}, {"~0", "~"}});
}

}  // namespace headstart::scheduler
