// TrainingSpecs for the trainer, which takes complete ones only.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/process.h"

namespace headstart {

// `training` with what it leaves out taken from the first spec of
// tests/golden/training_spec_full.json, which has nothing but defaults there:
// whole fields of the spec, and fields of the data set and the optimizer.
inline nlohmann::json CompleteTraining(nlohmann::json training) {
  const auto golden = nlohmann::json::parse(
      ReadFile(SourceFolder() + "/tests/golden/training_spec_full.json")
          .value())[0];
  const auto fill = [](const nlohmann::json& from, nlohmann::json& into) {
    for (const auto& field : from.items()) {
      if (!into.contains(field.key())) into[field.key()] = field.value();
    }
  };
  fill(golden, training);
  for (auto& dataset : training["dataset"].items()) {
    if (dataset.key() == "synthetic") continue;
    fill(golden["dataset"]["mnist"], dataset.value());
  }
  training["optimizer"]["groups"] = golden["optimizer"]["groups"];
  return training;
}

}  // namespace headstart
