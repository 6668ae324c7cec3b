// The norm of a whole model's first weights is a sharp test: a wrong fan, gain
// or distribution anywhere shows up at once.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "initializers/registry.h"
#include "tests/contract/known_models.h"
#include "tests/support/status_matchers.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/trainer/slab_source.h"

namespace headstart::worker {
namespace {

double Norm(const Model& model) {
  double squares = 0;
  for (const at::Tensor& parameter : model.parameters()) {
    const double norm =
        at::linalg_vector_norm(parameter.detach(), 2, {}, false, at::kDouble)
            .item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

class FirstWeightsTest : public ::testing::TestWithParam<KnownModel> {
 protected:
  // Tests run side by side, and on a busy machine threads that wait for one
  // another wait for minutes.
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_P(FirstWeightsTest, HaveTheExpectedNorm) {
  const KnownModel& known = GetParam();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Model> model,
                       MakeModel(known.spec(), known.shape()));
  for (int64_t seed = 1; seed <= 3; ++seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const Assignment none;
    SlabSource source(none);

    ASSERT_OK(initializers::MakeStart(initializers::FrameworkDefaultOptions{})
                  .Apply(*model, {.generator = generator, .weights = source}));

    EXPECT_NEAR(Norm(*model) / known.norm, 1, known.tolerance)
        << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FirstWeightsTest,
                         ::testing::ValuesIn(kKnownModels));

}  // namespace
}  // namespace headstart::worker
