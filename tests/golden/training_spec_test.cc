// The proto's side of training_spec_full.json: TrainingSpecs in the JSON that
// an assignment carries, which between them set every field and every kind
// (every field of a message that several kinds share in one of them). The
// trainer's side is worker/trainer/recipe_test.cc; the file holds them
// together.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "headstart/v1/training_spec.pb.h"
#include "tests/support/process.h"

namespace headstart {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::vector<std::string> GoldenSpecs() {
  std::vector<std::string> specs;
  const auto file =
      ReadFile(SourceFolder() + "/tests/golden/training_spec_full.json");
  for (const auto& spec : nlohmann::json::parse(file.value())) {
    specs.push_back(spec.dump());
  }
  return specs;
}

// All fields of this type of message and of those inside it, and the values of
// their enums.
void CollectPossible(const Descriptor& type, std::set<std::string>& names) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (!names.insert(field.full_name()).second) return;  // Seen before.
    if (field.message_type() != nullptr) {
      CollectPossible(*field.message_type(), names);
    }
    if (const EnumDescriptor* values = field.enum_type()) {
      for (int v = 1; v < values->value_count(); ++v) {
        names.insert(values->value(v)->full_name());
      }
    }
  }
}

// Those that this one has.
void CollectSet(const Message& message, std::set<std::string>& names) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    names.insert(field->full_name());
    if (field->is_repeated()) {
      if (field->message_type() == nullptr) continue;
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        CollectSet(reflection.GetRepeatedMessage(message, field, i), names);
      }
      continue;
    }
    if (field->message_type() != nullptr) {
      CollectSet(reflection.GetMessage(message, field), names);
    }
    if (field->enum_type() != nullptr) {
      names.insert(reflection.GetEnum(message, field)->full_name());
    }
  }
}

TEST(TrainingSpecGoldenTest, EveryFieldAndKindIsSetSomewhere) {
  std::set<std::string> possible;
  CollectPossible(*v1::TrainingSpec::descriptor(), possible);

  std::set<std::string> found;
  for (const std::string& json : GoldenSpecs()) {
    v1::TrainingSpec spec;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &spec).ok());
    CollectSet(spec, found);
  }

  std::set<std::string> missing;
  std::ranges::set_difference(possible, found,
                              std::inserter(missing, missing.end()));
  EXPECT_THAT(missing, ::testing::IsEmpty());
}

TEST(TrainingSpecGoldenTest, PrintsWhatItRead) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  for (const std::string& json : GoldenSpecs()) {
    v1::TrainingSpec spec;
    const auto status =
        google::protobuf::util::JsonStringToMessage(json, &spec);
    ASSERT_TRUE(status.ok()) << status.ToString();

    std::string printed;
    ASSERT_TRUE(
        google::protobuf::util::MessageToJsonString(spec, &printed, options)
            .ok());

    EXPECT_EQ(nlohmann::json::parse(printed), nlohmann::json::parse(json));
  }
}

}  // namespace
}  // namespace headstart
