// The part of golden_ghn for GHN-orth's noise and orthogonal weights.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "tests/golden/golden_ghn_files.h"

namespace headstart::initializers {

// `golden` was read from `path`; the graph of the model that it names lies
// beside it.
void CompareOrthogonal(const nlohmann::json& golden, const std::string& path,
                       Ghn& ghn, GoldenReport& report);

}  // namespace headstart::initializers
