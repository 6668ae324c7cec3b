#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace headstart {
namespace {

struct Marks {
  std::mutex mutex;
  std::map<std::string, int64_t> counts;
};

// Never destroyed: threads may pass marks while the process exits.
Marks& AllMarks() {
  static Marks& marks = *new Marks;
  return marks;
}

}  // namespace

std::map<std::string, int64_t> ReachedMarks() {
  Marks& marks = AllMarks();
  std::lock_guard<std::mutex> lock(marks.mutex);
  return marks.counts;
}

namespace check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": bug: expected " << condition << " ";
}

Failure::~Failure() {
  // Straight to stderr: the logger may hold the lock that a bug left behind.
  stream_ << "\n";
  const std::string text = stream_.str();
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  std::abort();
}

void CountReached(const char* mark) {
  Marks& marks = AllMarks();
  std::lock_guard<std::mutex> lock(marks.mutex);
  ++marks.counts[mark];
}

}  // namespace check_internal
}  // namespace headstart
