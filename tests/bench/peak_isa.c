/* peak: what one instruction set can do at most: multiply-adds in registers, and a triad over memory. Compiled once per
 * instruction set, with the kernels' flags. */
#include "tests/bench/peak.h"

#ifndef NAS_ISA
#define NAS_ISA base
#endif
#define TEXT_(x)          #x
#define TEXT(x)           TEXT_(x)
#define NAME_(isa, lanes) peak_##isa##_##lanes
#define NAME(isa, lanes)  NAME_(isa, lanes)
#define TABLE(lanes, many)                                                                                             \
    {                                                                                                                  \
        TEXT(NAS_ISA), lanes, (FUSED ? 2 : 1) * lanes *many, fma_##lanes, triad_##lanes                                \
    }

/* Chains of dependent operations, enough to hide their latency and few enough for the registers. Without a fused
 * multiply-add half of them multiply and half of them add. m = 1 and b = 0 keep the numbers normal; the compiler does not
 * know them and cannot leave anything out. */
#if defined(__FMA__) || defined(__aarch64__)
enum { FUSED = 1 };
#else
enum { FUSED = 0 };
#endif
#define PEAK(lanes, many)                                                                                              \
    typedef float Vec##lanes __attribute__((vector_size(lanes * 4), may_alias));                                       \
    static float fma_##lanes(int64_t rounds, float m, float b)                                                         \
    {                                                                                                                  \
        Vec##lanes chain[many], mm = (Vec##lanes){0} + m, bb = (Vec##lanes){0} + b, sum = bb;                          \
        _Pragma("GCC unroll 32") for (int i = 0; i < many; i++) chain[i] = mm * (float)(i + 1);                        \
        for (int64_t r = 0; r < rounds; r++)                                                                           \
            _Pragma("GCC unroll 32") for (int i = 0; i < many; i++) chain[i] = FUSED   ? chain[i] * mm + bb            \
                                                                               : i % 2 ? chain[i] + bb                 \
                                                                                       : chain[i] * mm;                \
        _Pragma("GCC unroll 32") for (int i = 0; i < many; i++) sum += chain[i];                                       \
        return sum[0] + sum[lanes - 1];                                                                                \
    }                                                                                                                  \
    static void triad_##lanes(int64_t n, float *a, const float *b, const float *c, float s)                            \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i += lanes)                                                                         \
            *(Vec##lanes *)(a + i) = *(const Vec##lanes *)(b + i) + s * *(const Vec##lanes *)(c + i);                  \
    }

#if defined(__AVX512VL__)
enum { CHAINS = 24 };
#elif defined(__AVX__)
enum { CHAINS = 12 };
#else
enum { CHAINS = 6 }; /* 8 lanes are two registers */
#endif
PEAK(8, CHAINS)
const Peak NAME(NAS_ISA, 8) = TABLE(8, CHAINS);
#if defined(__AVX512F__)
PEAK(16, CHAINS)
const Peak NAME(NAS_ISA, 16) = TABLE(16, CHAINS);
#endif
