#include "client/cli/study_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

#include "base/status_macros.h"
#include "client/cli/nearest_names.h"
#include "client/cli/yaml_tree.h"

namespace headstart::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int64_t kDoubleIntegerMax = int64_t{1} << 53;

// A value as an error message shows it: short, and quoted when it was.
std::string Shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "fields {...}";
    case YamlNode::Kind::kScalar:
      break;
  }
  std::string text = node.text.substr(0, 60);
  if (text.size() < node.text.size()) text += "...";
  return node.quoted ? absl::StrCat("the text \"", text, "\"") : text;
}

bool IsPlain(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kScalar && !node.quoted;
}

// Digits, sign, point and exponent only: SimpleAtod also reads "inf".
bool LooksLikeNumber(absl::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789+-.eE") == absl::string_view::npos &&
         text.find_first_of("0123456789") != absl::string_view::npos;
}

// One file on its way into one message.
class Filler {
 public:
  explicit Filler(absl::string_view file_name) : file_name_(file_name) {}

  // `path` is where `message` is in the file's message, "" at the top.
  absl::Status FillMessage(const YamlNode& node, const std::string& path,
                           Message& message) const;

 private:
  absl::Status Error(const YamlPlace& place, const std::string& path,
                     absl::string_view what) const {
    return YamlError(
        file_name_, place,
        path.empty() ? std::string(what) : absl::StrCat(path, ": ", what));
  }

  absl::Status UnknownField(const YamlNode& entry, const std::string& path,
                            const Descriptor& descriptor) const;
  absl::Status FillField(const YamlNode& node, const std::string& path,
                         const FieldDescriptor& field, Message& message) const;
  // Sets the field, or adds to it when it is repeated.
  absl::Status FillScalar(const YamlNode& node, const std::string& path,
                          const FieldDescriptor& field, Message& message) const;
  absl::Status FillDuration(const YamlNode& node, const std::string& path,
                            Message& message) const;
  absl::Status FillValue(const YamlNode& node, const std::string& path,
                         google::protobuf::Value& value) const;

  absl::StatusOr<int64_t> Integer(const YamlNode& node,
                                  const std::string& path) const;
  absl::StatusOr<double> Double(const YamlNode& node,
                                const std::string& path) const;
  absl::StatusOr<const EnumValueDescriptor*> Enum(
      const YamlNode& node, const std::string& path,
      const FieldDescriptor& field) const;

  const absl::string_view file_name_;
};

std::string Join(const std::string& path, absl::string_view field) {
  return path.empty() ? std::string(field) : absl::StrCat(path, ".", field);
}

absl::Status Filler::FillMessage(const YamlNode& node, const std::string& path,
                                 Message& message) const {
  const Descriptor& descriptor = *message.GetDescriptor();
  if (&descriptor == google::protobuf::Value::descriptor()) {
    return FillValue(node, path,
                     static_cast<google::protobuf::Value&>(message));
  }
  if (&descriptor == google::protobuf::Duration::descriptor()) {
    return FillDuration(node, path, message);
  }
  if (&descriptor == google::protobuf::Timestamp::descriptor()) {
    return Error(node.place, path,
                 "is set by the scheduler; leave it out of the file");
  }
  if (node.kind == YamlNode::Kind::kNull) {
    return Error(node.place, path,
                 "needs a value; write {} where every field has its default");
  }
  if (node.kind != YamlNode::Kind::kMap) {
    return Error(node.place, path,
                 absl::StrCat("must be fields of ", descriptor.name(), ", got ",
                              Shown(node)));
  }

  const Reflection& reflection = *message.GetReflection();
  absl::flat_hash_map<int, int64_t> line_by_field;
  for (const YamlNode& entry : node.items) {
    const FieldDescriptor* const field = descriptor.FindFieldByName(entry.key);
    if (field == nullptr) return UnknownField(entry, path, descriptor);

    const std::string field_path = Join(path, entry.key);
    const auto [seen, is_first] =
        line_by_field.emplace(field->number(), entry.key_place.line);
    if (!is_first) {
      return Error(
          entry.key_place, field_path,
          absl::StrCat("is given twice; first in line ", seen->second));
    }
    if (const auto* oneof = field->real_containing_oneof();
        oneof != nullptr && reflection.HasOneof(message, oneof)) {
      const FieldDescriptor* const other =
          reflection.GetOneofFieldDescriptor(message, oneof);
      return Error(
          entry.key_place, field_path,
          absl::StrCat("only one ", oneof->name(), " of ", descriptor.name(),
                       " can be given; ", other->name(), " is in line ",
                       line_by_field[other->number()]));
    }
    HS_RETURN_IF_ERROR(FillField(entry, field_path, *field, message));
  }
  return absl::OkStatus();
}

absl::Status Filler::UnknownField(const YamlNode& entry,
                                  const std::string& path,
                                  const Descriptor& descriptor) const {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    names.push_back(descriptor.field(i)->name());
  }
  return Error(entry.key_place, Join(path, entry.key),
               absl::StrCat(descriptor.name(), " has no field of this name",
                            DidYouMean(entry.key, names)));
}

absl::Status Filler::FillField(const YamlNode& node, const std::string& path,
                               const FieldDescriptor& field,
                               Message& message) const {
  const Reflection& reflection = *message.GetReflection();
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!field.is_repeated()) {
    return is_message
               ? FillMessage(node, path,
                             *reflection.MutableMessage(&message, &field))
               : FillScalar(node, path, field, message);
  }
  if (node.kind != YamlNode::Kind::kList) {
    return Error(node.place, path,
                 absl::StrCat("must be a list [...], got ", Shown(node)));
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& item = node.items[i];
    const std::string item_path = absl::StrCat(path, "[", i, "]");
    HS_RETURN_IF_ERROR(
        is_message ? FillMessage(item, item_path,
                                 *reflection.AddMessage(&message, &field))
                   : FillScalar(item, item_path, field, message));
  }
  return absl::OkStatus();
}

absl::Status Filler::FillScalar(const YamlNode& node, const std::string& path,
                                const FieldDescriptor& field,
                                Message& message) const {
  const Reflection& reflection = *message.GetReflection();
  const bool add = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64: {
      HS_ASSIGN_OR_RETURN(const int64_t value, Integer(node, path));
      add ? reflection.AddInt64(&message, &field, value)
          : reflection.SetInt64(&message, &field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      HS_ASSIGN_OR_RETURN(const double value, Double(node, path));
      add ? reflection.AddDouble(&message, &field, value)
          : reflection.SetDouble(&message, &field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      if (!IsPlain(node) || (node.text != "true" && node.text != "false")) {
        return Error(node.place, path,
                     absl::StrCat("must be true or false, got ", Shown(node)));
      }
      const bool value = node.text == "true";
      add ? reflection.AddBool(&message, &field, value)
          : reflection.SetBool(&message, &field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      HS_ASSIGN_OR_RETURN(const EnumValueDescriptor* const value,
                          Enum(node, path, field));
      add ? reflection.AddEnum(&message, &field, value)
          : reflection.SetEnum(&message, &field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      if (field.type() == FieldDescriptor::TYPE_BYTES) break;
      if (node.kind != YamlNode::Kind::kScalar) {
        return Error(node.place, path,
                     absl::StrCat("must be a text, got ", Shown(node)));
      }
      add ? reflection.AddString(&message, &field, node.text)
          : reflection.SetString(&message, &field, node.text);
      return absl::OkStatus();
    }
    default:
      break;
  }
  return Error(node.place, path, "cannot be given in a file; leave it out");
}

absl::StatusOr<int64_t> Filler::Integer(const YamlNode& node,
                                        const std::string& path) const {
  if (!IsPlain(node) || !LooksLikeNumber(node.text) ||
      node.text.find_first_of(".eE") != std::string::npos) {
    return Error(node.place, path,
                 absl::StrCat("must be a whole number, got ", Shown(node)));
  }
  int64_t value = 0;
  if (!absl::SimpleAtoi(node.text, &value)) {
    return Error(node.place, path,
                 absl::StrCat("must be a whole number of at most 63 bits, got ",
                              Shown(node)));
  }
  return value;
}

absl::StatusOr<double> Filler::Double(const YamlNode& node,
                                      const std::string& path) const {
  double value = 0;
  if (!IsPlain(node) || !LooksLikeNumber(node.text) ||
      !absl::SimpleAtod(node.text, &value)) {
    return Error(node.place, path,
                 absl::StrCat("must be a number, got ", Shown(node)));
  }
  const bool names_zero =
      absl::string_view(node.text)
          .substr(0, node.text.find_first_of("eE"))
          .find_first_of("123456789") == absl::string_view::npos;
  if (!std::isfinite(value) || (value == 0 && !names_zero)) {
    return Error(
        node.place, path,
        absl::StrCat("is outside the range of a double, got ", Shown(node)));
  }
  int64_t integer = 0;
  if (absl::SimpleAtoi(node.text, &integer) &&
      (integer > kDoubleIntegerMax || integer < -kDoubleIntegerMax)) {
    return Error(node.place, path,
                 absl::StrCat("a double cannot hold this whole number exactly, "
                              "got ",
                              Shown(node)));
  }
  return value;
}

absl::StatusOr<const EnumValueDescriptor*> Filler::Enum(
    const YamlNode& node, const std::string& path,
    const FieldDescriptor& field) const {
  const google::protobuf::EnumDescriptor& type = *field.enum_type();
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* const value = type.value(i);
    if (value->number() == 0) continue;  // ..._UNSPECIFIED says nothing.
    // In quotes too, as JSON has it.
    if (node.kind == YamlNode::Kind::kScalar && node.text == value->name()) {
      return value;
    }
    names.push_back(value->name());
  }
  return Error(node.place, path,
               absl::StrCat("must be one of ", absl::StrJoin(names, ", "),
                            ", got ", Shown(node)));
}

absl::Status Filler::FillDuration(const YamlNode& node, const std::string& path,
                                  Message& message) const {
  absl::Duration duration;
  if (!IsPlain(node) || !absl::ParseDuration(node.text, &duration) ||
      duration == absl::InfiniteDuration() ||
      duration == -absl::InfiniteDuration()) {
    return Error(node.place, path,
                 absl::StrCat("must be a time with its unit such as 1.5s or "
                              "2m, got ",
                              Shown(node)));
  }
  absl::Duration rest;
  auto& proto = static_cast<google::protobuf::Duration&>(message);
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return absl::OkStatus();
}

absl::Status Filler::FillValue(const YamlNode& node, const std::string& path,
                               google::protobuf::Value& value) const {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      value.set_null_value(google::protobuf::NULL_VALUE);
      return absl::OkStatus();
    case YamlNode::Kind::kList:
      value.mutable_list_value();
      for (size_t i = 0; i < node.items.size(); ++i) {
        HS_RETURN_IF_ERROR(
            FillValue(node.items[i], absl::StrCat(path, "[", i, "]"),
                      *value.mutable_list_value()->add_values()));
      }
      return absl::OkStatus();
    case YamlNode::Kind::kMap: {
      auto& fields = *value.mutable_struct_value()->mutable_fields();
      for (const YamlNode& entry : node.items) {
        if (fields.contains(entry.key)) {
          return Error(entry.key_place, Join(path, entry.key),
                       "is given twice");
        }
        HS_RETURN_IF_ERROR(
            FillValue(entry, Join(path, entry.key), fields[entry.key]));
      }
      return absl::OkStatus();
    }
    case YamlNode::Kind::kScalar:
      break;
  }
  if (node.quoted) {
    value.set_string_value(node.text);
  } else if (node.text == "true" || node.text == "false") {
    value.set_bool_value(node.text == "true");
  } else if (LooksLikeNumber(node.text)) {
    HS_ASSIGN_OR_RETURN(const double number, Double(node, path));
    value.set_number_value(number);
  } else {
    value.set_string_value(node.text);
  }
  return absl::OkStatus();
}

template <typename M>
absl::StatusOr<M> ReadMessageFile(const std::string& path) {
  HS_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  M message;
  HS_RETURN_IF_ERROR(FillFromYaml(text, path, message));
  return message;
}

}  // namespace

absl::Status FillFromYaml(absl::string_view text, absl::string_view file_name,
                          Message& message) {
  HS_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file_name));
  return Filler(file_name).FillMessage(root, "", message);
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    const std::string message =
        absl::StrCat(path, ": cannot be opened: ", std::strerror(error));
    return error == ENOENT ? absl::NotFoundError(message)
                           : absl::InvalidArgumentError(message);
  }
  // One byte more than ParseYaml takes, so that it can refuse.
  const int64_t bytes_max = YamlLimits().bytes_max + 1;
  std::string text(bytes_max, '\0');
  file.read(text.data(), bytes_max);
  if (file.bad()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot be read; is it a folder?"));
  }
  text.resize(file.gcount());
  return text;
}

absl::StatusOr<v1::Study> ReadStudyFile(const std::string& path) {
  return ReadMessageFile<v1::Study>(path);
}

absl::StatusOr<v1::Training> ReadTrainingFile(const std::string& path) {
  return ReadMessageFile<v1::Training>(path);
}

absl::StatusOr<v1::Comparison> ReadComparisonFile(const std::string& path) {
  return ReadMessageFile<v1::Comparison>(path);
}

}  // namespace headstart::client
