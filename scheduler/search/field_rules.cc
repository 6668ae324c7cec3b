#include "scheduler/search/field_rules.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "headstart/v1/field_rule.pb.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;

const v1::FieldRule& RuleOf(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::rule);
}

// The oneof of a message that is one of several kinds; null for other messages.
const OneofDescriptor* KindsOf(const Descriptor& type) {
  return type.real_oneof_decl_count() > 0 ? type.oneof_decl(0) : nullptr;
}

bool HasKind(const Message& message) {
  const OneofDescriptor* kinds = KindsOf(*message.GetDescriptor());
  return kinds == nullptr || message.GetReflection()->HasOneof(message, kinds);
}

// "sgd, adam and adamw".
std::string KindNames(const OneofDescriptor& kinds) {
  std::vector<std::string> names;
  for (int i = 0; i < kinds.field_count(); ++i) {
    names.push_back(kinds.field(i)->name());
  }
  const std::string last = names.back();
  names.pop_back();
  return names.empty()
             ? last
             : absl::StrCat(absl::StrJoin(names, ", "), " and ", last);
}

void SetDefault(Message& message, const FieldDescriptor& field,
                const std::string& text) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      HS_CHECK(absl::SimpleAtod(text, &value)) << field.full_name();
      return reflection.SetDouble(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = 0;
      HS_CHECK(absl::SimpleAtoi(text, &value)) << field.full_name();
      return reflection.SetInt64(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, text == "true");
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = field.enum_type()->FindValueByName(text);
      HS_CHECK(value != nullptr) << field.full_name();
      return reflection.SetEnum(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message* below = reflection.MutableMessage(&message, &field);
      if (HasKind(*below)) return;
      const auto* kind = below->GetDescriptor()->FindFieldByName(text);
      HS_CHECK(kind != nullptr) << field.full_name();
      below->GetReflection()->MutableMessage(below, kind);
      return;
    }
    default:
      HS_CHECK(false) << field.full_name() << " cannot have a default";
  }
}

// "from 1 to 100000"; a count's bounds are whole numbers.
std::string AllowedText(const v1::FieldRule& rule, bool whole) {
  const auto text = [whole](double bound) {
    return whole ? absl::StrCat(static_cast<int64_t>(bound))
                 : DoubleText(bound);
  };
  if (rule.has_at_least() && rule.has_at_most()) {
    return absl::StrCat("from ", text(rule.at_least()), " to ",
                        text(rule.at_most()));
  }
  std::vector<std::string> parts;
  if (rule.has_above()) {
    parts.push_back(absl::StrCat("above ", text(rule.above())));
  }
  if (rule.has_at_least()) {
    parts.push_back(absl::StrCat(text(rule.at_least()), " or more"));
  }
  if (rule.has_at_most()) {
    parts.push_back(absl::StrCat("at most ", text(rule.at_most())));
  }
  if (rule.has_below()) {
    parts.push_back(absl::StrCat("below ", text(rule.below())));
  }
  return parts.empty() ? "finite" : absl::StrJoin(parts, " and ");
}

absl::Status CheckNumber(const v1::FieldRule& rule, const std::string& path,
                         double value, const std::string& text, bool whole) {
  const bool good = std::isfinite(value) &&
                    (!rule.has_at_least() || value >= rule.at_least()) &&
                    (!rule.has_above() || value > rule.above()) &&
                    (!rule.has_at_most() || value <= rule.at_most()) &&
                    (!rule.has_below() || value < rule.below());
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": must be ", AllowedText(rule, whole), ", got ", text, "."));
}

// One value of a number's, enum's or bool's field; `index` in a repeated one,
// else -1.
absl::Status CheckValue(const Message& message, const FieldDescriptor& field,
                        int index, const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  const v1::FieldRule& rule = RuleOf(field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value =
          index < 0 ? reflection.GetDouble(message, &field)
                    : reflection.GetRepeatedDouble(message, &field, index);
      return CheckNumber(rule, path, value, DoubleText(value), /*whole=*/false);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t value =
          index < 0 ? reflection.GetInt64(message, &field)
                    : reflection.GetRepeatedInt64(message, &field, index);
      return CheckNumber(rule, path, static_cast<double>(value),
                         absl::StrCat(value), /*whole=*/true);
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int value = reflection.GetEnumValue(message, &field);
      if (field.enum_type()->FindValueByNumber(value) != nullptr) {
        return absl::OkStatus();
      }
      std::vector<std::string> names;
      for (int i = 1; i < field.enum_type()->value_count(); ++i) {
        names.push_back(field.enum_type()->value(i)->name());
      }
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": must be one of ", absl::StrJoin(names, ", "),
                       ", got number ", value, "."));
    }
    default:
      return absl::OkStatus();
  }
}

absl::Status Missing(const FieldDescriptor& field, const std::string& path) {
  const OneofDescriptor* kinds = field.message_type() == nullptr
                                     ? nullptr
                                     : KindsOf(*field.message_type());
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": is required.",
      kinds == nullptr
          ? ""
          : absl::StrCat(" Choose one of ", KindNames(*kinds), ".")));
}

absl::Status CheckField(const Message& message, const FieldDescriptor& field,
                        const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  const v1::FieldRule& rule = RuleOf(field);
  if (field.is_repeated()) {
    const int size = reflection.FieldSize(message, &field);
    for (int i = 0; i < size; ++i) {
      const std::string at = absl::StrCat(path, "[", i, "]");
      if (field.message_type() == nullptr) {
        HS_RETURN_IF_ERROR(CheckValue(message, field, i, at));
        continue;
      }
      const Message& below = reflection.GetRepeatedMessage(message, &field, i);
      if (!HasKind(below)) return Missing(field, at);
      HS_RETURN_IF_ERROR(CheckFieldRules(below, at));
    }
    if (size == 0 && rule.required()) return Missing(field, path);
    return absl::OkStatus();
  }
  if (!reflection.HasField(message, &field)) {
    if (rule.required()) return Missing(field, path);
    // A number that cannot be told from 0 has to be good as 0, unless a default
    // takes its place.
    const bool number = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ||
                        field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
    if (!number || field.has_presence() || !rule.default_().empty()) {
      return absl::OkStatus();
    }
  }
  if (field.message_type() == nullptr) {
    return CheckValue(message, field, -1, path);
  }
  const Message& below = reflection.GetMessage(message, &field);
  if (!HasKind(below) && rule.default_().empty()) return Missing(field, path);
  return CheckFieldRules(below, path);
}

// Empties the lists of `onto` that `written` has anew.
void ClearListsOf(const Message& written, Message& onto) {
  const Reflection& reflection = *written.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(written, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      reflection.ClearField(&onto, field);
    } else if (field->message_type() != nullptr &&
               reflection.HasField(onto, field)) {
      ClearListsOf(reflection.GetMessage(written, field),
                   *reflection.MutableMessage(&onto, field));
    }
  }
}

}  // namespace

void Override(const Message& written, Message& onto) {
  ClearListsOf(written, onto);
  onto.MergeFrom(written);
}

void FillDefaults(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string& text = RuleOf(field).default_();
    const bool is_message = field.message_type() != nullptr;
    if (field.is_repeated()) {
      const int size = is_message ? reflection.FieldSize(message, &field) : 0;
      for (int j = 0; j < size; ++j) {
        FillDefaults(*reflection.MutableRepeatedMessage(&message, &field, j));
      }
      continue;
    }
    if (!text.empty() &&
        (is_message || !reflection.HasField(message, &field))) {
      SetDefault(message, field, text);
    }
    if (is_message && reflection.HasField(message, &field)) {
      FillDefaults(*reflection.MutableMessage(&message, &field));
    }
  }
}

absl::Status CheckFieldRules(const Message& message, absl::string_view prefix) {
  const Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    HS_RETURN_IF_ERROR(
        CheckField(message, field,
                   prefix.empty() ? field.name()
                                  : absl::StrCat(prefix, ".", field.name())));
  }
  return absl::OkStatus();
}

}  // namespace headstart::scheduler
