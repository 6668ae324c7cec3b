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

constexpr double kCifar100Mean[] = {0.5071, 0.4865, 0.4409};
constexpr double kCifar100Deviation[] = {0.2673, 0.2564, 0.2762};
constexpr DatasetFile kCifar100Train[] = {{.name = "train.bin"}};
constexpr DatasetFile kCifar100Test[] = {{.name = "test.bin"}};
constexpr absl::string_view kCifar100Folders[] = {
    "cifar100/cifar-100-binary", "cifar-100-binary", "cifar100"};

// As in the papers' code (computed on the training part).
constexpr double kTinyImagenetMean[] = {0.4802, 0.4481, 0.3975};
constexpr double kTinyImagenetDeviation[] = {0.2302, 0.2265, 0.2262};
constexpr DatasetFile kTinyImagenetTrain[] = {{.name = "wnids.txt"},
                                              {.name = "train"}};
constexpr DatasetFile kTinyImagenetTest[] = {
    {.name = "val/val_annotations.txt"}, {.name = "val/images"}};
constexpr absl::string_view kTinyImagenetFolders[] = {
    "tiny-imagenet/tiny-imagenet-200", "tiny-imagenet-200", "tiny-imagenet"};

// Those of ImageNet, which its papers use for other photographs too.
constexpr double kImagenetMean[] = {0.485, 0.456, 0.406};
constexpr double kImagenetDeviation[] = {0.229, 0.224, 0.225};
constexpr DatasetFile kFood101Train[] = {{.name = "meta/classes.txt"},
                                         {.name = "meta/train.txt"},
                                         {.name = "images"}};
constexpr DatasetFile kFood101Test[] = {{.name = "meta/test.txt"}};
constexpr absl::string_view kFood101Folders[] = {"food101/food-101", "food-101",
                                                 "food101"};

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
    {.name = "cifar100",
     .format = DatasetFormat::kCifar100Binary,
     .train_examples = 50000,
     .test_examples = 10000,
     .channels = 3,
     .height = 32,
     .width = 32,
     .classes = 100,
     .mean = kCifar100Mean,
     .standard_deviation = kCifar100Deviation,
     .train_files = kCifar100Train,
     .test_files = kCifar100Test,
     .folders = kCifar100Folders,
     .where_to_get_it =
         "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz, unpacked"},
    {.name = "tiny_imagenet",
     .format = DatasetFormat::kTinyImagenet,
     .train_examples = 100000,
     .test_examples = 10000,
     .channels = 3,
     .height = 64,
     .width = 64,
     .classes = 200,
     .mean = kTinyImagenetMean,
     .standard_deviation = kTinyImagenetDeviation,
     .train_files = kTinyImagenetTrain,
     .test_files = kTinyImagenetTest,
     .folders = kTinyImagenetFolders,
     .where_to_get_it =
         "http://cs231n.stanford.edu/tiny-imagenet-200.zip, unpacked"},
    {.name = "food101",
     .format = DatasetFormat::kFood101,
     .train_examples = 75750,
     .test_examples = 25250,
     .channels = 3,
     .height = 299,
     .width = 299,
     .classes = 101,
     .mean = kImagenetMean,
     .standard_deviation = kImagenetDeviation,
     .train_files = kFood101Train,
     .test_files = kFood101Test,
     .folders = kFood101Folders,
     .where_to_get_it =
         "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz, unpacked"},
    {.name = "image_folder",
     .format = DatasetFormat::kImageFolder,
     .train_examples = 0,
     .test_examples = 0,
     .channels = 3,
     .height = 224,
     .width = 224,
     .classes = 0,
     .mean = kImagenetMean,
     .standard_deviation = kImagenetDeviation,
     .train_files = {},
     .test_files = {},
     .folders = {},
     .where_to_get_it = "your own images"},
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
