// Every model with the numbers that are known of it beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "worker/models/registry.h"

namespace headstart::worker {

// The images are small ones, since some tests run every model on them.
struct KnownModel {
  const char* name;
  const char* options;
  int64_t side;  // Of square images with 3 channels; 28: one channel.
  int64_t classes;
  int64_t parameters;
  size_t parameter_tensors;
  size_t buffer_tensors;
  // Of all parameters under the model's own default, the square root of the
  // expected sum of squares.
  double norm;
  // How far one draw's may be off.
  double tolerance = 0.003;

  ModelSpec spec() const { return {.name = name, .options_json = options}; }
  ModelShape shape() const {
    return {.channels = side == 28 ? 1 : 3,
            .height = side,
            .width = side,
            .classes = classes};
  }
};

inline void PrintTo(const KnownModel& known, std::ostream* out) {
  *out << known.name << " " << known.options << " " << known.classes;
}

inline constexpr char kNone[] = "{}";
inline constexpr char kImagenetStem[] = R"({"stem": "IMAGENET"})";
inline constexpr char kSmallStem[] = R"({"stem": "SMALL_IMAGES"})";
inline constexpr char kNorm[] = R"({"norm": "BATCH_NORM"})";
inline constexpr char kNoNorm[] = R"({"norm": "NO_NORM"})";
inline constexpr char kResnet110[] =
    R"({"norm": "BATCH_NORM", "shortcut": "AVERAGE_POOL_NORM"})";
inline constexpr char kResnet110NoNorm[] =
    R"({"norm": "NO_NORM", "shortcut": "AVERAGE_POOL_NORM"})";
inline constexpr char kResnet110Pad[] =
    R"({"norm": "BATCH_NORM", "shortcut": "PAD"})";
inline constexpr char kResnet110Projection[] =
    R"({"norm": "BATCH_NORM", "shortcut": "PROJECTION"})";
inline constexpr char kWideResnet[] =
    R"({"norm": "BATCH_NORM", "conv_bias": true, "dropout": 0})";
inline constexpr char kWideResnetNoBias[] =
    R"({"norm": "BATCH_NORM", "conv_bias": false, "dropout": 0.3})";
inline constexpr char kWideResnetNoNorm[] =
    R"({"norm": "NO_NORM", "conv_bias": true, "dropout": 0})";
inline constexpr char kInception[] =
    R"({"auxiliary_head": false, "default_weights": "TRUNCATED_NORMAL",
        "dropout": 0.5})";
inline constexpr char kInceptionWithHead[] =
    R"({"auxiliary_head": true, "default_weights": "TRUNCATED_NORMAL",
        "dropout": 0.5})";
inline constexpr char kInceptionFramework[] =
    R"({"auxiliary_head": true, "default_weights": "FRAMEWORK",
        "dropout": 0.5})";
inline constexpr char kMobilenet[] = R"({"stem": "IMAGENET", "dropout": 0.2})";
inline constexpr char kMobilenetSmall[] =
    R"({"stem": "SMALL_IMAGES", "dropout": 0.2})";
inline constexpr char kConvnext[] =
    R"({"stem": "IMAGENET", "stochastic_depth": 0.1})";
inline constexpr char kConvnextSmall[] =
    R"({"stem": "SMALL_IMAGES", "stochastic_depth": 0.1})";
inline constexpr char kSwin[] = R"({"stochastic_depth": 0.2})";

inline constexpr char kSampledCnn[] =
    R"({"layers": [{"channels": 16, "kernel": 3, "skip": false},
                   {"channels": 24, "kernel": 5, "skip": true},
                   {"channels": 24, "kernel": 1, "skip": true}]})";
inline constexpr char kGhn2[] =
    R"({"architectures": 20, "architecture_seed": 1, "meta_batch": 8,
        "channels": 32, "kernel": 5, "hidden": 32})";

// clang-format off
inline constexpr KnownModel kKnownModels[] = {
    {"lenet_300_100", kNone, 28, 10, 266'610, 6, 0, 11.7021, 0.01},
    {"small_cnn", kNone, 28, 10, 94'186, 11, 9, 17.3789, 0.01},
    {"small_cnn", kNone, 32, 10, 94'762, 11, 9, 17.3789, 0.01},
    {"cifar_resnet18", kNone, 32, 10, 11'173'962, 62, 60, 80.0209},
    {"cifar_resnet18", kNone, 28, 10, 11'172'810, 62, 60, 80.0209},
    {"cifar_resnet18", kNone, 32, 100, 11'220'132, 62, 60, 80.2085},
    {"cifar_resnet18", kNone, 32, 200, 11'271'432, 62, 60, 80.4164},
    {"cifar_resnet50", kNone, 16, 10, 23'520'842, 161, 159, 188.1932},
    {"cifar_resnet152", kNone, 16, 10, 58'156'618, 467, 465, 317.7305},
    {"cifar_resnet152", kNone, 16, 100, 58'341'028, 467, 465, 317.7777},
    {"preact_resnet18", kNone, 16, 10, 11'171'146, 54, 48, 70.6777},
    {"preact_resnet18", kNone, 16, 100, 11'217'316, 54, 48, 70.8900},
    {"preact_resnet18", kNone, 16, 200, 11'268'616, 54, 48, 71.1252},
    {"resnet18", kImagenetStem, 32, 1000, 11'689'512, 62, 60, 113.2254},
    {"resnet18", kImagenetStem, 32, 200, 11'279'112, 62, 60, 112.0393},
    {"resnet34", kImagenetStem, 32, 1000, 21'797'672, 110, 108, 154.7772},
    {"resnet50", kImagenetStem, 32, 1000, 25'557'032, 161, 159, 268.2452},
    {"resnet50", kImagenetStem, 32, 10, 23'528'522, 161, 159, 267.6291},
    {"resnet50", kSmallStem, 16, 10, 23'520'842, 161, 159, 267.6291},
    {"resnet101", kImagenetStem, 32, 1000, 44'549'160, 314, 312, 387.6745},
    {"resnet152", kImagenetStem, 32, 1000, 60'192'808, 467, 465, 468.4138},
    {"wide_resnet50_2", kImagenetStem, 32, 1000, 68'883'240, 161, 159, 307.5898},
    {"resnet110", kResnet110, 16, 10, 1'728'058, 333, 333, 109.8787},
    {"resnet110", kResnet110, 16, 100, 1'733'908, 333, 333, 110.0152},
    {"resnet110", kResnet110NoNorm, 16, 10, 1'723'914, 220, 0, 89.3159},
    {"resnet110", kResnet110NoNorm, 16, 100, 1'729'764, 220, 0, 89.4837},
    {"resnet110", kResnet110Pad, 16, 10, 1'727'962, 329, 327, 109.6601},
    {"resnet110", kResnet110Projection, 16, 10, 1'730'714, 335, 333, 110.5320},
    {"wide_resnet28_10", kWideResnet, 16, 10, 36'489'290, 108, 75, 111.1343},
    {"wide_resnet28_10", kWideResnet, 16, 100, 36'546'980, 108, 75, 111.2694},
    {"wide_resnet28_10", kWideResnetNoBias, 16, 10, 36'479'194, 80, 75, 111.1066},
    {"wide_resnet28_10", kWideResnetNoBias, 16, 100, 36'536'884, 80, 75, 111.2417},
    {"wide_resnet28_10", kWideResnetNoNorm, 16, 10, 36'471'338, 58, 0, 58.0933},
    {"wide_resnet28_10", kWideResnetNoNorm, 16, 100, 36'529'028, 58, 0, 58.3513},
    {"densenet_bc_100_12", kNorm, 16, 10, 769'162, 299, 297, 187.9025},
    {"densenet_bc_100_12", kNorm, 16, 100, 800'032, 299, 297, 187.9823},
    {"densenet_bc_100_12", kNoNorm, 16, 10, 748'336, 200, 0, 152.6880},
    {"densenet_bc_100_12", kNoNorm, 16, 100, 779'206, 200, 0, 152.7862},
    {"densenet121", kImagenetStem, 64, 1000, 7'978'856, 364, 363, 250.2745},
    // The stem has 64 * 3 * (49 - 9) weights less.
    {"densenet121", kSmallStem, 32, 10, 6'956'426, 364, 363, 249.6144},
    {"fixup_resnet20", kNone, 16, 10, 268'393, 68, 0, 8.8506, 0.01},
    {"fixup_resnet56", kNone, 16, 10, 849'091, 194, 0, 10.1708, 0.01},
    {"fixup_resnet110", kNone, 16, 10, 1'720'138, 383, 0, 11.4988, 0.01},
    {"fixup_resnet18", kNone, 32, 1000, 11'679'954, 64, 0, 35.9629},
    {"fixup_resnet50", kNone, 32, 1000, 25'504'026, 169, 0, 110.4415},
    {"inception_v3", kInception, 75, 1000, 23'834'568, 284, 282, 505.1807},
    {"inception_v3", kInception, 75, 101, 21'992'517, 284, 282, 486.6167},
    {"inception_v3", kInceptionWithHead, 299, 1000, 27'161'264, 292, 288, 507.2805},
    {"inception_v3", kInceptionWithHead, 299, 101, 24'627'882, 292, 288, 488.7952},
    {"inception_v3", kInceptionFramework, 299, 1000, 27'161'264, 292, 288, 157.5328},
    {"mobilenet_v2", kMobilenet, 64, 1000, 3'504'872, 158, 156, 185.7525},
    {"mobilenet_v2", kMobilenetSmall, 32, 10, 2'236'682, 158, 156, 185.4111},
    {"cifar_mobilenet_v2", kNone, 32, 10, 2'296'922, 173, 171, 152.9553},
    {"cifar_mobilenet_v2", kNone, 32, 100, 2'412'212, 173, 171, 153.0535},
    {"convnext_tiny", kConvnext, 64, 1000, 28'589'128, 182, 0, 139.8914},
    {"convnext_base", kConvnext, 64, 1000, 88'591'464, 344, 0, 235.5097},
    {"convnext_base", kConvnextSmall, 32, 10, 87'576'714, 344, 0, 234.6472},
    {"swin_t", kSwin, 64, 1000, 28'288'354, 173, 12, 153.9608},
    {"sampled_cnn", kSampledCnn, 28, 10, 11'042, 10, 0, 5.8525, 0.04},
    {"ghn2", kGhn2, 28, 10, 420'956, 31, 0, 73.477, 0.03},
};
// clang-format on

}  // namespace headstart::worker
