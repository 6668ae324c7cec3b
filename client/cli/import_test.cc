// headstart checkpoints import: what it sends, and what it refuses to.
#include "client/cli/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/cli/test_commands.h"
#include "storage/blob/digest.h"
#include "storage/safetensors/safetensors.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kImported[] = R"pb(
  name: "imports/net/epochs/0"
  run: "imports/net"
  tensor_bytes: 20008
  tensor_count: 4
)pb";

class ImportTest : public CommandsTest {
 protected:
  // fc.weight and fc.tied of 9,600 bytes, the same; fc.bias of 400; a counter.
  std::string GoodFile() {
    const std::string weight(9600, 'w');
    return *storage::MakeSafetensorsHeader(
               {{.name = "fc.weight", .dtype = DType::kF32, .shape = {24, 100}},
                {.name = "fc.tied", .dtype = DType::kF32, .shape = {24, 100}},
                {.name = "fc.bias", .dtype = DType::kF32, .shape = {100}},
                {.name = "bn.num_batches_tracked", .dtype = DType::kI64}},
               {{"format", "pt"}}) +
           weight + weight + std::string(400, 'b') + std::string(8, 'n');
  }
  Said Import(const std::string& bytes,
              std::vector<std::string> flags = {"--name", "net"}) {
    EXPECT_OK(WriteFileAtomically(file_, bytes));
    flags.insert(flags.begin(), {"checkpoints", "import", file_});
    return Run(std::move(flags), /*terminal=*/false);
  }

  const std::string file_ = folder_ / "net.safetensors";
};

TEST_F(ImportTest, SendsWhatIsMissingAndHasItCommitted) {
  cluster_.Fail("ImportCheckpoint", absl::FailedPreconditionError("missing"));
  cluster_.Answer("ImportCheckpoint", Text<v1::Checkpoint>(kImported));
  const Said said = Import(GoodFile());
  EXPECT_EQ(said.exit_code, 0) << said.error;
  EXPECT_EQ(said.out, "imports/net/epochs/0\n");
  EXPECT_THAT(said.error, HasSubstr("4 tensors"));

  const std::string weight(9600, 'w');
  EXPECT_THAT(cluster_.Blobs(),
              ElementsAre(std::pair(
                  std::string(storage::Digest::Of(weight).bytes()), weight)));
  const auto asked = AllOf(
      StartsWith("ImportCheckpoint manifest { format_version: 1 run: "
                 "\"imports/net\" tensors { name: \"fc.weight\" dtype: "
                 "\"F32\" shape: 24 shape: 100 role: PARAMETER digest: "),
      HasSubstr("name: \"fc.bias\" dtype: \"F32\" shape: 100 role: PARAMETER "
                "inlined: \"bbb"),
      HasSubstr("name: \"bn.num_batches_tracked\" dtype: \"I64\" role: BUFFER "
                "inlined: \"nnnnnnnn\""),
      HasSubstr("reason: \"imported from net.safetensors\""));
  EXPECT_THAT(cluster_.TakeCalls(),
              ElementsAre(asked, "UploadBlobs stored_count: 1", asked));
}

TEST_F(ImportTest, ANameThatIsTakenCostsNoUpload) {
  cluster_.Fail("ImportCheckpoint", absl::AlreadyExistsError("other tensors"));
  const Said said = Import(GoodFile(), {"--name", "net", "--reason", "mine"});
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.error, "headstart: ALREADY_EXISTS: other tensors\n");
  EXPECT_THAT(cluster_.TakeCalls(), ElementsAre(HasSubstr("reason: \"mine\"")));
  EXPECT_THAT(cluster_.Blobs(), IsEmpty());
}

TEST_F(ImportTest, GivesUpWhenStorageNeverHasIt) {
  cluster_.Fail("ImportCheckpoint", absl::FailedPreconditionError("missing"));
  const Said said = Import(GoodFile());
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_EQ(said.error, "headstart: FAILED_PRECONDITION: missing\n");
  EXPECT_THAT(cluster_.Blobs(), Not(IsEmpty()));
}

// Nothing is asked of the cluster for a file that is not good.
TEST_F(ImportTest, RefusesABadFileBeforeItSendsAnything) {
  const auto header = [](const std::string& shape) {
    const std::string text =
        absl::StrCat(R"({"fc.weight":{"dtype":"F32","shape":)", shape,
                     R"(,"data_offsets":[0,16]}})");
    return std::string(1, static_cast<char>(text.size())) +
           std::string(7, '\0') + text;
  };
  const std::pair<std::string, std::string> cases[] = {
      {"", "it has 0 bytes"},
      {"PK\3\4 a file of torch.save, such as model.pt", "claims a header"},
      {GoodFile().substr(0, 10'000), "its tensors span 19608 bytes"},
      {GoodFile() + "x", "its tensors span 19608 bytes"},
      {header("[5]") + std::string(16, 'x'), "tensor \"fc.weight\""},
      {header("[4") + std::string(16, 'x'), "not JSON"},
      {*storage::MakeSafetensorsHeader({}, {}), "tensors: there are none"},
      {*storage::MakeSafetensorsHeader({{.name = "a\nb", .shape = {0}}}, {}),
       "no control characters"},
  };
  for (const auto& [bytes, words] : cases) {
    const Said said = Import(bytes);
    EXPECT_EQ(said.exit_code, 1) << words;
    EXPECT_THAT(said.error,
                AllOf(StartsWith(absl::StrCat(
                          "headstart: INVALID_ARGUMENT: ", file_, ": ")),
                      HasSubstr(words)));
  }
  EXPECT_THAT(cluster_.TakeCalls(), IsEmpty());
}

TEST_F(ImportTest, ReadsRegularFilesOnly) {
  const auto run = [&](const std::string& file) {
    return Run({"checkpoints", "import", file, "--name", "net"}).error;
  };
  EXPECT_THAT(run(folder_ / "none"),
              AllOf(HasSubstr("NOT_FOUND"), HasSubstr(folder_ / "none")));
  EXPECT_THAT(run(folder_.path()), HasSubstr("is not a regular file"));
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(run(folder_ / "pipe"), HasSubstr("is not a regular file"));
}

TEST_F(ImportTest, SaysWhatANameIs) {
  for (const std::string name : {"", "Net", "a/b", ".net", "imports/net"}) {
    const Said said = Import(GoodFile(), {"--name", name});
    EXPECT_EQ(said.exit_code, 2) << name;
    EXPECT_THAT(said.error, HasSubstr("1 to 64 of a-z")) << name;
  }
  EXPECT_EQ(Import(GoodFile(), {}).exit_code, 2);
  EXPECT_THAT(cluster_.TakeCalls(), IsEmpty());
}

TEST(RoleByNameTest, KnowsBatchNormsBuffers) {
  EXPECT_EQ(RoleByName("layer1.0.bn1.running_var"), v1::Tensor::BUFFER);
  EXPECT_EQ(RoleByName("running_mean"), v1::Tensor::BUFFER);
  EXPECT_EQ(RoleByName("bn.my_running_mean"), v1::Tensor::PARAMETER);
  EXPECT_EQ(RoleByName("mask.fc.weight"), v1::Tensor::MASK);
  EXPECT_EQ(RoleByName("inserted.2.mean"), v1::Tensor::INSERTED);
  EXPECT_EQ(RoleByName("running_mean.weight"), v1::Tensor::PARAMETER);
}

}  // namespace
}  // namespace headstart::client
