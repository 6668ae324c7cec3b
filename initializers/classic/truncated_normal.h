// Normal draws that stay within cuts.
#pragma once

namespace at {
class Tensor;
struct Generator;
}  // namespace at

namespace headstart::initializers {

struct TruncatedNormalOptions {
  // Of the normal distribution before it is cut. Above 0.
  double deviation = 0.02;
  // Draws lie in [-cut, cut]: a value, not a multiple of `deviation`. Above 0.
  double cut = 2;
};

// Fills `tensor` from the normal distribution with mean 0, conditioned on
// staying within the cuts, by the inverse of its distribution function. One
// uniform draw per element, in double whatever the tensor's type.
void FillTruncatedNormal(const at::Tensor& tensor,
                         const TruncatedNormalOptions& options,
                         at::Generator& generator);

}  // namespace headstart::initializers
