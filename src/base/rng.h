/* rng: counter-based random numbers, f(seed, purpose, index).
 *
 * There is no state: the k-th number of a purpose is a pure function, so results do not depend on the thread count, on
 * the order of calls or on where a run was interrupted.  The mixer is three rounds of SplitMix64's finaliser (Steele,
 * Lea, Flood 2014, "Fast splittable pseudorandom number generators") over the three words.
 */
#ifndef NAS_RNG_H
#define NAS_RNG_H
#include <stdint.h>

/* What a random number is for: two purposes never share a number. Values are part of "same seed, same bits". */
typedef enum {
    RNG_INIT = 1,         /* initial weights; index = parameter id << 32 | element */
    RNG_ALPHA = 2,        /* initial alphas */
    RNG_SPLIT = 3,        /* train/alpha/validation split at ingest */
    RNG_SHUFFLE = 4,      /* order of samples in an epoch */
    RNG_AUGMENT = 5,      /* augmentation of one sample in one epoch */
    RNG_DROP = 6,         /* drop-path masks */
    RNG_CELL = 7,         /* random genotypes */
    RNG_SYNTH = 8,        /* synthetic data */
    RNG_NOISE = 9,        /* perturbed alphas, Gumbel samples */
    RNG_NOISE_VALUE = 19, /* noise operations; + operation << 8 */
    RNG_RESAMPLE = 20,    /* samples drawn with replacement; index = resample << 32 | draw */
    RNG_WARP = 21,        /* turning, moving, enlarging a sample */
    RNG_MASK = 22,        /* bands of a sample that are zeroed */
    RNG_JITTER = 23,      /* noise on a sample: the seed for its elements */
    RNG_MIX = 24,         /* parts of two samples that are mixed */
    RNG_STRUCTURE = 25,   /* random structural problems; index = sample << 32 | draw */
    RNG_GENERATOR =
        26, /* generators drawn by a search; index = epoch << 28 | draw << 8 | decision, or from above: a seed */
    RNG_TEST = 100
} RngPurpose;

uint64_t rng_u64(uint64_t seed, uint64_t purpose, uint64_t index);
double rng_uniform(uint64_t seed, uint64_t purpose, uint64_t index);           /* [0, 1) with 53 bits */
double rng_normal(uint64_t seed, uint64_t purpose, uint64_t index);            /* mean 0, sd 1 (Box-Muller) */
int64_t rng_below(uint64_t seed, uint64_t purpose, uint64_t index, int64_t n); /* 0 … n-1, without modulo bias */
/* Fills order[0…n) with a permutation of 0…n-1 (Fisher-Yates); `index` names which one (e.g. the epoch). */
void rng_permutation(uint64_t seed, uint64_t purpose, uint64_t index, int64_t *order, int64_t n);
#endif
