#include "client/cli/shell_word.h"

#include <gtest/gtest.h>

namespace headstart::client {
namespace {

TEST(ShellWordTest, QuotesOnlyWhatTheShellWouldReadOtherwise) {
  EXPECT_EQ(ShellWord("examples/mnist.yaml"), "examples/mnist.yaml");
  EXPECT_EQ(ShellWord("cpu:4,cpu:4"), "cpu:4,cpu:4");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("my study.yaml"), "'my study.yaml'");
  EXPECT_EQ(ShellWord("~/s.yaml"), "'~/s.yaml'");
  EXPECT_EQ(ShellWord("$(rm x)&"), "'$(rm x)&'");
  EXPECT_EQ(ShellWord("it's"), R"('it'\''s')");
}

}  // namespace
}  // namespace headstart::client
