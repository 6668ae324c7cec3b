#include "initializers/registry.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "initializers/classic/drawn.h"
#include "initializers/transferred/from_checkpoint.h"

namespace headstart::initializers {
namespace {

absl::Status CheckGain(double gain) {
  if (std::isfinite(gain) && gain > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "initializer: gain must be finite and above 0, got ", gain, "."));
}

using MadeInitializer = absl::StatusOr<std::unique_ptr<Initializer>>;

MadeInitializer Make(const FrameworkDefaultSpec&) {
  return std::make_unique<Drawn>(DrawFrameworkDefault);
}

MadeInitializer Make(const XavierSpec& spec) {
  HS_RETURN_IF_ERROR(CheckGain(spec.gain));
  return std::make_unique<Drawn>(XavierRule(spec));
}

MadeInitializer Make(const KaimingSpec& spec) {
  HS_RETURN_IF_ERROR(CheckGain(spec.gain));
  return std::make_unique<Drawn>(KaimingRule(spec));
}

MadeInitializer Make(const CheckpointSpec& spec) {
  if (spec.checkpoint.empty()) {
    return absl::InvalidArgumentError(
        "initializer.checkpoint.checkpoint: a name such as "
        "studies/1/trials/12/epochs/5 is needed.");
  }
  return std::make_unique<FromCheckpoint>(spec);
}

}  // namespace

MadeInitializer MakeInitializer(const InitializerSpec& spec) {
  return std::visit([](const auto& kind) { return Make(kind); }, spec);
}

}  // namespace headstart::initializers
