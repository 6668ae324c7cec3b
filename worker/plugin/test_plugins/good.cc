// Two models and a data set, for plugins_test.cc and trainer_program_test.cc.
#include <stdexcept>

#include <torch/nn/modules/linear.h>

#include "worker/plugin/plugin.h"

namespace {

using headstart::plugin::Images;
using headstart::plugin::Model;
using headstart::plugin::ModelShape;
using headstart::plugin::Options;
using headstart::plugin::Part;

class OneLayer final : public Model {
 public:
  OneLayer(const ModelShape& shape, std::string mood)
      : mood_(std::move(mood)),
        layer_(register_module(
            "layer",
            torch::nn::Linear(shape.channels * shape.height * shape.width,
                              shape.classes))) {}

  at::Tensor forward(const at::Tensor& images) override {
    if (mood_ == "throws in forward") throw std::runtime_error("no forward");
    if (mood_ == "throws a number in forward") throw 42;
    return layer_->forward(images.flatten(1));
  }

 private:
  const std::string mood_;
  torch::nn::Linear layer_;
};

std::shared_ptr<Model> Make(const ModelShape& shape, const Options& options) {
  const std::string& mood = options.Text("mood");
  if (mood == "refuses") throw std::invalid_argument("I do not like that");
  if (mood == "throws") throw std::runtime_error("no model");
  if (mood == "gives none") return nullptr;
  return std::make_shared<OneLayer>(shape, mood);
}

Images Read(const Options& options, const std::vector<std::string>&,
            Part part) {
  const int64_t count = part == Part::kTrain ? 20 : 10;
  Images images{.channels = 1,
                .height = 2,
                .width = 2,
                .classes = 2,
                .mean = {0.5},
                .standard_deviation = {0.5}};
  for (int64_t i = 0; i < count; ++i) {
    images.labels.push_back(i % 2);
    images.pixels.insert(images.pixels.end(), 4, i % 2 == 0 ? 10 : 200);
  }
  if (options.Bool("spoiled")) images.labels[3] = 2;
  return images;
}

}  // namespace

HEADSTART_PLUGIN(registry) {
  registry.AddModel(
      {.name = "one_layer",
       .version = "1",
       .options =
           {{.name = "mood",
             .description = "What it does.",
             .default_value = "good"},
            {.name = "width", .default_value = 8, .minimum = 1, .maximum = 64}},
       .make = Make});
  registry.AddDataset({.name = "two_greys",
                       .version = "1.0",
                       .options = {{.name = "spoiled", .default_value = false}},
                       .read = Read});
}
