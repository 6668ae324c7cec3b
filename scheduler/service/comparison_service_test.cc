#include "scheduler/service/comparison_service.h"

#include "scheduler/service/service_fixture.h"

namespace headstart::scheduler {
namespace {

using ::testing::HasSubstr;

class ComparisonServiceTest : public ServiceTest {
 protected:
  absl::StatusOr<v1::Comparison> Create(const std::string& study,
                                        bool validate_only = false) {
    v1::CreateComparisonRequest request;
    v1::Comparison& comparison = *request.mutable_comparison();
    comparison.set_study(study);
    comparison.set_metric(v1::Comparison::VALIDATION_ACCURACY);
    comparison.add_arms()->set_label("random");
    comparison.add_arms()->add_epochs()->set_string_value("final");
    comparison.add_seeds(1);
    comparison.add_seeds(2);
    request.set_validate_only(validate_only);
    if (!validate_only) request.set_request_id(NewId());
    return Call(*comparison_, &v1::ComparisonService::Stub::CreateComparison,
                request);
  }
  absl::StatusOr<v1::Comparison> Get() {
    return Call(*comparison_, &v1::ComparisonService::Stub::GetComparison,
                Named<v1::GetComparisonRequest>("comparisons/1"));
  }
};

TEST_F(ComparisonServiceTest, PlansCreatesReportsAndDeletes) {
  ASSERT_OK_AND_ASSIGN(const std::string study, CreateStudy(RandomStudy(1, 2)));
  EXPECT_THAT(Create(study).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no winner yet"));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(study).state() == v1::Study::SUCCEEDED; }));

  ASSERT_OK_AND_ASSIGN(const v1::Comparison plan,
                       Create(study, /*validate_only=*/true));
  EXPECT_EQ(plan.arms(1).label(), "final");
  EXPECT_TRUE(absl::IsNotFound(Get().status()));

  ASSERT_OK_AND_ASSIGN(const v1::Comparison created, Create(study));
  EXPECT_EQ(created.name(), "comparisons/1");
  EXPECT_EQ(created.state(), v1::Comparison::RUNNING);
  ASSERT_OK(agent.TrainUntil(
      [&] { return Get()->state() == v1::Comparison::SUCCEEDED; }));

  // Stays right after a restart: its state is that of its trainings.
  Restart();
  ASSERT_OK_AND_ASSIGN(
      const v1::ComparisonReport report,
      Call(*comparison_, &v1::ComparisonService::Stub::ReportComparison,
           Named<v1::ReportComparisonRequest>("comparisons/1")));
  ASSERT_EQ(report.arms_size(), 2);
  EXPECT_EQ(report.arms(0).runs_size(), 2);
  EXPECT_EQ(report.arms(1).start_epoch(), 2);
  EXPECT_EQ(report.arms(1).best_comparison().pair_count(), 2);
  EXPECT_EQ(report.comparison().state(), v1::Comparison::SUCCEEDED);

  grpc::ClientContext context;
  const auto reader = comparison_->WatchComparison(
      &context, Named<v1::WatchComparisonRequest>("comparisons/1"));
  v1::Comparison watched;
  EXPECT_TRUE(reader->Read(&watched));
  EXPECT_FALSE(reader->Read(&watched));  // It is over.
  EXPECT_TRUE(reader->Finish().ok());

  EXPECT_OK(Call(*comparison_, &v1::ComparisonService::Stub::DeleteComparison,
                 Named<v1::DeleteComparisonRequest>("comparisons/1")));
  EXPECT_TRUE(absl::IsNotFound(
      Call(*comparison_, &v1::ComparisonService::Stub::ReportComparison,
           Named<v1::ReportComparisonRequest>("comparisons/1"))
          .status()));
}

TEST_F(ComparisonServiceTest, SaysOfADeletedStudyThatItIsGone) {
  ASSERT_OK_AND_ASSIGN(const std::string study, CreateStudy(RandomStudy(1, 1)));
  FakeAgent agent = MakeAgent();
  ASSERT_OK(agent.TrainUntil(
      [&] { return GetStudy(study).state() == v1::Study::SUCCEEDED; }));
  v1::CreateComparisonRequest request;
  v1::Comparison& comparison = *request.mutable_comparison();
  comparison.set_study(study);
  comparison.set_metric(v1::Comparison::VALIDATION_ACCURACY);
  comparison.add_arms();
  comparison.add_arms()->mutable_initializer()->mutable_xavier_normal();
  comparison.add_seeds(1);
  request.set_request_id(NewId());
  ASSERT_OK(Call(*comparison_, &v1::ComparisonService::Stub::CreateComparison,
                 request));
  // Its arms take values only, so nothing holds the study's checkpoints.
  ASSERT_OK(Call(*tuning_, &v1::TuningService::Stub::DeleteStudy,
                 Named<v1::DeleteStudyRequest>(study)));
  ASSERT_OK_AND_ASSIGN(
      const v1::ComparisonReport report,
      Call(*comparison_, &v1::ComparisonService::Stub::ReportComparison,
           Named<v1::ReportComparisonRequest>("comparisons/1")));
  std::string warnings;
  for (const std::string& warning : report.warnings()) warnings += warning;
  EXPECT_THAT(warnings, HasSubstr(study));
  EXPECT_TRUE(absl::IsNotFound(Create(study).status()));
}

}  // namespace
}  // namespace headstart::scheduler
