#include "storage/blob/memory_blob_store.h"

#include "storage/blob/verifying_blob_store.h"
#include "tests/contract/blob_store_contract.h"

namespace headstart::storage {
namespace {

class MemoryHarness final : public BlobStoreHarness {
 public:
  BlobStore& store() override { return store_; }

 private:
  MemoryBlobStore store_;
};

std::unique_ptr<BlobStoreHarness> MakeMemory() {
  return std::make_unique<MemoryHarness>();
}

INSTANTIATE_TEST_SUITE_P(Memory, BlobStoreContract,
                         testing::Values(&MakeMemory));

// Serves whatever bytes it is told to.
class LyingBlobStore final : public BlobStore {
 public:
  absl::Status PutAll(absl::Span<const Blob>) override {
    ++put_count;
    return absl::OkStatus();
  }
  absl::StatusOr<absl::Cord> Get(const Digest&) const override { return bytes; }
  absl::StatusOr<std::vector<Digest>> FindMissing(
      absl::Span<const Digest>) override {
    return std::vector<Digest>();
  }

  absl::Cord bytes;
  int put_count = 0;
};

TEST(VerifyingBlobStoreTest, DoesNotHandOnBytesOfAnotherDigest) {
  LyingBlobStore lying;
  VerifyingBlobStore store(lying);
  lying.bytes = absl::Cord("right");

  EXPECT_THAT(store.Get(Digest::Of("right")), IsOkAndHolds(lying.bytes));
  EXPECT_THAT(store.Get(Digest::Of("wrong")),
              StatusIs(absl::StatusCode::kDataLoss, "digest differs"));
}

TEST(VerifyingBlobStoreTest, StoresNothingOfACallWithOneWrongBlob) {
  LyingBlobStore lying;
  VerifyingBlobStore store(lying);

  EXPECT_THAT(
      store.PutAll({BlobOf("right"), {Digest::Of("a"), absl::Cord("b")}}),
      StatusIs(absl::StatusCode::kInvalidArgument));

  EXPECT_EQ(lying.put_count, 0);
}

}  // namespace
}  // namespace headstart::storage
