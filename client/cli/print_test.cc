#include "client/cli/print.h"

#include <gtest/gtest.h>

#include <sstream>

namespace headstart::client {
namespace {

TEST(PrinterTest, DrawsNoMoreThanTheTerminalShows) {
  std::ostringstream out;
  Printer printer({.out = &out,
                   .error = &out,
                   .out_is_terminal = true,
                   .columns = [] { return 6; },
                   .rows = [] { return 5; }});

  printer.Redraw({"one", "two and a half", "three", "four"});
  EXPECT_EQ(out.str(), "one\ntwo a\nthree\nfour\n");

  out.str("");
  printer.Redraw({"one", "two", "three", "four", "five"});
  EXPECT_EQ(out.str(), "\x1b[4A\r\x1b[Jone\ntwo\nthree\n...\n");

  out.str("");
  printer.Progress("news");
  EXPECT_EQ(out.str(), "\x1b[4A\r\x1b[Jnews\none\ntwo\nthree\n...\n");
}

}  // namespace
}  // namespace headstart::client
