#include "worker/agent/fake_scheduler.h"

#include "absl/time/time.h"
#include "base/check.h"

namespace headstart::worker {
namespace {

constexpr absl::Duration kLease = absl::Milliseconds(900);

}  // namespace

FakeScheduler::FakeScheduler(std::string address, std::string storage_address)
    : address_(std::move(address)),
      storage_address_(std::move(storage_address)) {
  Start();
}

FakeScheduler::~FakeScheduler() { GoAway(); }

std::string FakeScheduler::address() const { return address_; }

void FakeScheduler::Start() {
  auto address = ListenAddress::Parse(address_);
  HS_CHECK_OK(address);
  auto listener = Listener::Start({.address = *address, .services = {this}});
  HS_CHECK_OK(listener);
  listener_ = *std::move(listener);
  address_ = listener_->endpoint();
}

void FakeScheduler::GoAway() {
  {
    MutexLock lock(&mu_);
    away_ = true;
  }
  listener_.reset();
}

void FakeScheduler::ComeBack(const std::string& address) {
  {
    MutexLock lock(&mu_);
    away_ = false;
  }
  if (!address.empty()) address_ = address;
  Start();
}

void FakeScheduler::Assign(const std::string& slot,
                           const v1::Assignment& assignment, bool release) {
  MutexLock lock(&mu_);
  v1::SlotAssignment& entry = assignments_[slot];
  entry.set_slot(slot);
  *entry.mutable_assignment() = assignment;
  entry.set_release(release);
  ++version_;
}

void FakeScheduler::Unassign(const std::string& slot) {
  MutexLock lock(&mu_);
  assignments_.erase(slot);
  ++version_;
}

void FakeScheduler::SetCluster(const std::string& cluster) {
  MutexLock lock(&mu_);
  cluster_ = cluster;
  ++version_;
}

void FakeScheduler::RefuseWith(grpc::StatusCode code,
                               const std::string& message) {
  MutexLock lock(&mu_);
  refusal_ = grpc::Status(code, message);
  ++version_;
}

void FakeScheduler::SetAcknowledges(bool acknowledges) {
  MutexLock lock(&mu_);
  acknowledges_ = acknowledges;
  ++version_;
}

void FakeScheduler::SetListsEnded(bool lists_ended) {
  MutexLock lock(&mu_);
  lists_ended_ = lists_ended;
  ++version_;
}

void FakeScheduler::Await(absl::FunctionRef<bool(const Heard&)> done) {
  MutexLock lock(&mu_);
  mu_.Await([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return done(heard_); });
}

HeardAttempt FakeScheduler::AwaitEnd(const std::string& run, int64_t attempt) {
  HeardAttempt found;
  Await([&](const Heard& heard) {
    auto entry = heard.find({run, attempt});
    if (entry == heard.end() || !entry->second.ended) return false;
    found = entry->second;
    return true;
  });
  return found;
}

void FakeScheduler::AwaitReport(const std::string& run, int64_t attempt,
                                int64_t epoch) {
  Await([&](const Heard& heard) {
    auto entry = heard.find({run, attempt});
    return entry != heard.end() && entry->second.reports.contains(epoch);
  });
}

void FakeScheduler::AwaitCalls(int64_t count) {
  MutexLock lock(&mu_);
  const int64_t until = call_count_ + count;
  mu_.Await([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return call_count_ >= until;
  });
}

v1::SynchronizeRequest FakeScheduler::last_request() const {
  MutexLock lock(&mu_);
  return last_request_;
}

grpc::Status FakeScheduler::Synchronize(grpc::ServerContext* context,
                                        const v1::SynchronizeRequest* request,
                                        v1::SynchronizeResponse* response) {
  MutexLock lock(&mu_);
  ++call_count_;
  last_request_ = *request;
  bool news = Hear(*request, *response);
  // Looks now and then whether the agent has hung up.
  for (int i = 0; i < 100 && !news && !context->IsCancelled(); ++i) {
    news = mu_.AwaitWithTimeout(
        [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
          return away_ || version_ != request->seen_version();
        },
        kLease / 300);
  }
  if (away_) return {grpc::StatusCode::UNAVAILABLE, "away"};
  if (!refusal_.ok()) return refusal_;
  response->set_version(version_);
  response->set_cluster_id(cluster_);
  response->set_storage_address(storage_address_);
  response->mutable_lease_duration()->set_nanos(
      absl::ToInt64Nanoseconds(kLease));
  for (const auto& [slot, assignment] : assignments_) {
    const auto heard = heard_.find(
        {assignment.assignment().run(), assignment.assignment().attempt()});
    if (heard != heard_.end() && heard->second.ended && !lists_ended_) {
      continue;
    }
    *response->add_assignments() = assignment;
  }
  return grpc::Status::OK;
}

bool FakeScheduler::Hear(const v1::SynchronizeRequest& request,
                         v1::SynchronizeResponse& response) {
  for (const v1::AttemptStatus& status : request.attempts()) {
    HeardAttempt& heard = heard_[{status.run(), status.attempt()}];
    for (const v1::EpochReport& report : status.reports()) {
      heard.reports[report.epoch()] = report;
      ++heard.report_calls[report.epoch()];
    }
    if (!heard.ended) {  // Calls may be handled out of order.
      heard.last = status;
      heard.last.clear_reports();
      heard.ended = status.state() == v1::Attempt::RELEASED ||
                    status.state() == v1::Attempt::SUCCEEDED ||
                    status.state() == v1::Attempt::FAILED;
    }
    if (!acknowledges_ || (status.reports().empty() && !heard.ended)) continue;
    v1::Acknowledgement& ack = *response.add_acknowledgements();
    ack.set_run(status.run());
    ack.set_attempt(status.attempt());
    ack.set_through_epoch(
        heard.reports.empty() ? -1 : heard.reports.rbegin()->first);
    ack.set_ended(heard.ended);
  }
  return response.acknowledgements_size() > 0;
}

}  // namespace headstart::worker
