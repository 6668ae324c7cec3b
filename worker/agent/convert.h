// Between the protos that the agent speaks outwards and the structs that it
// speaks to trainers.
#pragma once

#include <string>
#include <vector>

#include "headstart/v1/manifest.pb.h"
#include "headstart/v1/worker_service.pb.h"
#include "worker/trainer_protocol/messages.h"

namespace headstart::worker {

// The TrainingSpec becomes its JSON form with the proto's field names, fields
// at their zero value included.
Assign ToAssign(const v1::Assignment& assignment, std::vector<Source> sources);

v1::Measurement ToProto(const Measurement& measurement);
v1::PhaseSeconds ToProto(const PhaseSeconds& seconds);
v1::EffectiveValues ToProto(const Effective& effective);
v1::Initialization::Step ToProto(const InitializationStep& step);
// Such as "nio 40 of 100: objective -3.2, gradient_norm 5.1".
std::string ActivityText(const Initializing& initializing);
v1::PluginDescription ToProto(const PluginDescription& plugin);
v1::RefusedPlugin ToProto(const RefusedPlugin& refused);
// Without the log's tail.
v1::Failure ToProto(const Failed& failed);
v1::Failure MakeFailure(v1::Failure::Reason reason, absl::string_view message);

}  // namespace headstart::worker
