// The blocks that a model is made of, for what treats early and late layers
// differently.
#pragma once

#include <string>
#include <vector>

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// A model that says itself what its blocks are.
class BlockedModel {
 public:
  virtual ~BlockedModel() = default;

  // In the order in which data passes them; each is a list of modules, or of
  // tensors of the model itself, by name: {{"conv1", "bn1"}, {"layer1"}, ..}.
  // Every tensor is one of these or below one. A block ends where a layer could
  // be put in; the last has the classifier. Names that a variant of the model
  // lacks may be listed.
  virtual std::vector<std::vector<std::string>> BlockParts() const = 0;
};

struct Block {
  std::string name;  // What it is made of: "layer4+linear".
  // Parameters and buffers, by name, in the order of StateDict.
  std::vector<std::string> tensors;
};

// The blocks of `model`, which a shared_ptr owns; none of them is empty. Where
// the model does not say, each direct child that has parameters is one, in
// order of registration, and what lies in none of them belongs to the first.
std::vector<Block> BlocksOf(torch::nn::Module& model);

}  // namespace headstart::initializers
