// HS_WIDEST_VECTORS: a function that is compiled for several widths of vectors,
// of which the widest that the CPU has is chosen when the program is loaded.
#pragma once

// Not under the thread sanitizer: the choice is made before it is ready, by
// code that it watches.
#if defined(__SANITIZE_THREAD__)
#define HS_WIDEST_VECTORS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HS_WIDEST_VECTORS
#endif
#endif

#ifndef HS_WIDEST_VECTORS
#define HS_WIDEST_VECTORS \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
