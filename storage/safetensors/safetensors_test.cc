#include "storage/safetensors/safetensors.h"

#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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
      {File("{"), "not JSON, from byte 9"},
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

TEST(SafetensorsTest, RefusesMoreTensorsThanAnyModelHas) {
  std::vector<SafetensorsTensor> tensors;
  for (int64_t i = 0; i <= kSafetensorsTensorsMax; ++i) {
    tensors.push_back({.name = absl::StrCat(i), .shape = {0}});
  }
  EXPECT_THAT(
      std::string(ParseError(*MakeSafetensorsHeader(tensors, {})).message()),
      HasSubstr("more than 100000 tensors"));
  tensors.pop_back();
  EXPECT_TRUE(ParseError(*MakeSafetensorsHeader(tensors, {})).ok());
}

// One change of a file: a byte, a number in its header, its end, or a piece of
// itself put in again.
void Mutate(RandomStream& random, std::string& file) {
  const auto position = [&] { return random.UniformInt(file.size()); };
  switch (random.UniformInt(4)) {
    case 0:
      file[position()] = static_cast<char>(random.UniformInt(256));
      break;
    case 1: {
      const size_t at = file.find_first_of("0123456789", position());
      if (at == std::string::npos) break;
      constexpr const char* kNumbers[] = {"0",
                                          "-1",
                                          "25",
                                          "1e3",
                                          "4294967297",
                                          "9223372036854775807",
                                          "18446744073709551615",
                                          "99999999999999999999999"};
      file.replace(at, 1, kNumbers[random.UniformInt(std::size(kNumbers))]);
      break;
    }
    case 2:
      file.resize(position());
      break;
    default: {
      const std::string piece = file.substr(position(), random.UniformInt(40));
      file.insert(position(), piece);
    }
  }
  if (file.empty()) file = "x";
}

// Says how large the header is now, as who lies about the rest would.
void MendHeaderSize(std::string& file) {
  const size_t end = file.rfind('}');
  if (file.size() < 8 || end == std::string::npos || end < 8) return;
  for (int i = 0; i < 8; ++i) {
    file[i] = static_cast<char>((end + 1 - 8) >> (8 * i));
  }
}

// Whatever is accepted covers the file's data, each byte once, and says again
// what it was read from.
TEST(SafetensorsTest, NeverBelievesMutatedBytes) {
  const std::string good =
      *MakeSafetensorsHeader(TwoTensors(), {{"format", "pt"}}) +
      std::string(32, 'x');
  int accepted = 0;
  for (int round = 0; round < 30000; ++round) {
    RandomStream random = RandomStream(1).Child("round", round);
    std::string file = good;
    for (int change = 0; change <= round % 4; ++change) Mutate(random, file);
    if (round % 2 == 0) MendHeaderSize(file);
    const auto file_bytes = static_cast<int64_t>(file.size());
    const absl::StatusOr<SafetensorsLayout> layout =
        ParseSafetensorsHeader(file, file_bytes);
    if (!layout.ok()) {
      ASSERT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++accepted;
    int64_t end = layout->data_offset;
    for (const SafetensorsTensor& tensor : layout->tensors) {
      ASSERT_EQ(layout->data_offset + tensor.offset, end);
      ASSERT_GE(tensor.bytes, 0);
      end += tensor.bytes;
    }
    ASSERT_EQ(end, file_bytes);
    const auto again = MakeSafetensorsHeader(layout->tensors, layout->metadata);
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_TRUE(
        ParseSafetensorsHeader(*again, static_cast<int64_t>(again->size()) +
                                           file_bytes - layout->data_offset)
            .ok());
  }
  EXPECT_GT(accepted, 100);  // Changed names and padding are fine.
  EXPECT_LT(accepted, 15000);
}

}  // namespace
}  // namespace headstart::storage
