// The training loop: from an assignment to its last epoch.
#pragma once

#include "absl/status/status.h"

#include "base/clock.h"
#include "worker/cuda/device.h"
#include "worker/datasets/registry.h"
#include "worker/plugin/plugins.h"
#include "worker/trainer/host.h"

namespace headstart::worker {

// Trains one assignment and tells `host` what README.md of the trainer protocol
// says: started, then per epoch its measurement and a snapshot, at the end
// finished or paused, which are no failures.
//
// What is trained is a pure function of (training, seed, from_epoch's
// snapshot): a resumed run goes on bit for bit as if it had not been
// interrupted.
//   InvalidArgument     the spec is wrong in itself.
//   FailedPrecondition  model, data and stored weights do not fit together.
//   NotFound, DataLoss  the data set or a source is not there or damaged.
//   OutOfRange          the loss is not finite; the message names epoch and
//                       batch.
//   Unavailable         the host is gone.
// LibTorch's exceptions and those of plug-ins pass through.
//
// On `device`, or the CPU where it is null. What a GPU makes of the same spec
// differs in rounding, and it is told of a loss that is not finite later.
absl::Status Train(const Assignment& assignment, DatasetReader& datasets,
                   Clock& clock, Host& host, Device* device = nullptr,
                   const Plugins& plugins = {});

}  // namespace headstart::worker
