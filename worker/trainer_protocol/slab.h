// Shared memory that holds tensors, and the table that says where they are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/dtype.h"
#include "worker/trainer_protocol/unique_fd.h"

namespace headstart::worker {

enum class TensorRole {
  kParameter,
  kBuffer,     // Batch-norm statistics and counters.
  kOptimizer,  // Momentum and the like.
  kState,      // Generator, position, what levels of pruning begin from.
  kMask,       // BOOL, of a pruned parameter.
  kInserted,   // Of a normalization that a stage has put into the model.
};

// One tensor in a slab: contiguous, row-major, little-endian.
struct TableEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape = {};  // Empty for a scalar.
  TensorRole role = TensorRole::kParameter;
  int64_t offset = 0;  // From the slab's begin; a multiple of kTensorAlignment.
  int64_t bytes = 0;   // Of the tensor, without what aligns the next.

  bool operator==(const TableEntry&) const = default;
};

using TensorTable = std::vector<TableEntry>;

inline constexpr int64_t kTensorAlignment = 64;
// Most tensors of one table, and most dimensions of a tensor.
inline constexpr int64_t kTableEntriesMax = 100'000;
inline constexpr int64_t kDimensionsMax = 16;

// Bytes of a contiguous tensor. InvalidArgument for a negative dimension, too
// many of them, or a size that no int64_t holds.
absl::StatusOr<int64_t> TensorBytes(DType dtype,
                                    absl::Span<const int64_t> shape);

// The same entries in the same order, `bytes` and `offset` filled in: one after
// another, each aligned.
absl::StatusOr<TensorTable> LayOut(TensorTable table);

// Bytes of a slab that holds all entries of a checked table.
int64_t SlabBytes(const TensorTable& table);

// Checks the table against a slab of `slab_bytes`: names present and unique,
// sizes those of dtype and shape, offsets aligned, entries within the slab and
// apart from each other. InvalidArgument names the entry and what is wrong.
absl::Status CheckTable(const TensorTable& table, int64_t slab_bytes);

// A memfd and its mapping into this process.
//
// The size is sealed when it is made, so that neither side can cut the memory
// off under the other's reads. Pages are present at return: the first epoch
// does not pay for them.
class Slab final {
 public:
  enum class Access { kRead, kReadWrite };

  Slab() = default;
  Slab(Slab&& other) noexcept;
  Slab& operator=(Slab&& other) noexcept;
  ~Slab();

  // New zeroed memory of `bytes`, at least 1, mapped for reading and writing.
  // ResourceExhausted when there is not so much.
  static absl::StatusOr<Slab> Create(int64_t bytes);

  // Maps `bytes` of memory that the other side made. InvalidArgument unless it
  // is a memfd with a sealed size of at least that.
  static absl::StatusOr<Slab> Map(UniqueFd memory, int64_t bytes,
                                  Access access);

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  // To send; stays this slab's.
  int descriptor() const { return memory_.get(); }

  // The bytes of an entry of a table that was checked against this slab.
  absl::Span<char> Tensor(const TableEntry& entry) const {
    return absl::MakeSpan(data_ + entry.offset, entry.bytes);
  }

 private:
  Slab(UniqueFd memory, char* data, int64_t bytes);

  UniqueFd memory_;
  char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace headstart::worker
