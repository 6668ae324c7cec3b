#include "client/cli/nearest_names.h"

#include <gtest/gtest.h>

namespace headstart::client {
namespace {

TEST(DidYouMeanTest, OffersTheNearestFirst) {
  const std::vector<std::string> names = {"model", "dataset", "epochs",
                                          "batch_size"};
  EXPECT_EQ(DidYouMean("epoch", names), "; did you mean epochs?");
  EXPECT_EQ(DidYouMean("epcohs", names), "; did you mean epochs?");
  EXPECT_EQ(DidYouMean("Batch_Size", names), "; did you mean batch_size?");
  EXPECT_EQ(DidYouMean("size", names), "; did you mean batch_size?");
  EXPECT_EQ(DidYouMean("study", {"studies", "trials"}),
            "; did you mean studies?");
  EXPECT_EQ(DidYouMean("beta", {"beta1", "beta2", "epsilon"}),
            "; did you mean beta1 or beta2?");
}

TEST(DidYouMeanTest, ListsAllWhenNoneIsNear) {
  EXPECT_EQ(DidYouMean("x", {"model", "dataset"}),
            "; there are model, dataset");
  EXPECT_EQ(DidYouMean(std::string(1'000'000, 'x'), {"model"}),
            "; there are model");
  EXPECT_EQ(DidYouMean("x", {}), "; it has none: write {}");
}

}  // namespace
}  // namespace headstart::client
