// Where the ticks of an axis are, and how numbers read.
#pragma once

#include <string>
#include <vector>

#include "client/plot/figure.h"

namespace headstart::client {

// Ticks at 1, 2 or 5 times a power of ten from `low` to `high`, at most
// `count` + 1 of them, and at least one from a `count` of 3 on. With `whole`
// none lies between whole numbers.
std::vector<Tick> LinearTicks(double low, double high, int count, bool whole);

// The same for 0 < low < high on a log axis: powers of ten, and 2 and 5 times
// them where there is room; the other digits as ticks without label. Where that
// gives fewer than three labels and LinearTicks more, it is those.
std::vector<Tick> LogTicks(double low, double high, int count);

// Five significant digits without trailing zeros: "0.0813", "12,500", "2e−6".
std::string NumberText(double value);

}  // namespace headstart::client
