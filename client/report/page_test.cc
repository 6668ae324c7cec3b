#include "client/report/page.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kHostile[] = "<script>alert(\"1\")</script>&'";
constexpr char kHarmless[] =
    "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";

TEST(PageTest, AllTextIsEscaped) {
  PageTable table = {.caption = kHostile,
                     .columns = {{kHostile, false, kHostile, kHostile}},
                     .rows = {{{kHostile}}}};
  Html all = Paragraph(kHostile);
  all += Remark(kHostile);
  all += WarningList({kHostile});
  all += Preformatted(kHostile);
  all += Subheading(kHostile);
  all += TermList({{kHostile, kHostile}});
  all += TableOf(table);
  all += Picture("", kHostile);
  all += SaveLink(kHostile, {kHostile, kHostile, kHostile});
  const std::string text = PageText({.title = kHostile,
                                     .subtitle = kHostile,
                                     .sections = {{"a", kHostile, all}}});

  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, Not(HasSubstr("alert(\"")));
  EXPECT_THAT(text, HasSubstr(kHarmless));
}

TEST(PageTest, ForbidsTheBrowserToFetchOrRunAnything) {
  const std::string text = PageText({.title = "a"});

  EXPECT_THAT(text, HasSubstr("default-src 'none'"));
  EXPECT_THAT(text, Not(HasSubstr("http://")));
  EXPECT_THAT(text, Not(HasSubstr("https://")));
  EXPECT_THAT(text, Not(HasSubstr("url(")));
}

TEST(PageTest, FollowsTheReadersSettingAndPrinter) {
  const std::string text = PageText({.title = "a"});

  EXPECT_THAT(text, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(text, HasSubstr("@media print"));
}

TEST(PageTest, SectionsAreLinkedAboveThem) {
  const std::string text =
      PageText({.sections = {{"runs", "The runs", Paragraph("Eight.")}}});

  EXPECT_THAT(text, HasSubstr("<a href=\"#runs\">The runs</a>"));
  EXPECT_THAT(text, HasSubstr("<section id=\"runs\""));
  EXPECT_THAT(text, HasSubstr("<p>Eight.</p>"));
}

TEST(PageTest, NeighboursOfOneGroupShareAHeading) {
  const Html table = TableOf({.columns = {{"arm"},
                                          {"p", true, "", "paired t"},
                                          {"Holm", true, "", "paired t"},
                                          {"p", true, "", "Welch"}}});

  EXPECT_THAT(table.markup,
              HasSubstr("<td></td><th class=\"group\" scope=\"colgroup\" "
                        "colspan=\"2\">paired t</th><th class=\"group\" "
                        "scope=\"colgroup\" colspan=\"1\">Welch</th>"));
}

TEST(PageTest, RowsBeyondTheLimitAreCounted) {
  PageTable table = {.columns = {{"run"}}, .rows_max = 2};
  for (const char* name : {"one", "two", "three", "four", "five"}) {
    table.rows.push_back({{name}});
  }
  const Html html = TableOf(table);

  EXPECT_THAT(html.markup, HasSubstr("two"));
  EXPECT_THAT(html.markup, Not(HasSubstr("three")));
  EXPECT_THAT(html.markup, HasSubstr("and 3 more"));
}

TEST(PageTest, AnAttachmentIsInTheLinkByteForByte) {
  const Html link = SaveLink(
      "Save", {"runs.csv", "text/csv", "arm,best\n\"a\"\"b\",94.2 %\nü,1\n"});

  EXPECT_THAT(link.markup, HasSubstr("download=\"runs.csv\""));
  EXPECT_THAT(link.markup,
              HasSubstr("href=\"data:text/csv;charset=utf-8,arm,best%0A%22a%22"
                        "%22b%22,94.2%20%25%0A%C3%BC,1%0A\""));
}

TEST(PageTest, WhatNoLinkCanHoldIsLeftOut) {
  const Html link =
      SaveLink("Save", {"runs.csv", "text/csv", std::string(5'000'000, '1')});

  EXPECT_LT(link.markup.size(), 1000);
  EXPECT_THAT(link.markup, HasSubstr("too large"));
}

TEST(PageTest, LinesStayLines) {
  EXPECT_EQ(Preformatted("a:\n  - <b>\n").markup,
            "<pre>a:\n  - &lt;b&gt;\n</pre>\n");
}

TEST(PageTest, NoWarningsLeaveNoFrame) {
  EXPECT_EQ(WarningList({}).markup, "");
}

}  // namespace
}  // namespace headstart::client
