// model_logits: what a model gives for weights from a file.
//
//   model_logits MODEL OPTIONS CHANNELS SIDE CLASSES WEIGHTS IMAGES
//
// MODEL and OPTIONS as in a spec; WEIGHTS a safetensors file; IMAGES the bytes
// of float32 images, normalized, channels before rows. Prints the logits, one a
// line.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/numbers.h"

#include "base/file.h"
#include "base/status_macros.h"
#include "initializers/initializer.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"
#include "storage/safetensors/safetensors.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

// Copies the tensors of `file` into `model`; they must be just its own.
absl::Status Load(const std::string& file, Model& model) {
  HS_ASSIGN_OR_RETURN(const storage::SafetensorsLayout layout,
                      storage::ParseSafetensorsHeader(file, file.size()));
  std::vector<initializers::StoredTensor> stored;
  for (const storage::SafetensorsTensor& each : layout.tensors) {
    stored.push_back(
        {.name = each.name,
         .dtype = each.dtype,
         .shape = each.shape,
         .bytes = absl::MakeConstSpan(file).subspan(
             layout.data_offset + each.offset, each.bytes)});
  }
  const auto none = [](absl::string_view) { return false; };
  const auto tensors = initializers::StateDict(model);
  HS_RETURN_IF_ERROR(
      initializers::CompareStored("the file", stored, tensors, none));
  const at::NoGradGuard no_grad;
  initializers::CopyStored(stored, tensors, none);
  return absl::OkStatus();
}

absl::Status Run(char** arguments) {
  ModelShape shape;
  if (!absl::SimpleAtoi(arguments[3], &shape.channels) ||
      !absl::SimpleAtoi(arguments[4], &shape.height) ||
      !absl::SimpleAtoi(arguments[5], &shape.classes)) {
    return absl::InvalidArgumentError("CHANNELS SIDE CLASSES are numbers.");
  }
  shape.width = shape.height;
  HS_ASSIGN_OR_RETURN(
      const std::shared_ptr<Model> model,
      MakeModel({.name = arguments[1], .options_json = arguments[2]}, shape));
  HS_ASSIGN_OR_RETURN(const std::string weights, ReadFile(arguments[6]));
  HS_RETURN_IF_ERROR(Load(weights, *model));
  HS_ASSIGN_OR_RETURN(std::string images, ReadFile(arguments[7]));
  const int64_t floats = images.size() / sizeof(float);
  const int64_t floats_each = shape.channels * shape.height * shape.width;

  model->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor logits = model->forward(at::from_blob(
      images.data(), {floats / floats_each, shape.channels, shape.height,
                      shape.width}));

  const at::Tensor flat = logits.contiguous().flatten();
  for (int64_t i = 0; i < flat.numel(); ++i) {
    std::printf("%.9g\n", flat.const_data_ptr<float>()[i]);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace headstart::worker

int main(int argc, char** argv) {
  if (argc != 8) {
    std::cerr << "model_logits MODEL OPTIONS CHANNELS SIDE CLASSES WEIGHTS "
                 "IMAGES\n";
    return 2;
  }
  const absl::Status status = headstart::worker::Run(argv);
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}
