// A tensor as it lies in stored bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

#include "base/dtype.h"

namespace headstart::initializers {

// Contiguous, row-major, little-endian; the bytes are on loan, and as many as
// dtype and shape say.
struct StoredTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  absl::Span<const char> bytes;
};

}  // namespace headstart::initializers
