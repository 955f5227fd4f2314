/* dispatch: picks the build of the cpu kernels for this machine. */
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)
extern const NasKernels nas_cpu_v2_4, nas_cpu_v2_8, nas_cpu_v3_4, nas_cpu_v3_8, nas_cpu_v4_4, nas_cpu_v4_8,
    nas_cpu_v4_16;

static int can_run(const char *isa)
{
    __builtin_cpu_init();
    if (!strcmp(isa, "v4"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2");
    if (!strcmp(isa, "v3"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
}

static const NasKernels *const builds[] = {&nas_cpu_v4_16, &nas_cpu_v4_8, &nas_cpu_v4_4, &nas_cpu_v3_8,
                                           &nas_cpu_v3_4,  &nas_cpu_v2_8, &nas_cpu_v2_4}; /* best first */
#else
extern const NasKernels nas_cpu_base_8, nas_cpu_base_4;
static int can_run(const char *isa)
{
    (void)isa;
    return 1;
}
static const NasKernels *const builds[] = {&nas_cpu_base_8, &nas_cpu_base_4};
#endif

const NasKernels *nas_kernels_cpu_at(int i)
{
    for (size_t k = 0; k < sizeof builds / sizeof builds[0]; k++)
        if (can_run(builds[k]->name) && !i--) return builds[k];
    return 0;
}

/* Whether `isa` means this set: "", "v4" or "v4/8". */
static int is_meant(const char *isa, const NasKernels *k)
{
    size_t n = strlen(k->name);
    if (!*isa) return 1;
    return !strncmp(isa, k->name, n) && (!isa[n] || !strcmp(isa + n, k->lanes == 4   ? "/4"
                                                                     : k->lanes == 8 ? "/8"
                                                                                     : "/16"));
}

const NasKernels *nas_kernels_cpu(const char *isa, int lanes)
{
    const NasKernels *k = 0;
    for (int i = 0; (k = nas_kernels_cpu_at(i)); i++)
        if (is_meant(isa, k) && (!lanes || lanes == k->lanes)) break;
    return k;
}
