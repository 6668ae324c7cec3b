// The bodies of the CUDA kernels: what one thread does, as plain functions over
// plain structs of pointers into the device's memory. On the CPU, index by
// index, they do the same (fake_device.h), and tests hold them against the
// CPU's augmentation and optimizer.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/host_device.h"
#include "worker/datasets/augmentation_math.h"
#include "worker/training/step_math.h"

namespace headstart::worker {

// One image of a batch: which example, what was drawn for it, and with mixup
// which other image of the batch is blended into it.
struct Pick {
  int32_t example;
  int32_t partner;  // -1: none.
  ImagePlan plan;
};

// Numbers of a batch's images.
enum class ImageType : int32_t { kFloat, kBf16 };

// What changes from step to step, in the device's memory: a recorded step reads
// it anew each time. Labels and picks lie in memory of their own.
struct StepNumbers {
  const uint8_t* pixels;  // Of all examples: [.., channels, height, width].
  double mix_weight;
  int64_t counted;  // Of an evaluation: rows from here on only fill the batch.
  SgdTerms<double> sgd[4];  // By ParameterGroup.
  AdamTerms<double> adam[4];
};

struct AssembleArguments {
  const StepNumbers* numbers;
  const Pick* picks;
  const Normalization* channels;
  int64_t rows;
  int32_t channel_count;
  int32_t height;
  int32_t width;
  bool interleaved;  // [rows, height, width, channels].
  ImageType type;
  void* images;
};

// The nearest bfloat16, to even, of a finite number; its bits.
HS_HOST_DEVICE inline uint16_t ToBf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  bits += 0x7fff + ((bits >> 16) & 1);
  return static_cast<uint16_t>(bits >> 16);
}

// All channels of one pixel of the batch, index = (row * height + y) * width +
// x.
HS_HOST_DEVICE inline void AssemblePixel(const AssembleArguments& to,
                                         int64_t index) {
  const int64_t plane = static_cast<int64_t>(to.height) * to.width;
  const int64_t row = index / plane;
  const int32_t y = static_cast<int32_t>(index % plane / to.width);
  const int32_t x = static_cast<int32_t>(index % to.width);
  const Pick& pick = to.picks[row];
  const Pick& partner = to.picks[pick.partner < 0 ? row : pick.partner];
  const float weight = static_cast<float>(to.numbers->mix_weight);
  for (int32_t c = 0; c < to.channel_count; ++c) {
    const auto value_of = [&](const Pick& of) {
      return AugmentPixel(
          to.numbers->pixels +
              (static_cast<int64_t>(of.example) * to.channel_count + c) * plane,
          to.height, to.width, y, x, of.plan, to.channels[c]);
    };
    float value = value_of(pick);
    if (pick.partner >= 0) value = MixPixel(value, value_of(partner), weight);
    const int64_t at =
        to.interleaved ? index * to.channel_count + c
                       : (row * to.channel_count + c) * plane + index % plane;
    if (to.type == ImageType::kBf16) {
      static_cast<uint16_t*>(to.images)[at] = ToBf16(value);
    } else {
      static_cast<float*>(to.images)[at] = value;
    }
  }
}

// A parameter, its gradient, and what the rule keeps of it: float or double
// all of them.
struct StepTensor {
  const void* gradient;
  void* weight;
  void* first;   // Null for SGD without momentum.
  void* second;  // Null for SGD.
  int64_t count;
  int32_t group;
};

enum class StepRule : int32_t { kSgd, kAdam };

struct UpdateArguments {
  const StepNumbers* numbers;
  const double* gradient_scale;  // Null: 1.
  StepRule rule;
  bool is_double;
};

template <typename T>
HS_HOST_DEVICE inline void UpdateNumber(const UpdateArguments& how,
                                        const StepTensor& of, int64_t i) {
  const T gradient = static_cast<const T*>(of.gradient)[i];
  T* weight = static_cast<T*>(of.weight) + i;
  T* first = of.first == nullptr ? nullptr : static_cast<T*>(of.first) + i;
  const T scale =
      static_cast<T>(how.gradient_scale == nullptr ? 1 : *how.gradient_scale);
  Stepped<T> stepped;
  if (how.rule == StepRule::kAdam) {
    AdamTerms<T> terms = Rounded<T>(how.numbers->adam[of.group]);
    terms.gradient_scale = scale;
    T* second = static_cast<T*>(of.second) + i;
    stepped = AdamStep(terms, gradient, *weight, *first, *second);
    *second = stepped.second;
  } else {
    SgdTerms<T> terms = Rounded<T>(how.numbers->sgd[of.group]);
    terms.gradient_scale = scale;
    stepped = first == nullptr ? SgdStep(terms, gradient, *weight)
              : terms.nesterov
                  ? MomentumStep<true>(terms, gradient, *weight, *first)
                  : MomentumStep<false>(terms, gradient, *weight, *first);
  }
  if (first != nullptr) *first = stepped.first;
  *weight = stepped.weight;
}

// Sums over the batches since they were last set to zero.
struct Sums {
  double loss;
  double correct;
};

struct CountArguments {
  const StepNumbers* numbers;
  const void* logits;  // Float or double [rows, classes].
  const int64_t* labels;
  const int64_t* mixed_labels;  // Null without mixup.
  const void* loss;  // The part's loss, in the logits' type; null: it is summed
                     // over the counted rows, as an evaluation's is.
  double loss_weight;
  int64_t rows;
  int64_t classes;
  bool is_double;
  Sums* sums;
};

// Whether the largest value, the first of equals, is where `label` says.
template <typename T>
HS_HOST_DEVICE inline bool IsCorrect(const T* row, int64_t classes,
                                     int64_t label) {
  int64_t largest = 0;
  for (int64_t i = 1; i < classes; ++i) {
    if (row[largest] < row[i]) largest = i;
  }
  return largest == label;
}

// Cross-entropy, in double.
template <typename T>
HS_HOST_DEVICE inline double RowLoss(const T* row, int64_t classes,
                                     int64_t label) {
  double largest = row[0];
  for (int64_t i = 1; i < classes; ++i) {
    if (largest < row[i]) largest = row[i];
  }
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i) sum += exp(row[i] - largest);
  return log(sum) - (row[label] - largest);
}

// What one row adds.
template <typename T>
HS_HOST_DEVICE inline Sums CountRow(const CountArguments& of, int64_t row) {
  const T* logits = static_cast<const T*>(of.logits) + row * of.classes;
  Sums adds = {0, 0};
  adds.correct = IsCorrect(logits, of.classes, of.labels[row]);
  if (of.mixed_labels != nullptr) {
    const double weight = of.numbers->mix_weight;
    adds.correct =
        adds.correct * weight +
        IsCorrect(logits, of.classes, of.mixed_labels[row]) * (1 - weight);
  }
  if (of.loss == nullptr) {
    adds.loss = RowLoss(logits, of.classes, of.labels[row]);
  }
  return adds;
}

// What the part adds beside its rows.
template <typename T>
HS_HOST_DEVICE inline double PartLoss(const CountArguments& of) {
  return of.loss == nullptr
             ? 0
             : static_cast<double>(*static_cast<const T*>(of.loss)) *
                   of.loss_weight;
}

// Rows that count.
HS_HOST_DEVICE inline int64_t CountedRows(const CountArguments& of) {
  return of.loss != nullptr || of.numbers->counted > of.rows
             ? of.rows
             : of.numbers->counted;
}

}  // namespace headstart::worker
