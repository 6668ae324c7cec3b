// Whole trainings of a small model on drawn images, and a host that keeps what
// they say and store.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

#include "base/clock.h"
#include "tests/support/training_json.h"
#include "worker/trainer/host.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/train_loop.h"

namespace headstart::worker {

using Json = nlohmann::json;

inline constexpr char kRun[] = "studies/1/trials/1";

// Keeps what a training says and stores.
class MemoryHost final : public Host {
 public:
  absl::StatusOr<std::optional<Assignment>> Next() override {
    return std::nullopt;
  }
  absl::Status Begin(const Started& said) override {
    started = said;
    for (Slab& slab : slabs_) slab = Slab::Create(said.slab_bytes).value();
    return absl::OkStatus();
  }
  // Another one each time, so that the run moves.
  std::optional<int64_t> AcquireSlab() override { return last_ = 1 - last_; }
  Slab& slab(int64_t number) override { return slabs_[number]; }
  std::optional<StopMode> stop() const override { return std::nullopt; }
  absl::Status Send(const TrainerMessage& message) override {
    if (const auto* epoch = std::get_if<EpochDone>(&message)) {
      measurements[epoch->epoch] = epoch->measurement;
    } else if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
      const Slab& slab = slabs_[snapshot->slab];
      snapshots[snapshot->epoch] = std::string(slab.data(), slab.bytes());
    } else if (const auto* done = std::get_if<Finished>(&message)) {
      finished = done->epoch;
    }
    return absl::OkStatus();
  }

  // All parameters after an epoch, one after the other.
  std::vector<double> Weights(int64_t epoch) const {
    std::vector<double> weights;
    for (const TableEntry& entry : started.tensors) {
      if (entry.role != TensorRole::kParameter) continue;
      const char* at = snapshots.at(epoch).data() + entry.offset;
      int64_t count = 1;
      for (const int64_t size : entry.shape) count *= size;
      for (int64_t i = 0; i < count; ++i) {
        if (entry.dtype == DType::kF64) {
          double value;
          std::memcpy(&value, at + i * sizeof(value), sizeof(value));
          weights.push_back(value);
        } else {
          float value;
          std::memcpy(&value, at + i * sizeof(value), sizeof(value));
          weights.push_back(value);
        }
      }
    }
    return weights;
  }

  Started started;
  std::map<int64_t, Measurement> measurements;
  std::map<int64_t, std::string> snapshots;
  std::optional<int64_t> finished;

 private:
  Slab slabs_[2];
  int64_t last_ = 1;
};

// The small CNN on drawn images, SGD without momentum, `changes` merged in.
inline Json Spec(const Json& changes) {
  Json spec = CompleteTraining(
      {{"model", {{"small_cnn", Json::object()}}},
       {"dataset",
        {{"synthetic",
          {{"train_examples", 48},
           {"test_examples", 20},
           {"channels", 3},
           {"image_size", 8},
           {"classes", 4},
           {"seed", 1},
           {"validation_examples", 16},
           {"split_seed", 1}}}}},
       {"epochs", 3},
       {"batch_size", 8},
       {"optimizer",
        {{"sgd",
          {{"learning_rate", 0.1},
           {"momentum", 0},
           {"nesterov", false},
           {"weight_decay", 0}}}}},
       {"schedule", {{"constant", Json::object()}}},
       {"initializer", {{"framework_default", Json::object()}}},
       {"evaluate", "TEST_NEVER"}});
  spec.merge_patch(changes);
  return spec;
}

inline absl::Status RunOn(MemoryHost& host, const Json& spec,
                          int64_t until_epoch,
                          const MemoryHost* resumed = nullptr,
                          int64_t from_epoch = 0, Device* device = nullptr) {
  [[maybe_unused]] static const bool set_up =
      (SetUpLibTorch(/*threads=*/1), true);
  Assignment assignment = {.assign = {.run = kRun,
                                      .attempt = 1,
                                      .training_json = spec.dump(),
                                      .seed = 42,
                                      .from_epoch = from_epoch,
                                      .until_epoch = until_epoch},
                           .source_memory = {}};
  if (resumed != nullptr) {
    const std::string& bytes = resumed->snapshots.at(from_epoch);
    Slab memory = Slab::Create(bytes.size()).value();
    std::memcpy(memory.data(), bytes.data(), bytes.size());
    assignment.assign.sources.push_back(
        {.checkpoint = absl::StrCat(kRun, "/epochs/", from_epoch),
         .role = SourceRole::kResume,
         .bytes = memory.bytes(),
         .tensors = resumed->started.tensors});
    assignment.source_memory.push_back(std::move(memory));
  }
  DatasetReader datasets({});
  return Train(assignment, datasets, Clock::Real(), host, device);
}

}  // namespace headstart::worker
