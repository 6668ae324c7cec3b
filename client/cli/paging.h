// All pages of a list.
#pragma once

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "client/cli/session.h"

namespace headstart::client {

// Asks page after page: `ask` makes the call, `rows` names the repeated field.
//
//   ReadPages(request, [&](const auto& r) { return client.ListStudies(r); },
//             &v1::ListStudiesResponse::studies)
template <typename Request, typename Ask, typename Response, typename Row>
absl::StatusOr<std::vector<Row>> ReadPages(
    Request request, Ask ask,
    const google::protobuf::RepeatedPtrField<Row>& (Response::*rows)() const) {
  request.set_page_size(1000);
  std::vector<Row> all;
  while (true) {
    HS_ASSIGN_OR_RETURN(const Response page, ask(request));
    const auto& some = (page.*rows)();
    all.insert(all.end(), some.begin(), some.end());
    if (page.next_page_token().empty()) return all;
    request.set_page_token(page.next_page_token());
  }
}

// JSON lines, one per row, or the table of all rows.
template <typename Row>
void AnswerRows(Session& session, const std::vector<Row>& rows,
                const Table& table) {
  for (const Row& row : rows) {
    if (session.printer().json()) session.printer().Json(row);
  }
  if (!session.printer().json()) session.printer().Show(table);
}

}  // namespace headstart::client
