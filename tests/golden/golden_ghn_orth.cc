#include "tests/golden/golden_ghn_orth.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/empty.h>

#include "initializers/classic/orthogonal.h"
#include "initializers/predicted/conditional_orthogonal.h"

namespace headstart::initializers {
namespace {

using Json = nlohmann::json;

// Prints how far sigma is off, and the noise that follows from it.
double CompareSigma(const Json& golden, const std::string& name, double beta,
                    const at::Tensor& weight, GoldenReport& report) {
  const double sigma = CorrelationDeviation(weight, NoiseMode::kCode);
  const double stored = golden["sigma"];
  report.Close(absl::StrCat(name, ", sigma"),
               stored == 0 ? sigma : std::abs(sigma / stored - 1), 1e-5);
  const double scale = golden["noise_scale"];
  report.Close(absl::StrCat(name, ", noise scale"),
               scale == 0 ? sigma : std::abs(beta * sigma / scale - 1), 1e-5);
  return beta * sigma;
}

void CompareLayer(const Json& golden, const std::string& name,
                  const at::Tensor& weight, double noise_scale,
                  at::Generator& generator, GoldenReport& report) {
  const int64_t rank = golden["rank"];
  const double condition = golden["condition_of_rank"];
  const at::Tensor matrix = OrthogonalFactor(weight).to(at::kFloat);
  const bool transposed = golden["transposed"];
  at::Tensor leading = transposed ? matrix.narrow(0, 0, rank)
                                  : matrix.flatten(1).narrow(1, 0, rank);
  if (transposed) leading = leading.flatten(1);
  CompareFingerprint(golden["orthogonal_leading"], leading,
                     absl::StrCat(name, ", orthogonal without noise"),
                     1e-6 * (1 + condition), report);

  at::Tensor noise = at::empty(weight.sizes());
  noise.normal_(0, 1, generator);
  const at::Tensor noisy = weight + noise_scale * noise;
  CompareFingerprint(golden["noisy"], noisy, absl::StrCat(name, ", noisy"),
                     1e-6, report);
  CompareFingerprint(golden["noisy_orthogonal"],
                     OrthogonalFactor(noisy).to(at::kFloat),
                     absl::StrCat(name, ", orthogonal"), 1e-2, report,
                     /*sums=*/false);
}

void CompareDraw(const Json& golden, double beta, GoldenReport& report) {
  const std::vector<int64_t> shape = golden["shape"];
  const std::string name = absl::StrCat("draw ", golden["seed"].get<int64_t>());
  at::Generator generator =
      at::detail::createCPUGenerator(golden["seed"].get<uint64_t>());
  at::Tensor weight = at::empty(shape);
  weight.normal_(0, 1, generator);
  const at::Tensor orthogonal = OrthogonalFactor(weight).to(at::kFloat);
  CompareSigma(golden, name, beta, weight, report);
  if (golden["input"].is_array()) {
    report.Close(absl::StrCat(name, ", input"),
                 MaxDifference(golden["input"], weight), 1e-6);
    report.Close(absl::StrCat(name, ", orthogonal"),
                 MaxDifference(golden["orthogonal"], orthogonal), 2e-5);
    const std::vector<double> correlation = golden["correlation"];
    const double direct =
        at::tensor(correlation, at::kDouble).std().item<double>();
    report.Close(
        absl::StrCat(name, ", sigma of the correlations"),
        std::abs(direct - CorrelationDeviation(weight, NoiseMode::kCode)),
        1e-5);
    return;
  }
  CompareFingerprint(golden["input"], weight, absl::StrCat(name, ", input"),
                     1e-6, report);
  CompareFingerprint(golden["orthogonal"], orthogonal,
                     absl::StrCat(name, ", orthogonal"), 2e-5, report);
}

}  // namespace

void CompareOrthogonal(const Json& golden, const std::string& path, Ghn& ghn,
                       GoldenReport& report) {
  const Json& settings = golden["settings"];
  const std::string model = settings["model"];
  const double beta = settings["beta"];
  const std::string folder = path.substr(0, path.find_last_of('/') + 1);
  const NetworkGraph graph =
      GraphOf(ReadJson(absl::StrCat(folder, "goldens_", model, ".json")));
  const PredictedTensors predicted = ghn.forward(graph, /*classifier=*/true);

  at::Generator generator =
      at::detail::createCPUGenerator(settings["noise_seed"].get<uint64_t>());
  for (const Json& layer : golden["layers"]) {
    const std::string name = layer["name"];
    const at::Tensor weight = predicted.at(absl::StrCat(name, ".weight"));
    const double scale = CompareSigma(layer, name, beta, weight, report);
    if (layer["processed"].get<bool>()) {
      CompareLayer(layer, name, weight, scale, generator, report);
    }
  }
  for (const Json& each : golden["random"]) CompareDraw(each, beta, report);
  for (const Json& each : golden["full"]) CompareDraw(each, beta, report);
}

}  // namespace headstart::initializers
