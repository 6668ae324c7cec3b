#include "client/plot/rules.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/plot/pixel_map.h"
#include "client/plot/svg_text.h"

namespace headstart::client {
namespace {

constexpr double kFontSize = 12;  // As in the style sheet.
constexpr double kGap = 5;        // Between a rule and its label.

// Where a label may begin: on its baseline.
struct Place {
  double x = 0;
  double baseline = 0;
};

std::vector<const Rule*> Shown(const std::vector<Rule>& rules,
                               const PixelMap& map) {
  std::vector<const Rule*> shown;
  for (const Rule& rule : rules) {
    if (map.FitnessOf(rule.at) == Fitness::kDrawable && map.Shows(rule.at)) {
      shown.push_back(&rule);
    }
  }
  return shown;
}

double LabelWidth(const Rule& rule, const Area& area) {
  return std::min(TextWidth(rule.label, kFontSize),
                  (area.right - area.left) * 0.8);
}

// Above or below the rule at y, from the right on.
std::vector<Place> PlacesAlong(double y, double width, const Area& area) {
  std::vector<Place> places;
  for (double x = area.right - 4 - width; x > area.left + 2; x -= 20) {
    places.push_back({x, y - kGap});
    places.push_back({x, y + kFontSize + 3});
  }
  return places;
}

// Right or left of the rule at x, from the top on; then across it.
std::vector<Place> PlacesBeside(double x, double width, const Area& area) {
  std::vector<Place> places;
  for (double y = area.top + kFontSize; y < area.bottom - 3; y += 8) {
    places.push_back({x + kGap, y});
    places.push_back({x - kGap - width, y});
  }
  places.push_back(
      {std::min(x + kGap, area.right - width - 4), area.top + kFontSize});
  return places;
}

bool OverlapsAny(const Area& area, const std::vector<Area>& others) {
  return std::any_of(others.begin(), others.end(),
                     [&](const Area& other) { return area.Overlaps(other); });
}

// Draws a label at the first of `places` that is free: of everything, else of
// what is in `taken`, else inside `area`. Adds it to `taken`.
std::string DrawLabel(const Rule& rule, const std::vector<Place>& places,
                      const Area& area, const std::vector<Area>& ink,
                      std::vector<Area>* taken) {
  if (rule.label.empty()) {
    return "";
  }
  const double width = LabelWidth(rule, area);
  enum { kAvoidAll, kAvoidRules, kStayInside };
  for (const int care : {kAvoidAll, kAvoidRules, kStayInside}) {
    for (const Place& at : places) {
      const Area label = {at.x - 2, at.baseline - kFontSize, at.x + width + 2,
                          at.baseline + 3};
      if (label.left < area.left || label.right > area.right ||
          label.top < area.top - 4 || label.bottom > area.bottom ||
          (care <= kAvoidRules && OverlapsAny(label, *taken)) ||
          (care == kAvoidAll && OverlapsAny(label, ink))) {
        continue;
      }
      taken->push_back(label);
      return TextElement(rule.label, at.x, at.baseline, width + 1, kFontSize);
    }
  }
  return "";
}

}  // namespace

DrawnRules DrawRules(const Panel& panel, const Area& area,
                     const Canvas& canvas) {
  const std::vector<const Rule*> horizontal =
      Shown(panel.horizontal_rules, canvas.y);
  const std::vector<const Rule*> vertical =
      Shown(panel.vertical_rules, canvas.x);
  std::string path;
  std::vector<Area> taken;
  for (const Rule* rule : horizontal) {
    const double y = canvas.y(rule->at);
    absl::StrAppend(&path, "M", Px(area.left), " ", Px(y), "H", Px(area.right));
    taken.push_back({area.left, y - 1, area.right, y + 1});
  }
  for (const Rule* rule : vertical) {
    const double x = canvas.x(rule->at);
    absl::StrAppend(&path, "M", Px(x), " ", Px(area.top), "V", Px(area.bottom));
    taken.push_back({x - 1, area.top, x + 1, area.bottom});
  }

  std::string labels;
  for (const Rule* rule : horizontal) {
    labels += DrawLabel(
        *rule, PlacesAlong(canvas.y(rule->at), LabelWidth(*rule, area), area),
        area, canvas.ink, &taken);
  }
  for (const Rule* rule : vertical) {
    labels += DrawLabel(
        *rule, PlacesBeside(canvas.x(rule->at), LabelWidth(*rule, area), area),
        area, canvas.ink, &taken);
  }
  if (path.empty()) {
    return {};
  }
  return {
      .lines = absl::StrCat("<path class=\"hsp-rule\" d=\"", path, "\"/>\n"),
      .labels =
          absl::StrCat("<g class=\"hsp-soft hsp-halo\">\n", labels, "</g>\n")};
}

}  // namespace headstart::client
