// What every BlobStore promises. A backend's test instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, BlobStoreContract,
//                            testing::Values(&MakeHarness));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/blob/blob_store.h"
#include "tests/support/status_matchers.h"

namespace headstart::storage {

// Owns the store under test and what it stands on.
class BlobStoreHarness {
 public:
  virtual ~BlobStoreHarness() = default;
  virtual BlobStore& store() = 0;
};

using MakeBlobStoreHarness = std::unique_ptr<BlobStoreHarness> (*)();

// A blob of these bytes.
inline Blob BlobOf(absl::string_view bytes) {
  return {Digest::Of(bytes), absl::Cord(bytes)};
}

// `size` bytes that differ for each `seed` and do not compress.
inline std::string NoiseOf(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t state = seed * 2 + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

class BlobStoreContract : public testing::TestWithParam<MakeBlobStoreHarness> {
 protected:
  BlobStore& store() { return harness_->store(); }

  std::unique_ptr<BlobStoreHarness> harness_ = GetParam()();
};

TEST_P(BlobStoreContract, GivesBackWhatWasPut) {
  const Blob blob = BlobOf("some bytes");

  ASSERT_OK(store().Put(blob.digest, blob.bytes));

  EXPECT_THAT(store().Get(blob.digest), IsOkAndHolds(blob.bytes));
}

TEST_P(BlobStoreContract, KeepsManyBlobsOfOneCall) {
  // Nothing, compressible, larger than one message, and in pieces.
  absl::Cord pieces(NoiseOf(1'300'000, 1));
  pieces.Append(absl::Cord(NoiseOf(900'000, 2)));
  const std::vector<Blob> blobs = {BlobOf(""),
                                   BlobOf(std::string(100'000, '\0')),
                                   BlobOf(NoiseOf(1 << 20, 3)),
                                   {Digest::Of(pieces), pieces}};

  ASSERT_OK(store().PutAll(blobs));

  for (const Blob& blob : blobs) {
    EXPECT_THAT(store().Get(blob.digest), IsOkAndHolds(blob.bytes));
  }
}

TEST_P(BlobStoreContract, TakesAPutAgain) {
  const Blob blob = BlobOf("twice");

  ASSERT_OK(store().PutAll({blob, blob}));
  ASSERT_OK(store().Put(blob.digest, blob.bytes));

  EXPECT_THAT(store().Get(blob.digest), IsOkAndHolds(blob.bytes));
}

TEST_P(BlobStoreContract, RefusesBytesThatDoNotHashToTheirDigest) {
  const Digest digest = Digest::Of("these bytes");

  EXPECT_THAT(store().Put(digest, absl::Cord("other bytes")),
              StatusIs(absl::StatusCode::kInvalidArgument, "hash to"));

  EXPECT_THAT(store().Get(digest), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store().FindMissing({digest}),
              IsOkAndHolds(testing::ElementsAre(digest)));
}

TEST_P(BlobStoreContract, DoesNotKnowWhatWasNeverPut) {
  const Digest digest = Digest::Of("never put");

  EXPECT_THAT(store().Get(digest),
              StatusIs(absl::StatusCode::kNotFound, digest.ToString()));
}

TEST_P(BlobStoreContract, FindsTheMissingInTheOrderGiven) {
  const Blob stored = BlobOf("stored");
  const Digest one = Digest::Of("1");
  const Digest two = Digest::Of("2");
  ASSERT_OK(store().Put(stored.digest, stored.bytes));

  EXPECT_THAT(store().FindMissing({two, stored.digest, one}),
              IsOkAndHolds(testing::ElementsAre(two, one)));
  EXPECT_THAT(store().FindMissing({}), IsOkAndHolds(testing::IsEmpty()));
}

TEST_P(BlobStoreContract, AsksAboutMoreThanFitsIntoOneCall) {
  const Blob stored = BlobOf("stored");
  ASSERT_OK(store().Put(stored.digest, stored.bytes));
  std::vector<Digest> digests;
  for (int i = 0; i < 25'000; ++i)
    digests.push_back(Digest::Of(absl::StrCat(i)));
  digests.push_back(stored.digest);

  ASSERT_OK_AND_ASSIGN(const auto missing, store().FindMissing(digests));

  digests.pop_back();
  EXPECT_EQ(missing, digests);
}

TEST_P(BlobStoreContract, TakesPutsFromManyThreads) {
  constexpr int kThreads = 8;
  constexpr int kBlobs = 20;
  // Every second blob is put by two threads.
  const auto blob_of = [](int thread, int i) {
    return BlobOf(NoiseOf(
        1000 + i, i % 2 == 0 ? thread / 2 * 100 + i : 1000 + thread * 100 + i));
  };
  std::vector<absl::Status> results(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kBlobs; ++i) {
        const Blob blob = blob_of(thread, i);
        results[thread].Update(store().Put(blob.digest, blob.bytes));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  for (int thread = 0; thread < kThreads; ++thread) {
    EXPECT_OK(results[thread]);
    for (int i = 0; i < kBlobs; ++i) {
      const Blob blob = blob_of(thread, i);
      EXPECT_THAT(store().Get(blob.digest), IsOkAndHolds(blob.bytes));
    }
  }
}

}  // namespace headstart::storage
