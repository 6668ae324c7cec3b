#include "worker/trainer/forward_pass.h"

#include "worker/models/precision.h"
#include "worker/trainer/loss.h"
#include "worker/training/stages.h"

namespace headstart::worker {

ForwardPass RunForward(Model& model, const Recipe& recipe, const Batch& part,
                       const Taught& taught, double share) {
  TrainingOutput output;
  {
    const at::Tensor images = ToInput(part.images, recipe.precision);
    const PrecisionScope scope(recipe.precision, images.device().type());
    output = model.ForwardTraining(images);
  }
  if (recipe.precision == Precision::kBf16) {
    output.logits = output.logits.to(at::kFloat);
    if (output.auxiliary_logits.defined()) {
      output.auxiliary_logits = output.auxiliary_logits.to(at::kFloat);
    }
  }
  at::Tensor loss = TrainingLoss(output, part, recipe.loss);
  if (taught.targets.defined()) {
    loss =
        loss + DistillationLoss(output.logits, taught.targets) * taught.weight;
  }
  if (share < 1) loss = loss * share;
  return {.logits = output.logits, .loss = loss};
}

}  // namespace headstart::worker
