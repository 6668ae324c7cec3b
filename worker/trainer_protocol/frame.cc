#include "worker/trainer_protocol/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

constexpr size_t kReadBytes = 64 << 10;

// Room for the control message of one recvmsg or sendmsg, aligned for cmsghdr.
struct ControlBuffer {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * kLineDescriptorsMax)];
};

// Waits until the socket can be read (POLLIN) or written (POLLOUT), or until
// `deadline` on the monotonic clock.
absl::Status WaitFor(int socket, short events, absl::Duration deadline) {
  for (;;) {
    int wait_ms = -1;
    if (deadline != absl::InfiniteDuration()) {
      const absl::Duration left =
          std::max(deadline - Clock::Real().Monotonic(), absl::ZeroDuration());
      wait_ms = static_cast<int>(std::min<int64_t>(
          absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))),
          int64_t{1} << 30));
    }
    pollfd entry = {.fd = socket, .events = events, .revents = 0};
    const int ready = poll(&entry, 1, wait_ms);
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) {
      return absl::DeadlineExceededError(events == POLLIN
                                             ? "no line came in time"
                                             : "the other side does not read");
    }
    if (errno != EINTR) {
      return absl::UnavailableError(
          absl::StrCat("polling the socket: ", strerror(errno)));
    }
  }
}

// On the monotonic clock.
absl::Duration DeadlineIn(absl::Duration timeout) {
  return Clock::Real().Monotonic() + timeout;
}

std::vector<UniqueFd> TakeDescriptors(msghdr& message) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

}  // namespace

FrameSocket::FrameSocket(UniqueFd socket)
    : socket_(std::move(socket)), buffer_(new char[kReadBytes]) {}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> FrameSocket::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("making a socket pair: ", strerror(errno)));
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

absl::Status FrameSocket::Send(absl::string_view line,
                               absl::Span<const int> descriptors,
                               absl::Duration timeout) {
  if (static_cast<int64_t>(line.size()) > kLineBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a line has ", line.size(), " bytes; at most ",
                     kLineBytesMax, " are allowed"));
  }
  if (line.find('\n') != line.npos) {
    return absl::InvalidArgumentError("a line may not hold a line break");
  }
  if (descriptors.size() > kLineDescriptorsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a line carries ", descriptors.size(), " descriptors; at most ",
        kLineDescriptorsMax, " are allowed"));
  }

  const absl::Duration deadline = DeadlineIn(timeout);
  MutexLock lock(&send_mu_);
  HS_RETURN_IF_ERROR(send_status_);
  const size_t size = line.size() + 1;
  size_t sent = 0;
  while (sent < size) {
    // The line's rest and its end, without copying them together.
    char end = '\n';
    iovec parts[2] = {{const_cast<char*>(line.data()) + sent, 0}, {&end, 1}};
    parts[0].iov_len = line.size() - sent;
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    ControlBuffer control;
    if (sent == 0 && !descriptors.empty()) {
      memset(control.bytes, 0, sizeof(control.bytes));
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
      memcpy(CMSG_DATA(header), descriptors.data(),
             sizeof(int) * descriptors.size());
    }
    const ssize_t written =
        sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) {
      sent += written;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      send_status_ = WaitFor(socket_.get(), POLLOUT, deadline);
    } else {
      send_status_ = absl::UnavailableError(
          absl::StrCat("writing to the socket: ", strerror(errno)));
    }
    HS_RETURN_IF_ERROR(send_status_);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Frame>> FrameSocket::Receive(
    absl::Duration timeout) {
  const absl::Duration deadline = DeadlineIn(timeout);
  while (whole_.empty()) {
    HS_RETURN_IF_ERROR(receive_status_);
    if (ended_) return std::nullopt;
    HS_RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, deadline));
    receive_status_ = ReadSome();
  }
  std::optional<Frame> frame = std::move(whole_.front());
  whole_.pop_front();
  return frame;
}

absl::Status FrameSocket::ReadSome() {
  iovec part = {buffer_.get(), kReadBytes};
  ControlBuffer control;
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  const ssize_t size =
      recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0) {
    if (errno == EINTR || errno == EAGAIN) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("reading from the socket: ", strerror(errno)));
  }
  std::vector<UniqueFd> descriptors = TakeDescriptors(message);
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a line carries more than ", kLineDescriptorsMax,
                     " descriptors, or this process has too many open"));
  }
  if (size == 0) {
    ended_ = true;
    if (partial_.line.empty()) return absl::OkStatus();
    // Whoever is killed while it writes leaves this behind.
    return absl::UnavailableError(
        absl::StrCat("the stream ends within a line, after ",
                     partial_.line.size(), " bytes of it"));
  }
  return TakeBytes(absl::string_view(buffer_.get(), size),
                   std::move(descriptors));
}

absl::Status FrameSocket::TakeBytes(absl::string_view bytes,
                                    std::vector<UniqueFd> descriptors) {
  // The kernel ends a read after the bytes that descriptors were sent with, so
  // they belong to the line of the last byte; lines before it may be glued on.
  const size_t last_line = bytes.substr(0, bytes.size() - 1).rfind('\n') + 1;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = bytes.find('\n', begin);
    absl::StrAppend(&partial_.line, bytes.substr(begin, end - begin));
    if (begin == last_line) {
      std::move(descriptors.begin(), descriptors.end(),
                std::back_inserter(partial_.descriptors));
    }
    if (static_cast<int64_t>(partial_.line.size()) > kLineBytesMax) {
      partial_ = Frame();
      return absl::InvalidArgumentError(
          absl::StrCat("a line has more than ", kLineBytesMax, " bytes"));
    }
    if (partial_.descriptors.size() > kLineDescriptorsMax) {
      partial_ = Frame();
      return absl::InvalidArgumentError(absl::StrCat(
          "a line carries more than ", kLineDescriptorsMax, " descriptors"));
    }
    if (end == bytes.npos) break;
    whole_.push_back(std::exchange(partial_, Frame()));
    begin = end + 1;
  }
  return absl::OkStatus();
}

}  // namespace headstart::worker
