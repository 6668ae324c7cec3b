#include "client/plot/legend.h"

#include <algorithm>

#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "client/plot/svg_text.h"

namespace headstart::client {
namespace {

constexpr size_t kNamesMax = 40;
constexpr double kFontSize = 12;
constexpr double kRowHeight = 20;
constexpr double kKeyWidth = 34;  // With the room behind it.
constexpr double kGap = 20;
constexpr double kNameWidthMax = 320;

KeyKind KindOf(const Line& line) {
  switch (line.draw) {
    case Line::Draw::kLine:
      return line.faint ? KeyKind::kFaintLine : KeyKind::kLine;
    case Line::Draw::kMarkers:
      return KeyKind::kMarkers;
    case Line::Draw::kLineAndMarkers:
      break;
  }
  return KeyKind::kLineAndMarkers;
}

}  // namespace

Legend::Legend(const Figure& figure) {
  absl::btree_map<std::string, size_t> seen;  // Place in entries_.
  const auto add = [&](const std::string& name, std::optional<int> style,
                       KeyKind kind) {
    const auto [at, is_new] = seen.emplace(name, entries_.size());
    if (is_new) {
      entries_.push_back({name, kind});
    } else if (entries_[at->second].kind == KeyKind::kFaintLine) {
      entries_[at->second].kind = kind;  // The mean of the faint runs.
    }
    if (style.has_value()) {
      styles_.emplace(name, *style);
    }
  };
  for (const Panel& panel : figure.panels) {
    for (const Bars& bars : panel.bars) {
      add(bars.name, bars.style, KeyKind::kBars);
    }
    for (const Boxes& boxes : panel.boxes) {
      add(boxes.name, boxes.style, KeyKind::kBoxes);
    }
    for (const Line& line : panel.lines) {
      add(line.name, line.style, KindOf(line));
    }
  }

  absl::btree_set<int> taken;
  for (const auto& [name, style] : styles_) {
    taken.insert(style);
  }
  int next = 0;
  for (const Entry& entry : entries_) {
    if (!styles_.contains(entry.name)) {
      while (taken.contains(next)) {
        ++next;
      }
      styles_[entry.name] = next++;
    }
  }
  std::erase_if(entries_,
                [](const Entry& entry) { return entry.name.empty(); });
}

int Legend::StyleOf(const std::string& name, std::optional<int> style) const {
  return style.has_value() ? *style : styles_.at(name);
}

std::vector<std::string> Legend::Names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    names.push_back(entry.name);
  }
  return names;
}

Legend::Rows Legend::Draw(double left, double top, double width) const {
  Rows rows;
  double x = left;
  double y = top + kRowHeight / 2;
  // Moves to the place of the next entry.
  const auto place = [&](double entry_width) {
    if (x > left && x + entry_width > left + width) {
      x = left;
      y += kRowHeight;
    }
  };

  const size_t shown = std::min(entries_.size(), kNamesMax);
  const double name_width_max = std::min(kNameWidthMax, width - kKeyWidth);
  for (size_t i = 0; i < shown; ++i) {
    const Entry& entry = entries_[i];
    const double name_width =
        std::min(TextWidth(entry.name, kFontSize), name_width_max);
    place(kKeyWidth + name_width);
    absl::StrAppend(
        &rows.svg,
        LegendKey(entry.kind, styles_.at(entry.name), x + kKeyWidth / 2 - 3, y),
        TextElement(entry.name, x + kKeyWidth, y + 4, name_width_max,
                    kFontSize));
    x += kKeyWidth + name_width + kGap;
  }
  if (shown < entries_.size()) {
    const std::string rest =
        absl::StrCat("and ", entries_.size() - shown, " more");
    place(TextWidth(rest, kFontSize));
    rows.svg += TextElement(rest, x, y + 4, width, kFontSize);
  }
  if (!entries_.empty()) {
    rows.height = y + kRowHeight / 2 - top;
  }
  return rows;
}

}  // namespace headstart::client
