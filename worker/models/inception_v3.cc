#include "worker/models/inception_v3.h"

#include <initializer_list>
#include <string>
#include <vector>

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/max_pool2d.h>
#include <torch/nn/modules/batchnorm.h>

#include "initializers/blocks.h"
#include "initializers/classic/truncated_normal.h"
#include "initializers/own_default.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"

namespace headstart::worker {
namespace {

// What a convolution looks at. Without padding the image shrinks.
struct Window {
  int64_t height;
  int64_t width;
  int64_t stride = 1;
  bool padded = true;
};
constexpr Window k1x1 = {1, 1};
constexpr Window k1x3 = {1, 3};
constexpr Window k3x1 = {3, 1};
constexpr Window k3x3 = {3, 3};
constexpr Window k5x5 = {5, 5};
constexpr Window k1x7 = {1, 7};
constexpr Window k7x1 = {7, 1};
constexpr Window k3x3Unpadded = {.height = 3, .width = 3, .padded = false};
constexpr Window k5x5Unpadded = {.height = 5, .width = 5, .padded = false};
constexpr Window k3x3Halving = {
    .height = 3, .width = 3, .stride = 2, .padded = false};

// relu(bn(conv(x)))
class ConvBlock final : public torch::nn::Module {
 public:
  ConvBlock(int64_t in, int64_t out, const Window& window)
      : conv_(register_module(
            "conv", Conv2d(torch::nn::Conv2dOptions(
                               in, out, {window.height, window.width})
                               .stride(window.stride)
                               .padding({window.padded ? window.height / 2 : 0,
                                         window.padded ? window.width / 2 : 0})
                               .bias(false)))),
        bn_(register_module(
            "bn", torch::nn::BatchNorm2d(
                      torch::nn::BatchNorm2dOptions(out).eps(0.001)))) {}

  at::Tensor forward(const at::Tensor& x) {
    return bn_->forward(conv_->forward(x)).relu_();
  }

 private:
  Conv2d conv_;
  torch::nn::BatchNorm2d bn_;
};

struct NamedConv {
  const char* name;
  int64_t out;
  Window window;
};

enum class Pool {
  kAverage,  // Keeps the size; a 1x1 convolution comes behind it.
  kMax,      // Halves it.
};

// Branches side by side whose outputs are concatenated: chains of
// convolutions, and one that starts with a pool and comes last.
class Mixed final : public torch::nn::Module {
 public:
  Mixed(int64_t in, Pool pool)
      : in_(in), out_(pool == Pool::kMax ? in : 0), pool_(pool) {}

  // The output of the last of `chain` goes through each of `forks`, if any.
  void AddBranch(std::initializer_list<NamedConv> chain,
                 std::initializer_list<NamedConv> forks = {}) {
    Branch branch;
    int64_t width = in_;
    for (const NamedConv& conv : chain) {
      branch.chain.push_back(Add(width, conv));
      width = conv.out;
    }
    if (forks.size() == 0) out_ += width;
    for (const NamedConv& conv : forks) {
      branch.forks.push_back(Add(width, conv));
      out_ += conv.out;
    }
    branches_.push_back(std::move(branch));
  }

  // The convolution behind an average pool. Called last.
  void AddPoolBranch(int64_t out) {
    behind_pool_ = Add(in_, {"branch_pool", out, k1x1});
    out_ += out;
  }

  int64_t out() const { return out_; }

  at::Tensor forward(const at::Tensor& x) {
    std::vector<at::Tensor> outputs;
    for (const Branch& branch : branches_) {
      at::Tensor y = x;
      for (const auto& conv : branch.chain) y = conv->forward(y);
      if (branch.forks.empty()) outputs.push_back(y);
      for (const auto& conv : branch.forks) outputs.push_back(conv->forward(y));
    }
    outputs.push_back(
        pool_ == Pool::kMax
            ? at::max_pool2d(x, {3, 3}, {2, 2})
            : behind_pool_->forward(at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1})));
    return at::cat(outputs, 1);
  }

 private:
  struct Branch {
    std::vector<std::shared_ptr<ConvBlock>> chain;
    std::vector<std::shared_ptr<ConvBlock>> forks;
  };

  std::shared_ptr<ConvBlock> Add(int64_t in, const NamedConv& conv) {
    return register_module(
        conv.name, std::make_shared<ConvBlock>(in, conv.out, conv.window));
  }

  const int64_t in_;
  int64_t out_;
  const Pool pool_;
  std::vector<Branch> branches_;
  std::shared_ptr<ConvBlock> behind_pool_;
};

// The five kinds of blocks, A to E. torchvision has the same letters.

std::shared_ptr<Mixed> MixedA(int64_t in, int64_t pool_out) {
  auto block = std::make_shared<Mixed>(in, Pool::kAverage);
  block->AddBranch({{"branch1x1", 64, k1x1}});
  block->AddBranch({{"branch5x5_1", 48, k1x1}, {"branch5x5_2", 64, k5x5}});
  block->AddBranch({{"branch3x3dbl_1", 64, k1x1},
                    {"branch3x3dbl_2", 96, k3x3},
                    {"branch3x3dbl_3", 96, k3x3}});
  block->AddPoolBranch(pool_out);
  return block;
}

std::shared_ptr<Mixed> MixedB(int64_t in) {
  auto block = std::make_shared<Mixed>(in, Pool::kMax);
  block->AddBranch({{"branch3x3", 384, k3x3Halving}});
  block->AddBranch({{"branch3x3dbl_1", 64, k1x1},
                    {"branch3x3dbl_2", 96, k3x3},
                    {"branch3x3dbl_3", 96, k3x3Halving}});
  return block;
}

std::shared_ptr<Mixed> MixedC(int64_t in, int64_t inner) {
  auto block = std::make_shared<Mixed>(in, Pool::kAverage);
  block->AddBranch({{"branch1x1", 192, k1x1}});
  block->AddBranch({{"branch7x7_1", inner, k1x1},
                    {"branch7x7_2", inner, k1x7},
                    {"branch7x7_3", 192, k7x1}});
  block->AddBranch({{"branch7x7dbl_1", inner, k1x1},
                    {"branch7x7dbl_2", inner, k7x1},
                    {"branch7x7dbl_3", inner, k1x7},
                    {"branch7x7dbl_4", inner, k7x1},
                    {"branch7x7dbl_5", 192, k1x7}});
  block->AddPoolBranch(192);
  return block;
}

std::shared_ptr<Mixed> MixedD(int64_t in) {
  auto block = std::make_shared<Mixed>(in, Pool::kMax);
  block->AddBranch(
      {{"branch3x3_1", 192, k1x1}, {"branch3x3_2", 320, k3x3Halving}});
  block->AddBranch({{"branch7x7x3_1", 192, k1x1},
                    {"branch7x7x3_2", 192, k1x7},
                    {"branch7x7x3_3", 192, k7x1},
                    {"branch7x7x3_4", 192, k3x3Halving}});
  return block;
}

std::shared_ptr<Mixed> MixedE(int64_t in) {
  auto block = std::make_shared<Mixed>(in, Pool::kAverage);
  block->AddBranch({{"branch1x1", 320, k1x1}});
  block->AddBranch({{"branch3x3_1", 384, k1x1}},
                   {{"branch3x3_2a", 384, k1x3}, {"branch3x3_2b", 384, k3x1}});
  block->AddBranch(
      {{"branch3x3dbl_1", 448, k1x1}, {"branch3x3dbl_2", 384, k3x3}},
      {{"branch3x3dbl_3a", 384, k1x3}, {"branch3x3dbl_3b", 384, k3x1}});
  block->AddPoolBranch(192);
  return block;
}

// The second classifier.
class AuxiliaryHead final : public torch::nn::Module {
 public:
  AuxiliaryHead(int64_t in, int64_t classes)
      : conv0_(register_module("conv0",
                               std::make_shared<ConvBlock>(in, 128, k1x1))),
        conv1_(register_module(
            "conv1", std::make_shared<ConvBlock>(128, 768, k5x5Unpadded))),
        fc_(register_module("fc", Linear(768, classes))) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor pooled = at::avg_pool2d(x, {5, 5}, {3, 3});
    const at::Tensor y = conv1_->forward(conv0_->forward(pooled));
    return fc_->forward(GlobalMean(y));
  }

 private:
  std::shared_ptr<ConvBlock> conv0_;
  std::shared_ptr<ConvBlock> conv1_;
  Linear fc_;
};

class InceptionV3 final : public Model,
                          public initializers::BlockedModel,
                          public initializers::OwnDefault {
 public:
  explicit InceptionV3(const InceptionV3Options& options);

  // Leaves the auxiliary head out.
  at::Tensor forward(const at::Tensor& images) override;
  TrainingOutput ForwardTraining(const at::Tensor& images) override;

  // Both classifiers are in the last.
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1",
             "Conv2d_4a_3x3"},
            {"Mixed_5b", "Mixed_5c", "Mixed_5d"},
            {"Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"},
            {"Mixed_7a", "Mixed_7b", "Mixed_7c", "AuxLogits", "fc"}};
  }

  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor& weight) const override {
    return options_.truncated_normal_weights && weight.dim() >= 2;
  }

 private:
  void AddConv(const char* name, int64_t out, const Window& window);
  void AddMixed(const char* name, std::shared_ptr<Mixed> block);
  // From the auxiliary head's input on.
  at::Tensor Classify(at::Tensor features);
  at::Tensor FeaturesBeforeReduction(const at::Tensor& images);

  const InceptionV3Options options_;
  int64_t width_;  // While building: the channels so far.
  std::vector<std::shared_ptr<ConvBlock>> stem_;
  std::vector<std::shared_ptr<Mixed>> mixed_;
  std::shared_ptr<AuxiliaryHead> auxiliary_;
  Linear fc_{nullptr};
};

// How many of the stem's convolutions, and of the mixed blocks, come before a
// pool, and before the auxiliary head.
constexpr size_t kStemPools[] = {3, 5};
constexpr size_t kBeforeAuxiliary = 8;

InceptionV3::InceptionV3(const InceptionV3Options& options)
    : options_(options), width_(options.channels) {
  AddConv("Conv2d_1a_3x3", 32, k3x3Halving);
  AddConv("Conv2d_2a_3x3", 32, k3x3Unpadded);
  AddConv("Conv2d_2b_3x3", 64, k3x3);
  AddConv("Conv2d_3b_1x1", 80, k1x1);
  AddConv("Conv2d_4a_3x3", 192, k3x3Unpadded);
  AddMixed("Mixed_5b", MixedA(width_, 32));
  AddMixed("Mixed_5c", MixedA(width_, 64));
  AddMixed("Mixed_5d", MixedA(width_, 64));
  AddMixed("Mixed_6a", MixedB(width_));
  AddMixed("Mixed_6b", MixedC(width_, 128));
  AddMixed("Mixed_6c", MixedC(width_, 160));
  AddMixed("Mixed_6d", MixedC(width_, 160));
  AddMixed("Mixed_6e", MixedC(width_, 192));
  if (options.auxiliary_head) {
    auxiliary_ = register_module(
        "AuxLogits", std::make_shared<AuxiliaryHead>(width_, options.classes));
  }
  AddMixed("Mixed_7a", MixedD(width_));
  AddMixed("Mixed_7b", MixedE(width_));
  AddMixed("Mixed_7c", MixedE(width_));
  fc_ = register_module("fc", Linear(width_, options.classes));
}

at::Tensor InceptionV3::forward(const at::Tensor& images) {
  return Classify(FeaturesBeforeReduction(images));
}

TrainingOutput InceptionV3::ForwardTraining(const at::Tensor& images) {
  const at::Tensor features = FeaturesBeforeReduction(images);
  TrainingOutput output;
  if (auxiliary_ != nullptr) {
    output.auxiliary_logits = auxiliary_->forward(features);
  }
  output.logits = Classify(features);
  return output;
}

at::Tensor InceptionV3::FeaturesBeforeReduction(const at::Tensor& images) {
  at::Tensor x = ChannelsLast(images);
  for (size_t i = 0; i < stem_.size(); ++i) {
    x = stem_[i]->forward(x);
    if (i + 1 == kStemPools[0] || i + 1 == kStemPools[1]) {
      x = at::max_pool2d(x, {3, 3}, {2, 2});
    }
  }
  for (size_t i = 0; i < kBeforeAuxiliary; ++i) x = mixed_[i]->forward(x);
  return x;
}

at::Tensor InceptionV3::Classify(at::Tensor features) {
  for (size_t i = kBeforeAuxiliary; i < mixed_.size(); ++i) {
    features = mixed_[i]->forward(features);
  }
  return fc_->forward(
      at::dropout(GlobalMean(features), options_.dropout, is_training()));
}

void InceptionV3::InitializeOwn(at::Generator& generator) {
  if (!options_.truncated_normal_weights) return;
  for (const auto& parameter : named_parameters()) {
    if (parameter.value().dim() < 2) continue;
    const std::string& name = parameter.key();
    double deviation = 0.1;
    if (name == "AuxLogits.conv1.conv.weight") deviation = 0.01;
    if (name == "AuxLogits.fc.weight") deviation = 0.001;
    initializers::FillTruncatedNormal(parameter.value(),
                                      {.deviation = deviation}, generator);
  }
}

void InceptionV3::AddConv(const char* name, int64_t out, const Window& window) {
  stem_.push_back(
      register_module(name, std::make_shared<ConvBlock>(width_, out, window)));
  width_ = out;
}

void InceptionV3::AddMixed(const char* name, std::shared_ptr<Mixed> block) {
  width_ = block->out();
  mixed_.push_back(register_module(name, std::move(block)));
}

}  // namespace

std::shared_ptr<Model> MakeInceptionV3(const InceptionV3Options& options) {
  return std::make_shared<InceptionV3>(options);
}

}  // namespace headstart::worker
