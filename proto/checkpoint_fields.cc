#include "proto/checkpoint_fields.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "headstart/v1/field_rule.pb.h"

namespace headstart {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

absl::Status VisitCheckpoints(
    Message& message, absl::string_view prefix,
    absl::FunctionRef<absl::Status(const std::string& path, std::string& name)>
        visit) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool named = field->options().GetExtension(v1::rule).checkpoint();
    if (!named && field->message_type() == nullptr) continue;
    const std::string path =
        absl::StrCat(prefix, prefix.empty() ? "" : ".", field->name());
    const bool repeated = field->is_repeated();
    const int count = repeated ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string at = repeated ? absl::StrCat(path, "[", i, "]") : path;
      if (!named) {
        HS_RETURN_IF_ERROR(VisitCheckpoints(
            repeated ? *reflection.MutableRepeatedMessage(&message, field, i)
                     : *reflection.MutableMessage(&message, field),
            at, visit));
        continue;
      }
      std::string name = repeated
                             ? reflection.GetRepeatedString(message, field, i)
                             : reflection.GetString(message, field);
      HS_RETURN_IF_ERROR(visit(at, name));
      if (repeated) {
        reflection.SetRepeatedString(&message, field, i, std::move(name));
      } else {
        reflection.SetString(&message, field, std::move(name));
      }
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> CheckpointsIn(const Message& message) {
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  std::vector<std::string> names;
  const absl::Status status = VisitCheckpoints(
      *copy, "", [&](const std::string&, const std::string& name) {
        if (std::find(names.begin(), names.end(), name) == names.end()) {
          names.push_back(name);
        }
        return absl::OkStatus();
      });
  HS_CHECK_OK(status);
  return names;
}

}  // namespace headstart
