// A dotted path such as optimizer.adam.learning_rate, as a field of
// TrainingSpec: found, checked, written and read. Behind a list stands the
// place in it, from 0: initializer.chain.steps[1].shrink_perturb.shrink. A path
// may end with a JSON pointer to an option of a plug-in:
// model.plugin.options_json#/width.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/struct.pb.h"

#include "headstart/v1/training_spec.pb.h"

namespace headstart::scheduler {

// One field of TrainingSpec, or option of its plug-in, that can be searched.
// Immutable.
class SpecPath {
 public:
  // A field and, in a list, which one of it; else -1.
  struct Step {
    const google::protobuf::FieldDescriptor* field = nullptr;
    int index = -1;
  };
  // The kinds of values a field can take. Texts are options and
  // names of checkpoints.
  enum class Type { kDouble, kInteger, kBool, kEnum, kMessage, kText };

  // The field that `path` names. It must not lie in another kind than the one
  // `base` has where it passes a oneof (optimizer.sgd where `base` has adam).
  // Options are those of the schema in `base`.
  // InvalidArgument says which part of the path is wrong and what exists there.
  static absl::StatusOr<SpecPath> Find(absl::string_view path,
                                       const v1::TrainingSpec& base);

  const std::string& path() const { return path_; }
  Type type() const;
  // Such as "a double field", for messages.
  absl::string_view TypeText() const;

  // The writers below set the field in a spec that has the kinds of `base`.
  void SetDouble(v1::TrainingSpec& spec, double value) const;    // kDouble.
  void SetInteger(v1::TrainingSpec& spec, int64_t value) const;  // kInteger.
  // Any type, from its JSON form. InvalidArgument says what the field takes.
  absl::Status SetJson(v1::TrainingSpec& spec,
                       const google::protobuf::Value& value) const;

  // The field's value as it stands in YAML or JSON, such as 0.0132, PER_STEP or
  // {"xavier_normal":{}}. Equal values have equal texts.
  std::string Text(const v1::TrainingSpec& spec) const;
  // The value of a message or a text as SetJson takes it.
  google::protobuf::Value Json(const v1::TrainingSpec& spec) const;

 private:
  SpecPath() = default;

  absl::Status FindOption(absl::string_view pointer,
                          const v1::TrainingSpec& base);
  google::protobuf::Value Option(const v1::TrainingSpec& spec) const;
  void SetOption(v1::TrainingSpec& spec,
                 const google::protobuf::Value& value) const;

  // The message that holds the field.
  google::protobuf::Message& Holder(v1::TrainingSpec& spec) const;
  const google::protobuf::Message& Holder(const v1::TrainingSpec& spec) const;

  std::string path_;
  std::vector<Step> parents_;
  Step field_;
  // Of the plug-in's options in field_; empty for a field.
  std::string option_;
  Type option_type_ = Type::kText;
};

// The shortest text that reads back as the same double.
std::string DoubleText(double value);

}  // namespace headstart::scheduler
