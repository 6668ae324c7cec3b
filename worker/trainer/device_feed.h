// Batches on their way to a device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "worker/cuda/device.h"
#include "worker/datasets/dataset.h"
#include "worker/models/precision.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {

// Brings batches of some examples to fixed addresses of a device.
//
// Where the examples fit, their pixels lie on the device, and what is sent for
// a batch is which of them it has and what was drawn for each: some kilobytes.
// Else the host makes the images and sends them. Several batches are under way
// at once, so the host is ahead of the device.
class DeviceFeed final {
 public:
  // Batches of up to `batch_size`; drawn from `seed` as BatchReader does. All
  // must outlive the feed, `examples` only where they do not fit.
  DeviceFeed(Device& device, const Examples& examples,
             const AugmentationOptions& options, int64_t seed,
             int64_t batch_size, Precision precision);

  // Whether the pixels lie on the device.
  bool resident() const { return pixels_.defined(); }
  // Why not.
  const std::string& why_on_host() const { return why_on_host_; }
  int64_t batch_size() const { return batch_size_; }

  // Sends a batch, what was drawn for it, and the numbers of its step. What
  // the device was asked for before still gets the batch before.
  //   DataLoss, NotFound  as BatchReader's.
  absl::Status Send(int64_t epoch, int64_t batch, const Examples& examples,
                    absl::Span<const int32_t> which, const StepTerms* terms);

  // The first `rows` of the batch that was sent last, at the same addresses
  // every time. Asks the device to make the images.
  Batch Assemble(int64_t rows);
  // The numbers that came with it.
  const StepNumbers* numbers() const;

 private:
  // Memory of the host for one batch under way.
  struct Slot {
    at::Tensor memory;
    std::unique_ptr<DeviceEvent> copied;
  };

  void UploadPixels(const Examples& examples);
  // A slot whose last copy is over.
  char* NextSlot();

  Device& device_;
  const InputInfo info_;
  const AugmentationOptions options_;
  const int64_t seed_;
  const int64_t batch_size_;
  std::string why_on_host_;
  at::Tensor pixels_;  // U8, on the device; undefined: the host makes images.
  std::optional<BatchReader> reader_;

  std::vector<Slot> slots_;
  size_t next_slot_ = 0;
  // On the device: numbers, labels, mixed labels, picks (Layout in the .cc).
  at::Tensor message_;
  at::Tensor channels_;
  at::Tensor images_;       // In the order of memory, one row of numbers each.
  at::Tensor image_batch_;  // The same as [batch, channels, height, width].
};

}  // namespace headstart::worker
