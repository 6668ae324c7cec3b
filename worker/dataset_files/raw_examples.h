// Examples as a data set's files have them.
#pragma once

#include <cstdint>
#include <vector>

namespace headstart::worker {

struct RawExamples {
  std::vector<uint8_t> pixels;  // [count, channels, height, width]
  std::vector<int32_t> labels;  // [count], each below the number of classes.
};

}  // namespace headstart::worker
