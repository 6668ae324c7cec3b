#include "base/names.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace headstart {
namespace {

constexpr size_t kNumberDigitsMax = 18;
constexpr size_t kWorkerIdLengthMax = 63;
constexpr size_t kImportNameLengthMax = 64;

// Takes a name apart from the left. Each Take returns false, and the reader is
// of no further use, when the text goes on otherwise.
class Reader {
 public:
  explicit Reader(absl::string_view text) : rest_(text) {}

  bool Take(absl::string_view literal) {
    return absl::ConsumePrefix(&rest_, literal);
  }

  bool TakeNumber(int64_t min, int64_t* number) {
    const size_t length =
        std::find_if_not(rest_.begin(), rest_.end(), absl::ascii_isdigit) -
        rest_.begin();
    const absl::string_view digits = rest_.substr(0, length);
    if (length == 0 || length > kNumberDigitsMax) return false;
    if (length > 1 && digits[0] == '0') return false;
    rest_.remove_prefix(length);
    return absl::SimpleAtoi(digits, number) && *number >= min;
  }

  bool TakeImport(std::string* name) {
    const auto allowed = [](char c) {
      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' ||
             c == '_' || c == '-';
    };
    const size_t length =
        std::find_if_not(rest_.begin(), rest_.end(), allowed) - rest_.begin();
    if (length == 0 || length > kImportNameLengthMax) return false;
    if (!absl::ascii_isalnum(rest_[0])) return false;
    *name = std::string(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return true;
  }

  bool TakeRun(RunName* run) {
    if (Take("studies/")) {
      run->kind = RunKind::kTrial;
      return TakeNumber(1, &run->parent) && Take("/trials/") &&
             TakeNumber(1, &run->number);
    }
    if (Take(kImports)) {
      run->kind = RunKind::kImport;
      return Take("/") && TakeImport(&run->import);
    }
    run->kind = RunKind::kTrainingRun;
    return Take("trainings/") && TakeNumber(1, &run->parent) &&
           Take("/runs/") && TakeNumber(1, &run->number);
  }

  bool TakeCheckpoint(CheckpointName* checkpoint) {
    return TakeRun(&checkpoint->run) && Take("/epochs/") &&
           TakeNumber(0, &checkpoint->epoch);
  }

  bool AtEnd() const { return rest_.empty(); }

 private:
  absl::string_view rest_;
};

constexpr char kImportForm[] =
    " (an import's name has 1 to 64 of a-z, 0-9, \".\", \"_\" and \"-\", the "
    "first a letter or digit)";

absl::Status NotAName(absl::string_view text, absl::string_view of_what,
                      absl::string_view form, absl::string_view example) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text.substr(0, 200), "\" is not the name of ", of_what,
                   ": write ", form, ", such as ", example, "."));
}

}  // namespace

absl::StatusOr<StudyName> StudyName::Parse(absl::string_view text) {
  StudyName name;
  Reader reader(text);
  if (reader.Take("studies/") && reader.TakeNumber(1, &name.study) &&
      reader.AtEnd()) {
    return name;
  }
  return NotAName(text, "a study", "studies/{number}", "studies/7");
}

std::string StudyName::ToString() const {
  return absl::StrCat("studies/", study);
}

absl::StatusOr<TrainingName> TrainingName::Parse(absl::string_view text) {
  TrainingName name;
  Reader reader(text);
  if (reader.Take("trainings/") && reader.TakeNumber(1, &name.training) &&
      reader.AtEnd()) {
    return name;
  }
  return NotAName(text, "a training", "trainings/{number}", "trainings/3");
}

std::string TrainingName::ToString() const {
  return absl::StrCat("trainings/", training);
}

absl::StatusOr<ComparisonName> ComparisonName::Parse(absl::string_view text) {
  ComparisonName name;
  Reader reader(text);
  if (reader.Take("comparisons/") && reader.TakeNumber(1, &name.comparison) &&
      reader.AtEnd()) {
    return name;
  }
  return NotAName(text, "a comparison", "comparisons/{number}",
                  "comparisons/2");
}

std::string ComparisonName::ToString() const {
  return absl::StrCat("comparisons/", comparison);
}

absl::StatusOr<RunName> RunName::Parse(absl::string_view text) {
  RunName name;
  Reader reader(text);
  if (reader.TakeRun(&name) && reader.AtEnd()) return name;
  return NotAName(
      text, "a trial, a training's run or an import",
      absl::StrCat("studies/{number}/trials/{number}, "
                   "trainings/{number}/runs/{number} or "
                   "imports/{name}",
                   absl::StartsWith(text, kImports) ? kImportForm : ""),
      "studies/7/trials/12");
}

std::string RunName::ToString() const {
  if (kind == RunKind::kImport) return absl::StrCat(kImports, "/", import);
  return absl::StrCat(ParentString(),
                      kind == RunKind::kTrial ? "/trials/" : "/runs/", number);
}

std::string RunName::ParentString() const {
  if (kind == RunKind::kImport) return std::string(kImports);
  return absl::StrCat(kind == RunKind::kTrial ? "studies/" : "trainings/",
                      parent);
}

absl::StatusOr<CheckpointName> CheckpointName::Parse(absl::string_view text) {
  CheckpointName name;
  Reader reader(text);
  if (reader.TakeCheckpoint(&name) && reader.AtEnd()) return name;
  return NotAName(
      text, "a checkpoint",
      absl::StrCat("studies/{number}/trials/{number}/epochs/{number}, "
                   "trainings/{number}/runs/{number}/epochs/{number} or "
                   "imports/{name}/epochs/0",
                   absl::StartsWith(text, kImports) ? kImportForm : ""),
      "studies/7/trials/12/epochs/40");
}

std::string CheckpointName::ToString() const {
  return absl::StrCat(run.ToString(), "/epochs/", epoch);
}

absl::StatusOr<ManifestName> ManifestName::Parse(absl::string_view text) {
  ManifestName name;
  Reader reader(text);
  if (reader.TakeCheckpoint(&name.checkpoint)) {
    name.resume = reader.Take("/resume");
    if (reader.AtEnd()) return name;
  }
  return NotAName(text, "a manifest",
                  "a checkpoint's name, or that with /resume behind it",
                  "studies/7/trials/12/epochs/40/resume");
}

std::string ManifestName::ToString() const {
  return absl::StrCat(checkpoint.ToString(), resume ? "/resume" : "");
}

absl::StatusOr<WinnerName> WinnerName::Parse(absl::string_view text) {
  WinnerName name;
  Reader reader(text);
  if (reader.Take("studies/") && reader.TakeNumber(1, &name.study) &&
      reader.Take("/winner")) {
    if (reader.AtEnd()) return name;
    if (reader.Take("/epochs/") &&
        reader.TakeNumber(0, &name.epoch.emplace()) && reader.AtEnd()) {
      return name;
    }
  }
  return NotAName(text, "a study's winner",
                  "studies/{number}/winner or "
                  "studies/{number}/winner/epochs/{number}",
                  "studies/7/winner/epochs/5");
}

std::string WinnerName::ToString() const {
  std::string text = absl::StrCat("studies/", study, "/winner");
  if (epoch.has_value()) absl::StrAppend(&text, "/epochs/", *epoch);
  return text;
}

absl::StatusOr<WorkerName> WorkerName::Parse(absl::string_view text) {
  absl::string_view id = text;
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  if (absl::ConsumePrefix(&id, "workers/") && !id.empty() &&
      id.size() <= kWorkerIdLengthMax &&
      std::all_of(id.begin(), id.end(), allowed)) {
    return WorkerName{std::string(id)};
  }
  return NotAName(
      text, "a worker",
      absl::StrCat("workers/{id}, where an id has 1 to ", kWorkerIdLengthMax,
                   " letters, digits, \"-\", \"_\" and \".\""),
      "workers/gpu-3");
}

std::string WorkerName::ToString() const {
  return absl::StrCat("workers/", id);
}

}  // namespace headstart
