// Every model against Python: torchvision's class of the same name, or a
// definition that repeats the published one.
//
// tests/oracles/models/make_expected.py fills the Python models by a formula
// and writes what they give; here the same formula fills ours. In float64, so
// that what differs is a mistake and not rounding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

constexpr double kTolerance = 1e-9;
constexpr double kFloatTolerance = 1e-5;
const std::vector<int64_t> kLabels = {1, 7};
constexpr double kAuxiliaryWeight = 0.4;

// FNV-1a.
uint64_t KeyOf(const std::string& text) {
  uint64_t key = 0xCBF29CE484222325;
  for (const unsigned char byte : text) key = (key ^ byte) * 0x100000001B3;
  return key;
}

// Numbers in [-1, 1) that depend on `text` and their position alone.
at::Tensor Noise(const std::string& text, at::IntArrayRef sizes) {
  at::Tensor noise = at::empty(sizes, at::kDouble);
  double* out = noise.mutable_data_ptr<double>();
  uint64_t counter = KeyOf(text);
  for (int64_t i = 0; i < noise.numel(); ++i) {
    counter += 0x9E3779B97F4A7C15;
    uint64_t z = (counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    out[i] = static_cast<double>(z >> 11) * 0x1p-52 - 1;
  }
  return noise;
}

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Parameters in their order, then buffers.
std::vector<NamedTensor> TensorsOf(const Model& model) {
  std::vector<NamedTensor> tensors;
  for (const auto& each : model.named_parameters()) {
    tensors.push_back({each.key(), each.value()});
  }
  for (const auto& each : model.named_buffers()) {
    tensors.push_back({each.key(), each.value()});
  }
  return tensors;
}

// Sets the floating tensors by the formula and makes them of `type`.
void Fill(const std::vector<NamedTensor>& tensors, double weight_scale,
          at::ScalarType type) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) continue;
    const std::string own = name.substr(name.rfind('.') + 1);
    double middle = 0, width = 0.1;
    if (own == "running_var") {
      middle = 1;
      width = 0.5;
    } else if (own.find("scale") != std::string::npos) {
      middle = 0.5;
      width = 0.2;
    } else if (tensor.dim() >= 2) {
      const double fan_in = tensor.numel() / tensor.size(0);
      width = weight_scale * std::sqrt(6 / fan_in);
    } else if (own == "weight") {
      middle = 1;
      width = 0.2;
    }
    tensor.set_data(
        Noise(name, tensor.sizes()).mul_(width).add_(middle).to(type));
  }
}

// One number that hardly stays the same when any entry changes or moves.
double Projection(const std::string& name, const at::Tensor& tensor) {
  return tensor.detach()
      .to(at::kDouble)
      .flatten()
      .dot(Noise("projection " + name, tensor.numel()))
      .item<double>();
}

at::Tensor Values(const nlohmann::json& numbers) {
  return at::tensor(numbers.get<std::vector<double>>(), at::kDouble);
}

// Logits agree relative to the largest of them.
void ExpectLogits(const at::Tensor& logits, const nlohmann::json& numbers,
                  double tolerance, const char* what) {
  const at::Tensor expected = Values(numbers);
  ASSERT_EQ(logits.numel(), expected.numel()) << what;
  const at::Tensor difference =
      logits.detach().to(at::kDouble).flatten() - expected;
  EXPECT_LE(difference.abs().max().item<double>(),
            tolerance * expected.abs().max().item<double>())
      << what;
}

nlohmann::json ReadCase(const std::string& name) {
  std::ifstream file(absl::StrCat(ORACLE_FOLDER, "/", name, ".json"));
  return nlohmann::json::parse(file);
}

std::vector<std::string> CaseNames() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(ORACLE_FOLDER)) {
    if (file.path().extension() == ".json") names.push_back(file.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class OracleTest : public ::testing::TestWithParam<std::string> {
 protected:
  // Tests run side by side, and on a busy machine threads that wait for one
  // another wait for minutes.
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_P(OracleTest, GivesWhatPythonGives) {
  const nlohmann::json expected = ReadCase(GetParam());
  const ModelShape shape = {.channels = expected["shape"]["channels"],
                            .height = expected["shape"]["height"],
                            .width = expected["shape"]["width"],
                            .classes = expected["shape"]["classes"]};
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel({.name = expected["model"],
                                  .options_json = expected["options"].dump()},
                                 shape));
  const std::vector<NamedTensor> tensors = TensorsOf(*model);
  std::string names;
  for (const auto& [name, tensor] : tensors) {
    absl::StrAppend(&names, name, " ", absl::StrJoin(tensor.sizes(), "x"),
                    "\n");
  }
  ASSERT_EQ(absl::StrCat(absl::Hex(KeyOf(names), absl::kZeroPad16)),
            expected["tensors"])
      << "names or shapes differ from those of make_expected.py --names "
      << GetParam() << "; here:\n"
      << names;
  const at::Tensor images =
      Noise("images", {static_cast<int64_t>(kLabels.size()), shape.channels,
                       shape.height, shape.width})
          .mul_(std::sqrt(3.0));

  model->eval();
  {
    const at::NoGradGuard no_grad;
    // Float32 has kernels of its own.
    Fill(tensors, expected["weight_scale"], at::kFloat);
    ExpectLogits(model->forward(images.to(at::kFloat)),
                 expected["evaluation_logits"], kFloatTolerance,
                 "evaluation_logits in float32");
    Fill(tensors, expected["weight_scale"], at::kDouble);
    ExpectLogits(model->forward(images), expected["evaluation_logits"],
                 kTolerance, "evaluation_logits");
  }

  model->train();
  const TrainingOutput output = model->ForwardTraining(images);
  const at::Tensor labels = at::tensor(kLabels, at::kLong);
  at::Tensor loss = at::cross_entropy_loss(output.logits, labels);
  ExpectLogits(output.logits, expected["training_logits"], kTolerance,
               "training_logits");
  ASSERT_EQ(output.auxiliary_logits.defined(),
            expected.contains("auxiliary_logits"));
  if (output.auxiliary_logits.defined()) {
    ExpectLogits(output.auxiliary_logits, expected["auxiliary_logits"],
                 kTolerance, "auxiliary_logits");
    loss = loss + kAuxiliaryWeight *
                      at::cross_entropy_loss(output.auxiliary_logits, labels);
  }
  EXPECT_NEAR(loss.item<double>() / expected["loss"].get<double>(), 1,
              kTolerance);

  loss.backward();
  const auto parameters = model->named_parameters();
  double squares = 0;
  for (const auto& each : parameters) {
    squares += each.value().grad().square().sum().item<double>();
  }
  ASSERT_EQ(expected["gradients"].size(), parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& gradient = parameters[i].value().grad();
    // Some gradients are 0 but for rounding: biases in front of a batch norm.
    const double size =
        std::max(gradient.norm().item<double>(), 1e-3 * std::sqrt(squares));
    EXPECT_NEAR(Projection(parameters[i].key(), gradient),
                expected["gradients"][i].get<double>(), kTolerance * size)
        << "the gradient of " << parameters[i].key();
  }

  const auto buffers = model->named_buffers();
  ASSERT_EQ(expected["buffers"].size(), buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    const at::Tensor buffer = buffers[i].value().to(at::kDouble);
    EXPECT_NEAR(Projection(buffers[i].key(), buffer),
                expected["buffers"][i].get<double>(),
                kTolerance * buffer.norm().item<double>())
        << buffers[i].key();
  }
}

INSTANTIATE_TEST_SUITE_P(All, OracleTest, ::testing::ValuesIn(CaseNames()),
                         [](const auto& info) { return info.param; });

TEST(OracleCasesTest, CoverEveryModel) {
  // What a hypernetwork predicts is compared in tests/golden/ghn.
  std::set<std::string> covered = {"ghn2"};
  for (const std::string& name : CaseNames()) {
    covered.insert(ReadCase(name)["model"]);
  }
  EXPECT_THAT(covered, ::testing::UnorderedElementsAreArray(ModelNames()));
}

}  // namespace
}  // namespace headstart::worker
