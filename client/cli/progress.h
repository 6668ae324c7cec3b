// What the progress of studies and of trainings has in common.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "client/client.h"
#include "headstart/v1/training.pb.h"

namespace headstart::client {

// How fast epochs come, over the last half minute. One thread at a time.
class Pace {
 public:
  // The clock outlives it.
  explicit Pace(Clock& clock) : clock_(clock) {}

  // So many epochs are done now.
  void Note(int64_t epochs);

  // nullopt before a second of them has been seen.
  std::optional<double> EpochsPerSecond() const;

  // {"22 of about 78", "11 per second", "about 5.1 s left"}: as much of that as
  // is known. `in_all` is a guess if `about`.
  std::vector<std::string> Parts(int64_t done, int64_t in_all,
                                 bool about) const;

 private:
  Clock& clock_;
  // When how many epochs were done; entries differ in both.
  std::deque<std::pair<absl::Duration, int64_t>> seen_;
};

// "11 per second", "4.5 per minute", "0.25 per hour": of 1 or more if possible.
std::string RateText(double per_second);

// How much is stored below a study or a training, asked for now and then.
class StoredBytes {
 public:
  // Both outlive it.
  StoredBytes(Client& client, Clock& clock) : client_(client), clock_(clock) {}

  // Asks if the answer before is old, or `now`.
  void Read(const std::string& parent, bool now);

  // "157 MB"; nullopt before the first answer.
  std::optional<std::string> Text() const;

 private:
  Client& client_;
  Clock& clock_;
  std::optional<int64_t> bytes_;
  absl::Duration read_at_ = -absl::InfiniteDuration();
};

// Epochs of all runs of a training: done, and when it is over.
int64_t EpochsDone(const v1::Training& training);
int64_t EpochsInAll(const v1::Training& training);

// {"1 of 3 done", "1 waiting", "seed 43 at epoch 11.4 of 12"}, and once it is
// over what it has come to.
std::vector<std::string> RunsParts(const v1::Training& training);

// The states of a training and its runs: differs when a run begins or ends.
std::string StatesText(const v1::Training& training);

// `parts` with `separator` between them behind a label of spaces and letters,
// on as many lines as `columns` ask for; all but the first are indented.
std::vector<std::string> Wrapped(const std::string& label,
                                 const std::vector<std::string>& parts,
                                 const std::string& separator, int64_t columns);

// What adds such lines to `lines`, which outlives it: a function of label,
// parts and separator.
inline auto WrappedInto(std::vector<std::string>& lines, int64_t columns) {
  return [&lines, columns](const std::string& label,
                           const std::vector<std::string>& parts,
                           const std::string& separator) {
    for (std::string& line : Wrapped(label, parts, separator, columns)) {
      lines.push_back(std::move(line));
    }
  };
}

}  // namespace headstart::client
