// Studies with trials for tests: ASHA with rungs 1, 3 and 9, as if each rung
// had promoted just its share.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random_stream.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {

inline v1::Study MakeStudy() {
  v1::Study study;
  study.set_name("studies/7");
  study.set_display_name("LeNet on MNIST");
  v1::TrainingSpec& training = *study.mutable_training();
  training.mutable_model()->mutable_lenet_300_100();
  training.set_epochs(9);
  training.mutable_optimizer()->mutable_adam()->set_learning_rate(0.001);
  v1::Search& search = *study.mutable_search();
  v1::Parameter& rate = *search.add_parameters();
  rate.set_path("optimizer.adam.learning_rate");
  rate.mutable_double_()->set_min(1e-4);
  rate.mutable_double_()->set_max(1e-1);
  rate.mutable_double_()->set_scale(v1::LOG);
  v1::Parameter& batch = *search.add_parameters();
  batch.set_path("batch_size");
  for (const int64_t size : {32, 128, 512}) {
    batch.mutable_integer_list()->add_values(size);
  }
  v1::Parameter& start = *search.add_parameters();
  start.set_path("initializer");
  for (const char* kind : {"xavier_normal", "kaiming_normal", "orthogonal"}) {
    (*start.mutable_choice()
          ->add_values()
          ->mutable_struct_value()
          ->mutable_fields())[kind]
        .mutable_struct_value();
  }
  search.mutable_asha()->set_trial_count(27);
  search.mutable_asha()->set_min_epochs(1);
  search.mutable_asha()->set_reduction(3);
  study.mutable_objective()->set_metric(v1::Objective::VALIDATION_ACCURACY);
  study.mutable_objective()->set_goal(v1::Objective::MAXIMIZE);
  study.set_seed(17);
  study.set_state(v1::Study::SUCCEEDED);
  return study;
}

// Of each three trials one goes on to the next rung. Sets the study's best.
inline std::vector<v1::Trial> MakeTrials(v1::Study* study, int count) {
  constexpr const char* kStarts[] = {"xavier_normal", "kaiming_normal",
                                     "orthogonal"};
  std::vector<v1::Trial> trials;
  int64_t recorded = 0;
  double best = 0;
  for (int i = 1; i <= count; ++i) {
    RandomStream draws = RandomStream(study->seed()).Child("trial", i);
    const double rate = std::pow(10, -4 + 3 * draws.Uniform());
    v1::Trial trial;
    trial.set_name(absl::StrCat(study->name(), "/trials/", i));
    trial.set_seed(i);
    const std::string values[] = {
        absl::StrCat(rate), absl::StrCat(32 << (2 * (i % 3))),
        absl::StrCat("{\"", kStarts[i / 3 % 3], "\":{}}")};
    for (int k = 0; k < 3; ++k) {
      v1::ParameterValue& value = *trial.add_values();
      value.set_path(study->search().parameters(k).path());
      value.set_value(values[k]);
    }
    const int64_t last = study->training().epochs();
    int64_t epochs = 1;
    for (int place = i; place % 3 == 0 && epochs < last; place /= 3)
      epochs *= 3;
    epochs = std::min(epochs, last);
    for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
      v1::EpochRecord& record = *trial.add_epochs();
      const double accuracy =
          0.98 - 0.02 * std::pow(std::log10(rate) + 2.8, 2) -
          0.2 * std::exp(-0.5 * epoch) + 0.002 * draws.Uniform();
      record.set_epoch(epoch);
      record.mutable_record_time()->set_seconds(1772373731 + ++recorded);
      record.mutable_measurement()->set_validation_accuracy(accuracy);
      record.mutable_measurement()->set_validation_loss(1 - accuracy);
      record.mutable_measurement()->set_training_loss(1.1 - accuracy);
      trial.set_objective(accuracy);
    }
    trial.set_epoch(epochs);
    trial.set_state(epochs == last ? v1::Trial::SUCCEEDED : v1::Trial::STOPPED);
    if (epochs == last && trial.objective() > best) {
      best = trial.objective();
      study->set_best_trial(trial.name());
    }
    trials.push_back(trial);
  }
  return trials;
}

}  // namespace headstart::client
