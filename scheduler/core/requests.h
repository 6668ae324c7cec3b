// First answers to requests, so that a repeat gets the same one.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"

#include "headstart/internal/v1/journal.pb.h"
#include "scheduler/core/command.h"

namespace headstart::scheduler {

// The newest 10,000 answers.
class Requests {
 public:
  // The name that this request was first answered with; none when it is new,
  // or has no id. InvalidArgument when the id was used for another request.
  absl::StatusOr<std::optional<std::string>> Find(const RequestKey& key) const;

  void Apply(const internal::v1::RequestAnswered& event);

  // Oldest first.
  const std::deque<internal::v1::RequestAnswered>& answers() const {
    return answers_;
  }

 private:
  static constexpr size_t kAnswersMax = 10'000;

  std::deque<internal::v1::RequestAnswered> answers_;
  // Id to the number of its answer, counted from the first ever.
  absl::btree_map<std::string, int64_t> numbers_;
  int64_t forgotten_ = 0;  // Answers that have left the front.
};

}  // namespace headstart::scheduler
