#include "worker/trainer/pruner.h"

#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/random_stream.h"
#include "base/status_macros.h"
#include "initializers/state_dict.h"

namespace headstart::worker {

using initializers::NamedTensor;

Pruner::Pruner(const IterativePruning& options, int64_t seed,
               ModelFactory make_model, Model& model, Optimizer& optimizer)
    : options_(options),
      seed_(seed),
      make_model_(std::move(make_model)),
      optimizer_(optimizer) {
  absl::flat_hash_map<std::string, at::Tensor> by_name;
  for (const NamedTensor& each : initializers::StateDict(model)) {
    by_name[each.name] = each.tensor;
    if (options.reset == PruningReset::kNothing) continue;
    tensors_.push_back(each.tensor);
    start_.push_back({.name = absl::StrCat("start.", each.name),
                      .tensor = each.tensor.detach().clone(),
                      .role = TensorRole::kState});
  }
  const std::vector<NamedTensor> weights = initializers::LayerWeights(model);
  const int64_t layers = static_cast<int64_t>(weights.size());
  for (int64_t layer = 0; layer < layers; ++layer) {
    const auto add = [&](const std::string& name, const at::Tensor& tensor) {
      pruned_.push_back({.parameter = tensor,
                         .layer = layer,
                         .is_output = layer == layers - 1});
      masks_.push_back({.name = absl::StrCat("mask.", name),
                        .tensor = at::ones(tensor.sizes(), at::kBool),
                        .role = TensorRole::kMask});
    };
    const std::string& weight = weights[layer].name;
    add(weight, weights[layer].tensor);
    const std::string bias =
        absl::StrCat(absl::StripSuffix(weight, "weight"), "bias");
    if (options.biases && by_name.contains(bias)) add(bias, by_name.at(bias));
  }
}

absl::Status Pruner::TakeMasks(
    absl::Span<const initializers::StoredTensor> masks) {
  absl::flat_hash_map<std::string, at::Tensor> by_name;
  for (const StateTensor& each : masks_) by_name[each.name] = each.tensor;
  for (const initializers::StoredTensor& stored : masks) {
    const auto found = by_name.find(stored.name);
    if (found == by_name.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "training.initializer: the ticket leaves out parts of ",
          absl::StripPrefix(stored.name, "mask."),
          ", which this run does not prune. Set pruning.biases, or leave "
          "pruning out."));
    }
    const at::Tensor bits =
        at::from_blob(const_cast<char*>(stored.bytes.data()),
                      found->second.sizes(), at::kBool);
    found->second.logical_and_(bits);
  }
  AfterStep();
  return absl::OkStatus();
}

absl::Status Pruner::Begin() {
  if (options_.reset != PruningReset::kFrameworkDefault) {
    KeepStart(tensors_);
    return absl::OkStatus();
  }
  // What the model would be without an initializer.
  HS_ASSIGN_OR_RETURN(
      const std::shared_ptr<Model> model,
      FreshModel(make_model_, initializers::FrameworkDefaultOptions{},
                 InitializerSeed(seed_)));
  std::vector<at::Tensor> values;
  for (const NamedTensor& each : initializers::StateDict(*model)) {
    values.push_back(each.tensor);
  }
  KeepStart(values);
  return absl::OkStatus();
}

void Pruner::KeepStart(const std::vector<at::Tensor>& values) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < start_.size(); ++i) {
    start_[i].tensor.copy_(values[i]);
  }
}

absl::Status Pruner::BeginPhase(int64_t level) {
  const at::NoGradGuard no_grad;
  Prune(level);
  for (size_t i = 0; i < start_.size(); ++i) {
    tensors_[i].copy_(start_[i].tensor);
  }
  AfterStep();
  if (options_.reset_optimizer) ResetState(optimizer_);
  return absl::OkStatus();
}

void Pruner::AfterEpoch(int64_t epoch) {
  if (options_.reset == PruningReset::kStart && epoch > 0 &&
      epoch == options_.rewind_epoch) {
    KeepStart(tensors_);
  }
}

void Pruner::Prune(int64_t level) {
  std::vector<PrunedTensor> tensors;
  for (size_t i = 0; i < pruned_.size(); ++i) {
    // Of one that is there already, these are the same.
    tensors.push_back({.name = masks_[i].name,
                       .weights = pruned_[i].parameter.detach().cpu(),
                       .mask = masks_[i].tensor.cpu(),
                       .layer = pruned_[i].layer,
                       .is_output = pruned_[i].is_output});
  }
  worker::Prune(options_.prune, tensors,
                RandomStream(seed_)
                    .Child("pruning", static_cast<uint64_t>(level))
                    .Bits64());
  for (size_t i = 0; i < pruned_.size(); ++i) {
    masks_[i].tensor.copy_(tensors[i].mask);
  }
}

void Pruner::AfterStep() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < pruned_.size(); ++i) {
    ApplyMask(pruned_[i].parameter, masks_[i].tensor);
  }
}

void Pruner::Measure(Measurement& measurement) const {
  int64_t count = 0, entries = 0;
  for (const StateTensor& mask : masks_) {
    const Survivors survivors = {
        .tensor = std::string(absl::StripPrefix(mask.name, "mask.")),
        .count = CountSurvivors(mask.tensor.cpu()),
        .entries = mask.tensor.numel()};
    count += survivors.count;
    entries += survivors.entries;
    measurement.survivors.push_back(survivors);
  }
  if (entries > 0) {
    measurement.survivor_share = static_cast<double>(count) / entries;
  }
}

}  // namespace headstart::worker
