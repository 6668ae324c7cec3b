#include "client/cli/print.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <ostream>
#include <utility>

#include "base/check.h"

namespace headstart::client {
namespace {

// Names and messages come from others; a terminal must not obey them.
std::string Printable(absl::string_view text, bool keep_newlines = false) {
  std::string printable(text);
  for (char& c : printable) {
    if (c == '\n' && keep_newlines) continue;
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return printable;
}

// Columns that UTF-8 text takes, one per character.
int64_t Width(absl::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

// The first `columns` characters.
absl::string_view Cut(absl::string_view text, int64_t columns) {
  size_t end = 0;
  while (end < text.size()) {
    if ((text[end] & 0xC0) != 0x80 && columns-- == 0) break;
    ++end;
  }
  return text.substr(0, end);
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  HS_CHECK_EQ(cells.size(), columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::Lines() const {
  std::vector<int64_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int64_t width = Width(columns_[c].heading);
    for (const auto& row : rows_) width = std::max(width, Width(row[c]));
    widths.push_back(width);
  }
  std::vector<std::string> lines;
  const auto add_line = [&](auto cell_of) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string& cell = cell_of(c);
      const std::string padding(widths[c] - Width(cell), ' ');
      if (c > 0) line += "  ";
      line +=
          columns_[c].align == Align::kRight ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  };
  add_line([&](size_t c) -> const std::string& { return columns_[c].heading; });
  for (const auto& row : rows_) {
    add_line([&](size_t c) -> const std::string& { return row[c]; });
  }
  return lines;
}

void AppendTable(std::vector<std::string>& lines, const Table& table) {
  if (table.empty()) return;
  lines.emplace_back();
  for (std::string& line : table.Lines()) lines.push_back(std::move(line));
}

std::vector<std::string> FieldLines(
    const std::vector<std::pair<std::string, std::string>>& fields) {
  int64_t width = 0;
  for (const auto& [name, value] : fields) {
    width = std::max(width, Width(name));
  }
  std::vector<std::string> lines;
  for (const auto& [name, value] : fields) {
    lines.push_back(name + ":" + std::string(width - Width(name) + 2, ' ') +
                    value);
  }
  return lines;
}

std::string ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  // Only a Value without a kind, or an instant outside years 1 to 9999, cannot
  // be written; what a server sends must not stop this process.
  if (!status.ok()) return "{}";
  return json;
}

std::ostream& Printer::people() const {
  return options_.out_is_terminal && !options_.json ? *options_.out
                                                    : *options_.error;
}

bool Printer::is_live() const {
  if (options_.quiet || options_.json) return false;
  return options_.out_is_terminal || options_.error_is_terminal;
}

void Printer::Result(absl::string_view line) {
  MutexLock lock(&mu_);
  drawn_.clear();
  *options_.out << Printable(line) << "\n" << std::flush;
}

void Printer::Json(const google::protobuf::Message& message) {
  MutexLock lock(&mu_);
  *options_.out << ToJsonLine(message) << "\n" << std::flush;
}

void Printer::Show(const std::vector<std::string>& lines) {
  if (options_.quiet || options_.json) return;
  MutexLock lock(&mu_);
  drawn_.clear();
  for (const std::string& line : lines) people() << Printable(line) << "\n";
  people() << std::flush;
}

void Printer::Progress(absl::string_view line) {
  if (options_.quiet) return;
  MutexLock lock(&mu_);
  const std::vector<std::string> drawn = drawn_;
  EraseDrawn();
  people() << Printable(line) << "\n" << std::flush;
  if (!drawn.empty()) Draw(drawn);
}

void Printer::Redraw(const std::vector<std::string>& lines) {
  if (!is_live()) return;
  MutexLock lock(&mu_);
  EraseDrawn();
  Draw(lines);
}

void Printer::KeepDrawn() {
  MutexLock lock(&mu_);
  drawn_.clear();
}

void Printer::Error(absl::string_view line) {
  MutexLock lock(&mu_);
  drawn_.clear();
  *options_.error << Printable(line, /*keep_newlines=*/true) << "\n"
                  << std::flush;
}

void Printer::Draw(const std::vector<std::string>& lines) {
  const int64_t width = columns();
  // What has scrolled away cannot be erased; the cursor needs a line too.
  const size_t height = std::max<int64_t>(2, options_.rows() - 1);
  std::vector<std::string> shown = lines;
  if (shown.size() > height) {
    shown.resize(height - 1);
    shown.push_back("...");
  }
  for (const std::string& line : shown) {
    people() << Printable(Cut(line, width)) << "\n";
  }
  people() << std::flush;
  drawn_ = std::move(shown);
}

void Printer::EraseDrawn() {
  if (drawn_.empty()) return;
  // Up by as many lines, to the first column, and clear what is below.
  people() << "\x1b[" << drawn_.size() << "A\r\x1b[J";
  drawn_.clear();
}

}  // namespace headstart::client
