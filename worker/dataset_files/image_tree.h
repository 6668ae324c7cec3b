// Data sets that are folders of JPEG files: which image has which label.
//
// Classes are numbered in the order of their names, and the images of a part
// are listed class by class, in the order of their names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace headstart::worker {

enum class DatasetPart { kTrain, kTest };

struct ImageList {
  std::string folder;
  std::vector<std::string> classes;
  std::vector<std::string> paths;  // Below `folder`.
  std::vector<int32_t> labels;     // Of each path.
  int64_t left_out = 0;            // Files beside them that are no JPEG.
};

// Each reads the names of one part, never an image.
//   NotFound  a folder or list is not there.
//   DataLoss  a list is damaged, names what is not there, or does not name all
//             there is; a class has no image. The message names the file and
//             line, or the folder.

// wnids.txt; train/<wnid>/images/*.JPEG; val/val_annotations.txt and val/images
// as the test part.
absl::StatusOr<ImageList> ListTinyImagenet(const std::string& folder,
                                           DatasetPart part);
// meta/classes.txt; meta/{train,test}.txt; images/<class>/<id>.jpg.
absl::StatusOr<ImageList> ListFood101(const std::string& folder,
                                      DatasetPart part);
// train/<class>/*.jpg (or .jpeg); test/ likewise as the test part or, where
// there is none, val/.
absl::StatusOr<ImageList> ListImageFolder(const std::string& folder,
                                          DatasetPart part);

}  // namespace headstart::worker
