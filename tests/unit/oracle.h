/* oracle: numbers that the scripts in tests/oracle make too, and the files that they write. */
#ifndef NAS_ORACLE_H
#define NAS_ORACLE_H
#include "check.h"

/* A number in [-1, 1): the same as hash_u() of tests/oracle/hashed.py. */
__attribute__((unused)) static double hash_u(const char *name, int64_t element)
{
    uint32_t seed = 2166136261u;
    for (const char *p = name; *p; p++) seed = (seed ^ (unsigned char)*p) * 16777619u;
    uint32_t x = (uint32_t)element * 2654435761u + seed;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    x ^= x >> 16;
    return x / 2147483648.0 - 1;
}

/* A file of tests/golden, or 0 and a failed check. */
__attribute__((unused)) static FILE *open_golden(const char *name)
{
    char path[256];
    const char *here = strrchr(__FILE__, '/'); /* tests/unit/oracle.h, as the compiler was called in the root */
    int folder = here ? (int)(here - __FILE__) : 0;
    snprintf(path, sizeof path, "%.*s/../golden/%s", folder, __FILE__, name);
    FILE *f = fopen(path, "r");
    CHECK_MSG(f, "%s cannot be opened", path);
    return f;
}
#endif
