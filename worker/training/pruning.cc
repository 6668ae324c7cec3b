#include "worker/training/pruning.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>

#include "base/check.h"
#include "base/random_stream.h"
#include "base/widest_vectors.h"

namespace headstart::worker {
namespace {

// An entry that is still there.
struct Entry {
  double magnitude;  // Or, for kRandom, its lot.
  int64_t place;     // In the order of tensors and their entries.
  bool* mask;

  bool operator<(const Entry& other) const {
    return std::pair(magnitude, place) <
           std::pair(other.magnitude, other.place);
  }
};

// What is ranked together. `counted` of them decide how many go.
struct Group {
  double rate;
  std::vector<Entry> entries;
  int64_t counted = 0;
};

template <typename T>
void AppendEntries(const at::Tensor& weights, bool* mask, int64_t& place,
                   std::vector<Entry>& entries) {
  const T* values = weights.const_data_ptr<T>();
  for (int64_t i = 0; i < weights.numel(); ++i, ++place) {
    if (!mask[i]) continue;
    entries.push_back({.magnitude = std::abs(double{values[i]}),
                       .place = place,
                       .mask = &mask[i]});
  }
}

// In the order of the tensors, or their layers.
std::vector<Group> GroupsOf(const PruningOptions& options,
                            absl::Span<const PrunedTensor> tensors) {
  std::vector<Group> groups;
  int64_t place = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const PrunedTensor& tensor = tensors[i];
    const bool joins = i > 0 && (options.scope == PruningScope::kGlobal ||
                                 (options.scope == PruningScope::kLayer &&
                                  tensor.layer == tensors[i - 1].layer));
    if (!joins) groups.push_back({.rate = options.rate, .entries = {}});
    Group& group = groups.back();
    const bool is_spared = tensor.is_output &&
                           options.output_rate.has_value() &&
                           options.scope == PruningScope::kGlobal;
    if (tensor.is_output && !is_spared) {
      group.rate = options.output_rate.value_or(options.rate);
    }
    std::vector<Entry> entries;
    bool* mask = tensor.mask.mutable_data_ptr<bool>();
    if (tensor.weights.scalar_type() == at::kDouble) {
      AppendEntries<double>(tensor.weights, mask, place, entries);
    } else {
      AppendEntries<float>(tensor.weights, mask, place, entries);
    }
    group.counted += static_cast<int64_t>(entries.size());
    if (is_spared) continue;
    group.entries.insert(group.entries.end(), entries.begin(), entries.end());
  }
  return groups;
}

// The first entries, of `counted` that count; sorted.
int64_t CountToPrune(PruningRounding rounding, double rate, int64_t counted,
                     absl::Span<const Entry> entries) {
  const double share = rate * static_cast<double>(counted);
  const int64_t size = static_cast<int64_t>(entries.size());
  // What is not larger than the one at `place` goes.
  const auto up_to = [&](double place) {
    const Entry& last =
        entries[std::min(static_cast<int64_t>(place), size - 1)];
    return std::upper_bound(entries.begin(), entries.end(), last,
                            [](const Entry& a, const Entry& b) {
                              return a.magnitude < b.magnitude;
                            }) -
           entries.begin();
  };
  switch (rounding) {
    case PruningRounding::kFloor:
      return std::min(size, static_cast<int64_t>(std::floor(share)));
    case PruningRounding::kRound:
      return std::min(size, static_cast<int64_t>(std::nearbyint(share)));
    case PruningRounding::kCeil:
      return std::min(size, static_cast<int64_t>(std::ceil(share)));
    case PruningRounding::kGoogle:
      return up_to(std::nearbyint(share));
    case PruningRounding::kOpenLth:
      return up_to(std::ceil(share));
  }
  return 0;
}

// Entries that are worth another thread.
constexpr int64_t kGrain = 32768;

// The bits of T as an integer.
template <typename T>
using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

// Not by branches: masks are not to be predicted. By bytes: of bools GCC makes
// no vectors.
template <typename T>
[[gnu::always_inline]] inline void ClearBody(T* values, const uint8_t* there,
                                             int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<BitsOf<T>>(values[i]);
    values[i] = std::bit_cast<T>(bits & (BitsOf<T>{0} - BitsOf<T>{there[i]}));
  }
}

HS_WIDEST_VECTORS void ClearRun(float* values, const uint8_t* there,
                                int64_t count) {
  ClearBody(values, there, count);
}
HS_WIDEST_VECTORS void ClearRun(double* values, const uint8_t* there,
                                int64_t count) {
  ClearBody(values, there, count);
}

// LibTorch's product would first make numbers of the mask.
template <typename T>
void ClearPruned(at::Tensor& weights, const at::Tensor& mask) {
  T* values = weights.mutable_data_ptr<T>();
  const auto* there =
      reinterpret_cast<const uint8_t*>(mask.const_data_ptr<bool>());
  at::parallel_for(0, weights.numel(), kGrain,
                   [values, there](int64_t begin, int64_t end) {
                     ClearRun(values + begin, there + begin, end - begin);
                   });
}

}  // namespace

PhasePlace PlaceOf(const IterativePruning& pruning, int64_t epoch) {
  const int64_t first = pruning.epochs_per_level;
  if (epoch <= first) {
    return {.phase = 0, .epoch = epoch, .epochs = first, .begins = false};
  }
  const int64_t other = first - pruning.rewind_epoch;
  const int64_t behind = epoch - first - 1;
  return {.phase = 1 + behind / other,
          .epoch = pruning.rewind_epoch + 1 + behind % other,
          .epochs = first,
          .begins = behind % other == 0};
}

void Prune(const PruningOptions& options,
           absl::Span<const PrunedTensor> tensors, uint64_t seed) {
  for (const PrunedTensor& tensor : tensors) {
    HS_CHECK(tensor.weights.is_contiguous() && tensor.mask.is_contiguous() &&
             tensor.weights.sizes() == tensor.mask.sizes())
        << tensor.name;
  }
  const RandomStream lots = RandomStream(seed).Child("pruning");
  for (Group& group : GroupsOf(options, tensors)) {
    if (group.entries.empty() || group.rate == 0) continue;
    if (options.order == PruningOrder::kRandom) {
      for (Entry& entry : group.entries) {
        entry.magnitude =
            lots.Child("entry", static_cast<uint64_t>(entry.place)).Uniform();
      }
    }
    std::sort(group.entries.begin(), group.entries.end());
    const int64_t count = CountToPrune(options.rounding, group.rate,
                                       group.counted, group.entries);
    for (int64_t i = 0; i < count; ++i) *group.entries[i].mask = false;
  }
}

int64_t CountSurvivors(const at::Tensor& mask) {
  const bool* bits = mask.const_data_ptr<bool>();
  return std::count(bits, bits + mask.numel(), true);
}

void ApplyMask(at::Tensor& weights, const at::Tensor& mask) {
  if (!weights.is_cpu()) {
    weights.mul_(mask);
  } else if (weights.scalar_type() == at::kDouble) {
    ClearPruned<double>(weights, mask);
  } else {
    ClearPruned<float>(weights, mask);
  }
}

}  // namespace headstart::worker
