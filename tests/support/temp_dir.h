// TempDir: a folder for one test, removed with all that is in it.
#pragma once

#include <string>

namespace headstart {

// Lies under /tmp (or $TMPDIR, when that is short) so that a Unix socket's path
// fits. With HEADSTART_KEEP_TEMP set it stays, and its path is printed.
class TempDir {
 public:
  TempDir();
  ~TempDir();

  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // path() + "/" + name.
  std::string operator/(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace headstart
