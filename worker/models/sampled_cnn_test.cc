#include "worker/models/sampled_cnn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/status_matchers.h"
#include "worker/models/ghn2.h"
#include "worker/models/registry.h"

namespace headstart::worker {
namespace {

using Json = nlohmann::json;

constexpr ModelShape kMnist = {
    .channels = 1, .height = 28, .width = 28, .classes = 10};

std::shared_ptr<SampledCnn> Ones(const CnnLayers& layers) {
  at::set_num_threads(1);
  auto cnn = std::make_shared<SampledCnn>(layers, kMnist);
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : cnn->parameters()) parameter.fill_(1);
  return cnn;
}

TEST(SampledCnnTest, ComputesWithOtherTensors) {
  const CnnLayers layers = {{8, 3, true}, {8, 5, true}, {16, 1, false}};
  const auto cnn = Ones(layers);
  const auto other = Ones(layers);
  std::map<std::string, at::Tensor> tensors;
  for (auto& each : other->named_parameters()) {
    const at::NoGradGuard no_grad;
    tensors[each.key()] = each.value().uniform_(-0.5, 0.5);
  }
  const at::Tensor images = at::randn({3, 1, 28, 28});

  cnn->ComputeWith(tensors);

  const at::Tensor logits = cnn->forward(images);
  EXPECT_TRUE(logits.equal(other->forward(images)));
  logits.sum().backward();
  EXPECT_TRUE(tensors.at("layers.0.conv.weight").grad().defined());
  for (const at::Tensor& own : cnn->parameters()) {
    EXPECT_FALSE(own.grad().defined());
    EXPECT_TRUE(own.eq(1).all().item<bool>());
  }
}

TEST(SampledCnnTest, RefusesOptionsThatMakeNoNetwork) {
  const auto make = [](const char* options) {
    return MakeModel({"sampled_cnn", options}, kMnist).status();
  };
  EXPECT_THAT(make(R"({"layers": []})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "training.model.sampled_cnn.layers: is empty"));
  EXPECT_THAT(
      make(R"({"layers": [{"channels": 8, "kernel": 2, "skip": false}]})"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "layers[0].kernel: must be odd"));
  EXPECT_THAT(make(R"({"layers": [{"channels": 8, "kernel": 3, "skip": false,
                           "stride": 2}]})"),
              StatusIs(absl::StatusCode::kInvalidArgument, "unknown field"));
}

TEST(SampleCnnsTest, AreDifferentAndTheSameForEver) {
  const std::vector<CnnLayers> cnns = SampleCnns(1, 2000);

  EXPECT_EQ(std::set<CnnLayers>(cnns.begin(), cnns.end()).size(), 2000u);
  EXPECT_NE(SampleCnns(2, 3), SampleCnns(1, 3));
  const std::vector<CnnLayers> first(cnns.begin(), cnns.begin() + 100);
  EXPECT_EQ(SampleCnns(1, 100), first);
  for (const CnnLayers& layers : cnns) {
    EXPECT_GE(layers.size(), 2u);
    EXPECT_LE(layers.size(), 6u);
    for (const CnnLayer& layer : layers) {
      EXPECT_LE(layer.kernel, kSampleCnnsMaxKernel);
      EXPECT_EQ(layer.kernel % 2, 1);
      EXPECT_THAT(layer.channels, ::testing::AnyOf(8, 16, 24, 32));
    }
  }
}

// The networks that docs/experiments/ghn_mnist.py judges a hypernetwork by are
// none that it has seen.
TEST(SampleCnnsTest, TheJudgedOnesFollowThoseThatTrainAndMeasure) {
  constexpr int64_t kTrain = 1000, kJudged = 50;
  const std::vector<CnnLayers> cnns =
      SampleCnns(1, kTrain + kHeldOutCnns + kJudged);
  Json judged = Json::array();
  for (size_t i = kTrain + kHeldOutCnns; i < cnns.size(); ++i) {
    Json layers = Json::array();
    for (const auto& [channels, kernel, skip] : cnns[i]) {
      layers.push_back(
          {{"channels", channels}, {"kernel", kernel}, {"skip", skip}});
    }
    judged.push_back(layers);
  }
  ASSERT_OK_AND_ASSIGN(
      const std::string text,
      ReadFile(SourceFolder() + "/docs/experiments/ghn_mnist_networks.json"));

  EXPECT_EQ(Json::parse(text), judged) << "should be:\n" << judged;
}

}  // namespace
}  // namespace headstart::worker
