#include "base/dtype.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace headstart {
namespace {

struct Entry {
  DType dtype;
  int64_t size;
  absl::string_view name;
};

constexpr Entry kEntries[] = {
    {DType::kBool, 1, "BOOL"}, {DType::kU8, 1, "U8"},
    {DType::kI8, 1, "I8"},     {DType::kI16, 2, "I16"},
    {DType::kI32, 4, "I32"},   {DType::kI64, 8, "I64"},
    {DType::kF16, 2, "F16"},   {DType::kBF16, 2, "BF16"},
    {DType::kF32, 4, "F32"},   {DType::kF64, 8, "F64"},
};

const Entry& Find(DType dtype) {
  for (const Entry& entry : kEntries) {
    if (entry.dtype == dtype) return entry;
  }
  HS_CHECK(false) << "no such dtype: " << static_cast<int>(dtype);
  return kEntries[0];
}

}  // namespace

int64_t DTypeSize(DType dtype) { return Find(dtype).size; }

absl::string_view DTypeName(DType dtype) { return Find(dtype).name; }

absl::StatusOr<DType> ParseDType(absl::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.dtype;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "dtype \"", name.substr(0, 40), "\" is not known; there are ",
      absl::StrJoin(kEntries, ", ",
                    [](std::string* out, const Entry& entry) {
                      absl::StrAppend(out, entry.name);
                    }),
      "."));
}

absl::StatusOr<DType> DTypeFromNumber(int64_t number) {
  for (const Entry& entry : kEntries) {
    if (static_cast<int64_t>(entry.dtype) == number) return entry.dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype number ", number, " is not known; there are 1 to ",
                   std::size(kEntries), "."));
}

}  // namespace headstart
