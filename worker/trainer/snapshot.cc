#include "worker/trainer/snapshot.h"

#include <cstring>
#include <utility>

#include "base/check.h"
#include "initializers/state_dict.h"

namespace headstart::worker {

TensorTable MakeTable(absl::Span<const StateTensor> tensors) {
  TensorTable table;
  for (const StateTensor& each : tensors) {
    HS_CHECK(each.tensor.is_contiguous()) << each.name;
    table.push_back({.name = each.name,
                     .dtype = initializers::DTypeOf(each.tensor),
                     .shape = each.tensor.sizes().vec(),
                     .role = each.role});
  }
  absl::StatusOr<TensorTable> laid_out = LayOut(std::move(table));
  HS_CHECK_OK(
      laid_out.status());  // Sizes of tensors in memory do not overflow.
  return *std::move(laid_out);
}

void CopyToSlab(absl::Span<const StateTensor> tensors, const TensorTable& table,
                const Slab& slab) {
  HS_CHECK_EQ(tensors.size(), table.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const absl::Span<char> to = slab.Tensor(table[i]);
    HS_CHECK_EQ(to.size(), tensors[i].tensor.nbytes());
    std::memcpy(to.data(), tensors[i].tensor.const_data_ptr(), to.size());
  }
}

}  // namespace headstart::worker
