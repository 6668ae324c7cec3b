#include "worker/models/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "worker/models/cifar_resnet.h"
#include "worker/models/lenet.h"
#include "worker/models/small_cnn.h"
#include "worker/spec_fields/spec_fields.h"

namespace headstart::worker {
namespace {

struct Entry {
  const char* name;
  // Null when every image is taken.
  bool (*takes)(const ModelShape& shape);
  const char* takes_what;
  // Reads its own options and no others.
  std::shared_ptr<Model> (*make)(const ModelShape& shape, SpecFields& options);
};

constexpr Entry kModels[] = {
    {"lenet_300_100",
     [](const ModelShape& s) {
       return s.channels == 1 && s.height == 28 && s.width == 28;
     },
     "28x28x1",
     [](const ModelShape& s, SpecFields&) -> std::shared_ptr<Model> {
       return std::make_shared<Lenet300100>(s.channels * s.height * s.width,
                                            s.classes);
     }},
    {"small_cnn", nullptr, "any",
     [](const ModelShape& s, SpecFields&) -> std::shared_ptr<Model> {
       return std::make_shared<SmallCnn>(s.channels, s.classes);
     }},
    {"cifar_resnet18", nullptr, "any",
     [](const ModelShape& s, SpecFields&) -> std::shared_ptr<Model> {
       return std::make_shared<CifarResnet18>(s.channels, s.classes);
     }},
};

}  // namespace

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) names.emplace_back(entry.name);
  return names;
}

absl::StatusOr<std::shared_ptr<Model>> MakeModel(const ModelSpec& spec,
                                                 const ModelShape& shape) {
  for (const Entry& entry : kModels) {
    if (entry.name != spec.name) continue;
    if (entry.takes != nullptr && !entry.takes(shape)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model ", spec.name, " takes images of ", entry.takes_what,
          ", but the data set has ", shape.height, "x", shape.width, "x",
          shape.channels, ". Choose another model or data set."));
    }
    const auto json = nlohmann::json::parse(spec.options_json, /*cb=*/nullptr,
                                            /*allow_exceptions=*/false);
    absl::Status status;
    SpecFields options(json, absl::StrCat("training.model.", spec.name),
                       status);
    std::shared_ptr<Model> model = entry.make(shape, options);
    options.Done();
    if (!status.ok()) return status;
    return model;
  }
  return absl::NotFoundError(
      absl::StrCat("there is no model \"", spec.name, "\"; there are ",
                   absl::StrJoin(ModelNames(), ", "), "."));
}

}  // namespace headstart::worker
