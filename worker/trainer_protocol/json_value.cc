#include "worker/trainer_protocol/json_value.h"

#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace headstart::worker {

bool ReadInteger(const Json& field, int64_t& value) {
  if (field.is_number_unsigned()) {
    const uint64_t number = field.get<uint64_t>();
    if (number > std::numeric_limits<int64_t>::max()) return false;
    value = static_cast<int64_t>(number);
    return true;
  }
  if (field.is_number_integer()) {
    value = field.get<int64_t>();
    return true;
  }
  const auto* text = field.get_ptr<const std::string*>();
  return text != nullptr && absl::SimpleAtoi(*text, &value);
}

std::string Excerpt(const Json& value) {
  if (value.is_structured()) return value.type_name();
  const std::string text = value.dump();
  return text.size() <= 60 ? text
                           : absl::StrCat("a ", value.type_name(), " of ",
                                          text.size(), " bytes");
}

}  // namespace headstart::worker
