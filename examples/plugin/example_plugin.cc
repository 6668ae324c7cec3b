// A model and a data set of one's own: a multilayer perceptron whose width and
// depth can be searched, and images of a bright spot whose corner is its class.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include "worker/plugin/plugin.h"

namespace {

using headstart::plugin::Images;
using headstart::plugin::Model;
using headstart::plugin::ModelShape;
using headstart::plugin::Options;
using headstart::plugin::Part;

// Linear layers layers.{0,1,..} with an activation between them.
class Mlp final : public Model {
 public:
  Mlp(int64_t inputs, int64_t classes, int64_t width, int64_t depth, bool tanh)
      : tanh_(tanh),
        layers_(register_module("layers", torch::nn::ModuleList())) {
    for (int64_t i = 0; i < depth; ++i) {
      layers_->push_back(torch::nn::Linear(i == 0 ? inputs : width, width));
    }
    layers_->push_back(torch::nn::Linear(depth == 0 ? inputs : width, classes));
  }

  at::Tensor forward(const at::Tensor& images) override {
    at::Tensor x = images.flatten(1);
    for (size_t i = 0; i < layers_->size(); ++i) {
      x = layers_->at<torch::nn::LinearImpl>(i).forward(x);
      if (i + 1 < layers_->size()) x = tanh_ ? x.tanh() : x.relu();
    }
    return x;
  }

 private:
  const bool tanh_;
  torch::nn::ModuleList layers_;
};

std::shared_ptr<Model> MakeMlp(const ModelShape& shape,
                               const Options& options) {
  const int64_t inputs = shape.channels * shape.height * shape.width;
  const int64_t width = options.Integer("width");
  if (inputs > 100'000) {
    throw std::invalid_argument(
        "images of more than 100000 values are too "
        "large for an MLP; use a convolutional model");
  }
  return std::make_shared<Mlp>(inputs, shape.classes, width,
                               options.Integer("depth"),
                               options.Text("activation") == "tanh");
}

// The same numbers on every machine: splitmix64.
uint64_t Draw(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// 12x12 greys; class c has its spot in corner c.
Images ReadCorners(const Options& options, const std::vector<std::string>&,
                   Part part) {
  constexpr int64_t kSide = 12;
  const int64_t count = options.Integer(part == Part::kTrain ? "train_examples"
                                                             : "test_examples");
  const double noise = options.Number("noise");
  Images images{.channels = 1,
                .height = kSide,
                .width = kSide,
                .classes = 4,
                .mean = {0.25},
                .standard_deviation = {0.2}};
  uint64_t state = part == Part::kTrain ? 1 : 2;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t corner = static_cast<int32_t>(i % 4);
    const int64_t top = 1 + Draw(state) % 3 + (corner / 2) * kSide / 2;
    const int64_t left = 1 + Draw(state) % 3 + (corner % 2) * kSide / 2;
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        const bool spot = y >= top && y < top + 2 && x >= left && x < left + 2;
        const double grey = (spot ? 160 : 40) + noise * (Draw(state) % 96);
        images.pixels.push_back(static_cast<uint8_t>(grey > 255 ? 255 : grey));
      }
    }
    images.labels.push_back(corner);
  }
  return images;
}

}  // namespace

HEADSTART_PLUGIN(registry) {
  registry.AddModel(
      {.name = "example_mlp",
       .version = "1",
       .options = {{.name = "width",
                    .description = "Neurons of each hidden layer.",
                    .default_value = 32,
                    .minimum = 1,
                    .maximum = 4096},
                   {.name = "depth",
                    .description = "Hidden layers.",
                    .default_value = 1,
                    .minimum = 0,
                    .maximum = 20},
                   {.name = "activation",
                    .default_value = "relu",
                    .allowed = {"relu", "tanh"}}},
       .make = MakeMlp});
  registry.AddDataset({.name = "example_corners",
                       .version = "1",
                       .options = {{.name = "train_examples",
                                    .default_value = 400,
                                    .minimum = 4,
                                    .maximum = 100'000},
                                   {.name = "test_examples",
                                    .default_value = 100,
                                    .minimum = 4,
                                    .maximum = 100'000},
                                   {.name = "noise",
                                    .description = "How strong the noise is.",
                                    .default_value = 1.0,
                                    .minimum = 0,
                                    .maximum = 2}},
                       .read = ReadCorners});
}
