// What an initializer did, for people.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/units.h"
#include "client/cli/views.h"

namespace headstart::client {
namespace {

constexpr auto kRight = Table::Align::kRight;

}  // namespace

std::vector<std::string> InitializationLines(
    const v1::Initialization& initialization) {
  std::vector<std::string> lines;
  Table sources({{"READ"}, {"DIGEST"}});
  for (const auto& source : initialization.sources()) {
    sources.Add({source.checkpoint(), DigestText(source.manifest_digest())});
  }
  AppendTable(lines, sources);
  Table steps({{"FIRST VALUES"},
               {"TENSORS LOADED", kRight},
               {"DRAWN", kRight},
               {"SCALED", kRight},
               {"BY"}});
  Table series({{"MEASURED"}, {"FIRST", kRight}, {"LAST", kRight}});
  for (const auto& step : initialization.steps()) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (const auto& scaled : step.scaled()) {
      least = std::min(least, scaled.factor());
      most = std::max(most, scaled.factor());
    }
    steps.Add({step.kind(), absl::StrCat(step.loaded_tensors()),
               absl::StrCat(step.drawn_names_size()),
               absl::StrCat(step.scaled_size()),
               step.scaled_size() == 0
                   ? "-"
                   : absl::StrFormat("%.4g to %.4g", least, most)});
    for (const auto& each : step.series()) {
      if (each.values().empty()) continue;
      series.Add({absl::StrCat(step.kind(), " ", each.name()),
                  absl::StrFormat("%.5g", *each.values().begin()),
                  absl::StrFormat("%.5g", *each.values().rbegin())});
    }
  }
  AppendTable(lines, steps);
  AppendTable(lines, series);
  return lines;
}

}  // namespace headstart::client
