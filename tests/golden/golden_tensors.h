// Files of golden sets.
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "storage/safetensors/safetensors.h"

namespace headstart {

using Tensors = std::map<std::string, at::Tensor>;

inline nlohmann::json ReadJson(const std::string& path) {
  return nlohmann::json::parse(ReadFile(path).value());
}

// A whole safetensors file of F32, F64, I64, I32, U8 and BOOL.
inline Tensors ReadTensors(const std::string& path) {
  const std::map<DType, at::ScalarType> types = {
      {DType::kF32, at::kFloat}, {DType::kF64, at::kDouble},
      {DType::kI64, at::kLong},  {DType::kI32, at::kInt},
      {DType::kU8, at::kByte},   {DType::kBool, at::kBool}};
  std::string bytes = ReadFile(path).value();
  const auto layout =
      storage::ParseSafetensorsHeader(bytes, bytes.size()).value();
  Tensors tensors;
  for (const storage::SafetensorsTensor& each : layout.tensors) {
    tensors[each.name] =
        at::from_blob(bytes.data() + layout.data_offset + each.offset,
                      each.shape, types.at(each.dtype))
            .clone();
  }
  return tensors;
}

}  // namespace headstart
