#include "worker/plugin/load.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/file.h"

namespace headstart::worker {
namespace {

constexpr int64_t kLoadSecondsMax = 20;

class Collector final : public plugin::Registry {
 public:
  void AddModel(plugin::ModelEntry entry) override {
    entries.models.push_back(std::move(entry));
  }
  void AddDataset(plugin::DatasetEntry entry) override {
    entries.datasets.push_back(std::move(entry));
  }

  PluginEntries entries;
};

// What stands behind `key` on a line of the description.
std::string FieldOf(absl::string_view description, absl::string_view key) {
  const size_t begin = description.find(absl::StrCat("\n", key, "="));
  if (begin == absl::string_view::npos) return "none";
  description.remove_prefix(begin + key.size() + 2);
  return std::string(description.substr(0, description.find('\n')));
}

}  // namespace

absl::Status CheckDescription(absl::string_view file_bytes) {
  if (!absl::StartsWith(file_bytes,
                        "\x7f"
                        "ELF")) {
    return absl::FailedPreconditionError("it is no shared library.");
  }
  const size_t begin = file_bytes.find(HEADSTART_PLUGIN_MARKER);
  if (begin == absl::string_view::npos) {
    return absl::FailedPreconditionError(
        "it is no plug-in of headstart: it has no HEADSTART_PLUGIN. See "
        "docs/plugins.md.");
  }
  absl::string_view description = file_bytes.substr(begin, 1'000);
  description = description.substr(0, description.find('\0'));
  const std::string made_with = FieldOf(description, "headstart");
  constexpr absl::string_view kAdvice =
      "Build it again with the headers of this headstart.";
  if (const std::string api = FieldOf(description, "api");
      api != HEADSTART_PLUGIN_STRING_(HEADSTART_PLUGIN_API)) {
    return absl::FailedPreconditionError(
        absl::StrCat("it was built for version ", api,
                     " of the plug-in interface, by "
                     "headstart ",
                     made_with, ", and this headstart ", HEADSTART_VERSION,
                     " has version ", HEADSTART_PLUGIN_API, ". ", kAdvice));
  }
  if (const std::string torch = FieldOf(description, "torch");
      torch != TORCH_VERSION) {
    return absl::FailedPreconditionError(
        absl::StrCat("it was built for torch ", torch, " by headstart ",
                     made_with, ", and this headstart ", HEADSTART_VERSION,
                     " has torch ", TORCH_VERSION, ". ", kAdvice));
  }
  return absl::OkStatus();
}

absl::StatusOr<PluginEntries> LoadEntries(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("it cannot be loaded: ", dlerror()));
  }
  auto* enter = reinterpret_cast<void (*)(plugin::Registry&)>(
      dlsym(library, "headstart_plugin_register"));
  if (enter == nullptr) {
    return absl::FailedPreconditionError(
        "it does not export headstart_plugin_register, which HEADSTART_PLUGIN "
        "defines.");
  }
  Collector collector;
  try {
    enter(collector);
  } catch (const std::exception& error) {
    return absl::FailedPreconditionError(
        absl::StrCat("its HEADSTART_PLUGIN threw: ", error.what()));
  } catch (...) {
    return absl::FailedPreconditionError(
        "its HEADSTART_PLUGIN threw something that is no std::exception.");
  }
  return std::move(collector.entries);
}

absl::Status ProbeLoading(const std::string& path, absl::Duration at_most) {
  const int64_t seconds =
      std::min(kLoadSecondsMax, absl::ToInt64Seconds(at_most));
  if (seconds < 1) {
    return absl::FailedPreconditionError(
        "it was not tried: the files before it took all the time that loading "
        "plug-ins may take.");
  }
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus(errno, "fork");
  if (child == 0) {
    // Its output would be read as the trainer's.
    dup2(STDERR_FILENO, STDOUT_FILENO);
    signal(SIGALRM, SIG_DFL);
    alarm(static_cast<unsigned>(seconds));
    static_cast<void>(LoadEntries(path).ok());
    _exit(0);
  }
  int how = 0;
  while (waitpid(child, &how, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "waitpid");
  }
  if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return absl::OkStatus();
  if (WIFEXITED(how)) {
    return absl::FailedPreconditionError(
        absl::StrCat("it ends the process that loads it, with exit code ",
                     WEXITSTATUS(how), "."));
  }
  const int signal_number = WTERMSIG(how);
  if (signal_number == SIGALRM) {
    return absl::FailedPreconditionError(
        absl::StrCat("it did not load within ", seconds, " seconds."));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("it crashes the process that loads it, by signal ",
                   signal_number, " (", strsignal(signal_number), ")."));
}

}  // namespace headstart::worker
