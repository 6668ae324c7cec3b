#include "storage/safetensors/safetensors.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"

namespace headstart::storage {
namespace {

using nlohmann::json;

constexpr char kMetadata[] = "__metadata__";

// Elements times the size of one, or InvalidArgument when that is no size.
absl::StatusOr<int64_t> TensorBytes(absl::string_view name, DType dtype,
                                    const std::vector<int64_t>& shape) {
  int64_t bytes = DTypeSize(dtype);
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor \"", name, "\": extent ", extent,
          " is negative or makes the tensor larger than 2^63 bytes."));
    }
  }
  return bytes;
}

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a safetensors file: ", what));
}

absl::StatusOr<int64_t> ReadSize(const json& value, absl::string_view name,
                                 absl::string_view field) {
  if (!value.is_number_unsigned() ||
      value.get<uint64_t>() >
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return Malformed(
        absl::StrCat("tensor \"", name, "\": ", field,
                     " must be whole numbers from 0 to 2^63 - 1."));
  }
  return value.get<int64_t>();
}

absl::StatusOr<SafetensorsTensor> ReadTensor(const std::string& name,
                                             const json& value) {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets") ||
      !value["dtype"].is_string() || !value["shape"].is_array() ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
    return Malformed(absl::StrCat("tensor \"", name,
                                  "\" needs exactly dtype, shape and two "
                                  "data_offsets."));
  }
  SafetensorsTensor tensor;
  tensor.name = name;
  absl::StatusOr<DType> dtype = ParseDType(value["dtype"].get<std::string>());
  if (!dtype.ok()) {
    return Malformed(
        absl::StrCat("tensor \"", name, "\": ", dtype.status().message()));
  }
  tensor.dtype = *dtype;
  for (const json& extent : value["shape"]) {
    HS_ASSIGN_OR_RETURN(const int64_t size, ReadSize(extent, name, "shape"));
    tensor.shape.push_back(size);
  }
  HS_ASSIGN_OR_RETURN(tensor.bytes,
                      TensorBytes(name, tensor.dtype, tensor.shape));
  const json& offsets = value["data_offsets"];
  HS_ASSIGN_OR_RETURN(tensor.offset,
                      ReadSize(offsets[0], name, "data_offsets"));
  HS_ASSIGN_OR_RETURN(const int64_t end,
                      ReadSize(offsets[1], name, "data_offsets"));
  if (end < tensor.offset || end - tensor.offset != tensor.bytes) {
    return Malformed(absl::StrCat(
        "tensor \"", name, "\": data_offsets [", tensor.offset, ", ", end,
        "] do not span the ", tensor.bytes, " bytes of its shape."));
  }
  return tensor;
}

absl::Status ReadMetadata(const json& value,
                          std::map<std::string, std::string>& metadata) {
  if (!value.is_object()) {
    return Malformed("__metadata__ must be an object of texts.");
  }
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return Malformed(absl::StrCat("__metadata__.", key, " must be a text."));
    }
    metadata[key] = text.get<std::string>();
  }
  return absl::OkStatus();
}

// Looks through the JSON for what json::parse would let pass: keys that stand
// twice (the last would win), more tensors or levels than there can be. Stops
// at the first.
class StrictCheck : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return Deeper();
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override { return Deeper(); }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool key(string_t& key) override {
    if (!keys_.back().insert(key).second) {
      return Stop(absl::StrCat("\"", key, "\" stands there twice."));
    }
    if (keys_.back().size() <= kSafetensorsTensorsMax) return true;
    return Stop(
        absl::StrCat("it has more than ", kSafetensorsTensorsMax, " tensors."));
  }
  bool parse_error(std::size_t position, const std::string&,
                   const json::exception&) override {
    return Stop(absl::StrCat("its header is not JSON, from byte ",
                             kSafetensorsSizeBytes + position - 1,
                             " of the file on."));
  }

  const std::string& problem() const { return problem_; }

 private:
  // {tensors: {fields: [numbers]}}.
  static constexpr int kDepthMax = 3;

  bool Deeper() {
    if (++depth_ <= kDepthMax) return true;
    return Stop("its header is nested deeper than three levels.");
  }
  bool Stop(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  std::vector<std::set<std::string>> keys_;
  int depth_ = 0;
  std::string problem_;
};

}  // namespace

absl::StatusOr<std::string> MakeSafetensorsHeader(
    const std::vector<SafetensorsTensor>& tensors,
    const std::map<std::string, std::string>& metadata) {
  const auto dump = [](const auto& value) {
    return value.dump(-1, ' ', /*ensure_ascii=*/false,
                      json::error_handler_t::replace);
  };
  // Put together here, in the model's order and in linear time: an ordered
  // object of JSON would look each name up among all.
  std::vector<std::string> members;
  if (!metadata.empty()) {
    members.push_back(
        absl::StrCat("\"", kMetadata, "\":", dump(json(metadata))));
  }
  std::set<std::string> names;
  int64_t offset = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.name == kMetadata || !names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor name \"", tensor.name,
          "\" is taken; names must be unique and not ", kMetadata, "."));
    }
    HS_ASSIGN_OR_RETURN(const int64_t bytes,
                        TensorBytes(tensor.name, tensor.dtype, tensor.shape));
    int64_t end = 0;
    if (__builtin_add_overflow(offset, bytes, &end)) {
      return absl::InvalidArgumentError("the tensors exceed 2^63 bytes.");
    }
    const nlohmann::ordered_json fields = {
        {"dtype", std::string(DTypeName(tensor.dtype))},
        {"shape", tensor.shape},
        {"data_offsets", {offset, end}}};
    members.push_back(
        absl::StrCat(dump(json(tensor.name)), ":", fields.dump()));
    offset = end;
  }
  std::string text = absl::StrCat("{", absl::StrJoin(members, ","), "}");
  text.append((8 - text.size() % 8) % 8, ' ');
  if (static_cast<int64_t>(text.size()) > kSafetensorsHeaderBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the safetensors header would have ", text.size(), " bytes; at most ",
        kSafetensorsHeaderBytesMax, " are allowed."));
  }
  std::string bytes(kSafetensorsSizeBytes, '\0');
  for (int i = 0; i < kSafetensorsSizeBytes; ++i) {
    bytes[i] = static_cast<char>(text.size() >> (8 * i));
  }
  return bytes + text;
}

absl::StatusOr<int64_t> SafetensorsDataOffset(absl::string_view bytes,
                                              int64_t file_bytes) {
  if (file_bytes < kSafetensorsSizeBytes) {
    return Malformed(absl::StrCat("it has ", file_bytes,
                                  " bytes; the size of the header takes 8."));
  }
  if (static_cast<int64_t>(bytes.size()) < kSafetensorsSizeBytes) {
    return absl::OutOfRangeError(
        absl::StrCat(kSafetensorsSizeBytes, " bytes needed."));
  }
  uint64_t header_bytes = 0;
  for (int i = 0; i < kSafetensorsSizeBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i]))
                    << (8 * i);
  }
  if (header_bytes > static_cast<uint64_t>(kSafetensorsHeaderBytesMax) ||
      header_bytes >
          static_cast<uint64_t>(file_bytes - kSafetensorsSizeBytes)) {
    return Malformed(absl::StrCat("it claims a header of ", header_bytes,
                                  " bytes; at most ",
                                  std::min(kSafetensorsHeaderBytesMax,
                                           file_bytes - kSafetensorsSizeBytes),
                                  " fit."));
  }
  return kSafetensorsSizeBytes + static_cast<int64_t>(header_bytes);
}

absl::StatusOr<SafetensorsLayout> ParseSafetensorsHeader(
    absl::string_view bytes, int64_t file_bytes) {
  SafetensorsLayout layout;
  layout.file_bytes = file_bytes;
  HS_ASSIGN_OR_RETURN(layout.data_offset,
                      SafetensorsDataOffset(bytes, file_bytes));
  if (static_cast<int64_t>(bytes.size()) < layout.data_offset) {
    return absl::OutOfRangeError(
        absl::StrCat(layout.data_offset, " bytes needed."));
  }

  const absl::string_view text =
      bytes.substr(0, layout.data_offset).substr(kSafetensorsSizeBytes);
  StrictCheck strict;
  json::sax_parse(text, &strict);
  if (!strict.problem().empty()) return Malformed(strict.problem());
  const json header = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) return Malformed("its header is not a JSON object.");
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      HS_RETURN_IF_ERROR(ReadMetadata(value, layout.metadata));
    } else {
      HS_ASSIGN_OR_RETURN(SafetensorsTensor tensor, ReadTensor(name, value));
      layout.tensors.push_back(std::move(tensor));
    }
  }

  // An empty tensor shares its offset with the one after it.
  std::sort(layout.tensors.begin(), layout.tensors.end(),
            [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
              return std::pair(a.offset, a.bytes) <
                     std::pair(b.offset, b.bytes);
            });
  int64_t end = 0;
  for (const SafetensorsTensor& tensor : layout.tensors) {
    if (tensor.offset != end) {
      return Malformed(absl::StrCat("tensor \"", tensor.name, "\" begins at ",
                                    tensor.offset, " where ", end,
                                    " is expected: a gap or an overlap."));
    }
    end +=
        tensor.bytes;  // At most the largest data_offsets end, so no overflow.
  }
  if (end != file_bytes - layout.data_offset) {
    return Malformed(
        absl::StrCat("its tensors span ", end, " bytes, the file has ",
                     file_bytes - layout.data_offset, " after the header."));
  }
  return layout;
}

}  // namespace headstart::storage
