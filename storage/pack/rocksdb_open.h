// What all RocksDB databases of storage have in common.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rocksdb {
class DB;
class Env;
class Iterator;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace headstart::storage {

// Opens the database, made new if there is none. It takes at most about 16 MiB
// of memory. A torn last entry of its log is dropped; damage anywhere else is
// DataLoss. `env` is where its files are; null for the machine's own.
absl::StatusOr<std::unique_ptr<rocksdb::DB>> OpenRocksdb(
    const std::string& folder, rocksdb::Env* env = nullptr);

// `what` says what was done, such as "reading the pack index".
absl::Status FromRocksdb(const rocksdb::Status& status, absl::string_view what);

// Writes `batch`, whole and durably. Stops the process if that fails: whether
// the batch will be there after a restart is then unknown.
void WriteOrStop(rocksdb::DB& db, rocksdb::WriteBatch& batch);

// Big-endian, so that keys sort as their numbers do.
std::string BigEndian(uint64_t number);
uint64_t FromBigEndian(absl::string_view bytes);

}  // namespace headstart::storage
