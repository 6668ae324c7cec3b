#include "worker/agent/slot_spec.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace headstart::worker {
namespace {

constexpr int64_t kSlotsMax = 64;
constexpr int64_t kThreadsMax = 1024;
// A GPU's trainer computes on the device; its threads prepare batches.
constexpr int64_t kGpuSlotThreads = 4;

absl::Status Refuse(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--slots: \"", text, "\" ", why,
      ". Write the number of one-thread CPU slots (1 to ", kSlotsMax,
      "), or a list of cpu:<threads> and cuda:<GPU> such as "
      "cpu:1,cpu:4,cuda:0."));
}

}  // namespace

absl::StatusOr<std::vector<SlotSpec>> ParseSlots(absl::string_view text) {
  std::vector<SlotSpec> slots;
  int64_t cpu_count = 0;
  if (absl::SimpleAtoi(text, &cpu_count)) {
    if (cpu_count < 1 || cpu_count > kSlotsMax) {
      return Refuse(text, "is no number of slots");
    }
    for (int64_t i = 0; i < cpu_count; ++i) {
      slots.push_back({.name = absl::StrCat("cpu:", i), .device = "cpu"});
    }
    return slots;
  }
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    absl::string_view number_text = part;
    const bool gpu = absl::ConsumePrefix(&number_text, "cuda:");
    int64_t number = 0;
    if ((!gpu && !absl::ConsumePrefix(&number_text, "cpu:")) ||
        !absl::SimpleAtoi(number_text, &number)) {
      return Refuse(part, "is no slot");
    }
    SlotSpec slot;
    if (gpu) {
      if (number < 0) return Refuse(part, "is no GPU");
      slot = {.name = absl::StrCat("cuda:", number),
              .device = "cuda:0",  // The only one it sees.
              .thread_count = kGpuSlotThreads,
              .gpu = number};
    } else {
      if (number < 1 || number > kThreadsMax) {
        return Refuse(part, absl::StrCat("has no number of threads from 1 to ",
                                         kThreadsMax));
      }
      slot = {.name = absl::StrCat("cpu:", cpu_count++),
              .device = "cpu",
              .thread_count = number};
    }
    if (std::any_of(slots.begin(), slots.end(), [&](const SlotSpec& other) {
          return other.name == slot.name;
        })) {
      return Refuse(part, "is there twice");
    }
    slots.push_back(std::move(slot));
    if (static_cast<int64_t>(slots.size()) > kSlotsMax) {
      return Refuse(text, "has too many slots");
    }
  }
  return slots;
}

}  // namespace headstart::worker
