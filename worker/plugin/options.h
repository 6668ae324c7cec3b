// A plug-in's options: what it declared as a JSON schema, and what a spec gives
// as values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/plugin/plugin.h"

namespace headstart::worker {

// The schema that docs/plugins.md describes. InvalidArgument when a declaration
// contradicts itself: a name twice, a default that is not allowed.
absl::StatusOr<std::string> OptionSchemaJson(
    const std::vector<plugin::Option>& options);

// Every option's value. InvalidArgument when one is missing, unknown or not
// allowed: the scheduler fills in defaults.
absl::StatusOr<plugin::Options> ReadOptions(
    const std::vector<plugin::Option>& options, const std::string& json);

}  // namespace headstart::worker
