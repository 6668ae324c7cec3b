#include "storage/pack/pack_file.h"

#include <fcntl.h>
#include <isa-l/crc.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/blob/blob_store.h"
#include "storage/pack/stop_process.h"

namespace headstart::storage {
namespace {

static_assert(std::endian::native == std::endian::little,
              "numbers in packs are little-endian and copied as they are");

constexpr absl::string_view kPackMagic = "HSPACK01";
constexpr absl::string_view kRecordMagic = "HSRC";
constexpr size_t kIovecsMax = 512;

// Where the fields of a record header begin.
constexpr size_t kCodecAt = 4;
constexpr size_t kRawSizeAt = 8;
constexpr size_t kStoredSizeAt = 16;
constexpr size_t kDigestAt = 24;
constexpr size_t kCrcAt = 56;
constexpr size_t kHeaderCrcAt = 60;

template <typename T>
void PutNumber(T value, size_t at, std::string& bytes) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

template <typename T>
T GetNumber(absl::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

uint32_t ExtendCrc(uint32_t crc, absl::string_view bytes) {
  // ISA-L takes no const pointer, but does not write, and an int for the size.
  while (!bytes.empty()) {
    const absl::string_view part = bytes.substr(0, size_t{1} << 30);
    auto* data =
        reinterpret_cast<unsigned char*>(const_cast<char*>(part.data()));
    crc = crc32_iscsi(data, static_cast<int>(part.size()), crc);
    bytes.remove_prefix(part.size());
  }
  return crc;
}

uint32_t Crc32c(absl::string_view bytes) {
  return ~ExtendCrc(~uint32_t{0}, bytes);
}

// That a file cannot be read says nothing of the bytes in it: no DataLoss.
absl::Status ReadError(int error_number, const std::string& what) {
  if (error_number == ENOENT) return ErrnoStatus(error_number, what);
  return absl::InternalError(
      absl::StrCat("reading ", what, ": ", std::strerror(error_number)));
}

// Reads up to `size` bytes; fewer at the end of the file.
absl::StatusOr<std::string> ReadAt(int file, int64_t offset, int64_t size,
                                   const std::string& path) {
  std::string bytes(size, '\0');
  int64_t done = 0;
  while (done < size) {
    const ssize_t count =
        pread(file, bytes.data() + done, size - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return ReadError(errno, absl::StrCat(path, " at ", offset + done));
    }
    if (count == 0) break;
    done += count;
  }
  bytes.resize(done);
  return bytes;
}

absl::StatusOr<int64_t> FileSize(int file, const std::string& path) {
  struct stat info;
  if (fstat(file, &info) != 0) return ReadError(errno, path);
  return info.st_size;
}

absl::StatusOr<int> OpenToRead(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ReadError(errno, path);
  return file;
}

absl::StatusOr<RecordAndBlob> ReadRecord(int file, int64_t file_size,
                                         const std::string& path,
                                         int64_t offset) {
  const std::string where = absl::StrCat(path, " at ", offset);
  RecordAndBlob read;
  HS_ASSIGN_OR_RETURN(const std::string header,
                      ReadAt(file, offset, kRecordHeaderBytes, path));
  auto parsed = ParseRecordHeader(header);
  HS_RETURN_IF_ERROR(Annotate(parsed.status(), where));
  read.record.header = *parsed;
  // Before memory is taken for what a damaged header may claim.
  if (parsed->stored_size > file_size - offset - kRecordHeaderBytes) {
    return absl::DataLossError(
        absl::StrCat(where, ": the file ends before the ", parsed->stored_size,
                     " bytes of this record do."));
  }
  HS_ASSIGN_OR_RETURN(
      std::string stored,
      ReadAt(file, offset + kRecordHeaderBytes, parsed->stored_size, path));
  if (Crc32c(stored) != parsed->crc32c) {
    return absl::DataLossError(absl::StrCat(where, ": the checksum of ",
                                            parsed->stored_size,
                                            " stored bytes differs."));
  }
  read.record.stored = absl::Cord(std::move(stored));
  auto raw = Decode(parsed->codec, read.record.stored, parsed->raw_size);
  HS_RETURN_IF_ERROR(Annotate(raw.status(), where));
  read.raw = *std::move(raw);
  if (Digest::Of(read.raw) != parsed->digest) {
    return absl::DataLossError(absl::StrCat(
        where, ": the digest of ", parsed->raw_size, " bytes differs."));
  }
  return read;
}

// Writes all of `bytes` at `offset`.
absl::Status WriteAt(int file, int64_t offset, const absl::Cord& bytes,
                     const std::string& path) {
  std::vector<iovec> vectors;
  for (auto it = bytes.chunk_begin(); it != bytes.chunk_end();) {
    vectors.clear();
    for (; it != bytes.chunk_end() && vectors.size() < kIovecsMax; ++it) {
      vectors.push_back({const_cast<char*>(it->data()), it->size()});
    }
    size_t first = 0;
    while (first < vectors.size()) {
      const ssize_t count =
          pwritev(file, vectors.data() + first,
                  static_cast<int>(vectors.size() - first), offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, absl::StrCat("writing ", path));
      offset += count;
      size_t left = count;
      while (first < vectors.size() && left >= vectors[first].iov_len) {
        left -= vectors[first++].iov_len;
      }
      if (left > 0) {
        vectors[first].iov_base =
            static_cast<char*>(vectors[first].iov_base) + left;
        vectors[first].iov_len -= left;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t Crc32c(const absl::Cord& bytes) {
  uint32_t crc = ~uint32_t{0};
  for (absl::string_view chunk : bytes.Chunks()) crc = ExtendCrc(crc, chunk);
  return ~crc;
}

std::string EncodePackHeader(int64_t pack) {
  std::string bytes(kPackHeaderBytes, '\0');
  kPackMagic.copy(bytes.data(), kPackMagic.size());
  PutNumber(static_cast<uint32_t>(pack), 8, bytes);
  PutNumber(Crc32c(absl::string_view(bytes).substr(0, 12)), 12, bytes);
  return bytes;
}

std::string EncodeRecordHeader(const RecordHeader& header) {
  std::string bytes(kRecordHeaderBytes, '\0');
  kRecordMagic.copy(bytes.data(), kRecordMagic.size());
  PutNumber(static_cast<uint32_t>(header.codec), kCodecAt, bytes);
  PutNumber(header.raw_size, kRawSizeAt, bytes);
  PutNumber(header.stored_size, kStoredSizeAt, bytes);
  header.digest.bytes().copy(bytes.data() + kDigestAt, Digest::kSize);
  PutNumber(header.crc32c, kCrcAt, bytes);
  PutNumber(Crc32c(absl::string_view(bytes).substr(0, kHeaderCrcAt)),
            kHeaderCrcAt, bytes);
  return bytes;
}

absl::StatusOr<RecordHeader> ParseRecordHeader(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) < kRecordHeaderBytes) {
    return absl::DataLossError("the file ends within a record's header.");
  }
  bytes = bytes.substr(0, kRecordHeaderBytes);
  if (bytes.substr(0, kRecordMagic.size()) != kRecordMagic) {
    return absl::DataLossError("no record begins here.");
  }
  if (GetNumber<uint32_t>(bytes, kHeaderCrcAt) !=
      Crc32c(bytes.substr(0, kHeaderCrcAt))) {
    return absl::DataLossError("the checksum of the record's header differs.");
  }
  RecordHeader header;
  const uint32_t codec = GetNumber<uint32_t>(bytes, kCodecAt);
  header.codec = static_cast<Codec>(codec);
  header.raw_size = GetNumber<int64_t>(bytes, kRawSizeAt);
  header.stored_size = GetNumber<int64_t>(bytes, kStoredSizeAt);
  header.digest = *Digest::FromBytes(bytes.substr(kDigestAt, Digest::kSize));
  header.crc32c = GetNumber<uint32_t>(bytes, kCrcAt);
  if (codec > static_cast<uint32_t>(Codec::kZstd)) {
    return absl::DataLossError(
        absl::StrCat("codec ", codec, " is not known here."));
  }
  if (header.raw_size < 0 || header.raw_size > kBlobBytesMax ||
      header.stored_size < 0 || header.stored_size > header.raw_size) {
    return absl::DataLossError(absl::StrCat("a record of ", header.raw_size,
                                            " bytes stored as ",
                                            header.stored_size, " cannot be."));
  }
  return header;
}

std::string PackPath(const std::string& folder, int64_t pack) {
  return absl::StrFormat("%s/%08d.pack", folder, pack);
}

Record MakeRecord(const Digest& digest, const absl::Cord& raw) {
  Encoded encoded = Encode(raw);
  Record record;
  record.header = {.digest = digest,
                   .raw_size = static_cast<int64_t>(raw.size()),
                   .stored_size = static_cast<int64_t>(encoded.bytes.size()),
                   .codec = encoded.codec,
                   .crc32c = Crc32c(encoded.bytes)};
  record.stored = std::move(encoded.bytes);
  return record;
}

absl::StatusOr<RecordAndBlob> ReadRecord(const std::string& path,
                                         int64_t offset) {
  HS_ASSIGN_OR_RETURN(const int file, OpenToRead(path));
  const auto closer = absl::MakeCleanup([file] { close(file); });
  HS_ASSIGN_OR_RETURN(const int64_t size, FileSize(file, path));
  return ReadRecord(file, size, path, offset);
}

absl::StatusOr<int64_t> ScanRecords(
    const std::string& path, int64_t offset,
    absl::FunctionRef<void(int64_t offset, const RecordHeader&)> visit) {
  HS_ASSIGN_OR_RETURN(const int file, OpenToRead(path));
  const auto closer = absl::MakeCleanup([file] { close(file); });
  HS_ASSIGN_OR_RETURN(const int64_t size, FileSize(file, path));
  while (offset < size) {
    const auto read = ReadRecord(file, size, path, offset);
    if (absl::IsDataLoss(read.status())) break;
    HS_RETURN_IF_ERROR(read.status());
    visit(offset, read->record.header);
    offset += read->record.bytes();
  }
  return offset;
}

absl::StatusOr<bool> HasPackHeader(const std::string& path, int64_t pack) {
  HS_ASSIGN_OR_RETURN(const int file, OpenToRead(path));
  const auto closer = absl::MakeCleanup([file] { close(file); });
  HS_ASSIGN_OR_RETURN(const std::string header,
                      ReadAt(file, 0, kPackHeaderBytes, path));
  return header == EncodePackHeader(pack);
}

absl::StatusOr<std::unique_ptr<PackWriter>> PackWriter::Create(
    const std::string& folder, int64_t pack, const SyncFunction& sync) {
  const std::string path = PackPath(folder, pack);
  const int file =
      open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("creating ", path));
  std::unique_ptr<PackWriter> writer(new PackWriter(path, pack, file, 0, sync));
  const absl::Status written =
      writer->Append(absl::Cord(EncodePackHeader(pack)));
  if (!written.ok()) {
    unlink(path.c_str());
    return written;
  }
  writer->Sync();
  const absl::Status folder_synced = SyncFolder(folder);
  if (!folder_synced.ok()) StopProcess(folder_synced);
  return writer;
}

absl::StatusOr<std::unique_ptr<PackWriter>> PackWriter::Open(
    const std::string& folder, int64_t pack, int64_t end,
    const SyncFunction& sync) {
  const std::string path = PackPath(folder, pack);
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, path);
  std::unique_ptr<PackWriter> writer(
      new PackWriter(path, pack, file, end, sync));
  HS_ASSIGN_OR_RETURN(const int64_t size, FileSize(file, path));
  HS_CHECK_EQ(size, end);
  return writer;
}

PackWriter::PackWriter(std::string path, int64_t pack, int file, int64_t end,
                       const SyncFunction& sync)
    : path_(std::move(path)),
      pack_(pack),
      file_(file),
      end_(end),
      sync_(sync) {}

PackWriter::~PackWriter() { close(file_); }

absl::Status PackWriter::Append(const absl::Cord& bytes) {
  const absl::Status written = WriteAt(file_, end_, bytes, path_);
  if (!written.ok()) {
    // What was written of `bytes` must not stay between this record and the
    // next: a scan would end there.
    if (ftruncate(file_, end_) != 0) {
      StopProcess(ErrnoStatus(errno, absl::StrCat("shortening ", path_)));
    }
    return written;
  }
  end_ += bytes.size();
  return absl::OkStatus();
}

void PackWriter::Sync() {
  if (sync_(file_) != 0) {
    StopProcess(ErrnoStatus(errno, absl::StrCat("fdatasync of ", path_)));
  }
}

}  // namespace headstart::storage
