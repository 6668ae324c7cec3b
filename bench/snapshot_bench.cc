// What a checkpoint of LeNet costs the training loop, against memcpy of the
// same bytes.
//
// A real training loop on MNIST with a real socket: its wait per epoch is what
// it says itself in `epoch` messages, snapshot plus stall. After each epoch the
// same number of bytes is copied between two buffers, the second of two copies
// timed, so that the baseline's memory is as warm as it can be.
//
// Sketch: 3.2 MB of weights and Adam's moments leave the L3 cache at some 20
// GB/s, 0.16 ms; reading the generator's state (5 kB) and one line on the
// socket add about 0.02 ms. So a little above 1.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "worker/datasets/registry.h"
#include "worker/trainer/agent_host.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/train_loop.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/messages.h"
#include "worker/trainer_protocol/slab.h"

namespace headstart::worker {
namespace {

constexpr int64_t kEpochs = 60;
constexpr char kTraining[] = R"({
    "model": {"lenet_300_100": {}},
    "dataset": {"mnist": {"validation_examples": 0, "train_examples": 2000,
                          "split_seed": 0}},
    "epochs": 60, "batch_size": 128,
    "optimizer": {"adam": {"learning_rate": 0.0012, "beta1": 0.9,
                           "beta2": 0.999, "epsilon": 1e-8,
                           "weight_decay": 0}},
    "schedule": {"constant": {}}, "initializer": {"framework_default": {}},
    "evaluate": "TEST_NEVER"})";

// The other end of the socket: gives three slabs, and each back at once.
void ServeSlabs(UniqueFd end) {
  FrameSocket socket(std::move(end));
  std::vector<Slab> slabs;
  while (true) {
    auto frame = socket.Receive();
    if (!frame.ok() || !frame->has_value()) return;
    const TrainerMessage message = ParseTrainerMessage((*frame)->line).value();
    if (const auto* started = std::get_if<Started>(&message)) {
      std::vector<int> descriptors;
      for (int i = 0; i < 3; ++i) {
        slabs.push_back(Slab::Create(started->slab_bytes).value());
        descriptors.push_back(slabs.back().descriptor());
      }
      HS_CHECK_OK(
          socket.Send(ToJson(AgentMessage(Slabs{.bytes = started->slab_bytes})),
                      descriptors));
    } else if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      HS_CHECK_OK(
          socket.Send(ToJson(AgentMessage(SlabFree{.slab = snapshot->slab}))));
    }
  }
}

// An agent's host that measures as it passes things on.
class MeasuringHost final : public Host {
 public:
  explicit MeasuringHost(UniqueFd socket) : agent_(std::move(socket)) {}

  absl::StatusOr<std::optional<Assignment>> Next() override {
    return agent_.Next();
  }
  absl::Status Begin(const Started& started) override {
    from_.assign(started.slab_bytes, 'x');
    to_ = Slab::Create(started.slab_bytes).value();
    return agent_.Begin(started);
  }
  std::optional<int64_t> AcquireSlab() override { return agent_.AcquireSlab(); }
  Slab& slab(int64_t number) override { return agent_.slab(number); }
  std::optional<StopMode> stop() const override { return agent_.stop(); }
  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* epoch = std::get_if<EpochDone>(&message)) {
      waits.push_back(epoch->seconds.snapshot + epoch->seconds.stall);
      copies.push_back(CopySeconds());
    }
    return agent_.Send(message);
  }

  int64_t bytes() const { return to_.bytes(); }

  std::vector<double> waits;
  std::vector<double> copies;

 private:
  double CopySeconds() {
    std::memcpy(to_.data(), from_.data(), from_.size());
    const absl::Duration begin = Clock::Real().Monotonic();
    std::memcpy(to_.data(), from_.data(), from_.size());
    benchmark::ClobberMemory();
    return absl::ToDoubleSeconds(Clock::Real().Monotonic() - begin);
  }

  AgentHost agent_;
  std::string from_;
  Slab to_;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

void BM_Snapshot_Lenet(benchmark::State& state, const std::string& datasets) {
  const Assignment assignment = {.assign = {.run = "studies/1/trials/1",
                                            .attempt = 1,
                                            .training_json = kTraining,
                                            .seed = 42,
                                            .from_epoch = 0,
                                            .until_epoch = kEpochs},
                                 .source_memory = {}};
  for (auto _ : state) {
    auto [agents, trainers] = FrameSocket::MakePair().value();
    std::thread agent(ServeSlabs, std::move(agents));
    {
      DatasetReader reader({datasets});
      MeasuringHost host(std::move(trainers));
      HS_CHECK_OK(Train(assignment, reader, Clock::Real(), host));
      state.counters["wait_us"] = 1e6 * Median(host.waits);
      state.counters["memcpy_us"] = 1e6 * Median(host.copies);
      state.counters["ratio"] = Median(host.waits) / Median(host.copies);
      state.counters["bytes"] = host.bytes();
    }
    agent.join();
  }
}

}  // namespace
}  // namespace headstart::worker

// The folder with mnist/ may be given as the last argument.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  headstart::worker::SetUpLibTorch(/*threads=*/1);
  const std::string datasets = argc > 1 ? argv[argc - 1] : "examples/data";
  benchmark::RegisterBenchmark("BM_Snapshot_Lenet/3.2MB",
                               [datasets](benchmark::State& state) {
                                 headstart::worker::BM_Snapshot_Lenet(state,
                                                                      datasets);
                               })
      ->Iterations(1)
      ->Repetitions(7)
      ->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
}
