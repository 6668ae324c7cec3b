// Parsers against hand-made files; the real MNIST of examples/data as a whole.
#include "worker/dataset_files/dataset_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/random_stream.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "worker/dataset_files/formats.h"

namespace headstart::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ImageFormat kTiny = {
    .channels = 1, .height = 2, .width = 3, .classes = 10};
constexpr ImageFormat kTinyCifar = {
    .channels = 3, .height = 1, .width = 2, .classes = 10};

class DatasetFilesTest : public ::testing::Test {
 protected:
  std::string WriteGzip(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, content.data(), content.size());
    gzclose(file);
    return path;
  }

  std::string WritePlain(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::filesystem::create_directories(
        std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  const TempDir temp_;
  const std::string folder_ = temp_.path();
};

std::string BigEndian(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16),
          static_cast<char>(n >> 8), static_cast<char>(n)};
}

std::string ImagesHeader(uint32_t magic, uint32_t count, uint32_t rows,
                         uint32_t columns) {
  return BigEndian(magic) + BigEndian(count) + BigEndian(rows) +
         BigEndian(columns);
}

TEST_F(DatasetFilesTest, ReadsIdxImages) {
  const std::string content = ImagesHeader(2051, 2, 2, 3) + "abcdefghijkl";
  const std::string path = WriteGzip("images.gz", content);
  std::array<uint8_t, 12> pixels;

  const absl::StatusOr<uint32_t> crc32 =
      ReadIdxImages(path, kTiny, absl::MakeSpan(pixels));

  ASSERT_TRUE(crc32.ok()) << crc32.status();
  EXPECT_EQ(std::string(pixels.begin(), pixels.end()), "abcdefghijkl");
  EXPECT_EQ(*crc32, ::crc32(0, reinterpret_cast<const Bytef*>(content.data()),
                            content.size()));
}

struct BadImages {
  std::string what;
  std::string content;
  absl::StatusCode code;
  std::string says;
};

TEST_F(DatasetFilesTest, RefusesIdxImagesThatDescribeOtherData) {
  const std::vector<BadImages> cases = {
      {"magic", ImagesHeader(2049, 2, 2, 3) + "abcdefghijkl",
       absl::StatusCode::kDataLoss,
       "offset 0: the magic number is 2049, but must be 2051"},
      {"count", ImagesHeader(2051, 3, 2, 3) + "abcdefghijkl",
       absl::StatusCode::kDataLoss, "offset 4: the number of images"},
      {"rows", ImagesHeader(2051, 2, 3, 3) + "abcdefghijkl",
       absl::StatusCode::kDataLoss, "offset 8: the number of rows"},
      {"columns", ImagesHeader(2051, 2, 2, 2) + "abcdefghijkl",
       absl::StatusCode::kDataLoss, "offset 12: the number of columns"},
      {"header", "abc", absl::StatusCode::kDataLoss, "ends at offset 3"},
      {"short", ImagesHeader(2051, 2, 2, 3) + "abcdefghijk",
       absl::StatusCode::kDataLoss, "ends at offset 27 where 1 more"},
      {"long", ImagesHeader(2051, 2, 2, 3) + "abcdefghijklm",
       absl::StatusCode::kDataLoss, "goes on after offset 28"},
  };
  for (const BadImages& bad : cases) {
    const std::string path = WriteGzip(bad.what + ".gz", bad.content);
    std::array<uint8_t, 12> pixels;

    const absl::Status status =
        ReadIdxImages(path, kTiny, absl::MakeSpan(pixels)).status();

    EXPECT_EQ(status.code(), bad.code) << bad.what;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path), HasSubstr(bad.says)));
  }
}

TEST_F(DatasetFilesTest, NamesTheOffsetOfALabelThatIsNoClass) {
  const std::string path =
      WriteGzip("labels.gz", BigEndian(2049) + BigEndian(4) +
                                 std::string("\x03\x09\x0a\x01", 4));
  std::array<uint8_t, 4> labels;

  const absl::Status status =
      ReadIdxLabels(path, kTiny, absl::MakeSpan(labels)).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("offset 10: label 10 is no class; 0 to 9 are"));
}

TEST_F(DatasetFilesTest, FindsAFlippedBitInsideGzip) {
  const std::string content =
      ImagesHeader(2051, 2, 2, 3) + std::string("abcdefghijkl");
  const std::string path = WriteGzip("images.gz", content);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-6, std::ios::end);  // In the stored CRC-32.
  file.put('\x55');
  file.close();
  std::array<uint8_t, 12> pixels;

  const absl::Status status =
      ReadIdxImages(path, kTiny, absl::MakeSpan(pixels)).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("damaged"));
}

TEST_F(DatasetFilesTest, FindsACutGzipFile) {
  const std::string path = WriteGzip(
      "images.gz", ImagesHeader(2051, 2, 2, 3) + std::string("abcdefghijkl"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 9);
  std::array<uint8_t, 12> pixels;

  EXPECT_EQ(ReadIdxImages(path, kTiny, absl::MakeSpan(pixels)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(DatasetFilesTest, RefusesAnUnpackedIdxFile) {
  const std::string path =
      WritePlain("images.gz", ImagesHeader(2051, 2, 2, 3) + "abcdefghijkl");
  std::array<uint8_t, 12> pixels;

  const absl::Status status =
      ReadIdxImages(path, kTiny, absl::MakeSpan(pixels)).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gzip"));
}

TEST_F(DatasetFilesTest, ReadsCifarRecords) {
  const std::string path =
      WritePlain("batch.bin", std::string("\x07RrGgBb\x00SsHhCc", 14));
  std::array<uint8_t, 12> pixels;
  std::array<uint8_t, 2> labels;

  ASSERT_TRUE(ReadCifarBatch(path, kTinyCifar, absl::MakeSpan(pixels),
                             absl::MakeSpan(labels))
                  .ok());

  EXPECT_THAT(labels, ElementsAre(7, 0));
  EXPECT_EQ(std::string(pixels.begin(), pixels.end()), "RrGgBbSsHhCc");
}

TEST_F(DatasetFilesTest, RefusesBadCifarRecords) {
  const auto read = [&](const std::string& content) {
    std::array<uint8_t, 12> pixels;
    std::array<uint8_t, 2> labels;
    return ReadCifarBatch(WritePlain("batch.bin", content), kTinyCifar,
                          absl::MakeSpan(pixels), absl::MakeSpan(labels))
        .status();
  };

  const absl::Status label = read(std::string("\x07RrGgBb\x0bSsHhCc", 14));
  EXPECT_EQ(label.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(label.message()), HasSubstr("offset 7: label 11"));
  EXPECT_EQ(read(std::string("\x07RrGgBb\x00SsHhC", 13)).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(read(std::string("\x07RrGgBb\x00SsHhCc!", 15)).code(),
            absl::StatusCode::kDataLoss);
}

// A few bytes changed, removed, inserted, or the end cut off.
std::string Mutate(const std::string& bytes, RandomStream& random) {
  std::string mutated = bytes;
  for (uint64_t changes = 1 + random.Bits64() % 4; changes > 0; --changes) {
    const size_t at = random.Bits64() % (mutated.size() + 1);
    switch (random.Bits64() % 5) {
      case 0:
        mutated.resize(at);
        break;
      case 1:
        mutated.insert(at, 1 + random.Bits64() % 9,
                       static_cast<char>(random.Bits64()));
        break;
      case 2:
        mutated.erase(at, 1 + random.Bits64() % 9);
        break;
      default:
        if (at < mutated.size()) mutated[at] ^= 1 << random.Bits64() % 8;
    }
  }
  return mutated;
}

// Reads mutations of a file. Each answer is a Status that names the file, or
// examples whose labels are classes.
class MutationTest : public DatasetFilesTest {
 protected:
  using Read = absl::StatusOr<uint32_t> (*)(const std::string& path,
                                            absl::Span<uint8_t> pixels,
                                            absl::Span<uint8_t> labels);

  // `bytes` as they lie in the file. Returns how many mutations were refused.
  int CountRefused(const std::string& bytes, Read read) {
    constexpr int kMutations = 3000;
    RandomStream random(20260101);
    int refused = 0;
    for (int i = 0; i < kMutations; ++i) {
      const std::string mutated = Mutate(bytes, random);
      // In memory: a file on disk would take most of the time.
      const int file = memfd_create("mutated", 0);
      const ssize_t written = write(file, mutated.data(), mutated.size());
      EXPECT_EQ(written, static_cast<ssize_t>(mutated.size()));
      const std::string path = absl::StrCat("/proc/self/fd/", file);
      // On the heap, so that the address sanitizer sees a write beyond it.
      std::vector<uint8_t> pixels(12), labels(2);
      const absl::StatusOr<uint32_t> crc32 =
          read(path, absl::MakeSpan(pixels), absl::MakeSpan(labels));
      close(file);
      if (crc32.ok()) {
        for (const int label : labels) EXPECT_LT(label, 10) << i;
        continue;
      }
      ++refused;
      EXPECT_EQ(crc32.status().code(), absl::StatusCode::kDataLoss) << i;
      EXPECT_THAT(std::string(crc32.status().message()), HasSubstr(path));
    }
    return refused;
  }

  std::string GzipBytes(const std::string& content) {
    std::ifstream file(WriteGzip("whole.gz", content), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(MutationTest, OfIdxImagesAreReadOrRefused) {
  const int refused = CountRefused(
      GzipBytes(ImagesHeader(2051, 2, 2, 3) + "abcdefghijkl"),
      [](const std::string& path, absl::Span<uint8_t> pixels,
         absl::Span<uint8_t>) { return ReadIdxImages(path, kTiny, pixels); });
  EXPECT_GT(refused, 2000);  // All but changes of gzip's own header.
}

TEST_F(MutationTest, OfIdxLabelsAreReadOrRefused) {
  const int refused = CountRefused(
      GzipBytes(BigEndian(2049) + BigEndian(2) + std::string("\x03\x09", 2)),
      [](const std::string& path, absl::Span<uint8_t>,
         absl::Span<uint8_t> labels) {
        return ReadIdxLabels(path, kTiny, labels);
      });
  EXPECT_GT(refused, 2000);
}

TEST_F(MutationTest, OfCifarRecordsAreReadOrRefused) {
  const int refused =
      CountRefused(std::string("\x07RrGgBb\x00SsHhCc", 14),
                   [](const std::string& path, absl::Span<uint8_t> pixels,
                      absl::Span<uint8_t> labels) {
                     return ReadCifarBatch(path, kTinyCifar, pixels, labels);
                   });
  EXPECT_GT(refused, 1000);  // A changed pixel shows in the CRC-32 alone.
}

TEST_F(DatasetFilesTest, ListsWhatIsMissingAndWhereToGetIt) {
  WritePlain("mnist/train-images-idx3-ubyte.gz", "");
  WritePlain("mnist/train-labels-idx1-ubyte.gz", "");

  const std::vector<DatasetPresence> list = ListDatasets({folder_});

  ASSERT_EQ(list.size(), 6u);
  EXPECT_EQ(list[0].info->name, "mnist");
  EXPECT_THAT(list[0].missing_files, ElementsAre("t10k-images-idx3-ubyte.gz",
                                                 "t10k-labels-idx1-ubyte.gz"));
  EXPECT_EQ(list[2].info->name, "cifar10");
  EXPECT_EQ(list[2].missing_files.size(), 6u);
  const absl::Status status =
      ReadDataset({folder_}, *list[0].info, DatasetPart::kTest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("t10k-labels-idx1-ubyte.gz"), HasSubstr("https://")));
}

TEST_F(DatasetFilesTest, FindsCifarInEitherFolder) {
  for (const std::string below :
       {"a/cifar10/cifar-10-batches-bin/", "b/cifar-10-batches-bin/"}) {
    for (int i = 1; i <= 5; ++i) {
      WritePlain(absl::StrCat(below, "data_batch_", i, ".bin"), "");
    }
    WritePlain(below + "test_batch.bin", "");
  }

  EXPECT_THAT(ListDatasets({folder_ + "/a"})[2].missing_files, IsEmpty());
  EXPECT_THAT(ListDatasets({folder_ + "/b"})[2].missing_files, IsEmpty());
}

// A record of CIFAR-100: labels, then one colour.
std::string Cifar100Record(char coarse, char fine) {
  return std::string{coarse, fine} + std::string(3072, fine);
}

TEST_F(DatasetFilesTest, ReadsAnyWholeNumberOfCifar100Records) {
  WritePlain(
      "cifar100/train.bin",
      Cifar100Record(19, 99) + Cifar100Record(0, 7) + Cifar100Record(3, 0));
  WritePlain("cifar100/test.bin", Cifar100Record(4, 5));
  const DatasetPresence presence = ListDatasets({folder_})[3];
  ASSERT_EQ(presence.name, "cifar100");

  const absl::StatusOr<RawExamples> train =
      ReadDataset({folder_}, *presence.info, DatasetPart::kTrain);

  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_THAT(train->labels, ElementsAre(99, 7, 0));
  EXPECT_EQ(train->pixels.size(), 3 * 3072u);
  EXPECT_EQ(train->pixels[3072], 7);
  EXPECT_EQ(VerifyDataset({folder_}, presence).value(),
            "a subset: 3 of 50000 training and 1 of 10000 test examples");
}

TEST_F(DatasetFilesTest, RefusesBadCifar100Files) {
  const auto read = [&](const std::string& content) {
    WritePlain("cifar100/test.bin", "");
    WritePlain("cifar100/train.bin", content);
    return ReadDataset({folder_}, *FindDatasetInfo("cifar100"),
                       DatasetPart::kTrain)
        .status();
  };

  const std::vector<std::pair<std::string, std::string>> cases = {
      {Cifar100Record(0, 1).substr(1), "no whole number of records of 3074"},
      {"", "its 0 bytes"},
      {Cifar100Record(0, 1) + Cifar100Record(20, 1),
       "offset 3074: label 20 is no class; 0 to 19 are"},
      {Cifar100Record(0, 100), "offset 1: label 100 is no class"}};
  for (const auto& [content, says] : cases) {
    const absl::Status status = read(content);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("train.bin"), HasSubstr(says)));
  }
}

TEST_F(DatasetFilesTest, ReadsTheMnistOfTheExamples) {
  const std::vector<std::string> roots = {SourceFolder() + "/examples/data"};
  const DatasetInfo& mnist = *FindDatasetInfo("mnist");

  const absl::StatusOr<RawExamples> train =
      ReadDataset(roots, mnist, DatasetPart::kTrain);

  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->labels[0], 5);  // The famous first five digits.
  EXPECT_EQ(train->labels[4], 9);
  EXPECT_EQ(std::count(train->labels.begin(), train->labels.end(), 1), 6742);
  const double mean =
      std::accumulate(train->pixels.begin(), train->pixels.end(), 0.0) /
      (255.0 * train->pixels.size());
  EXPECT_NEAR(mean, mnist.mean[0], 5e-5);
  const DatasetPresence presence = ListDatasets(roots)[0];
  const absl::StatusOr<std::string> note = VerifyDataset(roots, presence);
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_EQ(*note, "");
}

TEST_F(DatasetFilesTest, FindsOneChangedPixelOfMnist) {
  const std::filesystem::path from = SourceFolder() + "/examples/data/mnist";
  std::filesystem::copy(from, folder_ + "/mnist");
  const DatasetInfo& mnist = *FindDatasetInfo("mnist");
  const std::string path = folder_ + "/mnist/t10k-images-idx3-ubyte.gz";
  std::string content(mnist.test_files[0].content_bytes, '\0');
  gzFile file = gzopen(path.c_str(), "rb");
  ASSERT_EQ(gzread(file, content.data(), content.size()), content.size());
  gzclose(file);
  content[1000] ^= 1;
  WriteGzip("mnist/t10k-images-idx3-ubyte.gz", content);

  const absl::Status status =
      VerifyDataset({folder_}, ListDatasets({folder_})[0]).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("CRC-32"));
}

}  // namespace
}  // namespace headstart::worker
