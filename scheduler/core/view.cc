#include "scheduler/core/view.h"

#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "scheduler/core/plugins.h"
#include "scheduler/search/plugin_spec.h"

namespace headstart::scheduler {

std::string WhyWaiting(const State& state,
                       const std::vector<std::string>& needs) {
  constexpr size_t kNamed = 5;
  std::vector<std::string> offers;  // What ready workers have instead.
  int64_t ready = 0;
  int64_t slots = 0;
  // Of those that would be ready if they were uncordoned.
  std::string held_back;
  int64_t cordoned = 0;
  int64_t draining = 0;
  for (const auto& [name, worker] : state.fleet.workers()) {
    if (worker.state() != v1::Worker::READY) {
      if (worker.gone || worker.leaving) continue;
      ++(worker.draining ? draining : cordoned);
      if (held_back.empty()) held_back = name;
      continue;
    }
    ++ready;
    if (worker.Offers(needs)) {
      slots += static_cast<int64_t>(worker.slots.size());
    } else if (offers.size() < kNamed) {
      offers.push_back(absl::StrCat(name, " offers ", OffersText(worker)));
    }
  }
  if (ready == 0 && !held_back.empty()) {
    return absl::StrCat("no worker is ready: ", cordoned, " cordoned, ",
                        draining, " draining. Give one work again with ",
                        "headstart workers uncordon ", held_back, ".");
  }
  if (ready == 0) {
    return "no worker is ready. Start one with headstart up, or "
           "headstart-worker.";
  }
  const std::string wanted = absl::StrJoin(
      needs, " and the ",
      [](std::string* out, const auto& need) { out->append(NeedText(need)); });
  if (slots > 0) {
    return absl::StrCat("all ", slots, " slots of workers with the ", wanted,
                        " are busy.");
  }
  const bool plugin = absl::c_any_of(needs, IsPluginNeed);
  return absl::StrCat("no worker has the ", wanted,
                      plugin ? ", with the options that were checked" : "",
                      "; ", absl::StrJoin(offers, "; "),
                      plugin
                          ? ". Give one the plug-in with --plugins."
                          : ". Run headstart datasets list where a worker is.");
}

std::string WhatAttemptsWaitFor(const State& state, RunKind kind,
                                int64_t owner) {
  std::string text;
  int64_t more = 0;
  for (const auto& [worker, runs] : state.waiting) {
    for (const auto& [name, waiting] : runs) {
      if (name.kind != kind || name.parent != owner) continue;
      const Run* run = state.FindRun(name);
      if (run == nullptr || WhatItWaitsFor(state, *run).empty()) continue;
      if (text.empty()) {
        text = absl::StrCat(name.ToString(), " waits for ", waiting.what);
      } else {
        ++more;
      }
    }
  }
  if (more > 0) absl::StrAppend(&text, " (", more, " more wait, too)");
  return text;
}

std::string WhatItWaitsFor(const State& state, const Run& run) {
  if (!run.live) return "";
  const v1::Attempt& attempt = run.attempts.back();
  const auto worker = state.waiting.find(attempt.worker());
  if (worker == state.waiting.end()) return "";
  const auto waiting = worker->second.find(run.name);
  if (waiting == worker->second.end() ||
      waiting->second.attempt != attempt.number()) {
    return "";
  }
  return waiting->second.what;
}

absl::StatusOr<int64_t> PageSize(int64_t page_size) {
  if (page_size < 0 || page_size > 1'000) {
    return absl::InvalidArgumentError(absl::StrCat(
        "page_size: must be from 0 to 1,000, got ", page_size, "."));
  }
  return page_size == 0 ? 100 : page_size;
}

absl::StatusOr<int64_t> PageStart(absl::string_view page_token) {
  if (page_token.empty()) return 0;
  int64_t start = 0;
  if (!absl::SimpleAtoi(page_token, &start) || start < 0) {
    return UnknownPageToken(page_token);
  }
  return start;
}

absl::Status UnknownPageToken(absl::string_view page_token) {
  return absl::InvalidArgumentError(absl::StrCat(
      "page_token: \"", page_token, "\" is not one that a list returned."));
}

}  // namespace headstart::scheduler
