// A safetensors file of this machine as a stored checkpoint.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "client/cli/print.h"
#include "client/client.h"
#include "storage/safetensors/safetensors.h"

namespace headstart::client {

struct ImportOptions {
  std::string file;
  std::string run;     // imports/{name}.
  std::string reason;  // Why it is pinned, 1 to 200 characters.
};

// The role of a tensor in a file that does not say: batch norm's running_mean,
// running_var and num_batches_tracked are buffers, mask.* and inserted.* what
// pruning and stages make, all others parameters.
v1::Tensor::Role RoleByName(absl::string_view tensor);

// What a safetensors file says of its tensors.
//   InvalidArgument  it is none.
absl::StatusOr<storage::SafetensorsLayout> ReadLayout(const std::string& path);

// Checks the file, sends what storage does not have yet, and has it committed:
// the whole checkpoint is there at return, or nothing. Reads the file in parts,
// at most one tensor at a time. Says how far it is when it takes longer than
// two seconds.
//   InvalidArgument  not a safetensors file, or one that storage cannot keep;
//                    says what is wrong, and where.
//   AlreadyExists    the name has other tensors.
//   Aborted          the file changed while it was read.
absl::StatusOr<v1::Checkpoint> ImportFile(Client& client, Printer& printer,
                                          Clock& clock,
                                          const ImportOptions& options);

}  // namespace headstart::client
