// How this process runs LibTorch: set once, and told.
#pragma once

#include <cstdint>
#include <string>

namespace headstart::worker {

// Number of threads for every operator; deterministic kernels only; memory that
// malloc keeps rather than returns, since a training step asks for the same
// megabytes again and again and page faults would cost as much as arithmetic.
// Call once, first thing in main, before any tensor.
void SetUpLibTorch(int64_t threads);

// "libtorch 2.11.0"
std::string LibraryName();

// "cpu x86-64 avx512 amd": what equal numbers depend on. Vendors are told apart
// because the matrix library does.
std::string DeviceName();

// The most memory that this process had at once (its resident set, the agent's
// slabs that it touched among it) since the last call, or since its start where
// the system cannot begin anew. 0 when the system does not tell.
int64_t TakePeakMemory();

// Gives back what malloc kept. Between assignments.
void ReleaseFreeMemory();

}  // namespace headstart::worker
