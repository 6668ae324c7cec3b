// From a model to the graph that a hypernetwork reads.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

#include "initializers/predicted/network_graph.h"

namespace torch::nn {
class Module;
}

namespace headstart::initializers {

// Runs `forward`, which is `model`'s, once on `images` and reads autograd's
// graph of it:
//
//   convolution, linear layer     a node for the weight and one for the bias
//   batch norm, layer norm        one for both
//   2-d max or average pooling    one
//   mean over both image sides    one
//   sum, concatenation            one, if more than one node leads to it
//
// All else (activations, views, products, norms of other kinds, scales) is left
// out, and what led to it leads to what follows it; attention and
// squeeze-excitation have no nodes of their own. `model` evaluates meanwhile,
// so nothing is drawn; afterwards it is as before. A shared_ptr owns it.
//   FailedPrecondition  no convolution or linear layer leads to the output.
absl::StatusOr<NetworkGraph> TraceGraph(
    torch::nn::Module& model,
    absl::FunctionRef<at::Tensor(const at::Tensor&)> forward,
    const at::Tensor& images);

}  // namespace headstart::initializers
