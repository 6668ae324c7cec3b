#include "client/cli/byte_progress.h"

#include "absl/strings/str_cat.h"
#include "client/cli/units.h"

namespace headstart::client {
namespace {

constexpr absl::Duration kQuietTime = absl::Seconds(2);

}  // namespace

void ByteProgress::Add(int64_t bytes, int64_t total_bytes) {
  done_bytes_ += bytes;
  if (clock_.Monotonic() - last_said_ < kQuietTime) return;
  last_said_ = clock_.Monotonic();
  printer_.Progress(absl::StrCat(what_, ": ", HumanBytes(done_bytes_), " of ",
                                 HumanBytes(total_bytes)));
}

}  // namespace headstart::client
