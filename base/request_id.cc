#include "base/request_id.h"

#include "absl/strings/str_cat.h"

namespace headstart {
namespace {

constexpr size_t kLengthMax = 64;

}  // namespace

absl::Status CheckRequestId(absl::string_view id) {
  if (!id.empty() && id.size() <= kLengthMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "request_id: has ", id.size(), " characters. Send 1 to ", kLengthMax,
      ", such as a new UUID, and the same ones when you repeat the request."));
}

}  // namespace headstart
