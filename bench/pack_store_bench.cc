// What it costs to store a checkpoint of LeNet durably, against write and
// fdatasync of the same bytes to a plain file.
//
// A checkpoint is six tensors, 1.07 MB: two blobs, and a manifest that holds
// the other four. It is put and committed; its digests are made before, as the
// agent makes them. Seven pairs; in each 20 checkpoints and 20 files take
// turns.
//
// Sketch: three waits for the disk (pack, index, catalog) where the file has
// one, two of them for less than 10 kB; SHA-256 at 1.5 GB/s and a CRC over
// 1.07 MB add 0.8 ms. So below 2 where the disk is slow, 2 to 3 where it is
// fast.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/clock.h"
#include "storage/catalog/manifests_for_tests.h"
#include "storage/catalog/rocksdb_catalog.h"
#include "storage/pack/pack_store.h"
#include "tests/support/temp_dir.h"

namespace headstart::storage {
namespace {

constexpr int kPairs = 7;
constexpr int kCheckpointsPerPair = 20;

struct Tensor {
  const char* name;
  int64_t values;
};
constexpr Tensor kLenet[] = {
    {"layers.0.weight", 300 * 784}, {"layers.0.bias", 300},
    {"layers.1.weight", 100 * 300}, {"layers.1.bias", 100},
    {"layers.2.weight", 10 * 100},  {"layers.2.bias", 10},
};

// The weights after `epoch`; random bytes, which no codec makes smaller, as
// trained weights.
TestEpoch MakeCheckpoint(int64_t epoch) {
  TestEpoch made;
  made.request.set_attempt(1);
  made.request.set_token(1);
  made.request.set_cluster_id(kCluster);
  v1::Manifest& manifest = *made.request.mutable_manifest();
  manifest.set_format_version(kManifestFormatVersion);
  manifest.set_run("studies/1/trials/1");
  manifest.set_epoch(epoch);
  manifest.set_model("lenet_300_100");
  std::string random = TensorData(230, /*seed=*/epoch);
  for (const Tensor& tensor : kLenet) {
    std::string bytes = random.substr(0, 4 * tensor.values);
    std::rotate(random.begin(), random.begin() + 1, random.end());
    AddTensor(manifest, tensor.name, v1::Tensor::PARAMETER, bytes);
    if (manifest.tensors().rbegin()->has_digest()) {
      made.blobs.push_back({Digest::Of(bytes), absl::Cord(std::move(bytes))});
    }
  }
  return made;
}

std::string AllBytes(const TestEpoch& epoch) {
  std::string bytes = epoch.request.manifest().SerializeAsString();
  for (const Blob& blob : epoch.blobs) bytes += std::string(blob.bytes);
  return bytes;
}

void WriteAndSync(const std::string& path, const std::string& bytes) {
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  HS_CHECK_GE(file, 0);
  HS_CHECK_EQ(write(file, bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  HS_CHECK_EQ(fdatasync(file), 0);
  close(file);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

void BM_StoreCheckpoint_Lenet(benchmark::State& state) {
  const Clock& clock = Clock::Real();
  TempDir folder;
  auto packs = PackStore::Open({.folder = folder.path()}, clock);
  HS_CHECK_OK(packs);
  auto catalog = RocksdbCatalog::Open(
      {.folder = folder / "catalog",
       .check_room = [&](int64_t bytes) { return (*packs)->CheckRoom(bytes); }},
      **packs, clock);
  HS_CHECK_OK(catalog);
  int64_t bytes = 0;
  std::vector<double> store_ms;
  std::vector<double> file_ms;
  std::vector<double> ratios;
  for (auto _ : state) {
    for (int pair = 0; pair < kPairs; ++pair) {
      absl::Duration store_time;
      absl::Duration file_time;
      for (int i = 0; i < kCheckpointsPerPair; ++i) {
        const int number = pair * kCheckpointsPerPair + i;
        const TestEpoch epoch = MakeCheckpoint(number);
        const std::string file = AllBytes(epoch);
        bytes = static_cast<int64_t>(file.size());

        const absl::Duration begin = clock.Monotonic();
        HS_CHECK_OK((*packs)->PutAll(epoch.blobs));
        HS_CHECK_OK((*catalog)->Commit(epoch.request));
        const absl::Duration between = clock.Monotonic();
        WriteAndSync(folder / absl::StrCat("file-", number), file);
        const absl::Duration end = clock.Monotonic();

        store_time += between - begin;
        file_time += end - between;
      }
      store_ms.push_back(absl::ToDoubleMilliseconds(store_time) /
                         kCheckpointsPerPair);
      file_ms.push_back(absl::ToDoubleMilliseconds(file_time) /
                        kCheckpointsPerPair);
      ratios.push_back(absl::FDivDuration(store_time, file_time));
    }
  }
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["store_ms"] = Median(store_ms);
  state.counters["file_ms"] = Median(file_ms);
  state.counters["ratio"] = Median(store_ms) / Median(file_ms);
  state.counters["ratio_min"] = *std::min_element(ratios.begin(), ratios.end());
  state.counters["ratio_max"] = *std::max_element(ratios.begin(), ratios.end());
}
BENCHMARK(BM_StoreCheckpoint_Lenet)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headstart::storage

BENCHMARK_MAIN();
