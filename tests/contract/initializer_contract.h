// What every initializer promises (initializers/initializer.h). Instantiate
// with one InitializerCase per kind:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, InitializerContract,
//   ::testing::Values(...));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "initializers/initializer.h"
#include "initializers/registry.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"
#include "tests/support/status_matchers.h"

namespace headstart::initializers {

// One of each layer: conv.weight, bn.*, fc.{weight, bias}. Its convolution is
// large enough to be drawn by several threads.
class ContractModel final : public torch::nn::Module {
 public:
  explicit ContractModel(int64_t classes = 10)
      : conv(register_module(
            "conv", torch::nn::Conv2d(
                        torch::nn::Conv2dOptions(128, 256, 3).bias(false)))),
        bn(register_module("bn", torch::nn::BatchNorm2d(256))),
        fc(register_module("fc", torch::nn::Linear(256, classes))) {}

  torch::nn::Conv2d conv;
  torch::nn::BatchNorm2d bn;
  torch::nn::Linear fc;
};

// Weights in memory, under one name.
class MemoryWeights final : public WeightSource {
 public:
  // Copies `model`'s tensors.
  void Keep(const std::string& checkpoint, torch::nn::Module& model) {
    checkpoint_ = checkpoint;
    for (const NamedTensor& each : StateDict(model)) {
      const auto* data = static_cast<const char*>(each.tensor.const_data_ptr());
      bytes_.emplace_back(data, data + each.tensor.nbytes());
      stored_.push_back({.name = each.name,
                         .dtype = DTypeOf(each.tensor),
                         .shape = each.tensor.sizes().vec(),
                         .bytes = {}});
    }
    for (size_t i = 0; i < stored_.size(); ++i) {
      stored_[i].bytes = absl::MakeConstSpan(bytes_[i]);
    }
  }

  absl::StatusOr<absl::Span<const StoredTensor>> Open(
      absl::string_view checkpoint) override {
    if (checkpoint != checkpoint_) {
      return absl::NotFoundError("no such checkpoint");
    }
    return stored_;
  }
  absl::StatusOr<absl::Span<const StoredTensor>> OpenMasks(
      absl::string_view checkpoint) override {
    if (checkpoint != checkpoint_) {
      return absl::NotFoundError("no such checkpoint");
    }
    return masks_;
  }

  // A mask of one of its tensors; `bits` must outlive it.
  void KeepMask(const std::string& name, std::vector<int64_t> shape,
                absl::Span<const char> bits) {
    masks_.push_back({.name = "mask." + name,
                      .dtype = DType::kBool,
                      .shape = std::move(shape),
                      .bytes = bits});
  }

  std::vector<StoredTensor>& stored() { return stored_; }

 private:
  std::string checkpoint_;
  std::vector<std::vector<char>> bytes_;
  std::vector<StoredTensor> stored_;
  std::vector<StoredTensor> masks_;
};

// The checkpoint that the contract's weight source has; it fits ContractModel.
inline constexpr char kContractCheckpoint[] = "studies/1/trials/1/epochs/1";

// All steps' loaded tensors and drawn names, none twice.
inline absl::StatusOr<InitializationReport> Merged(
    const absl::StatusOr<std::vector<InitializationReport>>& steps) {
  if (!steps.ok()) return steps.status();
  InitializationReport all;
  for (const InitializationReport& step : *steps) {
    all.loaded_tensors += step.loaded_tensors;
    for (const std::string& name : step.drawn_names) {
      if (std::find(all.drawn_names.begin(), all.drawn_names.end(), name) ==
          all.drawn_names.end()) {
        all.drawn_names.push_back(name);
      }
    }
  }
  return all;
}

struct InitializerCase {
  std::string name;
  std::function<Start()> make;
};

inline void PrintTo(const InitializerCase& value, std::ostream* out) {
  *out << value.name;
}

class InitializerContract : public ::testing::TestWithParam<InitializerCase> {
 protected:
  InitializerContract() {
    const at::NoGradGuard no_grad;
    auto owned = std::make_shared<ContractModel>();
    for (const NamedTensor& each : StateDict(*owned)) each.tensor.fill_(0.25);
    weights_.Keep(kContractCheckpoint, *owned);
  }

  // Every tensor holds what no initializer leaves behind.
  static std::shared_ptr<ContractModel> Poisoned() {
    auto model = std::make_shared<ContractModel>();
    const at::NoGradGuard no_grad;
    for (const NamedTensor& each : StateDict(*model)) {
      each.tensor.fill_(kPoison);
    }
    return model;
  }

  absl::StatusOr<InitializationReport> Apply(torch::nn::Module& model,
                                             int64_t seed = 1) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return Merged(GetParam().make().Apply(
        model, {.generator = generator, .weights = weights_}));
  }

  static bool Equal(ContractModel& a, ContractModel& b) {
    const std::vector<NamedTensor> of_a = StateDict(a);
    const std::vector<NamedTensor> of_b = StateDict(b);
    for (size_t i = 0; i < of_a.size(); ++i) {
      if (!at::equal(of_a[i].tensor, of_b[i].tensor)) return false;
    }
    return true;
  }

  static constexpr int kPoison = -77;

  MemoryWeights weights_;
};

TEST_P(InitializerContract, SetsEveryTensor) {
  const auto model = Poisoned();

  ASSERT_OK(Apply(*model));

  for (const NamedTensor& each : StateDict(*model)) {
    EXPECT_FALSE(each.tensor.eq(kPoison).any().item<bool>()) << each.name;
    EXPECT_TRUE(each.tensor.isfinite().all().item<bool>()) << each.name;
  }
}

TEST_P(InitializerContract, GivesEqualBitsForEqualSeeds) {
  const auto first = Poisoned();
  const auto second = Poisoned();

  ASSERT_OK(Apply(*first, 5));
  at::randn({1000});  // Somebody else draws from the process's generator.
  ASSERT_OK(Apply(*second, 5));

  EXPECT_TRUE(Equal(*first, *second));
}

TEST_P(InitializerContract, DoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  const auto first = Poisoned();
  const auto second = Poisoned();

  at::set_num_threads(1);
  ASSERT_OK(Apply(*first));
  at::set_num_threads(4);
  ASSERT_OK(Apply(*second));
  at::set_num_threads(threads);

  EXPECT_TRUE(Equal(*first, *second));
}

TEST_P(InitializerContract, LeavesTheProcessesGeneratorAlone) {
  const auto model = Poisoned();
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state();

  ASSERT_OK(Apply(*model));

  EXPECT_TRUE(at::equal(generator.get_state(), before));
}

TEST_P(InitializerContract, WritesInPlaceAndLeavesGradientsOn) {
  const auto model = Poisoned();
  std::vector<const void*> before;
  for (const NamedTensor& each : StateDict(*model)) {
    before.push_back(each.tensor.const_data_ptr());
  }

  ASSERT_OK(Apply(*model));

  const std::vector<NamedTensor> after = StateDict(*model);
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].tensor.const_data_ptr(), before[i]) << after[i].name;
    EXPECT_EQ(after[i].tensor.requires_grad(), !after[i].is_buffer)
        << after[i].name;
    EXPECT_TRUE(after[i].tensor.is_leaf()) << after[i].name;
  }
}

TEST_P(InitializerContract, ReportsWhereTheTensorsCameFrom) {
  const auto model = Poisoned();
  const int64_t tensors = StateDict(*model).size();

  ASSERT_OK_AND_ASSIGN(const InitializationReport report, Apply(*model));

  EXPECT_GT(report.loaded_tensors + report.drawn_names.size(), 0u);
  EXPECT_LE(report.loaded_tensors, tensors);
  for (const std::string& name : report.drawn_names) {
    EXPECT_THAT(StateDict(*model), ::testing::Contains(::testing::Field(
                                       &NamedTensor::name, name)));
  }
}

}  // namespace headstart::initializers
