#include "scheduler/search/spec_defaults.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/names.h"
#include "base/status_macros.h"
#include "scheduler/search/spec_facts.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {
namespace {

std::string Below(absl::string_view prefix, absl::string_view field) {
  return prefix.empty() ? std::string(field) : absl::StrCat(prefix, ".", field);
}

absl::Status Wrong(absl::string_view prefix, absl::string_view field,
                   absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat(Below(prefix, field), ": ", message));
}

absl::Status Missing(absl::string_view prefix, absl::string_view field,
                     absl::string_view kinds) {
  return Wrong(prefix, field,
               absl::StrCat("is required. Choose one of ", kinds, "."));
}

absl::Status CheckInteger(absl::string_view prefix, absl::string_view field,
                          int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return Wrong(
      prefix, field,
      absl::StrCat("must be from ", min, " to ", max, ", got ", value, "."));
}

absl::Status CheckAboveZero(absl::string_view prefix, absl::string_view field,
                            double value) {
  if (value > 0 && std::isfinite(value)) return absl::OkStatus();
  return Wrong(prefix, field,
               absl::StrCat("must be above 0, got ", DoubleText(value), "."));
}

absl::Status CheckZeroOrMore(absl::string_view prefix, absl::string_view field,
                             double value) {
  if (value >= 0 && std::isfinite(value)) return absl::OkStatus();
  return Wrong(prefix, field,
               absl::StrCat("must be 0 or more, got ", DoubleText(value), "."));
}

absl::Status CheckBelowOne(absl::string_view prefix, absl::string_view field,
                           double value) {
  if (value >= 0 && value < 1) return absl::OkStatus();
  return Wrong(prefix, field,
               absl::StrCat("must be 0 or more and below 1, got ",
                            DoubleText(value), "."));
}

absl::Status CheckDataset(const v1::TrainingSpec& spec,
                          absl::string_view prefix) {
  const v1::ImageDataset* dataset = FindDataset(spec);
  if (dataset == nullptr) {
    return Missing(prefix, "dataset", "mnist, fashion_mnist and cifar10");
  }
  const std::string path =
      Below(prefix, absl::StrCat("dataset.", DatasetName(spec)));
  const DatasetFacts facts = FactsOf(spec.dataset());
  const int64_t train = dataset->train_examples();
  HS_RETURN_IF_ERROR(
      CheckInteger(path, "train_examples", train, 0, facts.train_examples));
  const int64_t used = train > 0 ? train : facts.train_examples;
  const int64_t validation = dataset->validation_examples();
  HS_RETURN_IF_ERROR(CheckInteger(path, "validation_examples", validation, 0,
                                  used - facts.classes));
  const auto check_multiple = [&](absl::string_view field, int64_t value) {
    if (value % facts.classes == 0) return absl::OkStatus();
    return Wrong(path, field,
                 absl::StrCat("must be a multiple of ", facts.classes,
                              ", the number of classes, got ", value, "."));
  };
  HS_RETURN_IF_ERROR(check_multiple("train_examples", train));
  return check_multiple("validation_examples", validation);
}

absl::Status CheckOptimizer(const v1::Optimizer& optimizer,
                            absl::string_view prefix) {
  switch (optimizer.kind_case()) {
    case v1::Optimizer::kSgd: {
      const v1::Sgd& sgd = optimizer.sgd();
      const std::string path = Below(prefix, "optimizer.sgd");
      HS_RETURN_IF_ERROR(
          CheckAboveZero(path, "learning_rate", sgd.learning_rate()));
      HS_RETURN_IF_ERROR(CheckBelowOne(path, "momentum", sgd.momentum()));
      return CheckZeroOrMore(path, "weight_decay", sgd.weight_decay());
    }
    case v1::Optimizer::kAdam: {
      const v1::Adam& adam = optimizer.adam();
      const std::string path = Below(prefix, "optimizer.adam");
      HS_RETURN_IF_ERROR(
          CheckAboveZero(path, "learning_rate", adam.learning_rate()));
      if (adam.has_beta1()) {
        HS_RETURN_IF_ERROR(CheckBelowOne(path, "beta1", adam.beta1()));
      }
      if (adam.has_beta2()) {
        HS_RETURN_IF_ERROR(CheckBelowOne(path, "beta2", adam.beta2()));
      }
      if (adam.has_epsilon()) {
        HS_RETURN_IF_ERROR(CheckAboveZero(path, "epsilon", adam.epsilon()));
      }
      return CheckZeroOrMore(path, "weight_decay", adam.weight_decay());
    }
    case v1::Optimizer::KIND_NOT_SET:
      break;
  }
  return Missing(prefix, "optimizer", "sgd and adam");
}

absl::Status CheckSchedule(const v1::Schedule& schedule,
                           absl::string_view prefix) {
  if (!schedule.has_cosine()) return absl::OkStatus();
  const v1::CosineSchedule& cosine = schedule.cosine();
  const std::string path = Below(prefix, "schedule.cosine");
  if (!v1::CosineStep_IsValid(cosine.step())) {
    return Wrong(path, "step", "must be PER_EPOCH or PER_STEP.");
  }
  if (cosine.has_period_epochs()) {
    HS_RETURN_IF_ERROR(CheckInteger(path, "period_epochs",
                                    cosine.period_epochs(), 1, 100'000));
  }
  return CheckZeroOrMore(path, "final_learning_rate",
                         cosine.final_learning_rate());
}

absl::Status CheckInitializer(const v1::Initializer& initializer,
                              absl::string_view prefix) {
  const auto check_gain = [&](absl::string_view kind, const auto& settings) {
    return settings.has_gain()
               ? CheckAboveZero(
                     Below(prefix, absl::StrCat("initializer.", kind)), "gain",
                     settings.gain())
               : absl::OkStatus();
  };
  const auto check_mode = [&](absl::string_view kind, v1::FanMode mode) {
    if (v1::FanMode_IsValid(mode)) return absl::OkStatus();
    return Wrong(prefix, absl::StrCat("initializer.", kind, ".mode"),
                 "must be FAN_IN or FAN_OUT.");
  };
  switch (initializer.kind_case()) {
    case v1::Initializer::kXavierUniform:
      return check_gain("xavier_uniform", initializer.xavier_uniform());
    case v1::Initializer::kXavierNormal:
      return check_gain("xavier_normal", initializer.xavier_normal());
    case v1::Initializer::kKaimingUniform:
      HS_RETURN_IF_ERROR(
          check_mode("kaiming_uniform", initializer.kaiming_uniform().mode()));
      return check_gain("kaiming_uniform", initializer.kaiming_uniform());
    case v1::Initializer::kKaimingNormal:
      HS_RETURN_IF_ERROR(
          check_mode("kaiming_normal", initializer.kaiming_normal().mode()));
      return check_gain("kaiming_normal", initializer.kaiming_normal());
    case v1::Initializer::kCheckpoint: {
      // studies/{n}/winner/epochs/{n} is good here too; it is resolved later.
      const std::string& name = initializer.checkpoint().checkpoint();
      const absl::StatusOr<CheckpointName> parsed = CheckpointName::Parse(name);
      if (parsed.ok()) return absl::OkStatus();
      const absl::StatusOr<WinnerName> winner = WinnerName::Parse(name);
      if (winner.ok() && winner->epoch.has_value()) return absl::OkStatus();
      return Annotate(parsed.status(),
                      Below(prefix, "initializer.checkpoint.checkpoint"));
    }
    case v1::Initializer::kFrameworkDefault:
    case v1::Initializer::KIND_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::TrainingSpec> CompleteSpec(const v1::TrainingSpec& spec,
                                              absl::string_view prefix) {
  HS_RETURN_IF_ERROR(CheckFields(spec, prefix));
  v1::TrainingSpec complete = spec;
  FillDefaults(complete);
  HS_RETURN_IF_ERROR(CheckRules(complete, prefix));
  return complete;
}

void FillDefaults(v1::TrainingSpec& spec) {
  v1::ImageDataset* dataset = nullptr;
  v1::Dataset& kinds = *spec.mutable_dataset();
  if (kinds.has_mnist()) dataset = kinds.mutable_mnist();
  if (kinds.has_fashion_mnist()) dataset = kinds.mutable_fashion_mnist();
  if (kinds.has_cifar10()) dataset = kinds.mutable_cifar10();
  if (dataset != nullptr) {
    dataset->set_validation_examples(dataset->validation_examples());
    dataset->set_train_examples(dataset->train_examples());
    dataset->set_split_seed(dataset->split_seed());
  }

  v1::Optimizer& optimizer = *spec.mutable_optimizer();
  if (optimizer.has_sgd()) {
    v1::Sgd& sgd = *optimizer.mutable_sgd();
    sgd.set_momentum(sgd.momentum());
    sgd.set_nesterov(sgd.nesterov());
    sgd.set_weight_decay(sgd.weight_decay());
  } else if (optimizer.has_adam()) {
    v1::Adam& adam = *optimizer.mutable_adam();
    if (!adam.has_beta1()) adam.set_beta1(0.9);
    if (!adam.has_beta2()) adam.set_beta2(0.999);
    if (!adam.has_epsilon()) adam.set_epsilon(1e-8);
    adam.set_weight_decay(adam.weight_decay());
  }

  v1::Schedule& schedule = *spec.mutable_schedule();
  if (schedule.kind_case() == v1::Schedule::KIND_NOT_SET) {
    schedule.mutable_constant();
  } else if (schedule.has_cosine()) {
    v1::CosineSchedule& cosine = *schedule.mutable_cosine();
    if (cosine.step() == v1::COSINE_STEP_UNSPECIFIED) {
      cosine.set_step(v1::PER_EPOCH);
    }
    if (!cosine.has_period_epochs()) cosine.set_period_epochs(spec.epochs());
    cosine.set_final_learning_rate(cosine.final_learning_rate());
  }

  v1::Initializer& initializer = *spec.mutable_initializer();
  const auto fill_gain = [](auto& settings, double gain) {
    if (!settings.has_gain()) settings.set_gain(gain);
  };
  const auto fill_mode = [](auto& settings) {
    if (settings.mode() == v1::FAN_MODE_UNSPECIFIED) {
      settings.set_mode(v1::FAN_IN);
    }
  };
  const double relu_gain = std::sqrt(2.0);
  switch (initializer.kind_case()) {
    case v1::Initializer::KIND_NOT_SET:
      initializer.mutable_framework_default();
      break;
    case v1::Initializer::kXavierUniform:
      fill_gain(*initializer.mutable_xavier_uniform(), 1);
      break;
    case v1::Initializer::kXavierNormal:
      fill_gain(*initializer.mutable_xavier_normal(), 1);
      break;
    case v1::Initializer::kKaimingUniform:
      fill_gain(*initializer.mutable_kaiming_uniform(), relu_gain);
      fill_mode(*initializer.mutable_kaiming_uniform());
      break;
    case v1::Initializer::kKaimingNormal:
      fill_gain(*initializer.mutable_kaiming_normal(), relu_gain);
      fill_mode(*initializer.mutable_kaiming_normal());
      break;
    case v1::Initializer::kFrameworkDefault:
    case v1::Initializer::kCheckpoint:
      break;
  }

  if (spec.evaluate() == v1::EVALUATE_UNSPECIFIED) {
    spec.set_evaluate(v1::TEST_LAST_EPOCH);
  }
}

absl::Status CheckFields(const v1::TrainingSpec& spec,
                         absl::string_view prefix) {
  if (spec.model().kind_case() == v1::Model::KIND_NOT_SET) {
    return Missing(prefix, "model",
                   "lenet_300_100, small_cnn and cifar_resnet18");
  }
  HS_RETURN_IF_ERROR(CheckDataset(spec, prefix));
  HS_RETURN_IF_ERROR(CheckInteger(prefix, "epochs", spec.epochs(), 1, 100'000));
  HS_RETURN_IF_ERROR(
      CheckInteger(prefix, "batch_size", spec.batch_size(), 1, 65'536));
  HS_RETURN_IF_ERROR(CheckOptimizer(spec.optimizer(), prefix));
  HS_RETURN_IF_ERROR(CheckSchedule(spec.schedule(), prefix));
  HS_RETURN_IF_ERROR(CheckInitializer(spec.initializer(), prefix));
  if (!v1::Evaluate_IsValid(spec.evaluate())) {
    return Wrong(prefix, "evaluate",
                 "must be TEST_NEVER, TEST_LAST_EPOCH or TEST_EVERY_EPOCH.");
  }
  return absl::OkStatus();
}

absl::Status CheckRules(const v1::TrainingSpec& spec,
                        absl::string_view prefix) {
  const DatasetFacts facts = FactsOf(spec.dataset());
  if (spec.model().has_lenet_300_100() && facts.height != 28) {
    return Wrong(prefix, "model",
                 absl::StrCat("lenet_300_100 needs 28x28 input, and dataset ",
                              DatasetName(spec), " is ", facts.height, "x",
                              facts.height, "x", facts.channels,
                              ". Use small_cnn or cifar_resnet18."));
  }
  if (spec.optimizer().sgd().nesterov() &&
      !(spec.optimizer().sgd().momentum() > 0)) {
    return Wrong(prefix, "optimizer.sgd.nesterov",
                 "needs momentum above 0, got 0. Set "
                 "optimizer.sgd.momentum, such as 0.9.");
  }
  if (FindDataset(spec)->validation_examples() == 0 &&
      spec.evaluate() != v1::TEST_EVERY_EPOCH) {
    return Wrong(prefix, "evaluate",
                 absl::StrCat("must be TEST_EVERY_EPOCH when dataset.",
                              DatasetName(spec),
                              ".validation_examples is 0, "
                              "got ",
                              v1::Evaluate_Name(spec.evaluate()),
                              ". Otherwise no epoch would be measured."));
  }
  return absl::OkStatus();
}

}  // namespace headstart::scheduler
