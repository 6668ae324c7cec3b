#include "base/net/telemetry.h"

#include <netinet/in.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/net/listener.h"
#include "base/status_macros.h"
#include "base/version.h"

namespace headstart {
namespace {

prometheus::Histogram::BucketBoundaries Boundaries(Buckets buckets) {
  switch (buckets) {
    case Buckets::kCallSeconds:
      return {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001,
              0.0025,  0.005,    0.01,    0.025,  0.05,    0.1,    0.25,
              0.5,     1,        2.5,     5,      10};
    case Buckets::kWorkSeconds:
      return {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,    2.5, 5,
              10,   30,    60,   120, 300,  900, 1800, 3600};
    case Buckets::kBytes:
      return {0x1p10, 0x1p12, 0x1p14, 0x1p16, 0x1p18, 0x1p20,
              0x1p22, 0x1p24, 0x1p26, 0x1p28, 0x1p30, 0x1p32};
  }
  return {};
}

std::vector<Sample> LogLines() {
  std::vector<Sample> samples;
  for (const LogSeverity severity :
       {LogSeverity::kDebug, LogSeverity::kInfo, LogSeverity::kWarning,
        LogSeverity::kError}) {
    samples.push_back(
        {.labels = {{"severity", std::string(LogSeverityName(severity))}},
         .value = static_cast<double>(LogLinesCount(severity))});
  }
  return samples;
}

double ResidentBytes() {
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  return static_cast<double>(resident_pages) *
         static_cast<double>(sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) +
         static_cast<double>(used.tv_nsec) * 1e-9;
}

double OpenFileCount() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end;
       !error && it != end; it.increment(error)) {
    ++count;
  }
  return count;
}

// Opens a connection to a port of the loopback interface, and closes it.
void Touch(const ListenAddress& address) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(address.port));
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = v4.sin_port;
  v6.sin6_addr = in6addr_loopback;
  const bool is_v4 = address.host == "127.0.0.1";
  const int connection =
      socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return;
  // Whether it succeeds does not matter.
  (void)connect(connection,
                is_v4 ? reinterpret_cast<const sockaddr*>(&v4)
                      : reinterpret_cast<const sockaddr*>(&v6),
                is_v4 ? sizeof(v4) : sizeof(v6));
  close(connection);
}

}  // namespace

// The metrics that are read when someone looks.
class Telemetry::Callbacks : public prometheus::Collectable {
 public:
  int64_t Add(const std::string& name, const std::string& help,
              prometheus::MetricType type, ReadFunction read) {
    MutexLock lock(&mu_);
    entries_[++last_id_] = {name, help, type, std::move(read)};
    return last_id_;
  }

  // Waits for a reading that goes on.
  void Remove(int64_t id) {
    MutexLock lock(&mu_);
    entries_.erase(id);
  }

  // Callbacks run with the lock held: that is what lets Remove wait for them.
  std::vector<prometheus::MetricFamily> Collect() const override {
    MutexLock lock(&mu_);
    std::vector<prometheus::MetricFamily> families;
    for (const auto& [id, entry] : entries_) {
      prometheus::MetricFamily family;
      family.name = entry.name;
      family.help = entry.help;
      family.type = entry.type;
      for (const Sample& sample : entry.read()) {
        prometheus::ClientMetric metric;
        for (const auto& [label, value] : sample.labels) {
          metric.label.push_back({label, value});
        }
        metric.counter.value = sample.value;
        metric.gauge.value = sample.value;
        family.metric.push_back(std::move(metric));
      }
      families.push_back(std::move(family));
    }
    return families;
  }

 private:
  struct Entry {
    std::string name;
    std::string help;
    prometheus::MetricType type;
    ReadFunction read;
  };

  mutable Mutex mu_;
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

Telemetry::Callback::~Callback() { callbacks_->Remove(id_); }

Telemetry::Telemetry()
    : registry_(std::make_shared<prometheus::Registry>()),
      callbacks_(std::make_shared<Callbacks>()) {
  AddGauge("headstart_build_info", "1; the label says which release this is.",
           {{"version", kVersion}})
      .Set(1);
  AddGauge("process_start_time_seconds",
           "When the process began, in seconds since 1970.")
      .SetToCurrentTime();
  own_callbacks_.push_back(AddCounterCallback(
      "headstart_log_lines_total", "Lines logged, by severity.", LogLines));
  own_callbacks_.push_back(AddGaugeCallback(
      "process_resident_memory_bytes", "Memory of the process that is in RAM.",
      [] {
        return std::vector<Sample>{{.labels = {}, .value = ResidentBytes()}};
      }));
  own_callbacks_.push_back(AddCounterCallback(
      "process_cpu_seconds_total", "Processor time the process has used.", [] {
        return std::vector<Sample>{{.labels = {}, .value = CpuSeconds()}};
      }));
  own_callbacks_.push_back(AddGaugeCallback(
      "process_open_fds", "Open files and sockets of the process.", [] {
        return std::vector<Sample>{{.labels = {}, .value = OpenFileCount()}};
      }));
}

Telemetry::~Telemetry() {
  if (!endpoint_file_.empty()) {
    if (const absl::Status removed = RemoveFile(endpoint_file_);
        !removed.ok()) {
      HS_LOG(kWarning, "endpoint file stays error={}", removed);
    }
  }
  if (exposer_ == nullptr) return;
  // The HTTP server looks whether it should stop when a connection comes, and
  // otherwise every two seconds, which is long for the end of a program.
  StopEvent stopped;
  std::thread hurry([&] {
    const ListenAddress address = ListenAddress::Parse(endpoint_).value();
    while (!Clock::Real().WaitFor(absl::Milliseconds(5), stopped)) {
      Touch(address);
    }
  });
  exposer_.reset();
  stopped.Stop();
  hurry.join();
}

prometheus::Counter& Telemetry::AddCounter(const std::string& name,
                                           const std::string& help,
                                           const prometheus::Labels& labels) {
  return prometheus::BuildCounter()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add(labels);
}

prometheus::Gauge& Telemetry::AddGauge(const std::string& name,
                                       const std::string& help,
                                       const prometheus::Labels& labels) {
  return prometheus::BuildGauge()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add(labels);
}

prometheus::Histogram& Telemetry::AddHistogram(
    const std::string& name, const std::string& help, Buckets buckets,
    const prometheus::Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add(labels, Boundaries(buckets));
}

std::unique_ptr<Telemetry::Callback> Telemetry::AddGaugeCallback(
    const std::string& name, const std::string& help, ReadFunction read) {
  return std::unique_ptr<Callback>(new Callback(
      callbacks_, callbacks_->Add(name, help, prometheus::MetricType::Gauge,
                                  std::move(read))));
}

std::unique_ptr<Telemetry::Callback> Telemetry::AddCounterCallback(
    const std::string& name, const std::string& help, ReadFunction read) {
  return std::unique_ptr<Callback>(new Callback(
      callbacks_, callbacks_->Add(name, help, prometheus::MetricType::Counter,
                                  std::move(read))));
}

absl::Status Telemetry::Serve(absl::string_view address,
                              const std::string& endpoint_file) {
  HS_CHECK(exposer_ == nullptr);
  HS_ASSIGN_OR_RETURN(ListenAddress listen, ListenAddress::Parse(address));
  if (!listen.socket_path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address,
                     "\": metrics are served over HTTP, which Prometheus reads "
                     "from a port. Write 127.0.0.1:port."));
  }
  try {  // The library's only way to say that the port is taken.
    exposer_ = std::make_unique<prometheus::Exposer>(listen.ToString());
  } catch (const std::exception& error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot serve metrics at ", listen.ToString(),
                     ": another server has the port (", error.what(),
                     "). Choose another; port 0 lets the system choose."));
  }
  listen.port = exposer_->GetListeningPorts().at(0);
  exposer_->RegisterCollectable(registry_);
  exposer_->RegisterCollectable(callbacks_);
  endpoint_ = listen.ToString();
  HS_LOG(kInfo, "serving metrics url=http://{}/metrics", endpoint_);
  if (endpoint_file.empty()) return absl::OkStatus();
  endpoint_file_ = endpoint_file;
  return WriteEndpointFile(endpoint_file_, endpoint_);
}

std::string Telemetry::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  for (prometheus::MetricFamily& family : callbacks_->Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace headstart
