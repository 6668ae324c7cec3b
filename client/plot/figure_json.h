// Figures written as JSON.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/plot/figure.h"

namespace headstart::client {

// An object with the fields of Figure, and so on down; what is left out has its
// default, null among numbers is a missing value, enums are "linear" or "log"
// and "line", "line_and_markers" or "markers". `boxes` are given by their
// samples: {"name": "xavier", "samples": [[97.1, 97.3], ..]}, a list per
// category.
//   InvalidArgument  no JSON, an unknown field or a value of the wrong kind;
//                    begins with its path.
absl::StatusOr<Figure> ParseFigure(absl::string_view json);

}  // namespace headstart::client
