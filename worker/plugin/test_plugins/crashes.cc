// Ends its process while it is loaded, for plugins_test.cc.
#include <csignal>

#include "worker/plugin/plugin.h"

HEADSTART_PLUGIN(registry) {
  static_cast<void>(registry);
  std::raise(SIGSEGV);
}
