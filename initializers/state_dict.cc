#include "initializers/state_dict.h"

#include <cstring>

#include <torch/nn/module.h>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "initializers/stored_tensor.h"

namespace headstart::initializers {
namespace {

using StoredByName =
    absl::flat_hash_map<absl::string_view, const StoredTensor*>;

StoredByName ByName(absl::Span<const StoredTensor> stored) {
  StoredByName by_name;
  for (const StoredTensor& each : stored) by_name.emplace(each.name, &each);
  return by_name;
}

// Up to three examples of one kind of mismatch.
class Mismatches final {
 public:
  void Add(std::string text) {
    if (++count_ <= 3) texts_.push_back(std::move(text));
  }

  bool any() const { return count_ > 0; }
  std::string Text(absl::string_view before) const {
    if (count_ == 0) return "";
    return absl::StrCat(
        before, absl::StrJoin(texts_, ", "),
        count_ > 3 ? absl::StrCat(" and ", count_ - 3, " more") : "", ".");
  }

 private:
  int64_t count_ = 0;
  std::vector<std::string> texts_;
};

std::string Describe(DType dtype, absl::Span<const int64_t> shape) {
  return absl::StrCat(DTypeName(dtype), " [", absl::StrJoin(shape, ", "), "]");
}

absl::Span<const int64_t> ShapeOf(const at::Tensor& tensor) {
  return {tensor.sizes().data(), tensor.sizes().size()};
}

}  // namespace

std::vector<NamedTensor> StateDict(torch::nn::Module& module) {
  std::vector<NamedTensor> tensors;
  for (const auto& below : module.named_modules()) {
    const std::string prefix =
        below.key().empty() ? "" : absl::StrCat(below.key(), ".");
    for (const auto& parameter :
         below.value()->named_parameters(/*recurse=*/false)) {
      tensors.push_back({.name = prefix + parameter.key(),
                         .tensor = parameter.value(),
                         .is_buffer = false});
    }
    for (const auto& buffer : below.value()->named_buffers(/*recurse=*/false)) {
      tensors.push_back({.name = prefix + buffer.key(),
                         .tensor = buffer.value(),
                         .is_buffer = true});
    }
  }
  return tensors;
}

std::vector<NamedTensor> LayerWeights(torch::nn::Module& module) {
  std::vector<NamedTensor> weights = StateDict(module);
  std::erase_if(weights, [](const NamedTensor& each) {
    return each.is_buffer || each.tensor.dim() < 2 ||
           (each.name != "weight" && !absl::EndsWith(each.name, ".weight"));
  });
  return weights;
}

DType DTypeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kBool:
      return DType::kBool;
    case at::kByte:
      return DType::kU8;
    case at::kChar:
      return DType::kI8;
    case at::kShort:
      return DType::kI16;
    case at::kInt:
      return DType::kI32;
    case at::kLong:
      return DType::kI64;
    case at::kHalf:
      return DType::kF16;
    case at::kBFloat16:
      return DType::kBF16;
    case at::kFloat:
      return DType::kF32;
    case at::kDouble:
      return DType::kF64;
    default:
      HS_CHECK(false && "a model's tensor has a type that cannot be stored");
      return DType::kF32;
  }
}

absl::Status CompareStored(
    absl::string_view where, absl::Span<const StoredTensor> stored,
    absl::Span<const NamedTensor> tensors,
    absl::FunctionRef<bool(absl::string_view name)> skip) {
  const StoredByName by_name = ByName(stored);
  Mismatches different;
  Mismatches missing;
  Mismatches unknown;
  absl::flat_hash_set<absl::string_view> known;
  for (const NamedTensor& each : tensors) {
    if (skip(each.name)) continue;
    known.insert(each.name);
    const auto found = by_name.find(each.name);
    if (found == by_name.end()) {
      missing.Add(each.name);
      continue;
    }
    const StoredTensor& there = *found->second;
    const DType dtype = DTypeOf(each.tensor);
    if (there.dtype != dtype || there.shape != ShapeOf(each.tensor)) {
      different.Add(absl::StrCat(
          each.name, " is ", Describe(there.dtype, there.shape), " there and ",
          Describe(dtype, ShapeOf(each.tensor)), " here"));
    }
  }
  for (const StoredTensor& each : stored) {
    if (!skip(each.name) && !known.contains(each.name)) unknown.Add(each.name);
  }
  if (!different.any() && !missing.any() && !unknown.any()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(where, " does not fit the model.", different.Text(" "),
                   missing.Text(" It lacks "),
                   unknown.Text(" The model does not know its ")));
}

int64_t CopyStored(absl::Span<const StoredTensor> stored,
                   absl::Span<const NamedTensor> tensors,
                   absl::FunctionRef<bool(absl::string_view name)> skip) {
  const StoredByName by_name = ByName(stored);
  int64_t copied = 0;
  for (const NamedTensor& each : tensors) {
    if (skip(each.name)) continue;
    const absl::Span<const char> from = by_name.at(each.name)->bytes;
    HS_CHECK(each.tensor.is_contiguous());
    HS_CHECK_EQ(from.size(), each.tensor.nbytes());
    if (!from.empty()) {
      std::memcpy(each.tensor.data_ptr(), from.data(), from.size());
    }
    ++copied;
  }
  return copied;
}

}  // namespace headstart::initializers
