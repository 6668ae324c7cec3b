// Element types of tensors: their sizes, and the names safetensors gives them.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace headstart {

// The numbers are written to slabs and manifests: add, never change.
enum class DType : uint8_t {
  kBool = 1,
  kU8 = 2,
  kI8 = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kF16 = 7,
  kBF16 = 8,
  kF32 = 9,
  kF64 = 10,
};

// Bytes of one element.
int64_t DTypeSize(DType dtype);

// "F32", "BF16", "I64", ...
absl::string_view DTypeName(DType dtype);

// The type of this name. InvalidArgument lists the names there are.
absl::StatusOr<DType> ParseDType(absl::string_view name);

// The type of this number, as read from a slab or a manifest. InvalidArgument
// when there is none.
absl::StatusOr<DType> DTypeFromNumber(int64_t number);

}  // namespace headstart
