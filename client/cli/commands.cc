#include "client/cli/commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <map>
#include <ostream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/version.h"
#include "client/cli/handlers.h"
#include "client/cli/nearest_names.h"
#include "client/cli/session.h"

namespace headstart::client {
namespace {

// Flags of a command, beside --data, --server, --format and --quiet.
enum Use : uint32_t {
  kFile = 1 << 0,
  kOptionalFile = 1 << 1,
  kWatch = 1 << 2,
  kDryRun = 1 << 3,
  kBest = 1 << 4,
  kState = 1 << 5,
  kDownload = 1 << 6,  // -o, --include-buffers, --include-masks, --force
  kReason = 1 << 7,
  kFrom = 1 << 8,  // --from, --epochs, --seeds
  kDatasets = 1 << 9,
  kCluster = 1 << 10,  // --slots, --plugins, --metrics-ports
  kListen = 1 << 11,
  kNew = 1 << 12,
  kDeadShare = 1 << 13,
  kOptionalName = 1 << 14,
  kLocal = 1 << 15,        // Asks no server that runs already: no --server.
  kReport = 1 << 17,       // -o, and --format with html, csv and markdown.
  kStudyReport = 1 << 18,  // -o, and --format with html and csv.
  kImport = 1 << 16,       // --name, --reason; the file is a safetensors file.
};

struct Command {
  const char* words;  // "studies create", or "up".
  const char* name;   // What its positional argument is, or nullptr.
  uint32_t uses;
  absl::Status (*run)(Session&);
  const char* summary;
  const char* example;
};

constexpr Command kCommands[] = {
    {"run", "FILE", kLocal | kCluster | kDatasets | kNew, RunStudyFile,
     "Tune on this machine: start all servers, run the study of FILE, train "
     "from its winner, print the result. Ctrl-C stops; the same command goes "
     "on",
     "headstart run examples/mnist.yaml"},
    {"up", nullptr, kLocal | kCluster | kDatasets | kListen, Up,
     "Run scheduler, storage and a worker on this machine until Ctrl-C",
     "headstart up --slots 4 --listen 127.0.0.1:7700"},

    {"studies create", nullptr, kFile | kWatch | kDryRun, CreateStudy,
     "Start the study of a file, and print its name",
     "headstart studies create -f examples/mnist.yaml --watch"},
    {"studies list", nullptr, 0, ListStudies, "List all studies",
     "headstart studies list --format json"},
    {"studies get", "STUDY", 0, GetStudy, "Show a study",
     "headstart studies get studies/1"},
    {"studies watch", "STUDY", 0, WatchStudy,
     "Follow a study until it and its trainings are over",
     "headstart studies watch studies/1"},
    {"studies pause", "STUDY", 0, PauseStudy,
     "Let trials in training finish their epoch, and start nothing new",
     "headstart studies pause studies/1"},
    {"studies resume", "STUDY", 0, ResumeStudy, "Go on with a paused study",
     "headstart studies resume studies/1"},
    {"studies cancel", "STUDY", 0, CancelStudy,
     "End a study now; what its best trials stored stays",
     "headstart studies cancel studies/1"},
    {"studies delete", "STUDY", 0, DeleteStudy,
     "Remove a study that is over, with its trials and checkpoints",
     "headstart studies delete studies/1"},
    {"studies report", "STUDY", kStudyReport, ReportStudyPage,
     "Show as a page which trial is best, how the search got there and which "
     "values mattered",
     "headstart studies report studies/1 -o study.html"},
    {"studies replay", "STUDY", 0, ReplayStudy,
     "Take all decisions of a study again; they must agree",
     "headstart studies replay studies/1"},

    {"trials list", "STUDY", kBest | kState, ListTrials,
     "List the trials of a study", "headstart trials list studies/1 --best 5"},
    {"trials get", "TRIAL", 0, GetTrial,
     "Show a trial with its epochs and attempts",
     "headstart trials get studies/1/trials/12"},
    {"trials explain", "TRIAL", 0, ExplainTrial,
     "Say what the search decided about a trial, and why",
     "headstart trials explain studies/1/trials/12"},
    {"trials stop", "TRIAL", 0, StopTrial,
     "End a trial early; its weights stay if it is among the best",
     "headstart trials stop studies/1/trials/12"},
    {"trials retry", "TRIAL", 0, RetryTrial,
     "Give a FAILED trial a fresh set of retries",
     "headstart trials retry studies/1/trials/12"},

    {"checkpoints list", "PARENT", kOptionalName, ListCheckpoints,
     "List stored epochs: of a trial, study, run or training, imports, or all",
     "headstart checkpoints list studies/1/trials/12"},
    {"checkpoints get", "CHECKPOINT", 0, GetCheckpoint,
     "Show a stored epoch with its tensors and why it is kept",
     "headstart checkpoints get studies/1/winner/epochs/5"},
    {"checkpoints download", "CHECKPOINT", kDownload, DownloadCheckpoint,
     "Write a stored epoch as a safetensors file, and print the file's name",
     "headstart checkpoints download studies/1/winner/epochs/5 -o "
     "m.safetensors"},
    {"checkpoints import", "FILE", kImport, ImportCheckpoint,
     "Store the tensors of a safetensors file of your own, for trainings to "
     "start from; print the checkpoint's name",
     "headstart checkpoints import resnet.safetensors --name resnet"},
    {"checkpoints pin", "CHECKPOINT", kReason, PinCheckpoint,
     "Keep a checkpoint until it is unpinned",
     "headstart checkpoints pin studies/1/trials/12/epochs/5 --reason "
     "\"for the paper\""},
    {"checkpoints unpin", "CHECKPOINT", 0, UnpinCheckpoint,
     "Let a pinned checkpoint go when nothing else keeps it",
     "headstart checkpoints unpin studies/1/trials/12/epochs/5"},
    {"checkpoints usage", "PARENT", kOptionalName, GetUsage,
     "Say how many bytes are stored, by the reason they are kept",
     "headstart checkpoints usage studies/1"},

    {"trainings create", nullptr, kOptionalFile | kFrom | kWatch | kDryRun,
     CreateTraining,
     "Train from a stored epoch, once per seed, and print the training's name",
     "headstart trainings create --from studies/1/winner/epochs/5 --epochs 20 "
     "--seeds 42,43"},
    {"trainings list", nullptr, 0, ListTrainings, "List all trainings",
     "headstart trainings list"},
    {"trainings get", "TRAINING", 0, GetTraining,
     "Show a training with its runs", "headstart trainings get trainings/1"},
    {"trainings watch", "TRAINING", 0, WatchTraining,
     "Follow a training until it is over",
     "headstart trainings watch trainings/1"},
    {"trainings cancel", "TRAINING", 0, CancelTraining,
     "End a training now; what it stored stays until it is deleted",
     "headstart trainings cancel trainings/1"},
    {"trainings delete", "TRAINING", 0, DeleteTraining,
     "Remove a training that is over, with its checkpoints",
     "headstart trainings delete trainings/1"},

    {"comparisons create", nullptr, kFile | kWatch | kDryRun, CreateComparison,
     "Train all arms of a file, once per seed, and print the comparison's name",
     "headstart comparisons create -f examples/comparison.yaml --watch"},
    {"comparisons list", nullptr, 0, ListComparisons, "List all comparisons",
     "headstart comparisons list"},
    {"comparisons get", "COMPARISON", 0, GetComparison,
     "Show a comparison with its arms",
     "headstart comparisons get comparisons/1"},
    {"comparisons watch", "COMPARISON", 0, WatchComparison,
     "Follow a comparison until it is over, and say what came out",
     "headstart comparisons watch comparisons/1"},
    {"comparisons cancel", "COMPARISON", 0, CancelComparison,
     "End all arms now; what they stored stays until it is deleted",
     "headstart comparisons cancel comparisons/1"},
    {"comparisons delete", "COMPARISON", 0, DeleteComparison,
     "Remove a comparison that is over, with its trainings and checkpoints",
     "headstart comparisons delete comparisons/1"},
    {"comparisons report", "COMPARISON", kReport, ReportComparison,
     "Say which start was better, by how much and how sure that is; as a page "
     "with -o",
     "headstart comparisons report comparisons/1 -o report.html"},

    {"workers list", nullptr, 0, ListWorkers,
     "List workers, their slots and what they train", "headstart workers list"},
    {"workers cordon", "WORKER", 0, CordonWorker,
     "Give a worker nothing new; what it trains goes on",
     "headstart workers cordon workers/gpu-3"},
    {"workers uncordon", "WORKER", 0, UncordonWorker,
     "Give a worker work again", "headstart workers uncordon workers/gpu-3"},
    {"workers drain", "WORKER", 0, DrainWorker,
     "Cordon a worker and take back what it trains after the epoch",
     "headstart workers drain workers/gpu-3"},

    {"datasets list", nullptr, kLocal | kDatasets, ListDatasets,
     "Say which data sets are on this machine, and where to get the others",
     "headstart datasets list --datasets examples/data"},
    {"datasets verify", nullptr, kLocal | kDatasets, VerifyDatasets,
     "Read every byte of the data sets on this machine and check it",
     "headstart datasets verify"},

    {"storage verify", nullptr, 0, VerifyStorage,
     "Read every stored byte, and name checkpoints that are damaged",
     "headstart storage verify"},
    {"storage compact", nullptr, kDeadShare, CompactStorage,
     "Forget what nothing keeps, and give its room on disk back",
     "headstart storage compact"},
    {"storage usage", nullptr, 0, GetUsage,
     "Say how many bytes are stored, by the reason they are kept",
     "headstart storage usage"},
};

const std::map<std::string, std::string>& NounSummaries() {
  static const auto& summaries = *new std::map<std::string, std::string>{
      {"studies", "Searches over a parameter space"},
      {"trials", "One choice of values each, trained inside a study"},
      {"checkpoints", "Stored weights of every epoch"},
      {"trainings", "Trainings from stored weights, one run per seed"},
      {"comparisons", "Which start was better: arms with equal seeds"},
      {"workers", "Machines that train"},
      {"datasets", "Data sets on this machine"},
      {"storage", "The store of all weights"}};
  return summaries;
}

void AddFlags(CLI::App& app, const Command& command, Flags& flags) {
  const auto has = [&](Use use) { return (command.uses & use) != 0; };
  if (command.name != nullptr) {
    const bool is_file = absl::string_view(command.name) == "FILE";
    app.add_option(command.name, is_file ? flags.file : flags.name,
                   !is_file       ? "Its full name"
                   : has(kImport) ? "The safetensors file, on this machine"
                                  : "The study file: the YAML form of a Study")
        ->required(!has(kOptionalName));
  }
  if (has(kFile) || has(kOptionalFile)) {
    app.add_option("-f,--file", flags.file,
                   has(kFile) ? "The file: the YAML form of what is created"
                              : "A file that describes it: the YAML form of a "
                                "Training. Other flags replace what it says")
        ->required(has(kFile));
  }
  if (has(kFrom)) {
    app.add_option(
        "--from", flags.from,
        "Checkpoint to start from, such as studies/1/winner/epochs/5 "
        "or studies/1/trials/12/epochs/5");
    app.add_option("--epochs", flags.epochs,
                   "Epochs to train. Default: as the source's run")
        ->check(CLI::PositiveNumber);
    app.add_option("--seeds", flags.seeds, "One run per seed, such as 42,43")
        ->delimiter(',');
  }
  if (has(kWatch)) {
    app.add_flag("--watch", flags.watch, "Follow it until it is over");
  }
  if (has(kDryRun)) {
    app.add_flag("--dry-run", flags.dry_run,
                 "Check it and show what it would do; create nothing");
  }
  if (has(kBest)) {
    app.add_option("--best", flags.best,
                   "Only the best so many, best first; 1 to 1000")
        ->check(CLI::Range(1, 1000));
  }
  if (has(kState)) {
    app.add_option("--state", flags.state,
                   "Only trials in this state, such as TRAINING");
  }
  if (has(kDownload)) {
    app.add_option("-o,--output", flags.output,
                   "The file. Default: the checkpoint's name with - for /, "
                   "here");
    app.add_flag("--include-buffers", flags.include_buffers,
                 "With batch-norm statistics and counters. Default true; "
                 "--include-buffers=false leaves them out");
    app.add_flag("--include-masks", flags.include_masks,
                 "With the masks of a pruned run, as mask.<parameter>; what is "
                 "pruned is 0 in any case");
    app.add_flag("--force", flags.force, "Overwrite a file that is there");
  }
  if (has(kReason)) {
    app.add_option("--reason", flags.reason,
                   "Why it is kept, in 1 to 200 characters")
        ->required();
  }
  if (has(kImport)) {
    app.add_option("--name", flags.name,
                   "Of the checkpoint imports/{name}/epochs/0: 1 to 64 of a-z, "
                   "0-9, \".\", \"_\" and \"-\"")
        ->required();
    app.add_option("--reason", flags.reason,
                   "Why it is kept until it is unpinned, in 1 to 200 "
                   "characters. Default: imported from FILE");
  }
  if (has(kDeadShare)) {
    app.add_option("--dead-share-min", flags.dead_share_min,
                   "Rewrite packs with at least this share of bytes that "
                   "nothing needs, above 0 to 1. Default 0.5")
        ->check(CLI::Range(0.0, 1.0));
  }
  if (has(kDatasets)) {
    app.add_option("--datasets", flags.datasets,
                   "Folder that holds data sets; may be given several times. "
                   "Default: $HEADSTART_DATASETS (folders separated by :) or, "
                   "without it, those of ./data, ./examples/data and "
                   "examples/data of the program's source folder that exist")
        ->allow_extra_args(false);
  }
  if (has(kCluster)) {
    app.add_option("--slots", flags.slots,
                   "Trainers at a time: a number of one-thread slots, or a "
                   "list such as cpu:4,cuda:0 (4 threads; the first GPU). "
                   "Default: one slot per core, at most 8");
    app.add_option("--plugins", flags.plugins,
                   "Folder with plug-ins (*.so), which add models and data "
                   "sets of your own; read when the servers start");
    app.add_option("--metrics-ports", flags.metrics_ports,
                   "First of three ports of 127.0.0.1 that serve /metrics: "
                   "scheduler, storage, worker; or auto for free ones. "
                   "Default: 7701 for up, auto for run");
  }
  if (has(kListen)) {
    app.add_option("--listen", flags.listen,
                   "Address for clients, such as 127.0.0.1:7700 (port 0 for a "
                   "free one). Default: a Unix socket of the data folder");
  }
  if (has(kNew)) {
    app.add_flag("--new", flags.start_anew,
                 "Start another study of the same file rather than go on "
                 "with, or show, the one that there is");
  }
  // Of every command.
  const char* const data_help =
      has(kLocal) ? "Data folder. Default ./headstart-data"
                  : "Data folder of a running `headstart up` or `run`. Default "
                    "./headstart-data";
  if (!has(kLocal) || has(kCluster)) {
    app.add_option("--data", flags.data, data_help);
  }
  if (!has(kLocal)) {
    app.add_option("--server", flags.server,
                   "Address of a scheduler instead, such as 127.0.0.1:7700")
        ->excludes("--data");
  }
  if (has(kReport)) {
    app.add_option("-o,--output", flags.output,
                   "Write the whole report into this file; its ending says how "
                   "unless --format does: .html, .md, .csv or .json");
    app.add_option("--format", flags.report_format,
                   "html, markdown, csv (a line per run), json, or table: the "
                   "short form. Default: html with -o, else table")
        ->check(CLI::IsMember({"table", "html", "markdown", "csv", "json"}));
  } else if (has(kStudyReport)) {
    app.add_option("-o,--output", flags.output,
                   "Write it into this file; its ending says how unless "
                   "--format does: .html or .csv");
    app.add_option("--format", flags.report_format,
                   "html, or csv: a line per trial. Default: html")
        ->check(CLI::IsMember({"html", "csv"}));
  } else if (!has(kCluster)) {
    app.add_option("--format", flags.format,
                   "table for people, json for programs (one object a line). "
                   "Default table")
        ->check(CLI::IsMember({"table", "json"}));
  }
  app.add_flag("--quiet", flags.quiet, "No tables and no progress");
}

// The names that may follow `noun` ("" for the first word).
std::vector<std::string> NextWords(absl::string_view noun) {
  std::vector<std::string> words;
  for (const Command& command : kCommands) {
    const std::vector<std::string> parts = absl::StrSplit(command.words, ' ');
    const std::string& word = noun.empty() ? parts[0] : parts.back();
    if (!noun.empty() && (parts.size() < 2 || parts[0] != noun)) continue;
    if (std::find(words.begin(), words.end(), word) == words.end()) {
      words.push_back(word);
    }
  }
  return words;
}

// What is wrong with the words that choose a command; empty when nothing is.
std::string WrongWords(const std::vector<std::string>& arguments) {
  const auto unknown = [&](size_t position, absl::string_view noun,
                           const std::vector<std::string>& known) {
    if (position >= arguments.size() || known.empty()) return std::string();
    const std::string& word = arguments[position];
    if (word.empty() || word[0] == '-') return std::string();
    if (std::find(known.begin(), known.end(), word) != known.end()) {
      return std::string();
    }
    return absl::StrCat("there is no command \"", noun, noun.empty() ? "" : " ",
                        word, "\"", DidYouMean(word, known));
  };
  const std::string first = unknown(0, "", NextWords(""));
  if (!first.empty() || arguments.empty()) return first;
  return unknown(1, arguments[0], NextWords(arguments[0]));
}

// The help of the deepest command that was named.
std::string HelpOf(const CLI::App& app, const std::string& words_before = "") {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty()) return app.help(words_before);
  return HelpOf(*chosen.front(),
                absl::StrCat(words_before, words_before.empty() ? "" : " ",
                             app.get_name()));
}

int SayUsage(const Terminal& terminal, const std::string& what,
             const std::string& usage) {
  *terminal.error << "headstart: " << what << "\n" << usage << std::flush;
  return 2;
}

int Execute(const Command& command, Flags flags, const Terminal& terminal) {
  const bool is_json = flags.format == "json";
  const bool is_quiet = flags.quiet;
  Session session(std::move(flags),
                  {.out = terminal.out,
                   .error = terminal.error,
                   .out_is_terminal = terminal.out_is_terminal,
                   .error_is_terminal = terminal.error_is_terminal,
                   .columns = terminal.columns,
                   .rows = terminal.rows,
                   .json = is_json,
                   .quiet = is_quiet},
                  *terminal.clock);
  const absl::Status status = command.run(session);
  if (status.ok()) return 0;
  if (IsUsageError(status)) {
    session.printer().Error(absl::StrCat("headstart: ", status.message()));
    return 2;
  }
  session.printer().Error(
      absl::StrCat("headstart: ", absl::StatusCodeToString(status.code()), ": ",
                   status.message()));
  return 1;
}

}  // namespace

int RunHeadstart(const std::vector<std::string>& arguments,
                 const Terminal& terminal) {
  CLI::App app("headstart: hyperparameter tuning that keeps what tuning learns",
               "headstart");
  app.set_version_flag("--version", std::string("headstart ") + kVersion);
  app.require_subcommand(1);
  app.footer("Begin with:  headstart run examples/mnist.yaml");

  Flags flags;
  const Command* chosen = nullptr;
  std::map<std::string, CLI::App*> nouns;
  for (const Command& command : kCommands) {
    const std::vector<std::string> words = absl::StrSplit(command.words, ' ');
    CLI::App* parent = &app;
    if (words.size() == 2) {
      CLI::App*& noun = nouns[words[0]];
      if (noun == nullptr) {
        noun = app.add_subcommand(words[0], NounSummaries().at(words[0]));
        noun->require_subcommand(1);
      }
      parent = noun;
    }
    CLI::App* const leaf =
        parent->add_subcommand(words.back(), command.summary);
    leaf->footer(absl::StrCat("Example:  ", command.example));
    AddFlags(*leaf, command, flags);
    leaf->callback([&chosen, &command] { chosen = &command; });
  }

  const std::string wrong = WrongWords(arguments);
  if (!wrong.empty()) {
    return SayUsage(terminal, wrong, "\"headstart --help\" lists them all.\n");
  }
  try {  // CLI11 reports by throwing.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForVersion& version) {
    *terminal.out << version.what() << std::endl;
    return 0;
  } catch (const CLI::CallForHelp&) {
    *terminal.out << HelpOf(app) << std::flush;
    return 0;
  } catch (const CLI::ParseError& error) {
    return SayUsage(terminal, error.what(), HelpOf(app));
  }
  return Execute(*chosen, std::move(flags), terminal);
}

}  // namespace headstart::client
