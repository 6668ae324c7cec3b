// Which folders on this machine hold data sets.
#pragma once

#include <string>
#include <vector>

namespace headstart::client {

// `given`, absolute, unless it is empty. Then the folders that
// $HEADSTART_DATASETS names (separated by ":"), or, without that variable,
// those of these that exist:
// ./data, ./examples/data, and examples/data of the source folder that the
// program was built in. Each folder once.
std::vector<std::string> DatasetFolders(const std::vector<std::string>& given);

}  // namespace headstart::client
