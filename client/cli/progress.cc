#include "client/cli/progress.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/cli/units.h"
#include "client/cli/views.h"
#include "proto/phases.h"

namespace headstart::client {
namespace {

constexpr absl::Duration kRateWindow = absl::Seconds(30);
constexpr absl::Duration kStoredBytesAge = absl::Seconds(2);

bool GoesOn(const v1::TrainingRun& run) {
  return run.state() == v1::TrainingRun::WAITING ||
         run.state() == v1::TrainingRun::TRAINING;
}

// "11", or "11.4" while epoch 12 is known to be that far.
std::string EpochsOf(const v1::TrainingRun& run) {
  if (run.attempts().empty()) return absl::StrCat(run.epoch());
  const v1::Attempt& attempt = *run.attempts().rbegin();
  if (!attempt.has_progress() ||
      attempt.progress().epoch() != run.epoch() + 1) {
    return absl::StrCat(run.epoch());
  }
  const int tenths =
      std::clamp(static_cast<int>(10 * attempt.progress().share()), 0, 9);
  return absl::StrCat(run.epoch(), ".", tenths);
}

}  // namespace

void Pace::Note(int64_t epochs) {
  const absl::Duration now = clock_.Monotonic();
  if (!seen_.empty() &&
      (seen_.back().second == epochs || seen_.back().first == now)) {
    return;
  }
  seen_.emplace_back(now, epochs);
  while (seen_.size() > 2 && now - seen_.front().first > kRateWindow) {
    seen_.pop_front();
  }
}

std::optional<double> Pace::EpochsPerSecond() const {
  if (seen_.empty()) return std::nullopt;
  const auto& [first_time, first_epochs] = seen_.front();
  const auto& [last_time, last_epochs] = seen_.back();
  const double seconds = absl::ToDoubleSeconds(last_time - first_time);
  if (seconds < 1 || last_epochs <= first_epochs) return std::nullopt;
  return static_cast<double>(last_epochs - first_epochs) / seconds;
}

std::vector<std::string> Pace::Parts(int64_t done, int64_t in_all,
                                     bool about) const {
  if (in_all <= done) return {absl::StrCat(done)};
  std::vector<std::string> parts = {
      absl::StrCat(done, about ? " of about " : " of ", in_all)};
  if (const std::optional<double> rate = EpochsPerSecond()) {
    parts.push_back(RateText(*rate));
    parts.push_back(absl::StrCat(
        "about ", HumanDuration(absl::Seconds((in_all - done) / *rate)),
        " left"));
  }
  return parts;
}

std::string RateText(double per_second) {
  const std::pair<double, const char*> units[] = {
      {1, "second"}, {60, "minute"}, {3600, "hour"}};
  for (const auto& [seconds, unit] : units) {
    const double rate = per_second * seconds;
    if (rate >= 9.95) return absl::StrFormat("%.0f per %s", rate, unit);
    if (rate >= 0.95 || seconds == 3600) {
      return absl::StrFormat("%.2g per %s", rate, unit);
    }
  }
  return "";
}

void StoredBytes::Read(const std::string& parent, bool now) {
  const absl::Duration time = clock_.Monotonic();
  if (!now && time - read_at_ < kStoredBytesAge) return;
  read_at_ = time;
  v1::GetUsageRequest request;
  request.set_parent(parent);
  const auto usage = client_.GetUsage(request);
  if (usage.ok()) bytes_ = usage->live_bytes();
}

std::optional<std::string> StoredBytes::Text() const {
  if (!bytes_) return std::nullopt;
  return HumanBytes(*bytes_);
}

int64_t EpochsDone(const v1::Training& training) {
  int64_t epochs = 0;
  for (const v1::TrainingRun& run : training.runs()) epochs += run.epoch();
  return epochs;
}

int64_t EpochsInAll(const v1::Training& training) {
  int64_t epochs = 0;
  for (const v1::TrainingRun& run : training.runs()) {
    epochs += GoesOn(run) ? training.resolved_training().epochs() : run.epoch();
  }
  return epochs;
}

std::vector<std::string> RunsParts(const v1::Training& training) {
  int64_t done = 0;
  int64_t waiting = 0;
  std::vector<std::string> others;
  for (const v1::TrainingRun& run : training.runs()) {
    const std::string seed = absl::StrCat("seed ", run.seed());
    if (run.state() == v1::TrainingRun::SUCCEEDED) {
      ++done;
    } else if (run.state() == v1::TrainingRun::WAITING) {
      ++waiting;
    } else if (run.state() == v1::TrainingRun::TRAINING) {
      const std::string activity =
          run.attempts().empty()
              ? ""
              : run.attempts().rbegin()->progress().activity();
      if (activity.empty()) {
        others.push_back(absl::StrCat(seed, " at epoch ", EpochsOf(run), " of ",
                                      training.resolved_training().epochs()));
        if (const auto phase =
                PhaseOf(training.resolved_training(),
                        std::min(run.epoch() + 1,
                                 training.resolved_training().epochs()))) {
          others.push_back(absl::StrCat(phase->name, " of ", phase->count));
        }
      } else {
        // Where a line may end.
        others.push_back(absl::StrCat(seed, " at its first values"));
        for (const absl::string_view part : absl::StrSplit(activity, ", ")) {
          others.emplace_back(part);
        }
      }
    } else {
      others.push_back(absl::StrCat(
          seed, " ",
          absl::AsciiStrToLower(v1::TrainingRun::State_Name(run.state()))));
    }
  }
  std::vector<std::string> parts = {
      absl::StrCat(done, " of ", training.runs_size(), " done")};
  if (waiting > 0) parts.push_back(absl::StrCat(waiting, " waiting"));
  parts.insert(parts.end(), others.begin(), others.end());
  if (IsOver(training)) {
    const Spread accuracy = TestAccuracy(training);
    if (accuracy.count > 0) {
      parts.push_back(
          absl::StrCat("mean test accuracy ", Percent(accuracy.mean)));
    }
  }
  return parts;
}

std::string StatesText(const v1::Training& training) {
  std::string text = v1::Training::State_Name(training.state());
  for (const v1::TrainingRun& run : training.runs()) {
    absl::StrAppend(&text, " ", v1::TrainingRun::State_Name(run.state()));
  }
  return text;
}

std::vector<std::string> Wrapped(const std::string& label,
                                 const std::vector<std::string>& parts,
                                 const std::string& separator,
                                 int64_t columns) {
  std::vector<std::string> lines = {label};
  bool is_fresh = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part =
        absl::StrCat(parts[i], i + 1 < parts.size() ? separator : "");
    const int64_t width =
        lines.back().size() + absl::StripTrailingAsciiWhitespace(part).size();
    if (!is_fresh && width > columns) {
      lines.emplace_back(label.size(), ' ');
    }
    lines.back() += part;
    is_fresh = false;
  }
  for (std::string& line : lines) absl::StripTrailingAsciiWhitespace(&line);
  return lines;
}

}  // namespace headstart::client
