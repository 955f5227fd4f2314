/* peak: loops that do as much as an instruction set can; peak_isa.c has them, machine.h measures with them. */
#ifndef NAS_PEAK_H
#define NAS_PEAK_H
#include <stdint.h>

typedef struct { /* of one instruction set and lane count */
    const char *isa;
    int lanes;
    int64_t flops; /* of a round */
    float (*fma)(int64_t rounds, float m, float b);
    void (*triad)(int64_t n, float *a, const float *b, const float *c, float s); /* n: a multiple of 16 */
} Peak;
#if defined(__x86_64__)
extern const Peak peak_v4_16, peak_v4_8, peak_v3_8, peak_v2_8;
#define PEAKS &peak_v4_16, &peak_v4_8, &peak_v3_8, &peak_v2_8
#else
extern const Peak peak_base_8;
#define PEAKS &peak_base_8
#endif
#endif
