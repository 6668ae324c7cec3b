// A module's tensors by name: list them, compare them, copy into them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "base/dtype.h"

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

struct StoredTensor;

// A handle on one tensor of a module.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  bool is_buffer = false;
};

// Parameters and buffers in registration order, module by module, as Python's
// state_dict() has them. A shared_ptr owns `module`.
std::vector<NamedTensor> StateDict(torch::nn::Module& module);

// Of those, the weights of linear and convolutional layers: parameters named
// `weight` of two or more dimensions. ConvNeXt's layer_scale is none.
std::vector<NamedTensor> LayerWeights(torch::nn::Module& module);

// The type of a tensor. Models hold no other types than DType has.
DType DTypeOf(const at::Tensor& tensor);

// Says whether `stored` has just the names, shapes and types of `tensors`;
// names for which `skip` is true may be anything on either side.
//   FailedPrecondition  it has not; the message begins with `where` and names
//                       the first three tensors of each kind.
absl::Status CompareStored(
    absl::string_view where, absl::Span<const StoredTensor> stored,
    absl::Span<const NamedTensor> tensors,
    absl::FunctionRef<bool(absl::string_view name)> skip);

// Copies what CompareStored found to fit, and returns how many tensors that
// were.
int64_t CopyStored(absl::Span<const StoredTensor> stored,
                   absl::Span<const NamedTensor> tensors,
                   absl::FunctionRef<bool(absl::string_view name)> skip);

}  // namespace headstart::initializers
