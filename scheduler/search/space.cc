#include "scheduler/search/space.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/random_stream.h"
#include "base/status_macros.h"
#include "scheduler/search/spec_defaults.h"

namespace headstart::scheduler {
namespace {

constexpr int64_t kListMax = 1'000;
constexpr int64_t kCombinationsMax = 1'000'000;

std::string Where(int index, const v1::Parameter& parameter) {
  return absl::StrCat("parameters[", index, "] \"", parameter.path(), "\"");
}

// Fields that every trial must share.
absl::Status CheckSearchable(absl::string_view path) {
  if (path == "epochs") {
    return absl::InvalidArgumentError(
        "epochs cannot be searched: trials are compared after equal epochs. "
        "Use asha to train bad trials for fewer.");
  }
  if (path == "dataset" || absl::StartsWith(path, "dataset.")) {
    return absl::InvalidArgumentError(
        "the data set cannot be searched: trials are ranked on the same "
        "examples. Create one study per data set or split.");
  }
  return absl::OkStatus();
}

// Whether `outer` names a message around what `inner` names. Names of options
// may have dots.
bool IsAround(const std::string& outer, absl::string_view inner) {
  return !absl::StrContains(outer, '#') && absl::StartsWith(inner, outer + ".");
}

absl::Status CheckScale(v1::Scale scale, double min) {
  if (scale == v1::LOG && !(min > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "log scale needs min above 0, got ", DoubleText(min),
        ". Use a small positive value such as 1e-6, or scale LINEAR."));
  }
  return absl::OkStatus();
}

absl::Status CheckRange(const v1::DoubleRange& range) {
  if (!std::isfinite(range.min()) || !std::isfinite(range.max()) ||
      !(range.min() < range.max())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "min must be below max, both finite, got min ", DoubleText(range.min()),
        " and max ", DoubleText(range.max()), "."));
  }
  return CheckScale(range.scale(), range.min());
}

absl::Status CheckRange(const v1::IntegerRange& range) {
  if (range.min() >= range.max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("min must be below max, got min ", range.min(),
                     " and max ", range.max(), "."));
  }
  // So many that they could not be told apart in a draw of 53 bits.
  if (static_cast<uint64_t>(range.max()) - static_cast<uint64_t>(range.min()) >=
      uint64_t{1} << 53) {
    return absl::InvalidArgumentError(
        absl::StrCat("the range has more than 2^53 values, from ", range.min(),
                     " to ", range.max(), "."));
  }
  return CheckScale(range.scale(), static_cast<double>(range.min()));
}

absl::Status WrongType(const SpecPath& path, absl::string_view domain,
                       absl::string_view fits) {
  return absl::InvalidArgumentError(absl::StrCat(
      domain, " does not fit, it is ", path.TypeText(), ". Use ", fits, "."));
}

absl::string_view FittingDomains(SpecPath::Type type) {
  switch (type) {
    case SpecPath::Type::kDouble:
      return "double, double_list or choice";
    case SpecPath::Type::kInteger:
      return "integer, integer_list or choice";
    default:
      return "choice";
  }
}

}  // namespace

absl::StatusOr<Space> Space::Create(
    const google::protobuf::RepeatedPtrField<v1::Parameter>& parameters,
    const v1::TrainingSpec& base) {
  if (parameters.empty() || parameters.size() > 50) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parameters: there must be 1 to 50, got ", parameters.size(), "."));
  }
  Space space;
  space.base_ = base;
  for (int i = 0; i < parameters.size(); ++i) {
    const v1::Parameter& parameter = parameters[i];
    const std::string where = Where(i, parameter);
    if (absl::Status status = CheckSearchable(parameter.path()); !status.ok()) {
      return Annotate(status, where);
    }
    absl::StatusOr<SpecPath> path = SpecPath::Find(parameter.path(), base);
    if (!path.ok()) return Annotate(path.status(), where);
    for (int j = 0; j < i; ++j) {
      const std::string& other = parameters[j].path();
      if (parameter.path() == other) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": parameters[", j, "] has the same path."));
      }
      if (IsAround(other, parameter.path()) ||
          IsAround(parameter.path(), other)) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": overlaps with ", Where(j, parameters[j]),
                         "; one would overwrite the other."));
      }
    }
    space.dimensions_.push_back({*std::move(path), parameter});
    if (absl::Status status = Judge(space.dimensions_.back(), base);
        !status.ok()) {
      return Annotate(status, where);
    }
  }
  return space;
}

absl::Status Space::Judge(const Dimension& dimension,
                          const v1::TrainingSpec& base) {
  const SpecPath& path = dimension.path;
  const v1::Parameter& parameter = dimension.parameter;
  const absl::string_view fits = FittingDomains(path.type());
  // A value that the field itself refuses is refused here, before any trial.
  v1::TrainingSpec probe = base;
  const auto check = [&]() {
    v1::TrainingSpec spec = probe;
    if (parameter.has_choice()) FillSpecDefaults(spec);
    return CheckFields(spec, "");
  };
  switch (parameter.domain_case()) {
    case v1::Parameter::kDouble: {
      if (path.type() != SpecPath::Type::kDouble) {
        return WrongType(path, "double", fits);
      }
      const v1::DoubleRange& range = parameter.double_();
      HS_RETURN_IF_ERROR(CheckRange(range));
      path.SetDouble(probe, range.min());
      HS_RETURN_IF_ERROR(check());
      path.SetDouble(probe, std::nextafter(range.max(), range.min()));
      return check();
    }
    case v1::Parameter::kInteger: {
      if (path.type() != SpecPath::Type::kInteger) {
        return WrongType(path, "integer", fits);
      }
      const v1::IntegerRange& range = parameter.integer();
      HS_RETURN_IF_ERROR(CheckRange(range));
      path.SetInteger(probe, range.min());
      HS_RETURN_IF_ERROR(check());
      path.SetInteger(probe, range.max());
      return check();
    }
    case v1::Parameter::kDoubleList:
      if (path.type() != SpecPath::Type::kDouble) {
        return WrongType(path, "double_list", fits);
      }
      break;
    case v1::Parameter::kIntegerList:
      if (path.type() != SpecPath::Type::kInteger) {
        return WrongType(path, "integer_list", fits);
      }
      break;
    case v1::Parameter::kChoice:
      break;
    case v1::Parameter::DOMAIN_NOT_SET:
      return absl::InvalidArgumentError(
          absl::StrCat("has no domain. Use ", fits, "."));
  }

  const int64_t count = ValueCount(parameter);
  if (count < 1 || count > kListMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("values: there must be 1 to 1,000, got ", count, "."));
  }
  absl::btree_set<std::string> texts;
  for (int64_t i = 0; i < count; ++i) {
    const std::string value = absl::StrCat("values[", i, "]");
    if (parameter.has_choice()) {
      const absl::Status set =
          path.SetJson(probe, parameter.choice().values(i));
      if (!set.ok()) return Annotate(set, value);
    } else {
      SetListed(dimension, i, probe);
    }
    if (absl::Status status = check(); !status.ok()) {
      return Annotate(status, value);
    }
    const std::string text = path.Text(probe);
    if (!texts.insert(text).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(value, ": ", text, " stands twice."));
    }
  }
  return absl::OkStatus();
}

Point Space::Draw(int64_t seed, int64_t trial) const {
  Point point;
  point.training = base_;
  const RandomStream stream =
      RandomStream(static_cast<uint64_t>(seed)).Child("trial", trial);
  for (const Dimension& dimension : dimensions_) {
    const SpecPath& path = dimension.path;
    const v1::Parameter& parameter = dimension.parameter;
    const double u = stream.Child(path.path()).Uniform();
    if (parameter.has_double_()) {
      path.SetDouble(point.training, DoubleAt(parameter.double_(), u));
    } else if (parameter.has_integer()) {
      path.SetInteger(point.training, IntegerAt(parameter.integer(), u));
    } else {
      SetListed(dimension, IndexAt(ValueCount(parameter), u), point.training);
    }
  }
  AddTexts(point);
  return point;
}

absl::StatusOr<int64_t> Space::CountCombinations() const {
  int64_t combinations = 1;
  for (size_t i = 0; i < dimensions_.size(); ++i) {
    const v1::Parameter& parameter = dimensions_[i].parameter;
    const int64_t count = ValueCount(parameter);
    if (count == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(Where(static_cast<int>(i), parameter),
                       ": grid search takes lists and choices, not ranges. Use "
                       "double_list, integer_list or choice."));
    }
    combinations *= count;
    if (combinations > kCombinationsMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          Where(static_cast<int>(i), parameter),
          ": with it the grid has more than 1,000,000 combinations. Shorten "
          "the lists, or use random."));
    }
  }
  return combinations;
}

Point Space::Combination(int64_t index) const {
  Point point;
  point.training = base_;
  for (auto dimension = dimensions_.rbegin(); dimension != dimensions_.rend();
       ++dimension) {
    const int64_t count = ValueCount(dimension->parameter);
    SetListed(*dimension, index % count, point.training);
    index /= count;
  }
  AddTexts(point);
  return point;
}

int64_t Space::ValueCount(const v1::Parameter& parameter) {
  switch (parameter.domain_case()) {
    case v1::Parameter::kDoubleList:
      return parameter.double_list().values_size();
    case v1::Parameter::kIntegerList:
      return parameter.integer_list().values_size();
    case v1::Parameter::kChoice:
      return parameter.choice().values_size();
    default:
      return 0;
  }
}

void Space::SetListed(const Dimension& dimension, int64_t index,
                      v1::TrainingSpec& training) {
  const v1::Parameter& parameter = dimension.parameter;
  const int i = static_cast<int>(index);
  if (parameter.has_double_list()) {
    dimension.path.SetDouble(training, parameter.double_list().values(i));
  } else if (parameter.has_integer_list()) {
    dimension.path.SetInteger(training, parameter.integer_list().values(i));
  } else {
    HS_CHECK_OK(dimension.path.SetJson(training, parameter.choice().values(i)));
  }
}

void Space::AddTexts(Point& point) const {
  for (const Dimension& dimension : dimensions_) {
    v1::ParameterValue& value = point.values.emplace_back();
    value.set_path(dimension.path.path());
    value.set_value(dimension.path.Text(point.training));
  }
}

double DoubleAt(const v1::DoubleRange& range, double u) {
  const double min = range.min();
  const double max = range.max();
  double value = range.scale() == v1::LOG
                     ? std::exp(std::log(min) + u * std::log(max / min))
                     : min + u * (max - min);
  // Rounding can reach a bound.
  value = std::max(value, min);
  return value < max ? value : std::nextafter(max, min);
}

int64_t IntegerAt(const v1::IntegerRange& range, double u) {
  if (range.scale() == v1::LOG) {
    // Each integer k owns [k, k + 1).
    const double min = static_cast<double>(range.min());
    const double end = static_cast<double>(range.max()) + 1;
    const double value = std::exp(std::log(min) + u * std::log(end / min));
    return std::clamp(static_cast<int64_t>(value), range.min(), range.max());
  }
  return range.min() + IndexAt(range.max() - range.min() + 1, u);
}

int64_t IndexAt(int64_t count, double u) {
  const int64_t index =
      static_cast<int64_t>(std::floor(u * static_cast<double>(count)));
  return std::min(index, count - 1);
}

}  // namespace headstart::scheduler
