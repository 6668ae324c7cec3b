// The trainings of a study or of a comparison, read again while they go on.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client/cli/print.h"
#include "client/client.h"
#include "headstart/v1/training.pb.h"

namespace headstart::client {

// One thread at a time.
class KnownTrainings {
 public:
  // Outlives it.
  explicit KnownTrainings(Client& client) : client_(client) {}

  // Asks for each that is not known to be over. One that is not answered for
  // stays as it was.
  void Read(const std::string& name);

  // By name.
  const std::map<std::string, v1::Training>& all() const { return trainings_; }
  // Null when it is not known.
  const v1::Training* Find(const std::string& name) const;

  // Over all of them: done, and when they are over.
  int64_t EpochsDone() const;
  int64_t EpochsInAll() const;

  // A line for each whose state or whose runs' states have changed since the
  // last call.
  void SayChanges(Printer& printer);

 private:
  Client& client_;
  std::map<std::string, v1::Training> trainings_;
  std::map<std::string, std::string> said_;
};

}  // namespace headstart::client
