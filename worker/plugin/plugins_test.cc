#include "worker/plugin/plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <stdexcept>

#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGood[] = TEST_PLUGINS "/test_plugin_good.so";
constexpr ModelShape kShape = {
    .channels = 1, .height = 2, .width = 2, .classes = 2};

// A folder of plug-ins.
class PluginsTest : public ::testing::Test {
 protected:
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, folder_ / to);
  }
  // The good one with some bytes replaced by as many others.
  void CopyWith(const std::string& to, const std::string& old_bytes,
                const std::string& new_bytes) {
    ASSERT_EQ(old_bytes.size(), new_bytes.size());
    const std::string good = *ReadFile(kGood);
    const std::string changed =
        absl::StrReplaceAll(good, {{old_bytes, new_bytes}});
    ASSERT_NE(changed, good);
    ASSERT_TRUE(WriteFileAtomically(folder_ / to, changed).ok());
  }
  // Why the only plug-in there was refused.
  std::string Refusal() {
    const Plugins plugins = Plugins::Load(folder_.path());
    EXPECT_THAT(plugins.descriptions(), IsEmpty());
    EXPECT_THAT(plugins.refused(), SizeIs(1));
    return plugins.refused().empty() ? "" : plugins.refused()[0].message;
  }

  const TempDir folder_;
};

PluginSpec OneLayer(const std::string& mood) {
  return {
      .name = "one_layer",
      .version = "1",
      .options_json = absl::StrCat(R"({"width": 8, "mood": ")", mood, R"("})")};
}

TEST_F(PluginsTest, DescribesAndMakesWhatIsThere) {
  Copy(kGood, "good.so");
  Copy(kGood, "not_looked_at.txt");
  const Plugins plugins = Plugins::Load(folder_.path());

  EXPECT_THAT(plugins.refused(), IsEmpty());
  ASSERT_THAT(plugins.descriptions(), SizeIs(2));
  EXPECT_EQ(plugins.descriptions()[0],
            (PluginDescription{
                .kind = PluginKind::kModel,
                .name = "one_layer",
                .version = "1",
                .options_schema_json =
                    R"({"properties":{"mood":{"default":"good",)"
                    R"("description":"What it does.","type":"string"},)"
                    R"("width":{"default":8,"maximum":64.0,"minimum":1.0,)"
                    R"("type":"integer"}},"type":"object"})",
                .file = "good.so"}));
  EXPECT_EQ(plugins.descriptions()[1].kind, PluginKind::kDataset);

  const auto model = plugins.MakeModel(OneLayer("good"), kShape);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->forward(at::zeros({3, 1, 2, 2})).sizes(),
            (std::vector<int64_t>{3, 2}));
  const auto images =
      plugins.ReadImages({.name = "two_greys",
                          .version = "1.0",
                          .options_json = R"({"spoiled": false})"},
                         {}, plugin::Part::kTest);
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(images->labels, SizeIs(10));
}

TEST_F(PluginsTest, RefusesAnotherTorchAndNamesBoth) {
  CopyWith("old.so", absl::StrCat("torch=", TORCH_VERSION, "\n"), [] {
    std::string other = TORCH_VERSION;
    other.back() = other.back() == '7' ? '8' : '7';
    return absl::StrCat("torch=", other, "\n");
  }());
  EXPECT_THAT(
      Refusal(),
      AllOf(HasSubstr("built for torch 2."), HasSubstr("7 by headstart "),
            HasSubstr(absl::StrCat("has torch ", TORCH_VERSION, "."))));
}

TEST_F(PluginsTest, RefusesAnotherInterface) {
  CopyWith("new.so", "\napi=2\n", "\napi=9\n");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("built for version 9 of the plug-in"),
                               HasSubstr("has version 2.")));
}

TEST_F(PluginsTest, RefusesWhatLacksItsFunction) {
  CopyWith("cut.so", "headstart_plugin_register", "headstart_plugin_registry");
  EXPECT_THAT(Refusal(), HasSubstr("export headstart_plugin_register"));
}

TEST_F(PluginsTest, RefusesWhatIsNoPlugin) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "text.so", "int main() {}").ok());
  EXPECT_THAT(Refusal(), HasSubstr("no shared library"));
}

TEST_F(PluginsTest, DoesNotWaitForAPipe) {
  ASSERT_EQ(mkfifo((folder_ / "pipe.so").c_str(), 0600), 0);
  EXPECT_EQ(Refusal(), "it is no regular file.");
}

TEST_F(PluginsTest, RefusesALibraryThatIsNoPlugin) {
  std::filesystem::copy_file("/proc/self/exe", folder_ / "program.so");
  CopyWith("other.so", "headstart plug-in description",
           "another library's description");
  const Plugins plugins = Plugins::Load(folder_.path());
  ASSERT_THAT(plugins.refused(), SizeIs(2));
  EXPECT_THAT(plugins.refused()[0].message, HasSubstr("no HEADSTART_PLUGIN"));
}

TEST_F(PluginsTest, RefusesAFileCutShort) {
  const std::string good = *ReadFile(kGood);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "cut.so",
                                  absl::StrCat(good.substr(0, 5'000),
                                               HEADSTART_PLUGIN_DESCRIPTION))
                  .ok());
  EXPECT_THAT(Refusal(), HasSubstr("it "));  // It cannot, or it crashes.
}

TEST_F(PluginsTest, GoesOnWithoutThoseThatThrowOrCrash) {
  Copy(TEST_PLUGINS "/test_plugin_crashes.so", "crashes.so");
  Copy(kGood, "good.so");
  Copy(TEST_PLUGINS "/test_plugin_throws.so", "throws.so");
  const Plugins plugins = Plugins::Load(folder_.path());

  EXPECT_THAT(plugins.descriptions(), SizeIs(2));
  EXPECT_THAT(
      plugins.refused(),
      ElementsAre(
          AllOf(Field(&RefusedPlugin::file, "crashes.so"),
                Field(&RefusedPlugin::message,
                      HasSubstr("the process that loads it"))),
          AllOf(Field(&RefusedPlugin::file, "throws.so"),
                Field(&RefusedPlugin::message,
                      HasSubstr("HEADSTART_PLUGIN threw: not today")))));
}

TEST_F(PluginsTest, RefusesNamesThatAreTaken) {
  Copy(kGood, "a.so");
  Copy(kGood, "b.so");
  const Plugins plugins = Plugins::Load(folder_.path());
  EXPECT_THAT(plugins.descriptions(), SizeIs(2));
  ASSERT_THAT(plugins.refused(), SizeIs(1));
  EXPECT_EQ(plugins.refused()[0].message,
            "model plug-in one_layer 1 is registered by a.so already.");
}

TEST_F(PluginsTest, SaysThatTheFolderIsNotThere) {
  const Plugins plugins = Plugins::Load(folder_ / "nowhere");
  ASSERT_THAT(plugins.refused(), SizeIs(1));
}

TEST_F(PluginsTest, TurnsRefusalsIntoStatusesAndLetsTheRestPass) {
  Copy(kGood, "good.so");
  const Plugins plugins = Plugins::Load(folder_.path());

  EXPECT_THAT(plugins.MakeModel(OneLayer("refuses"), kShape).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.plugin: model plug-in one_layer 1 "
                       "(good.so): I do not like that"));
  EXPECT_THAT(plugins.MakeModel(OneLayer("gives none"), kShape).status(),
              StatusIs(absl::StatusCode::kInternal, "made no model"));
  EXPECT_THROW(plugins.MakeModel(OneLayer("throws"), kShape).IgnoreError(),
               std::runtime_error);
  PluginSpec other = OneLayer("good");
  other.version = "2";
  EXPECT_THAT(plugins.MakeModel(other, kShape).status(),
              StatusIs(absl::StatusCode::kNotFound,
                       "no model plug-in one_layer 2; it has model plug-in "
                       "one_layer 1"));
  EXPECT_THAT(plugins
                  .ReadImages({.name = "two_greys",
                               .version = "1.0",
                               .options_json = R"({"spoiled": true})"},
                              {}, plugin::Part::kTrain)
                  .status(),
              StatusIs(absl::StatusCode::kInternal,
                       "(good.so): gave images with label 2 of 2 classes"));
}

}  // namespace
}  // namespace headstart::worker
