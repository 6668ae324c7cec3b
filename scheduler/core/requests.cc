#include "scheduler/core/requests.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace headstart::scheduler {

absl::StatusOr<std::optional<std::string>> Requests::Find(
    const RequestKey& key) const {
  if (key.id.empty()) return std::nullopt;
  const auto number = numbers_.find(key.id);
  if (number == numbers_.end()) return std::nullopt;
  const internal::v1::RequestAnswered& answer =
      answers_[static_cast<size_t>(number->second - forgotten_)];
  if (answer.method() != key.method ||
      answer.fingerprint() != key.fingerprint) {
    return absl::InvalidArgumentError(absl::StrCat(
        "request_id: \"", key.id, "\" was used for another request, ",
        answer.method(), ", which was answered with \"", answer.name(),
        "\". Draw a new id for each request."));
  }
  return answer.name();
}

void Requests::Apply(const internal::v1::RequestAnswered& event) {
  numbers_[event.request_id()] =
      forgotten_ + static_cast<int64_t>(answers_.size());
  answers_.push_back(event);
  if (answers_.size() > kAnswersMax) {
    numbers_.erase(answers_.front().request_id());
    answers_.pop_front();
    ++forgotten_;
  }
}

}  // namespace headstart::scheduler
