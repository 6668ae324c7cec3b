#include "client/cli/dataset_folders.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_split.h"
#include "base/file.h"

namespace headstart::client {

std::vector<std::string> DatasetFolders(const std::vector<std::string>& given) {
  std::vector<std::string> folders = given;
  const char* const variable = std::getenv("HEADSTART_DATASETS");
  if (folders.empty() && variable != nullptr && *variable != '\0') {
    folders = absl::StrSplit(variable, ':', absl::SkipEmpty());
  } else if (folders.empty()) {
    // Programs lie in build/<preset>/bin of the source folder.
    for (const std::string& folder :
         {std::string("data"), std::string("examples/data"),
          ExecutableFolder() + "/../../../examples/data"}) {
      std::error_code ignored;
      if (std::filesystem::is_directory(folder, ignored)) {
        folders.push_back(folder);
      }
    }
  }
  std::vector<std::string> absolute;
  for (const std::string& folder : folders) {
    std::error_code ignored;
    std::string path = std::filesystem::weakly_canonical(folder, ignored);
    if (path.empty()) path = folder;
    if (std::find(absolute.begin(), absolute.end(), path) == absolute.end()) {
      absolute.push_back(std::move(path));
    }
  }
  return absolute;
}

}  // namespace headstart::client
