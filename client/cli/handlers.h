// What each command does: flags to calls of the client, answers to the printer.
#pragma once

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace headstart::client {

// study_commands.cc
absl::Status CreateStudy(Session& session);
absl::Status ListStudies(Session& session);
absl::Status GetStudy(Session& session);
absl::Status WatchStudy(Session& session);
absl::Status PauseStudy(Session& session);
absl::Status ResumeStudy(Session& session);
absl::Status CancelStudy(Session& session);
absl::Status DeleteStudy(Session& session);
absl::Status ReplayStudy(Session& session);
absl::Status ReportStudyPage(Session& session);

// trial_commands.cc
absl::Status ListTrials(Session& session);
absl::Status GetTrial(Session& session);
absl::Status ExplainTrial(Session& session);
absl::Status StopTrial(Session& session);
absl::Status RetryTrial(Session& session);

// checkpoint_commands.cc
absl::Status ListCheckpoints(Session& session);
absl::Status GetCheckpoint(Session& session);
absl::Status DownloadCheckpoint(Session& session);
absl::Status ImportCheckpoint(Session& session);
absl::Status PinCheckpoint(Session& session);
absl::Status UnpinCheckpoint(Session& session);
absl::Status GetUsage(Session& session);
absl::Status VerifyStorage(Session& session);
absl::Status CompactStorage(Session& session);

// training_commands.cc
absl::Status CreateTraining(Session& session);
absl::Status ListTrainings(Session& session);
absl::Status GetTraining(Session& session);
absl::Status WatchTraining(Session& session);
absl::Status CancelTraining(Session& session);
absl::Status DeleteTraining(Session& session);

// comparison_commands.cc
absl::Status CreateComparison(Session& session);
absl::Status ListComparisons(Session& session);
absl::Status GetComparison(Session& session);
absl::Status WatchComparison(Session& session);
absl::Status CancelComparison(Session& session);
absl::Status DeleteComparison(Session& session);
absl::Status ReportComparison(Session& session);

// worker_commands.cc
absl::Status ListWorkers(Session& session);
absl::Status CordonWorker(Session& session);
absl::Status UncordonWorker(Session& session);
absl::Status DrainWorker(Session& session);

// dataset_commands.cc: on this machine's files; asks no server.
absl::Status ListDatasets(Session& session);
absl::Status VerifyDatasets(Session& session);

// up_command.cc, run_command.cc
absl::Status Up(Session& session);
absl::Status RunStudyFile(Session& session);

}  // namespace headstart::client
