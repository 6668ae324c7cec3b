// The learned initializers beside the traces of tests/golden: worked numbers,
// finite differences, bad input, and what stays untouched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/nn/modules/batchnorm.h>

#include "initializers/learned/gradinit.h"
#include "initializers/learned/lsuv.h"
#include "initializers/learned/metainit.h"
#include "initializers/learned/nio.h"
#include "tests/support/status_matchers.h"
#include "worker/models/layers.h"

namespace headstart::initializers {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

constexpr int64_t kExamples = 12;

// A convolution, a norm and a linear layer, in double.
class Network final : public torch::nn::Module {
 public:
  Network() {
    convolution_ =
        register_module("convolution", worker::Conv3x3(2, 4, 1, /*bias=*/true));
    norm_ = register_module("norm", torch::nn::BatchNorm2d(4));
    linear_ = register_module("linear", worker::Linear(4, 3));
    to(at::kDouble);
    const at::NoGradGuard no_grad;
    int64_t seed = 0;
    for (const at::Tensor& each : parameters()) {
      at::Tensor values = at::arange(each.numel(), at::kDouble);
      values = (values * 1.7 + ++seed).sin().add(0.2);
      each.copy_(values.view(each.sizes()));
    }
    for (const at::Tensor& each : buffers()) each.fill_(2);
  }

  at::Tensor forward(const at::Tensor& x) {
    return linear_->forward(
        at::relu(norm_->forward(convolution_->forward(x))).mean({2, 3}));
  }

 private:
  worker::Conv2d convolution_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
  worker::Linear linear_{nullptr};
};

// The same batch again and again; not finite from batch `broken_from` on.
class OneBatch final : public TrainingSignal {
 public:
  explicit OneBatch(Network& network, int64_t broken_from = 1'000'000)
      : network_(network), broken_from_(broken_from) {
    const int64_t numbers = kExamples * 2 * 4 * 4;
    inputs_ = (at::arange(numbers, at::kDouble) * 0.37)
                  .sin()
                  .view({kExamples, 2, 4, 4});
    labels_ = at::arange(kExamples, at::kLong).remainder(3);
  }

  at::Tensor Forward(const at::Tensor& inputs) override {
    return network_.forward(inputs);
  }
  LabelledBatch NextBatch(int64_t examples) override {
    const at::Tensor inputs = inputs_.narrow(0, 0, examples);
    return {batches_++ < broken_from_ ? inputs
                                      : at::full_like(inputs, std::nan("")),
            labels_.narrow(0, 0, examples)};
  }

 private:
  Network& network_;
  const int64_t broken_from_;
  int64_t batches_ = 0;
  at::Tensor inputs_;
  at::Tensor labels_;
};

std::vector<at::Tensor> Copies(torch::nn::Module& module) {
  std::vector<at::Tensor> copies;
  for (const NamedTensor& each : StateDict(module)) {
    copies.push_back(each.tensor.detach().clone());
  }
  return copies;
}

bool SameBits(const std::vector<at::Tensor>& a,
              const std::vector<at::Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].equal(b[i])) return false;
  }
  return a.size() == b.size();
}

NioOptions SmallNio() {
  return {.iterations = 1,
          .batch_size = kExamples,
          .sub_batches = 3,
          .overlap = 0.2};
}

TEST(SplitBatchTest, BalancedSplitsCoverTheBatch) {
  const auto split = [](int64_t batch, int64_t count, double overlap) {
    return SplitBatch(SubBatchSplit::kBalanced, batch, count, overlap).value();
  };
  // algorithms.md C.3.
  EXPECT_THAT(split(128, 2, 0),
              ElementsAre(Interval{0, 64}, Interval{64, 128}));
  EXPECT_THAT(split(128, 2, 0.2),
              ElementsAre(Interval{0, 72}, Interval{56, 128}));
  EXPECT_THAT(split(128, 2, 0.6),
              ElementsAre(Interval{0, 92}, Interval{36, 128}));
  EXPECT_THAT(split(128, 3, 0.2), ElementsAre(Interval{0, 50}, Interval{39, 89},
                                              Interval{78, 128}));
  EXPECT_THAT(
      split(128, 3, 0.6),
      ElementsAre(Interval{0, 72}, Interval{28, 100}, Interval{56, 128}));
  EXPECT_THAT(split(128, 4, 0.2),
              ElementsAre(Interval{0, 38}, Interval{30, 68}, Interval{60, 98},
                          Interval{90, 128}));
  EXPECT_THAT(split(64, 4, 0.2),
              ElementsAre(Interval{0, 19}, Interval{15, 34}, Interval{30, 49},
                          Interval{45, 64}));
}

TEST(SplitBatchTest, ThePapersFormulaLeavesExamplesOut) {
  const auto split = [](int64_t count, double overlap) {
    return SplitBatch(SubBatchSplit::kPaper, 128, count, overlap).value();
  };
  EXPECT_THAT(split(2, 0.2), ElementsAre(Interval{0, 72}, Interval{57, 128}));
  EXPECT_THAT(split(3, 0.2), ElementsAre(Interval{0, 46}, Interval{36, 82},
                                         Interval{73, 119}));
}

TEST(SplitBatchTest, RefusesWhatIsNoSplit) {
  const auto refuse = [](int64_t count, double overlap) {
    return SplitBatch(SubBatchSplit::kBalanced, 8, count, overlap).status();
  };
  EXPECT_THAT(refuse(1, 0),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "sub_batches: must be from 2 to the batch's 8 "
                       "examples, got 1"));
  EXPECT_THAT(refuse(9, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "got 9"));
  EXPECT_THAT(refuse(2, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "overlap: must be at least 0 and below 1"));
  EXPECT_THAT(refuse(2, -0.1),
              StatusIs(absl::StatusCode::kInvalidArgument, "overlap"));
}

// algorithms.md C.9 (1) and (4).
TEST(GradientTermsTest, AreThoseOfTheWorkedExample) {
  const at::Tensor rows =
      at::tensor({1., 2., 2., 1.}, at::kDouble).view({2, 2});

  const GradientTerms terms = TermsOf(rows);

  EXPECT_NEAR(terms.norms.mean().item<double>(), 2.2360680, 1e-7);
  EXPECT_NEAR(terms.cosine.item<double>(), 0.8, 1e-12);
  const double mean_square = rows.square().sum(1).mean().item<double>();
  const double square_mean = rows.mean(0).square().sum().item<double>();
  EXPECT_NEAR(terms.variance.item<double>(), mean_square - square_mean, 1e-12);
}

TEST(GradientTermsTest, AZeroGradientAgreesWithNone) {
  const at::Tensor rows =
      at::tensor({1., 2., 0., 0.}, at::kDouble).view({2, 2}).requires_grad_();

  const GradientTerms terms = TermsOf(rows);
  terms.cosine.backward();

  EXPECT_EQ(terms.cosine.item<double>(), 0);
  EXPECT_TRUE(rows.grad().isfinite().all().item<bool>());
}

// algorithms.md C.5.
TEST(RescaleAdamTest, GivesTheWorkedScales) {
  using Kind = RescaleAdam::Kind;
  const auto run = [](const std::vector<std::pair<double, Kind>>& steps) {
    // Norm 1 and a gradient along it: the projection is the gradient's size.
    const at::Tensor start = at::tensor({0.6, 0.8}, at::kDouble);
    RescaleAdam optimizer({{"x.weight", start.clone()}},
                          {.learning_rate = 0.003});
    std::vector<double> scales;
    for (const auto& [slope, kind] : steps) {
      optimizer.Step({start * slope}, kind);
      scales.push_back(optimizer.scales()[0]);
    }
    return scales;
  };
  const Kind o = Kind::kObjective;
  const Kind c = Kind::kConstraint;
  EXPECT_THAT(run({{-4.5, o}, {-4.5, o}, {-4.5, o}}),
              Pointwise(DoubleNear(1e-7), {1.00300, 1.00600, 1.00900}));
  EXPECT_THAT(
      run({{.5, o}, {-.2, o}, {.1, o}}),
      Pointwise(DoubleNear(1e-7), {0.99700000, 0.99596318, 0.99482501}));
  EXPECT_THAT(
      run({{.5, o}, {.8, c}, {-.2, o}}),
      Pointwise(DoubleNear(1e-7), {0.99700000, 0.99340264, 0.99269359}));
}

// algorithms.md D.3.
TEST(GradientQuotientTest, GivesTheWorkedNumbers) {
  const auto quotient = [](const std::vector<double>& at,
                           const std::vector<double>& matrix) {
    const int64_t n = static_cast<int64_t>(at.size());
    const at::Tensor w = at::tensor(at, at::kDouble).requires_grad_();
    const at::Tensor a = at::tensor(matrix, at::kDouble).view({n, n});
    const at::Tensor loss = w.unsqueeze(0).matmul(a).matmul(w.unsqueeze(1)) / 2;
    return GradientQuotient(loss.squeeze(), {w}).item<double>();
  };
  EXPECT_NEAR(quotient({3}, {2}), 1.99999833, 1e-8);
  EXPECT_NEAR(quotient({1, 1, 1}, {1, 0, 0, 0, 2, 0, 0, 0, 4}), 2.33332917,
              1e-8);
  EXPECT_NEAR(quotient({1, -1}, {2, 1, 1, 3}), 1.25000125, 1e-8);
  const at::Tensor w = at::tensor({5.}, at::kDouble).requires_grad_();
  EXPECT_NEAR(GradientQuotient(w.sum(), {w}).item<double>(), 9.9999e-6, 1e-10);
}

// algorithms.md C.9 (1): the paper's objective, its derivatives by the factors
// and one plain step, on two scalar tensors.
TEST(NioTest, ThePapersStepIsTheWorkedOne) {
  const at::Tensor first = at::tensor({3.}, at::kDouble);
  const at::Tensor second = at::tensor({4.}, at::kDouble);
  const at::Tensor centres =
      at::tensor({2., 2., 1., 3.}, at::kDouble).view({2, 2});
  const auto terms = [&] {
    return TermsOf(at::cat({first, second}) - centres);
  };
  NioOptions paper = {.diagonal = true,
                      .norms = NioNorms::kMean,
                      .optimizer = {.learning_rate = 0.1, .plain = true}};
  const auto slopes = [&](NioObjective objective, bool diagonal) {
    NioOptions options = paper;
    options.objective = objective;
    options.diagonal = diagonal;
    first.requires_grad_();
    second.requires_grad_();
    std::vector<at::Tensor> gradients = GradientsOf(
        NioObjectiveOf(terms(), options), {first, second}, GraphUse::kFree);
    first.requires_grad_(false);
    second.requires_grad_(false);
    return gradients;
  };
  const auto by_factor = [&](const std::vector<at::Tensor>& gradients) {
    return std::vector<double>{-3 * gradients[0].item<double>(),
                               -4 * gradients[1].item<double>()};
  };
  EXPECT_THAT(by_factor(slopes(NioObjective::kCosine, true)),
              Pointwise(DoubleNear(1e-7), {0.18, 0.24}));
  EXPECT_THAT(by_factor(slopes(NioObjective::kCosine, false)),
              Pointwise(DoubleNear(1e-7), {0.36, 0.48}));
  const auto both = slopes(NioObjective::kCosineAndNorms, true);
  EXPECT_THAT(by_factor(both), Pointwise(DoubleNear(1e-6),
                                         {2.0124612 + 0.18, 2.6832816 + 0.24}));

  RescaleAdam step({{"a.weight", first}, {"b.weight", second}},
                   paper.optimizer);
  step.Step(both, RescaleAdam::Kind::kObjective);

  EXPECT_THAT(step.scales(),
              Pointwise(DoubleNear(1e-7), {1.2192461, 1.2923282}));
  EXPECT_NEAR(terms().norms.mean().item<double>(), 3.5036745, 1e-6);
  EXPECT_NEAR(0.5 + 0.5 * terms().cosine.item<double>(), 0.9596859, 1e-6);
}

// algorithms.md C.9 (2): of a linear classifier of zeros.
TEST(NioTest, LabelsDecideTheCosineOfAZeroClassifier) {
  worker::Linear layer(torch::nn::LinearOptions(4, 10).bias(false));
  layer->to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    layer->weight.zero_();
  }
  const at::Tensor inputs = (at::arange(8, at::kDouble) + 1).sin().view({2, 4});
  const double of_inputs = TermsOf(inputs).cosine.item<double>();
  for (const int64_t other : {3, 7}) {
    std::vector<at::Tensor> rows;
    for (int64_t i = 0; i < 2; ++i) {
      const at::Tensor loss = at::cross_entropy_loss(
          layer->forward(inputs.narrow(0, i, 1)),
          at::tensor({i == 0 ? int64_t{3} : other}, at::kLong));
      rows.push_back(
          Flatten(GradientsOf(loss, {layer->weight}, GraphUse::kFree)));
    }
    EXPECT_NEAR(TermsOf(at::stack(rows)).cosine.item<double>(),
                other == 3 ? of_inputs : -of_inputs / 9, 1e-12);
  }
}

// algorithms.md C.9 (5): as many parts as examples make the sample-wise
// algorithm, for a network whose examples do not see each other.
TEST(NioTest, OneExampleAPartIsTheSampleWiseAlgorithm) {
  const auto network = std::make_shared<Network>();
  OneBatch signal(*network);
  const NioOptions options = {.batch_size = kExamples,
                              .sub_batches = kExamples,
                              .batch_norm = BatchNormMode::kBuffers};

  const auto seen = MeasureGradients(*network, signal, options);

  ASSERT_OK(seen);
  const ProbeMode mode(*network, BatchNormMode::kBuffers);
  const std::vector<at::Tensor> parameters =
      GradientParameters(*network, options.gradient_layers);
  const LabelledBatch batch = signal.NextBatch(kExamples);
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < kExamples; ++i) {
    const at::Tensor loss =
        at::cross_entropy_loss(signal.Forward(batch.inputs.narrow(0, i, 1)),
                               batch.labels.narrow(0, i, 1));
    rows.push_back(Flatten(GradientsOf(loss, parameters, GraphUse::kFree)));
  }
  const GradientTerms terms = TermsOf(at::stack(rows));
  EXPECT_NEAR(seen->cosine, terms.cosine.item<double>(), 1e-12);
  EXPECT_NEAR(seen->variance, terms.variance.item<double>(), 1e-12);
  for (int64_t i = 0; i < kExamples; ++i) {
    EXPECT_NEAR(seen->norms[i], terms.norms[i].item<double>(), 1e-12);
  }
}

TEST(NioTest, TheLargestNormCanBeCapped) {
  const auto network = std::make_shared<Network>();
  OneBatch signal(*network);
  NioOptions options = SmallNio();
  const auto seen = MeasureGradients(*network, signal, options);
  ASSERT_OK(seen);
  double sum = 0;
  double most = 0;
  for (const double norm : seen->norms) {
    sum += norm;
    most = std::max(most, norm);
  }
  // Between the mean and the largest.
  options.max_gradient_norm = (sum / 3 + most) / 2;
  for (const NioCap cap : {NioCap::kMeanNorm, NioCap::kLargestNorm}) {
    options.cap = cap;
    bool constraint = false;
    ASSERT_OK(ApplyNio(*network, signal, options, [&](const auto& iteration) {
      constraint = iteration.constraint;
    }));
    EXPECT_EQ(constraint, cap == NioCap::kLargestNorm);
  }
}

// algorithms.md C.9 (3): d J / d scale by finite differences.
TEST(NioTest, ItsDerivativesAreThoseOfTheObjective) {
  for (const BatchNormMode mode :
       {BatchNormMode::kBuffers, BatchNormMode::kBatch}) {
    const auto network = std::make_shared<Network>();
    OneBatch signal(*network);
    NioOptions options = SmallNio();
    options.batch_norm = mode;
    const std::vector<at::Tensor> start = Copies(*network);
    std::vector<double> projections;
    std::vector<NamedTensor> scaled;
    EXPECT_OK(ApplyNio(*network, signal, options, [&](const NioIteration& s) {
      projections = s.scales.projections();
      scaled = s.scales.tensors();
    }));
    const at::NoGradGuard no_grad;
    const std::vector<NamedTensor> all = StateDict(*network);
    for (size_t i = 0; i < all.size(); ++i) all[i].tensor.copy_(start[i]);

    const auto objective = [&](const at::Tensor& tensor, double scale) {
      const at::Tensor before = tensor.clone();
      tensor.mul_(scale);
      at::AutoGradMode with_grad(true);
      const GradientMeasurement seen =
          MeasureGradients(*network, signal, options).value();
      const at::NoGradGuard again;
      tensor.copy_(before);
      double sum = 0;
      for (const double norm : seen.norms) sum += norm;
      return -seen.cosine - sum;
    };
    constexpr double kStep = 1e-5;
    for (size_t k = 0; k < scaled.size(); ++k) {
      const double slope = (objective(scaled[k].tensor, 1 + kStep) -
                            objective(scaled[k].tensor, 1 - kStep)) /
                           (2 * kStep);
      EXPECT_NEAR(projections[k], slope, 1e-6 * std::max(1., std::abs(slope)))
          << scaled[k].name;
    }
  }
}

TEST(NioTest, ALayerBeforeABatchNormHasNoSlope) {
  const auto network = std::make_shared<Network>();
  // Without its bias the convolution's size does not matter, but for the norm's
  // epsilon.
  const at::Tensor bias = network->named_parameters()["convolution.bias"];
  {
    const at::NoGradGuard no_grad;
    bias.zero_();
    network->named_parameters()["convolution.weight"].mul_(100);
  }
  OneBatch signal(*network);

  const ProbeMode mode(*network, BatchNormMode::kBatch);
  const LabelledBatch batch = signal.NextBatch(kExamples);
  const at::Tensor weight = network->named_parameters()["convolution.weight"];
  const at::Tensor loss = signal.Forward(batch.inputs).square().mean();
  const at::Tensor slope = GradientsOf(loss, {weight}, GraphUse::kFree)[0];

  EXPECT_NEAR(
      (slope * weight).sum().item<double>(), 0,
      1e-6 * slope.norm().item<double>() * weight.norm().item<double>());
}

TEST(LearnedTest, BuffersAndModesStayAsTheyWere) {
  const auto network = std::make_shared<Network>();
  network->train();
  network->named_modules()["norm"]->eval();
  OneBatch signal(*network);
  const auto buffers = [&] {
    std::vector<at::Tensor> copies;
    for (const at::Tensor& each : network->buffers())
      copies.push_back(each.clone());
    return copies;
  };
  const std::vector<at::Tensor> before = buffers();

  EXPECT_OK(ApplyNio(*network, signal, SmallNio()));
  EXPECT_OK(
      ApplyGradinit(*network, signal, {.iterations = 2, .half_batch = 6}));
  EXPECT_OK(
      ApplyMetainit(*network, signal, {.iterations = 2, .batch_size = 6}));
  EXPECT_OK(ApplyLsuv(*network, signal, {.batch_size = kExamples}));

  EXPECT_TRUE(SameBits(buffers(), before));
  EXPECT_TRUE(network->is_training());
  EXPECT_FALSE(network->named_modules()["norm"]->is_training());
  EXPECT_TRUE(network->named_modules()["linear"]->is_training());
}

TEST(LearnedTest, AnAbortRestoresTheStart) {
  const auto network = std::make_shared<Network>();
  const std::vector<at::Tensor> start = Copies(*network);
  const auto is_aborted = [](const char* text) {
    return StatusIs(absl::StatusCode::kOutOfRange, text);
  };

  OneBatch nio(*network, 2);
  NioOptions options = SmallNio();
  options.iterations = 5;
  EXPECT_THAT(ApplyNio(*network, nio, options), is_aborted("iteration 3 of 5"));
  EXPECT_TRUE(SameBits(Copies(*network), start));

  // Broken in a constraint step, before one, and after the simulated step.
  for (const int64_t broken_from : {3, 4, 5}) {
    OneBatch gradinit(*network, broken_from);
    EXPECT_THAT(
        ApplyGradinit(*network, gradinit, {.iterations = 5, .half_batch = 6}),
        is_aborted("iteration 2 of 5"));
    EXPECT_TRUE(SameBits(Copies(*network), start));
  }

  OneBatch metainit(*network, 1);
  EXPECT_THAT(
      ApplyMetainit(*network, metainit, {.iterations = 4, .batch_size = 6}),
      is_aborted("iteration 2 of 4"));
  EXPECT_TRUE(SameBits(Copies(*network), start));
}

TEST(LearnedTest, AModelWithNothingToScaleIsRefused) {
  const auto network = std::make_shared<Network>();
  for (const at::Tensor& each : network->parameters()) {
    each.requires_grad_(false);
  }
  OneBatch signal(*network);
  const auto is_refused =
      StatusIs(absl::StatusCode::kFailedPrecondition, "no parameter to scale");

  EXPECT_THAT(ApplyNio(*network, signal, SmallNio()), is_refused);
  EXPECT_THAT(ApplyGradinit(*network, signal, {.half_batch = 6}), is_refused);
  EXPECT_THAT(ApplyMetainit(*network, signal, {.batch_size = 6}), is_refused);
}

// algorithms.md B.7.
TEST(LsuvTest, OneCorrectionIsEnoughForALayerWithoutBias) {
  const auto network = std::make_shared<Network>();
  {
    const at::NoGradGuard no_grad;
    network->named_parameters()["convolution.bias"].zero_();
  }
  OneBatch signal(*network);
  std::vector<LsuvMeasurement> seen;

  EXPECT_OK(ApplyLsuv(*network, signal,
                      {.batch_size = kExamples, .tolerance = 1e-6},
                      [&](const LsuvMeasurement& each) {
                        if (each.layer == 0) seen.push_back(each);
                      }));

  ASSERT_EQ(seen.size(), 2);
  EXPECT_NEAR(seen[1].standard_deviation, 1, 1e-6);
}

}  // namespace
}  // namespace headstart::initializers
