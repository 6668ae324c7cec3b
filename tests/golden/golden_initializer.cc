// golden_initializer DIR: the learned initializers against stored traces.
//
// Builds the networks of DIR/networks.json, runs every case of
// DIR/data/index.json in its own precision, and prints the largest difference
// of each from its stored trace, over max(1, size). Ends with 1 when one is
// beyond the tolerance that the set's README names.
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <torch/nn/module.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/check.h"
#include "initializers/learned/gradinit.h"
#include "initializers/learned/lsuv.h"
#include "initializers/learned/metainit.h"
#include "initializers/learned/nio.h"
#include "tests/golden/golden_network.h"
#include "tests/golden/golden_tensors.h"

namespace headstart::initializers {
namespace {

using Json = nlohmann::json;

constexpr double kNever = std::numeric_limits<double>::infinity();

// What a case's own run gives, by the names of the trace.
class Trace final {
 public:
  void Add(const std::string& key, double value) {
    Add(key, std::vector<double>{value});
  }
  void Add(const std::string& key, const std::vector<double>& row) {
    rows_[key].push_back(row);
  }
  void Set(const std::string& key, at::Tensor value) {
    tensors_[key] = std::move(value);
  }
  bool Has(const std::string& key) const { return tensors_.contains(key); }

  // Everything as tensors: rows under "trace/".
  Tensors Finish() const {
    Tensors all = tensors_;
    for (const auto& [key, rows] : rows_) {
      std::vector<at::Tensor> each;
      for (const std::vector<double>& row : rows) {
        each.push_back(at::tensor(row, at::kDouble));
      }
      all[key] = at::stack(each);
    }
    return all;
  }

 private:
  std::map<std::string, std::vector<std::vector<double>>> rows_;
  Tensors tensors_;
};

// Hands out the rows of the net's data that the trace names.
class GoldenSignal final : public TrainingSignal {
 public:
  GoldenSignal(GoldenNetwork& network, const Tensors& data, at::Tensor rows,
               at::ScalarType type)
      : network_(network),
        inputs_(data.at("inputs").to(type)),
        labels_(data.at("labels")),
        rows_(std::move(rows)) {}

  at::Tensor Forward(const at::Tensor& inputs) override {
    return network_.forward(inputs);
  }
  LabelledBatch NextBatch(int64_t examples) override {
    // Rows of -1 were not drawn.
    while (rows_[next_][0].item<int64_t>() < 0) ++next_;
    const at::Tensor which = rows_[next_++];
    HS_CHECK_EQ(which.size(0), examples);
    return {inputs_.index_select(0, which), labels_.index_select(0, which)};
  }

 private:
  GoldenNetwork& network_;
  const at::Tensor inputs_;
  const at::Tensor labels_;
  const at::Tensor rows_;  // [batches, examples]
  int64_t next_ = 0;
};

// A number, or "inf".
double Number(const Json& value) {
  return value.is_string() ? kNever : value.get<double>();
}

RescaleAdamOptions OptimizerOf(const Json& hyper) {
  return {.learning_rate = hyper["lr"],
          .gradient_clip = hyper["grad_clip"],
          .min_weight_scale = hyper["min_scale"]};
}

void AddScales(Trace& trace, const RescaleAdam& scales) {
  trace.Add("trace/projection", scales.projections());
  trace.Add("trace/alpha", scales.scales());
  trace.Add("trace/norm", scales.norms());
}

void SetFirstGradients(Trace& trace, const std::vector<NamedTensor>& scaled,
                       absl::Span<const at::Tensor> gradients) {
  for (size_t k = 0; k < scaled.size(); ++k) {
    const std::string key = absl::StrCat("first/grad/", scaled[k].name);
    if (!trace.Has(key)) trace.Set(key, gradients[k].clone());
  }
}

void RunNio(const Json& hyper, GoldenNetwork& network, GoldenSignal& signal,
            Trace& trace) {
  const std::map<std::string, NioObjective> objectives = {
      {"gc", NioObjective::kCosine},
      {"gc_gn_sqrt", NioObjective::kCosineAndNorms},
      {"gc_gn", NioObjective::kCosineAndSquaredNorms},
      {"gv", NioObjective::kVariance},
      {"gv_gn_sqrt", NioObjective::kVarianceAndNorms},
      {"gv_gn", NioObjective::kVarianceAndSquaredNorms}};
  const NioOptions options = {
      .iterations = hyper["iterations"],
      .batch_size = hyper["batch"],
      .sub_batches = hyper["splits"],
      .overlap = hyper["overlap"],
      .split = SubBatchSplit::kOfficial,
      .objective = objectives.at(hyper["target"]),
      .norm_weight = hyper["gn_mul"],
      .max_gradient_norm = Number(hyper["gamma"]),
      .optimizer = OptimizerOf(hyper),
      .scaled_names = ScaledNames::kContaining,
      .gradient_layers = GradientLayers::kConvLinearLayerNorm,
      .batch_norm = hyper["bn_batch_statistics"].get<bool>()
                        ? BatchNormMode::kBatch
                        : BatchNormMode::kBuffers};
  HS_CHECK_OK(ApplyNio(network, signal, options, [&](const NioIteration& seen) {
    trace.Add("trace/objective", seen.objective);
    trace.Add("trace/kind", seen.constraint);
    trace.Add("trace/gnorm", seen.norms);
    trace.Add("trace/cosine", seen.cosine);
    trace.Add("trace/variance", seen.variance);
    AddScales(trace, seen.scales);
    SetFirstGradients(trace, seen.scales.tensors(), seen.gradients);
  }));
}

void RunGradinit(const Json& hyper, GoldenNetwork& network,
                 GoldenSignal& signal, Trace& trace) {
  const GradinitOptions options = {
      .iterations = hyper["iterations"],
      .half_batch = hyper["half_batch"],
      .step = hyper["algorithm"] == "adam"     ? GradinitStep::kAdam
              : hyper["normalize"].get<bool>() ? GradinitStep::kSgd
                                               : GradinitStep::kSgdUnscaled,
      .step_size = hyper["eta"],
      .max_gradient_norm = Number(hyper["gamma"]),
      .share_half = !hyper["no_overlap"].get<bool>(),
      .optimizer = OptimizerOf(hyper),
      .scaled_names = ScaledNames::kContaining,
      .gradient_layers = GradientLayers::kConvLinearBatchNorm};
  HS_CHECK_OK(ApplyGradinit(
      network, signal, options, [&](const GradinitIteration& seen) {
        trace.Add("trace/objective", seen.objective);
        trace.Add("trace/kind", seen.constraint);
        trace.Add("trace/gnorm", seen.norm);
        trace.Add("trace/loss", seen.loss);
        trace.Add("trace/next_loss", seen.next_loss);
        AddScales(trace, seen.scales);
        if (!trace.Has("first/g")) trace.Set("first/g", Flatten(seen.gradient));
        SetFirstGradients(trace, seen.scales.tensors(), seen.gradients);
      }));
}

// Both variants tell of the same.
MetainitObserver ObserveMetainit(Trace& trace) {
  return [&trace](const MetainitIteration& seen) {
    trace.Add("trace/gq", seen.quotient);
    trace.Add("trace/objective", seen.quotient);
    trace.Add("trace/loss", seen.loss);
    trace.Add("trace/projection", seen.slopes);
    trace.Add("trace/alpha", seen.scales);
    trace.Add("trace/norm", seen.norms);
  };
}

void RunLsuv(const Json& hyper, GoldenNetwork& network, GoldenSignal& signal,
             Trace& trace) {
  const LsuvOptions options = {.batch_size = hyper["batch"],
                               .standard_deviation = hyper["std"],
                               .mean = hyper["mean"],
                               .tolerance = hyper["tolerance"],
                               .max_attempts = hyper["max_attempts"],
                               .shift_bias = hyper["shift_bias"],
                               .as_published = hyper["indices"] == "reference"};
  HS_CHECK_OK(
      ApplyLsuv(network, signal, options, [&](const LsuvMeasurement& seen) {
        trace.Add("layer", static_cast<double>(seen.layer));
        trace.Add("attempt", static_cast<double>(seen.attempt));
        trace.Add("std", seen.standard_deviation);
        trace.Add("mean", seen.mean);
      }));
}

void RunRescaleAdam(const Json& each, const Tensors& gold, Trace& trace) {
  std::vector<NamedTensor> tensors;
  for (const std::string name : each["scaled"]) {
    tensors.push_back({name, gold.at("init/" + name).clone()});
  }
  RescaleAdam optimizer(tensors, OptimizerOf(each["hyper"]));
  const at::Tensor present = gold.at("present");
  const Json& kinds = each["hyper"]["kinds"];
  for (int64_t step = 0; step < static_cast<int64_t>(kinds.size()); ++step) {
    std::vector<at::Tensor> gradients;
    for (int64_t k = 0; k < static_cast<int64_t>(tensors.size()); ++k) {
      gradients.push_back(present[step][k].item<double>() != 0
                              ? gold.at("grad/" + tensors[k].name)[step]
                              : at::Tensor());
    }
    optimizer.Step(gradients, kinds[step] == 0
                                  ? RescaleAdam::Kind::kObjective
                                  : RescaleAdam::Kind::kConstraint);
    trace.Add("alpha", optimizer.scales());
    trace.Add("norm", optimizer.norms());
  }
  for (const NamedTensor& tensor : tensors) {
    trace.Set("final/" + tensor.name, tensor.tensor);
  }
}

// Largest |a - b| / max(1, |b|); infinite where only one is NaN.
double Difference(const at::Tensor& ours, const at::Tensor& gold) {
  const at::Tensor a = ours.detach().to(at::kDouble).reshape(-1);
  const at::Tensor b = gold.to(at::kDouble).reshape(-1);
  HS_CHECK_EQ(a.numel(), b.numel());
  double worst = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double x = a[i].item<double>();
    const double y = b[i].item<double>();
    if (std::isnan(x) != std::isnan(y)) return kNever;
    if (std::isnan(x)) continue;
    worst = std::max(worst, std::abs(x - y) / std::max(1., std::abs(y)));
  }
  return worst;
}

double ToleranceOf(const Json& each, const std::string& key) {
  if (each.value("dtype", "") == "float32") {
    return absl::StartsWith(key, "final/") || key == "trace/alpha" ||
                   key == "trace/norm" || key == "trace/projection" ||
                   absl::StartsWith(key, "first/")
               ? 5e-5
               : 1e-5;
  }
  const std::string algorithm = each["algorithm"];
  const bool metainit = absl::StartsWith(algorithm, "metainit");
  return metainit && (key == "trace/projection" ||
                      absl::StartsWith(key, "first/grad/"))
             ? 1e-6
             : 1e-9;
}

// Whether everything that the case's run gave is as stored.
bool RunCase(const std::string& folder, const Json& networks, const Json& index,
             const Json& each) {
  const std::string algorithm = each["algorithm"];
  const Tensors gold =
      ReadTensors(folder + "/data/" + each["file"].get<std::string>());
  Trace trace;
  if (algorithm == "rescale_adam") {
    RunRescaleAdam(each, gold, trace);
  } else {
    const std::string net = each["net"];
    const Tensors data = ReadTensors(
        folder + "/data/" + index["nets"][net]["file"].get<std::string>());
    const at::ScalarType type =
        each["dtype"] == "float32" ? at::kFloat : at::kDouble;
    const auto network = std::make_shared<GoldenNetwork>(networks[net]);
    network->to(type);
    Tensors start = data;
    if (algorithm == "lsuv") {
      for (const auto& [key, tensor] : gold) {
        if (absl::StartsWith(key, "init/")) start[key] = tensor;
      }
    }
    network->Load(start);
    std::map<std::string, at::Tensor> buffers;
    for (const auto& buffer : network->named_buffers()) {
      buffers[buffer.key()] = buffer.value().clone();
    }
    // GradInit's rows are [steps, 4, half], LSUV's are one batch.
    at::Tensor rows = gold.at("rows");
    rows =
        rows.dim() == 1 ? rows.unsqueeze(0) : rows.reshape({-1, rows.size(-1)});
    GoldenSignal signal(*network, data, rows, type);
    const Json& hyper = each["hyper"];
    if (algorithm == "nio") {
      RunNio(hyper, *network, signal, trace);
    } else if (algorithm == "gradinit") {
      RunGradinit(hyper, *network, signal, trace);
    } else if (algorithm == "metainit_port") {
      HS_CHECK_OK(ApplyMetainitPort(
          *network, signal,
          {.iterations = hyper["iterations"],
           .batch_size = hyper["batch"],
           .optimizer = OptimizerOf(hyper),
           .scaled_names = ScaledNames::kContaining,
           .gradient_layers = GradientLayers::kConvLinearBatchNorm},
          ObserveMetainit(trace)));
    } else if (algorithm == "metainit_listing") {
      HS_CHECK_OK(ApplyMetainit(*network, signal,
                                {.iterations = hyper["iterations"],
                                 .batch_size = hyper["batch"],
                                 .learning_rate = hyper["lr"],
                                 .momentum = hyper["momentum"],
                                 .min_norm_share = -1},
                                ObserveMetainit(trace)));
    } else {
      HS_CHECK_EQ(algorithm, "lsuv");
      RunLsuv(hyper, *network, signal, trace);
    }
    for (const auto& parameter : network->named_parameters()) {
      trace.Set("final/" + parameter.key(), parameter.value());
    }
    for (const auto& buffer : network->named_buffers()) {
      HS_CHECK(buffer.value().equal(buffers[buffer.key()])) << buffer.key();
    }
  }
  double worst = 0;
  std::string worst_key;
  bool ok = true;
  int64_t compared = 0;
  for (const auto& [key, ours] : trace.Finish()) {
    const auto stored = gold.find(key);
    if (stored == gold.end()) continue;
    ++compared;
    const double difference = Difference(ours, stored->second);
    if (difference > ToleranceOf(each, key)) {
      ok = false;
      std::cout << absl::StreamFormat("  %s: %s differs by %.1e\n",
                                      each["name"].get<std::string>(), key,
                                      difference);
    }
    if (difference >= worst) {
      worst = difference;
      worst_key = key;
    }
  }
  std::cout << absl::StreamFormat(
      "%-4s %-34s %.1e (%s; %d compared)\n", ok ? "ok" : "BAD",
      each["name"].get<std::string>(), worst, worst_key, compared);
  return ok && compared > 0;
}

bool SplitsAgree(const Json& index) {
  for (const Json& row : index["nio_splits"]) {
    const std::vector<Interval> intervals =
        SplitBatch(SubBatchSplit::kOfficial, row["batch"], row["splits"],
                   row["overlap"])
            .value();
    std::vector<std::vector<int64_t>> ours;
    for (const Interval& each : intervals)
      ours.push_back({each.begin, each.end});
    if (Json(ours) != row["intervals"]) {
      std::cout << "BAD  split " << row << " is " << Json(ours) << "\n";
      return false;
    }
  }
  return true;
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: golden_initializer DIR, which holds networks.json and "
                 "data/index.json\n";
    return 2;
  }
  at::set_num_threads(1);
  const std::string folder = argv[1];
  const Json networks = ReadJson(folder + "/networks.json");
  const Json index = ReadJson(folder + "/data/index.json");
  bool ok = SplitsAgree(index);
  for (const Json& each : index["cases"]) {
    // Fixup is a family of models: worker/models/fixup_resnet_test.cc.
    if (each["algorithm"] == "fixup") continue;
    ok = RunCase(folder, networks, index, each) && ok;
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace headstart::initializers

int main(int argc, char** argv) {
  return headstart::initializers::Main(argc, argv);
}
