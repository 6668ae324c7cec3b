#include "storage/pack/pack_file.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/random_stream.h"
#include "storage/blob/blob_store.h"
#include "tests/support/hex_dump.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

// Or a start would cut off, as torn, what it could not read just now.
TEST(PackFileTest, ScanDoesNotTakeAReadErrorForTheEnd) {
  TempDir folder;  // Reads of it fail with EISDIR.

  EXPECT_THAT(
      ScanRecords(folder.path(), 0, [](int64_t, const RecordHeader&) {}),
      StatusIs(absl::StatusCode::kInternal, folder.path()));
}

TEST(PackFileTest, ChecksumIsCrc32c) {
  // RFC 3720, appendix B.4, and the usual check value.
  EXPECT_EQ(Crc32c(absl::Cord("123456789")), 0xe3069283u);
  EXPECT_EQ(Crc32c(absl::Cord(std::string(32, '\0'))), 0x8a9136aau);
  absl::Cord pieces("1234");
  pieces.Append(absl::Cord(std::string("56789")));
  EXPECT_EQ(Crc32c(pieces), 0xe3069283u);
}

TEST(PackFileTest, ReadsTheHeaderItWrote) {
  const Record record = MakeRecord(Digest::Of("abc"), absl::Cord("abc"));

  ASSERT_OK_AND_ASSIGN(const RecordHeader header,
                       ParseRecordHeader(EncodeRecordHeader(record.header)));

  EXPECT_EQ(header.digest, Digest::Of("abc"));
  EXPECT_EQ(header.raw_size, 3);
  EXPECT_EQ(header.stored_size, 3);
  EXPECT_EQ(header.codec, Codec::kNone);
  EXPECT_EQ(header.crc32c, Crc32c(absl::Cord("abc")));
}

TEST(PackFileTest, WritesWhatIsDocumented) {
  const Record record = MakeRecord(Digest::Of("abc"), absl::Cord("abc"));
  const std::string pack =
      absl::StrCat(EncodePackHeader(1), EncodeRecordHeader(record.header),
                   std::string(record.stored));

  ASSERT_OK_AND_ASSIGN(const std::string document,
                       ReadFile(SourceFolder() + "/docs/pack_format.md"));

  EXPECT_THAT(document, testing::HasSubstr(HexDump(pack)));
}

TEST(PackFileTest, BelievesNoSizeThatCannotBe) {
  const auto with_sizes = [](int64_t raw, int64_t stored) {
    RecordHeader header;
    header.raw_size = raw;
    header.stored_size = stored;
    return ParseRecordHeader(EncodeRecordHeader(header)).status();
  };
  EXPECT_OK(with_sizes(kBlobBytesMax, kBlobBytesMax));
  for (const auto& [raw, stored] : std::vector<std::pair<int64_t, int64_t>>{
           {kBlobBytesMax + 1, 1}, {-1, 0}, {5, 6}, {5, -1}}) {
    EXPECT_THAT(with_sizes(raw, stored),
                StatusIs(absl::StatusCode::kDataLoss, "cannot be"));
  }
}

TEST(PackFileTest, TakesNoMutatedHeader) {
  const std::string good = EncodeRecordHeader(
      MakeRecord(Digest::Of("abc"), absl::Cord("abc")).header);
  for (size_t byte = 0; byte < good.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[byte] ^= static_cast<char>(1 << bit);
      EXPECT_THAT(ParseRecordHeader(bad),
                  StatusIs(absl::StatusCode::kDataLoss));
    }
    EXPECT_THAT(ParseRecordHeader(good.substr(0, byte)),
                StatusIs(absl::StatusCode::kDataLoss, "ends within"));
  }
}

// Whatever happens to a pack, a scan ends, and what it visits is undamaged.
TEST(PackFileTest, ScansMutatedPacks) {
  const int file = memfd_create("pack", 0);  // Thousands of them: no disk.
  ASSERT_GE(file, 0);
  const std::string path = absl::StrCat("/proc/self/fd/", file);
  std::string pack = EncodePackHeader(1);
  std::set<Digest> digests;
  for (int i = 0; i < 5; ++i) {
    const std::string raw(100 * i, static_cast<char>('a' + i));
    const Record record = MakeRecord(Digest::Of(raw), absl::Cord(raw));
    pack += EncodeRecordHeader(record.header) + std::string(record.stored);
    digests.insert(record.header.digest);
  }
  RandomStream random = RandomStream(7).Child("mutations");
  for (int i = 0; i < 3000; ++i) {
    std::string mutated = pack;
    const int64_t count = random.UniformInt(4);
    for (int64_t j = 0; j < count; ++j) {
      mutated[random.UniformInt(pack.size())] =
          static_cast<char>(random.UniformInt(256));
    }
    if (i % 3 == 0) mutated.resize(random.UniformInt(pack.size() + 1));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << mutated;

    ASSERT_OK_AND_ASSIGN(
        const int64_t end,
        ScanRecords(path, kPackHeaderBytes,
                    [&](int64_t offset, const RecordHeader& header) {
                      EXPECT_TRUE(digests.contains(header.digest));
                      EXPECT_OK(ReadRecord(path, offset));
                    }));
    EXPECT_LE(end, std::max<int64_t>(kPackHeaderBytes, mutated.size()));
  }
  close(file);
}

TEST(PackFileTest, ShortensTheFileAgainWhenThereIsNoRoom) {
  TempDir folder;
  ASSERT_OK_AND_ASSIGN(
      const auto writer,
      PackWriter::Create(folder.path(), 1, [](int) { return 0; }));
  ASSERT_OK(writer->Append(absl::Cord("kept")));
  // A limit on file sizes is the full disk of a test: SIGXFSZ is ignored, and
  // write reports what it could do, then EFBIG.
  EXPECT_EXIT(
      {
        signal(SIGXFSZ, SIG_IGN);
        rlimit limit;
        limit.rlim_cur = limit.rlim_max = 1000;
        setrlimit(RLIMIT_FSIZE, &limit);
        const absl::Status status =
            writer->Append(absl::Cord(std::string(5000, 'x')));
        const bool right =
            !status.ok() && writer->end() == kPackHeaderBytes + 4 &&
            std::filesystem::file_size(PackPath(folder.path(), 1)) == 20;
        _exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace headstart::storage
