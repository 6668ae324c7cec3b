// What the files of a set of GHN goldens hold.
#pragma once

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "base/check.h"
#include "base/file.h"
#include "initializers/predicted/ghn.h"
#include "initializers/stored_tensor.h"
#include "storage/safetensors/safetensors.h"
#include "tests/golden/golden_tensors.h"

namespace headstart::initializers {

// One line for each thing compared; BAD where it is beyond its tolerance.
class GoldenReport final {
 public:
  void Same(const std::string& what, const nlohmann::json& stored,
            const nlohmann::json& ours) {
    Line(stored == ours, what,
         stored == ours ? "equal"
                        : absl::StrCat(ours.dump(), ", not ", stored.dump()));
  }
  void Close(const std::string& what, double difference, double tolerance) {
    Line(difference <= tolerance, what,
         absl::StrFormat("%.1e of %.1e", difference, tolerance));
  }

  // What the program ends with.
  int Finish() const {
    std::cout << compared_ << " compared, " << bad_ << " bad\n";
    return compared_ > 0 && bad_ == 0 ? 0 : 1;
  }

 private:
  void Line(bool ok, const std::string& what, const std::string& how) {
    ++compared_;
    bad_ += ok ? 0 : 1;
    std::cout << absl::StreamFormat("%-4s %-44s %s\n", ok ? "ok" : "BAD", what,
                                    how);
  }

  int64_t compared_ = 0;
  int64_t bad_ = 0;
};

inline std::shared_ptr<Ghn> ReadGhn(const std::string& path) {
  const std::string bytes = ReadFile(path).value();
  const auto layout =
      storage::ParseSafetensorsHeader(bytes, bytes.size()).value();
  std::vector<StoredTensor> tensors;
  for (const storage::SafetensorsTensor& each : layout.tensors) {
    tensors.push_back({each.name, each.dtype, each.shape,
                       absl::MakeConstSpan(bytes).subspan(
                           layout.data_offset + each.offset, each.bytes)});
  }
  return LoadGhn(path, tensors).value();
}

// A golden file's node_list and edge_list_direct.
inline NetworkGraph GraphOf(const nlohmann::json& golden) {
  NetworkGraph graph;
  for (const nlohmann::json& each : golden["node_list"]) {
    GraphNode node;
    for (int64_t i = 0; i < kPrimitives; ++i) {
      const auto primitive = static_cast<Primitive>(i);
      if (PrimitiveName(primitive) == each["type"].get<std::string>()) {
        node.primitive = primitive;
      }
    }
    const std::string name = each["name"];
    if (!each["shape"].is_null()) {
      node.shape = each["shape"].get<std::vector<int64_t>>();
      if (node.primitive != Primitive::kMaxPool &&
          node.primitive != Primitive::kAvgPool) {
        node.parameter = name;
      }
    }
    if (node.primitive == Primitive::kBatchNorm ||
        node.primitive == Primitive::kLayerNorm) {
      node.norm_bias = absl::StrCat(absl::StripSuffix(name, "weight"), "bias");
    }
    graph.nodes.push_back(node);
  }
  for (const nlohmann::json& edge : golden["edge_list_direct"]) {
    graph.edges.push_back({edge[0], edge[1]});
  }
  return graph;
}

inline double L2(const at::Tensor& x) {
  return x.to(at::kDouble).norm().item<double>();
}

// Between a list of numbers and as many values, row by row.
inline double MaxDifference(const nlohmann::json& values,
                            const at::Tensor& ours) {
  const at::Tensor stored =
      at::tensor(values.get<std::vector<double>>(), at::kDouble);
  if (stored.numel() != ours.numel()) {
    return std::numeric_limits<double>::infinity();
  }
  return (ours.to(at::kDouble).reshape(-1) - stored).abs().max().item<double>();
}

// How far values may be apart: that much, or with a negative number 1e-5 of the
// tensor's largest magnitude. A comparison of sums means nothing where values
// may be far apart.
inline void CompareFingerprint(const nlohmann::json& stored,
                               const at::Tensor& ours, const std::string& name,
                               double tolerance, GoldenReport& report,
                               bool sums = true) {
  const at::Tensor flat = ours.detach().contiguous().reshape(-1);
  const at::Tensor wide = flat.to(at::kDouble);
  if (stored["shape"] != nlohmann::json(ours.sizes().vec())) {
    report.Same(absl::StrCat(name, ", shape"), stored["shape"],
                ours.sizes().vec());
    return;
  }
  const double min = stored["min"], max = stored["max"];
  const double l2 = stored["l2"];
  const int64_t ends = static_cast<int64_t>(stored["first"].size());
  const double values =
      std::max({std::abs(flat.min().item<double>() - min),
                std::abs(flat.max().item<double>() - max),
                MaxDifference(stored["first"], flat.narrow(0, 0, ends)),
                MaxDifference(stored["last"],
                              flat.narrow(0, flat.numel() - ends, ends))});
  report.Close(absl::StrCat(name, ", values"), values,
               tolerance >= 0 ? tolerance
                              : 1e-5 * std::max(std::abs(min), std::abs(max)));
  report.Close(absl::StrCat(name, ", l2"), std::abs(L2(flat) / l2 - 1), 1e-5);
  if (!sums) return;
  const at::Tensor ramp =
      (at::arange(flat.numel(), at::kLong).remainder(1009) + 1)
          .to(at::kDouble) /
      1009;
  const double sum = wide.sum().item<double>() - stored["sum"].get<double>();
  const double probe =
      (wide * ramp).sum().item<double>() - stored["probe"].get<double>();
  report.Close(absl::StrCat(name, ", sum and probe"),
               std::max(std::abs(sum), std::abs(probe)),
               1e-5 * l2 * std::sqrt(static_cast<double>(flat.numel())));
}

}  // namespace headstart::initializers
