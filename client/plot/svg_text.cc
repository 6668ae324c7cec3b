#include "client/plot/svg_text.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"

namespace headstart::client {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;
constexpr absl::string_view kEllipsis = "\u2026";

// Of a text that is not empty; U+FFFD for a byte that begins no character.
Utf8Character FirstCharacter(absl::string_view text) {
  return FirstUtf8Character(text).value_or(
      Utf8Character{kReplacement, /*byte_count=*/1});
}

// In parts of the font size.
double CharacterWidth(uint32_t code) {
  if (code >= 0x1100) {
    // Wide scripts begin here; punctuation such as "…" and "−" is in between.
    return code >= 0x2E80 || code < 0x1200 ? 1.0 : 0.8;
  }
  if (code >= 0x80) {
    return 0.66;
  }
  const char c = static_cast<char>(code);
  if (c >= '0' && c <= '9') {
    return 0.64;
  }
  const absl::string_view narrow = " .,:;'|!ijl()[]/\\-";
  const absl::string_view wide = "mwMW@%";
  if (narrow.find(c) != narrow.npos) {
    return 0.37;
  }
  if (wide.find(c) != wide.npos) {
    return 0.97;
  }
  return c >= 'A' && c <= 'Z' ? 0.7 : 0.6;
}

}  // namespace

std::string EscapeXml(absl::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const Utf8Character character = FirstCharacter(text);
    const uint32_t code = character.code;
    if (code == '<') {
      escaped += "&lt;";
    } else if (code == '>') {
      escaped += "&gt;";
    } else if (code == '&') {
      escaped += "&amp;";
    } else if (code == '"') {
      escaped += "&quot;";
    } else if (code == '\'') {
      escaped += "&#39;";
    } else if (code == '\t' || code == '\n' || code == '\r') {
      escaped += ' ';
    } else if (code < 0x20 || code == 0x7F || code == kReplacement ||
               code == 0xFFFE || code == 0xFFFF) {
      escaped += "\uFFFD";
    } else {
      absl::StrAppend(&escaped, text.substr(0, character.byte_count));
    }
    text.remove_prefix(character.byte_count);
  }
  return escaped;
}

std::string TitleElement(absl::string_view text) {
  return text.empty() ? ""
                      : absl::StrCat("<title>", EscapeXml(text), "</title>");
}

std::string Px(double value) {
  const int64_t hundredths = std::llround(value * 100);
  const int64_t size = std::abs(hundredths);
  std::string text = absl::StrCat(hundredths < 0 ? "-" : "", size / 100);
  if (size % 100 != 0) {
    absl::StrAppend(&text, ".", size / 10 % 10);
    if (size % 10 != 0) {
      absl::StrAppend(&text, size % 10);
    }
  }
  return text;
}

double TextWidth(absl::string_view text, double font_size) {
  double width = 0;
  while (!text.empty()) {
    const Utf8Character character = FirstCharacter(text);
    width += CharacterWidth(character.code);
    text.remove_prefix(character.byte_count);
  }
  return width * font_size;
}

std::string FitText(absl::string_view text, double width, double font_size) {
  if (TextWidth(text, font_size) <= width) {
    return std::string(text);
  }
  double room = width - TextWidth(kEllipsis, font_size);
  size_t kept = 0;
  while (kept < text.size()) {
    const Utf8Character character = FirstCharacter(text.substr(kept));
    room -= CharacterWidth(character.code) * font_size;
    if (room < 0) {
      break;
    }
    kept += character.byte_count;
  }
  return absl::StrCat(text.substr(0, kept), kEllipsis);
}

std::vector<std::string> WrapText(absl::string_view text, double width,
                                  double font_size) {
  std::vector<std::string> lines;
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())) {
    const std::string fitted = FitText(word, width, font_size);
    if (!lines.empty() && TextWidth(absl::StrCat(lines.back(), " ", fitted),
                                    font_size) <= width) {
      absl::StrAppend(&lines.back(), " ", fitted);
    } else {
      lines.push_back(fitted);
    }
  }
  return lines;
}

std::string TextElement(absl::string_view text, double x, double y,
                        double width, double font_size,
                        absl::string_view attributes) {
  const std::string fitted = FitText(text, width, font_size);
  return absl::StrCat("<text x=\"", Px(x), "\" y=\"", Px(y), "\"", attributes,
                      ">", fitted == text ? "" : TitleElement(text),
                      EscapeXml(fitted), "</text>\n");
}

}  // namespace headstart::client
