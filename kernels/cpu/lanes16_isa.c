/* lanes16: the cpu kernels with blocks of 16 channels; a zmm register holds a block, so only AVX-512 builds have it. */
#if defined(__AVX512F__)
#define LANES 16
#include "kernels/cpu/kernels_impl.h"
#else
typedef int lanes16_needs_avx512; /* a translation unit must not be empty */
#endif
