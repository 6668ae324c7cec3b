#include "initializers/learned/learned.h"

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "base/status_macros.h"
#include "initializers/classic/weight_rule.h"
#include "initializers/learned/training_signal.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

// Values of a series that are kept at most; of longer ones every second,
// fourth, ... is.
constexpr size_t kSeriesMax = 1000;

// What is measured, iteration after iteration, on its way to the report and to
// who waits.
class Course final {
 public:
  Course(const char* kind, int64_t iterations, TrainingSignal& signal)
      : kind_(kind), iterations_(iterations), signal_(signal) {}

  void Add(std::vector<std::pair<absl::string_view, double>> values) {
    ++iteration_;
    signal_.Note({.kind = kind_,
                  .iteration = iteration_,
                  .iterations = iterations_,
                  .values = values});
    if (series_.empty()) {
      for (const auto& [name, value] : values) {
        series_.push_back({.name = std::string(name), .values = {}});
      }
    }
    for (size_t i = 0; i < series_.size(); ++i) {
      Keep(values[i].second, series_[i]);
    }
  }
  std::vector<Series> Take() { return std::move(series_); }

 private:
  void Keep(double value, Series& series) const {
    if ((iteration_ - 1) % series.stride != 0) return;
    series.values.push_back(value);
    if (series.values.size() <= kSeriesMax) return;
    for (size_t i = 0; 2 * i < series.values.size(); ++i) {
      series.values[i] = series.values[2 * i];
    }
    series.values.resize((series.values.size() + 1) / 2);
    series.stride *= 2;
  }

  const char* const kind_;
  const int64_t iterations_;
  TrainingSignal& signal_;
  int64_t iteration_ = 0;
  std::vector<Series> series_;
};

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / values.size();
}

absl::Status Run(const WholeLsuvOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs, Course& course) {
  return ApplyLsuv(
      model, *inputs.signal, options.corrections,
      [&](const LsuvMeasurement& measurement) {
        course.Add({{"layer", measurement.layer},
                    {"standard_deviation", measurement.standard_deviation},
                    {"mean", measurement.mean}});
      });
}

absl::Status Run(const MetainitOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs, Course& course) {
  return ApplyMetainit(model, *inputs.signal, options,
                       [&](const MetainitIteration& iteration) {
                         course.Add({{"gradient_quotient", iteration.quotient},
                                     {"loss", iteration.loss}});
                       });
}

absl::Status Run(const GradinitOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs, Course& course) {
  return ApplyGradinit(model, *inputs.signal, options,
                       [&](const GradinitIteration& iteration) {
                         course.Add({{"objective", iteration.objective},
                                     {"gradient_norm", iteration.norm},
                                     {"constraint", iteration.constraint},
                                     {"loss", iteration.loss},
                                     {"loss_after_step", iteration.next_loss}});
                       });
}

absl::Status Run(const NioOptions& options, torch::nn::Module& model,
                 const InitializerInputs& inputs, Course& course) {
  return ApplyNio(model, *inputs.signal, options,
                  [&](const NioIteration& iteration) {
                    course.Add({{"objective", iteration.objective},
                                {"gradient_norm", Mean(iteration.norms)},
                                {"gradient_cosine", iteration.cosine},
                                {"gradient_variance", iteration.variance},
                                {"constraint", iteration.constraint}});
                  });
}

int64_t IterationsOf(const WholeLsuvOptions&) { return 0; }
template <typename Options>
int64_t IterationsOf(const Options& options) {
  return options.iterations;
}

// What LSUV begins with; the names of what it draws.
absl::StatusOr<std::vector<std::string>> Prepare(
    const WholeLsuvOptions& options, torch::nn::Module& model,
    const InitializerInputs& inputs) {
  if (!options.orthogonal) return std::vector<std::string>();
  HS_ASSIGN_OR_RETURN(
      InitializationReport orthogonal,
      WeightInitializer(OrthogonalOptions{}).Apply(model, inputs));
  const at::NoGradGuard no_grad;
  for (const LsuvLayer& layer : LsuvLayers(model)) {
    if (layer.bias.defined()) layer.bias.zero_();
  }
  return std::move(orthogonal.drawn_names);
}
template <typename Options>
absl::StatusOr<std::vector<std::string>> Prepare(const Options&,
                                                 torch::nn::Module&,
                                                 const InitializerInputs&) {
  return std::vector<std::string>();
}

std::vector<double> Norms(absl::Span<const NamedTensor> tensors) {
  const at::NoGradGuard no_grad;
  std::vector<double> norms;
  for (const NamedTensor& each : tensors) {
    norms.push_back(each.is_buffer ? 0 : each.tensor.norm().item<double>());
  }
  return norms;
}

}  // namespace

const char* KindOf(const WholeLsuvOptions&) { return "lsuv"; }
const char* KindOf(const MetainitOptions&) { return "metainit"; }
const char* KindOf(const GradinitOptions&) { return "gradinit"; }
const char* KindOf(const NioOptions&) { return "nio"; }

absl::StatusOr<InitializationReport> Learned::Apply(
    torch::nn::Module& model, const InitializerInputs& inputs) const {
  if (inputs.signal == nullptr) {
    return absl::FailedPreconditionError(
        "initializer: one that learns from data was given none.");
  }
  return std::visit(
      [&](const auto& options) -> absl::StatusOr<InitializationReport> {
        InitializationReport report;
        HS_ASSIGN_OR_RETURN(report.drawn_names,
                            Prepare(options, model, inputs));
        const std::vector<NamedTensor> tensors = StateDict(model);
        const std::vector<double> before = Norms(tensors);
        Course course(KindOf(options), IterationsOf(options), *inputs.signal);
        HS_RETURN_IF_ERROR(Run(options, model, inputs, course));
        report.series = course.Take();
        const std::vector<double> after = Norms(tensors);
        for (size_t i = 0; i < tensors.size(); ++i) {
          // A bias that LSUV moves away from 0 is not scaled.
          if (before[i] == 0 || after[i] == before[i]) continue;
          report.scaled.push_back({tensors[i].name, after[i] / before[i]});
        }
        return report;
      },
      options_);
}

}  // namespace headstart::initializers
