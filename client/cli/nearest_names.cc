#include "client/cli/nearest_names.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace headstart::client {
namespace {

// Insertions, deletions, replacements and swaps of neighbours that turn one
// into the other (optimal string alignment).
int64_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<int64_t> before(b.size() + 1), last(b.size() + 1),
      row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string DidYouMean(absl::string_view wrong,
                       const std::vector<std::string>& names) {
  constexpr size_t kOfferedMax = 3;
  constexpr size_t kListedMax = 12;
  constexpr size_t kLengthMax = 100;  // Nobody mistypes more.

  std::vector<std::pair<int64_t, std::string>> near;
  if (wrong.size() <= kLengthMax) {
    const std::string lower = absl::AsciiStrToLower(wrong);
    for (const std::string& name : names) {
      const std::string name_lower = absl::AsciiStrToLower(name);
      const int64_t distance = Distance(lower, name_lower);
      const bool is_part = lower.size() >= 3 && name.size() >= 3 &&
                           (absl::StrContains(name_lower, lower) ||
                            absl::StrContains(lower, name_lower));
      const size_t shorter = std::min(lower.size(), name.size());
      const auto same = static_cast<size_t>(
          std::mismatch(lower.begin(), lower.begin() + shorter,
                        name_lower.begin())
              .first -
          lower.begin());
      const bool begins_alike = same >= 4 && same * 3 >= shorter * 2;
      if (is_part || begins_alike ||
          distance <=
              std::max<int64_t>(1, static_cast<int64_t>(name.size()) / 3)) {
        near.emplace_back(distance, name);
      }
    }
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) {
    return a.first < b.first;
  });
  if (!near.empty()) {
    std::vector<std::string> offered;
    for (size_t i = 0; i < std::min(near.size(), kOfferedMax); ++i) {
      offered.push_back(near[i].second);
    }
    return absl::StrCat("; did you mean ", absl::StrJoin(offered, " or "), "?");
  }
  if (names.empty()) return "; it has none: write {}";
  std::vector<std::string> listed(
      names.begin(), names.begin() + std::min(names.size(), kListedMax));
  return absl::StrCat("; there are ", absl::StrJoin(listed, ", "),
                      names.size() > kListedMax ? ", ..." : "");
}

}  // namespace headstart::client
