// What `--slots` says: room for trainers on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace headstart::worker {

struct SlotSpec {
  std::string name;    // cpu:0, cpu:1, ...; cuda:<index of the GPU>.
  std::string device;  // As the trainer is told: cpu, or cuda:0.
  int64_t thread_count = 1;
  int64_t gpu = -1;  // The only GPU that the trainer may see; -1: none.

  bool operator==(const SlotSpec&) const = default;
};

// Reads "2" (so many CPU slots of one thread) or a list such as
// "cpu:1,cpu:4,cuda:0": cpu:<threads>, numbered from 0 in that order, and
// cuda:<GPU>. InvalidArgument names the part that is neither.
absl::StatusOr<std::vector<SlotSpec>> ParseSlots(absl::string_view text);

}  // namespace headstart::worker
