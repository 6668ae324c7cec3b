// From an initializer's spec to the object: the list of all there are.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

#include "initializers/initializer.h"

namespace headstart::initializers {

// The kinds of the proto's Initializer, complete: defaults are resolved before
// a spec gets here. proto/headstart/v1/initializer.proto says what each does.

struct FrameworkDefaultSpec {};

enum class Distribution { kUniform, kNormal };

struct XavierSpec {
  Distribution distribution = Distribution::kUniform;
  double gain = 1;
};

enum class FanMode { kFanIn, kFanOut };

struct KaimingSpec {
  Distribution distribution = Distribution::kUniform;
  double gain = 1.4142135623730951;
  FanMode mode = FanMode::kFanIn;
};

struct CheckpointSpec {
  std::string checkpoint;
  std::vector<std::string> fresh_layers;
};

using InitializerSpec =
    std::variant<FrameworkDefaultSpec, XavierSpec, KaimingSpec, CheckpointSpec>;

// InvalidArgument, naming the field, for a gain that is not above 0 and
// finite, or a checkpoint without a name.
absl::StatusOr<std::unique_ptr<Initializer>> MakeInitializer(
    const InitializerSpec& spec);

}  // namespace headstart::initializers
