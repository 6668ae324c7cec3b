// LoadGhn: from stored weights to a hypernetwork.
#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "initializers/predicted/ghn.h"
#include "initializers/state_dict.h"
#include "initializers/stored_tensor.h"

namespace headstart::initializers {
namespace {

// So large that no hypernetwork has it, and products of two still fit.
constexpr int64_t kSizeMax = int64_t{1} << 24;

// The shapes that say all sizes.
class Shapes final {
 public:
  Shapes(absl::string_view where, absl::Span<const StoredTensor> stored)
      : where_(where), stored_(stored) {}

  // A tensor's, of so many dimensions.
  template <size_t dimensions>
  std::array<int64_t, dimensions> Get(absl::string_view name) {
    std::array<int64_t, dimensions> shape = {};
    const auto found =
        std::find_if(stored_.begin(), stored_.end(),
                     [&](const auto& each) { return each.name == name; });
    if (found == stored_.end()) {
      wrong_.push_back(absl::StrCat("it lacks ", name));
    } else if (found->shape.size() != dimensions) {
      wrong_.push_back(absl::StrCat(name, " has ", found->shape.size(),
                                    " dimensions, not ", dimensions));
    } else if (*std::max_element(found->shape.begin(), found->shape.end()) >
               kSizeMax) {
      wrong_.push_back(absl::StrCat(name, " is [",
                                    absl::StrJoin(found->shape, ", "),
                                    "], above ", kSizeMax));
    } else {
      std::copy_n(found->shape.begin(), dimensions, shape.begin());
    }
    return shape;
  }

  void Require(bool right, absl::string_view what) {
    if (!right) wrong_.emplace_back(what);
  }

  absl::Status status() const {
    if (wrong_.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(where_, " holds no GHN-2: ", absl::StrJoin(wrong_, ", "),
                     ". Choose a checkpoint of a hypernetwork."));
  }

 private:
  const absl::string_view where_;
  const absl::Span<const StoredTensor> stored_;
  std::vector<std::string> wrong_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<Ghn>> LoadGhn(
    absl::string_view where, absl::Span<const StoredTensor> stored) {
  Shapes shapes(where, stored);
  const auto gru = shapes.Get<2>("gnn.gru.weight_hh");
  const auto first = shapes.Get<2>("decoder.fc.0.weight");
  const auto last = shapes.Get<4>("decoder.conv.2.weight");
  const auto classes = shapes.Get<4>("decoder.class_layer_predictor.1.weight");
  HS_RETURN_IF_ERROR(shapes.status());

  // No size is believed that has no bytes behind it.
  const int64_t hidden = gru[1];
  shapes.Require(hidden > 0 && hidden % 4 == 0 && gru[0] == 3 * hidden,
                 "gnn.gru.weight_hh is not [3h, h] with h a multiple of 4");
  HS_RETURN_IF_ERROR(shapes.status());
  const int64_t positions = first[0] / (4 * hidden);
  const int64_t kernel =
      std::llround(std::sqrt(static_cast<double>(positions)));
  shapes.Require(kernel > 0 && first[1] == hidden &&
                     first[0] == 4 * hidden * kernel * kernel,
                 absl::StrCat("decoder.fc.0.weight is not [", 4 * hidden,
                              " * s * s, ", hidden, "] for any s"));
  const int64_t channels = classes[1];
  shapes.Require(classes[0] > 0 && channels > 0 &&
                     last[0] == channels * channels && last[1] == 8 * hidden,
                 absl::StrCat("decoder.conv.2.weight is not [", channels, " * ",
                              channels, ", ", 8 * hidden, ", 1, 1]"));
  HS_RETURN_IF_ERROR(shapes.status());

  auto ghn = std::make_shared<Ghn>(GhnOptions{.classes = classes[0],
                                              .channels = channels,
                                              .kernel = kernel,
                                              .hidden = hidden});
  const std::vector<NamedTensor> tensors = StateDict(*ghn);
  const auto none = [](absl::string_view) { return false; };
  HS_RETURN_IF_ERROR(
      CompareStored(absl::StrCat(where, " as a GHN-2"), stored, tensors, none));
  CopyStored(stored, tensors, none);
  return ghn;
}

}  // namespace headstart::initializers
