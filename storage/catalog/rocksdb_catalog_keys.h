// The catalog's keys in RocksDB. docs/manifest_format.md describes them.
#pragma once

#include <memory>
#include <string>

#include <google/protobuf/message_lite.h>
#include <rocksdb/db.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "storage/blob/digest.h"
#include "storage/pack/rocksdb_open.h"

namespace headstart::storage {

inline constexpr char kStoreKey = 's';       // -> StoreRecord
inline constexpr char kCheckpointKey = 'c';  // name -> CheckpointRecord
inline constexpr char kManifestKey = 'm';    // digest -> canonical bytes
inline constexpr char kOwnerKey = 'o';       // owner -> OwnerRecord
inline constexpr char kRunKey = 'r';         // run -> RunRecord
inline constexpr char kAnswerKey = 'a';      // request_id -> AnswerRecord

inline std::string CatalogKey(char kind, absl::string_view rest = {}) {
  return absl::StrCat(absl::string_view(&kind, 1), rest);
}

// Sorts as the names do: kind of run, study or training, run, epoch. Of
// imports, which are no runs, there are keys of checkpoints only.
inline std::string RunKey(const RunName& run) {
  if (run.kind == RunKind::kImport) return absl::StrCat("i", run.import);
  return absl::StrCat(run.kind == RunKind::kTrial ? "t" : "u",
                      BigEndian(run.parent), BigEndian(run.number));
}
inline std::string CheckpointKey(const CheckpointName& checkpoint) {
  return absl::StrCat(RunKey(checkpoint.run), BigEndian(checkpoint.epoch));
}

inline absl::StatusOr<RunName> ParseRunKey(absl::string_view key) {
  if (key.size() != 17 || (key[0] != 't' && key[0] != 'u')) {
    return absl::DataLossError("the catalog holds a damaged key of a run.");
  }
  return RunName{key[0] == 't' ? RunKind::kTrial : RunKind::kTrainingRun,
                 static_cast<int64_t>(FromBigEndian(key.substr(1, 8))),
                 static_cast<int64_t>(FromBigEndian(key.substr(9, 8)))};
}
inline absl::StatusOr<CheckpointName> ParseCheckpointKey(
    absl::string_view key) {
  constexpr size_t kEpochBytes = 8;
  if (key.size() < kEpochBytes) {
    return absl::DataLossError(
        "the catalog holds a damaged key of a checkpoint.");
  }
  const absl::string_view run_key = key.substr(0, key.size() - kEpochBytes);
  const auto epoch =
      static_cast<int64_t>(FromBigEndian(key.substr(run_key.size())));
  if (absl::StartsWith(run_key, "i")) {
    return CheckpointName{RunName::Import(std::string(run_key.substr(1))),
                          epoch};
  }
  HS_ASSIGN_OR_RETURN(const RunName run, ParseRunKey(run_key));
  return CheckpointName{run, epoch};
}

// Visits all entries of a kind, in the order of their keys; `visit` gets the
// key without the kind.
inline absl::Status VisitCatalog(
    rocksdb::DB& db, char kind,
    absl::FunctionRef<absl::Status(absl::string_view key,
                                   absl::string_view value)>
        visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
  for (it->Seek(std::string(1, kind)); it->Valid() && it->key()[0] == kind;
       it->Next()) {
    const absl::string_view key(it->key().data(), it->key().size());
    const absl::string_view value(it->value().data(), it->value().size());
    HS_RETURN_IF_ERROR(visit(key.substr(1), value));
  }
  return FromRocksdb(it->status(), "reading the catalog");
}

// Parses a record, or says that it is damaged.
inline absl::Status ParseRecord(absl::string_view bytes,
                                google::protobuf::MessageLite& record) {
  if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("the catalog holds a damaged ", record.GetTypeName(), "."));
}

}  // namespace headstart::storage
