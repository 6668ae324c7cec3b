// What a caller does with a Status: hand it on, unpack it, say where it was.
#pragma once

#include <utility>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace headstart {

// The same code, with "where: " in front of the message; OK stays OK. For
// where knowledge changes hands: Annotate(status, "storing trial 3, epoch 12").
inline absl::Status Annotate(const absl::Status& status,
                             absl::string_view where) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(),
                         absl::StrCat(where, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace headstart

// Returns from the calling function, with the Status, when it is not OK.
#define HS_RETURN_IF_ERROR(expression)                         \
  do {                                                         \
    absl::Status hs_status = (expression);                     \
    if (ABSL_PREDICT_FALSE(!hs_status.ok())) return hs_status; \
  } while (false)

// HS_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(text));
//
// Returns from the calling function, with the Status, when there is no value.
#define HS_ASSIGN_OR_RETURN(left, expression) \
  HS_ASSIGN_OR_RETURN_(HS_CONCAT_(hs_result_, __LINE__), left, expression)
#define HS_ASSIGN_OR_RETURN_(result, left, expression)                     \
  auto result = (expression);                                              \
  if (ABSL_PREDICT_FALSE(!result.ok())) return std::move(result).status(); \
  left = *std::move(result)
#define HS_CONCAT_(a, b) HS_CONCAT_INNER_(a, b)
#define HS_CONCAT_INNER_(a, b) a##b
