#include "client/plot/svg_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace headstart::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EscapeXmlTest, ReplacesWhatEndsTextOrAttributes) {
  EXPECT_EQ(EscapeXml("a<b> & \"c\" 'd'"),
            "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(EscapeXml("&lt;"), "&amp;lt;");
}

TEST(EscapeXmlTest, KeepsOtherLettersAndReplacesWhatXmlCannotHold) {
  EXPECT_EQ(EscapeXml("größe 大 🎉"), "größe 大 🎉");
  EXPECT_EQ(EscapeXml("a\tb\nc"), "a b c");
  EXPECT_EQ(EscapeXml(absl::string_view("a\0b\x1B", 4)), "a\uFFFDb\uFFFD");
  EXPECT_EQ(EscapeXml("\uFFFE\uFFFF"), "\uFFFD\uFFFD");
}

TEST(EscapeXmlTest, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(EscapeXml("\xFFx"), "\uFFFDx");
  EXPECT_EQ(EscapeXml("\xC3"), "\uFFFD");            // Cut short.
  EXPECT_EQ(EscapeXml("\xC3<"), "\uFFFD&lt;");       // It hides no "<".
  EXPECT_EQ(EscapeXml("\xC0\xBC"), "\uFFFD\uFFFD");  // An overlong "<".
  EXPECT_EQ(EscapeXml("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // A surrogate.
  EXPECT_EQ(EscapeXml("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(PxTest, HasAtMostTwoDecimals) {
  EXPECT_EQ(Px(0), "0");
  EXPECT_EQ(Px(12), "12");
  EXPECT_EQ(Px(12.5), "12.5");
  EXPECT_EQ(Px(12.05), "12.05");
  EXPECT_EQ(Px(12.006), "12.01");
  EXPECT_EQ(Px(-0.5), "-0.5");
  EXPECT_EQ(Px(-12.25), "-12.25");
  EXPECT_EQ(Px(-0.001), "0");
}

TEST(FitTextTest, CutsWhatIsTooWideBetweenCharacters) {
  EXPECT_EQ(FitText("short", 100, 12), "short");

  const std::string fitted = FitText("größen und längen", 60, 12);

  EXPECT_THAT(fitted, testing::EndsWith("…"));
  EXPECT_THAT(fitted, testing::StartsWith("grö"));
  EXPECT_LE(TextWidth(fitted, 12), 60);
  EXPECT_EQ(EscapeXml(fitted), fitted);  // No character was cut in two.
}

TEST(FitTextTest, LeavesAnEllipsisWhereNothingFits) {
  EXPECT_EQ(FitText("word", 0, 12), "…");
  EXPECT_EQ(FitText("", 0, 12), "");
}

TEST(WrapTextTest, BreaksAtSpacesAndCutsLongWords) {
  const double width = TextWidth("one two ", 12);

  EXPECT_THAT(WrapText("one two\nthree", width, 12),
              ElementsAre("one two", "three"));
  EXPECT_THAT(WrapText("onetwothreefour", width, 12).front(),
              testing::EndsWith("…"));
  EXPECT_THAT(WrapText("  ", width, 12), IsEmpty());
}

}  // namespace
}  // namespace headstart::client
