#include "scheduler/search/option_schema.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "base/random_stream.h"
#include "scheduler/search/plugin_spec.h"
#include "scheduler/search/space.h"
#include "scheduler/search/spec_defaults.h"
#include "tests/support/status_matchers.h"

namespace headstart::scheduler {
namespace {

constexpr char kSchema[] = R"({
  "type": "object", "additionalProperties": false, "properties": {
    "width": {"type": "integer", "default": 32, "minimum": 1, "maximum": 4096},
    "rate": {"type": "number", "default": 0.5, "exclusiveMinimum": 0,
             "exclusiveMaximum": 1},
    "bias": {"type": "boolean", "default": true, "description": "With one."},
    "shape": {"type": "string", "default": "round", "enum": ["round", "square"]},
    "a/b~c": {"type": "integer", "minimum": -3}}})";

// The options in their one form, or why not.
absl::StatusOr<std::string> Completed(const std::string& options) {
  const absl::StatusOr<OptionSchema> schema = OptionSchema::Parse(kSchema);
  HS_CHECK_OK(schema.status());
  absl::StatusOr<OptionValues> values = ParseOptions(options);
  if (!values.ok()) return values.status();
  absl::StatusOr<OptionValues> complete =
      schema->Complete(*std::move(values), "options_json");
  if (!complete.ok()) return complete.status();
  return PrintOptions(*complete);
}

TEST(OptionSchemaTest, FillsInDefaultsInOneForm) {
  const std::string all =
      R"({"a/b~c":-3,"bias":true,"rate":0.5,"shape":"round","width":32})";
  EXPECT_THAT(Completed(R"({"a/b~c": -3})"), IsOkAndHolds(all));
  EXPECT_THAT(Completed(R"({"rate": 0.50, "width": 32.0, "a/b~c": -3e0})"),
              IsOkAndHolds(all));
  EXPECT_THAT(Completed(all), IsOkAndHolds(all));
}

TEST(OptionSchemaTest, RefusesOptionsThatDoNotFit) {
  for (const auto& [options, text] : {
           std::pair<std::string, std::string>("[]", "must be a JSON object"),
           {"7", "must be a JSON object"},
           {R"({"width": )", "is not JSON"},
           {R"({"width": {}})", "must be a number, a text, true or false"},
           {R"({"width": null})", "must be a number, a text, true or false"},
           {R"({"width": [1]})", "must be a number, a text, true or false"},
           {"{}", "options_json#/a~1b~0c: is required, a whole number"},
           {R"({"a/b~c": -4})", "#/a~1b~0c: must be -3 or more, got -4."},
           {R"({"width": 0})",
            "options_json#/width: must be from 1 to 4096, got 0."},
           {R"({"width": 5000})", "must be from 1 to 4096, got 5000."},
           {R"({"width": 1.5})", "#/width: must be a whole number, got 1.5."},
           {R"({"width": "8"})", "must be a whole number, got \"8\"."},
           {R"({"width": true})", "must be a whole number, got true."},
           {R"({"width": 1e300})", "must be a whole number, got 1e+300."},
           {R"({"rate": 0})", "#/rate: must be above 0 and below 1, got 0."},
           {R"({"rate": 1})", "must be above 0 and below 1, got 1."},
           {R"({"bias": 1})", "#/bias: must be true or false, got 1."},
           {R"({"shape": "flat"})",
            "must be one of \"round\", \"square\", got \"flat\"."},
           {R"({"wdth": 8})",
            "options_json#/wdth: there is no such option; there are a/b~c, "
            "bias, rate, shape, width."},
           {absl::StrCat(R"({"shape": ")", std::string(70'000, 'x'), "\"}"),
            "at most 65536 are allowed"},
           {absl::StrCat(R"({"shape": ")", std::string(1'000, 'x'), "\"}"),
            "got 1002 bytes"},
       }) {
    EXPECT_THAT(Completed(options),
                StatusIs(absl::StatusCode::kInvalidArgument, text))
        << options.substr(0, 100);
  }
}

TEST(OptionSchemaTest, RefusesSchemasThatItCannotCheckBy) {
  for (const auto& [schema, text] : {
           std::pair<std::string, std::string>("", "is not JSON"),
           {"{", "is not JSON"},
           {"[]", "must be a JSON object"},
           {R"({"type": "array"})", "may have type (object)"},
           {R"({"properties": 7})", "may have type (object)"},
           {R"({"additionalProperties": true})", "may have type (object)"},
           {R"({"required": ["a"]})", "may have type (object)"},
           {R"({"properties": {"": {"type": "integer"}}})", "names of 1 to"},
           {R"({"properties": {"a": 7}})", "properties.a: needs a type"},
           {R"({"properties": {"a": {}}})", "properties.a: needs a type"},
           {R"({"properties": {"a": {"type": "array"}}})", "needs a type"},
           {R"({"properties": {"a": {"type": "string", "pattern": "x"}}})",
            "has the keyword \"pattern\""},
           {R"({"properties": {"a": {"type": "string", "minimum": 1}}})",
            "minimum must be a number, and is for numbers only"},
           {R"({"properties": {"a": {"type": "number", "maximum": "1"}}})",
            "maximum must be a number"},
           {R"({"properties": {"a": {"type": "integer", "enum": []}}})",
            "enum must be a list with values"},
           {R"({"properties": {"a": {"type": "integer", "enum": [1, "2"]}}})",
            "enum has a value of another type"},
           {R"({"properties": {"a": {"type": "integer", "default": 0,
                "minimum": 1}}})",
            "properties.a: default must be 1 or more, got 0."},
           {R"({"properties": {"a": {"type": "integer", "default": null}}})",
            "default must be a whole number, got something else."},
           {std::string(20'000, ' '), "at most 16384 are allowed"},
           {std::string(5'000, '[') + std::string(5'000, ']'), "is not JSON"},
       }) {
    EXPECT_THAT(OptionSchema::Parse(schema),
                StatusIs(absl::StatusCode::kInvalidArgument, text))
        << schema.substr(0, 100);
  }
}

TEST(OptionSchemaTest, PointersAreThoseOfTheStandard) {
  EXPECT_EQ(OptionPointer("a/b~c"), "#/a~1b~0c");
  EXPECT_THAT(ParseOptionPointer("#/a~1b~0c"), IsOkAndHolds("a/b~c"));
  EXPECT_THAT(ParseOptionPointer("#/~01"), IsOkAndHolds("~1"));
  for (const char* pointer :
       {"", "#", "#/", "width", "#width", "#/a/b", "#/a~", "#/a~2"}) {
    EXPECT_THAT(ParseOptionPointer(pointer),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         "is no pointer to an option"))
        << pointer;
  }
}

std::string Mutate(std::string bytes, RandomStream& random) {
  for (uint64_t n = 1 + random.Bits64() % 2; n > 0; --n) {
    const size_t at = random.Bits64() % (bytes.size() + 1);
    switch (random.Bits64() % 4) {
      case 0:
        bytes.insert(at, 1, "{}[]\",:0-e\\\xff"[random.Bits64() % 12]);
        break;
      case 1:
        bytes.erase(at, 1 + random.Bits64() % 5);
        break;
      case 2:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random.Bits64());
        break;
      default:
        bytes.insert(at, bytes.substr(random.Bits64() % (bytes.size() + 1), 9));
    }
  }
  return bytes;
}

// Whatever a worker announces or a person writes is refused or is good: its own
// form is good again and the same.
TEST(OptionSchemaTest, SurvivesAnyBytes) {
  const std::string options =
      R"({"a/b~c": 1, "rate": 0.25, "shape": "square", "width": 7})";
  int good = 0;
  for (int64_t i = 0; i < 4'000; ++i) {
    RandomStream random = RandomStream(11).Child("mutation", i);
    const absl::StatusOr<OptionSchema> schema =
        OptionSchema::Parse(i % 2 == 0 ? Mutate(kSchema, random) : kSchema);
    if (!schema.ok()) continue;
    absl::StatusOr<OptionValues> values = ParseOptions(Mutate(options, random));
    if (!values.ok()) continue;
    const auto complete = schema->Complete(*std::move(values), "");
    if (!complete.ok()) continue;
    ++good;
    const std::string text = PrintOptions(*complete);
    const auto again = ParseOptions(text);
    ASSERT_THAT(again, IsOk()) << text;
    const auto same = schema->Complete(*again, "");
    ASSERT_THAT(same, IsOk()) << text;
    EXPECT_EQ(PrintOptions(*same), text);
  }
  EXPECT_GT(good, 20);
}

v1::Study StudyWith(const std::string& parameter) {
  v1::Study study;
  HS_CHECK(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat(R"(training {
           model { plugin { name: "mlp" version: "1"
                            options_json: "{\"a/b~c\": 0}" } }
           dataset { synthetic { train_examples: 40 test_examples: 10
                                 validation_examples: 10 } }
           epochs: 9 batch_size: 4
           optimizer { adam { learning_rate: 0.0012 } } }
         search { parameters { path: "model.plugin)",
                   parameter, "} }"),
      &study))
      << parameter;
  study.mutable_training()
      ->mutable_model()
      ->mutable_plugin()
      ->set_options_schema_json(kSchema);
  FillSpecDefaults(*study.mutable_training());
  return study;
}

absl::StatusOr<Space> SpaceWith(const std::string& parameter) {
  const v1::Study study = StudyWith(parameter);
  return Space::Create(study.search().parameters(), study.training());
}

TEST(PluginSearchTest, DrawsOptions) {
  const absl::StatusOr<Space> space =
      SpaceWith(R"(.options_json#/width" integer { min: 2 max: 9 } }
        parameters { path: "model.plugin.options_json#/a~1b~0c"
                     integer_list { values: [5] } }
        parameters { path: "model.plugin.options_json#/rate"
                     double { min: 0.1 max: 0.2 } }
        parameters { path: "model.plugin.options_json#/bias"
                     choice { values { bool_value: false } } }
        parameters { path: "model.plugin.options_json#/shape"
                     choice { values { string_value: "square" } })");
  ASSERT_THAT(space, IsOk());
  const Point point = space->Draw(1, 1);
  const auto options =
      ParseOptions(point.training.model().plugin().options_json());
  ASSERT_THAT(options, IsOk());
  const double width = options->at("width").number_value();
  EXPECT_THAT(width, ::testing::AllOf(::testing::Ge(2), ::testing::Le(9)));
  EXPECT_EQ(point.values[0].value(), absl::StrCat(width));
  EXPECT_EQ(options->at("a/b~c").number_value(), 5);
  EXPECT_EQ(options->at("shape").string_value(), "square");
  EXPECT_EQ(point.values[4].value(), "square");
  EXPECT_EQ(point.values[3].value(), "false");
  EXPECT_THAT(CompleteSpec(point.training, "training"), IsOk());
}

TEST(PluginSearchTest, JudgesRangesByTheSchema) {
  for (const auto& [parameter, text] : {
           std::pair<std::string, std::string>(
               R"(.options_json#/width" integer { min: 0 max: 9 })",
               "model.plugin.options_json#/width: must be from 1 to 4096, got "
               "0."),
           {R"(.options_json#/width" integer { min: 1 max: 9999 })",
            "must be from 1 to 4096, got 9999."},
           {R"(.options_json#/width" double { min: 1 max: 9 })",
            "double does not fit, it is an integer field"},
           {R"(.options_json#/shape" integer { min: 1 max: 9 })",
            "integer does not fit, it is a text. Use choice."},
           {R"(.options_json#/shape" choice { values { string_value: "x" } })",
            "must be one of \"round\", \"square\", got \"x\"."},
           {R"(.options_json#/depth" integer { min: 1 max: 9 })",
            "names no option of plug-in mlp 1; there are a/b~c, bias, rate"},
           {R"(.options_json#width" integer { min: 1 max: 9 })",
            "is no pointer to an option"},
           {R"(.options_json" integer { min: 1 max: 9 })",
            "Search one option with model.plugin.options_json#/"},
           {R"(.version#/width" integer { min: 1 max: 9 })",
            "behind something else than model.plugin.options_json"},
           {R"(.name" choice { values { string_value: "x" } })",
            "cannot be searched"},
           {R"(" choice { values { struct_value { fields { key: "name"
                value { string_value: "x" } } fields { key: "version"
                value { string_value: "1" } } } } })",
            "a plug-in cannot be a value of a search"},
           {R"(" choice { values { struct_value { fields { key: "name"
                value { string_value: "x" } } fields { key: "version"
                value { string_value: "1" } }
                fields { key: "options_schema_json"
                value { string_value: "{}" } } } } })",
            "a plug-in cannot be a value of a search"},
       }) {
    EXPECT_THAT(SpaceWith(parameter),
                StatusIs(absl::StatusCode::kInvalidArgument, text))
        << parameter;
  }
}

// A schema with two texts that may be as long as one likes.
v1::Study TextsStudy(size_t a_bytes, size_t b_bytes) {
  v1::Study study = StudyWith(R"(")");
  v1::PluginModel& plugin =
      *study.mutable_training()->mutable_model()->mutable_plugin();
  plugin.set_options_schema_json(R"({"properties":{
      "a":{"type":"string","default":""},
      "a.b":{"type":"string","default":""}}})");
  plugin.clear_options_json();
  FillSpecDefaults(*study.mutable_training());
  study.mutable_search()->clear_parameters();
  for (const auto& [name, bytes] :
       {std::pair<std::string, size_t>("a", a_bytes), {"a.b", b_bytes}}) {
    v1::Parameter& parameter = *study.mutable_search()->add_parameters();
    parameter.set_path(absl::StrCat("model.plugin.options_json#/", name));
    parameter.mutable_choice()->add_values()->set_string_value(
        std::string(bytes, 'x'));
  }
  return study;
}

absl::StatusOr<Space> TextsSpace(size_t a_bytes, size_t b_bytes) {
  const v1::Study study = TextsStudy(a_bytes, b_bytes);
  return Space::Create(study.search().parameters(), study.training());
}

TEST(PluginSearchTest, BoundsTextsOneByOneAndTogether) {
  EXPECT_THAT(TextsSpace(10, 70'000),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "values[0]: model.plugin.options_json: has 70017 bytes; "
                       "at most 65536 are allowed"));
  const absl::StatusOr<Space> space = TextsSpace(35'000, 35'000);
  ASSERT_THAT(space, IsOk());
  const Point point = space->Draw(1, 1);
  EXPECT_EQ(point.values[1].value().size(), 35'000u);
  EXPECT_THAT(CompleteSpec(point.training, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.options_json: has 70017 bytes"));
}

TEST(PluginSearchTest, SearchesOptionsWhoseNamesHaveDots) {
  const absl::StatusOr<Space> space = TextsSpace(1, 2);
  ASSERT_THAT(space, IsOk());
  EXPECT_EQ(space->Draw(1, 1).training.model().plugin().options_json(),
            R"({"a":"x","a.b":"xx"})");
}

// Escaping makes six bytes of one.
TEST(PluginSpecTest, BoundsOptionsAsTheyAreRecorded) {
  v1::TrainingSpec spec = TextsStudy(1, 1).training();
  spec.mutable_model()->mutable_plugin()->set_options_json(
      absl::StrCat(R"({"a":")", std::string(12'000, '<'), R"("})"));
  EXPECT_THAT(CompleteSpec(spec, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.options_json: has 72017 bytes "
                       "with its defaults, as it is recorded; at most 65536"));
}

TEST(PluginSpecTest, ChecksNamesAndOptions) {
  v1::TrainingSpec spec = StudyWith(R"(")").training();
  v1::PluginModel& plugin = *spec.mutable_model()->mutable_plugin();
  plugin.set_options_json(R"({"width": 5000, "a/b~c": 1})");
  EXPECT_THAT(CompleteSpec(spec, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.options_json#/width: must be "
                       "from 1 to 4096, got 5000."));
  plugin.set_options_schema_json("{");
  EXPECT_THAT(CompleteSpec(spec, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin: the option schema of the "
                       "plug-in is not JSON"));
  plugin.set_name("../mlp");
  EXPECT_THAT(CompleteSpec(spec, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.name: must be 1 to 64 letters"));
  plugin.clear_name();
  EXPECT_THAT(CompleteSpec(spec, "training"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin.name: is required"));
}

}  // namespace
}  // namespace headstart::scheduler
