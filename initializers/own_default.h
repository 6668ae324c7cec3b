// What a module adds to the framework default.
#pragma once

namespace at {
class Tensor;
struct Generator;
}  // namespace at

namespace headstart::initializers {

// A module that starts with other values than the rules of its layers give it,
// as its published definition has them: torchvision's ResNet draws its
// convolutions from a normal distribution, a Fixup block its first ones more
// narrowly and sets the last to 0.
//
// Any torch module below a model, or the model itself, may be one. Tensors that
// it holds itself and that no rule knows (a scale, a table of positions) are
// its own to set.
class OwnDefault {
 public:
  virtual ~OwnDefault() = default;

  // Sets all tensors that differ from the rules, its own unknown ones and any
  // below it. Called without gradients, when every layer has its rule's values
  // and every module below has been asked; draws from `generator` alone.
  virtual void InitializeOwn(at::Generator& generator) = 0;

  // Whether InitializeOwn draws `weight`, of a layer below it, anyway. Then it
  // needs no rule, or its rule need not: drawing takes most of the time that a
  // large model's start does.
  virtual bool DrawsItself(const at::Tensor& weight) const {
    static_cast<void>(weight);
    return false;
  }
};

}  // namespace headstart::initializers
