// What varies in a study: ranges judged, values drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"

#include "headstart/v1/study.pb.h"
#include "headstart/v1/training_spec.pb.h"
#include "headstart/v1/trial.pb.h"
#include "scheduler/search/spec_path.h"

namespace headstart::scheduler {

// One trial's values, and the spec they give: the study's spec with the
// searched fields overwritten.
struct Point {
  std::vector<v1::ParameterValue> values;  // In declared order.
  v1::TrainingSpec training;
};

// The parameters of a study over its spec. The only place that knows log scale.
//
// Each value is drawn at an address of its own, (seed, trial, path), so it
// depends neither on the other parameters nor on when it is drawn. The mappings
// below are frozen: stored studies rely on them.
class Space {
 public:
  // Checks every path and domain against `base`, a complete spec whose fields
  // the parameters overwrite. InvalidArgument begins with the parameter, such
  // as: parameters[2] "batch_size": ...
  static absl::StatusOr<Space> Create(
      const google::protobuf::RepeatedPtrField<v1::Parameter>& parameters,
      const v1::TrainingSpec& base);

  // Independent draws for a trial.
  Point Draw(int64_t seed, int64_t trial) const;

  // How many combinations there are. InvalidArgument, naming the parameter,
  // when one is a range, or when there are more than 1,000,000.
  absl::StatusOr<int64_t> CountCombinations() const;
  // Combination `index`, from 0; the last parameter varies fastest.
  Point Combination(int64_t index) const;

 private:
  struct Dimension {
    SpecPath path;
    v1::Parameter parameter;
  };

  // Values of a list or choice; 0 for a range.
  static int64_t ValueCount(const v1::Parameter& parameter);
  // Writes value `index` of a list or choice, which has been checked.
  static void SetListed(const Dimension& dimension, int64_t index,
                        v1::TrainingSpec& training);
  static absl::Status Judge(const Dimension& dimension,
                            const v1::TrainingSpec& base);
  // Reads the texts of all values back from the point's spec.
  void AddTexts(Point& point) const;

  std::vector<Dimension> dimensions_;
  v1::TrainingSpec base_;
};

// The frozen mappings of u in [0, 1) (algorithm: Philox at the address).
double DoubleAt(const v1::DoubleRange& range, double u);     // min <= x < max
int64_t IntegerAt(const v1::IntegerRange& range, double u);  // min <= x <= max
int64_t IndexAt(int64_t count, double u);                    // 0 <= x < count

}  // namespace headstart::scheduler
