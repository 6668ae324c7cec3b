#include "storage/codec/codec.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headstart::storage {
namespace {

// Bytes that no compressor shortens; a fixed generator, so equal every time.
std::string Noise(size_t size, uint64_t state = 1) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

TEST(CodecTest, LeavesNoiseAsItIs) {
  const absl::Cord noise(Noise(300'000));

  const Encoded encoded = Encode(noise);

  EXPECT_EQ(encoded.codec, Codec::kNone);
  EXPECT_EQ(encoded.bytes, noise);
}

TEST(CodecTest, CompressesZerosAndGivesThemBack) {
  const absl::Cord zeros(std::string(1'000'000, '\0'));

  const Encoded encoded = Encode(zeros);

  EXPECT_EQ(encoded.codec, Codec::kZstd);
  EXPECT_LT(encoded.bytes.size(), 1000u);
  EXPECT_EQ(*Decode(encoded.codec, encoded.bytes, 1'000'000), zeros);
}

TEST(CodecTest, TakesNoMemoryForWhatIsLarge) {
  const absl::Cord zeros(std::string((32 << 20) + 1, '\0'));

  const Encoded encoded = Encode(zeros);

  EXPECT_EQ(encoded.codec, Codec::kNone);
  EXPECT_EQ(encoded.bytes, zeros);
}

TEST(CodecTest, LooksAtTheWholeNotJustAtItsStart) {
  const absl::Cord bytes(std::string(64 << 10, '\0') + Noise(10'000'000));

  EXPECT_EQ(Encode(bytes).codec, Codec::kNone);
}

TEST(CodecTest, HandlesNoBytes) {
  const Encoded encoded = Encode(absl::Cord());

  EXPECT_EQ(encoded.codec, Codec::kNone);
  EXPECT_TRUE(Decode(encoded.codec, encoded.bytes, 0)->empty());
}

TEST(CodecTest, RefusesAnotherSizeThanAnnounced) {
  const Encoded encoded = Encode(absl::Cord(std::string(100'000, 'a')));

  for (const int64_t size : {0, 99'999, 100'001}) {
    EXPECT_EQ(Decode(encoded.codec, encoded.bytes, size).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
    EXPECT_EQ(Decode(Codec::kNone, encoded.bytes, size).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
}

TEST(CodecTest, SurvivesMutatedInput) {
  const std::string raw(10'000, 'a');
  const std::string good(Encode(absl::Cord(raw)).bytes);
  const std::string noise = Noise(3'000 * 2, 7);

  for (size_t i = 0; i < noise.size(); i += 2) {
    std::string bad = good;
    bad[static_cast<unsigned char>(noise[i]) % bad.size()] ^= noise[i + 1];
    const auto decoded = Decode(Codec::kZstd, absl::Cord(bad), raw.size());
    if (decoded.ok()) {
      EXPECT_EQ(decoded->size(), raw.size());
    }
  }
}

TEST(CodecTest, RefusesAnUnknownCodec) {
  const auto decoded = Decode(static_cast<Codec>(9), absl::Cord("abc"), 3);

  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(decoded.status().message(), testing::HasSubstr("codec 9"));
}

}  // namespace
}  // namespace headstart::storage
