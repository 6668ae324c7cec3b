#include "worker/trainer_protocol/slab.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace headstart::worker {
namespace {

absl::Status EntryError(const TableEntry& entry, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor \"", entry.name, "\": ", what));
}

absl::Status CheckEntry(const TableEntry& entry, int64_t slab_bytes) {
  absl::StatusOr<int64_t> bytes = TensorBytes(entry.dtype, entry.shape);
  if (!bytes.ok()) return EntryError(entry, bytes.status().message());
  if (entry.bytes != *bytes) {
    return EntryError(entry, absl::StrCat("bytes is ", entry.bytes, ", but ",
                                          DTypeName(entry.dtype), " of shape [",
                                          absl::StrJoin(entry.shape, ", "),
                                          "] takes ", *bytes));
  }
  if (entry.offset < 0 || entry.offset % kTensorAlignment != 0) {
    return EntryError(
        entry, absl::StrCat("offset is ", entry.offset, ", not a multiple of ",
                            kTensorAlignment));
  }
  if (entry.offset > slab_bytes || entry.bytes > slab_bytes - entry.offset) {
    return EntryError(
        entry, absl::StrCat("ends beyond the slab: offset ", entry.offset,
                            " and ", entry.bytes, " bytes in ", slab_bytes));
  }
  return absl::OkStatus();
}

// Has the file's pages, or errno says that they are not there: a mapping alone
// would leave that to a SIGBUS at some later write.
bool TakePages(int file, int64_t bytes) {
  while (fallocate(file, 0, 0, bytes) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<int64_t> TensorBytes(DType dtype,
                                    absl::Span<const int64_t> shape) {
  if (static_cast<int64_t>(shape.size()) > kDimensionsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape has ", shape.size(), " dimensions; at most ",
                     kDimensionsMax, " are allowed"));
  }
  int64_t bytes = DTypeSize(dtype);
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape [", absl::StrJoin(shape, ", "),
                       "] is no size that memory has"));
    }
  }
  return bytes;
}

absl::StatusOr<TensorTable> LayOut(TensorTable table) {
  int64_t end = 0;
  for (TableEntry& entry : table) {
    absl::StatusOr<int64_t> bytes = TensorBytes(entry.dtype, entry.shape);
    if (!bytes.ok()) return EntryError(entry, bytes.status().message());
    entry.bytes = *bytes;
    if (__builtin_add_overflow(end, kTensorAlignment - 1, &entry.offset)) {
      return EntryError(entry, "the table is larger than memory can be");
    }
    entry.offset -= entry.offset % kTensorAlignment;
    if (__builtin_add_overflow(entry.offset, entry.bytes, &end)) {
      return EntryError(entry, "the table is larger than memory can be");
    }
  }
  return table;
}

int64_t SlabBytes(const TensorTable& table) {
  int64_t bytes = 1;  // There is no empty slab.
  for (const TableEntry& entry : table) {
    bytes = std::max(bytes, entry.offset + entry.bytes);
  }
  return bytes;
}

absl::Status CheckTable(const TensorTable& table, int64_t slab_bytes) {
  if (static_cast<int64_t>(table.size()) > kTableEntriesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the table has ", table.size(), " tensors; at most ",
                     kTableEntriesMax, " are allowed"));
  }
  absl::flat_hash_set<absl::string_view> names;
  std::vector<const TableEntry*> by_offset;
  for (const TableEntry& entry : table) {
    if (entry.name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tensor at offset ", entry.offset, " has no name"));
    }
    if (!names.insert(entry.name).second) {
      return EntryError(entry, "is in the table twice");
    }
    HS_RETURN_IF_ERROR(CheckEntry(entry, slab_bytes));
    if (entry.bytes > 0) by_offset.push_back(&entry);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const TableEntry* a, const TableEntry* b) {
              return a->offset < b->offset;
            });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const TableEntry& before = *by_offset[i - 1];
    if (by_offset[i]->offset < before.offset + before.bytes) {
      return EntryError(*by_offset[i],
                        absl::StrCat("overlaps \"", before.name, "\""));
    }
  }
  return absl::OkStatus();
}

Slab::Slab(UniqueFd memory, char* data, int64_t bytes)
    : memory_(std::move(memory)), data_(data), bytes_(bytes) {}

Slab::Slab(Slab&& other) noexcept
    : memory_(std::move(other.memory_)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Slab& Slab::operator=(Slab&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Slab::~Slab() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

absl::StatusOr<Slab> Slab::Create(int64_t bytes) {
  HS_CHECK_GE(bytes, 1);
  UniqueFd memory(
      memfd_create("headstart-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ftruncate(memory.get(), bytes) != 0 ||
      !TakePages(memory.get(), bytes) ||
      fcntl(memory.get(), F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("making a slab of ", bytes, " bytes: ", strerror(errno)));
  }
  return Map(std::move(memory), bytes, Access::kReadWrite);
}

absl::StatusOr<Slab> Slab::Map(UniqueFd memory, int64_t bytes, Access access) {
  struct stat facts;
  if (bytes < 1 || fstat(memory.get(), &facts) != 0 || facts.st_size < bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the memory given has fewer than ", bytes, " bytes"));
  }
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return absl::InvalidArgumentError(
        "the memory given could shrink while it is read; it must be a memfd "
        "with F_SEAL_SHRINK");
  }
  const int protection =
      access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE,
                    memory.get(), 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("mapping a slab of ", bytes, " bytes: ", strerror(errno)));
  }
  return Slab(std::move(memory), static_cast<char*>(data), bytes);
}

}  // namespace headstart::worker
