// Throws while it registers, for plugins_test.cc.
#include <stdexcept>

#include "worker/plugin/plugin.h"

HEADSTART_PLUGIN(registry) {
  registry.AddModel({.name = "never_there", .version = "1", .make = {}});
  throw std::runtime_error("not today");
}
