// FakeCluster: the services that a client talks to, with scripted answers.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/net/listener.h"
#include "tests/support/temp_dir.h"

namespace headstart {

// A gRPC server inside the test, for scheduler and storage at once. Calls are
// written down and answered with what the test has said, by the method's name:
//
//   cluster.Answer("GetStudy", study);
//   ... client.GetStudy(...) ...
//   EXPECT_THAT(cluster.TakeCalls(), ElementsAre("GetStudy name:
//   \"studies/1\""));
//
// A method without an answer is UNIMPLEMENTED. GetServerInfo tells the fake's
// own address and is not written down. Any thread may call.
class FakeCluster {
 public:
  FakeCluster();
  ~FakeCluster();

  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  const std::string& address() const { return address_; }

  // The next answer of `method`. The last one is given again and again.
  void Answer(const std::string& method,
              const google::protobuf::Message& answer);
  void Fail(const std::string& method, const absl::Status& status);

  // The next stream of `method`: these messages, then `end`.
  void Stream(const std::string& method,
              const std::vector<std::string>& serialized,
              const absl::Status& end = absl::OkStatus());

  // What DownloadCheckpoint gives, in parts of `part_bytes`. Each stream but
  // the last breaks with UNAVAILABLE after `parts_per_stream` parts.
  void SetFile(std::string bytes, int64_t part_bytes, int64_t parts_per_stream);

  // Blobs that UploadBlobs has brought, by their digests' bytes;
  // FindMissingBlobs knows them too.
  std::map<std::string, std::string> Blobs();

  // Drops the answers that `method` has left.
  void Forget(const std::string& method);

  // "Method request-as-text" of every call since the last time.
  std::vector<std::string> TakeCalls();

 private:
  friend class FakeServices;
  struct Script {
    absl::Status status;
    std::vector<std::string> messages;  // One for a unary call.
  };

  void Push(const std::string& method, Script script);
  // Writes the call down and says what it is answered with.
  Script Next(const std::string& method,
              const google::protobuf::Message& request);

  Mutex mu_;
  std::map<std::string, std::deque<Script>> scripts_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mu_);
  std::string file_ ABSL_GUARDED_BY(mu_);
  int64_t part_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t parts_per_stream_ ABSL_GUARDED_BY(mu_) = 0;

  const TempDir folder_;
  std::string address_;
  std::unique_ptr<class FakeServices> services_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace headstart
