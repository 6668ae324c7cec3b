// YAML text as a tree that knows where in the file each value stands.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace headstart::client {

// A place in a file, counted from 1.
struct YamlPlace {
  int64_t line = 1;
  int64_t column = 1;
};

// One value of the file. Entries of a map carry their key.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  YamlPlace place;
  std::string text;             // Of a scalar, as it means: without quotes.
  bool quoted = false;          // A scalar in quotes is always a text.
  std::vector<YamlNode> items;  // Of a list or map, in the file's order.
  std::string key;              // When this is an entry of a map.
  YamlPlace key_place;
};

// What a file may ask of this program's memory and stack.
struct YamlLimits {
  int64_t bytes_max = int64_t{1} << 20;
  // Levels of nesting. Each becomes up to three levels of messages, and
  // protobuf reads 100 of those.
  int64_t depth_max = 24;
};

// Reads `text`, one YAML document in UTF-8. Anchors, aliases and tags are
// refused: a study file has no use for them, and aliases make small files
// large. Keys that occur twice are kept; whoever gives them a meaning refuses.
//   InvalidArgument  with `file_name`, line and column in front.
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text,
                                   absl::string_view file_name,
                                   const YamlLimits& limits = {});

// InvalidArgument, "mnist.yaml:4:3: message".
absl::Status YamlError(absl::string_view file_name, const YamlPlace& place,
                       absl::string_view message);

}  // namespace headstart::client
