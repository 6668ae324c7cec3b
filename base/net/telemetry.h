// Telemetry: the process's Prometheus metrics, and the port that serves them.
#pragma once

#include <prometheus/labels.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace prometheus {
class Counter;
class Exposer;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace headstart {

enum class Buckets {
  kCallSeconds,  // 10 us to 10 s: calls, writes, decisions.
  kWorkSeconds,  // 10 ms to 1 h: epochs and their phases.
  kBytes,        // 1 KiB to 4 GiB, in steps of 4.
};

// One series of a callback's metric.
struct Sample {
  prometheus::Labels labels;
  double value = 0;
};

// The metrics of a process. Whoever counts makes its metrics once, when it is
// made itself, so that every series exists at 0 from the start.
//
// A name is headstart_<subject>_<what>_<unit>[_total]. Making a name with the
// same labels again gives the same metric; with another type or help it is a
// bug. What the functions return lives as long as the Telemetry.
//
// There from the start: headstart_build_info, headstart_log_lines_total, and
// process_resident_memory_bytes, process_cpu_seconds_total,
// process_start_time_seconds, process_open_fds. Any thread may call.
class Telemetry {
 public:
  Telemetry();
  ~Telemetry();

  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // Include prometheus/counter.h (gauge.h, histogram.h) where these are used.
  prometheus::Counter& AddCounter(const std::string& name,
                                  const std::string& help,
                                  const prometheus::Labels& labels = {});
  prometheus::Gauge& AddGauge(const std::string& name, const std::string& help,
                              const prometheus::Labels& labels = {});
  prometheus::Histogram& AddHistogram(const std::string& name,
                                      const std::string& help, Buckets buckets,
                                      const prometheus::Labels& labels = {});

  // Metrics that are read when someone looks, for as long as the returned
  // object lives. `read` runs on the port's threads and may take a lock, but
  // never one that is held while the returned object is destroyed.
  class Callback;
  using ReadFunction = std::function<std::vector<Sample>()>;
  [[nodiscard]] std::unique_ptr<Callback> AddGaugeCallback(
      const std::string& name, const std::string& help, ReadFunction read);
  [[nodiscard]] std::unique_ptr<Callback> AddCounterCallback(
      const std::string& name, const std::string& help, ReadFunction read);

  // Serves http://{address}/metrics, and writes "host:port" to `endpoint_file`
  // unless that is empty. `address` is host:port as ListenAddress takes it,
  // loopback only; port 0 lets the system choose. At most once.
  absl::Status Serve(absl::string_view address,
                     const std::string& endpoint_file);

  // "127.0.0.1:40123"; empty before Serve.
  const std::string& endpoint() const { return endpoint_; }

  // What /metrics says, but for the port's own metrics.
  std::string Text() const;

 private:
  class Callbacks;

  const std::shared_ptr<prometheus::Registry> registry_;
  const std::shared_ptr<Callbacks> callbacks_;
  std::vector<std::unique_ptr<Callback>> own_callbacks_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string endpoint_;
  std::string endpoint_file_;
};

// Takes its metric away when it is destroyed.
class Telemetry::Callback {
 public:
  ~Callback();
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

 private:
  friend class Telemetry;
  Callback(std::shared_ptr<Callbacks> callbacks, int64_t id)
      : callbacks_(std::move(callbacks)), id_(id) {}

  const std::shared_ptr<Callbacks> callbacks_;
  const int64_t id_;
};

}  // namespace headstart
