#include "client/cli/comparison_progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace headstart::client {

void ComparisonProgress::Update(const v1::Comparison& comparison) {
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    if (!arm.training_name().empty()) trainings_.Read(arm.training_name());
  }
  pace_.Note(trainings_.EpochsDone());
  if (printer_.is_live()) {
    printer_.Redraw(DrawnLines(comparison));
  } else {
    trainings_.SayChanges(printer_);
  }
}

std::vector<std::string> ComparisonProgress::DrawnLines(
    const v1::Comparison& comparison) const {
  std::vector<std::string> lines = {
      absl::StrCat(comparison.name(), "  ", comparison.display_name(),
                   comparison.display_name().empty() ? "" : "  ",
                   v1::Comparison::State_Name(comparison.state()))};
  const auto add = WrappedInto(lines, printer_.columns());
  if (!comparison.state_message().empty()) {
    add("          ", absl::StrSplit(comparison.state_message(), ' '), " ");
  }
  size_t width = 6;
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    width = std::max(width, arm.label().size());
  }
  const auto label = [&](const std::string& text) {
    return absl::StrCat("  ", text, std::string(width - text.size() + 2, ' '));
  };
  add(label("epochs"),
      pace_.Parts(trainings_.EpochsDone(), trainings_.EpochsInAll(),
                  /*about=*/false),
      ", ");
  for (const v1::ComparisonArm& arm : comparison.arms()) {
    const v1::Training* training = trainings_.Find(arm.training_name());
    if (training == nullptr) continue;
    add(label(arm.label()), RunsParts(*training), ", ");
  }
  return lines;
}

}  // namespace headstart::client
