// Against the survivor counts of the studies' own logs and worked examples.
#include "worker/training/pruning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

namespace headstart::worker {
namespace {

using testing::Each;
using testing::ElementsAre;

PrunedTensor Pruned(const at::Tensor& weights, int64_t layer = 0,
                    bool is_output = false) {
  return {.name = "w",
          .weights = weights,
          .mask = at::ones(weights.sizes(), at::kBool),
          .layer = layer,
          .is_output = is_output};
}

// LeNet-300-100 with weights drawn from N(0, 1).
std::vector<PrunedTensor> Lenet(bool with_biases) {
  at::Generator generator = at::detail::createCPUGenerator(7);
  std::vector<PrunedTensor> tensors;
  const std::vector<int64_t> sizes = {784, 300, 100, 10};
  for (int64_t layer = 0; layer < 3; ++layer) {
    const bool is_output = layer == 2;
    tensors.push_back(
        Pruned(at::randn({sizes[layer + 1], sizes[layer]}, generator), layer,
               is_output));
    if (!with_biases) continue;
    tensors.push_back(
        Pruned(at::randn({sizes[layer + 1]}, generator), layer, is_output));
  }
  return tensors;
}

int64_t Survivors(const std::vector<PrunedTensor>& tensors) {
  int64_t sum = 0;
  for (const PrunedTensor& tensor : tensors) sum += CountSurvivors(tensor.mask);
  return sum;
}

// Before each of 20 levels.
std::vector<int64_t> SurvivorsByLevel(const PruningOptions& options,
                                      std::vector<PrunedTensor> tensors) {
  std::vector<int64_t> counts;
  for (int level = 0; level < 20; ++level) {
    counts.push_back(Survivors(tensors));
    Prune(options, tensors, /*seed=*/0);
  }
  return counts;
}

std::vector<bool> MaskOf(const PrunedTensor& tensor) {
  const bool* there = tensor.mask.const_data_ptr<bool>();
  return std::vector<bool>(there, there + tensor.mask.numel());
}

std::vector<bool> PrunedOnce(const PruningOptions& options,
                             const std::vector<double>& weights) {
  const PrunedTensor tensor = Pruned(at::tensor(weights, at::kDouble));
  Prune(options, {tensor}, /*seed=*/0);
  return MaskOf(tensor);
}

// Wijnja et al. 2020: the sparsities in their logs.
TEST(PruneTest, LenetLosesWhatThePublishedStudyLost) {
  const std::vector<int64_t> counts =
      SurvivorsByLevel({}, Lenet(/*with_biases=*/true));
  EXPECT_THAT(std::vector(counts.begin(), counts.begin() + 6),
              ElementsAre(266610, 213288, 170631, 136507, 109208, 87369));
  EXPECT_EQ(counts.back(), 3858);
  const std::vector<double> percent = {100,    80.000, 64.000, 51.201, 40.962,
                                       32.770, 26.217, 20.975, 16.781, 13.426,
                                       10.742, 8.595,  6.877,  5.503,  4.404,
                                       3.524,  2.820,  2.257,  1.807,  1.447};
  for (size_t level = 0; level < counts.size(); ++level) {
    EXPECT_NEAR(counts[level] / 2666.10, percent[level], 5e-4) << level;
  }
}

// A fifth of 4 is less than one.
TEST(PruneTest, TenBiasesStopAtFour) {
  const std::vector<int64_t> counts =
      SurvivorsByLevel({}, {Pruned(at::randn({10}))});
  EXPECT_THAT(std::vector(counts.begin(), counts.begin() + 7),
              ElementsAre(10, 8, 7, 6, 5, 4, 4));
  EXPECT_EQ(counts.back(), 4);
}

// Frankle and Carbin 2019: a fifth of the weights, a tenth of the last layer's.
TEST(PruneTest, TheLastLayerHasARateOfItsOwn) {
  const std::vector<int64_t> counts = SurvivorsByLevel(
      {.output_rate = 0.1, .rounding = PruningRounding::kRound},
      Lenet(/*with_biases=*/false));
  const std::vector<double> percent = {100,  80.0, 64.1, 51.3, 41.1, 32.9, 26.3,
                                       21.1, 16.9, 13.5, 10.8, 8.7,  7.0,  5.6,
                                       4.5,  3.6,  2.9,  2.3,  1.9,  1.5};
  for (size_t level = 0; level < counts.size(); ++level) {
    EXPECT_NEAR(counts[level] / 2662.00, percent[level], 0.051) << level;
  }
}

TEST(PruneTest, TheSmallestMagnitudesGoFirstAndOfEqualOnesTheFirst) {
  EXPECT_THAT(PrunedOnce({.rate = 0.5}, {-3, 0.5, -0.1, 2, 1, -0.2}),
              ElementsAre(true, false, false, true, true, false));
  EXPECT_THAT(PrunedOnce({.rate = 0.5}, {1, -1, 1, -1}),
              ElementsAre(false, false, true, true));
}

TEST(PruneTest, CountsEntriesAndNotZeros) {
  const PrunedTensor tensor = Pruned(at::zeros({10}));
  Prune({}, {tensor}, 0);
  EXPECT_EQ(CountSurvivors(tensor.mask), 8);
  Prune({}, {tensor}, 0);
  EXPECT_EQ(CountSurvivors(tensor.mask), 7);
}

TEST(PruneTest, NothingComesBack) {
  std::vector<PrunedTensor> tensors = Lenet(/*with_biases=*/true);
  for (int level = 0; level < 5; ++level) {
    std::vector<at::Tensor> before;
    for (const PrunedTensor& tensor : tensors)
      before.push_back(tensor.mask.clone());
    Prune({}, tensors, 0);
    for (size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_FALSE(tensors[i]
                       .mask.logical_and(before[i].logical_not())
                       .any()
                       .item<bool>());
    }
  }
}

struct RoundingCase {
  PruningRounding rounding;
  int gone;           // Of 11 different magnitudes at rate 0.5: 5.5.
  int gone_of_equal;  // Of 11 equal ones.
};

TEST(PruneTest, RoundsInFiveWays) {
  std::vector<double> rising, equal(11, 1.0);
  for (int i = 1; i <= 11; ++i) rising.push_back(i);
  for (const RoundingCase& each :
       {RoundingCase{PruningRounding::kFloor, 5, 5},
        RoundingCase{PruningRounding::kRound, 6, 6},
        RoundingCase{PruningRounding::kCeil, 6, 6},
        RoundingCase{PruningRounding::kGoogle, 7, 11},
        RoundingCase{PruningRounding::kOpenLth, 7, 11}}) {
    const PruningOptions options = {.rate = 0.5, .rounding = each.rounding};
    const std::vector<bool> mask = PrunedOnce(options, rising);
    EXPECT_EQ(std::count(mask.begin(), mask.end(), false), each.gone);
    EXPECT_TRUE(mask.back());
    const std::vector<bool> of_equal = PrunedOnce(options, equal);
    EXPECT_EQ(std::count(of_equal.begin(), of_equal.end(), false),
              each.gone_of_equal);
  }
  // Halves to even, as numpy rounds: 2.5 and 3.5.
  const auto gone = [](double rate, std::vector<double> weights) {
    const std::vector<bool> mask = PrunedOnce(
        {.rate = rate, .rounding = PruningRounding::kRound}, weights);
    return std::count(mask.begin(), mask.end(), false);
  };
  EXPECT_EQ(gone(0.5, {1, 2, 3, 4, 5}), 2);
  EXPECT_EQ(gone(0.5, {1, 2, 3, 4, 5, 6, 7}), 4);
}

TEST(PruneTest, AShareOfLessThanOneIsNoneUnlessRoundedUp) {
  EXPECT_THAT(PrunedOnce({.rate = 0.2}, {1, 2, 3, 4}), Each(true));
  EXPECT_THAT(
      PrunedOnce({.rate = 0.2, .rounding = PruningRounding::kCeil}, {1, 2}),
      ElementsAre(false, true));
  EXPECT_THAT(
      PrunedOnce({.rate = 0.9, .rounding = PruningRounding::kGoogle}, {1}),
      ElementsAre(false));
}

TEST(PruneTest, RanksByTensorLayerOrAll) {
  const auto masks = [](PruningOptions options) {
    const std::vector<PrunedTensor> tensors = {
        Pruned(at::tensor({1., 2., 3., 4.}, at::kDouble), 0),
        Pruned(at::tensor({.1, .2}, at::kDouble), 0),
        Pruned(at::tensor({.01, .02, .03, .04}, at::kDouble), 1, true)};
    options.rate = 0.5;
    Prune(options, tensors, 0);
    std::vector<int64_t> survivors;
    for (const PrunedTensor& each : tensors)
      survivors.push_back(CountSurvivors(each.mask));
    return survivors;
  };
  EXPECT_THAT(masks({}), ElementsAre(2, 1, 2));
  EXPECT_THAT(masks({.scope = PruningScope::kLayer}), ElementsAre(3, 0, 2));
  EXPECT_THAT(masks({.scope = PruningScope::kGlobal}), ElementsAre(4, 1, 0));
  // The last layer's 4 count, so half of 10 go, all of them from the 6 others.
  EXPECT_THAT(masks({.output_rate = 0, .scope = PruningScope::kGlobal}),
              ElementsAre(1, 0, 4));
  EXPECT_THAT(masks({.output_rate = 0}), ElementsAre(2, 1, 4));
}

TEST(PruneTest, TheControlPrunesAsManyByLot) {
  const auto pruned = [](uint64_t seed) {
    const PrunedTensor tensor = Pruned(at::randn({1000}));
    Prune({.order = PruningOrder::kRandom}, {tensor}, seed);
    return MaskOf(tensor);
  };
  const std::vector<bool> mask = pruned(1);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), false), 200);
  EXPECT_EQ(mask, pruned(1));
  EXPECT_NE(mask, pruned(2));
}

TEST(PlaceOfTest, LevelsFollowEachOther) {
  const IterativePruning pruning = {.prune = {}, .epochs_per_level = 5};
  std::vector<int64_t> begins;
  for (int64_t epoch = 1; epoch <= 100; ++epoch) {
    const PhasePlace place = PlaceOf(pruning, epoch);
    EXPECT_EQ(place.phase, (epoch - 1) / 5);
    EXPECT_EQ(place.epoch, (epoch - 1) % 5 + 1);
    if (place.begins) begins.push_back(epoch);
  }
  // Wijnja et al. 2020: 19 times.
  EXPECT_EQ(begins.size(), 19u);
  EXPECT_EQ(begins.front(), 6);
  EXPECT_EQ(begins.back(), 96);
}

TEST(PlaceOfTest, RewoundLevelsAreShorter) {
  const IterativePruning pruning = {
      .prune = {}, .epochs_per_level = 5, .rewind_epoch = 2};
  std::vector<int64_t> epochs;
  for (int64_t epoch = 1; epoch <= 11; ++epoch) {
    epochs.push_back(PlaceOf(pruning, epoch).epoch);
  }
  EXPECT_THAT(epochs, ElementsAre(1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5));
  EXPECT_TRUE(PlaceOf(pruning, 9).begins);
  EXPECT_EQ(PlaceOf(pruning, 9).phase, 2);
}

TEST(ApplyMaskTest, SetsWhatIsPrunedToZeroAndKeepsTheRest) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    at::Tensor weights = at::tensor({-1., 2., 3.}, type);
    ApplyMask(weights, at::tensor({0., 1., 0.}, at::kDouble).to(at::kBool));
    EXPECT_TRUE(weights.equal(at::tensor({0., 2., 0.}, type)));
    // Longer than any vector, and not a multiple of one.
    at::Tensor many = at::randn({1003}, type);
    const at::Tensor mask = at::randn({1003}) > 0;
    const at::Tensor expected = at::where(mask, many, 0);
    ApplyMask(many, mask);
    EXPECT_TRUE(many.equal(expected));
  }
}

}  // namespace
}  // namespace headstart::worker
