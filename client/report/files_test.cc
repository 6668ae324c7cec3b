// Files that pages offer are read back by the program that they are for.
#include <string>

#include "client/cli/study_file.h"
#include "client/report/comparison_page.h"
#include "client/report/message_text.h"
#include "client/report/study_page.h"
#include "client/report/test_reports.h"
#include "client/report/test_studies.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using google::protobuf::util::MessageDifferencer;

TEST(FilesTest, AComparisonIsReadBack) {
  v1::Comparison comparison = MakeReport().comparison();
  comparison.set_display_name("\"quotes\": \\ #no\ttab\nline é -");
  comparison.mutable_arms(0)->set_label("- no: {a}");
  comparison.mutable_arms(1)->add_epochs()->set_string_value("final");
  comparison.mutable_arms(1)->mutable_training()->set_epochs(3);
  v1::Comparison read;

  ASSERT_THAT(FillFromYaml(ComparisonFile(comparison), "c.yaml", read), IsOk());
  EXPECT_TRUE(MessageDifferencer::Equals(read, ComparisonInput(comparison)))
      << ComparisonFile(comparison);
}

TEST(FilesTest, AStudyIsReadBack) {
  v1::Study study = MakeStudy();
  MakeTrials(&study, 27);
  const std::string file = StudyFile(study);
  v1::Study read;

  ASSERT_THAT(FillFromYaml(file, "study.yaml", read), IsOk());
  study.clear_name();
  study.clear_state();
  study.clear_best_trial();
  EXPECT_TRUE(MessageDifferencer::Equals(read, study)) << file;
}

TEST(FilesTest, NumbersKeepAllTheirDigits) {
  v1::TrainingSpec spec;
  v1::Sgd& sgd = *spec.mutable_optimizer()->mutable_sgd();
  sgd.set_learning_rate(1.0 / 3);
  sgd.set_momentum(0);
  sgd.set_weight_decay(1e-300);
  spec.set_epochs(100000);
  spec.set_deterministic(false);
  spec.mutable_initializer()->mutable_uniform()->set_min(-1e21);
  v1::TrainingSpec read;

  ASSERT_THAT(FillFromYaml(YamlOf(spec), "spec.yaml", read), IsOk());
  EXPECT_TRUE(MessageDifferencer::Equals(read, spec)) << YamlOf(spec);
}

}  // namespace
}  // namespace headstart::client
