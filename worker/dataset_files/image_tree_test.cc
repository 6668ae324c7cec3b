#include "worker/dataset_files/image_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/random_stream.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/dataset_files/dataset_files.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ImageTreeTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    const std::string path = absl::StrCat(root(), "/", name);
    std::filesystem::create_directories(
        std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }

  // A whole small image.
  void WriteImage(const std::string& name) {
    Write(name, "");
    std::filesystem::copy_file(
        SourceFolder() + "/tests/oracles/images/photo.jpg",
        absl::StrCat(root(), "/", name),
        std::filesystem::copy_options::overwrite_existing);
  }

  // Two classes; three training and two test images.
  void WriteTinyImagenet() {
    Write("tiny/wnids.txt", "n02\nn01\n");
    for (const char* name : {"n01/images/n01_1.JPEG", "n01/images/n01_0.JPEG",
                             "n02/images/n02_0.JPEG"}) {
      WriteImage(absl::StrCat("tiny/train/", name));
    }
    Write("tiny/train/n01/n01_boxes.txt", "n01_0.JPEG\t0\t0\t9\t9\n");
    WriteImage("tiny/val/images/val_0.JPEG");
    WriteImage("tiny/val/images/val_1.JPEG");
    Write("tiny/val/val_annotations.txt", kAnnotations);
  }

  void WriteFood() {
    Write("food/meta/classes.txt", "soup\napple_pie\n");
    Write("food/meta/train.txt", "soup/7\napple_pie/100\napple_pie/20\n");
    Write("food/meta/test.txt", "soup/8\r\n");
    for (const char* name :
         {"soup/7", "soup/8", "apple_pie/100", "apple_pie/20"}) {
      WriteImage(absl::StrCat("food/images/", name, ".jpg"));
    }
  }

  std::string root() const { return temp_.path(); }

  static constexpr char kAnnotations[] =
      "val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t1\t2\t3\t4\n";

 private:
  const TempDir temp_;
};

TEST_F(ImageTreeTest, ListsTinyImagenetByClassAndName) {
  WriteTinyImagenet();

  ASSERT_OK_AND_ASSIGN(const ImageList train,
                       ListTinyImagenet(root() + "/tiny", DatasetPart::kTrain));
  ASSERT_OK_AND_ASSIGN(const ImageList test,
                       ListTinyImagenet(root() + "/tiny", DatasetPart::kTest));

  EXPECT_THAT(train.classes, ElementsAre("n01", "n02"));
  EXPECT_THAT(train.paths, ElementsAre("train/n01/images/n01_0.JPEG",
                                       "train/n01/images/n01_1.JPEG",
                                       "train/n02/images/n02_0.JPEG"));
  EXPECT_THAT(train.labels, ElementsAre(0, 0, 1));
  EXPECT_THAT(test.paths,
              ElementsAre("val/images/val_1.JPEG", "val/images/val_0.JPEG"));
  EXPECT_THAT(test.labels, ElementsAre(0, 1));
}

TEST_F(ImageTreeTest, FindsDamageOfTinyImagenet) {
  const auto status = [this](const std::string& annotations) {
    Write("tiny/val/val_annotations.txt", annotations);
    return ListTinyImagenet(root() + "/tiny", DatasetPart::kTest).status();
  };
  WriteTinyImagenet();

  EXPECT_THAT(status("val_0.JPEG\tn02\t0\n"),
              StatusIs(absl::StatusCode::kDataLoss,
                       "it names 1 images, but val/images has 2"));
  EXPECT_THAT(status("val_0.JPEG\tn02\nval_1.JPEG\n"),
              StatusIs(absl::StatusCode::kDataLoss,
                       "val_annotations.txt: line 2: an image's name, a tab"));
  EXPECT_THAT(
      status("val_0.JPEG\tn02\nval_1.JPEG\tn03\n"),
      StatusIs(absl::StatusCode::kDataLoss, "class n03 is not in wnids.txt"));
  EXPECT_THAT(status("val_0.JPEG\tn02\n../images/val_1.JPEG\tn01\n"),
              StatusIs(absl::StatusCode::kDataLoss, "line 2"));
  EXPECT_THAT(status("val_0.JPEG\tn02\nval_0.JPEG\tn02\n"),
              StatusIs(absl::StatusCode::kDataLoss, "val_0.JPEG twice"));
  EXPECT_THAT(
      status("val_0.JPEG\tn02\nval_9.JPEG\tn01\n"),
      StatusIs(absl::StatusCode::kDataLoss, "val_9.JPEG, which is not there"));
  Write("tiny/wnids.txt", "n01\n");
  EXPECT_THAT(status(kAnnotations),
              StatusIs(absl::StatusCode::kDataLoss,
                       "its 1 classes are not the 2 folders of train/"));
  Write("tiny/wnids.txt", "n01\nn01\n");
  EXPECT_THAT(status(kAnnotations),
              StatusIs(absl::StatusCode::kDataLoss,
                       "wnids.txt: line 2: class n01 came before"));
  std::filesystem::remove(root() + "/tiny/wnids.txt");
  EXPECT_THAT(status(kAnnotations),
              StatusIs(absl::StatusCode::kNotFound, "wnids.txt"));
}

TEST_F(ImageTreeTest, ReadsOrRefusesChangedAnnotations) {
  WriteTinyImagenet();
  RandomStream random(20260103);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    std::string changed = kAnnotations;
    if (i < static_cast<int>(changed.size())) {
      changed.resize(i);  // Every length.
    } else {
      changed[random.UniformInt(changed.size())] ^= 1 << random.UniformInt(8);
    }
    Write("tiny/val/val_annotations.txt", changed);

    const absl::StatusOr<ImageList> list =
        ListTinyImagenet(root() + "/tiny", DatasetPart::kTest);

    if (list.ok()) {
      EXPECT_EQ(list->paths.size(), 2u);
      continue;
    }
    ++refused;
    EXPECT_EQ(list.status().code(), absl::StatusCode::kDataLoss) << changed;
  }
  EXPECT_GT(refused, 150);  // The numbers of the boxes do not matter.
}

TEST_F(ImageTreeTest, ListsFood101ByItsLists) {
  WriteFood();

  ASSERT_OK_AND_ASSIGN(const ImageList train,
                       ListFood101(root() + "/food", DatasetPart::kTrain));
  ASSERT_OK_AND_ASSIGN(const ImageList test,
                       ListFood101(root() + "/food", DatasetPart::kTest));

  EXPECT_THAT(train.classes, ElementsAre("apple_pie", "soup"));
  EXPECT_THAT(train.paths,
              ElementsAre("images/apple_pie/100.jpg", "images/apple_pie/20.jpg",
                          "images/soup/7.jpg"));
  EXPECT_THAT(train.labels, ElementsAre(0, 0, 1));
  EXPECT_THAT(test.paths, ElementsAre("images/soup/8.jpg"));
}

TEST_F(ImageTreeTest, FindsDamageOfFood101) {
  const auto status = [this](const std::string& train) {
    Write("food/meta/train.txt", train);
    return ListFood101(root() + "/food", DatasetPart::kTrain).status();
  };
  WriteFood();

  EXPECT_THAT(status("soup/7\napple_pie/1\n"),
              StatusIs(absl::StatusCode::kDataLoss, "train.txt: line 2: it "));
  EXPECT_THAT(status("soup/7\ncake/1\n"),
              StatusIs(absl::StatusCode::kDataLoss,
                       "class cake is not in classes.txt"));
  EXPECT_THAT(status("soup\n"), StatusIs(absl::StatusCode::kDataLoss,
                                         "<class>/<id> belongs here"));
  EXPECT_THAT(status("soup/../soup/7\n"),
              StatusIs(absl::StatusCode::kDataLoss, "line 1"));
  EXPECT_THAT(status("\n"),
              StatusIs(absl::StatusCode::kDataLoss, "it names no image"));
}

TEST_F(ImageTreeTest, ListsImageFoldersWithTestOrValidation) {
  for (const char* name : {"train/cat/a.jpg", "train/cat/b.JPEG",
                           "train/dog/c.jpeg", "val/dog/d.jpg"}) {
    WriteImage(absl::StrCat("pets/", name));
  }
  Write("pets/train/cat/notes.txt", "");
  Write("pets/train/cat/.hidden.jpg", "");

  ASSERT_OK_AND_ASSIGN(const ImageList train,
                       ListImageFolder(root() + "/pets", DatasetPart::kTrain));
  EXPECT_THAT(train.classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(train.paths, ElementsAre("train/cat/a.jpg", "train/cat/b.JPEG",
                                       "train/dog/c.jpeg"));
  EXPECT_EQ(train.left_out, 1);
  ASSERT_OK_AND_ASSIGN(ImageList test,
                       ListImageFolder(root() + "/pets", DatasetPart::kTest));
  EXPECT_THAT(test.paths, ElementsAre("val/dog/d.jpg"));
  EXPECT_THAT(test.labels, ElementsAre(1));

  WriteImage("pets/test/cat/e.jpg");
  ASSERT_OK_AND_ASSIGN(test,
                       ListImageFolder(root() + "/pets", DatasetPart::kTest));
  EXPECT_THAT(test.paths, ElementsAre("test/cat/e.jpg"));
  WriteImage("pets/test/mouse/f.jpg");
  EXPECT_THAT(
      ListImageFolder(root() + "/pets", DatasetPart::kTest),
      StatusIs(absl::StatusCode::kDataLoss, "class mouse has no folder"));
  Write("pets/train/fish/notes.txt", "");
  EXPECT_THAT(ListImageFolder(root() + "/pets", DatasetPart::kTrain),
              StatusIs(absl::StatusCode::kDataLoss, "fish: there is no image"));
}

TEST_F(ImageTreeTest, IsListedAndVerified) {
  WriteTinyImagenet();
  std::filesystem::rename(root() + "/tiny", root() + "/tiny-imagenet-200");
  for (const char* name : {"pets", "my pets", ".pets"}) {
    WriteImage(absl::StrCat(name, "/train/cat/a.jpg"));
    WriteImage(absl::StrCat(name, "/test/cat/b.jpg"));
  }
  const std::vector<std::string> roots = {root()};

  std::vector<DatasetPresence> list = ListDatasets(roots);

  ASSERT_EQ(list.size(), 7u);
  ASSERT_EQ(list.back().name, "image_folder/pets");
  EXPECT_EQ(list.back().folder, root() + "/pets");
  EXPECT_THAT(list.back().missing_files, IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::string note, VerifyDataset(roots, list.back()));
  EXPECT_EQ(note, "");
  ASSERT_EQ(list[4].name, "tiny_imagenet");
  EXPECT_THAT(list[4].missing_files, IsEmpty());
  ASSERT_OK_AND_ASSIGN(note, VerifyDataset(roots, list[4]));
  EXPECT_EQ(note,
            "a subset: 3 of 100000 training and 2 of 10000 test examples");

  Write("pets/test/cat/b.jpg", "no image");
  EXPECT_THAT(VerifyDataset(roots, list.back()),
              StatusIs(absl::StatusCode::kDataLoss, "pets/test/cat/b.jpg"));
  EXPECT_THAT(ListImages(roots, *FindDatasetInfo("image_folder"), "../pets",
                         DatasetPart::kTrain),
              StatusIs(absl::StatusCode::kInvalidArgument, "folder: must be"));
  EXPECT_THAT(ListImages(roots, *FindDatasetInfo("image_folder"), "cars",
                         DatasetPart::kTrain),
              StatusIs(absl::StatusCode::kNotFound, "has a folder cars"));
  EXPECT_THAT(
      ListImages(roots, *FindDatasetInfo("food101"), "", DatasetPart::kTrain),
      StatusIs(absl::StatusCode::kNotFound, "meta/classes.txt"));
}

}  // namespace
}  // namespace headstart::worker
