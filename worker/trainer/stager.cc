#include "worker/trainer/stager.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "base/random_stream.h"
#include "base/status_macros.h"
#include "initializers/blocks.h"
#include "worker/datasets/split.h"

namespace headstart::worker {
namespace {

using initializers::Block;
using initializers::BlocksOf;
using initializers::NamedTensor;
using initializers::StateDict;

double NormOf(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor, 2, /*dim=*/{}, /*keepdim=*/false,
                                at::kDouble)
      .item<double>();
}

bool IsInserted(const LayerWiseStages* layer_wise) {
  return layer_wise != nullptr &&
         layer_wise->normalization != LayerWiseNormalization::kNothing;
}

// Weights and biases of convolutional and linear layers, in their order.
std::vector<std::vector<std::string>> LayersOf(Model& model) {
  std::vector<std::vector<std::string>> layers;
  for (const NamedTensor& weight : initializers::LayerWeights(model)) {
    layers.push_back(
        {weight.name,
         absl::StrCat(absl::StripSuffix(weight.name, "weight"), "bias")});
  }
  return layers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stager>> Stager::Make(const StageSetup& setup,
                                                     Model& model,
                                                     Optimizer& optimizer) {
  std::unique_ptr<Stager> stager(new Stager(setup, model, optimizer));
  const int64_t first = stager->setup_.stages.growing_data
                            ? ExamplesThere(setup.examples.size(),
                                            setup.stages.count, /*stage=*/0)
                            : setup.examples.size();
  if (first < setup.batch_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "training.batch_size: must be at most the ", first,
        " examples of the first stage, got ", setup.batch_size, "."));
  }
  HS_RETURN_IF_ERROR(stager->CheckBlocks());
  if (IsInserted(stager->layer_wise())) {
    HS_RETURN_IF_ERROR(stager->PlaceNorms());
  }
  stager->ListState();
  return stager;
}

Stager::Stager(const StageSetup& setup, Model& model, Optimizer& optimizer)
    : setup_(setup),
      model_(model),
      optimizer_(optimizer),
      tensors_(StateDict(model)) {
  if (setup.stages.distillation.has_value()) {
    distiller_.emplace(*setup.stages.distillation, setup.precision);
  }
}

absl::Status Stager::CheckBlocks() {
  if (layer_wise() == nullptr) return absl::OkStatus();
  const std::vector<Block> blocks = BlocksOf(model_);
  block_count_ = blocks.size();
  if (initializers::LayerWeights(model_).empty()) {
    return absl::InvalidArgumentError(
        "training.stages.layer_wise: the model has no layer whose weight is "
        "named so, and no classifier that could be drawn anew.");
  }
  if (layer_wise()->groups <= block_count_) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "training.stages.layer_wise.blocks: is ", layer_wise()->groups,
      ", and must be at most the model's ", block_count_, " blocks: ",
      absl::StrJoin(blocks, ", ",
                    [](std::string* text, const Block& block) {
                      absl::StrAppend(text, block.name);
                    }),
      "."));
}

absl::Status Stager::PlaceNorms() {
  HS_ASSIGN_OR_RETURN(
      const std::shared_ptr<Model> probe,
      FreshModel(setup_.make_model, initializers::FrameworkDefaultOptions{},
                 InitializerSeed(setup_.seed)));
  std::vector<int64_t> channels(block_count_);
  probe->ListenToBlocks([&](int64_t block, const at::Tensor& output) {
    channels.at(block) = output.size(1);
  });
  const InputInfo& info = setup_.examples.info();
  const at::NoGradGuard no_grad;
  probe->eval();
  probe->forward(ToInput(at::zeros({1, info.channels, info.height, info.width}),
                         setup_.precision));
  const at::ScalarType type = model_.parameters()[0].scalar_type();
  for (int64_t group = 1; group < layer_wise()->groups; ++group) {
    const int64_t block = BlocksKept(block_count_, layer_wise()->groups, group);
    if (channels[block - 1] == 0) {
      return absl::FailedPreconditionError(
          "training.stages.layer_wise.normalization: the model does not say "
          "where its blocks end, so nothing can be inserted there. Use "
          "NORMALIZE_NOTHING, or another model.");
    }
    const int64_t count =
        layer_wise()->normalization == LayerWiseNormalization::kChannels
            ? channels[block - 1]
            : 1;
    inserted_.push_back({.name = absl::StrCat("inserted.", block, ".mean"),
                         .tensor = at::zeros({count}, type),
                         .role = TensorRole::kInserted});
    inserted_.push_back({.name = absl::StrCat("inserted.", block, ".deviation"),
                         .tensor = at::ones({count}, type),
                         .role = TensorRole::kInserted});
  }
  model_.Insert(NormsOf(inserted_, /*phase=*/0));
  return absl::OkStatus();
}

void Stager::ListState() {
  if (layer_wise() != nullptr &&
      layer_wise()->rescale != LayerWiseRescale::kNothing) {
    norms_ = at::zeros({static_cast<int64_t>(tensors_.size())}, at::kDouble);
    state_.push_back(
        {.name = "norms", .tensor = norms_, .role = TensorRole::kState});
  }
  if (!distiller_.has_value()) return;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    teacher_.push_back(
        {.name = absl::StrCat("teacher.", name),
         .tensor = at::zeros(tensor.sizes(), tensor.scalar_type()),
         .role = TensorRole::kState});
  };
  for (const NamedTensor& each : tensors_) add(each.name, each.tensor);
  for (const StateTensor& each : inserted_) add(each.name, each.tensor);
  state_.insert(state_.end(), teacher_.begin(), teacher_.end());
}

std::vector<InsertedNorm> Stager::NormsOf(
    const std::vector<StateTensor>& inserted, int64_t phase) const {
  std::vector<InsertedNorm> norms;
  if (inserted.empty()) return norms;
  const LayerWiseStages& options = *layer_wise();
  for (int64_t group = 1; group < options.groups; ++group) {
    norms.resize(BlocksKept(block_count_, options.groups, group));
    norms.back() = {.mean = inserted[2 * (group - 1)].tensor,
                    .deviation = inserted[2 * (group - 1) + 1].tensor,
                    .is_active = group <= GroupsKept(options, phase + 1)};
  }
  return norms;
}

absl::Status Stager::Begin() {
  if (!norms_.defined()) return absl::OkStatus();
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!tensors_[i].is_buffer) norms_[i] = NormOf(tensors_[i].tensor);
  }
  return absl::OkStatus();
}

PhasePlace Stager::PlaceOf(int64_t epoch) const {
  return worker::PlaceOf(setup_.stages, setup_.epochs, epoch);
}

uint64_t Stager::DrawSeed(int64_t phase) const {
  return RandomStream(setup_.seed)
      .Child("reinit", static_cast<uint64_t>(phase + 1))
      .Bits64();
}

absl::Status Stager::BeginPhase(int64_t phase) {
  const at::NoGradGuard no_grad;
  if (distiller_.has_value()) SetTeacherTensors();
  if (setup_.stages.reset_optimizer) ResetState(optimizer_);
  if (std::holds_alternative<KeepWeights>(setup_.stages.method)) {
    return absl::OkStatus();
  }
  const initializers::InitializerOptions initializer =
      initializers::OnlyDraws(setup_.initializer)
          ? setup_.initializer
          : initializers::FrameworkDefaultOptions{};
  HS_ASSIGN_OR_RETURN(
      const std::shared_ptr<Model> fresh,
      FreshModel(setup_.make_model, initializer, DrawSeed(phase)));
  Combine(*fresh, phase);
  const std::vector<NamedTensor> values = StateDict(*fresh);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    at::Tensor(tensors_[i].tensor).copy_(values[i].tensor);
  }
  if (IsInserted(layer_wise())) Normalize(*fresh, phase);
  return absl::OkStatus();
}

void Stager::SetTeacherTensors() {
  size_t place = 0;
  for (const NamedTensor& each : tensors_) {
    teacher_[place++].tensor.copy_(each.tensor);
  }
  for (const StateTensor& each : inserted_) {
    teacher_[place++].tensor.copy_(each.tensor);
  }
}

void Stager::Combine(Model& fresh, int64_t phase) {
  if (layer_wise() != nullptr) return KeepGroups(fresh, phase);
  const auto* options = std::get_if<ShrinkPerturbStages>(&setup_.stages.method);
  if (options == nullptr) return;  // All is fresh.
  const std::vector<NamedTensor> values = StateDict(fresh);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (values[i].is_buffer) continue;
    at::Tensor(values[i].tensor)
        .copy_(initializers::ShrinkAndPerturb(
            tensors_[i].tensor.cpu(), values[i].tensor,
            {.shrink = options->shrink, .perturb = options->perturb}));
  }
}

void Stager::KeepGroups(Model& fresh, int64_t phase) {
  const LayerWiseStages& options = *layer_wise();
  const std::vector<Block> blocks = BlocksOf(fresh);
  const int64_t kept =
      BlocksKept(block_count_, options.groups, GroupsKept(options, phase + 1));
  absl::flat_hash_set<std::string> stays, in_layers;
  for (int64_t i = 0; i < kept; ++i) {
    stays.insert(blocks[i].tensors.begin(), blocks[i].tensors.end());
  }
  const auto layers = LayersOf(fresh);
  for (const auto& names : layers) in_layers.insert(names.begin(), names.end());
  // The last one is the classifier.
  for (const std::string& name : layers.back()) stays.erase(name);

  const std::vector<NamedTensor> values = StateDict(fresh);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const NamedTensor& each = values[i];
    if (!stays.contains(each.name)) continue;
    at::Tensor value = each.tensor;
    value.copy_(tensors_[i].tensor);
    const bool rescaled =
        !each.is_buffer && (options.rescale == LayerWiseRescale::kParameters ||
                            (options.rescale == LayerWiseRescale::kLayers &&
                             in_layers.contains(each.name)));
    if (!rescaled) continue;
    const double norm = NormOf(value);
    const double first = norms_[i].item<double>();
    if (norm > 0 && first > 0) value.mul_(first / norm);
  }
}

void Stager::Normalize(Model& fresh, int64_t phase) {
  const LayerWiseStages& options = *layer_wise();
  const int64_t group = GroupsKept(options, phase + 1);
  if (group == options.groups) return;  // Behind the last one nothing is.
  std::vector<StateTensor> before = inserted_;
  for (StateTensor& each : before) each.tensor = each.tensor.cpu();
  std::vector<InsertedNorm> norms = NormsOf(before, phase);
  const int64_t block = BlocksKept(block_count_, options.groups, group);
  norms[block - 1].is_active = false;
  fresh.Insert(std::move(norms));
  Moments moments;
  fresh.ListenToBlocks([&](int64_t at, const at::Tensor& output) {
    if (at == block - 1) moments = MomentsOf(output, options.normalization);
  });

  const std::vector<int32_t> there = ExamplesOf(phase);
  const int64_t count = there.empty() ? setup_.examples.size() : there.size();
  std::vector<int32_t> batch =
      EpochOrder(static_cast<int64_t>(DrawSeed(phase)), /*epoch=*/1, count);
  batch.resize(setup_.batch_size);
  for (int32_t& each : batch) {
    if (!there.empty()) each = there[each];
  }
  BatchReader reader(setup_.examples, setup_.batch_size);
  const KeptGenerator kept(DrawSeed(phase));  // Of its dropout.
  fresh.train();
  fresh.forward(ToInput(reader.Read(batch).images, setup_.precision));
  inserted_[2 * (group - 1)].tensor.copy_(moments.mean);
  inserted_[2 * (group - 1) + 1].tensor.copy_(moments.deviation);
}

std::vector<int32_t> Stager::ExamplesOf(int64_t phase) const {
  const int64_t all = setup_.examples.size();
  if (!setup_.stages.growing_data) return {};
  // Drawn as a whole: each part extends the ones before it.
  std::vector<int32_t> order = EpochOrder(
      static_cast<int64_t>(RandomStream(setup_.seed).Child("arrival").Bits64()),
      /*epoch=*/1, all);
  order.resize(ExamplesThere(all, setup_.stages.count, phase));
  return order;
}

absl::Status Stager::EnterPhase(int64_t phase,
                                absl::FunctionRef<bool()> cancelled) {
  there_ = ExamplesOf(phase);
  model_.Insert(NormsOf(inserted_, phase));
  has_teacher_ = distiller_.has_value() && phase > 0;
  if (!has_teacher_) return absl::OkStatus();

  HS_ASSIGN_OR_RETURN(std::shared_ptr<Model> teacher, setup_.make_model());
  const at::NoGradGuard no_grad;
  const c10::Device device = model_.parameters()[0].device();
  size_t place = 0;
  for (const NamedTensor& each : StateDict(*teacher)) {
    at::Tensor(each.tensor).copy_(teacher_[place++].tensor);
  }
  std::vector<StateTensor> inserted(teacher_.begin() + place, teacher_.end());
  for (StateTensor& each : inserted) {
    each.tensor = each.tensor.to(device, each.tensor.scalar_type(),
                                 /*non_blocking=*/false, /*copy=*/true);
  }
  teacher->Insert(NormsOf(inserted, phase - 1));
  return distiller_->Teach(std::move(teacher), device, setup_.examples,
                           cancelled);
}

}  // namespace headstart::worker
