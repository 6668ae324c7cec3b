// All initializers: what each promises, and what all of them promise.
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "initializers/classic/fill.h"
#include "initializers/initializer.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"

namespace headstart::initializers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Checkpoints in memory.
class MapSource final : public WeightSource {
 public:
  void Put(const std::string& name, const torch::nn::Module& model) {
    std::vector<StoredTensor>& tensors = checkpoints_[name];
    for (const NamedTensor& item : StateDict(model)) {
      copies_.push_back(item.tensor.detach().clone());
      const at::Tensor& copy = copies_.back();
      tensors.push_back(
          {item.name,
           *StoredDType(copy),
           copy.sizes().vec(),
           {static_cast<const char*>(copy.data_ptr()), copy.nbytes()}});
    }
  }

  std::vector<StoredTensor>& tensors(const std::string& name) {
    return checkpoints_.at(name);
  }

  absl::StatusOr<std::vector<StoredTensor>> Open(
      absl::string_view checkpoint) override {
    const auto found = checkpoints_.find(std::string(checkpoint));
    if (found == checkpoints_.end()) {
      return absl::NotFoundError(std::string(checkpoint));
    }
    return found->second;
  }

 private:
  std::vector<at::Tensor> copies_;
  std::map<std::string, std::vector<StoredTensor>> checkpoints_;
};

struct NetImpl final : torch::nn::Module {
  explicit NetImpl(int64_t classes)
      : conv(register_module("conv", torch::nn::Conv2d(3, 8, 3))),
        norm(register_module("norm", torch::nn::BatchNorm2d(8))),
        head(register_module(
            "head", torch::nn::Sequential(torch::nn::Linear(32, classes)))) {}
  torch::nn::Conv2d conv;
  torch::nn::BatchNorm2d norm;
  torch::nn::Sequential head;
};

std::shared_ptr<NetImpl> Net(int64_t classes = 10) {
  auto net = std::make_shared<NetImpl>(classes);
  const at::NoGradGuard no_grad;
  for (NamedTensor& item : StateDict(*net))
    item.tensor.fill_(77);  // Not a number anybody draws.
  return net;
}

absl::StatusOr<InitializationReport> Apply(const InitializerSpec& spec,
                                           torch::nn::Module& model,
                                           uint64_t seed,
                                           WeightSource& weights) {
  absl::StatusOr<std::unique_ptr<Initializer>> initializer =
      MakeInitializer(spec);
  if (!initializer.ok()) return initializer.status();
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return (*initializer)
      ->Apply(model, {.generator = generator, .weights = weights});
}

bool SameTensors(const torch::nn::Module& a, const torch::nn::Module& b) {
  const std::vector<NamedTensor> left = StateDict(a), right = StateDict(b);
  for (size_t i = 0; i < left.size(); ++i) {
    if (!left[i].tensor.equal(right[i].tensor)) return false;
  }
  return left.size() == right.size();
}

const char kStored[] = "studies/1/trials/1/epochs/5";

// --- What all promise --------------------------------------------------------

class EveryInitializer : public ::testing::TestWithParam<InitializerSpec> {
 protected:
  EveryInitializer() {
    auto trained = Net();
    EXPECT_TRUE(Apply(FrameworkDefaultSpec{}, *trained, 99, weights_).ok());
    const at::NoGradGuard no_grad;
    trained->norm->running_mean.fill_(0.25);
    trained->norm->num_batches_tracked.fill_(41);
    weights_.Put(kStored, *trained);
  }
  MapSource weights_;
};

TEST_P(EveryInitializer, SetsEveryTensorAndReportsEach) {
  auto net = Net();

  const absl::StatusOr<InitializationReport> report =
      Apply(GetParam(), *net, 1, weights_);

  ASSERT_TRUE(report.ok()) << report.status();
  for (const NamedTensor& item : StateDict(*net)) {
    EXPECT_FALSE(item.tensor.eq(77).any().item<bool>()) << item.name;
  }
  const bool is_loaded = report->loaded_tensors > 0;
  EXPECT_EQ(report->loaded_tensors + (is_loaded ? 0 : 5) +
                static_cast<int64_t>(report->drawn_names.size()),
            9);
}

TEST_P(EveryInitializer, IsAFunctionOfTheSeed) {
  auto a = Net(), b = Net(), c = Net();
  const int threads = at::get_num_threads();

  ASSERT_TRUE(Apply(GetParam(), *a, 1, weights_).ok());
  at::set_num_threads(threads == 1 ? 2 : 1);
  ASSERT_TRUE(Apply(GetParam(), *b, 1, weights_).ok());
  at::set_num_threads(threads);
  const absl::StatusOr<InitializationReport> report =
      Apply(GetParam(), *c, 2, weights_);

  EXPECT_TRUE(SameTensors(*a, *b));
  EXPECT_EQ(SameTensors(*a, *c), report->drawn_names.empty());
}

TEST_P(EveryInitializer, KeepsStorageAndGradientFlags) {
  auto net = Net();
  const void* const before = net->conv->weight.data_ptr();

  ASSERT_TRUE(Apply(GetParam(), *net, 1, weights_).ok());

  EXPECT_EQ(net->conv->weight.data_ptr(), before);
  EXPECT_TRUE(net->conv->weight.requires_grad());
  EXPECT_TRUE(net->conv->weight.is_leaf());
}

INSTANTIATE_TEST_SUITE_P(
    All, EveryInitializer,
    ::testing::Values(
        FrameworkDefaultSpec{}, XavierSpec{},
        XavierSpec{.distribution = Distribution::kNormal, .gain = 0.5},
        KaimingSpec{},
        KaimingSpec{.distribution = Distribution::kNormal,
                    .mode = FanMode::kFanOut},
        CheckpointSpec{.checkpoint = kStored, .fresh_layers = {}},
        CheckpointSpec{.checkpoint = kStored, .fresh_layers = {"head"}}));

// --- Widths
// --------------------------------------------------------------------

struct Width {
  InitializerSpec spec;
  int64_t in, out;
  double value;  // Bound of a uniform, deviation of a normal.
};

class Widths : public ::testing::TestWithParam<Width> {};

// The table of B.3 for LeNet-300-100, to its digits. Enough draws of a layer of
// these fans that the largest magnitude, or the deviation, shows the width.
TEST_P(Widths, AreThoseOfTheTable) {
  const Width& width = GetParam();
  MapSource weights;
  double largest = 0, squares = 0, count = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    torch::nn::Linear layer(width.in, width.out);
    ASSERT_TRUE(Apply(width.spec, *layer, seed, weights).ok());
    largest = std::max(largest, layer->weight.abs().max().item<double>());
    squares += layer->weight.to(at::kDouble).square().sum().item<double>();
    count += layer->weight.numel();
  }
  const bool normal = std::visit(
      [](const auto& spec) {
        if constexpr (requires { spec.distribution; })
          return spec.distribution == Distribution::kNormal;
        return false;
      },
      width.spec);
  if (normal) {
    EXPECT_NEAR(std::sqrt(squares / count) / width.value, 1,
                4 * std::sqrt(0.5 / count));
  } else {
    EXPECT_LE(largest, width.value * (1 + 1e-5));
    EXPECT_GT(largest, width.value * (1 - 1e-5 - 20 / count));
    EXPECT_NEAR(std::sqrt(3 * squares / count) / width.value, 1,
                4 * std::sqrt(0.2 / count));
  }
}

constexpr Distribution kUniform = Distribution::kUniform,
                       kNormal = Distribution::kNormal;
const double kSqrt2 = std::sqrt(2.0);
INSTANTIATE_TEST_SUITE_P(
    Lenet300100, Widths,
    ::testing::Values(Width{XavierSpec{kUniform, 1}, 784, 300, 0.074398},
                      Width{XavierSpec{kUniform, 1}, 300, 100, 0.122474},
                      Width{XavierSpec{kUniform, 1}, 100, 10, 0.233550},
                      Width{XavierSpec{kNormal, 1}, 784, 300, 0.042954},
                      Width{XavierSpec{kNormal, 1}, 300, 100, 0.070711},
                      Width{XavierSpec{kNormal, 1}, 100, 10, 0.134840},
                      Width{KaimingSpec{kUniform, 1}, 784, 300, 0.061859},
                      Width{KaimingSpec{kUniform, 1}, 300, 100, 0.100000},
                      Width{KaimingSpec{kUniform, 1}, 100, 10, 0.173205},
                      Width{KaimingSpec{kNormal, 1}, 784, 300, 0.035714},
                      Width{KaimingSpec{kNormal, 1}, 300, 100, 0.057735},
                      Width{KaimingSpec{kNormal, 1}, 100, 10, 0.100000},
                      Width{KaimingSpec{kUniform, kSqrt2}, 784, 300, 0.087482},
                      Width{KaimingSpec{kUniform, kSqrt2}, 300, 100, 0.141421},
                      Width{KaimingSpec{kUniform, kSqrt2}, 100, 10, 0.244949},
                      Width{KaimingSpec{kNormal, kSqrt2}, 784, 300, 0.050508},
                      Width{KaimingSpec{kNormal, kSqrt2}, 300, 100, 0.081650},
                      Width{KaimingSpec{kNormal, kSqrt2}, 100, 10, 0.141421},
                      Width{FrameworkDefaultSpec{}, 784, 300, 0.035714},
                      Width{FrameworkDefaultSpec{}, 300, 100, 0.057735},
                      Width{FrameworkDefaultSpec{}, 100, 10, 0.100000},
                      Width{XavierSpec{kUniform, 2}, 784, 300, 0.148797},
                      Width{XavierSpec{kNormal, 0.5}, 784, 300, 0.021477}));

// B.9: a convolution (256, 128, 3, 3); mean, variance and bounds of each rule.
TEST(DrawnTest, HasTheMomentsOfItsRule) {
  const double count = 256 * 128 * 9, fan_in = 128 * 9, fan_out = 256 * 9;
  const struct {
    InitializerSpec spec;
    double deviation;
    double kurtosis_term;  // Of the variance ratio: 2 normal, 0.8 uniform.
  } cases[] = {
      {FrameworkDefaultSpec{}, std::sqrt(1 / (3 * fan_in)), 0.8},
      {XavierSpec{kUniform, 1}, std::sqrt(2 / (fan_in + fan_out)), 0.8},
      {XavierSpec{kNormal, 2}, 2 * std::sqrt(2 / (fan_in + fan_out)), 2},
      {KaimingSpec{kUniform, kSqrt2, FanMode::kFanIn}, std::sqrt(2 / fan_in),
       0.8},
      {KaimingSpec{kNormal, kSqrt2, FanMode::kFanOut}, std::sqrt(2 / fan_out),
       2},
  };
  MapSource weights;
  for (const auto& [spec, deviation, term] : cases) {
    torch::nn::Conv2d layer(torch::nn::Conv2dOptions(128, 256, 3));
    ASSERT_TRUE(Apply(spec, *layer, 3, weights).ok());

    const at::Tensor values = layer->weight.detach().to(at::kDouble);
    EXPECT_LT(std::abs(values.mean().item<double>()),
              4 * deviation / std::sqrt(count));
    const double variance = values.var().item<double>();
    EXPECT_LT(std::abs(variance / (deviation * deviation) - 1),
              4 * std::sqrt(term / count));
    if (term < 1) {
      EXPECT_LE(values.abs().max().item<double>(),
                std::sqrt(3.0) * deviation * (1 + 1e-6));
    }
  }
}

TEST(DrawnTest, GivesBiasesNormsAndBuffersTheFrameworkDefault) {
  auto net = Net();
  MapSource weights;

  const absl::StatusOr<InitializationReport> report =
      Apply(KaimingSpec{}, *net, 1, weights);

  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->drawn_names, ElementsAre("conv.weight", "conv.bias",
                                               "head.0.weight", "head.0.bias"));
  EXPECT_LE(net->conv->bias.abs().max().item<double>(), 1 / std::sqrt(27.0));
  EXPECT_TRUE(net->norm->weight.eq(1).all().item<bool>());
  EXPECT_TRUE(net->norm->bias.eq(0).all().item<bool>());
  EXPECT_TRUE(net->norm->running_mean.eq(0).all().item<bool>());
  EXPECT_TRUE(net->norm->running_var.eq(1).all().item<bool>());
  EXPECT_EQ(net->norm->num_batches_tracked.item<int64_t>(), 0);
}

TEST(DrawnTest, RefusesAGainThatIsNone) {
  for (const double gain : std::vector<double>{0, -1, NAN, INFINITY}) {
    EXPECT_EQ(MakeInitializer(XavierSpec{.gain = gain}).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(MakeInitializer(KaimingSpec{.gain = gain}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// --- Transferred
// ---------------------------------------------------------------

TEST(FromCheckpointTest, CopiesParametersAndBuffersToTheBit) {
  auto source = Net(), target = Net();
  MapSource weights;
  ASSERT_TRUE(Apply(KaimingSpec{}, *source, 5, weights).ok());
  {
    const at::NoGradGuard no_grad;
    source->norm->running_mean.fill_(0.125);
    source->norm->num_batches_tracked.fill_(7);
  }
  weights.Put(kStored, *source);

  const absl::StatusOr<InitializationReport> report =
      Apply(CheckpointSpec{.checkpoint = kStored, .fresh_layers = {}}, *target,
            1, weights);

  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->loaded_tensors, 9);
  EXPECT_THAT(report->drawn_names, IsEmpty());
  EXPECT_TRUE(SameTensors(*source, *target));
}

TEST(FromCheckpointTest, LeavesFreshLayersToTheDefaultEvenOfAnotherShape) {
  auto source = Net(10), target = Net(100);
  MapSource weights;
  ASSERT_TRUE(Apply(FrameworkDefaultSpec{}, *source, 5, weights).ok());
  weights.Put(kStored, *source);

  const absl::StatusOr<InitializationReport> report =
      Apply(CheckpointSpec{.checkpoint = kStored, .fresh_layers = {"head"}},
            *target, 1, weights);

  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->loaded_tensors, 7);
  EXPECT_THAT(report->drawn_names, ElementsAre("head.0.weight", "head.0.bias"));
  EXPECT_TRUE(target->conv->weight.equal(source->conv->weight));
}

class Misfits : public ::testing::Test {
 protected:
  Misfits() : source_(Net()), target_(Net()) {
    EXPECT_TRUE(Apply(FrameworkDefaultSpec{}, *source_, 5, weights_).ok());
    weights_.Put(kStored, *source_);
  }

  // Applying fails with FailedPrecondition and these words, and changes
  // nothing.
  void ExpectRefused(const std::vector<std::string>& words,
                     std::vector<std::string> fresh = {}) {
    auto before = Net();
    const absl::Status status =
        Apply(CheckpointSpec{.checkpoint = kStored,
                             .fresh_layers = std::move(fresh)},
              *target_, 1, weights_)
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    for (const std::string& word : words)
      EXPECT_THAT(std::string(status.message()), HasSubstr(word));
    EXPECT_TRUE(SameTensors(*target_, *before));
  }

  MapSource weights_;
  std::shared_ptr<NetImpl> source_, target_;
};

TEST_F(Misfits, AreRefusedForAnotherShape) {
  weights_.tensors(kStored)[0].shape = {8, 27};
  ExpectRefused(
      {kStored, "conv.weight", "[8, 27]", "[8, 3, 3, 3]", "fresh_layers"});
}

TEST_F(Misfits, AreRefusedForAnotherType) {
  weights_.tensors(kStored)[1].dtype = DType::kI32;
  ExpectRefused({"conv.bias", "I32", "F32"});
}

TEST_F(Misfits, AreRefusedForAMissingTensor) {
  weights_.tensors(kStored).erase(weights_.tensors(kStored).begin());
  ExpectRefused({"only in the model: conv.weight"});
}

TEST_F(Misfits, AreRefusedForTensorsTheModelLacks) {
  for (int i = 0; i < 5; ++i) {
    weights_.tensors(kStored).push_back(weights_.tensors(kStored)[0]);
    weights_.tensors(kStored).back().name = "extra." + std::to_string(i);
  }
  ExpectRefused(
      {"only in the checkpoint: extra.0, extra.1, extra.2 and 2 more"});
}

TEST_F(Misfits, AreRefusedForAFreshLayerTheModelLacks) {
  ExpectRefused({"fresh_layers", "\"tail\""}, {"tail"});
}

TEST_F(Misfits, AreNotFoundWhenTheCheckpointWasNotBrought) {
  const absl::Status status =
      Apply(CheckpointSpec{.checkpoint = "studies/1/trials/1/epochs/6",
                           .fresh_layers = {}},
            *target_, 1, weights_)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST(StateDictTest, OrdersAsPythonDoes) {
  std::vector<std::string> names;
  for (const NamedTensor& item : StateDict(*Net())) names.push_back(item.name);
  EXPECT_THAT(names, ElementsAre("conv.weight", "conv.bias", "norm.weight",
                                 "norm.bias", "norm.running_mean",
                                 "norm.running_var", "norm.num_batches_tracked",
                                 "head.0.weight", "head.0.bias"));
}

}  // namespace
}  // namespace headstart::initializers
