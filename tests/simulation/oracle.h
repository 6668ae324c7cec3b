// Reads every event of a world as it becomes durable and says which promise it
// breaks. Its own bookkeeping is plain on purpose: sorted lists, no indexes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "headstart/internal/v1/journal.pb.h"
#include "headstart/v1/study.pb.h"
#include "tests/simulation/faults.h"

namespace headstart::simulation {

using Event = ::headstart::internal::v1::Event;

class Oracle {
 public:
  explicit Oracle(const Faults& faults) : faults_(faults) {}

  void Observe(const Event& event);

  // The winner that a study's events call for; 0 when no trial can win.
  int64_t WinnerOf(int64_t study) const;
  // Trials that a person had retried: their first epochs may be gone.
  const std::set<std::string>& retried() const { return retried_; }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct TrialFacts {
    int64_t seed = 0;
    int64_t until = 0;
    v1::Trial::State state = v1::Trial::WAITING;
    std::set<int64_t> promoted_from;
  };
  struct StudyFacts {
    v1::Study spec;
    v1::Study::State state = v1::Study::RUNNING;
    std::map<int64_t, TrialFacts> trials;
    // Results by rung: loss (none for the worst) by trial.
    std::map<int64_t, std::map<int64_t, std::optional<double>>> results;
  };
  struct RunFacts {
    std::optional<int64_t> live;  // Attempt.
    std::string place;            // Worker and slot of the live attempt.
    int64_t recorded = -1;
    int64_t seed = 0;
    double loss = 0;  // After the last epoch.
  };

  void Expect(bool holds, const std::string& what);
  void Started(const internal::v1::TrialCreated& event);
  void Promoted(const internal::v1::TrialPromoted& event);
  void Changed(const internal::v1::TrialStateChanged& event);
  void Recorded(const internal::v1::EpochRecorded& event);
  // The place of a finite result at a rung, 1 for the best.
  static int64_t PlaceOf(
      const std::map<int64_t, std::optional<double>>& results, int64_t trial);

  const Faults& faults_;
  std::map<int64_t, StudyFacts> studies_;
  std::map<std::string, RunFacts> runs_;
  std::set<std::string> busy_;  // Worker and slot.
  std::set<std::string> retried_;
  int64_t token_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace headstart::simulation
