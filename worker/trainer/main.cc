// headstart-trainer: trains what an agent assigns, or one assignment alone.
//
// Threads:
//   main           prepares, trains, copies snapshots; with LibTorch's own
//                  threads beside it (--threads).
//   agent reader   reads the agent's messages (agent_host.h); ends the process
//                  when the agent is gone.
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <c10/util/Exception.h>
#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "worker/plugin/plugins.h"
#include "worker/trainer/agent_host.h"
#include "worker/trainer/device_loader.h"
#include "worker/trainer/file_host.h"
#include "worker/trainer/pulse.h"
#include "worker/trainer/recipe.h"
#include "worker/trainer/runtime.h"
#include "worker/trainer/train_loop.h"

namespace headstart::worker {
namespace {

struct Options {
  int socket_fd = -1;
  FileHostOptions alone;
  std::vector<std::string> datasets;
  std::string plugins;
  std::string cache;
  int64_t threads = 1;
  std::string device = "cpu";
};

// Ends the process with code 2 and the usage when the flags are wrong.
Options ParseFlags(int argc, char** argv);

// Serves assignments until there are no more. Returns the exit code.
int Serve(Host& host, const Options& options, Device* device,
          const Plugins& plugins);

// Train, with what LibTorch or a plug-in throws turned into a Status:
// ResourceExhausted when memory ran out, else Internal.
absl::Status TrainWithoutThrowing(const Assignment& assignment,
                                  DatasetReader& datasets, Host& host,
                                  Device* device, const Plugins& plugins);

FailureReason ReasonOf(const absl::Status& status);

Options ParseFlags(int argc, char** argv) {
  Options options;
  CLI::App app("Trains models for a headstart worker, or one assignment alone.",
               "headstart-trainer");
  app.set_version_flag("--version", kVersion);
  auto* socket =
      app.add_option("--socket-fd", options.socket_fd,
                     "Inherited descriptor of the socket to the agent");
  auto* assignment = app.add_option(
      "--assignment", options.alone.assignment,
      "Train the `assign` object in this JSON file, print events as JSON "
      "lines, then end");
  app.add_option("--output", options.alone.output_folder,
                 "With --assignment: folder for epoch-<e>.safetensors")
      ->needs(assignment);
  std::vector<std::string> sources;
  app.add_option("--source", sources,
                 "With --assignment: NAME=FILE, the checkpoint of this name is "
                 "in this safetensors file; may be repeated")
      ->needs(assignment);
  app.add_option("--datasets", options.datasets,
                 "Folder with data sets (mnist/ and so on); may be repeated");
  app.add_option("--plugins", options.plugins,
                 "Folder with plug-ins, *.so, which may add models and data "
                 "sets");
  app.add_option("--cache", options.cache,
                 "Folder for decoded images, so that the next trainer need not "
                 "decode them; without, they are kept in memory");
  app.add_option("--threads", options.threads,
                 "Threads for each operator, 1 to 1024")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "Where to train: cpu, or cuda:<number of the GPU>")
      ->capture_default_str();
  socket->excludes(assignment);
  try {
    app.parse(argc, argv);
    if (socket->empty() == assignment->empty()) {
      throw CLI::RequiredError("one of --socket-fd and --assignment");
    }
    if (!assignment->empty() && options.alone.output_folder.empty()) {
      throw CLI::RequiredError("--output DIR, with --assignment,");
    }
    for (const std::string& source : sources) {
      const size_t equals = source.find('=');
      if (equals == 0 || equals == std::string::npos) {
        throw CLI::ValidationError("--source", source + " is not NAME=FILE");
      }
      options.alone.sources.emplace_back(source.substr(0, equals),
                                         source.substr(equals + 1));
    }
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return options;
}

int Serve(Host& host, const Options& options, Device* device,
          const Plugins& plugins) {
  DatasetReader datasets(options.datasets,
                         {.cache_folder = options.cache,
                          .threads = options.threads,
                          .cancelled = Pulse(Clock::Real(), host,
                                             /*after=*/absl::ZeroDuration())},
                         &plugins);
  absl::Status status = host.Send(
      Ready{.library = LibraryName(),
            .device = device == nullptr ? DeviceName() : device->name(),
            .threads = options.threads,
            .plugins = plugins.descriptions(),
            .refused_plugins = plugins.refused()});
  while (status.ok()) {
    absl::StatusOr<std::optional<Assignment>> assignment = host.Next();
    if (assignment.ok() && !assignment->has_value()) return 0;
    status = assignment.ok() ? TrainWithoutThrowing(**assignment, datasets,
                                                    host, device, plugins)
                             : assignment.status();
    ReleaseFreeMemory();
  }
  HS_LOG(kError, "attempt failed status=\"{}\"", status);
  host.Send(Failed{.reason = ReasonOf(status),
                   .message = std::string(status.message())})
      .IgnoreError();  // When nobody listens there is nobody to tell.
  return 1;
}

absl::Status OutOfMemory(absl::string_view text) {
  return absl::ResourceExhaustedError(
      absl::StrCat("memory ran out. Choose a smaller batch_size or model, or "
                   "give the worker fewer slots. LibTorch says: ",
                   text));
}

// The status of what was thrown, with the plug-ins that it may come from.
absl::Status Thrown(const absl::Status& status, const Assignment& assignment) {
  const absl::StatusOr<Recipe> recipe =
      ParseRecipe(assignment.assign.training_json);
  std::vector<std::string> names;
  if (recipe.ok() && recipe->model_plugin.has_value()) {
    names.push_back(PluginText(PluginKind::kModel, *recipe->model_plugin));
  }
  if (recipe.ok() && recipe->dataset.plugin.has_value()) {
    names.push_back(PluginText(PluginKind::kDataset, *recipe->dataset.plugin));
  }
  if (names.empty()) return status;
  return Annotate(
      status, absl::StrCat("in a run with ", absl::StrJoin(names, " and ")));
}

absl::Status TrainWithoutThrowing(const Assignment& assignment,
                                  DatasetReader& datasets, Host& host,
                                  Device* device, const Plugins& plugins) {
  try {
    return Train(assignment, datasets, Clock::Real(), host, device, plugins);
  } catch (const std::bad_alloc& error) {
    return Thrown(OutOfMemory(error.what()), assignment);
  } catch (const c10::OutOfMemoryError& error) {
    // The device's; the text has the bytes asked for.
    return Thrown(OutOfMemory(error.what_without_backtrace()), assignment);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (absl::StrContains(text, "more than 1 value per channel")) {
      return absl::FailedPreconditionError(
          "training.batch_size: a batch, the last one of an epoch or a part of "
          "accumulation_steps, had a single example, which batch norm cannot "
          "train on. Choose a batch_size that leaves no remainder of 1, or "
          "fewer accumulation_steps.");
    }
    if (absl::StrContains(text, "does not have a deterministic")) {
      return absl::FailedPreconditionError(absl::StrCat(
          "training.deterministic: on this device the model needs an operation "
          "that is not. Set deterministic to false. LibTorch says: ",
          text));
    }
    // The CPU allocator has no exception type of its own.
    const bool memory = absl::StrContains(text, "can't allocate memory") ||
                        absl::StrContains(text, "not enough memory") ||
                        absl::StrContains(text, "STATUS_ALLOC_FAILED");
    return Thrown(memory ? OutOfMemory(text) : absl::InternalError(text),
                  assignment);
  } catch (const std::exception& error) {
    return Thrown(absl::InternalError(error.what()), assignment);
  } catch (...) {
    return Thrown(
        absl::InternalError("something was thrown that is no std::exception."),
        assignment);
  }
}

FailureReason ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
      return FailureReason::kInvalidSpec;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
      return FailureReason::kSourceUnavailable;
    case absl::StatusCode::kOutOfRange:
      return FailureReason::kNonFiniteLoss;
    case absl::StatusCode::kResourceExhausted:
      return FailureReason::kOutOfMemory;
    default:
      return FailureReason::kException;
  }
}

int Main(int argc, char** argv) {
  const Options options = ParseFlags(argc, argv);
  // Before there are threads or a device: plug-ins are tried in child
  // processes.
  const Plugins plugins =
      options.plugins.empty() ? Plugins() : Plugins::Load(options.plugins);
  const absl::StatusOr<std::unique_ptr<Device>> device =
      OpenDevice(options.device);
  if (!device.ok()) {
    std::cerr << "headstart-trainer: " << device.status().message() << "\n";
    return absl::IsInvalidArgument(device.status()) ? 2 : 1;
  }
  SetUpLibTorch(options.threads);
  if (options.socket_fd < 0) {
    FileHost host(options.alone, std::cout);
    return Serve(host, options, device->get(), plugins);
  }
  // Ctrl-C on a terminal reaches the whole group; the agent decides.
  std::signal(SIGINT, SIG_IGN);
  AgentHost host{UniqueFd(options.socket_fd)};
  return Serve(host, options, device->get(), plugins);
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) { return headstart::worker::Main(argc, argv); }
