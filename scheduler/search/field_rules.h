// The rules written beside the fields of a proto (field_rule.proto), applied.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace headstart::scheduler {

// Sets every field that was left out and has a default, in `message` and in the
// messages inside it.
void FillDefaults(google::protobuf::Message& message);

// That every number and enum is what its field's rule allows, that required
// fields are there, and that every oneof without a default has a kind. Fields
// that have a default may be missing. InvalidArgument: the first problem's path
// below `prefix`, what is allowed and what was found.
absl::Status CheckFieldRules(const google::protobuf::Message& message,
                             absl::string_view prefix);

// Gives `onto`, a message of the same type, every field that `written` has;
// messages field by field, lists as a whole.
void Override(const google::protobuf::Message& written,
              google::protobuf::Message& onto);

}  // namespace headstart::scheduler
