// Names, shapes and types of a module's tensors; compared, then copied.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "base/dtype.h"
#include "initializers/initializer.h"

namespace headstart::initializers {

// A tensor of a module. It shares the module's storage.
struct NamedTensor {
  std::string name;    // Such as layers.0.weight.
  std::string module;  // The module that owns it, such as layers.0.
  at::Tensor tensor;
  bool is_buffer = false;
};

// All parameters and buffers in registration order, as Python's state_dict
// orders them: of each module its parameters, its buffers, then its children.
std::vector<NamedTensor> StateDict(const torch::nn::Module& module);

// The element type of `tensor`. Internal for one that has no stored form.
absl::StatusOr<DType> StoredDType(const at::Tensor& tensor);

// Copies `stored` into those tensors of `state` for which `wanted` holds, by
// name, after comparing everything. Tensors that are not wanted may be missing
// or of another shape in `stored`.
//   FailedPrecondition  names, shapes or types differ; `state` is untouched.
absl::Status CopyStored(const std::vector<NamedTensor>& state,
                        absl::Span<const StoredTensor> stored,
                        const std::function<bool(const NamedTensor&)>& wanted);

}  // namespace headstart::initializers
