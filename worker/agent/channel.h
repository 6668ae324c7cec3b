// How the agent connects: servers that restart are found again soon.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>

#include <memory>
#include <string>

namespace headstart::worker {

// gRPC's own waits between connection attempts grow to two minutes, longer than
// a lease. The agent has its own back-off above them.
inline std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace headstart::worker
