// The bytes of a pack: how records are written, read and found again.
//
// docs/pack_format.md has the layout to the byte, with an example.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "storage/blob/digest.h"
#include "storage/codec/codec.h"

namespace headstart::storage {

inline constexpr int64_t kPackHeaderBytes = 16;
inline constexpr int64_t kRecordHeaderBytes = 64;

// What stands in front of a record's bytes.
struct RecordHeader {
  Digest digest;            // Of the raw bytes.
  int64_t raw_size = 0;     // 0 to kBlobBytesMax.
  int64_t stored_size = 0;  // Bytes that follow the header.
  Codec codec = Codec::kNone;
  uint32_t crc32c = 0;  // Of the bytes that follow.
};

// CRC-32C (Castagnoli), as in iSCSI and most storage formats.
uint32_t Crc32c(const absl::Cord& bytes);

std::string EncodePackHeader(int64_t pack);
std::string EncodeRecordHeader(const RecordHeader& header);

// The header in the first kRecordHeaderBytes of `bytes`.
//   DataLoss  these are no header: too few, another magic or checksum, sizes
//             or a codec that cannot be.
absl::StatusOr<RecordHeader> ParseRecordHeader(absl::string_view bytes);

// {folder}/00000012.pack
std::string PackPath(const std::string& folder, int64_t pack);

// A blob's record as it stands in a pack: header and stored bytes.
struct Record {
  RecordHeader header;
  absl::Cord stored;

  int64_t bytes() const { return kRecordHeaderBytes + header.stored_size; }
};

// The record that a new blob gets. `digest` is taken on trust.
Record MakeRecord(const Digest& digest, const absl::Cord& raw);

// A record and the blob in it, both checked.
struct RecordAndBlob {
  Record record;
  absl::Cord raw;
};

// Reads what was written at `offset` of the pack and checks all of it: header,
// CRC, decoding, digest.
//   NotFound  there is no such file.
//   DataLoss  anything else than one whole, undamaged record is there.
//   Internal  the file cannot be read just now.
absl::StatusOr<RecordAndBlob> ReadRecord(const std::string& path,
                                         int64_t offset);

// Visits the whole records from `offset` on and returns where they end: at the
// end of the file, or at the first byte that belongs to no whole record.
//   Internal  the file cannot be read just now.
absl::StatusOr<int64_t> ScanRecords(
    const std::string& path, int64_t offset,
    absl::FunctionRef<void(int64_t offset, const RecordHeader&)> visit);

// Whether the file begins as the pack of this number does.
absl::StatusOr<bool> HasPackHeader(const std::string& path, int64_t pack);

// Makes a file's bytes durable: fdatasync, or what a test puts in its place.
using SyncFunction = std::function<int(int file)>;

// The one pack that is appended to. One thread at a time.
class PackWriter {
 public:
  // A new pack, durable with its name in the folder before this returns.
  static absl::StatusOr<std::unique_ptr<PackWriter>> Create(
      const std::string& folder, int64_t pack, const SyncFunction& sync);

  // Goes on at the end of a pack. Its file has `end` bytes.
  static absl::StatusOr<std::unique_ptr<PackWriter>> Open(
      const std::string& folder, int64_t pack, int64_t end,
      const SyncFunction& sync);

  ~PackWriter();
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  // Writes `bytes` at the end. On an error the file is as before.
  //   ResourceExhausted  the disk, or a quota, is full.
  absl::Status Append(const absl::Cord& bytes);

  // Makes all that was appended durable. Stops the process if that fails: the
  // kernel may have dropped the bytes and would report success next time.
  void Sync();

  int64_t pack() const { return pack_; }
  int64_t end() const { return end_; }

 private:
  PackWriter(std::string path, int64_t pack, int file, int64_t end,
             const SyncFunction& sync);

  const std::string path_;
  const int64_t pack_;
  const int file_;
  int64_t end_;
  const SyncFunction sync_;
};

}  // namespace headstart::storage
