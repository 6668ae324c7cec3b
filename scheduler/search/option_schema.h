// What options a plug-in has: read from the subset of JSON Schema that
// docs/plugins.md describes, and options checked against it.
//
// Schemas come from workers and options from people: any bytes will do. Errors
// are InvalidArgument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace headstart::scheduler {

inline constexpr size_t kOptionSchemaBytesMax = 16 << 10;
inline constexpr size_t kOptionsBytesMax = 64 << 10;

// Options by name; the values are numbers, texts, true and false.
using OptionValues = absl::btree_map<std::string, google::protobuf::Value>;

// One JSON object without objects and lists in it; none when `json` is empty.
absl::StatusOr<OptionValues> ParseOptions(const std::string& json,
                                          size_t bytes_max = kOptionsBytesMax);

// The one text that equal options have: sorted by name, no spaces.
std::string PrintOptions(const OptionValues& options);
std::string PrintOption(const google::protobuf::Value& value);

// Immutable.
class OptionSchema {
 public:
  enum class Type { kInteger, kNumber, kBool, kText };

  struct Option {
    Type type = Type::kText;
    // Absent: the option has to be given.
    std::optional<google::protobuf::Value> default_value;
    std::optional<double> minimum;
    std::optional<double> exclusive_minimum;
    std::optional<double> maximum;
    std::optional<double> exclusive_maximum;
    std::vector<google::protobuf::Value> allowed;  // Empty: any.
  };

  // Refuses what it does not know, since it could not check it.
  static absl::StatusOr<OptionSchema> Parse(const std::string& json);

  // Null when there is no such option.
  const Option* Find(absl::string_view name) const;

  // The options with defaults filled in. An error begins with the path of the
  // option: `where`, '#' and its JSON pointer.
  absl::StatusOr<OptionValues> Complete(OptionValues options,
                                        absl::string_view where) const;

  // "depth, width", or "none".
  std::string NamesText() const;

 private:
  absl::btree_map<std::string, Option> options_;
};

// "#/" and the name as RFC 6901 escapes it, and the name in such a pointer.
std::string OptionPointer(absl::string_view name);
absl::StatusOr<std::string> ParseOptionPointer(absl::string_view pointer);

}  // namespace headstart::scheduler
