#include "worker/trainer_protocol/frame.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"

namespace headstart::worker {
namespace {

using ::testing::HasSubstr;

int OpenDescriptorCount() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

ino_t FileOf(int fd) {
  struct stat facts = {};
  EXPECT_EQ(fstat(fd, &facts), 0);
  return facts.st_ino;
}

class FrameSocketTest : public ::testing::Test {
 protected:
  FrameSocketTest() {
    auto ends = FrameSocket::MakePair();
    raw_ = std::move(ends->first);
    socket_ = std::make_unique<FrameSocket>(std::move(ends->second));
  }

  // Writes bytes as a peer that keeps to no rule, with descriptors.
  void WriteRaw(absl::string_view bytes, std::vector<int> descriptors = {}) {
    iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
      memcpy(CMSG_DATA(header), descriptors.data(),
             sizeof(int) * descriptors.size());
    }
    ASSERT_EQ(sendmsg(raw_.get(), &message, 0),
              static_cast<ssize_t>(bytes.size()));
  }

  std::string ReceiveLine() {
    auto frame = socket_->Receive();
    EXPECT_TRUE(frame.ok()) << frame.status();
    EXPECT_TRUE(frame->has_value());
    return frame.ok() && frame->has_value() ? (*frame)->line : "";
  }

  UniqueFd raw_;
  std::unique_ptr<FrameSocket> socket_;
};

TEST_F(FrameSocketTest, ReturnsLinesHoweverTheyArrive) {
  WriteRaw("{\"a\":1}\n\n{\"b\"");
  EXPECT_EQ(ReceiveLine(), "{\"a\":1}");
  EXPECT_EQ(ReceiveLine(), "");
  EXPECT_EQ(socket_->Receive(absl::ZeroDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);

  WriteRaw(":2}\n");

  EXPECT_EQ(ReceiveLine(), "{\"b\":2}");
}

TEST_F(FrameSocketTest, EndsBetweenLines) {
  WriteRaw("last\n");
  raw_.Reset();

  EXPECT_EQ(ReceiveLine(), "last");
  for (int i = 0; i < 2; ++i) {
    auto frame = socket_->Receive();
    ASSERT_TRUE(frame.ok()) << frame.status();
    EXPECT_FALSE(frame->has_value());
  }
}

TEST_F(FrameSocketTest, RefusesAStreamThatEndsWithinALine) {
  WriteRaw("half a li");
  raw_.Reset();

  for (int i = 0; i < 2; ++i) {
    auto frame = socket_->Receive();
    EXPECT_EQ(frame.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(frame.status().message(), HasSubstr("within a line"));
  }
}

TEST_F(FrameSocketTest, CarriesTheLongestLineAndRefusesALongerOne) {
  FrameSocket sender(std::move(raw_));
  const std::string longest(kLineBytesMax, 'x');
  std::thread thread([&] {
    EXPECT_TRUE(sender.Send(longest).ok());
    EXPECT_EQ(sender.Send(longest + "x").code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(sender.Send("next").ok());
  });

  EXPECT_EQ(ReceiveLine(), longest);
  EXPECT_EQ(ReceiveLine(), "next");
  thread.join();
}

TEST_F(FrameSocketTest, RefusesALongerLineFromAPeerWithoutRules) {
  std::thread thread([&] {
    const std::string bytes(1 << 20, 'x');
    // Ends with an error once the test closes its side.
    while (send(raw_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
  });

  auto frame = socket_->Receive();
  EXPECT_EQ(frame.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(frame.status().message(), HasSubstr("more than 16777216 bytes"));
  socket_.reset();
  thread.join();
}

TEST_F(FrameSocketTest, HandsDescriptorsToTheLineTheyCameWith) {
  UniqueFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  FrameSocket sender(std::move(raw_));
  const std::string big(300'000, 'b');
  std::thread thread([&] {
    EXPECT_TRUE(sender.Send("before").ok());
    EXPECT_TRUE(sender.Send("one", {zero.get()}).ok());
    EXPECT_TRUE(sender.Send(big, {null.get(), zero.get()}).ok());
    EXPECT_TRUE(sender.Send("after").ok());
  });
  std::vector<Frame> frames;
  for (int i = 0; i < 4; ++i) frames.push_back(**socket_->Receive());
  thread.join();

  EXPECT_EQ(frames[0].descriptors.size(), 0u);
  ASSERT_EQ(frames[1].descriptors.size(), 1u);
  EXPECT_EQ(frames[2].line, big);
  ASSERT_EQ(frames[2].descriptors.size(), 2u);
  EXPECT_EQ(frames[3].descriptors.size(), 0u);
  EXPECT_EQ(FileOf(frames[1].descriptors[0].get()), FileOf(zero.get()));
  EXPECT_EQ(FileOf(frames[2].descriptors[0].get()), FileOf(null.get()));
  EXPECT_EQ(FileOf(frames[2].descriptors[1].get()), FileOf(zero.get()));
  for (const Frame& frame : frames) {
    for (const UniqueFd& fd : frame.descriptors) {
      EXPECT_TRUE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
    }
  }
}

TEST_F(FrameSocketTest, KeepsDescriptorsOfALineInPartsTogether) {
  UniqueFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  WriteRaw("first\nsec", {zero.get()});
  WriteRaw("ond\n");

  EXPECT_EQ((*socket_->Receive())->descriptors.size(), 0u);
  auto second = socket_->Receive();
  EXPECT_EQ((*second)->line, "second");
  EXPECT_EQ((*second)->descriptors.size(), 1u);
}

TEST_F(FrameSocketTest, LeaksNoDescriptorOfABrokenStream) {
  UniqueFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const int before = OpenDescriptorCount();

  // More than a line may carry, in one message and in several.
  WriteRaw("x", std::vector<int>(kLineDescriptorsMax + 1, zero.get()));
  EXPECT_EQ(socket_->Receive().status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenDescriptorCount(), before);

  auto ends = FrameSocket::MakePair();
  raw_ = std::move(ends->first);
  socket_ = std::make_unique<FrameSocket>(std::move(ends->second));
  for (int i = 0; i <= kLineDescriptorsMax; ++i) WriteRaw("y", {zero.get()});
  EXPECT_EQ(socket_->Receive().status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenDescriptorCount(), before);

  // Of a line that never ends.
  ends = FrameSocket::MakePair();
  raw_ = std::move(ends->first);
  socket_ = std::make_unique<FrameSocket>(std::move(ends->second));
  WriteRaw("z", {zero.get()});
  raw_.Reset();
  EXPECT_FALSE(socket_->Receive().ok());
  socket_.reset();
  EXPECT_EQ(OpenDescriptorCount(), before - 2);
}

TEST_F(FrameSocketTest, SendSaysThatTheOtherSideIsGone) {
  raw_.Reset();

  EXPECT_EQ(socket_->Send("hello").code(), absl::StatusCode::kUnavailable);
}

TEST_F(FrameSocketTest, SendGivesUpOnASideThatDoesNotRead) {
  const std::string big(kLineBytesMax, 'x');

  const absl::Status first = socket_->Send(big, {}, absl::ZeroDuration());

  EXPECT_EQ(first.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(socket_->Send("more"), first);
}

TEST_F(FrameSocketTest, SendRefusesWhatIsNoLine) {
  EXPECT_EQ(socket_->Send("a\nb").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      socket_->Send("a", std::vector<int>(kLineDescriptorsMax + 1, 0)).code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace headstart::worker
