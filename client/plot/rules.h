// Draws the rules of a panel and finds places for their labels.
#pragma once

#include <string>

#include "client/plot/figure.h"
#include "client/plot/marks.h"

namespace headstart::client {

struct DrawnRules {
  std::string lines;  // As one path; empty if the panel shows no rule.
  std::string labels;
};

// `area` lies between the axes; `canvas` holds the panel's marks. A label
// stands beside its rule, clear of other rules and their labels and, if there
// is such a place, of the marks.
DrawnRules DrawRules(const Panel& panel, const Area& area,
                     const Canvas& canvas);

}  // namespace headstart::client
