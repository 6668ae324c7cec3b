// Rules that give one layer's weight its values, and the initializer that
// applies one to a model's layers.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

#include "initializers/classic/kaiming.h"
#include "initializers/classic/orthogonal.h"
#include "initializers/classic/truncated_normal.h"
#include "initializers/classic/xavier.h"
#include "initializers/initializer.h"

namespace headstart::initializers {

// Widths that do not depend on the layer.
struct NormalOptions {
  double mean = 0;
  double deviation = 1;  // Above 0.
};
struct UniformOptions {
  double min = 0;
  double max = 1;  // Above min.
};
struct ConstantOptions {
  double value = 0;
};

using WeightRule = std::variant<XavierOptions, KaimingOptions,
                                OrthogonalOptions, TruncatedNormalOptions,
                                NormalOptions, UniformOptions, ConstantOptions>;

enum class LayerKind { kConvolution, kLinear };

struct LayerFilter {
  // Of layers, such as fc or layer1.*, where * stands for any characters. None:
  // all.
  std::vector<std::string> names;
  std::optional<LayerKind> kind;
};

// Whether `text` is what `pattern` describes, all of it.
bool MatchesPattern(absl::string_view text, absl::string_view pattern);

// Gives each parameter named `weight` of two or more dimensions new values, in
// registration order; those of layers that the filter leaves out and all other
// tensors keep theirs.
//   FailedPrecondition  a name of the filter is that of no layer.
class WeightInitializer final : public Initializer {
 public:
  explicit WeightInitializer(WeightRule rule, LayerFilter filter = {})
      : rule_(rule), filter_(std::move(filter)) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const WeightRule rule_;
  const LayerFilter filter_;
};

}  // namespace headstart::initializers
