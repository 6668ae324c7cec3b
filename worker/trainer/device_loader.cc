#include "worker/trainer/device_loader.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/file.h"
#include "worker/cuda/device_module.h"

namespace headstart::worker {

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const std::string& name) {
  if (name == "cpu") return nullptr;
  absl::string_view number = name;
  int index = -1;
  if (!absl::ConsumePrefix(&number, "cuda:") ||
      !absl::SimpleAtoi(number, &index) || index < 0 || index > 63) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--device: must be cpu or cuda:<number of the GPU>, got \"", name,
        "\"."));
  }
  const auto refuse = [&](const auto&... what) {
    return absl::FailedPreconditionError(
        absl::StrCat("--device ", name, ": ", what...));
  };
  const std::string path = absl::StrCat(ExecutableFolder(), "/", kDeviceModule);
  if (access(path.c_str(), R_OK) != 0) {
    return refuse("this build of headstart has no CUDA, there is no ", path,
                  ". Build it where nvcc and a CUDA build of torch are found "
                  "(-DHEADSTART_CUDA=ON says what is missing), or use cpu.");
  }
  // Read when CUDA's libraries start: what deterministic products take.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    return refuse(
        "CUDA could not be loaded: ", dlerror(),
        ". HEADSTART_TORCH_DIR must be a CUDA build of torch with all "
        "of NVIDIA's packages beside it: pip install it without "
        "--no-deps.");
  }
  void* open = dlsym(module, kOpenDevice);
  if (open == nullptr) return refuse(path, " is no module of headstart's.");
  std::string error;
  std::unique_ptr<Device> device(
      reinterpret_cast<OpenDeviceFunction*>(open)(index, &error));
  if (device == nullptr) return refuse(error);
  return device;
}

}  // namespace headstart::worker
