// Many small worlds, each from one seed.
//
//   simulation_test                the seeds that CI runs
//   simulation_test --seeds=N      seeds 1 to N
//   simulation_test --seed=N       that world alone, exactly as it was
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/check.h"
#include "base/version.h"
#include "tests/simulation/world.h"

namespace headstart::simulation {
namespace {

uint64_t first_seed = 1;
uint64_t last_seed = 300;

// Rare branches that the seeds above are to come through.
constexpr const char* kMarks[] = {
    "agent_contradicts",
    "agent_restarted",
    "answer_overtaken",
    "attempt_released",
    "commit_replaced",
    "commit_with_an_old_token",
    "lease_expired",
    "references_of_an_older_generation",
    "report_of_a_lost_attempt",
    "report_refused",
    "report_repeated",
    "scheduler_restarted",
    "source_missing",
    "then_training_without_source",
    "worker_gone",
};

std::string LastEvents(const World& world, size_t count) {
  std::string text;
  const std::vector<Event>& journal = world.journal();
  for (size_t i = journal.size() - std::min(journal.size(), count);
       i < journal.size(); ++i) {
    absl::StrAppend(&text, i + 1, " ", journal[i].ShortDebugString(), "\n");
  }
  return text;
}

TEST(SimulationTest, KeepsEveryPromiseInEveryWorld) {
  for (uint64_t seed = first_seed; seed <= last_seed; ++seed) {
    World world(seed);
    const std::vector<std::string> violations = world.Run();
    ASSERT_THAT(violations, testing::IsEmpty())
        << "--seed=" << seed << " after\n"
        << LastEvents(world, 30);
  }
}

TEST(SimulationTest, IsAFunctionOfTheSeed) {
  World once(first_seed);
  World again(first_seed);
  once.Run();
  again.Run();
  ASSERT_EQ(once.journal().size(), again.journal().size());
  for (size_t i = 0; i < once.journal().size(); ++i) {
    ASSERT_EQ(once.journal()[i].DebugString(),
              again.journal()[i].DebugString());
  }
}

TEST(SimulationTest, ComesThroughRareBranches) {
  if (last_seed - first_seed < 100) GTEST_SKIP() << "too few seeds to tell";
  const std::map<std::string, int64_t> reached = ReachedMarks();
  for (const char* mark : kMarks) {
    EXPECT_TRUE(reached.contains(mark)) << mark << " stayed cold";
  }
}

}  // namespace
}  // namespace headstart::simulation

int main(int argc, char** argv) {
  using headstart::simulation::first_seed;
  using headstart::simulation::last_seed;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view flag = argv[i];
    uint64_t number = 0;
    if (absl::ConsumePrefix(&flag, "--seed=") &&
        absl::SimpleAtoi(flag, &number)) {
      first_seed = last_seed = number;
    } else if (absl::ConsumePrefix(&flag, "--seeds=") &&
               absl::SimpleAtoi(flag, &number)) {
      last_seed = number;
    } else {
      std::fprintf(stderr, "usage: %s [--seed=N | --seeds=N]\n", argv[0]);
      return 2;
    }
  }
  const std::string line =
      absl::StrCat("headstart ", headstart::kVersion, ", seeds ", first_seed,
                   " to ", last_seed);
  std::printf("%s\n", line.c_str());
  const int result = RUN_ALL_TESTS();
  std::printf("%s\n", line.c_str());
  return result;
}
