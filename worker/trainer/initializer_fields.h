// The TrainingSpec's initializer.
#pragma once

#include "initializers/registry.h"
#include "worker/spec_fields/spec_fields.h"

namespace headstart::worker {

// The field `initializer` of `spec`. Problems go where SpecFields says.
initializers::InitializerOptions ReadInitializer(SpecFields& spec);

}  // namespace headstart::worker
