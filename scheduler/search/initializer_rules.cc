#include "scheduler/search/initializer_rules.h"

#include <string>

#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "proto/checkpoint_fields.h"
#include "scheduler/search/field_rules.h"
#include "scheduler/search/spec_error.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

constexpr int kStepsMax = 20;
// A message to a trainer carries as many and some more.
constexpr size_t kCheckpointsMax = 50;

absl::Status CheckUniform(v1::Uniform uniform, absl::string_view path) {
  FillDefaults(uniform);
  if (uniform.max() > uniform.min()) return absl::OkStatus();
  return Wrong(
      path, "uniform.max",
      absl::StrCat("must be above min, which is ", DoubleText(uniform.min()),
                   ", got ", DoubleText(uniform.max()), "."));
}

absl::Status CheckNio(v1::Nio nio, absl::string_view path) {
  FillDefaults(nio);
  if (nio.sub_batches() <= nio.batch_size()) return absl::OkStatus();
  return Wrong(
      path, "nio.sub_batches",
      absl::StrCat("must be at most batch_size, which is ", nio.batch_size(),
                   ", got ", nio.sub_batches(), "."));
}

absl::Status CheckMean(const v1::MeanOfCheckpoints& mean,
                       absl::string_view path) {
  if (mean.checkpoints_size() < 2) {
    return Wrong(path, "mean.checkpoints",
                 "a mean needs two or more. To start from one, use "
                 "initializer.checkpoint.");
  }
  absl::btree_set<std::string> names;
  for (int i = 0; i < mean.checkpoints_size(); ++i) {
    if (!names.insert(mean.checkpoints(i)).second) {
      return Wrong(path, absl::StrCat("mean.checkpoints[", i, "]"),
                   absl::StrCat(mean.checkpoints(i), " stands twice."));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckWeightRule(const v1::Initializer& rule,
                             absl::string_view path) {
  switch (rule.kind_case()) {
    case v1::Initializer::kXavierUniform:
    case v1::Initializer::kXavierNormal:
    case v1::Initializer::kKaimingUniform:
    case v1::Initializer::kKaimingNormal:
    case v1::Initializer::kNormal:
    case v1::Initializer::kUniform:
    case v1::Initializer::kConstant:
    case v1::Initializer::kTruncatedNormal:
    case v1::Initializer::kOrthogonal:
      return CheckInitializer(rule, path);
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          path,
          ": must be a rule for weights: one of xavier_uniform, "
          "xavier_normal, kaiming_uniform, kaiming_normal, normal, uniform, "
          "constant, truncated_normal and orthogonal."));
  }
}

// `is_first`: nothing but the framework default is there before it.
absl::Status CheckKind(const v1::Initializer& initializer, bool is_first,
                       absl::string_view path);

absl::Status CheckChain(const v1::Chain& chain, absl::string_view path) {
  if (chain.steps_size() > kStepsMax) {
    return Wrong(path, "chain.steps",
                 absl::StrCat("there must be at most ", kStepsMax, ", got ",
                              chain.steps_size(), "."));
  }
  for (int i = 0; i < chain.steps_size(); ++i) {
    const v1::Initializer& step = chain.steps(i);
    const std::string at = absl::StrCat(path, ".chain.steps[", i, "]");
    if (step.has_chain()) {
      return absl::InvalidArgumentError(absl::StrCat(
          at, ": cannot be a chain. Write its steps into this one."));
    }
    if (i > 0 && step.has_framework_default()) {
      return absl::InvalidArgumentError(absl::StrCat(
          at,
          ": framework_default would undo the steps before it. Every "
          "chain begins with it; leave it out."));
    }
    HS_RETURN_IF_ERROR(CheckKind(step, /*is_first=*/i == 0, at));
  }
  return absl::OkStatus();
}

absl::Status CheckKind(const v1::Initializer& initializer, bool is_first,
                       absl::string_view path) {
  switch (initializer.kind_case()) {
    case v1::Initializer::kUniform:
      return CheckUniform(initializer.uniform(), path);
    case v1::Initializer::kNio:
      return CheckNio(initializer.nio(), path);
    case v1::Initializer::kMean:
      return CheckMean(initializer.mean(), path);
    case v1::Initializer::kForLayers:
      return CheckWeightRule(initializer.for_layers().initializer(),
                             absl::StrCat(path, ".for_layers.initializer"));
    case v1::Initializer::kKeepBlocks:
      if (!is_first) return absl::OkStatus();
      return Wrong(path, "keep_blocks",
                   "there is nothing to keep. Put it into a chain behind what "
                   "sets the blocks, such as checkpoint.");
    case v1::Initializer::kChain:
      return CheckChain(initializer.chain(), path);
    default:
      return absl::OkStatus();
  }
}

// Whether it can be the name of a checkpoint. A winner's is resolved later.
absl::Status CheckName(const std::string& path, const std::string& name) {
  const absl::StatusOr<CheckpointName> checkpoint = CheckpointName::Parse(name);
  if (checkpoint.ok()) return absl::OkStatus();
  const absl::StatusOr<WinnerName> winner = WinnerName::Parse(name);
  if (winner.ok() && winner->epoch.has_value()) return absl::OkStatus();
  return Annotate(checkpoint.status(), path);
}

}  // namespace

absl::Status CheckInitializer(const v1::Initializer& initializer,
                              absl::string_view path) {
  HS_RETURN_IF_ERROR(CheckKind(initializer, /*is_first=*/true, path));
  const size_t count = CheckpointsIn(initializer).size();
  if (count > kCheckpointsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": names ", count, " checkpoints; at most ",
                     kCheckpointsMax, " are allowed."));
  }
  v1::Initializer copy = initializer;
  return VisitCheckpoints(copy, path, CheckName);
}

}  // namespace headstart::scheduler
