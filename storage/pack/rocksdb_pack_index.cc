#include "storage/pack/rocksdb_pack_index.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/pack/rocksdb_open.h"

namespace headstart::storage {
namespace {

constexpr char kBlob = 'b';        // digest -> location
constexpr char kPack = 'p';        // number -> indexed end
constexpr char kQuarantine = 'q';  // digest -> location, what was found

constexpr size_t kLocationBytes = 32;

std::string Key(char kind, absl::string_view rest) {
  return absl::StrCat(absl::string_view(&kind, 1), rest);
}

std::string EncodeLocation(const BlobLocation& location) {
  return absl::StrCat(BigEndian(location.pack), BigEndian(location.offset),
                      BigEndian(location.stored_size),
                      BigEndian(location.raw_size));
}

absl::StatusOr<BlobLocation> DecodeLocation(absl::string_view bytes) {
  if (bytes.size() != kLocationBytes) {
    return absl::DataLossError(absl::StrCat(
        "the pack index holds a location of ", bytes.size(), " bytes."));
  }
  const auto number = [&](size_t i) -> int64_t {
    return FromBigEndian(bytes.substr(8 * i, 8));
  };
  return BlobLocation{.pack = number(0),
                      .offset = number(1),
                      .stored_size = number(2),
                      .raw_size = number(3)};
}

absl::StatusOr<std::optional<std::string>> Read(rocksdb::DB& db,
                                                const std::string& key) {
  std::string value;
  const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  HS_RETURN_IF_ERROR(FromRocksdb(status, "reading the pack index"));
  return std::optional<std::string>(std::move(value));
}

// Visits what has keys of `kind`, without that first byte.
absl::Status Visit(
    rocksdb::DB& db, char kind,
    absl::FunctionRef<absl::Status(absl::string_view, absl::string_view)>
        visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // A walk must not push out what commits need.
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
  for (it->Seek(std::string(1, kind)); it->Valid() && it->key()[0] == kind;
       it->Next()) {
    const absl::string_view key(it->key().data(), it->key().size());
    const absl::string_view value(it->value().data(), it->value().size());
    HS_RETURN_IF_ERROR(visit(key.substr(1), value));
  }
  return FromRocksdb(it->status(), "reading the pack index");
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbPackIndex>> RocksdbPackIndex::Open(
    const std::string& folder) {
  HS_ASSIGN_OR_RETURN(auto db, OpenRocksdb(folder));
  return std::unique_ptr<RocksdbPackIndex>(new RocksdbPackIndex(std::move(db)));
}

RocksdbPackIndex::RocksdbPackIndex(std::unique_ptr<rocksdb::DB> db)
    : db_(std::move(db)) {}

RocksdbPackIndex::~RocksdbPackIndex() = default;

absl::StatusOr<std::optional<BlobLocation>> RocksdbPackIndex::Find(
    const Digest& digest) const {
  HS_ASSIGN_OR_RETURN(const auto value, Read(*db_, Key(kBlob, digest.bytes())));
  if (!value.has_value()) return std::optional<BlobLocation>();
  HS_ASSIGN_OR_RETURN(const BlobLocation location, DecodeLocation(*value));
  return std::optional<BlobLocation>(location);
}

absl::StatusOr<std::optional<std::string>> RocksdbPackIndex::FindQuarantined(
    const Digest& digest) const {
  HS_ASSIGN_OR_RETURN(auto value, Read(*db_, Key(kQuarantine, digest.bytes())));
  if (value.has_value()) value->erase(0, kLocationBytes);
  return value;
}

absl::StatusOr<std::vector<QuarantinedBlob>> RocksdbPackIndex::Quarantined()
    const {
  std::vector<QuarantinedBlob> blobs;
  HS_RETURN_IF_ERROR(Visit(
      *db_, kQuarantine, [&](absl::string_view key, absl::string_view value) {
        HS_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(key));
        HS_ASSIGN_OR_RETURN(const BlobLocation location,
                            DecodeLocation(value.substr(0, kLocationBytes)));
        blobs.push_back(
            {digest, location, std::string(value.substr(kLocationBytes))});
        return absl::OkStatus();
      }));
  return blobs;
}

absl::Status RocksdbPackIndex::ForEach(
    absl::FunctionRef<void(const Digest&, const BlobLocation&)> visit) const {
  return Visit(
      *db_, kBlob, [&](absl::string_view key, absl::string_view value) {
        HS_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(key));
        HS_ASSIGN_OR_RETURN(const BlobLocation location, DecodeLocation(value));
        visit(digest, location);
        return absl::OkStatus();
      });
}

absl::StatusOr<std::map<int64_t, int64_t>> RocksdbPackIndex::PackEnds() const {
  std::map<int64_t, int64_t> ends;
  HS_RETURN_IF_ERROR(
      Visit(*db_, kPack, [&](absl::string_view key, absl::string_view value) {
        if (key.size() != 8 || value.size() != 8) {
          return absl::DataLossError("the pack index holds a damaged entry.");
        }
        ends[FromBigEndian(key)] = FromBigEndian(value);
        return absl::OkStatus();
      }));
  return ends;
}

void RocksdbPackIndex::Apply(const PackIndexBatch& batch) {
  rocksdb::WriteBatch writes;
  for (const auto& [digest, location] : batch.stored) {
    writes.Put(Key(kBlob, digest.bytes()), EncodeLocation(location));
    writes.Delete(Key(kQuarantine, digest.bytes()));
  }
  for (const Digest& digest : batch.removed) {
    writes.Delete(Key(kBlob, digest.bytes()));
  }
  for (const QuarantinedBlob& blob : batch.quarantined) {
    writes.Delete(Key(kBlob, blob.digest.bytes()));
    writes.Put(Key(kQuarantine, blob.digest.bytes()),
               absl::StrCat(EncodeLocation(blob.location), blob.found));
  }
  for (const auto& [pack, end] : batch.pack_ends) {
    writes.Put(Key(kPack, BigEndian(pack)), BigEndian(end));
  }
  for (const int64_t pack : batch.removed_packs) {
    writes.Delete(Key(kPack, BigEndian(pack)));
  }
  WriteOrStop(*db_, writes);
}

}  // namespace headstart::storage
