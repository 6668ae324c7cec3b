// Orthogonal weights.
#pragma once

namespace at {
class Tensor;
struct Generator;
}  // namespace at

namespace headstart::initializers {

struct OrthogonalOptions {
  double gain = 1;  // Length of the rows or columns. Above 0.
};

// Q of the QR decomposition of `weight` as a matrix of [out, the rest], or of
// its transpose where that has more rows; with the signs that make R's diagonal
// positive. In double and in the shape of `weight`, which is not empty.
at::Tensor OrthogonalFactor(const at::Tensor& weight);

// `weight` as a matrix of [out, the rest]: its rows, or where there are more of
// them its columns, are orthogonal and of length gain, Haar distributed (Saxe
// et al. 2014; the signs are those of Mezzadri 2007). Draws what torch's
// orthogonal_ draws, and computes in double whatever the weight's type.
void FillWeight(const OrthogonalOptions& options, const at::Tensor& weight,
                at::Generator& generator);

}  // namespace headstart::initializers
