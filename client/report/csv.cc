#include "client/report/csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace headstart::client {

std::string CsvCell(absl::string_view text) {
  constexpr absl::string_view kFormulaBeginnings = "=+-@\t\r\n";
  const bool is_formula =
      !text.empty() &&
      kFormulaBeginnings.find(text.front()) != absl::string_view::npos;
  const std::string cell = absl::StrCat(is_formula ? "'" : "", text);
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  return absl::StrCat("\"", absl::StrReplaceAll(cell, {{"\"", "\"\""}}), "\"");
}

}  // namespace headstart::client
