// An image in memory.
#pragma once

#include <cstdint>
#include <vector>

namespace headstart::worker {

struct Image {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> pixels;  // [channels, height, width]
};

}  // namespace headstart::worker
