// Marks plain functions that a CUDA kernel calls as well as the CPU's loops.
#pragma once

#ifdef __CUDACC__
#define HS_HOST_DEVICE __host__ __device__
#else
#define HS_HOST_DEVICE
#endif
