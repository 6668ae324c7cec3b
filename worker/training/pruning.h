// Magnitude pruning: which weights of a network are left out.
//
// Sources: Frankle and Carbin 2019 (iterative magnitude pruning); Wijnja,
// Wierstra and Hamburger 2020, whose code rounds down and prunes each tensor,
// biases too; the published code of both where rounding differs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"

#include "worker/training/phase_place.h"

namespace headstart::worker {

// What is ranked together.
enum class PruningScope {
  kTensor,
  kLayer,   // A layer's weight and bias.
  kGlobal,  // Everything.
};

// How many of n survivors go at rate p, the smallest first.
enum class PruningRounding {
  kFloor,  // floor(p n)
  kRound,  // p n to the nearest integer, halves to even
  kCeil,   // ceil(p n)
  // All up to and with the magnitude at place round(p n), counted from 0: one
  // more than kRound, and what is equal to it. As the code of
  // google-research/lottery-ticket-hypothesis.
  kGoogle,
  // All up to and with the magnitude at place ceil(p n), counted from 0. As the
  // code of open_lth.
  kOpenLth,
};

enum class PruningOrder {
  kMagnitude,
  kRandom,  // The control: as many, chosen by lot.
};

struct PruningOptions {
  double rate = 0.2;  // Above 0, below 1.
  // Of the last layer, 0 to below 1; as the others when it is not there. With
  // kGlobal only 0: then the last layer loses nothing, but counts in n.
  std::optional<double> output_rate;
  PruningScope scope = PruningScope::kTensor;
  PruningRounding rounding = PruningRounding::kFloor;
  PruningOrder order = PruningOrder::kMagnitude;
};

// What the model's tensors are set to at the beginning of a level.
enum class PruningReset {
  kStart,             // What they were after rewind_epoch.
  kFrameworkDefault,  // What the model was made with, before any initializer.
  kNothing,
};

// The proto's Pruning.
struct IterativePruning {
  PruningOptions prune;
  bool biases = false;
  int64_t epochs_per_level;
  PruningReset reset = PruningReset::kStart;
  int64_t rewind_epoch = 0;  // Of the first level; below epochs_per_level.
  bool reset_optimizer = true;
};

// `epoch` counts from 1. Later levels of a rewound run begin behind
// rewind_epoch.
PhasePlace PlaceOf(const IterativePruning& pruning, int64_t epoch);

// A parameter that loses entries, on loan.
struct PrunedTensor {
  std::string name;
  at::Tensor weights;  // Float or double, contiguous, on the CPU.
  at::Tensor mask;     // BOOL, of the same shape: false is pruned.
  int64_t layer;       // Equal for the tensors of one layer.
  bool is_output;      // Of the last layer.
};

// Clears in the masks what goes: among entries that are still there the
// smallest magnitudes, of equal ones the first. A share that rounds to none is
// none. `seed` is for kRandom.
void Prune(const PruningOptions& options,
           absl::Span<const PrunedTensor> tensors, uint64_t seed);

// Entries that are there.
int64_t CountSurvivors(const at::Tensor& mask);

// Sets what is pruned to 0, wherever `weights` is.
void ApplyMask(at::Tensor& weights, const at::Tensor& mask);

}  // namespace headstart::worker
