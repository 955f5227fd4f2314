/* rng: counter-based random numbers, see rng.h. */
#include "base/rng.h"

#include <assert.h>
#include <math.h>

static const uint64_t gamma64 = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, odd */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double unit(uint64_t u)
{
    return (double)(u >> 11) * 0x1p-53;
}

/* For one seed and purpose this is SplitMix64's own sequence, started at a point mixed from both. */
uint64_t rng_u64(uint64_t seed, uint64_t purpose, uint64_t index)
{
    uint64_t start = mix(mix(seed + gamma64) + purpose * gamma64);
    return mix(start + index * gamma64);
}

double rng_uniform(uint64_t seed, uint64_t purpose, uint64_t index)
{
    return unit(rng_u64(seed, purpose, index));
}

double rng_normal(uint64_t seed, uint64_t purpose, uint64_t index)
{
    uint64_t u = rng_u64(seed, purpose, index);
    double radius = sqrt(-2 * log(1 - unit(u))); /* 1 - u is in (0, 1] */
    return radius * cos(6.283185307179586477 * unit(mix(u + gamma64)));
}

/* Lemire's multiplication: the high half of u*n; the few u that would make some results likelier are drawn again. */
int64_t rng_below(uint64_t seed, uint64_t purpose, uint64_t index, int64_t n)
{
    assert(n > 0);
    uint64_t bound = (uint64_t)n, u = rng_u64(seed, purpose, index), reject = -bound % bound;
    unsigned __int128 product;
    while ((uint64_t)(product = (unsigned __int128)u * bound) < reject) u = mix(u + gamma64);
    return (int64_t)(product >> 64);
}

void rng_permutation(uint64_t seed, uint64_t purpose, uint64_t index, int64_t *order, int64_t n)
{
    uint64_t own = rng_u64(seed, purpose, index);
    for (int64_t i = 0; i < n; i++) {
        int64_t j = rng_below(own, purpose, (uint64_t)i, i + 1);
        if (j != i) order[i] = order[j];
        order[j] = i;
    }
}
