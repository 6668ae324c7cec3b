// What a residual block says of its branch.
#pragma once

namespace at {
class Tensor;
}

namespace headstart::initializers {

// A block that adds a branch which ends with a norm.
class ResidualBranch {
 public:
  virtual ~ResidualBranch() = default;

  // The scale of that norm, [channels]: with zeros the block is its shortcut.
  // Undefined where the block was built without norms.
  virtual at::Tensor LastNormScale() const = 0;
};

}  // namespace headstart::initializers
