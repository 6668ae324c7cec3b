#include "client/cli/training_progress.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/views.h"

namespace headstart::client {

void TrainingProgress::Update(const v1::Training& training) {
  pace_.Note(EpochsDone(training));
  if (printer_.is_live()) {
    stored_.Read(training.name(), /*now=*/IsOver(training));
    printer_.Redraw(DrawnLines(training));
  } else {
    SayChanges(training);
  }
}

std::vector<std::string> TrainingProgress::DrawnLines(
    const v1::Training& training) const {
  std::vector<std::string> lines = {
      absl::StrCat(training.name(), "  ", training.display_name(),
                   training.display_name().empty() ? "" : "  ",
                   v1::Training::State_Name(training.state()))};
  const auto add = WrappedInto(lines, printer_.columns());
  if (!training.state_message().empty()) {
    add("          ", absl::StrSplit(training.state_message(), ' '), " ");
  }
  add("  from    ", {SourceText(training)}, "");
  add("  epochs  ",
      pace_.Parts(EpochsDone(training), EpochsInAll(training), false), ", ");
  add("  runs    ", RunsParts(training), ", ");
  if (stored_.Text()) add("  stored  ", {*stored_.Text()}, "");
  return lines;
}

void TrainingProgress::SayChanges(const v1::Training& training) {
  const int64_t done = EpochsDone(training);
  const int64_t in_all = EpochsInAll(training);
  // Not every epoch of every seed: a line when a run begins or ends, and per
  // tenth of all epochs.
  const std::string states = StatesText(training);
  const int64_t tenths = in_all > 0 ? 10 * done / in_all : 0;
  if (states == said_states_ && tenths <= said_tenths_) return;
  said_states_ = states;
  said_tenths_ = tenths;
  printer_.Progress(absl::StrCat(
      training.name(), ": ", v1::Training::State_Name(training.state()),
      training.state_message().empty() ? "" : ": ", training.state_message(),
      ": ", absl::StrJoin(RunsParts(training), ", "), "; epochs ",
      absl::StrJoin(pace_.Parts(done, in_all, false), ", ")));
}

}  // namespace headstart::client
