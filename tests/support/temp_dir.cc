#include "tests/support/temp_dir.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/check.h"

namespace headstart {
namespace {

constexpr size_t kRootLengthMax = 30;

}  // namespace

TempDir::TempDir() {
  const char* root = std::getenv("TMPDIR");
  if (root == nullptr || std::strlen(root) > kRootLengthMax) root = "/tmp";
  path_ = std::string(root) + "/headstart.XXXXXX";
  HS_CHECK(mkdtemp(path_.data()) != nullptr) << path_ << std::strerror(errno);
}

TempDir::~TempDir() {
  if (std::getenv("HEADSTART_KEEP_TEMP") != nullptr) {
    std::fprintf(stderr, "kept %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::operator/(const std::string& name) const {
  return path_ + "/" + name;
}

}  // namespace headstart
