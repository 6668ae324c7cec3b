#include "worker/spec_fields/spec_fields.h"

#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

const Json kNone = Json::object();

bool ParseInteger(const Json& field, int64_t& value) {
  if (field.is_number_integer()) {
    value = field.get<int64_t>();
    return true;
  }
  if (!field.is_string()) return false;
  const auto& text = field.get_ref<const std::string&>();
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool InRange(double value, const NumberRange& range) {
  return (range.above ? value > range.min : value >= range.min) &&
         (range.below ? value < range.max : value <= range.max);
}

std::string RangeText(const NumberRange& range) {
  if (std::isinf(range.min)) return "that is finite";
  std::string text =
      absl::StrCat(range.above ? "above " : "of at least ", range.min);
  if (range.max < std::numeric_limits<double>::infinity()) {
    absl::StrAppend(&text, range.below ? " and below " : " and at most ",
                    range.max);
  }
  return text;
}

}  // namespace

SpecFields::SpecFields(const Json& object, std::string path,
                       absl::Status& status)
    : object_(&object), path_(std::move(path)), status_(&status) {
  if (!object.is_object()) Refuse(path_, "must be an object");
}

int64_t SpecFields::Integer(const std::string& name, int64_t min, int64_t max) {
  const Json& field = Take(name);
  int64_t value = 0;
  if (!ParseInteger(field, value) || value < min || value > max) {
    const std::string bound = max < std::numeric_limits<int64_t>::max()
                                  ? absl::StrCat("from ", min, " to ", max)
                                  : absl::StrCat("of at least ", min);
    Refuse(At(name),
           absl::StrCat("must be an integer ", bound, ", got ", field.dump()));
    return min;
  }
  return value;
}

double SpecFields::Number(const std::string& name, const NumberRange& range) {
  const Json& field = Take(name);
  if (field.is_number() && InRange(field.get<double>(), range)) {
    return field.get<double>();
  }
  Refuse(At(name), absl::StrCat("must be a number ", RangeText(range), ", got ",
                                field.dump()));
  return range.min;
}

bool SpecFields::Bool(const std::string& name) {
  const Json& field = Take(name);
  if (!field.is_boolean()) {
    Refuse(At(name), absl::StrCat("must be true or false, got ", field.dump()));
    return false;
  }
  return field.get<bool>();
}

std::string SpecFields::Text(const std::string& name) {
  const Json& field = Take(name);
  if (!field.is_string() || field.get_ref<const std::string&>().empty()) {
    Refuse(At(name), absl::StrCat("must be a text, got ", field.dump()));
    return "";
  }
  return field.get<std::string>();
}

std::vector<std::string> SpecFields::Texts(const std::string& name) {
  if (!Has(name)) return {};
  std::vector<std::string> texts;
  const Json& field = Take(name);
  for (const Json& each : field) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  if (!field.is_array() || texts.size() != field.size()) {
    Refuse(At(name),
           absl::StrCat("must be a list of texts, got ", field.dump()));
  }
  return texts;
}

std::vector<double> SpecFields::Numbers(const std::string& name,
                                        const NumberRange& range) {
  if (!Has(name)) return {};
  std::vector<double> numbers;
  const Json& field = Take(name);
  for (const Json& each : field) {
    if (each.is_number() && InRange(each.get<double>(), range)) {
      numbers.push_back(each.get<double>());
    }
  }
  if (!field.is_array() || numbers.size() != field.size()) {
    Refuse(At(name), absl::StrCat("must be a list of numbers ",
                                  RangeText(range), ", got ", field.dump()));
  }
  return numbers;
}

std::vector<int64_t> SpecFields::Integers(const std::string& name,
                                          int64_t min) {
  if (!Has(name)) return {};
  std::vector<int64_t> integers;
  const Json& field = Take(name);
  for (const Json& each : field) {
    int64_t value = 0;
    if (ParseInteger(each, value) && value >= min) integers.push_back(value);
  }
  if (!field.is_array() || integers.size() != field.size()) {
    Refuse(At(name), absl::StrCat("must be a list of integers of at least ",
                                  min, ", got ", field.dump()));
  }
  return integers;
}

size_t SpecFields::EnumIndex(const std::string& name,
                             const std::vector<std::string>& texts) {
  const Json& field = Take(name);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (field == texts[i]) return i;
  }
  Refuse(At(name), absl::StrCat("must be one of ", absl::StrJoin(texts, ", "),
                                ", got ", field.dump()));
  return 0;
}

SpecFields SpecFields::Object(const std::string& name) {
  return SpecFields(Take(name), At(name), *status_);
}

std::vector<SpecFields> SpecFields::Objects(const std::string& name) {
  std::vector<SpecFields> objects;
  taken_.insert(name);
  if (!Has(name)) return objects;
  const Json& list = object_->at(name);
  if (!list.is_array()) {
    Refuse(At(name), "must be a list of objects");
    return objects;
  }
  for (size_t i = 0; i < list.size(); ++i) {
    objects.emplace_back(list[i], absl::StrCat(At(name), "[", i, "]"),
                         *status_);
  }
  return objects;
}

bool SpecFields::Has(const std::string& name) const {
  return object_->is_object() && object_->contains(name);
}

std::pair<std::string, SpecFields> SpecFields::Kind(
    const std::string& name, const std::vector<std::string>& kinds) {
  const Json& field = Take(name);
  if (field.is_object() && field.size() == 1) {
    for (const std::string& kind : kinds) {
      if (!field.contains(kind)) continue;
      return {kind, SpecFields(field.at(kind),
                               absl::StrCat(At(name), ".", kind), *status_)};
    }
  }
  Refuse(At(name),
         absl::StrCat("must have exactly one of ", absl::StrJoin(kinds, ", "),
                      ", got ", field.dump()));
  return {"", SpecFields(kNone, At(name), *status_)};
}

std::pair<std::string, SpecFields> SpecFields::Kind(
    const std::vector<std::string>& kinds) {
  std::vector<std::string> found;
  for (const std::string& kind : kinds) {
    if (Has(kind)) found.push_back(kind);
  }
  if (found.size() == 1) return {found[0], Object(found[0])};
  Refuse(path_,
         absl::StrCat("must have exactly one of ", absl::StrJoin(kinds, ", "),
                      ", got ", object_->dump()));
  return {"", SpecFields(kNone, path_, *status_)};
}

void SpecFields::Done() {
  if (!object_->is_object()) return;
  for (const auto& item : object_->items()) {
    if (taken_.contains(item.key())) continue;
    Refuse(At(item.key()), taken_.empty()
                               ? "unknown field; there are none here"
                               : absl::StrCat("unknown field; there are ",
                                              absl::StrJoin(taken_, ", ")));
  }
}

void SpecFields::Refuse(const std::string& path, const std::string& why) {
  if (!status_->ok()) return;
  *status_ = absl::InvalidArgumentError(absl::StrCat(path, ": ", why, "."));
}

std::string SpecFields::At(const std::string& name) const {
  return absl::StrCat(path_, ".", name);
}

const Json& SpecFields::Take(const std::string& name) {
  taken_.insert(name);
  if (Has(name)) return object_->at(name);
  Refuse(At(name), "missing; a recorded spec has every default filled in");
  return kNone;
}

}  // namespace headstart::worker
