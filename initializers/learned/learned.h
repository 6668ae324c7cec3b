// The initializers that learn from data, as the registry has them.
#pragma once

#include <utility>
#include <variant>

#include "initializers/initializer.h"
#include "initializers/learned/gradinit.h"
#include "initializers/learned/lsuv.h"
#include "initializers/learned/metainit.h"
#include "initializers/learned/nio.h"

namespace headstart::initializers {

// LSUV with the orthogonal weights that it begins with.
struct WholeLsuvOptions {
  // Before its corrections weights become orthogonal and biases 0.
  bool orthogonal = true;
  LsuvOptions corrections;
};

// The proto's names.
const char* KindOf(const WholeLsuvOptions& options);
const char* KindOf(const MetainitOptions& options);
const char* KindOf(const GradinitOptions& options);
const char* KindOf(const NioOptions& options);

using LearnedOptions = std::variant<WholeLsuvOptions, MetainitOptions,
                                    GradinitOptions, NioOptions>;

// Changes the values that a model has; reports what it measured meanwhile.
class Learned final : public Initializer {
 public:
  explicit Learned(LearnedOptions options) : options_(std::move(options)) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const LearnedOptions options_;
};

}  // namespace headstart::initializers
