#include "client/plot/figure_json.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/plot/box.h"

namespace headstart::client {
namespace {

using Json = nlohmann::json;

// One object, field by field. The first problem goes into `status`.
class Fields {
 public:
  Fields(const Json& json, std::string path, absl::Status& status)
      : json_(json), path_(std::move(path)), status_(status) {
    if (!json.is_object()) Refuse(path_, "must be an object");
  }
  ~Fields() {
    if (!json_.is_object()) return;
    for (const auto& field : json_.items()) {
      if (!taken_.contains(field.key())) {
        Refuse(At(field.key()), "is not known");
      }
    }
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  void Text(const char* name, std::string& into) {
    if (const Json* value = Take(name, &Json::is_string, "a text")) {
      into = value->get<std::string>();
    }
  }
  void Bool(const char* name, bool& into) {
    if (const Json* value = Take(name, &Json::is_boolean, "true or false")) {
      into = value->get<bool>();
    }
  }
  void Integer(const char* name, int& into) {
    const Json* value = Take(name, &Json::is_number_integer, "a count");
    if (value == nullptr) return;
    const auto number = value->get<int64_t>();
    if (number < 0 || number > 1'000'000) {
      return Refuse(At(name), "must be from 0 to 1000000");
    }
    into = static_cast<int>(number);
  }
  void Integer(const char* name, std::optional<int>& into) {
    if (json_.is_object() && json_.contains(name))
      Integer(name, into.emplace());
  }
  void Number(const char* name, double& into) {
    if (const Json* value = Take(name, &Json::is_number, "a number")) {
      into = value->get<double>();
    }
  }
  void Number(const char* name, std::optional<double>& into) {
    if (json_.is_object() && json_.contains(name)) Number(name, into.emplace());
  }
  void Numbers(const char* name, std::vector<double>& into) {
    const Json* list = Take(name, &Json::is_array, "a list of numbers");
    if (list == nullptr) return;
    for (const Json& each : *list) {
      if (!each.is_number() && !each.is_null()) {
        return Refuse(At(name), "must be a list of numbers");
      }
      into.push_back(each.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                    : each.get<double>());
    }
  }
  void Texts(const char* name, std::vector<std::string>& into) {
    const Json* list = Take(name, &Json::is_array, "a list of texts");
    if (list == nullptr) return;
    for (const Json& each : *list) {
      if (!each.is_string()) return Refuse(At(name), "must be a list of texts");
      into.push_back(each.get<std::string>());
    }
  }
  template <typename T>
  void Enum(const char* name, T& into,
            std::initializer_list<std::pair<const char*, T>> values) {
    const Json* value = Take(name, &Json::is_string, "a text");
    if (value == nullptr) return;
    std::string allowed;
    for (const auto& [text, of] : values) {
      if (*value == text) {
        into = of;
        return;
      }
      absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", text);
    }
    Refuse(At(name), absl::StrCat("must be one of ", allowed));
  }
  // `read` gets each object of the list.
  template <typename T>
  void Objects(const char* name, std::vector<T>& into,
               void (*read)(Fields&, T&)) {
    const Json* list = Take(name, &Json::is_array, "a list of objects");
    if (list == nullptr) return;
    for (const Json& each : *list) {
      Fields fields(each, absl::StrCat(At(name), "[", into.size(), "]"),
                    status_);
      read(fields, into.emplace_back());
    }
  }
  template <typename T>
  void Object(const char* name, T& into, void (*read)(Fields&, T&)) {
    if (!json_.is_object() || !json_.contains(name)) return;
    taken_.insert(name);
    Fields fields(json_[name], At(name), status_);
    read(fields, into);
  }
  // Lists of numbers, one after the other.
  void Samples(const char* name, std::vector<Box>& into) {
    const Json* list = Take(name, &Json::is_array, "a list of lists");
    if (list == nullptr) return;
    for (const Json& each : *list) {
      std::vector<double> samples;
      const std::string place = absl::StrCat(name, "[", into.size(), "]");
      const Json wrapped = {{place, each}};
      Fields(wrapped, path_, status_).Numbers(place.c_str(), samples);
      into.push_back(BoxOf(samples));
    }
  }

 private:
  std::string At(const std::string& name) const {
    return path_.empty() ? name : absl::StrCat(path_, ".", name);
  }
  // Null where it is left out or of another kind.
  const Json* Take(const char* name, bool (Json::*is)() const noexcept,
                   const char* kind) {
    if (!json_.is_object() || !json_.contains(name)) return nullptr;
    taken_.insert(name);
    const Json& value = json_[name];
    if ((value.*is)()) return &value;
    Refuse(At(name), absl::StrCat("must be ", kind));
    return nullptr;
  }
  void Refuse(const std::string& path, const std::string& why) {
    status_.Update(absl::InvalidArgumentError(
        absl::StrCat(path.empty() ? "the figure" : path, ": ", why, ".")));
  }

  const Json& json_;
  const std::string path_;
  absl::Status& status_;
  std::set<std::string> taken_;
};

void Read(Fields& fields, Tick& tick) {
  fields.Number("value", tick.value);
  fields.Text("label", tick.label);
}

void Read(Fields& fields, Axis& axis) {
  fields.Text("label", axis.label);
  fields.Text("unit", axis.unit);
  fields.Enum<Scale>("scale", axis.scale,
                     {{"linear", Scale::kLinear}, {"log", Scale::kLog}});
  fields.Number("min", axis.min);
  fields.Number("max", axis.max);
  fields.Bool("reversed", axis.reversed);
  fields.Objects<Tick>("ticks", axis.ticks, Read);
  fields.Texts("categories", axis.categories);
}

void Read(Fields& fields, Line& line) {
  fields.Text("name", line.name);
  fields.Numbers("x", line.x);
  fields.Numbers("y", line.y);
  fields.Numbers("low", line.low);
  fields.Numbers("high", line.high);
  fields.Enum<Line::Draw>("draw", line.draw,
                          {{"line", Line::Draw::kLine},
                           {"line_and_markers", Line::Draw::kLineAndMarkers},
                           {"markers", Line::Draw::kMarkers}});
  fields.Bool("faint", line.faint);
  fields.Integer("style", line.style);
}

void Read(Fields& fields, Bars& bars) {
  fields.Text("name", bars.name);
  fields.Numbers("y", bars.y);
  fields.Numbers("low", bars.low);
  fields.Numbers("high", bars.high);
  fields.Integer("style", bars.style);
}

void Read(Fields& fields, Boxes& boxes) {
  fields.Text("name", boxes.name);
  fields.Samples("samples", boxes.boxes);
  fields.Integer("style", boxes.style);
}

void Read(Fields& fields, Rule& rule) {
  fields.Number("at", rule.at);
  fields.Text("label", rule.label);
}

void Read(Fields& fields, PointLabel& label) {
  fields.Number("x", label.x);
  fields.Number("y", label.y);
  fields.Text("text", label.text);
}

void Read(Fields& fields, Panel& panel) {
  fields.Text("title", panel.title);
  fields.Object<Axis>("x", panel.x, Read);
  fields.Object<Axis>("y", panel.y, Read);
  fields.Objects<Line>("lines", panel.lines, Read);
  fields.Objects<Bars>("bars", panel.bars, Read);
  fields.Objects<Boxes>("boxes", panel.boxes, Read);
  fields.Objects<Rule>("horizontal_rules", panel.horizontal_rules, Read);
  fields.Objects<Rule>("vertical_rules", panel.vertical_rules, Read);
  fields.Objects<PointLabel>("labels", panel.labels, Read);
}

}  // namespace

absl::StatusOr<Figure> ParseFigure(absl::string_view json) {
  const Json parsed = Json::parse(json.begin(), json.end(), /*cb=*/nullptr,
                                  /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError("the figure: this is not JSON.");
  }
  absl::Status status;
  Figure figure;
  {
    Fields fields(parsed, "", status);
    fields.Text("title", figure.title);
    fields.Text("subtitle", figure.subtitle);
    fields.Text("description", figure.description);
    fields.Objects<Panel>("panels", figure.panels, Read);
    fields.Integer("columns", figure.columns);
    fields.Bool("shared_x", figure.shared_x);
    fields.Bool("shared_y", figure.shared_y);
    fields.Integer("width", figure.width);
    fields.Integer("panel_height", figure.panel_height);
  }
  if (!status.ok()) return status;
  return figure;
}

}  // namespace headstart::client
