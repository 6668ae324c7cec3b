#include "client/report/message_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <map>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/report/number_text.h"

namespace headstart::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Value;

// What a field holds, without its type: the shape of YAML.
struct Node {
  enum class Kind { kScalar, kList, kMap };

  Kind kind = Kind::kMap;
  std::string scalar = {};  // As it stands in the file.
  // Entries of a map with their keys, or items of a list.
  std::vector<std::pair<std::string, Node>> items = {};
};

Node Scalar(std::string text) {
  return {.kind = Node::Kind::kScalar, .scalar = std::move(text)};
}

// Whether YAML takes the text for nothing but a text.
bool IsPlainText(absl::string_view text) {
  if (text.empty() || !absl::ascii_isalpha(text.front())) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("_./-", c)) return false;
  }
  for (const absl::string_view word :
       {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    if (absl::EqualsIgnoreCase(text, word)) return false;
  }
  return true;
}

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&quoted, "\\", std::string(1, c));
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&quoted, "\\x%02x", static_cast<int>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string TextScalar(absl::string_view text) {
  return IsPlainText(text) ? std::string(text) : Quoted(text);
}

Node NodeOf(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return Scalar(ExactText(value.number_value()));
    case Value::kStringValue:
      return Scalar(TextScalar(value.string_value()));
    case Value::kBoolValue:
      return Scalar(value.bool_value() ? "true" : "false");
    case Value::kStructValue: {
      Node node;
      // A map of protobuf has no order of its own.
      const auto& fields = value.struct_value().fields();
      for (const auto& [key, field] :
           std::map<std::string, Value>(fields.begin(), fields.end())) {
        node.items.emplace_back(TextScalar(key), NodeOf(field));
      }
      return node;
    }
    case Value::kListValue: {
      Node node = {.kind = Node::Kind::kList};
      for (const Value& item : value.list_value().values()) {
        node.items.emplace_back("", NodeOf(item));
      }
      return node;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return Scalar("null");
}

Node NodeOf(const Message& message);

// Of the field, or with `index` from 0 of one item of it.
Node NodeOf(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool is_item = index >= 0;
  std::string scratch;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return Scalar(absl::StrCat(
          is_item ? reflection.GetRepeatedInt64(message, &field, index)
                  : reflection.GetInt64(message, &field)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Scalar(ExactText(
          is_item ? reflection.GetRepeatedDouble(message, &field, index)
                  : reflection.GetDouble(message, &field)));
    case FieldDescriptor::CPPTYPE_BOOL: {
      const bool value =
          is_item ? reflection.GetRepeatedBool(message, &field, index)
                  : reflection.GetBool(message, &field);
      return Scalar(value ? "true" : "false");
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value =
          is_item ? reflection.GetRepeatedEnum(message, &field, index)
                  : reflection.GetEnum(message, &field);
      return Scalar(value->name());
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return Scalar(TextScalar(
          is_item ? reflection.GetRepeatedStringReference(message, &field,
                                                          index, &scratch)
                  : reflection.GetStringReference(message, &field, &scratch)));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const Message& part =
          is_item ? reflection.GetRepeatedMessage(message, &field, index)
                  : reflection.GetMessage(message, &field);
      if (part.GetDescriptor() == Value::descriptor()) {
        Value value;
        value.CopyFrom(part);  // It may be of another factory's class.
        return NodeOf(value);
      }
      return NodeOf(part);
    }
    default:
      break;
  }
  return Scalar("null");
}

bool IsForFiles(const FieldDescriptor& field) {
  return !field.is_map() && field.type() != FieldDescriptor::TYPE_BYTES &&
         field.message_type() != google::protobuf::Timestamp::descriptor();
}

Node NodeOf(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  Node node;
  for (const FieldDescriptor* field : fields) {
    if (!IsForFiles(*field)) continue;
    if (!field->is_repeated()) {
      node.items.emplace_back(field->name(), NodeOf(message, *field, -1));
      continue;
    }
    Node list = {.kind = Node::Kind::kList};
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) {
      list.items.emplace_back("", NodeOf(message, *field, i));
    }
    node.items.emplace_back(field->name(), std::move(list));
  }
  return node;
}

bool IsFlatList(const Node& node) {
  if (node.kind != Node::Kind::kList) return false;
  for (const auto& [key, item] : node.items) {
    if (item.kind != Node::Kind::kScalar) return false;
  }
  return true;
}

// Whether it fits behind its key; then InLine is it.
bool IsInLine(const Node& node) {
  return node.kind == Node::Kind::kScalar || node.items.empty() ||
         IsFlatList(node);
}

std::string InLine(const Node& node) {
  if (node.kind == Node::Kind::kScalar) return node.scalar;
  const bool is_map = node.kind == Node::Kind::kMap;
  return absl::StrCat(is_map ? "{" : "[",
                      absl::StrJoin(node.items, ", ",
                                    [&](std::string* out, const auto& item) {
                                      absl::StrAppend(out, item.first,
                                                      is_map ? ": " : "",
                                                      InLine(item.second));
                                    }),
                      is_map ? "}" : "]");
}

// Writes the items; `first_indent` stands before the first, `indent` before the
// others.
void AppendBlock(const Node& node, const std::string& first_indent,
                 const std::string& indent, std::string* yaml) {
  const std::string* before = &first_indent;
  for (const auto& [key, item] : node.items) {
    const bool in_list = node.kind == Node::Kind::kList;
    absl::StrAppend(yaml, *before, in_list ? "-" : key, in_list ? "" : ":");
    before = &indent;
    if (IsInLine(item)) {
      absl::StrAppend(yaml, " ", InLine(item), "\n");
    } else if (in_list) {
      // The first entry of a map stands behind the dash.
      AppendBlock(item, " ", indent + "  ", yaml);
    } else {
      yaml->append("\n");
      AppendBlock(item, indent + "  ", indent + "  ", yaml);
    }
  }
}

void AppendFields(const Node& node, const std::string& path,
                  std::vector<std::pair<std::string, std::string>>* fields) {
  if (IsInLine(node)) {
    fields->emplace_back(path, InLine(node));
    return;
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const auto& [key, item] = node.items[i];
    AppendFields(item,
                 node.kind == Node::Kind::kList
                     ? absl::StrCat(path, "[", i, "]")
                 : path.empty() ? key
                                : absl::StrCat(path, ".", key),
                 fields);
  }
}

}  // namespace

std::string YamlOf(const Message& message) {
  const Node node = NodeOf(message);
  if (node.items.empty()) return "{}\n";
  std::string yaml;
  AppendBlock(node, "", "", &yaml);
  return yaml;
}

std::string ValueText(const Value& value) { return InLine(NodeOf(value)); }

std::vector<std::pair<std::string, std::string>> FieldsOf(
    const Message& message) {
  std::vector<std::pair<std::string, std::string>> fields;
  const Node node = NodeOf(message);
  if (!node.items.empty()) AppendFields(node, "", &fields);
  return fields;
}

}  // namespace headstart::client
