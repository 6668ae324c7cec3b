// A TrainingSpec as a person wrote it, made complete and checked.
//
// `prefix` is the path of the spec in what the person wrote, such as
// "training" or "then[0].training"; errors name fields below it, with the value
// and what is allowed. All errors are InvalidArgument.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

// The spec with every default filled in, after CheckFields and CheckRules.
absl::StatusOr<v1::TrainingSpec> CompleteSpec(const v1::TrainingSpec& spec,
                                              absl::string_view prefix);

// Sets every field that was left out to its default: what the proto says, and
// the few that depend on other fields.
void FillSpecDefaults(v1::TrainingSpec& spec);

// Leaves the period of `spec`'s cosine out where it is the one that `base`, the
// complete spec it comes from, got by default, so that it is derived anew.
void ForgetDerivedPeriod(const v1::TrainingSpec& base, v1::TrainingSpec& spec);

// That each field by itself is in its range and every required one is there.
absl::Status CheckFields(const v1::TrainingSpec& spec,
                         absl::string_view prefix);

// That the fields go together: model and data set, nesterov and momentum, what
// is measured when there is no validation split.
absl::Status CheckRules(const v1::TrainingSpec& spec, absl::string_view prefix);

}  // namespace headstart::scheduler
