// Optimizers against torch::optim, step by step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include "worker/training/optimizer.h"

namespace headstart::worker {
namespace {

using ::testing::ElementsAre;

struct Case {
  std::string name;
  OptimizerOptions options;
  std::function<std::unique_ptr<torch::optim::Optimizer>(
      std::vector<at::Tensor>)>
      reference;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

std::vector<at::Tensor> MakeParameters() {
  at::Generator generator = at::detail::createCPUGenerator(1);
  std::vector<at::Tensor> parameters;
  // One larger than a vector register's multiple, one scalar, one row.
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{17, 31}, {}, {5}}) {
    parameters.push_back(
        at::randn(shape, generator, at::kFloat).set_requires_grad(true));
  }
  return parameters;
}

OptimizedParameters Named(const std::vector<at::Tensor>& tensors) {
  return {{"a.weight", tensors[0]},
          {"b", tensors[1], ParameterGroup::kNorm},
          {"c.bias", tensors[2], ParameterGroup::kBias}};
}

// The same gradients for the same step, of very different sizes.
void SetGradients(const std::vector<at::Tensor>& parameters, int step) {
  at::Generator generator = at::detail::createCPUGenerator(100 + step);
  for (const at::Tensor& parameter : parameters) {
    parameter.mutable_grad() =
        at::randn(parameter.sizes(), generator, at::kFloat) *
        std::pow(10.0, step % 5 - 3);
  }
}

class OptimizerTest : public ::testing::TestWithParam<Case> {};

TEST_P(OptimizerTest, UpdatesAsTorchDoes) {
  const std::vector<at::Tensor> ours = MakeParameters();
  const std::vector<at::Tensor> theirs = MakeParameters();
  const auto optimizer = MakeOptimizer(GetParam().options, Named(ours));
  const auto reference = GetParam().reference(theirs);

  for (int step = 0; step < 50; ++step) {
    SetGradients(ours, step);
    SetGradients(theirs, step);
    optimizer->Step();
    reference->step();
    for (size_t i = 0; i < ours.size(); ++i) {
      ASSERT_TRUE(at::allclose(ours[i], theirs[i], /*rtol=*/1e-5,
                               /*atol=*/1e-5))
          << "step " << step << " tensor " << i;
    }
  }
  EXPECT_FALSE(at::equal(ours[0], MakeParameters()[0]));
}

TEST_P(OptimizerTest, GoesOnFromItsState) {
  const std::vector<at::Tensor> whole = MakeParameters();
  const auto first = MakeOptimizer(GetParam().options, Named(whole));
  for (int step = 0; step < 3; ++step) {
    SetGradients(whole, step);
    first->Step();
  }
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> resumed = MakeParameters();
  const auto second = MakeOptimizer(GetParam().options, Named(resumed));
  for (size_t i = 0; i < whole.size(); ++i) resumed[i].copy_(whole[i]);
  const auto from = first->State();
  const auto to = second->State();
  ASSERT_EQ(from.size(), to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].first, to[i].first);
    to[i].second.copy_(from[i].second);
  }

  for (int step = 3; step < 6; ++step) {
    SetGradients(whole, step);
    SetGradients(resumed, step);
    first->Step();
    second->Step();
  }

  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_TRUE(at::equal(whole[i], resumed[i])) << i;
  }
}

TEST_P(OptimizerTest, UpdatesDoublesAsTorchDoes) {
  std::vector<at::Tensor> ours;
  std::vector<at::Tensor> theirs;
  for (const at::Tensor& each : MakeParameters()) {
    ours.push_back(each.detach().to(at::kDouble).set_requires_grad(true));
    theirs.push_back(ours.back().detach().clone().set_requires_grad(true));
  }
  const auto optimizer = MakeOptimizer(GetParam().options, Named(ours));
  const auto reference = GetParam().reference(theirs);

  for (int step = 0; step < 10; ++step) {
    at::Generator generator = at::detail::createCPUGenerator(step);
    for (size_t i = 0; i < ours.size(); ++i) {
      ours[i].mutable_grad() =
          at::randn(ours[i].sizes(), generator, at::kDouble);
      theirs[i].mutable_grad() = ours[i].grad();
    }
    optimizer->Step();
    reference->step();
  }

  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(at::allclose(ours[i], theirs[i], 1e-11, 1e-11)) << i;
  }
}

TEST_P(OptimizerTest, ScalesGradients) {
  const std::vector<at::Tensor> scaled = MakeParameters();
  const std::vector<at::Tensor> plain = MakeParameters();
  const auto first = MakeOptimizer(GetParam().options, Named(scaled));
  const auto second = MakeOptimizer(GetParam().options, Named(plain));
  for (int step = 0; step < 3; ++step) {
    SetGradients(scaled, step);
    SetGradients(plain, step);
    for (const at::Tensor& each : scaled) each.mutable_grad().mul_(8);
    first->Step({.gradient_scale = 0.125});
    second->Step();
  }
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(at::equal(scaled[i], plain[i])) << i;
  }
}

TEST_P(OptimizerTest, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<at::Tensor> results;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    at::Generator generator = at::detail::createCPUGenerator(1);
    const at::Tensor weight =
        at::randn({100'003}, generator, at::kFloat).set_requires_grad(true);
    const auto optimizer =
        MakeOptimizer(GetParam().options, {{"weight", weight}});
    for (int step = 0; step < 3; ++step) {
      weight.mutable_grad() = at::randn({100'003}, generator, at::kFloat);
      optimizer->Step();
    }
    results.push_back(weight.detach());
  }
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

TEST_P(OptimizerTest, TakesTheLearningRateThatWasSet) {
  const std::vector<at::Tensor> parameters = MakeParameters();
  const auto optimizer = MakeOptimizer(GetParam().options, Named(parameters));
  EXPECT_EQ(optimizer->learning_rate(), LearningRate(GetParam().options));
  SetGradients(parameters, 1);

  optimizer->SetLearningRate(0);
  optimizer->Step();

  EXPECT_EQ(optimizer->learning_rate(), 0);
  EXPECT_TRUE(at::equal(parameters[0], MakeParameters()[0]));
}

Case SgdCase(const std::string& name, const SgdOptions& options) {
  return {name, {options}, [options](std::vector<at::Tensor> parameters) {
            return std::make_unique<torch::optim::SGD>(
                std::move(parameters),
                torch::optim::SGDOptions(options.learning_rate)
                    .momentum(options.momentum)
                    .nesterov(options.nesterov)
                    .weight_decay(options.weight_decay));
          }};
}

Case AdamCase(const std::string& name, const AdamOptions& options) {
  return {name, {options}, [options](std::vector<at::Tensor> parameters) {
            return std::make_unique<torch::optim::Adam>(
                std::move(parameters),
                torch::optim::AdamOptions(options.learning_rate)
                    .betas({options.beta1, options.beta2})
                    .eps(options.epsilon)
                    .weight_decay(options.weight_decay));
          }};
}

Case AdamWCase(const std::string& name, const AdamWOptions& options) {
  return {name, {options}, [options](std::vector<at::Tensor> parameters) {
            return std::make_unique<torch::optim::AdamW>(
                std::move(parameters),
                torch::optim::AdamWOptions(options.learning_rate)
                    .betas({options.beta1, options.beta2})
                    .eps(options.epsilon)
                    .weight_decay(options.weight_decay));
          }};
}

// The three parameters are of the groups plain, norm and bias (Named).
constexpr ParameterGroups kGroups = {
    .bias = {.learning_rate_factor = 2, .weight_decay_factor = 0},
    .norm = {.learning_rate_factor = 0.1, .weight_decay_factor = 3}};

// The same with a parameter group of torch's for each of them.
template <typename TorchOptimizer, typename TorchOptions, typename Options>
Case GroupsCase(const std::string& name, const Options& options,
                const TorchOptions& torch_options) {
  return {name,
          {options, kGroups},
          [options, torch_options](std::vector<at::Tensor> parameters) {
            std::vector<torch::optim::OptimizerParamGroup> groups;
            const GroupFactors factors[] = {{}, kGroups.norm, kGroups.bias};
            for (size_t i = 0; i < parameters.size(); ++i) {
              auto own = std::make_unique<TorchOptions>(torch_options);
              own->lr(options.learning_rate * factors[i].learning_rate_factor);
              own->weight_decay(options.weight_decay *
                                factors[i].weight_decay_factor);
              groups.emplace_back(std::vector<at::Tensor>{parameters[i]},
                                  std::move(own));
            }
            return std::make_unique<TorchOptimizer>(std::move(groups),
                                                    torch_options);
          }};
}

INSTANTIATE_TEST_SUITE_P(
    All, OptimizerTest,
    ::testing::Values(
        SgdCase("sgd", {.learning_rate = 0.1}),
        SgdCase("sgd_weight_decay",
                {.learning_rate = 0.1, .weight_decay = 0.01}),
        SgdCase("sgd_momentum", {.learning_rate = 0.05, .momentum = 0.9}),
        SgdCase("sgd_nesterov", {.learning_rate = 0.05,
                                 .momentum = 0.9,
                                 .nesterov = true,
                                 .weight_decay = 0.001}),
        AdamCase("adam", {.learning_rate = 0.01}),
        AdamCase("adam_all", {.learning_rate = 0.003,
                              .beta1 = 0.8,
                              .beta2 = 0.99,
                              .epsilon = 1e-4,
                              .weight_decay = 0.01}),
        AdamWCase("adamw", {.learning_rate = 0.01}),
        AdamWCase("adamw_all", {.learning_rate = 0.003,
                                .beta1 = 0.8,
                                .beta2 = 0.99,
                                .epsilon = 1e-4,
                                .weight_decay = 0.3}),
        GroupsCase<torch::optim::SGD>(
            "sgd_groups",
            SgdOptions{
                .learning_rate = 0.02, .momentum = 0.9, .weight_decay = 0.01},
            torch::optim::SGDOptions(0.02).momentum(0.9)),
        GroupsCase<torch::optim::AdamW>("adamw_groups",
                                        AdamWOptions{.learning_rate = 0.01,
                                                     .weight_decay = 0.1},
                                        torch::optim::AdamWOptions(0.01))),
    [](const auto& info) { return info.param.name; });

std::vector<std::string> StateNames(const OptimizerOptions& options) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] :
       MakeOptimizer(options, Named(MakeParameters()))->State()) {
    names.push_back(name);
  }
  return names;
}

TEST(OptimizerStateTest, HasTheNamesOfStoredManifests) {
  EXPECT_THAT(StateNames({SgdOptions{.learning_rate = 1}}), ElementsAre());
  EXPECT_THAT(StateNames({SgdOptions{.learning_rate = 1, .momentum = 0.9}}),
              ElementsAre("a.weight.momentum_buffer", "b.momentum_buffer",
                          "c.bias.momentum_buffer"));
  EXPECT_THAT(StateNames({AdamOptions{.learning_rate = 1}}),
              ElementsAre("a.weight.exp_avg", "b.exp_avg", "c.bias.exp_avg",
                          "a.weight.exp_avg_sq", "b.exp_avg_sq",
                          "c.bias.exp_avg_sq", "step"));
}

}  // namespace
}  // namespace headstart::worker
