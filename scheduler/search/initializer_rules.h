// What the fields of an initializer have to be together.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/initializer.pb.h"

namespace headstart::scheduler {

// What the rules beside the fields cannot say: which kinds go into which, in
// which order, and that checkpoints have names such as there may be. Fields
// with a default may be missing. `path` is that of the initializer itself;
// InvalidArgument begins with the wrong field's.
absl::Status CheckInitializer(const v1::Initializer& initializer,
                              absl::string_view path);

}  // namespace headstart::scheduler
