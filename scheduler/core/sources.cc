#include "scheduler/core/sources.h"

#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "proto/checkpoint_fields.h"
#include "scheduler/core/plugins.h"
#include "scheduler/search/field_rules.h"
#include "scheduler/search/initializer_rules.h"
#include "scheduler/search/phase_rules.h"
#include "scheduler/search/spec_defaults.h"
#include "scheduler/search/spec_error.h"
#include "scheduler/search/spec_facts.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

// Calls `visit` with each choice that concerns the initializer, and with what
// stands in front of an error about it.
absl::Status VisitInitializerChoices(
    v1::Search& search,
    absl::FunctionRef<absl::Status(const std::string& where,
                                   const std::string& path,
                                   google::protobuf::Value& value)>
        visit) {
  int i = 0;
  for (v1::Parameter& parameter : *search.mutable_parameters()) {
    const std::string& path = parameter.path();
    const std::string where =
        absl::StrCat("search.parameters[", i++, "] \"", path, "\"");
    if (path != "initializer" && !absl::StartsWith(path, "initializer.")) {
      continue;
    }
    for (int j = 0; j < parameter.choice().values_size(); ++j) {
      HS_RETURN_IF_ERROR(visit(absl::StrCat(where, ": values[", j, "]"), path,
                               *parameter.mutable_choice()->mutable_values(j)));
    }
  }
  return absl::OkStatus();
}

std::vector<CheckpointName> Sorted(const absl::btree_set<std::string>& names) {
  absl::btree_set<CheckpointName> sources;
  for (const std::string& name : names) {
    if (const auto source = CheckpointName::Parse(name); source.ok()) {
      sources.insert(*source);
    }
  }
  return {sources.begin(), sources.end()};
}

absl::Status CheckSeeds(const v1::Training& training,
                        absl::string_view prefix) {
  if (training.seeds_size() < 1 || training.seeds_size() > 1'000) {
    return Wrong(
        prefix, "seeds",
        absl::StrCat("there must be 1 to 1,000, got ", training.seeds_size(),
                     ". Each seed is one run."));
  }
  absl::btree_set<int64_t> seeds;
  for (const int64_t seed : training.seeds()) {
    if (!seeds.insert(seed).second) {
      return Wrong(prefix, "seeds", absl::StrCat(seed, " stands twice."));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointName> ResolveSource(const State& state,
                                             const v1::TrainingSource& from,
                                             absl::string_view prefix) {
  std::string name = from.checkpoint();
  if (from.has_winner()) {
    const absl::StatusOr<StudyName> study =
        StudyName::Parse(from.winner().study());
    if (!study.ok()) {
      return Annotate(study.status(), Below(prefix, "from.winner.study"));
    }
    name = WinnerName{study->study, from.winner().epoch()}.ToString();
  }
  const absl::StatusOr<CheckpointName> source = ResolveCheckpoint(state, name);
  if (!source.ok()) return Annotate(source.status(), Below(prefix, "from"));
  if (from.values_only() && source->run.kind == RunKind::kImport) {
    return Wrong(prefix, "from.values_only",
                 absl::StrCat(name, " is imported and has weights only."));
  }
  return source;
}

// Replaces every winner's checkpoint that `message`, which stands at `path`,
// names by the trial's.
absl::Status ResolveNames(const State& state, absl::string_view path,
                          google::protobuf::Message& message) {
  return VisitCheckpoints(
      message, path,
      [&](const std::string& where, std::string& name) -> absl::Status {
        const absl::StatusOr<CheckpointName> checkpoint =
            ResolveCheckpoint(state, name);
        if (!checkpoint.ok()) return Annotate(checkpoint.status(), where);
        name = checkpoint->ToString();
        return absl::OkStatus();
      });
}

// The weights of a checkpoint, as an initializer. What a source leaves out
// stays out. `inherited`: what the source's run trained; none of an import.
v1::Initializer WeightsOf(const CheckpointName& source,
                          const std::optional<v1::TrainingSpec>& inherited) {
  v1::Initializer weights;
  weights.mutable_checkpoint()->set_checkpoint(source.ToString());
  if (!inherited.has_value() ||
      !(inherited->has_pruning() || HasMask(inherited->initializer()))) {
    return weights;
  }
  v1::Initializer masked;
  v1::Chain& chain = *masked.mutable_chain();
  *chain.add_steps() = std::move(weights);
  chain.add_steps()->mutable_mask()->set_checkpoint(source.ToString());
  return masked;
}

}  // namespace

absl::StatusOr<CheckpointName> ResolveCheckpoint(const State& state,
                                                 absl::string_view name) {
  CheckpointName checkpoint;
  if (const auto winner = WinnerName::Parse(name);
      winner.ok() && winner->epoch.has_value()) {
    HS_ASSIGN_OR_RETURN(
        const State::TrialOfStudy found,
        state.GetTrial(WinnerName{winner->study, std::nullopt}.ToString()));
    checkpoint = {found.trial->run.name, *winner->epoch};
  } else {
    HS_ASSIGN_OR_RETURN(checkpoint, CheckpointName::Parse(name));
  }
  if (checkpoint.run.kind == RunKind::kImport) {
    if (checkpoint.epoch == 0) return checkpoint;
    return absl::NotFoundError(
        absl::StrCat(checkpoint.ToString(), ": an import has epoch 0 only."));
  }
  const Run* run = state.FindRun(checkpoint.run);
  if (run == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("There is no ", checkpoint.run.ToString(), "."));
  }
  if (checkpoint.epoch > run->recorded_epoch()) {
    return absl::NotFoundError(
        run->epochs.empty()
            ? absl::StrCat(run->name.ToString(), " has no checkpoint yet.")
            : absl::StrCat(run->name.ToString(), " has no checkpoint of epoch ",
                           checkpoint.epoch, "; there are 0 to ",
                           run->recorded_epoch(), "."));
  }
  return checkpoint;
}

absl::Status ResolveInitializer(const State& state, absl::string_view path,
                                v1::Initializer& initializer) {
  HS_RETURN_IF_ERROR(ResolveNames(state, path, initializer));
  // Two names may have meant one checkpoint.
  return CheckInitializer(initializer, path);
}

absl::Status ResolveSources(const State& state, v1::Study& study) {
  HS_RETURN_IF_ERROR(
      ResolveInitializer(state, "training.initializer",
                         *study.mutable_training()->mutable_initializer()));
  for (int i = 0; i < study.then_size(); ++i) {
    HS_RETURN_IF_ERROR(ResolveNames(state, absl::StrCat("then[", i, "]"),
                                    *study.mutable_then(i)));
  }
  return VisitInitializerChoices(
      *study.mutable_search(),
      [&](const std::string& where, const std::string& path,
          google::protobuf::Value& value) -> absl::Status {
        v1::TrainingSpec spec = study.training();
        HS_ASSIGN_OR_RETURN(const SpecPath field, SpecPath::Find(path, spec));
        HS_RETURN_IF_ERROR(field.SetJson(spec, value));
        const v1::TrainingSpec written = spec;
        HS_RETURN_IF_ERROR(
            Annotate(ResolveInitializer(state, "initializer",
                                        *spec.mutable_initializer()),
                     where));
        // Stays as it was written, unless a name was replaced.
        if (CheckpointsIn(spec) != CheckpointsIn(written)) {
          value = field.Json(spec);
        }
        return absl::OkStatus();
      });
}

std::vector<CheckpointName> SourcesOf(const v1::Study& study) {
  absl::btree_set<std::string> names;
  const auto add = [&](const google::protobuf::Message& message) {
    for (const std::string& name : CheckpointsIn(message)) names.insert(name);
  };
  add(study.training());
  for (const v1::Training& next : study.then()) add(next);
  v1::Search search = study.search();
  HS_CHECK_OK(VisitInitializerChoices(
      search,
      [&](const std::string&, const std::string& path,
          const google::protobuf::Value& value) -> absl::Status {
        v1::TrainingSpec spec = study.training();
        HS_ASSIGN_OR_RETURN(const SpecPath field, SpecPath::Find(path, spec));
        HS_RETURN_IF_ERROR(field.SetJson(spec, value));
        add(spec);
        return absl::OkStatus();
      }));
  return Sorted(names);
}

std::vector<CheckpointName> SourcesOf(const v1::Training& training) {
  const std::vector<std::string> names =
      CheckpointsIn(training.resolved_training());
  return Sorted({names.begin(), names.end()});
}

absl::Status CheckTraining(const v1::Training& training,
                           absl::string_view prefix) {
  if (training.display_name().size() > 100) {
    return Wrong(prefix, "display_name",
                 absl::StrCat("must have at most 100 characters, got ",
                              training.display_name().size(), "."));
  }
  if (training.has_comparison()) {
    return Wrong(
        prefix, "comparison",
        "stands in a study's then only. Create it by itself: headstart "
        "comparisons create.");
  }
  HS_RETURN_IF_ERROR(CheckSeeds(training, prefix));
  if (training.epochs() < 0) {
    return Wrong(
        prefix, "epochs",
        absl::StrCat("must be 0 or more, got ", training.epochs(), "."));
  }
  if (training.epochs() > 0 && training.training().epochs() > 0 &&
      training.epochs() != training.training().epochs()) {
    return Wrong(
        prefix, "epochs",
        absl::StrCat("is ", training.epochs(), " and training.epochs is ",
                     training.training().epochs(), ". Set one."));
  }
  if (!training.has_from()) return absl::OkStatus();
  if (training.from().kind_case() == v1::TrainingSource::KIND_NOT_SET) {
    return Wrong(prefix, "from",
                 "is empty. Set winner or checkpoint, or leave it out.");
  }
  if (training.training().has_initializer() && !training.from().values_only()) {
    return Wrong(
        prefix, "training.initializer",
        "must not be set together with from, whose checkpoint is the "
        "initializer. Leave one of them out, or set from.values_only.");
  }
  return absl::OkStatus();
}

void ReplaceFields(const v1::TrainingSpec& written, v1::TrainingSpec& spec) {
  if (written.has_stages()) spec.clear_pruning();
  if (written.has_pruning()) spec.clear_stages();
  if (written.stages().has_layer_wise() && spec.has_stages()) {
    spec.mutable_stages()->clear_count();
  }
  Override(written, spec);
}

absl::StatusOr<v1::TrainingSpec> InheritSpec(const State& state,
                                             const v1::TrainingSpec* source,
                                             const v1::Training& training,
                                             absl::string_view prefix,
                                             const v1::TrainingSpec* recorded) {
  v1::TrainingSpec spec;
  if (source != nullptr) {
    spec = *source;
    spec.clear_initializer();
    // Where the search could stop is not where a training has to.
    spec.clear_early_stop();
    // A cosine over the whole of the source's epochs goes over the whole of the
    // training's.
    ForgetDerivedPeriod(*source, spec);
  }
  ReplaceFields(training.training(), spec);
  if (training.epochs() > 0) spec.set_epochs(training.epochs());
  const std::string path = Below(prefix, "training");
  HS_RETURN_IF_ERROR(ResolvePlugins(state, {source, recorded}, path, spec));
  HS_ASSIGN_OR_RETURN(spec, CompleteSpec(spec, path));
  // Values go to any weights.
  if (training.from().values_only()) source = nullptr;
  if (source != nullptr &&
      (spec.precision() == v1::FP64) != (source->precision() == v1::FP64)) {
    return Wrong(prefix, "training.precision",
                 absl::StrCat("is ", v1::Precision_Name(spec.precision()),
                              ", and the source's weights are those of a run "
                              "in ",
                              v1::Precision_Name(source->precision()),
                              ". Leave it out."));
  }
  if (source != nullptr && ModelName(spec) != ModelName(*source)) {
    return Wrong(prefix, "training.model",
                 absl::StrCat("is ", ModelName(spec),
                              ", and the source's weights are of ",
                              ModelName(*source), ". Leave it out."));
  }
  for (const int64_t epoch : training.keep_epochs()) {
    if (epoch < 0 || epoch > spec.epochs()) {
      return Wrong(
          prefix, "keep_epochs",
          absl::StrCat("must be from 0 to ", spec.epochs(),
                       ", the epochs of the training, got ", epoch, "."));
    }
  }
  return spec;
}

absl::StatusOr<v1::Training> ResolveTraining(const State& state,
                                             const v1::Training& training,
                                             absl::string_view prefix,
                                             const v1::TrainingSpec* recorded) {
  HS_RETURN_IF_ERROR(CheckTraining(training, prefix));
  v1::Training resolved;
  resolved.set_display_name(training.display_name());
  if (training.has_from()) *resolved.mutable_from() = training.from();
  *resolved.mutable_training() = training.training();
  resolved.set_epochs(training.epochs());
  *resolved.mutable_seeds() = training.seeds();
  *resolved.mutable_keep_epochs() = training.keep_epochs();

  std::optional<CheckpointName> source;
  std::optional<v1::TrainingSpec> inherited;
  if (training.has_from()) {
    HS_ASSIGN_OR_RETURN(source, ResolveSource(state, training.from(), prefix));
    if (source->run.kind != RunKind::kImport) {
      inherited = state.FindRun(source->run)->ParseTraining();
    } else if (!training.training().has_model()) {
      return Wrong(prefix, "training.model",
                   absl::StrCat("must be set: ", source->ToString(),
                                " is imported and has no training to inherit "
                                "from, so this one must be complete."));
    }
  }
  HS_ASSIGN_OR_RETURN(
      v1::TrainingSpec spec,
      InheritSpec(state, inherited.has_value() ? &*inherited : nullptr,
                  training, prefix, recorded));
  if (source.has_value() && !training.from().values_only()) {
    *spec.mutable_initializer() = WeightsOf(*source, inherited);
    FillSpecDefaults(spec);
  } else {
    HS_RETURN_IF_ERROR(ResolveInitializer(state,
                                          Below(prefix, "training.initializer"),
                                          *spec.mutable_initializer()));
  }
  const std::vector<std::string> sources = CheckpointsIn(spec);
  if (sources.size() == 1) resolved.set_source_checkpoint(sources.front());
  resolved.set_state(sources.empty() ? v1::Training::RUNNING
                                     : v1::Training::PREPARING);
  *resolved.mutable_resolved_training() = std::move(spec);
  return resolved;
}

}  // namespace headstart::scheduler
