// A checkpoint as a safetensors file on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "client/cli/print.h"
#include "client/client.h"

namespace headstart::client {

struct DownloadOptions {
  std::string checkpoint;  // Full name, resolved.
  std::string file;        // Its folder exists.
  bool include_buffers = true;
  bool include_masks = false;
  bool overwrite = false;
};

// "studies-1-trials-12-epochs-5.safetensors".
std::string DefaultFileName(const std::string& checkpoint);

// Writes the file: whole and synced, or not at all. Says how far it is when it
// takes longer than two seconds. Returns the file's size.
//   AlreadyExists  there is such a file, and it may not be overwritten.
absl::StatusOr<int64_t> DownloadToFile(Client& client, Printer& printer,
                                       Clock& clock,
                                       const DownloadOptions& options);

}  // namespace headstart::client
