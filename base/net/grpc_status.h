// absl::Status to grpc::Status and back, code for code.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace headstart {

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace headstart
