#include "initializers/blocks.h"

#include <torch/nn/module.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

using Parts = std::vector<std::vector<std::string>>;

Parts Children(const torch::nn::Module& model) {
  Parts parts;
  for (const auto& child : model.named_children()) {
    if (!child.value()->parameters().empty()) parts.push_back({child.key()});
  }
  return parts;
}

bool Holds(const std::vector<std::string>& parts, const std::string& tensor) {
  for (const std::string& part : parts) {
    if (tensor == part || absl::StartsWith(tensor, absl::StrCat(part, "."))) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<Block> BlocksOf(torch::nn::Module& model) {
  const auto* blocked = dynamic_cast<const BlockedModel*>(&model);
  const Parts parts =
      blocked != nullptr ? blocked->BlockParts() : Children(model);
  if (parts.empty()) return {};
  std::vector<Block> blocks;
  for (const std::vector<std::string>& names : parts) {
    blocks.push_back({.name = absl::StrJoin(names, "+"), .tensors = {}});
  }
  for (const NamedTensor& tensor : StateDict(model)) {
    size_t block = 0;
    while (block < parts.size() && !Holds(parts[block], tensor.name)) ++block;
    HS_CHECK(block < parts.size() || blocked == nullptr)
        << tensor.name << " lies in no block";
    blocks[block % parts.size()].tensors.push_back(tensor.name);
  }
  std::erase_if(blocks,
                [](const Block& block) { return block.tensors.empty(); });
  return blocks;
}

}  // namespace headstart::initializers
