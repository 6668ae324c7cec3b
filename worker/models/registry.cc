#include "worker/models/registry.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "worker/models/cifar_mobilenet_v2.h"
#include "worker/models/cifar_resnet.h"
#include "worker/models/convnext.h"
#include "worker/models/densenet121.h"
#include "worker/models/densenet_bc.h"
#include "worker/models/fixup_resnet.h"
#include "worker/models/ghn2.h"
#include "worker/models/inception_v3.h"
#include "worker/models/lenet.h"
#include "worker/models/mobilenet_v2.h"
#include "worker/models/model.h"
#include "worker/models/resnet110.h"
#include "worker/models/sampled_cnn.h"
#include "worker/models/small_cnn.h"
#include "worker/models/swin.h"
#include "worker/models/torchvision_resnet.h"
#include "worker/models/wide_resnet.h"
#include "worker/spec_fields/spec_fields.h"

namespace headstart::worker {
namespace {

struct Entry {
  const char* name;
  // Null when every image is taken.
  bool (*takes)(const ModelShape& shape);
  const char* takes_what;
  // Reads its own options and no others.
  std::shared_ptr<Model> (*make)(const ModelShape& shape, SpecFields& options);
};

template <int64_t side>
bool TakesSide(const ModelShape& shape) {
  return shape.height >= side && shape.width >= side;
}

// Notes a problem with option `name` unless the images have sides of `side` or
// more.
void NeedSide(int64_t side, const ModelShape& shape, SpecFields& options,
              const std::string& name, absl::string_view value) {
  if (std::min(shape.height, shape.width) >= side) return;
  options.Refuse(options.At(name),
                 absl::StrCat(value, " needs images of ", side, "x", side,
                              " or more; the data set has ", shape.height, "x",
                              shape.width));
}

// Whether the stem is the one for small images. The usual one needs images of
// `usual_side` or more.
bool SmallImages(const ModelShape& shape, SpecFields& options,
                 int64_t usual_side = 1) {
  const bool small =
      options.Enum<bool>("stem", {{"IMAGENET", false}, {"SMALL_IMAGES", true}});
  if (!small) NeedSide(usual_side, shape, options, "stem", "IMAGENET");
  return small;
}

std::shared_ptr<Model> Inception(const ModelShape& shape, SpecFields& options) {
  const bool auxiliary = options.Bool("auxiliary_head");
  if (auxiliary) {
    NeedSide(kInceptionV3AuxiliaryMinSide, shape, options, "auxiliary_head",
             "true");
  }
  return MakeInceptionV3({.channels = shape.channels,
                          .classes = shape.classes,
                          .auxiliary_head = auxiliary,
                          .truncated_normal_weights = options.Enum<bool>(
                              "default_weights", {{"TRUNCATED_NORMAL", true},
                                                  {"FRAMEWORK", false}}),
                          .dropout = options.Number("dropout", kBelowOne)});
}

std::shared_ptr<Model> Convnext(ConvnextSize size, const ModelShape& shape,
                                SpecFields& options) {
  return MakeConvnext(
      {.channels = shape.channels,
       .classes = shape.classes,
       .size = size,
       .small_images = SmallImages(shape, options, kConvnextMinSide),
       .stochastic_depth = options.Number("stochastic_depth", kBelowOne)});
}

template <const ResnetLayout& layout>
std::shared_ptr<Model> CifarResnet(const ModelShape& shape, SpecFields&) {
  return MakeCifarResnet(
      {.channels = shape.channels, .classes = shape.classes, .layout = layout});
}

template <const ResnetLayout& layout>
std::shared_ptr<Model> TorchvisionResnet(const ModelShape& shape,
                                         SpecFields& options) {
  return MakeTorchvisionResnet({.channels = shape.channels,
                                .classes = shape.classes,
                                .layout = layout,
                                .small_images = SmallImages(shape, options)});
}

Norm NormOf(SpecFields& options) {
  return options.Enum<Norm>(
      "norm", {{"BATCH_NORM", Norm::kBatchNorm}, {"NO_NORM", Norm::kNone}});
}

std::shared_ptr<Model> Resnet110(const ModelShape& shape, SpecFields& options) {
  return MakeResnet110(
      {.channels = shape.channels,
       .classes = shape.classes,
       .norm = NormOf(options),
       .shortcut = options.Enum<Resnet110Shortcut>(
           "shortcut",
           {{"AVERAGE_POOL_NORM", Resnet110Shortcut::kAveragePoolNorm},
            {"PAD", Resnet110Shortcut::kPad},
            {"PROJECTION", Resnet110Shortcut::kProjection}})});
}

std::shared_ptr<Model> WideResnet(const ModelShape& shape,
                                  SpecFields& options) {
  return MakeWideResnet28x10({.channels = shape.channels,
                              .classes = shape.classes,
                              .norm = NormOf(options),
                              .conv_bias = options.Bool("conv_bias"),
                              .dropout = options.Number("dropout", kBelowOne)});
}

template <const FixupLayout& layout>
std::shared_ptr<Model> Fixup(const ModelShape& shape, SpecFields&) {
  return MakeFixupResnet(
      {.channels = shape.channels, .classes = shape.classes, .layout = layout});
}

CnnLayers LayersOf(SpecFields& options) {
  CnnLayers layers;
  for (SpecFields& layer : options.Objects("layers")) {
    layers.push_back({.channels = layer.Integer("channels", 1, 1024),
                      .kernel = layer.Integer("kernel", 1, 15),
                      .skip = layer.Bool("skip")});
    if (layers.back().kernel % 2 == 0) {
      layer.Refuse(layer.At("kernel"), "must be odd");
    }
    layer.Done();
  }
  if (layers.empty()) {
    options.Refuse(options.At("layers"), "is empty");
    layers.push_back({.channels = 1, .kernel = 1, .skip = false});
  }
  return layers;
}

std::shared_ptr<Model> Hypernetwork(const ModelShape& shape,
                                    SpecFields& options) {
  const int64_t hidden = options.Integer("hidden", 4, 1024);
  if (hidden % 4 != 0) {
    options.Refuse(options.At("hidden"), "must be a multiple of 4");
  }
  return std::make_shared<Ghn2>(Ghn2Options{
      .shape = shape,
      .architectures = options.Integer("architectures", 1, 100'000),
      .architecture_seed = static_cast<uint64_t>(options.Integer(
          "architecture_seed", std::numeric_limits<int64_t>::min())),
      .meta_batch = options.Integer("meta_batch", 1, 1024),
      .ghn = {.classes = shape.classes,
              .channels = options.Integer("channels", 1, 1024),
              .kernel = options.Integer("kernel", kSampleCnnsMaxKernel, 63),
              .hidden = hidden / 4 * 4}});
}

constexpr Entry kModels[] = {
    {"lenet_300_100",
     [](const ModelShape& s) {
       return s.channels == 1 && s.height == 28 && s.width == 28;
     },
     "28x28x1",
     [](const ModelShape& s, SpecFields& o) -> std::shared_ptr<Model> {
       return std::make_shared<Lenet300100>(
           s.channels * s.height * s.width, s.classes,
           o.Has("negative_slope") ? o.Number("negative_slope", kShare) : 0);
     }},
    {"small_cnn", TakesSide<4>, "4x4 or more",
     [](const ModelShape& s, SpecFields&) -> std::shared_ptr<Model> {
       return std::make_shared<SmallCnn>(s.channels, s.classes);
     }},
    {"sampled_cnn", TakesSide<kSampledCnnMinSide>, "4x4 or more",
     [](const ModelShape& s, SpecFields& options) -> std::shared_ptr<Model> {
       return std::make_shared<SampledCnn>(LayersOf(options), s);
     }},
    {"ghn2", TakesSide<kSampledCnnMinSide>, "4x4 or more", Hypernetwork},
    {"cifar_resnet18", nullptr, "any", CifarResnet<kResnet18>},
    {"cifar_resnet50", nullptr, "any", CifarResnet<kResnet50>},
    {"cifar_resnet152", nullptr, "any", CifarResnet<kResnet152>},
    {"preact_resnet18", nullptr, "any",
     [](const ModelShape& s, SpecFields&) {
       return MakePreactResnet18(
           {.channels = s.channels, .classes = s.classes});
     }},
    {"resnet18", nullptr, "any", TorchvisionResnet<kResnet18>},
    {"resnet34", nullptr, "any", TorchvisionResnet<kResnet34>},
    {"resnet50", nullptr, "any", TorchvisionResnet<kResnet50>},
    {"resnet101", nullptr, "any", TorchvisionResnet<kResnet101>},
    {"resnet152", nullptr, "any", TorchvisionResnet<kResnet152>},
    {"wide_resnet50_2", nullptr, "any", TorchvisionResnet<kWideResnet50x2>},
    {"resnet110", nullptr, "any", Resnet110},
    {"wide_resnet28_10", nullptr, "any", WideResnet},
    {"densenet_bc_100_12", TakesSide<kDensenetBcMinSide>, "4x4 or more",
     [](const ModelShape& s, SpecFields& options) {
       return MakeDensenetBc100x12({.channels = s.channels,
                                    .classes = s.classes,
                                    .norm = NormOf(options)});
     }},
    {"fixup_resnet20", nullptr, "any", Fixup<kFixupResnet20>},
    {"fixup_resnet56", nullptr, "any", Fixup<kFixupResnet56>},
    {"fixup_resnet110", nullptr, "any", Fixup<kFixupResnet110>},
    {"fixup_resnet18", nullptr, "any", Fixup<kFixupResnet18>},
    {"fixup_resnet50", nullptr, "any", Fixup<kFixupResnet50>},
    {"inception_v3", TakesSide<kInceptionV3MinSide>, "75x75 or more",
     Inception},
    {"mobilenet_v2", nullptr, "any",
     [](const ModelShape& s, SpecFields& options) {
       return MakeMobilenetV2(
           {.channels = s.channels,
            .classes = s.classes,
            .small_images = SmallImages(s, options),
            .dropout = options.Number("dropout", kBelowOne)});
     }},
    {"cifar_mobilenet_v2", nullptr, "any",
     [](const ModelShape& s, SpecFields&) {
       return MakeCifarMobilenetV2(
           {.channels = s.channels, .classes = s.classes});
     }},
    {"convnext_tiny", TakesSide<kConvnextSmallImagesMinSide>, "11x11 or more",
     [](const ModelShape& s, SpecFields& options) {
       return Convnext(ConvnextSize::kTiny, s, options);
     }},
    {"convnext_base", TakesSide<kConvnextSmallImagesMinSide>, "11x11 or more",
     [](const ModelShape& s, SpecFields& options) {
       return Convnext(ConvnextSize::kBase, s, options);
     }},
    {"swin_t", TakesSide<kSwinTinyMinSide>, "4x4 or more",
     [](const ModelShape& s, SpecFields& options) {
       return MakeSwinTiny(
           {.channels = s.channels,
            .classes = s.classes,
            .stochastic_depth = options.Number("stochastic_depth", kBelowOne)});
     }},
    {"densenet121", TakesSide<kDensenet121SmallImagesMinSide>, "8x8 or more",
     [](const ModelShape& s, SpecFields& options) {
       return MakeDensenet121(
           {.channels = s.channels,
            .classes = s.classes,
            .small_images = SmallImages(s, options, kDensenet121MinSide)});
     }},
};

}  // namespace

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) names.emplace_back(entry.name);
  return names;
}

absl::StatusOr<std::shared_ptr<Model>> MakeModel(const ModelSpec& spec,
                                                 const ModelShape& shape) {
  for (const Entry& entry : kModels) {
    if (entry.name != spec.name) continue;
    if (entry.takes != nullptr && !entry.takes(shape)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model ", spec.name, " takes images of ", entry.takes_what,
          ", but the data set has ", shape.height, "x", shape.width, "x",
          shape.channels, ". Choose another model or data set."));
    }
    const auto json = nlohmann::json::parse(spec.options_json, /*cb=*/nullptr,
                                            /*allow_exceptions=*/false);
    absl::Status status;
    SpecFields options(json, absl::StrCat("training.model.", spec.name),
                       status);
    std::shared_ptr<Model> model = entry.make(shape, options);
    options.Done();
    if (!status.ok()) return status;
    return model;
  }
  return absl::NotFoundError(
      absl::StrCat("there is no model \"", spec.name, "\"; there are ",
                   absl::StrJoin(ModelNames(), ", "), "."));
}

}  // namespace headstart::worker
