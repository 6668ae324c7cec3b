#include "storage/safetensors/safetensors.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"

namespace headstart::storage {
namespace {

using nlohmann::json;

constexpr char kMetadata[] = "__metadata__";
constexpr int64_t kLengthBytes = 8;

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

// Whether an event of the parser lies too deep or repeats a key: the format
// needs three levels, and json::parse would let the last of two keys win.
class StrictKeys {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      keys_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys_.pop_back();
    } else if (event == json::parse_event_t::key &&
               !keys_.back().insert(parsed.get<std::string>()).second) {
      problem_ = absl::StrCat("\"", parsed.get<std::string>(),
                              "\" stands there twice.");
    }
    if (depth > 3) problem_ = "its header is nested deeper than three levels.";
    return problem_.empty();  // false drops the value; the parse goes on.
  }

  const std::string& problem() const { return problem_; }

 private:
  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

}  // namespace

absl::StatusOr<std::string> MakeSafetensorsHeader(
    const std::vector<SafetensorsTensor>& tensors,
    const std::map<std::string, std::string>& metadata) {
  // Ordered, so that readers who list the header see the model's order.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
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
    header[tensor.name] = {{"dtype", std::string(DTypeName(tensor.dtype))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text =
      header.dump(-1, ' ', /*ensure_ascii=*/false,
                  nlohmann::ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  if (static_cast<int64_t>(text.size()) > kSafetensorsHeaderBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the safetensors header would have ", text.size(), " bytes; at most ",
        kSafetensorsHeaderBytesMax, " are allowed."));
  }
  std::string bytes(kLengthBytes, '\0');
  for (int i = 0; i < kLengthBytes; ++i) {
    bytes[i] = static_cast<char>(text.size() >> (8 * i));
  }
  return bytes + text;
}

absl::StatusOr<SafetensorsLayout> ParseSafetensorsHeader(
    absl::string_view bytes, int64_t file_bytes) {
  if (file_bytes < kLengthBytes) {
    return Malformed(absl::StrCat("it has ", file_bytes,
                                  " bytes; the size of the header takes 8."));
  }
  if (static_cast<int64_t>(bytes.size()) < kLengthBytes) {
    return absl::OutOfRangeError(absl::StrCat(kLengthBytes, " bytes needed."));
  }
  uint64_t header_bytes = 0;
  for (int i = 0; i < kLengthBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i]))
                    << (8 * i);
  }
  if (header_bytes > static_cast<uint64_t>(kSafetensorsHeaderBytesMax) ||
      header_bytes > static_cast<uint64_t>(file_bytes - kLengthBytes)) {
    return Malformed(absl::StrCat(
        "it claims a header of ", header_bytes, " bytes; at most ",
        std::min(kSafetensorsHeaderBytesMax, file_bytes - kLengthBytes),
        " fit."));
  }
  SafetensorsLayout layout;
  layout.data_offset = kLengthBytes + static_cast<int64_t>(header_bytes);
  layout.file_bytes = file_bytes;
  if (static_cast<int64_t>(bytes.size()) < layout.data_offset) {
    return absl::OutOfRangeError(
        absl::StrCat(layout.data_offset, " bytes needed."));
  }

  StrictKeys strict;
  const json header =
      json::parse(bytes.substr(kLengthBytes, header_bytes), std::ref(strict),
                  /*allow_exceptions=*/false);
  if (!strict.problem().empty()) return Malformed(strict.problem());
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
