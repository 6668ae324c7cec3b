// Residual networks that train without norms.
#pragma once

#include <cstdint>
#include <memory>

namespace headstart::worker {

class Model;

// How a Fixup network is built: as for CIFAR, planes from 16 on behind a 3x3
// stem, shortcuts that drop pixels and append channels of 0; or as for
// ImageNet, planes from 64 on behind a 7x7 stem and pooling, shortcuts that are
// 1x1 convolutions. Each stage has twice the planes of the one before.
struct FixupLayout {
  bool cifar;
  bool bottlenecks;
  int64_t blocks[4];  // Of each stage, 0 for one that is not there.
};
inline constexpr FixupLayout kFixupResnet20 = {true, false, {3, 3, 3}};
inline constexpr FixupLayout kFixupResnet56 = {true, false, {9, 9, 9}};
inline constexpr FixupLayout kFixupResnet110 = {true, false, {18, 18, 18}};
inline constexpr FixupLayout kFixupResnet18 = {false, false, {2, 2, 2, 2}};
inline constexpr FixupLayout kFixupResnet50 = {false, true, {3, 4, 6, 3}};

struct FixupResnetOptions {
  int64_t channels;
  int64_t classes;
  FixupLayout layout;
};

// The network of Zhang, Dauphin and Ma 2019, for images of any size: scalar
// biases around the convolutions and a scalar factor behind the last one of a
// block take the place of norms. With L blocks of m convolutions it starts with
// Kaiming normal weights, fan-out, times L^(-1 / (2 m - 2)) in the blocks, but
// 0 for the last convolution of each block and for the classifier, so that its
// first logits are 0.
//
// Names: conv1, bias1, layer{1..4}.{b}.{bias1a, bias1b, bias2a, bias2b, bias3a,
// bias3b, scale, conv1, conv2, conv3, downsample}, bias2, fc.
std::shared_ptr<Model> MakeFixupResnet(const FixupResnetOptions& options);

}  // namespace headstart::worker
