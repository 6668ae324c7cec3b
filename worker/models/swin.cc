#include "worker/models/swin.h"

#include <cmath>
#include <iterator>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/functional.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/normalization.h>

#include "initializers/blocks.h"
#include "initializers/classic/truncated_normal.h"
#include "initializers/own_default.h"
#include "worker/models/chain.h"
#include "worker/models/layers.h"
#include "worker/models/model.h"
#include "worker/models/stochastic_depth.h"

namespace headstart::worker {
namespace {

using at::indexing::Slice;

constexpr int64_t kPatch = 4;
constexpr int64_t kFirstWidth = 96;  // Doubled by each merging.
constexpr int64_t kDepths[] = {2, 2, 6, 2};
constexpr int64_t kHeads[] = {3, 6, 12, 24};
constexpr int64_t kWindow = 7;
constexpr int64_t kPositions = kWindow * kWindow;
constexpr int64_t kOffsets = 2 * kWindow - 1;  // Along one side.
constexpr double kWeightDeviation = 0.02;
// Added where two positions of a window come from different regions.
constexpr double kApart = -100;

torch::nn::LayerNorm Norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}));
}

// For each pair of positions in a window, row by row, which entry of the bias
// table is theirs: it depends on their offset alone.
at::Tensor RelativePositionIndex() {
  at::Tensor index = at::empty({kPositions * kPositions}, at::kLong);
  int64_t* out = index.mutable_data_ptr<int64_t>();
  for (int64_t a = 0; a < kPositions; ++a) {
    for (int64_t b = 0; b < kPositions; ++b) {
      const int64_t down = a / kWindow - b / kWindow + kWindow - 1;
      const int64_t right = a % kWindow - b % kWindow + kWindow - 1;
      *out++ = down * kOffsets + right;
    }
  }
  return index;
}

// How maps of one size are cut into windows.
struct Windows {
  int64_t rows;  // Of windows.
  int64_t columns;
  // By how much the map is rolled up and to the left before it is cut.
  int64_t shift_down;
  int64_t shift_right;

  Windows(int64_t height, int64_t width, int64_t shift)
      : rows((height + kWindow - 1) / kWindow),
        columns((width + kWindow - 1) / kWindow),
        // A window that spans the map sees all of it as it is.
        shift_down(rows > 1 ? shift : 0),
        shift_right(columns > 1 ? shift : 0) {}

  int64_t count() const { return rows * columns; }
  bool shifted() const { return shift_down > 0 || shift_right > 0; }

  // [batch, height, width, channels] to [batch * count(), kPositions,
  // channels].
  at::Tensor Cut(const at::Tensor& x) const {
    return x.view({-1, rows, kWindow, columns, kWindow, x.size(3)})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({-1, kPositions, x.size(3)});
  }

  // And back.
  at::Tensor Join(const at::Tensor& x) const {
    return x.view({-1, rows, columns, kWindow, kWindow, x.size(2)})
        .permute({0, 1, 3, 2, 4, 5})
        .reshape({-1, rows * kWindow, columns * kWindow, x.size(2)});
  }

  // [count(), kPositions, kPositions]: kApart for positions of a rolled map
  // that were not neighbours before, else 0.
  at::Tensor Mask(const at::TensorOptions& options) const {
    at::Tensor region =
        at::zeros({1, rows * kWindow, columns * kWindow, 1}, options);
    if (shift_down > 0) {
      region.narrow(1, (rows - 1) * kWindow, kWindow).add_(1);
      region.narrow(1, rows * kWindow - shift_down, shift_down).add_(1);
    }
    if (shift_right > 0) {
      region.narrow(2, (columns - 1) * kWindow, kWindow).add_(3);
      region.narrow(2, columns * kWindow - shift_right, shift_right).add_(3);
    }
    const at::Tensor cut = Cut(region).squeeze(2);
    return cut.unsqueeze(1).ne(cut.unsqueeze(2)).to(options.dtype()) * kApart;
  }
};

// Self-attention within windows of [batch, height, width, channels].
class WindowAttention final : public torch::nn::Module,
                              public initializers::OwnDefault {
 public:
  WindowAttention(int64_t width, int64_t heads, int64_t shift)
      : heads_(heads),
        shift_(shift),
        bias_table_(
            register_parameter("relative_position_bias_table",
                               at::empty({kOffsets * kOffsets, heads}))),
        index_(register_buffer("relative_position_index",
                               RelativePositionIndex())),
        qkv_(register_module("qkv", Linear(width, 3 * width))),
        proj_(register_module("proj", Linear(width, width))) {}

  at::Tensor forward(const at::Tensor& input);

  void InitializeOwn(at::Generator& generator) override {
    initializers::FillTruncatedNormal(
        bias_table_, {.deviation = kWeightDeviation}, generator);
    index_.copy_(RelativePositionIndex());
  }

 private:
  // [heads, kPositions, kPositions]
  at::Tensor Bias() const {
    return bias_table_.index_select(0, index_)
        .view({kPositions, kPositions, heads_})
        .permute({2, 0, 1});
  }

  const int64_t heads_;
  const int64_t shift_;
  at::Tensor bias_table_;
  at::Tensor index_;
  Linear qkv_;
  Linear proj_;
};

at::Tensor WindowAttention::forward(const at::Tensor& input) {
  const int64_t height = input.size(1), width = input.size(2);
  const int64_t channels = input.size(3), depth = channels / heads_;
  const Windows windows(height, width, shift_);
  at::Tensor x = input;
  if (height % kWindow != 0 || width % kWindow != 0) {
    x = at::constant_pad_nd(x, {0, 0, 0, windows.columns * kWindow - width, 0,
                                windows.rows * kWindow - height});
  }
  if (windows.shifted()) {
    x = at::roll(x, {-windows.shift_down, -windows.shift_right}, {1, 2});
  }
  x = windows.Cut(x.contiguous());

  const at::Tensor qkv = qkv_->forward(x)
                             .view({-1, kPositions, 3, heads_, depth})
                             .permute({2, 0, 3, 1, 4});
  const at::Tensor query = qkv[0] * (1 / std::sqrt(static_cast<double>(depth)));
  at::Tensor attention = at::matmul(query, qkv[1].transpose(-2, -1)) + Bias();
  if (windows.shifted()) {
    const at::Tensor mask = windows.Mask(attention.options()).unsqueeze(1);
    attention =
        (attention.view({-1, windows.count(), heads_, kPositions, kPositions}) +
         mask)
            .view({-1, heads_, kPositions, kPositions});
  }
  x = at::matmul(at::softmax(attention, -1), qkv[2])
          .transpose(1, 2)
          .reshape({-1, kPositions, channels});
  x = windows.Join(proj_->forward(x));

  if (windows.shifted()) {
    x = at::roll(x, {windows.shift_down, windows.shift_right}, {1, 2});
  }
  return x.narrow(1, 0, height).narrow(2, 0, width).contiguous();
}

// x + attn(norm1(x)), then x + mlp(norm2(x)).
class Block final : public torch::nn::Module {
 public:
  Block(int64_t width, int64_t heads, int64_t shift, double drop)
      : drop_(drop),
        norm1_(register_module("norm1", Norm(width))),
        attn_(register_module(
            "attn", std::make_shared<WindowAttention>(width, heads, shift))),
        norm2_(register_module("norm2", Norm(width))) {
    mlp_->push_back("0", Linear(width, 4 * width));
    mlp_->push_back("1", torch::nn::GELU());
    mlp_->push_back("3", Linear(4 * width, width));
    register_module("mlp", mlp_);
  }

  at::Tensor forward(const at::Tensor& input) {
    const at::Tensor x =
        input + StochasticDepth(attn_->forward(norm1_->forward(input)), drop_,
                                is_training());
    return x + StochasticDepth(mlp_->forward(norm2_->forward(x)), drop_,
                               is_training());
  }

 private:
  const double drop_;
  torch::nn::LayerNorm norm1_;
  std::shared_ptr<WindowAttention> attn_;
  torch::nn::LayerNorm norm2_;
  Chain mlp_;
};

// Half the size, twice the channels: the four positions of each 2x2 square,
// side by side, through one linear layer.
class Merging final : public torch::nn::Module {
 public:
  explicit Merging(int64_t width)
      : reduction_(register_module(
            "reduction",
            Linear(
                torch::nn::LinearOptions(4 * width, 2 * width).bias(false)))),
        norm_(register_module("norm", Norm(4 * width))) {}

  at::Tensor forward(const at::Tensor& input) {
    const at::Tensor x = at::constant_pad_nd(
        input, {0, 0, 0, input.size(2) % 2, 0, input.size(1) % 2});
    const auto corner = [&](int64_t down, int64_t right) {
      return x.slice(1, down, std::nullopt, 2).slice(2, right, std::nullopt, 2);
    };
    return reduction_->forward(norm_->forward(
        at::cat({corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)}, -1)));
  }

 private:
  Linear reduction_;
  torch::nn::LayerNorm norm_;
};

class SwinTiny final : public Model,
                       public initializers::BlockedModel,
                       public initializers::OwnDefault {
 public:
  explicit SwinTiny(const SwinTinyOptions& options);

  at::Tensor forward(const at::Tensor& images) override;
  std::vector<std::vector<std::string>> BlockParts() const override {
    return {{"features.0"},
            {"features.1"},
            {"features.2", "features.3"},
            {"features.4", "features.5"},
            {"features.6", "features.7", "norm", "head"}};
  }
  // Linear layers: truncated normal, bias 0. The patches' convolution keeps its
  // layer's default.
  void InitializeOwn(at::Generator& generator) override;
  bool DrawsItself(const at::Tensor& weight) const override {
    return weight.dim() == 2;
  }

 private:
  Chain features_;
  torch::nn::LayerNorm norm_{nullptr};
  Linear head_{nullptr};
};

SwinTiny::SwinTiny(const SwinTinyOptions& options) {
  int64_t width = kFirstWidth;
  features_->push_back(
      Chain(Conv2d(torch::nn::Conv2dOptions(options.channels, width, kPatch)
                       .stride(kPatch)),
            torch::nn::Functional([](const at::Tensor& x) {
              return x.permute({0, 2, 3, 1});
            }),
            Norm(width)));
  int64_t blocks = 0;
  for (const int64_t depth : kDepths) blocks += depth;
  int64_t block = 0;
  for (size_t stage = 0; stage < std::size(kDepths); ++stage) {
    if (stage > 0) {
      features_->push_back(std::make_shared<Merging>(width));
      width *= 2;
    }
    Chain layers;
    for (int64_t i = 0; i < kDepths[stage]; ++i, ++block) {
      layers->push_back(std::make_shared<Block>(
          width, kHeads[stage], /*shift=*/i % 2 == 0 ? 0 : kWindow / 2,
          DropOfBlock(options.stochastic_depth, block, blocks)));
    }
    features_->push_back(layers);
  }
  register_module("features", features_);
  norm_ = register_module("norm", Norm(width));
  head_ = register_module("head", Linear(width, options.classes));
}

at::Tensor SwinTiny::forward(const at::Tensor& images) {
  // Channels last: then moving the channels to the end copies nothing.
  const at::Tensor x = norm_->forward(features_->forward(ChannelsLast(images)));
  return head_->forward(x.mean({1, 2}));
}

void SwinTiny::InitializeOwn(at::Generator& generator) {
  for (const auto& module : modules()) {
    const auto* linear = module->as<Linear>();
    if (linear == nullptr) continue;
    initializers::FillTruncatedNormal(
        linear->weight, {.deviation = kWeightDeviation}, generator);
    if (linear->bias.defined()) linear->bias.zero_();
  }
}

}  // namespace

std::shared_ptr<Model> MakeSwinTiny(const SwinTinyOptions& options) {
  return std::make_shared<SwinTiny>(options);
}

}  // namespace headstart::worker
