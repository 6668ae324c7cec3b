// Cells of CSV files (RFC 4180).
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace headstart::client {

// Text of a person or program as a cell, in quotes where it needs them. One
// that a spreadsheet would take for a formula (it begins with =, +, -, @, a tab
// or a line break) gets an apostrophe in front.
std::string CsvCell(absl::string_view text);

}  // namespace headstart::client
