#include "worker/models/model.h"

namespace headstart::worker {

at::Tensor Model::EndBlock(int64_t block, const at::Tensor& output) const {
  if (listener_) listener_(block, output);
  if (block >= static_cast<int64_t>(inserted_.size())) return output;
  const InsertedNorm& norm = inserted_[block];
  if (!norm.is_active) return output;
  std::vector<int64_t> shape(output.dim(), 1);
  shape[1] = norm.mean.numel();
  return (output - norm.mean.view(shape)) / norm.deviation.view(shape);
}

}  // namespace headstart::worker
