// Reads the JSON objects of a TrainingSpec, field by field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace headstart::worker {

// The numbers a field may have: from `min` on or only above it, up to `max` or
// only below it.
struct NumberRange {
  double min;
  bool above = false;
  double max = std::numeric_limits<double>::infinity();
  bool below = true;  // Whether `max` itself is refused.
};
inline constexpr NumberRange kPositive = {.min = 0, .above = true};
inline constexpr NumberRange kNotNegative = {.min = 0};
inline constexpr NumberRange kAnyNumber = {
    .min = -std::numeric_limits<double>::infinity(), .above = true};
inline constexpr NumberRange kBelowOne = {.min = 0, .max = 1};
inline constexpr NumberRange kShare = {.min = 0, .max = 1, .below = false};

// One JSON object in the proto's JSON form. Every field must be asked for;
// Done() refuses others.
//
// The first problem goes into `status`, which all objects of a spec share;
// after it the answers are arbitrary but in their ranges. Problems are
// InvalidArgument and begin with the field's path. The object and the status
// must outlive it.
class SpecFields final {
 public:
  SpecFields(const nlohmann::json& object, std::string path,
             absl::Status& status);

  // A number or, as proto3 JSON writes int64, a string.
  int64_t Integer(const std::string& name, int64_t min,
                  int64_t max = std::numeric_limits<int64_t>::max());
  double Number(const std::string& name, const NumberRange& range);
  bool Bool(const std::string& name);
  // Not empty.
  std::string Text(const std::string& name);

  // Repeated fields: none when the field is left out, since an empty one has no
  // other form.
  std::vector<std::string> Texts(const std::string& name);
  std::vector<double> Numbers(const std::string& name,
                              const NumberRange& range);
  std::vector<int64_t> Integers(const std::string& name, int64_t min);

  // One of `values`' texts; the first value after a problem.
  template <typename T>
  T Enum(const std::string& name,
         std::initializer_list<std::pair<const char*, T>> values) {
    std::vector<std::string> texts;
    for (const auto& [text, value] : values) texts.emplace_back(text);
    return values.begin()[EnumIndex(name, texts)].second;
  }

  // The objects of a repeated field; none when it is left out.
  std::vector<SpecFields> Objects(const std::string& name);

  // An object that every recorded spec has.
  SpecFields Object(const std::string& name);
  // Whether a field that may be absent is there.
  bool Has(const std::string& name) const;

  // The one field of an object that is a oneof: its name and what is in it.
  std::pair<std::string, SpecFields> Kind(
      const std::string& name, const std::vector<std::string>& kinds);
  // The kind that is set among the fields of this object, which has others too.
  std::pair<std::string, SpecFields> Kind(
      const std::vector<std::string>& kinds);

  // Refuses what was not asked for.
  void Done();
  // Notes a problem with the field at `path`: "path: why.".
  void Refuse(const std::string& path, const std::string& why);
  // The path of a field of this object.
  std::string At(const std::string& name) const;
  const nlohmann::json& json() const { return *object_; }

 private:
  const nlohmann::json& Take(const std::string& name);
  size_t EnumIndex(const std::string& name,
                   const std::vector<std::string>& texts);

  const nlohmann::json* object_;
  std::string path_;
  absl::Status* status_;
  std::set<std::string> taken_;
};

}  // namespace headstart::worker
