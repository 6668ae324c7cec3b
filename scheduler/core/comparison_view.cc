// Comparisons as users see them.
#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/core/comparison.h"
#include "scheduler/core/scheduler.h"
#include "scheduler/core/view.h"

namespace headstart::scheduler {
namespace {

bool IsEarlier(const Timestamp& a, const Timestamp& b) {
  return a.seconds() != b.seconds() ? a.seconds() < b.seconds()
                                    : a.nanos() < b.nanos();
}

}  // namespace

v1::Comparison ViewComparison(const State& state,
                              const Comparison& comparison) {
  v1::Comparison view = comparison.spec;
  view.set_name(ComparisonName{comparison.number}.ToString());
  *view.mutable_create_time() = comparison.create_time;
  if (comparison.trainings.empty()) {
    *view.mutable_end_time() = comparison.create_time;
    return view;  // FAILED, as it was recorded.
  }
  bool is_over = true;
  bool is_cancelled = false;
  bool has_succeeded = false;
  Timestamp end;
  for (const int64_t number : comparison.trainings) {
    const Training& training = *state.FindTraining(number);
    is_cancelled |= training.state() == v1::Training::CANCELLED;
    has_succeeded |= training.state() == v1::Training::SUCCEEDED;
    if (training.over()) {
      if (IsEarlier(end, training.end_time())) end = training.end_time();
      continue;
    }
    is_over = false;
    if (view.state_message().empty()) {
      view.set_state_message(
          ViewTraining(state, training, Detail::kBrief).state_message());
    }
  }
  if (!is_over) {
    view.set_state(v1::Comparison::RUNNING);
    return view;
  }
  *view.mutable_end_time() = end;
  if (is_cancelled) {
    view.set_state(v1::Comparison::CANCELLED);
  } else if (has_succeeded) {
    view.set_state(v1::Comparison::SUCCEEDED);
  } else {
    view.set_state(v1::Comparison::FAILED);
    view.set_state_message(absl::StrCat(
        "No run of its ", comparison.trainings.size(), " arms SUCCEEDED."));
  }
  return view;
}

absl::StatusOr<v1::Comparison> Scheduler::GetComparison(
    absl::string_view name) const {
  HS_ASSIGN_OR_RETURN(const Comparison* comparison,
                      state_->GetComparison(name));
  return ViewComparison(*state_, *comparison);
}

absl::StatusOr<v1::ListComparisonsResponse> Scheduler::ListComparisons(
    const v1::ListComparisonsRequest& request) const {
  HS_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size()));
  HS_ASSIGN_OR_RETURN(const int64_t start, PageStart(request.page_token()));
  v1::ListComparisonsResponse response;
  for (auto it = state_->comparisons.upper_bound(start);
       it != state_->comparisons.end(); ++it) {
    if (response.comparisons_size() == size) {
      response.set_next_page_token(absl::StrCat(std::prev(it)->second.number));
      break;
    }
    *response.add_comparisons() = ViewComparison(*state_, it->second);
  }
  return response;
}

absl::StatusOr<v1::Comparison> Scheduler::PlanComparison(
    const v1::Comparison& comparison) const {
  HS_ASSIGN_OR_RETURN(const ResolvedComparison resolved,
                      ResolveComparison(*state_, WrittenPart(comparison), ""));
  return resolved.spec;
}

}  // namespace headstart::scheduler
