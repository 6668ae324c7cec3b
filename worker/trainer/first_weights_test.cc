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
  const Expected table[] = {
      {"lenet_300_100", kMnist, 11.7021, 0.01},
      {"small_cnn", kMnist, small_cnn, 0.01},
      {"cifar_resnet18", kCifar10, 80.0209, 0.003},
      {"cifar_resnet18", kCifar100, 80.2085, 0.003},
  };
  for (const Expected& expected : table) {
    for (int64_t seed = 1; seed <= 3; ++seed) {
      ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                           MakeModel({.name = expected.model}, expected.shape));
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
          << expected.model << " seed " << seed;
    }
  }
}

}  // namespace
}  // namespace headstart::worker
