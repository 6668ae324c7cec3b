#include "initializers/registry.h"

#include "initializers/classic/framework_default.h"

namespace headstart::initializers {
namespace {

// One overload per kind.
std::unique_ptr<Initializer> Make(const FrameworkDefaultOptions&) {
  return std::make_unique<FrameworkDefault>();
}
std::unique_ptr<Initializer> Make(const XavierOptions& options) {
  return std::make_unique<Xavier>(options);
}
std::unique_ptr<Initializer> Make(const KaimingOptions& options) {
  return std::make_unique<Kaiming>(options);
}
std::unique_ptr<Initializer> Make(const FromCheckpointOptions& options) {
  return std::make_unique<FromCheckpoint>(options);
}

}  // namespace

std::unique_ptr<Initializer> MakeInitializer(
    const InitializerOptions& options) {
  return std::visit([](const auto& each) { return Make(each); }, options);
}

}  // namespace headstart::initializers
