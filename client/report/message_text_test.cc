#include "client/report/message_text.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "headstart/v1/comparison.pb.h"
#include "headstart/v1/study.pb.h"
#include "headstart/v1/trial.pb.h"

namespace headstart::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

v1::Comparison MakeComparison() {
  v1::Comparison comparison;
  comparison.set_display_name("Which start: 1?");
  comparison.set_study("studies/1");
  comparison.add_seeds(68417);
  comparison.add_seeds(-3);
  comparison.set_metric(v1::Comparison::TEST_ACCURACY);
  comparison.set_target_accuracy(0.9);
  v1::ComparisonArm& tuned = *comparison.add_arms();
  tuned.add_epochs()->set_number_value(5);
  tuned.add_epochs()->set_string_value("final");
  v1::ComparisonArm& random = *comparison.add_arms();
  random.set_label("true");
  random.mutable_initializer()
      ->mutable_chain()
      ->add_steps()
      ->mutable_framework_default();
  random.mutable_initializer()
      ->mutable_chain()
      ->add_steps()
      ->mutable_shrink_perturb()
      ->set_shrink(0.4);
  return comparison;
}

TEST(MessageTextTest, YamlHasTheFieldsThatAreSet) {
  EXPECT_EQ(YamlOf(MakeComparison()), R"(display_name: "Which start: 1?"
study: studies/1
seeds: [68417, -3]
metric: TEST_ACCURACY
target_accuracy: 0.9
arms:
  - epochs: [5, final]
  - label: "true"
    initializer:
      chain:
        steps:
          - framework_default: {}
          - shrink_perturb:
              shrink: 0.4
)");
}

TEST(MessageTextTest, AnEmptyMessageIsAnEmptyMap) {
  EXPECT_EQ(YamlOf(v1::Comparison()), "{}\n");
  EXPECT_THAT(FieldsOf(v1::Comparison()), IsEmpty());
}

TEST(MessageTextTest, TextsCannotBecomeSomethingElse) {
  v1::Comparison comparison;
  for (const char* text :
       {"no", "12", "a: b", "a #b", "", "\"\\\n\x01", "-x"}) {
    comparison.add_arms()->set_label(text);
  }
  comparison.mutable_arms()->DeleteSubrange(4, 1);  // An empty one is not set.

  EXPECT_EQ(YamlOf(comparison),
            "arms:\n"
            "  - label: \"no\"\n"
            "  - label: \"12\"\n"
            "  - label: \"a: b\"\n"
            "  - label: \"a #b\"\n"
            "  - label: \"\\\"\\\\\\n\\x01\"\n"
            "  - label: \"-x\"\n");
}

TEST(MessageTextTest, InstantsAndBytesAreNotForFiles) {
  v1::EpochRecord record;
  record.set_epoch(1);
  record.set_manifest_digest("digest");
  record.mutable_record_time()->set_seconds(1);

  EXPECT_EQ(YamlOf(record), "epoch: 1\n");
}

TEST(MessageTextTest, ValuesOfAnyShapeAreWritten) {
  v1::Choice choice;
  auto& fields = *choice.add_values()->mutable_struct_value()->mutable_fields();
  fields["xavier_normal"].mutable_struct_value();
  fields["a list"].mutable_list_value()->add_values()->set_bool_value(true);
  choice.add_values()->mutable_list_value()->add_values()->set_null_value(
      google::protobuf::NULL_VALUE);

  EXPECT_EQ(YamlOf(choice), R"(values:
  - "a list": [true]
    xavier_normal: {}
  - [null]
)");
}

TEST(MessageTextTest, FieldsHaveTheirPaths) {
  v1::Comparison comparison = MakeComparison();
  comparison.clear_display_name();

  EXPECT_THAT(
      FieldsOf(comparison),
      ElementsAre(
          Pair("study", "studies/1"), Pair("seeds", "[68417, -3]"),
          Pair("metric", "TEST_ACCURACY"), Pair("target_accuracy", "0.9"),
          Pair("arms[0].epochs", "[5, final]"),
          Pair("arms[1].label", "\"true\""),
          Pair("arms[1].initializer.chain.steps[0].framework_default", "{}"),
          Pair("arms[1].initializer.chain.steps[1].shrink_perturb.shrink",
               "0.4")));
}

}  // namespace
}  // namespace headstart::client
