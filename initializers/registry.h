// From a spec's initializer to an object: the list of all there are.
#pragma once

#include <memory>
#include <variant>

#include "initializers/classic/kaiming.h"
#include "initializers/classic/xavier.h"
#include "initializers/initializer.h"
#include "initializers/transferred/checkpoint.h"

namespace headstart::initializers {

struct FrameworkDefaultOptions {};

// The proto's Initializer.
using InitializerOptions = std::variant<FrameworkDefaultOptions, XavierOptions,
                                        KaimingOptions, FromCheckpointOptions>;

std::unique_ptr<Initializer> MakeInitializer(const InitializerOptions& options);

}  // namespace headstart::initializers
