#include "initializers/state_dict.h"

#include <torch/nn/module.h>

#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "base/status_macros.h"

namespace headstart::initializers {
namespace {

constexpr size_t kListedMax = 3;

void Collect(const torch::nn::Module& module, const std::string& path,
             std::vector<NamedTensor>& state) {
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    state.push_back({prefix + item.key(), path, item.value(), false});
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    state.push_back({prefix + item.key(), path, item.value(), true});
  }
  for (const auto& child : module.named_children()) {
    Collect(*child.value(), prefix + child.key(), state);
  }
}

struct TypePair {
  DType stored;
  at::ScalarType torch;
};

constexpr TypePair kTypes[] = {
    {DType::kBool, at::kBool}, {DType::kU8, at::kByte},
    {DType::kI8, at::kChar},   {DType::kI16, at::kShort},
    {DType::kI32, at::kInt},   {DType::kI64, at::kLong},
    {DType::kF16, at::kHalf},  {DType::kBF16, at::kBFloat16},
    {DType::kF32, at::kFloat}, {DType::kF64, at::kDouble},
};

at::ScalarType TorchType(DType dtype) {
  for (const TypePair& pair : kTypes) {
    if (pair.stored == dtype) return pair.torch;
  }
  HS_CHECK(false);  // Every DType is listed.
  return at::kFloat;
}

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// "what: a, b, c and 4 more"
void Report(absl::string_view what, const std::vector<std::string>& names,
            std::vector<std::string>& sentences) {
  if (names.empty()) return;
  const size_t listed = std::min(names.size(), kListedMax);
  std::string text = absl::StrCat(
      what, " ", absl::StrJoin(names.begin(), names.begin() + listed, ", "));
  if (names.size() > listed) {
    absl::StrAppend(&text, " and ", names.size() - listed, " more");
  }
  sentences.push_back(std::move(text));
}

}  // namespace

std::vector<NamedTensor> StateDict(const torch::nn::Module& module) {
  std::vector<NamedTensor> state;
  Collect(module, "", state);
  return state;
}

absl::StatusOr<DType> StoredDType(const at::Tensor& tensor) {
  for (const TypePair& pair : kTypes) {
    if (pair.torch == tensor.scalar_type()) return pair.stored;
  }
  return absl::InternalError(absl::StrCat("tensors of type ",
                                          c10::toString(tensor.scalar_type()),
                                          " have no stored form."));
}

absl::Status CopyStored(const std::vector<NamedTensor>& state,
                        absl::Span<const StoredTensor> stored,
                        const std::function<bool(const NamedTensor&)>& wanted) {
  absl::btree_map<absl::string_view, const StoredTensor*> by_name;
  for (const StoredTensor& tensor : stored) by_name[tensor.name] = &tensor;

  std::vector<std::string> missing, different;
  std::vector<std::pair<at::Tensor, const StoredTensor*>> copies;
  for (const NamedTensor& target : state) {
    const auto found = by_name.find(target.name);
    const StoredTensor* const source =
        found == by_name.end() ? nullptr : found->second;
    if (source != nullptr) by_name.erase(found);
    if (!wanted(target)) continue;
    if (source == nullptr) {
      missing.push_back(target.name);
      continue;
    }
    HS_ASSIGN_OR_RETURN(const DType dtype, StoredDType(target.tensor));
    const absl::Span<const int64_t> shape(target.tensor.sizes().data(),
                                          target.tensor.sizes().size());
    if (dtype != source->dtype || shape != absl::MakeSpan(source->shape)) {
      different.push_back(
          absl::StrCat(target.name, " is ", DTypeName(source->dtype), " ",
                       ShapeText(source->shape), " there and ",
                       DTypeName(dtype), " ", ShapeText(shape), " here"));
      continue;
    }
    HS_CHECK_EQ(static_cast<int64_t>(source->bytes.size()),
                target.tensor.numel() * DTypeSize(dtype));
    copies.emplace_back(target.tensor, source);
  }
  std::vector<std::string> unknown;
  for (const auto& [name, tensor] : by_name) unknown.emplace_back(name);

  std::vector<std::string> sentences;
  Report("different:", different, sentences);
  Report("only in the model:", missing, sentences);
  Report("only in the checkpoint:", unknown, sentences);
  if (!sentences.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the stored tensors do not fit the model; ",
                     absl::StrJoin(sentences, "; "), "."));
  }

  const at::NoGradGuard no_grad;
  for (auto& [target, source] : copies) {
    // from_blob wants a pointer to mutable bytes; copy_ only reads them.
    target.copy_(at::from_blob(const_cast<char*>(source->bytes.data()),
                               source->shape, TorchType(source->dtype)));
  }
  return absl::OkStatus();
}

}  // namespace headstart::initializers
