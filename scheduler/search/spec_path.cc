#include "scheduler/search/spec_path.h"

#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/json_util.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "headstart/v1/field_rule.pb.h"
#include "scheduler/search/option_schema.h"

namespace headstart::scheduler {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumValueDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;
using ::google::protobuf::Value;

constexpr char kModelOptions[] = "headstart.v1.PluginModel.options_json";

std::string FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    names.push_back(type.field(i)->name());
  }
  return absl::StrJoin(names, ", ");
}

std::string EnumNames(const FieldDescriptor& field) {
  std::vector<std::string> names;
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    const EnumValueDescriptor& value = *field.enum_type()->value(i);
    if (value.number() != 0) names.push_back(value.name());
  }
  return absl::StrJoin(names, ", ");
}

std::string PrintJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  HS_CHECK(status.ok()) << status.ToString();
  return json;
}

Value NumberValue(double number) {
  Value value;
  value.set_number_value(number);
  return value;
}

absl::Status DoesNotFit(const Value& value, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat(
      PrintJson(value), " does not fit; the field takes ", allowed, "."));
}

// The message at `step`, a field of one in `holder`.
const Message& Down(const Message& holder, const SpecPath::Step& step) {
  const Reflection& reflection = *holder.GetReflection();
  return step.index < 0
             ? reflection.GetMessage(holder, step.field)
             : reflection.GetRepeatedMessage(holder, step.field, step.index);
}
Message& Down(Message& holder, const SpecPath::Step& step) {
  const Reflection& reflection = *holder.GetReflection();
  return step.index < 0 ? *reflection.MutableMessage(&holder, step.field)
                        : *reflection.MutableRepeatedMessage(
                              &holder, step.field, step.index);
}

// The place in a list that stands behind a field's name, "[3]".
absl::StatusOr<int> ParsePlace(absl::string_view path, absl::string_view place,
                               int count) {
  absl::string_view digits = place;
  int index = 0;
  if (absl::ConsumePrefix(&digits, "[") && absl::ConsumeSuffix(&digits, "]") &&
      absl::SimpleAtoi(digits, &index) && digits == absl::StrCat(index) &&
      index >= 0 && index < count) {
    return index;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", path, "\" names no field: there is no ", place,
      count == 0 ? "; the list is empty."
                 : absl::StrCat("; the list has [0] to [", count - 1, "].")));
}

// The field of `holder`, which stands at `walked`, that a segment of `path`
// names.
absl::StatusOr<SpecPath::Step> FindStep(absl::string_view path,
                                        absl::string_view segment,
                                        absl::string_view walked,
                                        const Message& holder) {
  const Descriptor& type = *holder.GetDescriptor();
  const Reflection& reflection = *holder.GetReflection();
  const absl::string_view name = segment.substr(0, segment.find('['));
  const FieldDescriptor* field = type.FindFieldByName(std::string(name));
  if (field == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", path, "\" names no field: ", walked.empty() ? "training" : walked,
        type.field_count() == 0
            ? " has no fields."
            : absl::StrCat(" has ", FieldNames(type), ".")));
  }
  const OneofDescriptor* oneof = field->real_containing_oneof();
  if (oneof != nullptr) {
    const FieldDescriptor* set =
        reflection.GetOneofFieldDescriptor(holder, oneof);
    if (set != field) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", path, "\" lies in another kind than training.",
                       walked, " has, which is ",
                       set == nullptr ? "none" : set->name(), ". Set training.",
                       walked, ".", name, ", or search a field of that kind."));
    }
  }
  SpecPath::Step step = {.field = field};
  if (name.size() == segment.size()) return step;
  if (!field->is_repeated()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" names no field: ", name, " is no list."));
  }
  HS_ASSIGN_OR_RETURN(step.index,
                      ParsePlace(path, segment.substr(name.size()),
                                 reflection.FieldSize(holder, field)));
  return step;
}

// Options of a spec that had been checked before its fields were searched. Set
// values can make them longer than they may be; that is for CheckFields to say.
OptionValues OwnOptions(const v1::TrainingSpec& spec) {
  const auto options =
      ParseOptions(spec.model().plugin().options_json(), std::string::npos);
  HS_CHECK_OK(options.status());
  return *options;
}

}  // namespace

absl::StatusOr<SpecPath> SpecPath::Find(absl::string_view full_path,
                                        const v1::TrainingSpec& base) {
  SpecPath found;
  found.path_ = std::string(full_path);
  const absl::string_view path = full_path.substr(0, full_path.find('#'));
  const absl::string_view pointer = full_path.substr(path.size());
  const Message* holder = &base;
  std::string walked;  // The path so far.
  const std::vector<std::string> segments = absl::StrSplit(path, '.');
  for (size_t i = 0; i < segments.size(); ++i) {
    HS_ASSIGN_OR_RETURN(const Step step,
                        FindStep(path, segments[i], walked, *holder));
    if (i + 1 == segments.size()) {
      found.field_ = step;
      break;
    }
    absl::StrAppend(&walked, walked.empty() ? "" : ".", segments[i]);
    if (step.field->type() != FieldDescriptor::TYPE_MESSAGE) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", path, "\" names no field: ", walked, " has no fields."));
    }
    if (step.field->is_repeated() && step.index < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", path, "\" names no field: ", walked,
                       " is a list. Say which of it, as in ", walked, "[0]."));
    }
    found.parents_.push_back(step);
    holder = &Down(*holder, step);
  }
  const bool options = found.field_.field->full_name() == kModelOptions;
  if (options && !pointer.empty()) {
    HS_RETURN_IF_ERROR(found.FindOption(pointer, base));
    return found;
  }
  if (!pointer.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", full_path, "\" has a pointer (", pointer.substr(0, 100),
        ") behind something else than model.plugin.options_json."));
  }
  if (options) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", path, "\" cannot be searched as a whole. Search one option with ",
        path, "#/ and its name."));
  }
  const FieldDescriptor& field = *found.field_.field;
  const bool text = field.type() == FieldDescriptor::TYPE_STRING &&
                    !field.options().GetExtension(v1::rule).checkpoint();
  const bool list = field.is_repeated() &&
                    (found.field_.index < 0 || field.message_type() == nullptr);
  if (text || list) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", path,
        "\" cannot be searched; numbers, bools, enums, names of checkpoints "
        "and messages can. Search the message around it with a choice."));
  }
  return found;
}

absl::Status SpecPath::FindOption(absl::string_view pointer,
                                  const v1::TrainingSpec& base) {
  HS_ASSIGN_OR_RETURN(option_, ParseOptionPointer(pointer));
  const v1::PluginModel& plugin = base.model().plugin();
  HS_ASSIGN_OR_RETURN(const OptionSchema schema,
                      OptionSchema::Parse(plugin.options_schema_json()));
  const OptionSchema::Option* option = schema.Find(option_);
  if (option == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", path_, "\" names no option of plug-in ", plugin.name(), " ",
        plugin.version(), "; there are ", schema.NamesText(), "."));
  }
  switch (option->type) {
    case OptionSchema::Type::kInteger:
      option_type_ = Type::kInteger;
      break;
    case OptionSchema::Type::kNumber:
      option_type_ = Type::kDouble;
      break;
    case OptionSchema::Type::kBool:
      option_type_ = Type::kBool;
      break;
    case OptionSchema::Type::kText:
      option_type_ = Type::kText;
      break;
  }
  return absl::OkStatus();
}

Value SpecPath::Option(const v1::TrainingSpec& spec) const {
  const OptionValues options = OwnOptions(spec);
  const auto found = options.find(option_);
  HS_CHECK(found != options.end()) << path_;
  return found->second;
}

void SpecPath::SetOption(v1::TrainingSpec& spec, const Value& value) const {
  OptionValues options = OwnOptions(spec);
  options[option_] = value;
  spec.mutable_model()->mutable_plugin()->set_options_json(
      PrintOptions(options));
}

SpecPath::Type SpecPath::type() const {
  if (!option_.empty()) return option_type_;
  switch (field_.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Type::kDouble;
    case FieldDescriptor::CPPTYPE_INT64:
      return Type::kInteger;
    case FieldDescriptor::CPPTYPE_BOOL:
      return Type::kBool;
    case FieldDescriptor::CPPTYPE_ENUM:
      return Type::kEnum;
    case FieldDescriptor::CPPTYPE_STRING:
      return Type::kText;
    default:
      return Type::kMessage;
  }
}

absl::string_view SpecPath::TypeText() const {
  switch (type()) {
    case Type::kDouble:
      return "a double field";
    case Type::kInteger:
      return "an integer field";
    case Type::kBool:
      return "a bool field";
    case Type::kEnum:
      return "an enum field";
    case Type::kText:
      return "a text";
    case Type::kMessage:
      break;
  }
  return "a message field";
}

void SpecPath::SetDouble(v1::TrainingSpec& spec, double value) const {
  if (!option_.empty()) return SetOption(spec, NumberValue(value));
  Message& holder = Holder(spec);
  holder.GetReflection()->SetDouble(&holder, field_.field, value);
}

void SpecPath::SetInteger(v1::TrainingSpec& spec, int64_t value) const {
  if (!option_.empty()) {
    return SetOption(spec, NumberValue(static_cast<double>(value)));
  }
  Message& holder = Holder(spec);
  holder.GetReflection()->SetInt64(&holder, field_.field, value);
}

absl::Status SpecPath::SetJson(v1::TrainingSpec& spec,
                               const Value& value) const {
  if (!option_.empty()) {
    // Whether the option may be so is for its schema to say.
    if (!value.has_number_value() && !value.has_bool_value() &&
        !value.has_string_value()) {
      return DoesNotFit(value, "a number, a text, true or false");
    }
    if (value.has_number_value() && !std::isfinite(value.number_value())) {
      return absl::InvalidArgumentError("a value must be finite.");
    }
    SetOption(spec, value);
    return absl::OkStatus();
  }
  Message& holder = Holder(spec);
  const Reflection& reflection = *holder.GetReflection();
  switch (type()) {
    case Type::kDouble:
      if (!value.has_number_value()) return DoesNotFit(value, "a number");
      reflection.SetDouble(&holder, field_.field, value.number_value());
      return absl::OkStatus();
    case Type::kInteger: {
      const double number = value.number_value();
      if (!value.has_number_value() || std::floor(number) != number ||
          std::abs(number) > 9007199254740992.0) {
        return DoesNotFit(value, "a whole number");
      }
      reflection.SetInt64(&holder, field_.field, static_cast<int64_t>(number));
      return absl::OkStatus();
    }
    case Type::kBool:
      if (!value.has_bool_value()) return DoesNotFit(value, "true or false");
      reflection.SetBool(&holder, field_.field, value.bool_value());
      return absl::OkStatus();
    case Type::kEnum: {
      const EnumValueDescriptor* named =
          field_.field->enum_type()->FindValueByName(value.string_value());
      if (named == nullptr || named->number() == 0) {
        return DoesNotFit(value, EnumNames(*field_.field));
      }
      reflection.SetEnum(&holder, field_.field, named);
      return absl::OkStatus();
    }
    case Type::kText:
      if (!value.has_string_value()) return DoesNotFit(value, "a text");
      reflection.SetString(&holder, field_.field, value.string_value());
      return absl::OkStatus();
    case Type::kMessage:
      break;
  }
  if (!value.has_struct_value()) {
    return DoesNotFit(value,
                      absl::StrCat("a message with ",
                                   FieldNames(*field_.field->message_type())));
  }
  Message& message = Down(holder, field_);
  message.Clear();
  const auto status =
      google::protobuf::util::JsonStringToMessage(PrintJson(value), &message);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        PrintJson(value), " does not fit: ",
        absl::string_view(status.message().data(), status.message().size()),
        ". The field has ", FieldNames(*field_.field->message_type()), "."));
  }
  // Its options would be checked by a schema that came with it.
  if ((path_ == "model" || path_ == "model.plugin") &&
      spec.model().has_plugin()) {
    return absl::InvalidArgumentError(
        "a plug-in cannot be a value of a search. Search its options, as in "
        "model.plugin.options_json#/width, or create one study per plug-in.");
  }
  return absl::OkStatus();
}

std::string SpecPath::Text(const v1::TrainingSpec& spec) const {
  if (!option_.empty()) {
    const Value value = Option(spec);
    return value.has_string_value() ? value.string_value() : PrintOption(value);
  }
  const Message& holder = Holder(spec);
  const Reflection& reflection = *holder.GetReflection();
  switch (type()) {
    case Type::kDouble:
      return DoubleText(reflection.GetDouble(holder, field_.field));
    case Type::kInteger:
      return absl::StrCat(reflection.GetInt64(holder, field_.field));
    case Type::kBool:
      return reflection.GetBool(holder, field_.field) ? "true" : "false";
    case Type::kEnum:
      return reflection.GetEnum(holder, field_.field)->name();
    case Type::kText:
      return reflection.GetString(holder, field_.field);
    case Type::kMessage:
      break;
  }
  return PrintJson(Down(holder, field_));
}

Value SpecPath::Json(const v1::TrainingSpec& spec) const {
  Value value;
  if (type() == Type::kMessage) {
    const auto status =
        google::protobuf::util::JsonStringToMessage(Text(spec), &value);
    HS_CHECK(status.ok()) << status.ToString();
  } else {
    value.set_string_value(Text(spec));
  }
  return value;
}

Message& SpecPath::Holder(v1::TrainingSpec& spec) const {
  Message* holder = &spec;
  for (const Step& parent : parents_) holder = &Down(*holder, parent);
  return *holder;
}

const Message& SpecPath::Holder(const v1::TrainingSpec& spec) const {
  const Message* holder = &spec;
  for (const Step& parent : parents_) holder = &Down(*holder, parent);
  return *holder;
}

std::string DoubleText(double value) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

}  // namespace headstart::scheduler
