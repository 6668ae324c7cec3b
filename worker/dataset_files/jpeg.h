// JPEG files to pixels, by libjpeg-turbo.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/dataset_files/image.h"

namespace headstart::worker {

// Decodes colour and greyscale images, the latter to three equal channels.
// Takes the memory of the decoded image and little more, which is refused above
// 100 million pixels before it is taken.
//   DataLoss  these bytes are no JPEG image, or it is cut short, damaged, or of
//             another kind (CMYK); the message says which.
absl::StatusOr<Image> DecodeJpeg(absl::string_view bytes);

// The same for a file, which messages name.
//   NotFound  there is no such file.
absl::StatusOr<Image> ReadJpegFile(const std::string& path);

}  // namespace headstart::worker
