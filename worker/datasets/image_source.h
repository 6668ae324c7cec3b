// Where the pixels of a data set's part come from.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "worker/dataset_files/image.h"
#include "worker/dataset_files/raw_examples.h"

namespace headstart::worker {

// The images of one part by row, all of one shape [channels, height, width].
//
// What is prepared stays in place for this object's life. Pixels and Original
// may be called from several threads at once, Prepare from one and not beside
// Pixels.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  // Makes Pixels work for these rows; again for the same rows costs nothing.
  //   DataLoss, NotFound  an image is damaged or gone; the message names it.
  //   Cancelled           what the source was made with asked for it.
  virtual absl::Status Prepare(absl::Span<const int32_t> rows) = 0;

  // A prepared row's pixels, in the order of the shape.
  virtual const uint8_t* Pixels(int32_t row) const = 0;

  // The image as its file has it, whatever its height and width. Needs no
  // Prepare. Errors as Prepare's.
  virtual absl::StatusOr<Image> Original(int32_t row) const = 0;
};

}  // namespace headstart::worker
