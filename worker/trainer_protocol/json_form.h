// The two forms that a message's fields are described to: a JSON object that is
// written, and one that is read. A part's Describe(form, part) stands in this
// namespace.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/dtype.h"
#include "worker/trainer_protocol/json_value.h"

namespace headstart::worker {

// An enumeration's values and their texts.
template <typename Enum>
using Names = absl::Span<const std::pair<Enum, absl::string_view>>;

inline Json NumberForm(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

// Writes the fields that a Describe function names into a JSON object.
class Writer {
 public:
  explicit Writer(Json& object) : object_(object) {}

  void Text(const char* name, std::string& value, int64_t /*size_min*/) {
    object_[name] = std::move(value);
  }
  void Integer(const char* name, int64_t& value, int64_t /*min*/) {
    object_[name] = value;
  }
  void Number(const char* name, double& value) {
    object_[name] = NumberForm(value);
  }
  void Numbers(const char* name, std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(NumberForm(value));
    object_[name] = std::move(list);
  }
  void NumberOrAbsent(const char* name, std::optional<double>& value) {
    if (value.has_value()) Number(name, *value);
  }
  void Type(const char* name, DType& value) {
    object_[name] = std::string(DTypeName(value));
  }
  template <typename Enum>
  void Choice(const char* name, Enum& value, Names<Enum> names) {
    for (const auto& [known, text] : names) {
      if (known == value) object_[name] = std::string(text);
    }
  }
  void RawObject(const char* name, std::string& json) {
    Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
    HS_CHECK(value.is_object()) << name << " is no JSON object: " << json;
    object_[name] = std::move(value);
  }
  void Integers(const char* name, std::vector<int64_t>& values) {
    object_[name] = values;
  }
  void Texts(const char* name, std::vector<std::string>& values) {
    object_[name] = std::move(values);
  }
  template <typename Part>
  void Nested(const char* name, Part& part) {
    Json object = Json::object();
    Writer writer(object);
    Describe(writer, part);
    object_[name] = std::move(object);
  }
  template <typename Part>
  void List(const char* name, std::vector<Part>& parts) {
    Json list = Json::array();
    for (Part& part : parts) {
      Json object = Json::object();
      Writer writer(object);
      Describe(writer, part);
      list.push_back(std::move(object));
    }
    object_[name] = std::move(list);
  }
  template <typename Part>
  void ListOrAbsent(const char* name, std::vector<Part>& parts) {
    if (!parts.empty()) List(name, parts);
  }

 private:
  Json& object_;
};

// Reads the fields that a Describe function names out of a JSON object. The
// first error stays and the rest is skipped.
class Reader {
 public:
  // `where` is the object's path, such as started.tensors[3].
  Reader(const Json& object, std::string where, absl::Status& status)
      : object_(object), where_(std::move(where)), status_(status) {}

  void Text(const char* name, std::string& value, int64_t size_min) {
    const Json* field = Find(name);
    if (field == nullptr) return;
    const auto* text = field->get_ptr<const std::string*>();
    if (text == nullptr) return Refuse(name, "is no text");
    if (static_cast<int64_t>(text->size()) < size_min) {
      return Refuse(name, "is empty");
    }
    value = *text;
  }
  void Integer(const char* name, int64_t& value, int64_t min) {
    const Json* field = Find(name);
    if (field == nullptr) return;
    if (!ReadInteger(*field, value)) {
      return Refuse(name, absl::StrCat("is ", Excerpt(*field),
                                       ", not an integer of 64 bits"));
    }
    if (value < min) {
      Refuse(name,
             absl::StrCat("is ", value, "; at least ", min, " is allowed"));
    }
  }
  void Number(const char* name, double& value) {
    const Json* field = Find(name);
    if (field != nullptr) ReadNumber(name, *field, value);
  }
  void NumberOrAbsent(const char* name, std::optional<double>& value) {
    if (!status_.ok() || !object_.contains(name)) return;
    ReadNumber(name, object_[name], value.emplace());
  }
  void Type(const char* name, DType& value) {
    std::string text;
    Text(name, text, 0);
    if (!status_.ok()) return;
    absl::StatusOr<DType> dtype = ParseDType(text);
    if (!dtype.ok()) return Refuse(name, dtype.status().message());
    value = *dtype;
  }
  template <typename Enum>
  void Choice(const char* name, Enum& value, Names<Enum> names) {
    std::string text;
    Text(name, text, 0);
    if (!status_.ok()) return;
    std::vector<absl::string_view> allowed;
    for (const auto& [known, known_text] : names) {
      if (known_text == text) {
        value = known;
        return;
      }
      allowed.push_back(known_text);
    }
    Refuse(name, absl::StrCat("is \"", text, "\"; there are ",
                              absl::StrJoin(allowed, ", ")));
  }
  void RawObject(const char* name, std::string& json) {
    const Json* field = Find(name);
    if (field == nullptr) return;
    if (!field->is_object()) return Refuse(name, "is no object");
    json = field->dump();
  }
  void Integers(const char* name, std::vector<int64_t>& values) {
    const Json* list = FindList(name);
    if (list == nullptr) return;
    for (const Json& item : *list) {
      if (!ReadInteger(item, values.emplace_back())) {
        return Refuse(name, absl::StrCat("has ", Excerpt(item),
                                         ", not an integer of 64 bits"));
      }
    }
  }
  void Numbers(const char* name, std::vector<double>& values) {
    const Json* list = FindList(name);
    if (list == nullptr) return;
    for (const Json& item : *list) {
      ReadNumber(name, item, values.emplace_back());
      if (!status_.ok()) return;
    }
  }
  void Texts(const char* name, std::vector<std::string>& values) {
    const Json* list = FindList(name);
    if (list == nullptr) return;
    for (const Json& item : *list) {
      const auto* text = item.get_ptr<const std::string*>();
      if (text == nullptr) {
        return Refuse(name, absl::StrCat("has ", Excerpt(item), ", no text"));
      }
      values.push_back(*text);
    }
  }
  template <typename Part>
  void Nested(const char* name, Part& part) {
    const Json* field = Find(name);
    if (field == nullptr) return;
    if (!field->is_object()) return Refuse(name, "is no object");
    Reader reader(*field, absl::StrCat(where_, ".", name), status_);
    Describe(reader, part);
  }
  template <typename Part>
  void List(const char* name, std::vector<Part>& parts) {
    const Json* list = FindList(name);
    if (list == nullptr) return;
    for (const Json& item : *list) {
      if (!status_.ok()) return;
      std::string where =
          absl::StrCat(where_, ".", name, "[", parts.size(), "]");
      if (!item.is_object()) {
        status_ =
            absl::InvalidArgumentError(absl::StrCat(where, " is no object"));
        return;
      }
      Reader reader(item, std::move(where), status_);
      Describe(reader, parts.emplace_back());
    }
  }
  template <typename Part>
  void ListOrAbsent(const char* name, std::vector<Part>& parts) {
    if (status_.ok() && object_.contains(name)) List(name, parts);
  }

 private:
  const Json* Find(const char* name) {
    if (!status_.ok()) return nullptr;
    auto field = object_.find(name);
    if (field != object_.end()) return &*field;
    Refuse(name, "is missing");
    return nullptr;
  }

  const Json* FindList(const char* name) {
    const Json* field = Find(name);
    if (field == nullptr || field->is_array()) return field;
    Refuse(name, "is no list");
    return nullptr;
  }

  void ReadNumber(const char* name, const Json& field, double& value) {
    if (field.is_number()) {
      value = field.get<double>();
      return;
    }
    const auto* text = field.get_ptr<const std::string*>();
    if (text != nullptr && *text == "NaN") {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (text != nullptr && *text == "Infinity") {
      value = std::numeric_limits<double>::infinity();
    } else if (text != nullptr && *text == "-Infinity") {
      value = -std::numeric_limits<double>::infinity();
    } else {
      Refuse(name, absl::StrCat("is ", Excerpt(field), ", not a number"));
    }
  }

  void Refuse(const char* name, absl::string_view what) {
    status_ =
        absl::InvalidArgumentError(absl::StrCat(where_, ".", name, " ", what));
  }

  const Json& object_;
  const std::string where_;
  absl::Status& status_;
};

}  // namespace headstart::worker
