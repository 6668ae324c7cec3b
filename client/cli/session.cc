#include "client/cli/session.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/names.h"
#include "base/status_macros.h"
#include "client/cli/shell_word.h"

namespace headstart::client {
namespace {

constexpr char kUsagePayload[] = "headstart/usage";

}  // namespace

std::string ClusterFlags(const Flags& flags) {
  if (!flags.server.empty()) {
    return absl::StrCat(" --server ", ShellWord(flags.server));
  }
  if (flags.data == Flags().data) return "";
  return absl::StrCat(" --data ", ShellWord(flags.data));
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

Session::Session(Flags flags, PrinterOptions printer_options, Clock& clock)
    : flags_(std::move(flags)),
      printer_(std::move(printer_options)),
      clock_(clock) {}

absl::StatusOr<Client*> Session::FindClient() {
  if (client_ == nullptr) {
    std::string server = flags_.server;
    if (server.empty()) {
      HS_ASSIGN_OR_RETURN(server, FindServer(flags_.data));
    }
    client_ = std::make_unique<Client>(
        ClientOptions{.server = std::move(server), .clock = &clock_});
  }
  return client_.get();
}

absl::StatusOr<std::string> Session::Resolve(const std::string& name) {
  const absl::StatusOr<WinnerName> winner = WinnerName::Parse(name);
  if (!winner.ok()) return name;  // Storage judges all others.

  HS_ASSIGN_OR_RETURN(Client* const client, FindClient());
  v1::GetTrialRequest request;
  request.set_name(WinnerName{.study = winner->study}.ToString());
  HS_ASSIGN_OR_RETURN(const v1::Trial trial, client->GetTrial(request));
  if (!winner->epoch) return trial.name();
  return absl::StrCat(trial.name(), "/epochs/", *winner->epoch);
}

void Session::Answer(const google::protobuf::Message& message,
                     const std::vector<std::string>& lines) {
  if (printer_.json()) {
    printer_.Json(message);
  } else {
    printer_.Show(lines);
  }
}

}  // namespace headstart::client
