#include "client/plot/figure_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/status_matchers.h"

namespace headstart::client {
namespace {

using testing::ElementsAre;

TEST(FigureJsonTest, ReadsEveryField) {
  ASSERT_OK_AND_ASSIGN(const Figure figure, ParseFigure(R"({
    "title": "t", "subtitle": "s", "description": "d", "columns": 2,
    "shared_x": true, "shared_y": true, "width": 500, "panel_height": 100,
    "panels": [{
      "title": "p",
      "x": {"label": "l", "unit": "%", "scale": "log", "min": 1, "max": 10,
            "reversed": true, "ticks": [{"value": 2, "label": "two"}]},
      "y": {"categories": ["a", "b"]},
      "lines": [{"name": "n", "x": [1, 2], "y": [3, null], "low": [1, 2],
                 "high": [4, 5], "draw": "line_and_markers", "faint": true,
                 "style": 3}],
      "bars": [{"name": "b", "y": [1], "low": [0], "high": [2], "style": 1}],
      "boxes": [{"name": "x", "samples": [[1, 2, 3], []], "style": 2}],
      "horizontal_rules": [{"at": 4, "label": "h"}],
      "vertical_rules": [{"at": 5, "label": "v"}],
      "labels": [{"x": 1, "y": 2, "text": "q"}]}]})"));
  EXPECT_EQ(figure.title, "t");
  EXPECT_EQ(figure.subtitle, "s");
  EXPECT_EQ(figure.description, "d");
  EXPECT_EQ(figure.columns, 2);
  EXPECT_TRUE(figure.shared_x);
  EXPECT_TRUE(figure.shared_y);
  EXPECT_EQ(figure.width, 500);
  EXPECT_EQ(figure.panel_height, 100);
  ASSERT_EQ(figure.panels.size(), 1u);
  const Panel& panel = figure.panels[0];
  EXPECT_EQ(panel.title, "p");
  EXPECT_EQ(panel.x.label, "l");
  EXPECT_EQ(panel.x.unit, "%");
  EXPECT_EQ(panel.x.scale, Scale::kLog);
  EXPECT_EQ(panel.x.min, 1);
  EXPECT_EQ(panel.x.max, 10);
  EXPECT_TRUE(panel.x.reversed);
  ASSERT_EQ(panel.x.ticks.size(), 1u);
  EXPECT_EQ(panel.x.ticks[0].value, 2);
  EXPECT_EQ(panel.x.ticks[0].label, "two");
  EXPECT_THAT(panel.y.categories, ElementsAre("a", "b"));
  ASSERT_EQ(panel.lines.size(), 1u);
  EXPECT_EQ(panel.lines[0].name, "n");
  EXPECT_THAT(panel.lines[0].x, ElementsAre(1, 2));
  EXPECT_EQ(panel.lines[0].y[0], 3);
  EXPECT_TRUE(std::isnan(panel.lines[0].y[1]));
  EXPECT_THAT(panel.lines[0].low, ElementsAre(1, 2));
  EXPECT_THAT(panel.lines[0].high, ElementsAre(4, 5));
  EXPECT_EQ(panel.lines[0].draw, Line::Draw::kLineAndMarkers);
  EXPECT_TRUE(panel.lines[0].faint);
  EXPECT_EQ(panel.lines[0].style, 3);
  ASSERT_EQ(panel.bars.size(), 1u);
  EXPECT_EQ(panel.bars[0].style, 1);
  ASSERT_EQ(panel.boxes.size(), 1u);
  ASSERT_EQ(panel.boxes[0].boxes.size(), 2u);
  EXPECT_EQ(panel.boxes[0].boxes[0].median, 2);
  EXPECT_EQ(panel.horizontal_rules[0].at, 4);
  EXPECT_EQ(panel.vertical_rules[0].label, "v");
  ASSERT_EQ(panel.labels.size(), 1u);
  EXPECT_EQ(panel.labels[0].x, 1);
  EXPECT_EQ(panel.labels[0].y, 2);
  EXPECT_EQ(panel.labels[0].text, "q");
  EXPECT_OK(ParseFigure("{}"));
}

TEST(FigureJsonTest, RefusesWhatItDoesNotKnowWithItsPath) {
  const auto refusal = [](const char* json) {
    return std::string(ParseFigure(json).status().message());
  };
  EXPECT_EQ(refusal("["), "the figure: this is not JSON.");
  EXPECT_EQ(refusal("[]"), "the figure: must be an object.");
  EXPECT_EQ(refusal(R"({"colour": 1})"), "colour: is not known.");
  EXPECT_EQ(refusal(R"({"panels": [{}, {"x": {"scale": "root"}}]})"),
            "panels[1].x.scale: must be one of linear, log.");
  EXPECT_EQ(refusal(R"({"panels": [{"lines": [{"x": [1, "2"]}]}]})"),
            "panels[0].lines[0].x: must be a list of numbers.");
  EXPECT_EQ(refusal(R"({"title": 3})"), "title: must be a text.");
  EXPECT_EQ(refusal(R"({"width": 4294967796})"),
            "width: must be from 0 to 1000000.");
  EXPECT_EQ(refusal(R"({"panels": [{"boxes": [{"samples": [[1], [true]]}]}]})"),
            "panels[0].boxes[0].samples[1]: must be a list of numbers.");
}

}  // namespace
}  // namespace headstart::client
