// The norm of a whole model's first weights is a sharp test: a wrong fan, gain
// or distribution anywhere shows up at once.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include <ATen/CPUGeneratorImpl.h>

#include "initializers/registry.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/trainer/slab_source.h"

namespace headstart::worker {
namespace {

struct Expected {
  const char* model;
  ModelShape shape;
  double norm;  // sqrt of the expected sum of squares.
  double tolerance;
  const char* options = "{}";
};

TEST(FirstWeightsTest, HaveTheExpectedNorm) {
  constexpr ModelShape kMnist = {
      .channels = 1, .height = 28, .width = 28, .classes = 10};
  constexpr ModelShape kCifar10 = {
      .channels = 3, .height = 32, .width = 32, .classes = 10};
  constexpr ModelShape kCifar100 = {
      .channels = 3, .height = 32, .width = 32, .classes = 100};
  // The small CNN: a layer without bias has out / 3 (its out * fan_in weights
  // have variance 1 / (3 fan_in)), each batch norm its number of scales, the
  // last layer 10 / 3 and 10 / (3 * 128) for its bias.
  const double small_cnn =
      std::sqrt((32 + 64 + 128) * (1. / 3 + 1) + 10. / 3 + 10. / (3 * 128));
  constexpr ModelShape kImagenet = {
      .channels = 3, .height = 299, .width = 299, .classes = 1000};
  // DenseNet-121: a convolution has 2 * out, a batch norm its width, the last
  // layer 1000 / 3.
  double densenet121 = 2 * 64 + 64 + 1000. / 3 + 1024;
  int64_t width = 64;
  for (const int64_t layers : {6, 12, 24, 16}) {
    for (int64_t i = 0; i < layers; ++i, width += 32) {
      densenet121 += width + 2 * 128 + 128 + 2 * 32;
    }
    if (layers == 16) break;
    densenet121 += width + 2 * (width / 2);
    width /= 2;
  }
  const Expected table[] = {
      {"lenet_300_100", kMnist, 11.7021, 0.01},
      {"small_cnn", kMnist, small_cnn, 0.01},
      {"cifar_resnet18", kCifar10, 80.0209, 0.003},
      {"cifar_resnet18", kCifar100, 80.2085, 0.003},
      {"inception_v3", kImagenet, 507.2805, 0.003,
       R"({"auxiliary_head": true, "default_weights": "TRUNCATED_NORMAL",
           "dropout": 0.5})"},
      {"inception_v3", kImagenet, 157.5328, 0.003,
       R"({"auxiliary_head": true, "default_weights": "FRAMEWORK",
           "dropout": 0.5})"},
      {"inception_v3", kImagenet, 505.1807, 0.003,
       R"({"auxiliary_head": false, "default_weights": "TRUNCATED_NORMAL",
           "dropout": 0.5})"},
      {"mobilenet_v2", kImagenet, 185.7525, 0.003,
       R"({"stem": "IMAGENET", "dropout": 0.2})"},
      {"cifar_mobilenet_v2", kCifar10, 152.9553, 0.003},
      {"cifar_mobilenet_v2", kCifar100, 153.0535, 0.003},
      {"convnext_tiny", kImagenet, 139.8914, 0.003,
       R"({"stem": "IMAGENET", "stochastic_depth": 0.1})"},
      {"convnext_base", kCifar10, 234.6472, 0.003,
       R"({"stem": "IMAGENET", "stochastic_depth": 0.5})"},
      {"swin_t", kImagenet, 153.9608, 0.003, R"({"stochastic_depth": 0.2})"},
      {"densenet121", kImagenet, std::sqrt(densenet121), 0.003,
       R"({"stem": "IMAGENET"})"},
  };
  for (const Expected& expected : table) {
    for (int64_t seed = 1; seed <= 3; ++seed) {
      ASSERT_OK_AND_ASSIGN(
          const std::shared_ptr<Model> model,
          MakeModel({.name = expected.model, .options_json = expected.options},
                    expected.shape));
      at::Generator generator = at::detail::createCPUGenerator(seed);
      const Assignment none;
      SlabSource source(none);

      ASSERT_OK(
          initializers::MakeInitializer(initializers::FrameworkDefaultOptions{})
              ->Apply(*model, {.generator = generator, .weights = source}));

      double squares = 0;
      for (const at::Tensor& parameter : model->parameters()) {
        squares +=
            parameter.detach().to(at::kDouble).square().sum().item<double>();
      }
      EXPECT_NEAR(std::sqrt(squares) / expected.norm, 1, expected.tolerance)
          << expected.model << " " << expected.options << " seed " << seed;
    }
  }
}

}  // namespace
}  // namespace headstart::worker
