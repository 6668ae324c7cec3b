// JSON lines and file descriptors over a Unix stream socket.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "worker/trainer_protocol/unique_fd.h"

namespace headstart::worker {

// Longest line, without its '\n'.
inline constexpr int64_t kLineBytesMax = int64_t{16} << 20;
// Most descriptors that one line may carry.
inline constexpr int kLineDescriptorsMax = 64;

// One line, without its '\n', and the descriptors that came with it.
struct Frame {
  std::string line;
  std::vector<UniqueFd> descriptors;
};

// One end of a stream socket on which both sides write lines.
//
// Descriptors travel with the first byte of their line. Received ones are
// close-on-exec and are closed with the frame (or with the socket, when their
// line never came to its end), so malformed input leaks none.
//
// One thread may receive while others send. After an error of Receive the
// stream is out of step: it returns the same error again.
class FrameSocket final {
 public:
  explicit FrameSocket(UniqueFd socket);
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  // Two connected ends, close-on-exec: one for the agent, one for its trainer.
  static absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair();

  // Writes `line` and '\n'. The descriptors stay the caller's.
  //   Unavailable       the other side is gone.
  //   DeadlineExceeded  it did not read for `timeout`; the line may be cut, so
  //                     nothing more can be sent.
  //   InvalidArgument   the line is too long, holds a '\n', or carries too many
  //                     descriptors; nothing was sent.
  absl::Status Send(absl::string_view line,
                    absl::Span<const int> descriptors = {},
                    absl::Duration timeout = absl::InfiniteDuration());

  // Waits for the next line; none when the other side closed the socket
  // between lines.
  //   DeadlineExceeded  no whole line came within `timeout`; call again.
  //   InvalidArgument   a line too long, or too many descriptors.
  //   Unavailable       the socket broke, or the stream ends within a line.
  absl::StatusOr<std::optional<Frame>> Receive(
      absl::Duration timeout = absl::InfiniteDuration());

  // To poll; readable does not mean that a whole line is there.
  int descriptor() const { return socket_.get(); }

 private:
  // Reads what is there, up to one buffer, and cuts it into lines.
  absl::Status ReadSome();
  absl::Status TakeBytes(absl::string_view bytes,
                         std::vector<UniqueFd> descriptors);

  const UniqueFd socket_;

  Mutex send_mu_;
  absl::Status send_status_ ABSL_GUARDED_BY(send_mu_);

  // Of the receiving thread.
  const std::unique_ptr<char[]> buffer_;
  std::deque<Frame> whole_;  // Lines not yet returned.
  Frame partial_;            // The line that has begun.
  bool ended_ = false;
  absl::Status receive_status_;
};

}  // namespace headstart::worker
