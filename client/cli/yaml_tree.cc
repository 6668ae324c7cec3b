#include "client/cli/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace headstart::client {
namespace {

// Protobuf's texts must be UTF-8, and the YAML scanner takes some control
// characters for the end of the file.
absl::Status CheckCharacters(absl::string_view text,
                             absl::string_view file_name) {
  YamlPlace place;
  while (!text.empty()) {
    const auto character = FirstUtf8Character(text);
    if (!character.has_value()) {
      return YamlError(file_name, place, "this byte is not UTF-8 text");
    }
    const char c = text[0];
    if ((static_cast<uint8_t>(c) < 0x20 && c != '\t' && c != '\n' &&
         c != '\r') ||
        c == 0x7F) {
      return YamlError(file_name, place,
                       "control characters are not allowed here");
    }
    text.remove_prefix(character->byte_count);
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return absl::OkStatus();
}

// Builds the tree while the scanner runs. After the first error it ignores
// what follows, so the tree never outgrows the limits.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(absl::string_view file_name, int64_t depth_max)
      : file_name_(file_name), depth_max_(depth_max) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(YamlNode::Kind::kNull, mark, "?", anchor, "");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    Add(YamlNode::Kind::kScalar, mark, tag, anchor, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Add(YamlNode::Kind::kList, mark, tag, anchor, "");
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Add(YamlNode::Kind::kMap, mark, tag, anchor, "");
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (*name) are not read here; write the value out");
  }

  const absl::Status& status() const { return status_; }
  YamlNode Take() { return std::move(root_); }

 private:
  struct Level {
    YamlNode node;
    bool has_key = false;  // In a map: the next value belongs to `key`.
    std::string key;
    YamlPlace key_place;
  };

  void Fail(const YAML::Mark& mark, absl::string_view message) {
    if (!status_.ok()) return;
    status_ = YamlError(file_name_, {mark.line + 1, mark.column + 1}, message);
  }

  void Add(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
           YAML::anchor_t anchor, const std::string& text) {
    if (anchor != 0) {
      Fail(mark, "anchors (&name) are not read here; write the value out");
    }
    const bool quoted = tag == "!";
    if (!quoted && tag != "?" && !tag.empty()) {
      Fail(mark, "tags (!name) are not read here; leave the tag out");
    }
    if (!status_.ok()) return;

    const bool is_container =
        kind == YamlNode::Kind::kList || kind == YamlNode::Kind::kMap;
    const YamlPlace place = {mark.line + 1, mark.column + 1};
    if (!levels_.empty() && levels_.back().node.kind == YamlNode::Kind::kMap &&
        !levels_.back().has_key) {
      if (kind != YamlNode::Kind::kScalar) {
        Fail(mark, "a field's name must be a plain word");
        return;
      }
      levels_.back().has_key = true;
      levels_.back().key = text;
      levels_.back().key_place = place;
      return;
    }
    YamlNode node;
    node.kind = kind;
    node.place = place;
    node.text = text;
    node.quoted = quoted && !is_container;
    if (is_container) {
      if (static_cast<int64_t>(levels_.size()) >= depth_max_) {
        Fail(mark, absl::StrCat("nested deeper than ", depth_max_, " levels"));
        return;
      }
      levels_.emplace_back().node = std::move(node);
    } else {
      Attach(std::move(node));
    }
  }

  void Close() {
    if (!status_.ok()) return;
    HS_CHECK(!levels_.empty());
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    Attach(std::move(node));
  }

  // Hands a finished value to the list or map around it.
  void Attach(YamlNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& parent = levels_.back();
    if (parent.has_key) {
      node.key = std::move(parent.key);
      node.key_place = parent.key_place;
      parent.has_key = false;
    }
    parent.node.items.push_back(std::move(node));
  }

  const absl::string_view file_name_;
  const int64_t depth_max_;
  absl::Status status_;
  YamlNode root_;
  std::vector<Level> levels_;  // Open lists and maps, outermost first.
};

}  // namespace

absl::Status YamlError(absl::string_view file_name, const YamlPlace& place,
                       absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(
      file_name, ":", place.line, ":", place.column, ": ", message));
}

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text,
                                   absl::string_view file_name,
                                   const YamlLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_name, ": the file has ", text.size(),
                     " bytes; at most ", limits.bytes_max, " are read"));
  }
  HS_RETURN_IF_ERROR(CheckCharacters(text, file_name));

  TreeBuilder builder(file_name, limits.depth_max);
  try {  // yaml-cpp reports what is not YAML by throwing.
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      return YamlError(file_name, {}, "the file is empty");
    }
    HS_RETURN_IF_ERROR(builder.status());
    YamlNode root = builder.Take();
    if (parser.HandleNextDocument(builder)) {
      return YamlError(file_name, {},
                       "the file has several documents (---); write one file "
                       "each");
    }
    return root;
  } catch (const YAML::Exception& e) {
    HS_RETURN_IF_ERROR(builder.status());
    return YamlError(file_name, {e.mark.line + 1, e.mark.column + 1},
                     absl::StrCat("not YAML: ", e.msg));
  }
}

}  // namespace headstart::client
