// What the data set asks of a model.
#pragma once

#include <cstdint>

namespace headstart::worker {

struct ModelShape {
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t classes;
};

}  // namespace headstart::worker
