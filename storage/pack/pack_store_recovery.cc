// How a PackStore finds out at its start what is stored, and repairs what a
// crash left.
#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "storage/pack/pack_store.h"

namespace headstart::storage {

absl::Status PackStore::Recover() {
  HS_ASSIGN_OR_RETURN(const auto ends, index_->PackEnds());
  {
    MutexLock lock(&mu_);
    for (const auto& [pack, end] : ends) packs_[pack].bytes = end;
    HS_RETURN_IF_ERROR(
        index_->ForEach([&](const Digest&, const BlobLocation& location) {
          mu_.AssertHeld();
          packs_[location.pack].live_bytes +=
              kRecordHeaderBytes + location.stored_size;
        }));
  }
  std::map<int64_t, int64_t> files;  // Number to indexed end.
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(PacksFolder(), error)) {
    int64_t pack = 0;
    if (entry.path().extension() != ".pack" ||
        !absl::SimpleAtoi(entry.path().stem().string(), &pack)) {
      HS_LOG(kWarning, "file among the packs is none, it is left alone path={}",
             entry.path().string());
      continue;
    }
    const auto end = ends.find(pack);
    files[pack] = end == ends.end() ? 0 : end->second;
  }
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("listing ", PacksFolder()));
  }
  if (!files.empty()) next_pack_ = files.rbegin()->first + 1;
  if (!ends.empty()) {
    next_pack_ = std::max(next_pack_, ends.rbegin()->first + 1);
  }
  for (const auto& [pack, indexed_end] : files) {
    HS_RETURN_IF_ERROR(Annotate(RecoverPack(pack, indexed_end),
                                PackPath(PacksFolder(), pack)));
  }
  for (const auto& [pack, end] : ends) {
    if (files.contains(pack)) continue;
    int64_t live_bytes = 0;
    {
      MutexLock lock(&mu_);
      live_bytes = packs_[pack].live_bytes;
    }
    if (live_bytes > 0) {
      HS_LOG(kError, "pack is gone, its blobs are lost pack={} bytes={}", pack,
             live_bytes);
    } else {
      HS_RETURN_IF_ERROR(DeletePack(pack));  // A crash came between its steps.
    }
  }
  return absl::OkStatus();
}

absl::Status PackStore::RecoverPack(int64_t pack, int64_t indexed_end) {
  const std::string path = PackPath(PacksFolder(), pack);
  std::error_code error;
  const int64_t size = std::filesystem::file_size(path, error);
  if (error) return ErrnoStatus(error.value(), "reading its size");
  HS_ASSIGN_OR_RETURN(const bool has_header, HasPackHeader(path, pack));
  if (indexed_end == 0 && !has_header) {
    // Begun, and the process ended before anything was in it.
    HS_LOG(kWarning, "empty pack removed pack={} bytes={}", pack, size);
    return DeletePack(pack);
  }
  if (size < indexed_end || !has_header) {
    HS_LOG(kError,
           "pack is shorter than it was or damaged at its start, it is read "
           "but not appended to pack={} bytes={} indexed_bytes={}",
           pack, size, indexed_end);
    return absl::OkStatus();
  }
  PackIndexBatch batch;
  int64_t added_bytes = 0;
  const int64_t scan_from = std::max(indexed_end, kPackHeaderBytes);
  absl::flat_hash_set<Digest> seen;
  absl::Status found;
  HS_ASSIGN_OR_RETURN(
      const int64_t end,
      ScanRecords(path, scan_from,
                  [&](int64_t offset, const RecordHeader& header) {
                    const auto location = index_->Find(header.digest);
                    if (!location.ok()) found = location.status();
                    if (!location.ok() || location->has_value() ||
                        !seen.insert(header.digest).second) {
                      return;
                    }
                    batch.stored.push_back({header.digest,
                                            {.pack = pack,
                                             .offset = offset,
                                             .stored_size = header.stored_size,
                                             .raw_size = header.raw_size}});
                    added_bytes += kRecordHeaderBytes + header.stored_size;
                  }));
  HS_RETURN_IF_ERROR(found);
  if (end < size) {
    HS_LOG(kWarning,
           "torn end of a pack cut off pack={} bytes={} kept_bytes={}", pack,
           size, end);
    std::filesystem::resize_file(path, end, error);
    if (error) return ErrnoStatus(error.value(), "cutting its torn end");
  }
  HS_ASSIGN_OR_RETURN(
      auto writer, PackWriter::Open(PacksFolder(), pack, end, options_.sync));
  if (end != indexed_end) {
    // A process that was killed may have left them unsynced.
    writer->Sync();
    batch.pack_ends.push_back({pack, end});
    index_->Apply(batch);
    HS_LOG(kInfo, "records found after a crash pack={} records={} bytes={}",
           pack, batch.stored.size(), added_bytes);
  }
  MutexLock lock(&mu_);
  packs_[pack].bytes = end;
  packs_[pack].live_bytes += added_bytes;
  if (pack + 1 == next_pack_ && end < options_.pack_bytes_max) {
    writer_ = std::move(writer);
    active_pack_ = pack;
  }
  return absl::OkStatus();
}

}  // namespace headstart::storage
