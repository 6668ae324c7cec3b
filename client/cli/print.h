// Where answers go, and what they look like there: tables for people, JSON
// lines for programs.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace headstart::client {

// Rows under headings; columns are as wide as their widest cell.
//
//   NAME              STATE      EPOCH  OBJECTIVE
//   studies/1/trials/4  SUCCEEDED      9    97.88 %
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void Add(std::vector<std::string> cells);

  bool empty() const { return rows_.empty(); }
  // Lines without a newline at their end or spaces before it.
  std::vector<std::string> Lines() const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A table below lines, an empty line between; nothing when it has no rows.
void AppendTable(std::vector<std::string>& lines, const Table& table);

// "name:   value" lines, values aligned.
std::vector<std::string> FieldLines(
    const std::vector<std::pair<std::string, std::string>>& fields);

// The message's JSON form in one line, field names as in the proto, fields
// without presence always there.
std::string ToJsonLine(const google::protobuf::Message& message);

struct PrinterOptions {
  // Both outlive the printer.
  std::ostream* out = nullptr;
  std::ostream* error = nullptr;
  bool out_is_terminal = false;
  bool error_is_terminal = false;
  // How wide and high the terminal is now, in characters.
  std::function<int64_t()> columns = [] { return 80; };
  std::function<int64_t()> rows = [] { return 24; };
  bool json = false;   // JSON lines instead of tables.
  bool quiet = false;  // No tables and no progress.
};

// What a command says, sorted by who reads it.
//
// Results are what a script captures: they always go to stdout. Tables and
// progress are for people: they go to stdout when that is a terminal, to stderr
// otherwise, and nowhere when quiet or when results are JSON (progress then
// still goes to stderr). Control characters are written as "?".
//
// Any thread may call.
class Printer {
 public:
  explicit Printer(PrinterOptions options) : options_(std::move(options)) {}

  bool json() const { return options_.json; }

  // Whether Redraw replaces what it wrote before.
  bool is_live() const;

  // How many characters of a line Redraw shows.
  int64_t columns() const { return options_.columns() - 1; }

  void Result(absl::string_view line);
  void Json(const google::protobuf::Message& message);

  void Show(const Table& table) { Show(table.Lines()); }
  void Show(const std::vector<std::string>& lines);

  // One line about what goes on. On its own line, above what Redraw wrote.
  void Progress(absl::string_view line);

  // Shows `lines` where the last Redraw's were; terminals only, and they are
  // cut at the terminal's width and height.
  void Redraw(const std::vector<std::string>& lines);

  // Leaves what was drawn as it is; the next Redraw starts below it.
  void KeepDrawn();

  // One line on stderr, always.
  void Error(absl::string_view line);

 private:
  std::ostream& people() const;
  void Draw(const std::vector<std::string>& lines)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EraseDrawn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const PrinterOptions options_;
  // Held while writing, so that lines of two threads do not mix.
  Mutex mu_;
  std::vector<std::string> drawn_ ABSL_GUARDED_BY(mu_);
};

}  // namespace headstart::client
