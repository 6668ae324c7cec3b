// What a checkpoint costs the training thread: the time that it is blocked,
// plus what the first step, out of place, takes longer than a step in place.
//
// A real arena, optimizer and socket; another thread gives each slab back when
// it is told of a snapshot. Six steps between checkpoints, with gradients that
// stay as they are. Beside it a memcpy of the same bytes to memory kept for it.
// One JSON object per model; bench/checkpoint_stall.py puts the peers beside.
//
// Sketch, ResNet-18 with momentum, 89 MB: blocked for 40 kB of buffers and a
// line on a socket, some 0.05 ms; the first step writes 89 MB around the caches
// instead of through them, about 1 ms more.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/clock.h"
#include "initializers/state_dict.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/trainer/agent_host.h"
#include "worker/trainer/arena.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/training/optimizer.h"

namespace headstart::worker {
namespace {

constexpr int kCheckpoints = 31;  // The first one warms up.
constexpr int kSteps = 6;

// What a run's state is made of.
struct State {
  std::shared_ptr<Model> model;  // Null for the transformer.
  OptimizedParameters parameters;
  std::vector<StateTensor> tensors;
  std::unique_ptr<Optimizer> optimizer;
};

// 148 tensors of 100.3 million numbers: the embeddings and twelve blocks of a
// transformer of width 768. Only memory matters here, so there is no model.
OptimizedParameters Transformer() {
  constexpr int64_t kWidth = 768;
  std::vector<std::vector<int64_t>> shapes = {{18'800, kWidth},
                                              {1'024, kWidth}};
  for (int i = 0; i < 12; ++i) {
    shapes.insert(shapes.end(), {{kWidth},
                                 {kWidth},
                                 {3 * kWidth, kWidth},
                                 {3 * kWidth},
                                 {kWidth, kWidth},
                                 {kWidth},
                                 {kWidth},
                                 {kWidth},
                                 {4 * kWidth, kWidth},
                                 {4 * kWidth},
                                 {kWidth, 4 * kWidth},
                                 {kWidth}});
  }
  shapes.insert(shapes.end(), {{kWidth}, {kWidth}});
  OptimizedParameters parameters;
  for (const auto& shape : shapes) {
    parameters.push_back({.name = absl::StrCat("p", parameters.size()),
                          .tensor = at::randn(shape).set_requires_grad(true)});
  }
  return parameters;
}

State MakeState(const std::string& name, double momentum) {
  State state;
  if (name == "gpt100m") {
    state.parameters = Transformer();
    for (const OptimizedParameter& each : state.parameters) {
      state.tensors.push_back({each.name, each.tensor, TensorRole::kParameter});
    }
  } else {
    const bool lenet = name == "lenet";
    const int64_t side = lenet ? 28 : 32;
    state.model = MakeModel({lenet ? "lenet_300_100" : "cifar_resnet18"},
                            {.channels = lenet ? 1 : 3,
                             .height = side,
                             .width = side,
                             .classes = 10})
                      .value();
    state.parameters = ListParameters(*state.model);
    for (const auto& each : initializers::StateDict(*state.model)) {
      state.tensors.push_back(
          {each.name, each.tensor,
           each.is_buffer ? TensorRole::kBuffer : TensorRole::kParameter});
    }
  }
  for (const OptimizedParameter& each : state.parameters) {
    each.tensor.mutable_grad() = at::randn_like(each.tensor.detach());
  }
  state.optimizer =
      MakeOptimizer({SgdOptions{.learning_rate = 1e-6, .momentum = momentum}},
                    state.parameters);
  for (const auto& [what, tensor] : state.optimizer->State()) {
    state.tensors.push_back({what, tensor, TensorRole::kOptimizer});
  }
  state.tensors.push_back({"generator",
                           at::detail::getDefaultCPUGenerator().get_state(),
                           TensorRole::kState});
  return state;
}

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

double Milliseconds(const std::function<void()>& what) {
  const absl::Duration begin = Clock::Real().Monotonic();
  what();
  return absl::ToDoubleMilliseconds(Clock::Real().Monotonic() - begin);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

nlohmann::json Measure(const std::string& name, double momentum) {
  State state = MakeState(name, momentum);
  const TensorTable table = MakeTable(state.tensors);
  auto [agents, trainers] = FrameSocket::MakePair().value();
  std::thread agent(ServeSlabs, std::move(agents));
  nlohmann::json result;
  {
    AgentHost host(std::move(trainers));
    HS_CHECK_OK(host.Begin({.run = "studies/1/trials/1",
                            .attempt = 1,
                            .slab_bytes = SlabBytes(table),
                            .tensors = table,
                            .effective = {.learning_rate = 1,
                                          .batch_size = 1,
                                          .parameter_count = 1,
                                          .training_examples = 1,
                                          .validation_examples = 0,
                                          .thread_count = 1},
                            .model = name,
                            .input_transform = "none"}));
    const Slab kept = Slab::Create(SlabBytes(table)).value();
    int64_t slab = host.AcquireSlab().value();
    Arena arena(state.tensors, table, host.slab(slab));
    const at::Tensor generator = state.tensors.back().tensor;
    std::vector<double> blocked, first, in_place, copied, stall;
    for (int checkpoint = 0; checkpoint < kCheckpoints; ++checkpoint) {
      std::vector<double> steps;
      for (int step = 0; step < kSteps; ++step) {
        steps.push_back(Milliseconds([&] { arena.Step(*state.optimizer); }));
      }
      copied.push_back(
          Milliseconds([&] { CopyToSlab(state.tensors, table, kept); }));
      arena.Step(*state.optimizer);  // The caches are training's again.
      in_place.push_back(Median(steps));
      blocked.push_back(Milliseconds([&] {
        generator.copy_(at::detail::getDefaultCPUGenerator().get_state());
        HS_CHECK_OK(host.Send(Snapshot{.epoch = checkpoint, .slab = slab}));
        slab = host.AcquireSlab().value();
        arena.MoveTo(host.slab(slab));
      }));
      first.push_back(Milliseconds([&] { arena.Step(*state.optimizer); }));
      stall.push_back(blocked.back() + first.back() - in_place.back());
    }
    for (auto* times : {&blocked, &first, &in_place, &copied, &stall}) {
      times->erase(times->begin());
    }
    result = {{"bench", "checkpoint_stall"},
              {"method", "headstart"},
              {"model", name},
              {"tensor_mb", SlabBytes(table) / 1e6},
              {"stall_ms", Median(stall)},
              {"blocked_ms", Median(blocked)},
              {"first_step_ms", Median(first)},
              {"step_ms", Median(in_place)},
              {"memcpy_ms", Median(copied)}};
  }
  agent.join();
  return result;
}

int Main(int argc, char** argv) {
  std::vector<std::string> models = {"lenet", "resnet18", "gpt100m"};
  CLI::App app("What a checkpoint costs the training thread.",
               "checkpoint_bench");
  app.add_option("--models", models, "lenet, resnet18, gpt100m")
      ->delimiter(',')
      ->check(CLI::IsMember({"lenet", "resnet18", "gpt100m"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  SetUpLibTorch(/*threads=*/1);
  for (const std::string& model : models) {
    std::cout << Measure(model, model == "gpt100m" ? 0 : 0.9) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
