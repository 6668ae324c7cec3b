// Reads SVG in tests, as strictly as an XML parser would.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace headstart::client {

// What an XML document holds, or why it is none.
struct SvgContent {
  std::string error;  // Empty if the document is well formed.
  std::map<std::string, int> element_counts;
  std::vector<std::string> texts;  // What text elements show, unescaped.
  std::vector<std::string> titles;
  std::map<std::string, std::vector<std::string>> paths;  // d, by class.
};

class SvgReader final {
 public:
  static SvgContent Read(absl::string_view svg) {
    SvgReader reader(svg);
    while (reader.content_.error.empty() && reader.at_ < svg.size()) {
      reader.svg_[reader.at_] == '<' ? reader.ReadTag() : reader.ReadText();
    }
    if (reader.content_.error.empty() && !reader.open_.empty()) {
      reader.Fail(absl::StrCat(reader.open_.back(), " is never closed"));
    }
    if (reader.roots_ != 1) {
      reader.Fail("not one root element");
    }
    return reader.content_;
  }

 private:
  explicit SvgReader(absl::string_view svg) : svg_(svg) {}

  void Fail(absl::string_view why) {
    if (content_.error.empty()) {
      content_.error = absl::StrCat(why, " near: ", svg_.substr(at_, 60));
    }
  }

  // The text up to one of `ends`, references replaced.
  std::string Take(absl::string_view ends) {
    std::string text;
    while (at_ < svg_.size() && ends.find(svg_[at_]) == ends.npos) {
      const char c = svg_[at_];
      if (c == '<' || (c >= 0 && c < ' ' && c != '\n')) {
        Fail("a character that XML forbids here");
        return text;
      }
      if (c != '&') {
        text += c;
        ++at_;
        continue;
      }
      const std::map<std::string, char> references = {{"&lt;", '<'},
                                                      {"&gt;", '>'},
                                                      {"&amp;", '&'},
                                                      {"&quot;", '"'},
                                                      {"&#39;", '\''}};
      const size_t end = svg_.find(';', at_);
      const std::string reference(
          svg_.substr(at_, end == svg_.npos ? 0 : end + 1 - at_));
      if (!references.contains(reference)) {
        Fail("an unknown reference");
        return text;
      }
      text += references.at(reference);
      at_ = end + 1;
    }
    return text;
  }

  void ReadText() {
    const std::string text = Take("<");
    if (open_.empty()) {
      if (!absl::StripAsciiWhitespace(text).empty()) {
        Fail("text outside the root");
      }
    } else if (open_.back() == "text") {
      content_.texts.push_back(text);
    } else if (open_.back() == "title") {
      content_.titles.push_back(text);
    }
  }

  std::string Name() {
    const size_t from = at_;
    while (at_ < svg_.size() &&
           (absl::ascii_isalnum(svg_[at_]) || svg_[at_] == '-')) {
      ++at_;
    }
    if (from == at_) {
      Fail("a name is missing");
    }
    return std::string(svg_.substr(from, at_ - from));
  }

  bool Skip(absl::string_view expected) {
    if (!absl::StartsWith(svg_.substr(at_), expected)) {
      return false;
    }
    at_ += expected.size();
    return true;
  }

  void ReadTag() {
    if (Skip("</")) {
      const std::string name = Name();
      if (open_.empty() || open_.back() != name || !Skip(">")) {
        Fail("an end tag that closes nothing");
        return;
      }
      open_.pop_back();
      return;
    }
    ++at_;
    const std::string name = Name();
    ++content_.element_counts[name];
    roots_ += open_.empty();
    std::map<std::string, std::string> attributes;
    while (content_.error.empty() && Skip(" ")) {
      const std::string attribute = Name();
      if (attributes.contains(attribute) || !Skip("=\"")) {
        Fail("a doubled or bare attribute");
        return;
      }
      attributes[attribute] = Take("\"");
      ++at_;
    }
    if (attributes.contains("d")) {
      content_.paths[attributes["class"]].push_back(attributes["d"]);
    }
    if (Skip("/>")) {
      return;
    }
    if (!Skip(">")) {
      Fail("a tag without end");
      return;
    }
    open_.push_back(name);
  }

  absl::string_view svg_;
  size_t at_ = 0;
  int roots_ = 0;
  std::vector<std::string> open_;
  SvgContent content_;
};

}  // namespace headstart::client
