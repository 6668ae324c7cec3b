// golden_ghn --graph FILE --weights FILE: GHN-2 against stored results.
//
// FILE is one of a set of goldens, such as ghn/goldens_tiny_cnn.json. Prints
// what the hypernetwork predicts for its graph and how far that is, stage by
// stage, from what is stored; ends with 1 when something is beyond the
// tolerance that the set's README names.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "initializers/predicted/ghn.h"
#include "tests/golden/golden_ghn_files.h"
#include "tests/golden/golden_ghn_orth.h"

namespace headstart::initializers {
namespace {

using Json = nlohmann::json;

void CompareGraph(const Json& golden, const NetworkGraph& graph, const Ghn& ghn,
                  GoldenReport& report) {
  const std::vector<GraphPath> paths = ShortestPaths(graph, 50);
  int64_t longest = 0, sum = 0;
  std::vector<int64_t> histogram;
  for (const GraphPath& path : paths) {
    longest = std::max(longest, path.length);
    sum += path.length;
    histogram.resize(longest + 1);
    ++histogram[path.length];
  }
  const Json& facts = golden["graph"];
  report.Same("nodes", facts["nodes"], graph.nodes.size());
  report.Same("edges_direct", facts["edges_direct"], graph.edges.size());
  report.Same("edges_total", facts["edges_total"], paths.size());
  report.Same("longest_path_length", facts["longest_path_length"], longest);
  report.Same("sum_of_lengths", facts["sum_of_lengths"], sum);
  report.Same("length_histogram", facts["length_histogram"], histogram);
  Json codes = Json::array(), ours = Json::array();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    codes.push_back(golden["node_list"][i]["code"]);
    ours.push_back(ghn.ShapeCode(graph.nodes[i]));
  }
  report.Same("codes", codes, ours);
}

void CompareStage(const Json& golden, const std::string& stage,
                  const at::Tensor& ours, GoldenReport& report) {
  const auto close = [&](const char* what, const Json& values,
                         const at::Tensor& mine) {
    report.Close(absl::StrCat("embeddings, ", stage, ": ", what),
                 MaxDifference(values, mine), 2e-5);
  };
  const int64_t first =
      static_cast<int64_t>(golden["embedding_first_nodes"][stage].size());
  std::vector<double> rows;
  for (const Json& row : golden["embedding_first_nodes"][stage]) {
    for (const double value : row) rows.push_back(value);
  }
  close("norms", golden["embedding_norms"][stage],
        ours.to(at::kDouble).norm(2, 1));
  close("first nodes", rows, ours.narrow(0, 0, first));
  close("last node", golden["embedding_last_node"][stage], ours[-1]);
}

void CompareTensors(const Json& golden, const PredictedTensors& predicted,
                    GoldenReport& report) {
  double sum_of_squares = 0;
  int64_t values = 0;
  for (const Json& each : golden["tensors"]) {
    const std::string name = each["name"];
    const auto found = predicted.find(name);
    if (found == predicted.end()) {
      report.Same(name, "predicted", "not predicted");
      continue;
    }
    CompareFingerprint(each, found->second, name, /*tolerance=*/-1, report);
    sum_of_squares += std::pow(L2(found->second), 2);
    values += found->second.numel();
  }
  const Json& totals = golden["totals"];
  report.Same("tensors", totals["tensors"], predicted.size());
  report.Same("values", totals["values"], values);
  const double l2 = totals["l2_of_all"];
  report.Close("l2_of_all", std::abs(std::sqrt(sum_of_squares) / l2 - 1), 1e-5);
}

int Main(int argc, char** argv) {
  CLI::App app("GHN-2 against stored results.", "golden_ghn");
  std::string graph_file, weights_file;
  app.add_option("--graph", graph_file, "A golden file, goldens_x.json.")
      ->required();
  app.add_option("--weights", weights_file,
                 "The hypernetwork's weights, a safetensors file.")
      ->required();
  CLI11_PARSE(app, argc, argv);

  at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  const std::shared_ptr<Ghn> ghn = ReadGhn(weights_file);
  const Json golden = ReadJson(graph_file);
  GoldenReport report;
  if (golden.contains("settings")) {
    CompareOrthogonal(golden, graph_file, *ghn, report);
    return report.Finish();
  }
  const NetworkGraph graph = GraphOf(golden);
  CompareGraph(golden, graph, *ghn, report);
  const GhnEmbeddings embeddings = ghn->Embed(graph);
  CompareStage(golden, "input", embeddings.input, report);
  CompareStage(golden, "gnn", embeddings.gnn, report);
  CompareStage(golden, "final", embeddings.final, report);
  const bool classifier = golden["model"]["predict_class_layers"];
  HS_CHECK_OK(ghn->Accepts(graph, classifier));
  CompareTensors(golden, ghn->Decode(graph, embeddings.final, classifier),
                 report);
  return report.Finish();
}

}  // namespace
}  // namespace headstart::initializers

int main(int argc, char** argv) {
  return headstart::initializers::Main(argc, argv);
}
