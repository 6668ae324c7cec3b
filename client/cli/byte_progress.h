// How many bytes of a file have come or gone, said now and then.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "client/cli/print.h"

namespace headstart::client {

// "reading a.safetensors: 12 MB of 400 MB", every two seconds; nothing when it
// does not take as long. Both must outlive it.
class ByteProgress {
 public:
  ByteProgress(Printer& printer, Clock& clock, absl::string_view what)
      : printer_(printer),
        clock_(clock),
        what_(what),
        last_said_(clock.Monotonic()) {}

  void Add(int64_t bytes, int64_t total_bytes);
  int64_t done_bytes() const { return done_bytes_; }

 private:
  Printer& printer_;
  Clock& clock_;
  const std::string what_;
  int64_t done_bytes_ = 0;
  absl::Duration last_said_;
};

}  // namespace headstart::client
