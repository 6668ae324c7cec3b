// What Xavier and Kaiming share: a distribution of a given width.
#pragma once

namespace at {
class Tensor;
struct Generator;
}  // namespace at

namespace headstart::initializers {

enum class Distribution { kUniform, kNormal };

// Fills `weight` with mean 0 and standard deviation s: from N(0, s^2), or from
// U(-b, b) with b = sqrt(3) s.
void FillScaled(const at::Tensor& weight, Distribution distribution,
                double deviation, at::Generator& generator);

}  // namespace headstart::initializers
