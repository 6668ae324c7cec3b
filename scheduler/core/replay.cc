// Deciding a study's search again from the journal.
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/state.h"

namespace headstart::scheduler {
namespace {

constexpr int kDifferencesMax = 100;

// A decision in words, without when it was taken.
std::string Text(v1::TrialDecision decision) {
  decision.clear_decide_time();
  return decision.ShortDebugString();
}

// What the study would decide now in place of `recorded`; none when it would
// decide nothing of that kind.
std::optional<Event> DecideAgain(const Study& study, const Event& recorded) {
  if (recorded.has_trial_created() || recorded.has_trial_promoted()) {
    if (!study.HasWork() || !study.waiting().empty()) return std::nullopt;
    return study.NextWork().events.front();
  }
  std::vector<Event> events = study.Settle();
  if (events.empty()) return std::nullopt;
  return events.front();
}

struct Facts {
  std::string event;     // Without decision.
  std::string decision;  // In words.
};

// An event of the search without version and time, for comparing.
Facts FactsOf(Event event) {
  event.clear_format_version();
  event.clear_time();
  Facts facts;
  if (event.has_trial_created()) {
    facts.decision = Text(event.trial_created().decision());
    event.mutable_trial_created()->clear_decision();
  } else if (event.has_trial_promoted()) {
    facts.decision = Text(event.trial_promoted().decision());
    event.mutable_trial_promoted()->clear_decision();
  } else {
    facts.decision = Text(event.trial_state_changed().decision());
    event.mutable_trial_state_changed()->clear_decision();
  }
  facts.event = event.ShortDebugString();
  return facts;
}

int64_t StudyOf(const Event& event) {
  if (event.has_trial_created()) return event.trial_created().study();
  if (event.has_trial_promoted()) return event.trial_promoted().study();
  return event.trial_state_changed().has_decision()
             ? event.trial_state_changed().study()
             : 0;
}

}  // namespace

StudyReplay::StudyReplay(int64_t study) : study_(study) {}
StudyReplay::~StudyReplay() = default;

void StudyReplay::Next(const Event& event) {
  if (StudyOf(event) == study_) {
    response_.set_decisions_count(response_.decisions_count() + 1);
    const Study* study = scheduler_.state_->FindStudy(study_);
    const std::optional<Event> again = DecideAgain(*study, event);
    const Facts recorded = FactsOf(event);
    const Facts decided = again.has_value() ? FactsOf(*again) : Facts();
    if ((recorded.event != decided.event ||
         recorded.decision != decided.decision) &&
        response_.differences_size() < kDifferencesMax) {
      response_.add_differences(absl::StrCat(
          "recorded: ", recorded.event, " because {", recorded.decision,
          "}; decided again: ",
          again.has_value()
              ? absl::StrCat(decided.event, " because {", decided.decision, "}")
              : "nothing",
          "."));
    }
  }
  scheduler_.Apply(event);
}

v1::ReplayStudyResponse StudyReplay::Finish() const { return response_; }

}  // namespace headstart::scheduler
