#include "worker/trainer/runtime.h"

#include <malloc.h>

#include <fstream>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "worker/trainer/matrix_products.h"

namespace headstart::worker {

void SetUpLibTorch(int64_t threads) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
  UseFasterMatrixProducts();
  at::set_num_threads(static_cast<int>(threads));
  at::set_num_interop_threads(1);
  // Deterministic mode would otherwise fill every new tensor with NaN.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

std::string LibraryName() { return absl::StrCat("libtorch ", TORCH_VERSION); }

std::string DeviceName() {
  const char* vendor = __builtin_cpu_is("intel") ? "intel"
                       : __builtin_cpu_is("amd") ? "amd"
                                                 : "other";
  return absl::StrCat("cpu x86-64 ",
                      absl::AsciiStrToLower(at::get_cpu_capability()), " ",
                      vendor);
}

int64_t TakePeakMemory() {
  int64_t kilobytes = 0;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    status >> kilobytes;
    break;
  }
  std::ofstream("/proc/self/clear_refs") << 5;  // Begins the peak anew.
  return kilobytes * 1024;
}

void ReleaseFreeMemory() { malloc_trim(0); }

}  // namespace headstart::worker
