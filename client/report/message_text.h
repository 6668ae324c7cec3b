// Messages as people write and read them: as YAML, and as a list of fields.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <string>
#include <utility>
#include <vector>

namespace headstart::client {

// `message` as a file that `headstart ... create -f` reads: the fields that are
// set, in declared order, under the names of the proto. What such files cannot
// hold (bytes, instants) is left out.
std::string YamlOf(const google::protobuf::Message& message);

// Path and value of every field that is set, in declared order:
//
//   optimizer.sgd.momentum            0.9
//   initializer.framework_default     {}
//   initializer.chain.steps[1].lsuv   {}
//
// Lists of plain values are one entry: [2, 5, "final"].
std::vector<std::pair<std::string, std::string>> FieldsOf(
    const google::protobuf::Message& message);

// In one line, as YAML has it between braces: {xavier_normal: {gain: 2}}; a
// text without quotes where it needs none.
std::string ValueText(const google::protobuf::Value& value);

}  // namespace headstart::client
