#include "worker/agent/stub_trainer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "worker/trainer_protocol/frame.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {
namespace {

struct Action {
  std::string what;
  int number = 0;
};

// What STUB_TRAINER says for this moment.
Action ActionAt(int64_t attempt, int64_t epoch) {
  const char* rules = getenv("STUB_TRAINER");
  for (absl::string_view rule : absl::StrSplit(rules ? rules : "", ';')) {
    bool applies = !rule.empty();
    Action action;
    for (absl::string_view field : absl::StrSplit(rule, ',')) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(field, absl::MaxSplits('=', 1));
      int64_t number = 0;
      if (parts.first == "do") {
        const std::pair<std::string, std::string> what =
            absl::StrSplit(parts.second, absl::MaxSplits(':', 1));
        action.what = what.first;
        applies &= absl::SimpleAtoi(what.second, &action.number) ||
                   what.second.empty();
      } else if (absl::SimpleAtoi(parts.second, &number)) {
        if (parts.first == "attempt") applies &= number == attempt;
        if (parts.first == "epoch") applies &= number == epoch;
      }
    }
    if (applies) return action;
  }
  return {};
}

// Ends this process by SIGKILL when fewer than `count` were ended so before,
// which files beside the gate say.
void DieAmongTheFirst(int count) {
  for (int i = 1; i <= count; ++i) {
    const std::string mark = absl::StrCat(getenv("STUB_GATE"), ".dead.", i);
    if (open(mark.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) {
      raise(SIGKILL);
    }
  }
}

TensorTable StubTable() {
  return *LayOut({
      {.name = "w", .shape = {64, 32}},
      {.name = "b", .shape = {8}},
      {.name = "fixed", .shape = {2048}, .role = TensorRole::kBuffer},
      {.name = "optimizer.w.exp_avg",
       .shape = {64, 32},
       .role = TensorRole::kOptimizer},
      {.name = "position",
       .dtype = DType::kI64,
       .shape = {},
       .role = TensorRole::kState},
  });
}

class StubTrainer {
 public:
  explicit StubTrainer(UniqueFd socket)
      : socket_(std::make_unique<FrameSocket>(std::move(socket))) {}

  int Serve();

 private:
  void Train(const Assign& assign, std::vector<UniqueFd> descriptors);
  // Says it has filled a slab that it never got.
  void ClaimHugeSnapshot(const Assign& assign);
  void LoadOrDraw(const Assign& assign, std::vector<UniqueFd> descriptors);
  void TrainEpoch(int64_t seed, int64_t epoch);
  // False when `stop now` came.
  bool Act(int64_t epoch, const Action& action);
  bool WriteSnapshot(int64_t epoch);
  void WaitAtGate();

  void Send(const TrainerMessage& message) {
    if (!socket_->Send(ToJson(message)).ok()) _exit(0);
  }
  // Handles messages that are there, or waits for one. Ends the process when
  // the socket closes.
  std::optional<std::pair<AgentMessage, std::vector<UniqueFd>>> Receive(
      absl::Duration timeout);
  void Pump(absl::Duration timeout);

  std::unique_ptr<FrameSocket> socket_;
  const TensorTable table_ = StubTable();
  std::vector<char> state_ = std::vector<char>(SlabBytes(StubTable()));
  std::vector<Slab> slabs_;
  std::deque<int64_t> free_slabs_;
  std::optional<StopMode> stop_;
};

int StubTrainer::Serve() {
  if (const Action action = ActionAt(0, 0); action.what == "exit") {
    std::cerr << "no library for this trainer" << std::endl;
    return action.number;
  } else if (action.what == "stillborn") {
    DieAmongTheFirst(action.number);
  }
  std::cerr << "stub trainer is ready" << std::endl;
  Send(Ready{.library = "stub 1",
             .device = "stub device",
             .threads = 1,
             .plugins = {{.kind = PluginKind::kDataset,
                          .name = "dots",
                          .version = "2",
                          .options_schema_json = "{}",
                          .file = "dots.so"}},
             .refused_plugins = {{.file = "old.so", .message = "too old"}}});
  if (ActionAt(0, 0).what == "faint") return 1;
  for (;;) {
    auto message = Receive(absl::InfiniteDuration());
    if (std::holds_alternative<Exit>(message->first)) return 0;
    // A late slab_free or stop is for the assignment that is over.
    if (auto* assign = std::get_if<Assign>(&message->first)) {
      Train(*assign, std::move(message->second));
    }
  }
}

void StubTrainer::Train(const Assign& assign,
                        std::vector<UniqueFd> descriptors) {
  LoadOrDraw(assign, std::move(descriptors));
  slabs_.clear();
  free_slabs_.clear();
  stop_.reset();
  if (ActionAt(assign.attempt, 0).what == "huge")
    return ClaimHugeSnapshot(assign);
  Send(Started{.run = assign.run,
               .attempt = assign.attempt,
               .slab_bytes = SlabBytes(table_),
               .tensors = table_,
               .effective = {.learning_rate = 0.5,
                             .batch_size = 10,
                             .parameter_count = 2056,
                             .training_examples = 100,
                             .thread_count = 1},
               .model = "stub",
               .input_transform = "none"});
  while (slabs_.empty() && stop_ != StopMode::kNow) {
    Pump(absl::InfiniteDuration());
  }

  int64_t epoch = assign.from_epoch;
  if (epoch == 0) {
    Send(EpochDone{.epoch = 0, .seconds = {.initialize = 0.25}});
    if (!WriteSnapshot(0)) return Send(Paused{-1});
  }
  while (epoch < assign.until_epoch) {
    Pump(absl::ZeroDuration());
    if (stop_.has_value()) return Send(Paused{epoch});
    Send(Step{.epoch = epoch + 1, .step = 1, .steps = 2});
    if (!Act(epoch + 1, ActionAt(assign.attempt, epoch + 1))) {
      return Send(Paused{epoch});
    }
    TrainEpoch(assign.seed, ++epoch);
    Send(EpochDone{
        .epoch = epoch,
        .measurement = {.training_loss = 1.0 / static_cast<double>(epoch),
                        .validation_accuracy = 0.5},
        .seconds = {.train = 0.25, .evaluate = 0.125},
        .examples_per_second = 400});
    if (!WriteSnapshot(epoch)) return Send(Paused{epoch - 1});
  }
  Send(Finished{epoch, {.snapshot = 0.5}});
}

void StubTrainer::ClaimHugeSnapshot(const Assign& assign) {
  stop_.reset();
  WaitAtGate();
  const TensorTable table = *LayOut({{.name = "w", .shape = {1 << 30, 1024}}});
  Send(Started{.run = assign.run,
               .attempt = assign.attempt,
               .slab_bytes = SlabBytes(table),
               .tensors = table,
               .effective = {.batch_size = 1, .thread_count = 1},
               .model = "stub"});
  Send(EpochDone{.epoch = 0});
  Send(Snapshot{.epoch = 0, .slab = 0});
  while (stop_ != StopMode::kNow) Pump(absl::InfiniteDuration());
  Send(Paused{-1});
}

void StubTrainer::LoadOrDraw(const Assign& assign,
                             std::vector<UniqueFd> descriptors) {
  memset(state_.data(), 0, state_.size());
  for (const TableEntry& entry : table_) {
    if (entry.name == "fixed") {
      memset(state_.data() + entry.offset, 7, entry.bytes);
    }
  }
  for (size_t i = 0; i < assign.sources.size(); ++i) {
    const Source& source = assign.sources[i];
    auto memory =
        Slab::Map(std::move(descriptors[i]), source.bytes, Slab::Access::kRead);
    HS_CHECK(memory.ok());
    for (const TableEntry& stored : source.tensors) {
      for (const TableEntry& entry : table_) {
        if (entry.name != stored.name) continue;
        memcpy(state_.data() + entry.offset, memory->Tensor(stored).data(),
               entry.bytes);
      }
    }
  }
}

void StubTrainer::TrainEpoch(int64_t seed, int64_t epoch) {
  for (const TableEntry& entry : table_) {
    if (entry.name == "fixed") continue;
    char* data = state_.data() + entry.offset;
    if (entry.name == "position") {
      memcpy(data, &epoch, sizeof(epoch));
      continue;
    }
    for (int64_t i = 0; i < entry.bytes / 4; ++i) {
      float value = 0;
      memcpy(&value, data + 4 * i, 4);
      value = value / 2 + static_cast<float>(seed % 97 + epoch * 3 + i % 5) +
              static_cast<float>(entry.name.size());
      memcpy(data + 4 * i, &value, 4);
    }
  }
}

bool StubTrainer::Act(int64_t epoch, const Action& action) {
  if (action.what == "signal") {
    std::cerr << "about to crash" << std::endl;
    signal(action.number, SIG_DFL);
    raise(action.number);
  } else if (action.what == "cut") {
    constexpr char kHalfALine[] = R"({"type":"epoch","epoch":1,"measur)";
    HS_CHECK(write(socket_->descriptor(), kHalfALine, sizeof(kHalfALine) - 1) >
             0);
    raise(SIGKILL);
  } else if (action.what == "exit") {
    _exit(action.number);
  } else if (action.what == "nan") {
    Send(Failed{.reason = FailureReason::kNonFiniteLoss,
                .message = "loss is NaN"});
    _exit(1);
  } else if (action.what == "wait") {
    WaitAtGate();
  } else if (action.what == "hang") {
    for (;;) pause();
  } else if (action.what == "deaf") {
    HS_CHECK_EQ(shutdown(socket_->descriptor(), SHUT_RD), 0);
    // All of the epoch is done, which never is so otherwise.
    Send(Step{.epoch = epoch, .step = 2, .steps = 2});
    for (;;) pause();
  } else if (action.what == "garbage") {
    HS_CHECK_OK(socket_->Send("[]"));
  } else if (action.what == "bad_slab") {
    Send(EpochDone{.epoch = 0});
    Send(Snapshot{.epoch = 0, .slab = 99});
  }
  return stop_ != StopMode::kNow;
}

void StubTrainer::WaitAtGate() {
  // Read and write, so that the FIFO is never at its end.
  UniqueFd gate(open(getenv("STUB_GATE"), O_RDWR | O_CLOEXEC));
  HS_CHECK(gate.valid());
  while (stop_ != StopMode::kNow) {
    pollfd entries[] = {
        {.fd = gate.get(), .events = POLLIN, .revents = 0},
        {.fd = socket_->descriptor(), .events = POLLIN, .revents = 0}};
    poll(entries, 2, -1);
    if (entries[0].revents != 0) {
      char byte = 0;
      if (read(gate.get(), &byte, 1) == 1) return;
    }
    Pump(absl::ZeroDuration());
  }
}

bool StubTrainer::WriteSnapshot(int64_t epoch) {
  Pump(absl::ZeroDuration());
  while (free_slabs_.empty() && stop_ != StopMode::kNow) {
    Pump(absl::InfiniteDuration());
  }
  if (stop_ == StopMode::kNow) return false;
  const int64_t slab = free_slabs_.front();
  free_slabs_.pop_front();
  memcpy(slabs_[slab].data(), state_.data(), state_.size());
  Send(Snapshot{.epoch = epoch, .slab = slab});
  return true;
}

std::optional<std::pair<AgentMessage, std::vector<UniqueFd>>>
StubTrainer::Receive(absl::Duration timeout) {
  auto frame = socket_->Receive(timeout);
  if (absl::IsDeadlineExceeded(frame.status())) return std::nullopt;
  if (!frame.ok() || !frame->has_value()) _exit(0);
  auto message = ParseAgentMessage((*frame)->line);
  HS_CHECK(message.ok()) << message.status();
  return std::pair(*std::move(message), std::move((*frame)->descriptors));
}

void StubTrainer::Pump(absl::Duration timeout) {
  while (auto received = Receive(timeout)) {
    timeout = absl::ZeroDuration();
    const AgentMessage& message = received->first;
    if (const auto* slabs = std::get_if<Slabs>(&message)) {
      for (UniqueFd& memory : received->second) {
        auto slab = Slab::Map(std::move(memory), slabs->bytes,
                              Slab::Access::kReadWrite);
        HS_CHECK(slab.ok());
        free_slabs_.push_back(slabs_.size());
        slabs_.push_back(*std::move(slab));
      }
    } else if (const auto* slab_free = std::get_if<SlabFree>(&message)) {
      free_slabs_.push_back(slab_free->slab);
    } else if (const auto* stop = std::get_if<Stop>(&message)) {
      stop_ = stop->mode;
    } else if (std::holds_alternative<Exit>(message)) {
      _exit(0);
    }
  }
}

}  // namespace

int StubTrainerMain(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    int fd = -1;
    if (strcmp(argv[i], "--socket-fd") == 0 &&
        absl::SimpleAtoi(argv[i + 1], &fd)) {
      return StubTrainer(UniqueFd(fd)).Serve();
    }
  }
  return 2;
}

bool IsStubTrainer(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](const char* argument) {
    return strcmp(argument, "--socket-fd") == 0;
  });
}

void SetStubTrainerRules(const char* rules) {
  setenv("STUB_TRAINER", rules, /*replace=*/1);
}

}  // namespace headstart::worker
