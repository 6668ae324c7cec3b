// From a spec's model to a Model: the list of all there are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/models/model_shape.h"

namespace headstart::worker {

class Model;

// The proto's Model.
struct ModelSpec {
  std::string name;
  // The kind's own fields, every one of them, as proto3 JSON.
  std::string options_json = "{}";
};

// Names as in the proto's Model: lenet_300_100.
std::vector<std::string> ModelNames();

// A model whose tensors hold arbitrary values until an initializer fills them.
//   NotFound            no model has this name; the message lists them.
//   InvalidArgument     an option is missing, unknown or not allowed; the
//                       message begins with its path, training.model. ...
//   FailedPrecondition  the model cannot take images of this shape.
absl::StatusOr<std::shared_ptr<Model>> MakeModel(const ModelSpec& spec,
                                                 const ModelShape& shape);

}  // namespace headstart::worker
