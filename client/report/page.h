// One HTML file that is complete in itself: text, tables, figures and the data
// behind them, for a reader who has nothing but the file.
//
//   Page page = {.title = "Which start is best?"};
//   Html body = Paragraph("Epoch 25 is.");
//   body += TableOf(table);
//   page.sections.push_back({"results", "Results", body});
//   WriteFile("report.html", PageText(page));
//
// No script, font, picture or style comes from elsewhere, and the page forbids
// the browser to fetch any. It follows the reader's light or dark setting and
// prints dark on white. Equal pages give equal bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace headstart::client {

// Markup, kept apart from plain text: what becomes of text in it has been
// escaped. Only the functions below make it.
struct Html {
  std::string markup = {};

  Html& operator+=(const Html& more) {
    markup += more.markup;
    return *this;
  }
};

// All of these take plain text.

Html Paragraph(absl::string_view text);
// Smaller and paler: how to read what stands above.
Html Remark(absl::string_view text);
// Framed, one item each; nothing for none.
Html WarningList(absl::Span<const std::string> texts);
// Lines as they are, in a font of equal widths.
Html Preformatted(absl::string_view text);
// A heading below that of the section.
Html Subheading(absl::string_view text);

// Terms and what they mean.
struct Term {
  std::string term;
  std::string meaning;
};
Html TermList(absl::Span<const Term> terms);

struct PageTable {
  struct Column {
    std::string heading = {};
    bool is_number = false;  // Set right, all digits equally wide.
    // What the heading means; shown when the reader points at it.
    std::string explanation = {};
    // Neighbours of one group stand below one heading; empty for none.
    std::string group = {};
  };
  struct Row {
    std::vector<std::string> cells;  // As many as columns.
    bool is_marked = false;          // The one that others are compared with.
  };

  std::string caption = {};
  std::vector<Column> columns = {};
  std::vector<Row> rows = {};
  // Rows beyond it are only counted, in a last row.
  int64_t rows_max = 1000;
};
// The first cell of each row names the row.
Html TableOf(const PageTable& table);

// `svg` as DrawSvg made it; `caption` says how to read it.
Html Picture(absl::string_view svg, absl::string_view caption);

// A file that the reader can save, held in the page itself.
struct Attachment {
  std::string file_name;   // Without folders.
  std::string media_type;  // Such as text/csv.
  std::string content;
};

// A link that saves the attachment. What is too large for the links of usual
// browsers (2 MB) is not held: then there is a sentence in place of the link.
Html SaveLink(absl::string_view text, const Attachment& attachment);

struct Page {
  struct Section {
    std::string id = {};  // Letters, digits and dashes: the link's target.
    std::string heading = {};
    Html body = {};
  };

  std::string title = {};
  std::string subtitle = {};
  std::vector<Section> sections = {};
};

// The whole file.
std::string PageText(const Page& page);

}  // namespace headstart::client
