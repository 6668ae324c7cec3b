// Weights that a stored hypernetwork predicts.
#pragma once

#include <string>
#include <utility>

#include "initializers/initializer.h"

namespace headstart::initializers {

struct FromGhn2Options {
  std::string weights;  // The hypernetwork's checkpoint, by full name.
  // Whether the classifier is predicted too; else it keeps what it has.
  bool predict_classifier = true;
};

// Gives each parameter that GHN-2 knows (ghn.h, trace_graph.h) the values that
// it predicts from the model's graph; all other tensors keep theirs. The
// signal's first example tells what images the model takes; of its values
// nothing depends.
//   FailedPrecondition  the weights are no GHN-2's, or it cannot predict the
//                       model.
//   OutOfRange          a prediction is not finite.
class FromGhn2 final : public Initializer {
 public:
  explicit FromGhn2(FromGhn2Options options) : options_(std::move(options)) {}

  absl::StatusOr<InitializationReport> Apply(
      torch::nn::Module& model, const InitializerInputs& inputs) const override;

 private:
  const FromGhn2Options options_;
};

}  // namespace headstart::initializers
