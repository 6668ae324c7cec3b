#include "worker/dataset_files/catalogue.h"

namespace headstart::worker {
namespace {

constexpr double kMnistMean[] = {0.1307};
constexpr double kMnistDeviation[] = {0.3081};
constexpr DatasetFile kMnistTrain[] = {
    {"train-images-idx3-ubyte.gz", 47040016, 0xe9f4d8b3},
    {"train-labels-idx1-ubyte.gz", 60008, 0xe0cb4ad2},
};
constexpr DatasetFile kMnistTest[] = {
    {"t10k-images-idx3-ubyte.gz", 7840016, 0x91373bdf},
    {"t10k-labels-idx1-ubyte.gz", 10008, 0x4ab9eff9},
};
constexpr absl::string_view kMnistFolders[] = {"mnist"};

constexpr double kFashionMean[] = {0.2860};
constexpr double kFashionDeviation[] = {0.3530};
constexpr DatasetFile kFashionTrain[] = {
    {"train-images-idx3-ubyte.gz", 47040016, 0xb4f29f28},
    {"train-labels-idx1-ubyte.gz", 60008, 0x741a4657},
};
constexpr DatasetFile kFashionTest[] = {
    {"t10k-images-idx3-ubyte.gz", 7840016, 0x678fe0b1},
    {"t10k-labels-idx1-ubyte.gz", 10008, 0x80142c1f},
};
constexpr absl::string_view kFashionFolders[] = {"fashion-mnist"};

constexpr double kCifar10Mean[] = {0.4914, 0.4822, 0.4465};
constexpr double kCifar10Deviation[] = {0.2470, 0.2435, 0.2616};
constexpr DatasetFile kCifar10Train[] = {
    {"data_batch_1.bin", 30730000, 0xb3220c1f},
    {"data_batch_2.bin", 30730000, 0xc439a348},
    {"data_batch_3.bin", 30730000, 0x8c6f54f0},
    {"data_batch_4.bin", 30730000, 0x6a83637e},
    {"data_batch_5.bin", 30730000, 0x2f355afd},
};
constexpr DatasetFile kCifar10Test[] = {
    {"test_batch.bin", 30730000, 0x19777d49},
};
constexpr absl::string_view kCifar10Folders[] = {
    "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "cifar10"};

constexpr DatasetInfo kDatasets[] = {
    {.name = "mnist",
     .format = DatasetFormat::kIdx,
     .train_examples = 60000,
     .test_examples = 10000,
     .channels = 1,
     .height = 28,
     .width = 28,
     .classes = 10,
     .mean = kMnistMean,
     .standard_deviation = kMnistDeviation,
     .train_files = kMnistTrain,
     .test_files = kMnistTest,
     .folders = kMnistFolders,
     .where_to_get_it = "examples/data of this project, or "
                        "https://ossci-datasets.s3.amazonaws.com/mnist/"},
    {.name = "fashion_mnist",
     .format = DatasetFormat::kIdx,
     .train_examples = 60000,
     .test_examples = 10000,
     .channels = 1,
     .height = 28,
     .width = 28,
     .classes = 10,
     .mean = kFashionMean,
     .standard_deviation = kFashionDeviation,
     .train_files = kFashionTrain,
     .test_files = kFashionTest,
     .folders = kFashionFolders,
     .where_to_get_it =
         "https://github.com/zalandoresearch/fashion-mnist, data/fashion"},
    {.name = "cifar10",
     .format = DatasetFormat::kCifarBinary,
     .train_examples = 50000,
     .test_examples = 10000,
     .channels = 3,
     .height = 32,
     .width = 32,
     .classes = 10,
     .mean = kCifar10Mean,
     .standard_deviation = kCifar10Deviation,
     .train_files = kCifar10Train,
     .test_files = kCifar10Test,
     .folders = kCifar10Folders,
     .where_to_get_it =
         "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpacked"},
};

}  // namespace

absl::Span<const DatasetInfo> KnownDatasets() { return kDatasets; }

const DatasetInfo* FindDatasetInfo(absl::string_view name) {
  for (const DatasetInfo& info : kDatasets) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

}  // namespace headstart::worker
