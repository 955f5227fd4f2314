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

const NasKernels *nas_kernels_cpu(const char *isa, int lanes)
{
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++)
        if ((!*isa || !strcmp(isa, builds[i]->name)) && (!lanes || lanes == builds[i]->lanes) &&
            can_run(builds[i]->name))
            return builds[i];
    return 0;
}
