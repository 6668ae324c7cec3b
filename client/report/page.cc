#include "client/report/page.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/version.h"
#include "client/plot/svg_text.h"
#include "client/report/page_style.h"

namespace headstart::client {
namespace {

// Chrome's limit for all URLs is 2 MiB, and a tenth is left for escapes.
constexpr size_t kLinkBytesMax = 1'900'000;

// Cells of text with at most that many bytes are one line.
constexpr size_t kUnbrokenMax = 24;

// Nothing may be fetched, run, framed or sent; only the page's own styles hold.
constexpr absl::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'";

Html Element(absl::string_view tag, absl::string_view text,
             absl::string_view attributes = "") {
  return {absl::StrCat("<", tag, attributes, ">", EscapeXml(text), "</", tag,
                       ">\n")};
}

std::string HeadingText(const PageTable::Column& column) {
  const std::string heading = EscapeXml(column.heading);
  return column.explanation.empty()
             ? heading
             : absl::StrCat("<abbr title=\"", EscapeXml(column.explanation),
                            "\">", heading, "</abbr>");
}

absl::string_view ClassOf(const PageTable::Column& column) {
  return column.is_number ? " class=\"number\"" : "";
}

std::string TableHead(const PageTable& table) {
  std::string groups;
  std::string headings;
  bool has_groups = false;
  for (size_t i = 0; i < table.columns.size();) {
    const PageTable::Column& column = table.columns[i];
    if (column.group.empty()) {
      absl::StrAppend(&groups, "<td></td>");
      ++i;
      continue;
    }
    size_t end = i;
    while (end < table.columns.size() &&
           table.columns[end].group == column.group) {
      ++end;
    }
    absl::StrAppend(&groups,
                    "<th class=\"group\" scope=\"colgroup\" colspan=\"",
                    end - i, "\">", EscapeXml(column.group), "</th>");
    has_groups = true;
    i = end;
  }
  for (const PageTable::Column& column : table.columns) {
    absl::StrAppend(&headings, "<th scope=\"col\"", ClassOf(column), ">",
                    HeadingText(column), "</th>");
  }
  return absl::StrCat("<thead>", has_groups ? "<tr>" : "",
                      has_groups ? groups : "", has_groups ? "</tr>\n" : "",
                      "<tr>", headings, "</tr></thead>\n");
}

// Bytes as they stand in a data URL inside an attribute. Data that is mostly
// letters and digits hardly grows.
std::string UrlText(absl::string_view content) {
  constexpr absl::string_view kUnescaped = "-_.~,:;=/*()[]@!$";
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(content.size() + content.size() / 8);
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || kUnescaped.find(c) != kUnescaped.npos) {
      text += c;
    } else {
      text += '%';
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
  }
  return text;
}

}  // namespace

Html Paragraph(absl::string_view text) { return Element("p", text); }

Html Remark(absl::string_view text) {
  return Element("p", text, " class=\"remark\"");
}

Html WarningList(absl::Span<const std::string> texts) {
  if (texts.empty()) return {};
  Html list = {
      "<div class=\"warnings\" role=\"note\"><strong>Before you believe the "
      "numbers</strong>\n<ul>\n"};
  for (const std::string& text : texts) list += Element("li", text);
  list += Html{"</ul></div>\n"};
  return list;
}

Html Preformatted(absl::string_view text) {
  std::vector<std::string> lines;
  // EscapeXml takes line breaks for spaces.
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    lines.push_back(EscapeXml(line));
  }
  return {absl::StrCat("<pre>", absl::StrJoin(lines, "\n"), "</pre>\n")};
}

Html Subheading(absl::string_view text) { return Element("h3", text); }

Html TermList(absl::Span<const Term> terms) {
  Html list = {"<dl>\n"};
  for (const Term& term : terms) {
    list += Element("dt", term.term);
    list += Element("dd", term.meaning);
  }
  list += Html{"</dl>\n"};
  return list;
}

Html TableOf(const PageTable& table) {
  Html html = {"<div class=\"table\"><table>\n"};
  if (!table.caption.empty()) html += Element("caption", table.caption);
  html += Html{TableHead(table)};
  html += Html{"<tbody>\n"};
  int64_t shown = 0;
  for (const PageTable::Row& row : table.rows) {
    if (shown == table.rows_max) break;
    ++shown;
    HS_CHECK_EQ(row.cells.size(), table.columns.size());
    std::string line = row.is_marked ? "<tr class=\"marked\">" : "<tr>";
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const std::string& cell = row.cells[i];
      const absl::string_view tag = i == 0 ? "th" : "td";
      absl::StrAppend(&line, "<", tag, i == 0 ? " scope=\"row\"" : "",
                      table.columns[i].is_number    ? " class=\"number\""
                      : cell.size() <= kUnbrokenMax ? ""
                                                    : " class=\"text\"",
                      ">", EscapeXml(cell), "</", tag, ">");
    }
    absl::StrAppend(&line, "</tr>\n");
    html += Html{std::move(line)};
  }
  const auto rest = static_cast<int64_t>(table.rows.size()) - shown;
  if (rest > 0) {
    html += Html{absl::StrCat("<tr class=\"more\"><td colspan=\"",
                              table.columns.size(), "\">and ", rest,
                              " more</td></tr>\n")};
  }
  html += Html{"</tbody>\n</table></div>\n"};
  return html;
}

Html Picture(absl::string_view svg, absl::string_view caption) {
  Html html = {absl::StrCat("<figure>\n", svg)};
  if (!caption.empty()) html += Element("figcaption", caption);
  html += Html{"</figure>\n"};
  return html;
}

Html SaveLink(absl::string_view text, const Attachment& attachment) {
  const std::string data = UrlText(attachment.content);
  if (data.size() > kLinkBytesMax) {
    return Remark(absl::StrCat(attachment.file_name, " (",
                               attachment.content.size() / 1'000'000,
                               " MB) is too large to be held in this page."));
  }
  return {absl::StrCat(
      "<p class=\"save\"><a download=\"", EscapeXml(attachment.file_name),
      "\" href=\"data:", EscapeXml(attachment.media_type), ";charset=utf-8,",
      data, "\">", EscapeXml(text), "</a></p>\n")};
}

std::string PageText(const Page& page) {
  std::string links;
  std::string sections;
  for (const Page::Section& section : page.sections) {
    const std::string id = EscapeXml(section.id);
    const std::string heading = EscapeXml(section.heading);
    absl::StrAppend(&links, "<li><a href=\"#", id, "\">", heading,
                    "</a></li>\n");
    absl::StrAppend(&sections, "<section id=\"", id, "\" aria-labelledby=\"",
                    id, "-heading\">\n<h2 id=\"", id, "-heading\">", heading,
                    "</h2>\n", section.body.markup, "</section>\n");
  }
  const std::string title = EscapeXml(page.title);
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"",
      kPolicy,
      "\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta name=\"generator\" content=\"headstart ",
      kVersion, "\">\n<title>", title, "</title>\n<style>\n", PageStyleSheet(),
      "</style>\n</head>\n<body>\n<header>\n<h1>", title,
      "</h1>\n<p class=\"subtitle\">", EscapeXml(page.subtitle),
      "</p>\n<nav aria-label=\"Contents\"><ul>\n", links,
      "</ul></nav>\n</header>\n<main>\n", sections,
      "</main>\n<footer>Made by headstart ", kVersion,
      ". This page is complete in itself and fetches nothing.</footer>\n"
      "</body>\n</html>\n");
}

}  // namespace headstart::client
