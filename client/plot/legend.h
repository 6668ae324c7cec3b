// Which look each name of a figure has, and the rows that say so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "client/plot/figure.h"
#include "client/plot/marks.h"

namespace headstart::client {

class Legend final {
 public:
  // Gives the names of `figure`, in the order in which they come, the places
  // of the palette that nobody asked for.
  explicit Legend(const Figure& figure);

  // The place in the palette of a mark of that figure.
  int StyleOf(const std::string& name, std::optional<int> style) const;

  // The named ones, in order.
  std::vector<std::string> Names() const;

  // Rows of keys and names from `top` on, and how high they are: 0 if no mark
  // has a name. Beyond 40 names it says how many more there are.
  struct Rows {
    std::string svg = {};
    double height = 0;
  };
  Rows Draw(double left, double top, double width) const;

 private:
  struct Entry {
    std::string name;
    KeyKind kind;
  };

  std::vector<Entry> entries_;  // Each name once.
  absl::btree_map<std::string, int> styles_;
};

}  // namespace headstart::client
