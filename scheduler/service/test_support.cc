#include "scheduler/service/test_support.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace headstart::scheduler {
namespace {

std::string CheckpointOf(const v1::Assignment& assignment, int64_t epoch) {
  return absl::StrCat(assignment.run(), "/epochs/", epoch);
}

// The same for the same assignment, whoever trains it: the smaller the learning
// rate's distance from 0.01, the better.
v1::EpochReport ReportOf(const v1::Assignment& assignment, int64_t epoch) {
  v1::EpochReport report;
  report.set_epoch(epoch);
  std::string digest = CheckpointOf(assignment, epoch);
  digest.resize(32, '.');
  report.set_manifest_digest(digest);
  if (epoch == 0) return report;
  const double rate = assignment.training().optimizer().adam().learning_rate();
  const double accuracy =
      1.0 - std::abs(rate - 0.01) - 0.5 / static_cast<double>(epoch + 1);
  v1::Measurement& measurement = *report.mutable_measurement();
  measurement.set_training_loss(1.0 - accuracy);
  measurement.set_training_accuracy(accuracy);
  measurement.set_validation_loss(1.0 - accuracy);
  measurement.set_validation_accuracy(accuracy);
  report.mutable_seconds()->set_train(0.5);
  report.set_examples_per_second(1000);
  return report;
}

}  // namespace

v1::Study RandomStudy(int64_t trial_count, int64_t epochs) {
  v1::Study study;
  study.set_display_name("test");
  v1::TrainingSpec& training = *study.mutable_training();
  training.mutable_model()->mutable_lenet_300_100();
  training.mutable_dataset()->mutable_mnist()->set_validation_examples(5000);
  training.set_epochs(epochs);
  training.set_batch_size(100);
  training.mutable_optimizer()->mutable_adam()->set_learning_rate(0.001);
  v1::Parameter& rate = *study.mutable_search()->add_parameters();
  rate.set_path("optimizer.adam.learning_rate");
  rate.mutable_double_()->set_min(1e-4);
  rate.mutable_double_()->set_max(1e-1);
  rate.mutable_double_()->set_scale(v1::LOG);
  study.mutable_search()->mutable_random()->set_trial_count(trial_count);
  study.mutable_objective()->set_metric(v1::Objective::VALIDATION_ACCURACY);
  study.mutable_objective()->set_goal(v1::Objective::MAXIMIZE);
  study.set_seed(7);
  return study;
}

void FakeStorage::Commit(const std::string& checkpoint) {
  MutexLock lock(&mu_);
  checkpoints_.insert(checkpoint);
}

void FakeStorage::Forget(const std::string& checkpoint) {
  MutexLock lock(&mu_);
  checkpoints_.erase(checkpoint);
}

void FakeStorage::RefuseReferences(grpc::Status status) {
  MutexLock lock(&mu_);
  refusal_ = std::move(status);
}

std::optional<v1::SetReferencesRequest> FakeStorage::References(
    const std::string& owner) const {
  MutexLock lock(&mu_);
  const auto found = sets_.find(owner);
  if (found == sets_.end()) return std::nullopt;
  return found->second;
}

int64_t FakeStorage::StatementCount(const std::string& owner) const {
  MutexLock lock(&mu_);
  const auto found = counts_.find(owner);
  return found == counts_.end() ? 0 : found->second;
}

void FakeStorage::AwaitStatements(const std::string& owner,
                                  int64_t count) const {
  MutexLock lock(&mu_);
  mu_.Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = counts_.find(owner);
    return found != counts_.end() && found->second >= count;
  });
}

grpc::Status FakeStorage::SetReferences(const v1::SetReferencesRequest& request,
                                        v1::SetReferencesResponse* response) {
  MutexLock lock(&mu_);
  if (!refusal_.ok()) return refusal_;
  for (const v1::Reference& reference : request.references()) {
    if (!checkpoints_.contains(reference.checkpoint()) &&
        !absl::EndsWith(reference.checkpoint(), "/resume")) {
      response->add_missing(reference.checkpoint());
    }
  }
  v1::SetReferencesRequest& whole = parts_[request.owner()];
  if (whole.generation() != request.generation() || request.part() == 0) {
    whole.Clear();
    whole.set_part(-1);
  }
  if (request.part() != whole.part() + 1) {
    return grpc::Status(grpc::StatusCode::ABORTED, "parts are missing");
  }
  whole.MergeFrom(request);
  whole.set_more(request.more());
  if (request.more()) return grpc::Status::OK;
  sets_[request.owner()] = std::move(whole);
  parts_.erase(request.owner());
  ++counts_[request.owner()];
  return grpc::Status::OK;
}

grpc::Status FakeStorage::GetCheckpoint(grpc::ServerContext*,
                                        const v1::GetCheckpointRequest* request,
                                        v1::Checkpoint* response) {
  MutexLock lock(&mu_);
  if (!checkpoints_.contains(request->name())) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, request->name());
  }
  response->set_name(request->name());
  return grpc::Status::OK;
}

grpc::Status FakeStorage::ListCheckpoints(
    grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  MutexLock lock(&mu_);
  std::set<int64_t> epochs;
  const std::string prefix = request->parent() + "/epochs/";
  for (const std::string& name : checkpoints_) {
    int64_t epoch = 0;
    if (absl::StartsWith(name, prefix) &&
        absl::SimpleAtoi(name.substr(prefix.size()), &epoch)) {
      epochs.insert(epoch);
    }
  }
  for (const int64_t epoch : epochs) {
    response->add_checkpoints()->set_epoch(epoch);
  }
  return grpc::Status::OK;
}

FakeAgent::FakeAgent(std::string worker, int slots, Call call,
                     FakeStorage* storage)
    : call_(std::move(call)), storage_(storage) {
  request_.set_protocol_version(1);
  request_.set_worker(std::move(worker));
  request_.set_incarnation(1);
  request_.add_datasets("mnist");
  for (int i = 0; i < slots; ++i) {
    v1::Slot& slot = *request_.add_slots();
    slot.set_name(absl::StrCat("cpu:", i));
    slot.set_device("cpu x86-64");
    slot.set_thread_count(1);
  }
}

absl::Status FakeAgent::Synchronize() {
  absl::StatusOr<v1::SynchronizeResponse> response = call_(request_);
  if (!response.ok()) return response.status();
  response_ = *std::move(response);
  request_.set_seen_version(response_.version());

  for (const v1::Acknowledgement& done : response_.acknowledgements()) {
    auto& attempts = *request_.mutable_attempts();
    for (int i = 0; i < attempts.size(); ++i) {
      v1::AttemptStatus& attempt = attempts[i];
      if (attempt.run() != done.run() || attempt.attempt() != done.attempt()) {
        continue;
      }
      auto& reports = *attempt.mutable_reports();
      while (!reports.empty() && reports[0].epoch() <= done.through_epoch()) {
        reports.erase(reports.begin());
      }
      if (done.ended()) attempts.DeleteSubrange(i--, 1);
    }
  }
  // What is not desired any more ends at once, with its news.
  auto& attempts = *request_.mutable_attempts();
  for (int i = 0; i < attempts.size(); ++i) {
    const std::vector<v1::Assignment> desired = assignments();
    const bool wanted = std::any_of(
        desired.begin(), desired.end(), [&](const v1::Assignment& each) {
          return each.run() == attempts[i].run() &&
                 each.attempt() == attempts[i].attempt();
        });
    if (!wanted) attempts.DeleteSubrange(i--, 1);
  }
  for (const v1::Assignment& assignment : assignments()) StatusOf(assignment);
  return absl::OkStatus();
}

void FakeAgent::Train() {
  for (const v1::Assignment& assignment : assignments()) {
    v1::AttemptStatus& status = *StatusOf(assignment);
    if (status.state() == v1::Attempt::SUCCEEDED) continue;
    status.set_state(v1::Attempt::SUCCEEDED);
    const int64_t first =
        assignment.from_epoch() == 0 ? 0 : assignment.from_epoch() + 1;
    for (int64_t epoch = first; epoch <= assignment.until_epoch(); ++epoch) {
      *status.add_reports() = ReportOf(assignment, epoch);
      if (storage_ != nullptr)
        storage_->Commit(CheckpointOf(assignment, epoch));
    }
  }
}

absl::Status FakeAgent::TrainUntil(const std::function<bool()>& done) {
  for (int i = 0; i < 1'000; ++i) {
    if (done()) return absl::OkStatus();
    if (absl::Status status = Synchronize(); !status.ok()) return status;
    Train();
  }
  return absl::DeadlineExceededError("1,000 turns were not enough");
}

std::vector<v1::Assignment> FakeAgent::assignments() const {
  std::vector<v1::Assignment> assignments;
  for (const v1::SlotAssignment& each : response_.assignments()) {
    if (!each.release()) assignments.push_back(each.assignment());
  }
  return assignments;
}

v1::AttemptStatus* FakeAgent::StatusOf(const v1::Assignment& assignment) {
  for (v1::AttemptStatus& status : *request_.mutable_attempts()) {
    if (status.run() == assignment.run() &&
        status.attempt() == assignment.attempt()) {
      return &status;
    }
  }
  v1::AttemptStatus* const status = request_.add_attempts();
  status->set_run(assignment.run());
  status->set_attempt(assignment.attempt());
  status->set_token(assignment.token());
  status->set_state(v1::Attempt::RUNNING);
  return status;
}

}  // namespace headstart::scheduler
