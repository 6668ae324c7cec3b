#include "storage/safetensors/safetensors.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/random_stream.h"

namespace headstart::storage {
namespace {

using ::testing::HasSubstr;

std::vector<SafetensorsTensor> TwoTensors() {
  return {{.name = "fc.weight", .dtype = DType::kF32, .shape = {2, 3}},
          {.name = "steps", .dtype = DType::kI64, .shape = {}}};
}

// A file with this header text and `data` zero bytes after it.
std::string File(const std::string& header, size_t data = 0) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) {
    file[i] = static_cast<char>(header.size() >> (8 * i));
  }
  return file + header + std::string(data, '\0');
}

absl::Status ParseError(const std::string& file) {
  return ParseSafetensorsHeader(file, static_cast<int64_t>(file.size()))
      .status();
}

TEST(SafetensorsTest, WritesWhatTheFormatSays) {
  const absl::StatusOr<std::string> header =
      MakeSafetensorsHeader(TwoTensors(), {{"format", "pt"}});

  ASSERT_TRUE(header.ok()) << header.status();
  const std::string text =
      R"({"__metadata__":{"format":"pt"},)"
      R"("fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("steps":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})";
  EXPECT_EQ(header->substr(8, text.size()), text);
  EXPECT_EQ(header->size() % 8, 0u);
  EXPECT_EQ(header->find_last_not_of(' '), 8 + text.size() - 1);
}

TEST(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::string file =
      *MakeSafetensorsHeader(TwoTensors(), {{"format", "pt"}, {"run", "ü"}}) +
      std::string(32, 'x');

  const absl::StatusOr<SafetensorsLayout> layout =
      ParseSafetensorsHeader(file, static_cast<int64_t>(file.size()));

  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->metadata.at("run"), "ü");
  ASSERT_EQ(layout->tensors.size(), 2u);
  EXPECT_EQ(layout->tensors[0].name, "fc.weight");
  EXPECT_EQ(layout->tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(layout->tensors[0].bytes, 24);
  EXPECT_EQ(layout->tensors[1].offset, 24);
  EXPECT_EQ(layout->tensors[1].dtype, DType::kI64);
  EXPECT_EQ(layout->data_offset + 32, layout->file_bytes);
}

TEST(SafetensorsTest, AcceptsAnEmptyFileAndEmptyTensors) {
  EXPECT_TRUE(ParseError(File("{}")).ok());
  const std::string file = *MakeSafetensorsHeader(
      {{.name = "a", .shape = {0, 4}}, {.name = "b", .shape = {1}}}, {});
  EXPECT_TRUE(ParseError(file + "1234").ok());
}

TEST(SafetensorsTest, SaysHowMuchOfTheFileItNeeds) {
  const std::string header = *MakeSafetensorsHeader(TwoTensors(), {});
  const int64_t file_bytes = static_cast<int64_t>(header.size()) + 32;
  for (size_t size = 0; size < header.size(); ++size) {
    EXPECT_EQ(ParseSafetensorsHeader(header.substr(0, size), file_bytes)
                  .status()
                  .code(),
              absl::StatusCode::kOutOfRange);
  }
  EXPECT_TRUE(ParseSafetensorsHeader(header, file_bytes).ok());
}

TEST(SafetensorsTest, RefusesWhatItCannotWrite) {
  EXPECT_EQ(
      MakeSafetensorsHeader({{.name = "a"}, {.name = "a"}}, {}).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      MakeSafetensorsHeader({{.name = "__metadata__"}}, {}).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      MakeSafetensorsHeader(
          {{.name = "a", .shape = {int64_t{1} << 40, int64_t{1} << 40}}}, {})
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(SafetensorsTest, RefusesHostileHeaders) {
  const struct {
    std::string file;
    std::string words;
  } cases[] = {
      {"", "8"},
      {std::string(8, '\xff'), "claims"},
      {File("[]"), "object"},
      {File("{"), "object"},
      {File(R"({"a":1})"), "dtype"},
      {File(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4),
       "F33"},
      {File(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
       "shape"},
      {File(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4),
       "shape"},
      {File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
       "span"},
      {File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
       "span"},
      {File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
       "gap"},
      {File(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
            R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
            3),
       "overlap"},
      {File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3),
       "span"},
      {File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5),
       "span"},
      {File(R"({"a":{"dtype":"U8","shape":[1099511627776,1099511627776],)"
            R"("data_offsets":[0,0]}})"),
       "larger"},
      {File(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
            R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
       "twice"},
      {File(R"({"__metadata__":{"a":1}})"), "__metadata__.a"},
      {File(R"({"a":{"dtype":[[[[[1]]]]],"shape":[],"data_offsets":[0,1]}})"),
       "nested"},
  };
  for (const auto& [file, words] : cases) {
    const absl::Status status = ParseError(file);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << file;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words)) << file;
  }
}

// Whatever is accepted lies within the file: bytes changed at random.
TEST(SafetensorsTest, NeverBelievesMutatedBytes) {
  const std::string good =
      *MakeSafetensorsHeader(TwoTensors(), {{"format", "pt"}}) +
      std::string(32, 'x');
  RandomStream stream(1);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string file = good;
    RandomStream draw = stream.Child("round", round);
    for (int change = 0; change <= round % 4; ++change) {
      RandomStream at = draw.Child("change", change);
      file[at.Child("position").UniformInt(good.size() - 32)] =
          static_cast<char>(at.Child("byte").UniformInt(256));
    }
    const absl::StatusOr<SafetensorsLayout> layout =
        ParseSafetensorsHeader(file, static_cast<int64_t>(file.size()));
    if (!layout.ok()) continue;
    ++accepted;
    for (const SafetensorsTensor& tensor : layout->tensors) {
      ASSERT_GE(tensor.offset, 0);
      ASSERT_LE(layout->data_offset + tensor.offset + tensor.bytes,
                static_cast<int64_t>(file.size()));
    }
  }
  EXPECT_GT(accepted, 0);  // Changed names and padding are fine.
  EXPECT_LT(accepted, 15000);
}

}  // namespace
}  // namespace headstart::storage
