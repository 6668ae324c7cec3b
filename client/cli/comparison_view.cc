#include "client/cli/comparison_view.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/units.h"

namespace headstart::client {
namespace {

constexpr auto kRight = Table::Align::kRight;

// What an arm starts from.
std::string StartText(const v1::ComparisonArm& arm) {
  if (arm.epochs_size() > 0) return OrDash(arm.source_checkpoint());
  const auto* kind = v1::Initializer::descriptor()->FindOneofByName("kind");
  const auto* field =
      arm.initializer().GetReflection()->GetOneofFieldDescriptor(
          arm.initializer(), kind);
  return field == nullptr ? "the same as all" : std::string(field->name());
}

}  // namespace

Table ComparisonTable(absl::Span<const v1::Comparison> comparisons) {
  Table table({{"NAME"},
               {"STATE"},
               {"ARMS", kRight},
               {"SEEDS", kRight},
               {"METRIC"},
               {"STUDY"},
               {"CREATED"},
               {"DISPLAY NAME"}});
  for (const v1::Comparison& comparison : comparisons) {
    table.Add({comparison.name(),
               v1::Comparison::State_Name(comparison.state()),
               absl::StrCat(comparison.arms_size()),
               absl::StrCat(comparison.seeds_size()),
               v1::Comparison::Metric_Name(comparison.metric()),
               OrDash(comparison.study()), Instant(comparison.create_time()),
               comparison.display_name()});
  }
  return table;
}

std::vector<std::string> ComparisonLines(const v1::Comparison& comparison) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"name", comparison.name()},
      {"display name", OrDash(comparison.display_name())},
      {"state", v1::Comparison::State_Name(comparison.state())}};
  if (!comparison.state_message().empty()) {
    fields.emplace_back("because", comparison.state_message());
  }
  fields.emplace_back("study", OrDash(comparison.study()));
  fields.emplace_back("metric",
                      v1::Comparison::Metric_Name(comparison.metric()));
  if (comparison.has_target_accuracy()) {
    fields.emplace_back("target", Percent(comparison.target_accuracy()));
  }
  fields.emplace_back("seeds", absl::StrJoin(comparison.seeds(), ", "));
  fields.emplace_back("baseline", comparison.baseline());
  std::vector<std::string> lines = FieldLines(fields);
  Table arms({{"ARM"}, {"STARTS FROM"}, {"RUNS IN"}});
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    arms.Add({arm.label(), StartText(arm), OrDash(arm.training_name())});
  }
  AppendTable(lines, arms);
  return lines;
}

}  // namespace headstart::client
