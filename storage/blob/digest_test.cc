#include "storage/blob/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace headstart::storage {
namespace {

// FIPS 180-2, appendix B.
constexpr char kAbc[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(DigestTest, IsSha256) { EXPECT_EQ(Digest::Of("abc").ToString(), kAbc); }

TEST(DigestTest, DoesNotDependOnPieces) {
  absl::Cord pieces("a");
  pieces.Append(absl::Cord(std::string("bc")));
  Hasher hasher;
  hasher.Update("ab");
  hasher.Update("");
  hasher.Update("c");

  EXPECT_EQ(Digest::Of(pieces), Digest::Of("abc"));
  EXPECT_EQ(hasher.Finish(), Digest::Of("abc"));
}

TEST(DigestTest, ReadsBothItsForms) {
  EXPECT_THAT(Digest::Parse(kAbc), IsOkAndHolds(Digest::Of("abc")));
  EXPECT_THAT(Digest::FromBytes(Digest::Of("abc").bytes()),
              IsOkAndHolds(Digest::Of("abc")));
}

TEST(DigestTest, RefusesAnythingElse) {
  const std::string text = kAbc;
  std::string upper = text;
  upper[10] = 'B';
  for (const std::string& bad :
       {std::string(), text.substr(7), text + "0", text.substr(0, 70),
        "sha512:" + text.substr(7), upper, text.substr(0, 70) + "g"}) {
    EXPECT_THAT(Digest::Parse(bad),
                StatusIs(absl::StatusCode::kInvalidArgument, "sha256:"))
        << bad;
  }
  for (const size_t size : {0, 31, 33}) {
    EXPECT_THAT(Digest::FromBytes(std::string(size, 'x')),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace headstart::storage
