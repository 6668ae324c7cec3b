// Single values of a message.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace headstart::worker {

using Json = nlohmann::ordered_json;

// Whether it is an integer of 64 bits, as a number or as text.
bool ReadInteger(const Json& field, int64_t& value);

// The value for an error message. Lists and objects are not printed: they may
// be large and deep.
std::string Excerpt(const Json& value);

}  // namespace headstart::worker
