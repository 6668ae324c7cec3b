#include "worker/plugin/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/status_matchers.h"

namespace headstart::worker {
namespace {

using plugin::Option;

std::vector<Option> Declared() {
  return {{.name = "width", .default_value = 8, .minimum = 1, .maximum = 64},
          {.name = "rate",
           .default_value = 0.5,
           .exclusive_minimum = 0,
           .exclusive_maximum = 1},
          {.name = "bias", .default_value = true},
          {.name = "shape",
           .default_value = "round",
           .allowed = {"round", "square"}}};
}

TEST(PluginOptionsTest, ReadsEveryType) {
  const auto options = ReadOptions(
      Declared(),
      R"({"width": 9.0, "rate": 0.25, "bias": false, "shape": "square"})");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->Integer("width"), 9);
  EXPECT_EQ(options->Number("rate"), 0.25);
  EXPECT_FALSE(options->Bool("bias"));
  EXPECT_EQ(options->Text("shape"), "square");
  EXPECT_ANY_THROW(options->Integer("rate"));
  EXPECT_ANY_THROW(options->Integer("depth"));
}

TEST(PluginOptionsTest, TakesAWholeNumberForANumber) {
  const std::vector<Option> rate = {{.name = "rate", .default_value = 0.5}};
  EXPECT_EQ(ReadOptions(rate, R"({"rate": 1})")->Number("rate"), 1);
}

TEST(PluginOptionsTest, RefusesWhatIsNotAllowed) {
  const std::string rest = R"("rate": 0.5, "bias": true, "shape": "round"})";
  for (const auto& [json, text] :
       {std::pair<std::string, std::string>(R"([])", "no JSON object"),
        {R"({"width": )", "no JSON object"},
        {R"({"width": 8})", "\"rate\" is missing"},
        {R"({"width": 0, )" + rest, "\"width\" cannot be 0"},
        {R"({"width": 65, )" + rest, "\"width\" cannot be 65"},
        {R"({"width": 8.5, )" + rest, "\"width\" cannot be 8.5"},
        {R"({"width": 1e300, )" + rest, "\"width\" cannot be 1e+300"},
        {R"({"width": "8", )" + rest, "\"width\" cannot be \"8\""},
        {R"({"width": true, )" + rest, "\"width\" cannot be true"},
        {R"({"width": 8, "depth": 1, )" + rest, "\"depth\" is unknown"},
        {R"({"width": 8, "rate": 0, "bias": true, "shape": "round"})",
         "\"rate\" cannot be 0"},
        {R"({"width": 8, "rate": 1, "bias": true, "shape": "round"})",
         "\"rate\" cannot be 1"},
        {R"({"width": 8, "rate": 0.5, "bias": 1, "shape": "round"})",
         "\"bias\" cannot be 1"},
        {R"({"width": 8, "rate": 0.5, "bias": true, "shape": "flat"})",
         "\"shape\" cannot be \"flat\""}}) {
    EXPECT_THAT(ReadOptions(Declared(), json).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, text))
        << json;
  }
}

TEST(PluginOptionsTest, RefusesDeclarationsThatContradictThemselves) {
  for (const auto& [options, text] :
       {std::pair<std::vector<Option>, std::string>(
            {{.name = "", .default_value = 1}}, "needs a name"),
        {{{.name = "a"}, {.name = "a"}}, "\"a\" is declared twice"},
        {{{.name = "a", .default_value = 0, .minimum = 1}},
         "default that it does not allow"},
        {{{.name = "a", .default_value = "x", .minimum = 1}}, "minimum"},
        {{{.name = "a",
        .default_value = 1,
        .maximum = std::numeric_limits<double>::infinity()}},
         "maximum"},
        {{{.name = "a", .default_value = "x", .allowed = {"y"}}},
         "default that it does not allow"},
        {{{.name = "a", .default_value = "x", .allowed = {1, "x"}}},
         "another type"},
        {{{.name = "a", .description = std::string(20'000, 'x')}},
         "at most 16384 bytes"}}) {
    EXPECT_THAT(OptionSchemaJson(options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  }
}

}  // namespace
}  // namespace headstart::worker
