/* vec: the vector type of one build of the kernels. LANES is 8 or 16 and NAS_ISA the instruction set; both come from
 * the file that includes this. GNU vectors carry the arithmetic; what C lacks is here. */
#ifndef LANES
#error "LANES must be defined"
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Vectors wider than a register are passed in memory then; no such function is visible outside its file. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef float vf __attribute__((vector_size(LANES * 4), may_alias));
typedef int32_t vi __attribute__((vector_size(LANES * 4), may_alias));

#define INLINE   static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

INLINE vf vload(const float *p)
{
    return *(const vf *)p;
}
INLINE void vstore(float *p, vf v)
{
    *(vf *)p = v;
}
INLINE vf vset(float s)
{
    return (vf){0} + s;
}
INLINE vf vzero(void)
{
    return (vf){0};
}

/* The larger of a and b; b where either is NaN, as x86 does: vmax(0, x) keeps a NaN in x. */
INLINE vf vmax(vf a, vf b)
{
#if LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8 && defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    vi more = a > b;
    return (vf)((more & (vi)a) | (~more & (vi)b));
#endif
}

INLINE vf vselect(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
INLINE vf vmask(vi mask, vf v)
{
    return (vf)(mask & (vi)v);
}

/* Adds the lanes of v to the doubles of `to`. */
INLINE void vadd_double(double *to, vf v)
{
    for (int i = 0; i < LANES; i++) to[i] += (double)v[i];
}
