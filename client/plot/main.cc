// headstart-draw: a figure as JSON from standard input (figure_json.h) becomes
// SVG on standard output. The documents' figures are made with it.
#include <iostream>
#include <iterator>
#include <string>

#include "client/plot/figure.h"
#include "client/plot/figure_json.h"

int main(int argc, char**) {
  using namespace headstart::client;
  if (argc > 1) {
    std::cerr << "usage: headstart-draw < figure.json > figure.svg\n";
    return 2;
  }
  const std::string json{std::istreambuf_iterator<char>(std::cin), {}};
  const absl::StatusOr<Figure> figure = ParseFigure(json);
  const absl::StatusOr<std::string> svg =
      figure.ok() ? DrawSvg(*figure) : figure.status();
  if (!svg.ok()) {
    std::cerr << "headstart-draw: " << svg.status().message() << "\n";
    return 1;
  }
  std::cout << *svg << std::flush;
  return std::cout ? 0 : 1;
}
