// HS_CHECK stops the process on a bug; HS_REACHED marks a rare branch.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"

namespace headstart {

// How often each HS_REACHED mark was passed in this process. Marks that were
// never passed are absent: the caller knows which ones it expects.
std::map<std::string, int64_t> ReachedMarks();

namespace check_internal {

// Collects what the caller streams, then prints it and aborts.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  [[noreturn]] ~Failure();

  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Turns the streamed expression into void, so that both arms of ?: agree.
struct Voidify {
  void operator&(std::ostream&) const {}
};

template <typename T>
void Print(std::ostream& out, const T& value) {
  if constexpr (requires { out << value; }) {
    out << value;
  } else if constexpr (requires { static_cast<int64_t>(value); }) {
    out << static_cast<int64_t>(value);
  } else {
    out << "(not printable)";
  }
}

template <typename A, typename B>
[[noreturn]] ABSL_ATTRIBUTE_NOINLINE void FailComparison(
    const char* file, int line, const char* condition, const A& a, const B& b) {
  Failure failure(file, line, condition);
  failure.stream() << " (";
  Print(failure.stream(), a);
  failure.stream() << " and ";
  Print(failure.stream(), b);
  failure.stream() << ")";
}

// The text of a Status, or of the Status in a StatusOr.
template <typename T>
std::string StatusOf(const T& result) {
  if constexpr (requires { result.status(); }) {
    return result.status().ToString();
  } else {
    return result.ToString();
  }
}

void CountReached(const char* mark);

}  // namespace check_internal
}  // namespace headstart

// Stops the process, in release builds too, when `condition` is false. For
// what only a bug can cause; never for input, disk, network or GPU memory.
// More can be streamed: HS_CHECK(slab != nullptr) << "attempt " << attempt;
#define HS_CHECK(condition)                                                    \
  ABSL_PREDICT_TRUE(condition)                                                 \
  ? (void)0                                                                    \
  : ::headstart::check_internal::Voidify() &                                   \
          ::headstart::check_internal::Failure(__FILE__, __LINE__, #condition) \
              .stream()

// The same for a comparison; both sides are printed.
#define HS_CHECK_EQ(a, b) HS_CHECK_COMPARISON_(==, a, b)
#define HS_CHECK_NE(a, b) HS_CHECK_COMPARISON_(!=, a, b)
#define HS_CHECK_LT(a, b) HS_CHECK_COMPARISON_(<, a, b)
#define HS_CHECK_LE(a, b) HS_CHECK_COMPARISON_(<=, a, b)
#define HS_CHECK_GT(a, b) HS_CHECK_COMPARISON_(>, a, b)
#define HS_CHECK_GE(a, b) HS_CHECK_COMPARISON_(>=, a, b)

#define HS_CHECK_COMPARISON_(op, a, b)                                    \
  do {                                                                    \
    const auto& hs_check_a = (a);                                         \
    const auto& hs_check_b = (b);                                         \
    if (ABSL_PREDICT_FALSE(!(hs_check_a op hs_check_b))) {                \
      ::headstart::check_internal::FailComparison(                        \
          __FILE__, __LINE__, #a " " #op " " #b, hs_check_a, hs_check_b); \
    }                                                                     \
  } while (false)

// The same for a call whose Status can only be OK unless there is a bug.
#define HS_CHECK_OK(expression)                                                \
  do {                                                                         \
    const auto& hs_check_status = (expression);                                \
    if (ABSL_PREDICT_FALSE(!hs_check_status.ok())) {                           \
      ::headstart::check_internal::Failure(__FILE__, __LINE__, #expression)    \
              .stream()                                                        \
          << " is " << ::headstart::check_internal::StatusOf(hs_check_status); \
    }                                                                          \
  } while (false)

// Marks a rare branch, such as HS_REACHED("lease_expired_while_uploading"), so
// that a simulation can show that its seeds came here.
#define HS_REACHED(mark) ::headstart::check_internal::CountReached(mark)
