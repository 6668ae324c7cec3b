#include "initializers/predicted/ghn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"
#include "tests/support/status_matchers.h"

namespace headstart::initializers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr GhnOptions kSmall = {
    .classes = 5, .channels = 8, .kernel = 5, .hidden = 8};

std::shared_ptr<Ghn> Drawn(const GhnOptions& options) {
  auto ghn = std::make_shared<Ghn>(options);
  at::Generator generator = at::detail::createCPUGenerator(3);
  ghn->Draw(generator);
  return ghn;
}

GraphNode Weight(const char* name, std::vector<int64_t> shape,
                 Primitive primitive = Primitive::kConv) {
  return {.primitive = primitive, .parameter = name, .shape = std::move(shape)};
}

// input -> conv -> norm -> separable -> sum -> mean -> classifier, and a
// shortcut from norm to sum over a 1x1 convolution.
NetworkGraph Example(bool shortcut_first = false) {
  GraphNode norm = Weight("norm.weight", {20}, Primitive::kBatchNorm);
  norm.norm_bias = "norm.bias";
  NetworkGraph graph = {
      .nodes = {{.primitive = Primitive::kInput},
                Weight("conv.weight", {20, 3, 3, 3}),
                norm,
                Weight("sep.weight", {20, 1, 3, 5}, Primitive::kSepConv),
                Weight("shortcut.weight", {20, 20, 1, 1}),
                {.primitive = Primitive::kSum},
                {.primitive = Primitive::kGlobalAverage},
                Weight("fc.weight", {5, 20}),
                Weight("fc.bias", {5}, Primitive::kBias)},
      .edges = {{0, 1},
                {1, 2},
                {2, 3},
                {2, 4},
                {3, 5},
                {4, 5},
                {5, 6},
                {6, 7},
                {7, 8}}};
  if (shortcut_first) std::swap(graph.nodes[3], graph.nodes[4]);
  return graph;
}

void Fill(Ghn& ghn, const char* layer, double weight, double bias) {
  const at::NoGradGuard no_grad;
  auto parameters = ghn.named_parameters();
  parameters[std::string(layer) + ".weight"].fill_(weight);
  parameters[std::string(layer) + ".bias"].fill_(bias);
}

int64_t ParameterCount(const Ghn& ghn) {
  int64_t count = 0;
  for (const at::Tensor& each : ghn.parameters()) count += each.numel();
  return count;
}

TEST(GhnTest, IsAsLargeAsThePublishedOnes) {
  const Ghn cifar({});
  const Ghn imagenet({.classes = 1000, .kernel = 16});

  EXPECT_EQ(ParameterCount(cifar), 1'620'764);
  EXPECT_EQ(ParameterCount(imagenet), 2'319'720);
  EXPECT_EQ(
      imagenet.named_parameters()["shape_enc.embed_channel.weight"].size(0),
      392);
  EXPECT_EQ(
      imagenet.named_parameters()["shape_enc.embed_spatial.weight"].size(0),
      11);
}

TEST(GhnTest, PredictsEveryParameterInItsRange) {
  const at::NoGradGuard no_grad;
  const PredictedTensors predicted =
      Drawn(kSmall)->forward(Example(), /*classifier=*/true);

  EXPECT_EQ(predicted.size(), 7u);
  for (const GraphNode& node : Example().nodes) {
    if (node.parameter.empty()) continue;
    EXPECT_EQ(predicted.at(node.parameter).sizes().vec(), node.shape);
  }
  const at::Tensor scale = predicted.at("norm.weight");
  EXPECT_GT(scale.min().item<double>(), 0);
  EXPECT_LT(scale.max().item<double>(), 2);
  for (const char* bias : {"norm.bias", "fc.bias"}) {
    EXPECT_LT(predicted.at(bias).abs().max().item<double>(), 1) << bias;
  }
}

TEST(GhnTest, RepeatsChannelsThatItDoesNotDecode) {
  const at::NoGradGuard no_grad;
  const PredictedTensors predicted = Drawn(kSmall)->forward(Example(), true);

  const at::Tensor conv = predicted.at("conv.weight");
  EXPECT_TRUE(conv.narrow(0, 8, 8).equal(conv.narrow(0, 0, 8)));
  EXPECT_TRUE(conv.narrow(0, 16, 4).equal(conv.narrow(0, 0, 4)));
  EXPECT_FALSE(conv[1].equal(conv[0]));
  const at::Tensor shortcut = predicted.at("shortcut.weight");
  EXPECT_TRUE(shortcut.narrow(1, 8, 8).equal(shortcut.narrow(1, 0, 8)));
  const at::Tensor classifier = predicted.at("fc.weight");
  EXPECT_TRUE(classifier.narrow(1, 8, 8).equal(classifier.narrow(1, 0, 8)));
  const at::Tensor scale = predicted.at("norm.weight");
  EXPECT_TRUE(scale.narrow(0, 8, 8).equal(scale.narrow(0, 0, 8)));
}

TEST(GhnTest, TheOrderOfIncomparableNodesDoesNotMatter) {
  const at::NoGradGuard no_grad;
  const std::shared_ptr<Ghn> ghn = Drawn(kSmall);
  const PredictedTensors one = ghn->forward(Example(), true);
  const PredictedTensors other =
      ghn->forward(Example(/*shortcut_first=*/true), true);

  ASSERT_EQ(one.size(), other.size());
  for (const auto& [name, tensor] : one) {
    EXPECT_TRUE(tensor.allclose(other.at(name), 1e-5, 1e-6)) << name;
  }
}

TEST(GhnTest, IsDifferentiable) {
  const std::shared_ptr<Ghn> ghn = Drawn(kSmall);

  at::Tensor sum;
  for (const auto& [name, tensor] : ghn->forward(Example(), true)) {
    const at::Tensor squares = tensor.square().sum();
    sum = sum.defined() ? sum + squares : squares;
  }
  sum.backward();

  for (const auto& each : ghn->named_parameters()) {
    EXPECT_TRUE(each.value().grad().defined()) << each.key();
  }
  EXPECT_GT(
      ghn->named_parameters()["embed.weight"].grad().abs().sum().item<double>(),
      0);
}

TEST(GhnTest, NormalizesByFanIn) {
  const at::NoGradGuard no_grad;
  const std::shared_ptr<Ghn> ghn = Drawn({});
  Fill(*ghn, "decoder.conv.2", 0, 1);
  Fill(*ghn, "decoder_1d.fc.2", 0, 1);
  NetworkGraph graph = {
      .nodes = {{.primitive = Primitive::kInput},
                Weight("conv", {64, 64, 3, 3}),
                Weight("sep", {32, 1, 3, 3}, Primitive::kSepConv),
                Weight("high", {64, 64, 3, 1}),
                Weight("flat", {64, 64, 1, 3}),
                Weight("norm", {9}, Primitive::kLayerNorm)},
      .edges = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}};
  graph.nodes.back().norm_bias = "bias";

  const PredictedTensors predicted = ghn->forward(graph, true);

  const auto all = [&](const char* name, double value) {
    const at::Tensor& x = predicted.at(name);
    EXPECT_NEAR(x.min().item<double>(), value, 1e-6) << name;
    EXPECT_NEAR(x.max().item<double>(), value, 1e-6) << name;
  };
  all("conv", 0.0589256);
  all("sep", 0.3333333);
  all("high", std::sqrt(2. / 192));
  all("flat", std::sqrt(1. / 192));  // Higher than wide: as a depthwise one.
  all("norm", 2 / (1 + std::exp(-0.5)));
  all("bias", std::tanh(0.2));
}

// With no neighbour a node's state still goes through the gates, once there and
// once back, in PyTorch's convention.
TEST(GhnTest, UpdatesALonelyNodeByTheGates) {
  const at::NoGradGuard no_grad;
  const std::shared_ptr<Ghn> ghn = Drawn(kSmall);
  const NetworkGraph lonely = {.nodes = {{.primitive = Primitive::kInput}},
                               .edges = {}};
  const GhnEmbeddings embeddings = ghn->Embed(lonely);
  const auto parameters = ghn->named_parameters();
  const at::Tensor weight = parameters["gnn.gru.weight_hh"];
  const at::Tensor bias_ih = parameters["gnn.gru.bias_ih"];
  const at::Tensor bias_hh = parameters["gnn.gru.bias_hh"];
  const auto value = [](const at::Tensor& x) { return x.item<double>(); };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };

  std::vector<double> state(8);
  for (int64_t i = 0; i < 8; ++i) state[i] = value(embeddings.input[0][i]);
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<double> next(8);
    for (int64_t i = 0; i < 8; ++i) {
      const auto heard = [&](int64_t row) {
        double sum = value(bias_hh[row]);
        for (int64_t j = 0; j < 8; ++j) sum += value(weight[row][j]) * state[j];
        return sum;
      };
      const double reset = sigmoid(value(bias_ih[i]) + heard(i));
      const double keep = sigmoid(value(bias_ih[8 + i]) + heard(8 + i));
      const double fresh =
          std::tanh(value(bias_ih[16 + i]) + reset * heard(16 + i));
      next[i] = (1 - keep) * fresh + keep * state[i];
    }
    state = next;
  }
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(value(embeddings.gnn[0][i]), state[i], 1e-6);
  }
}

TEST(GhnTest, CodesShapesByTheNearestRow) {
  const Ghn ghn({});  // Channels 1, 3, 8, 10, 16, ..; sides 1, 3, .., 14, 16.
  EXPECT_THAT(ghn.ShapeCode(Weight("", {10, 4, 2, 12})),
              ElementsAre(3, 2, 1, 5));
  EXPECT_THAT(ghn.ShapeCode(Weight("", {7, 9, 13, 40})),
              ElementsAre(2, 2, 6, 7));
  EXPECT_THAT(ghn.ShapeCode(Weight("", {100'000})), ElementsAre(390, 0, 0, 0));
  EXPECT_THAT(ghn.ShapeCode({.primitive = Primitive::kSum}),
              ElementsAre(391, 391, 8, 8));
}

TEST(GhnTest, RefusesWhatItCannotPredict) {
  const Ghn ghn(kSmall);
  NetworkGraph graph = Example();
  EXPECT_OK(ghn.Accepts(graph, /*classifier=*/true));

  graph.nodes.back().shape = {6};
  EXPECT_THAT(ghn.Accepts(graph, /*classifier=*/true),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "fc.bias is of 6 classes"));
  EXPECT_OK(ghn.Accepts(graph, /*classifier=*/false));

  graph.nodes[1].shape = {20, 3, 7, 7};
  EXPECT_THAT(ghn.Accepts(graph, /*classifier=*/false),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "conv.weight is [20, 3, 7, 7]"));
}

TEST(GhnTest, LeavesTheClassifierOut) {
  const at::NoGradGuard no_grad;
  const std::shared_ptr<Ghn> ghn = Drawn(kSmall);
  NetworkGraph graph = Example();
  const PredictedTensors without = ghn->forward(graph, /*classifier=*/false);
  EXPECT_EQ(without.size(), 5u);
  EXPECT_FALSE(without.contains("fc.weight"));
  EXPECT_FALSE(without.contains("fc.bias"));

  // Without a bias at the end the last weight is one as any other.
  graph.nodes.pop_back();
  graph.edges.pop_back();
  EXPECT_TRUE(ghn->forward(graph, false).contains("fc.weight"));
}

TEST(ShortestPathsTest, OfAChainAreAllPairsUpToTheLongest) {
  NetworkGraph chain;
  for (int64_t i = 0; i < 51; ++i) {
    chain.nodes.emplace_back();
    if (i > 0) chain.edges.push_back({i - 1, i});
  }
  EXPECT_EQ(ShortestPaths(chain, 50).size(), 51u * 50 / 2);

  chain.nodes.emplace_back();
  chain.edges.push_back({50, 51});
  EXPECT_EQ(ShortestPaths(chain, 50).size(), 52u * 51 / 2 - 1);
}

// Copies of a hypernetwork's tensors, as a checkpoint has them.
class LoadGhnTest : public ::testing::Test {
 protected:
  LoadGhnTest() {
    for (const NamedTensor& each : StateDict(*ghn_)) {
      stored_.push_back(
          {.name = each.name,
           .dtype = DTypeOf(each.tensor),
           .shape = each.tensor.sizes().vec(),
           .bytes = absl::MakeConstSpan(
               static_cast<const char*>(each.tensor.const_data_ptr()),
               each.tensor.nbytes())});
    }
  }

  StoredTensor& Find(absl::string_view name) {
    for (StoredTensor& each : stored_) {
      if (each.name == name) return each;
    }
    std::abort();
  }

  const std::shared_ptr<Ghn> ghn_ = Drawn(kSmall);
  std::vector<StoredTensor> stored_;
};

TEST_F(LoadGhnTest, TakesItsSizesFromTheTensors) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Ghn> loaded,
                       LoadGhn("imports/ghn/epochs/0", stored_));

  const at::NoGradGuard no_grad;
  const PredictedTensors one = ghn_->forward(Example(), true);
  for (const auto& [name, tensor] : loaded->forward(Example(), true)) {
    EXPECT_TRUE(tensor.equal(one.at(name))) << name;
  }
}

TEST_F(LoadGhnTest, SaysWhatIsMissing) {
  std::erase_if(stored_, [](const auto& each) {
    return each.name == "decoder.fc.0.weight" || each.name == "ln.bias";
  });
  EXPECT_THAT(LoadGhn("imports/ghn/epochs/0", stored_).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "imports/ghn/epochs/0 holds no GHN-2: it lacks "
                       "decoder.fc.0.weight"));
}

TEST_F(LoadGhnTest, SaysWhatIsOfAnotherShape) {
  Find("gnn.mlp.fc.0.weight").shape = {2, 16};
  Find("ln.weight").name = "norm.weight";

  const absl::Status status = LoadGhn("imports/ghn/epochs/0", stored_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("gnn.mlp.fc.0.weight is F32 [2, 16]"),
                    HasSubstr("lacks ln.weight"), HasSubstr("norm.weight")));
}

TEST_F(LoadGhnTest, BelievesNoSizeWithoutBytes) {
  for (const char* name :
       {"gnn.gru.weight_hh", "decoder.fc.0.weight", "decoder.conv.2.weight",
        "decoder.class_layer_predictor.1.weight"}) {
    StoredTensor& tensor = Find(name);
    const std::vector<int64_t> before = tensor.shape;
    for (size_t dim = 0; dim < 2; ++dim) {
      for (const int64_t size : {int64_t{0}, int64_t{1} << 40}) {
        tensor.shape[dim] = size;
        EXPECT_THAT(LoadGhn("imports/ghn/epochs/0", stored_).status(),
                    StatusIs(absl::StatusCode::kFailedPrecondition))
            << name << " " << dim << " " << size;
        tensor.shape = before;
      }
    }
  }
}

}  // namespace
}  // namespace headstart::initializers
