// What durability costs the scheduler, and how long a restart takes.
//
// Sketch: a group of events is one write-ahead log record and one fdatasync, so
// BM_RocksdbJournal_Append should stay near BM_WriteAndSync of the same bytes,
// however many events are in it; RocksDB adds a memtable insert and a CRC. A
// restart reads 300 bytes an event and applies them: 5 to 10 us each.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/journal/rocksdb_journal.h"
#include "scheduler/service/test_support.h"
#include "tests/support/temp_dir.h"

namespace headstart::scheduler {
namespace {

constexpr int kAppendedBytes = 300;

std::unique_ptr<RocksdbJournal> OpenJournal(const TempDir& folder) {
  auto journal = RocksdbJournal::Open(
      {.folder = folder / "journal", .new_cluster_id = std::string(32, '0')});
  HS_CHECK_OK(journal);
  return *std::move(journal);
}

// The baseline: what the file system takes for the same bytes.
void BM_WriteAndSync(benchmark::State& state) {
  TempDir folder;
  const int file = open((folder / "log").c_str(),
                        O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  HS_CHECK_GE(file, 0);
  const std::string bytes(state.range(0) * kAppendedBytes, 'x');
  for (auto _ : state) {
    HS_CHECK_EQ(write(file, bytes.data(), bytes.size()),
                static_cast<ssize_t>(bytes.size()));
    HS_CHECK_EQ(fdatasync(file), 0);
  }
  close(file);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_WriteAndSync)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

void BM_RocksdbJournal_Append(benchmark::State& state) {
  TempDir folder;
  const std::unique_ptr<RocksdbJournal> journal = OpenJournal(folder);
  Event event;
  event.set_format_version(kJournalFormatVersion);
  event.mutable_study_state_changed()->set_message(
      std::string(kAppendedBytes, 'x'));
  const std::vector<Event> group(state.range(0), event);
  for (auto _ : state) HS_CHECK_OK(journal->Append(group));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RocksdbJournal_Append)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

// A journal as a scheduler writes it: studies of 100 trials and 9 epochs with
// one fake worker, until there are `count` events.
void WriteStudies(Journal& journal, int64_t count) {
  Scheduler scheduler;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto execute = [&](Command command) {
    absl::StatusOr<Outcome> outcome = scheduler.Execute(command, now);
    HS_CHECK_OK(outcome);
    HS_CHECK_OK(journal.Append(outcome->events));
  };
  FakeAgent agent("workers/a", /*slots=*/8,
                  [&](const v1::SynchronizeRequest& request)
                      -> absl::StatusOr<v1::SynchronizeResponse> {
                    execute(Synchronize{.request = request});
                    return scheduler.AnswerWorker(request);
                  });
  while (scheduler.event_count() < count) {
    execute(CreateStudy{.study = RandomStudy(100, 9)});
    while (!scheduler.LiveStudies(1).empty()) {
      HS_CHECK_OK(agent.Synchronize());
      agent.Train();
    }
  }
}

void BM_Restart(benchmark::State& state) {
  TempDir folder;
  {
    const std::unique_ptr<RocksdbJournal> journal = OpenJournal(folder);
    WriteStudies(*journal, state.range(0));
  }
  int64_t events = 0;
  for (auto _ : state) {
    const std::unique_ptr<RocksdbJournal> journal = OpenJournal(folder);
    Scheduler scheduler;
    HS_CHECK_OK(journal->ReadFrom(1, [&](int64_t, const Event& event) {
      scheduler.Apply(event);
      return absl::OkStatus();
    }));
    events += scheduler.event_count();
  }
  state.SetItemsProcessed(events);
}
BENCHMARK(BM_Restart)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headstart::scheduler

BENCHMARK_MAIN();
