// Files of studies, trainings and comparisons: the YAML form of a proto,
// nothing else.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/training.pb.h"

namespace headstart::client {

// Fills `message`, which is empty, from YAML text: fields and enum values by
// their names in the proto, durations as 1.5s, a google.protobuf.Value from
// any value. Whether the values make sense is the scheduler's to judge.
//
// Refused are fields that do not exist (the nearest names are offered), fields
// given twice, two kinds of one oneof, and values of another type: a whole
// number is never read from 9.0 or "9", and a number that a double or an int64
// cannot hold is an error, not a rounded value.
//   InvalidArgument  with `file_name`, line, column and field path in front.
absl::Status FillFromYaml(absl::string_view text, absl::string_view file_name,
                          google::protobuf::Message& message);

// The whole of a file that a person named.
//   NotFound         there is no such file.
//   InvalidArgument  it cannot be read, or is larger than any study file.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

absl::StatusOr<v1::Study> ReadStudyFile(const std::string& path);
absl::StatusOr<v1::Training> ReadTrainingFile(const std::string& path);
absl::StatusOr<v1::Comparison> ReadComparisonFile(const std::string& path);

}  // namespace headstart::client
