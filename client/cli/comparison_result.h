// What a comparison came to: on the terminal, and as files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cli/session.h"
#include "client/client.h"
#include "headstart/v1/comparison.pb.h"

namespace headstart::client {

// The whole report in `format`: html, markdown, csv or json. A page also says
// what storage, if it answers, knows of how runs were trained.
absl::StatusOr<std::string> ReportText(Client& client,
                                       const v1::ComparisonReport& report,
                                       absl::string_view format);

// The report in short, sentences wrapped at `columns`; 0: not at all.
std::vector<std::string> ShortReport(const v1::ComparisonReport& report,
                                     int64_t columns);

// Shows the report in short and, where `folder` is not empty, writes the whole
// as a page into it and says where.
//   FailedPrecondition  it is FAILED; shown all the same.
absl::Status ShowComparison(Session& session, Client& client,
                            const std::string& name, const std::string& folder);

}  // namespace headstart::client
