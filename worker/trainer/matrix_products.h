// Matrix products by the library that is faster on this CPU.
#pragma once

namespace headstart::worker {

// LibTorch multiplies float matrices with MKL, which leaves the AVX-512 units
// of other makers' CPUs alone; oneDNN, which LibTorch has for convolutions,
// uses them and takes half of the time. Where that is so this puts it in MKL's
// place for products large enough, in forward and backward passes alike, and
// says true. Call once, before threads and tensors.
bool UseFasterMatrixProducts();

}  // namespace headstart::worker
