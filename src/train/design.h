/* design: the methods that optimise a design: those of structure/optimise.h, and two that hold the volume before the filter:
 *
 *   pixels   L-BFGS on a logit for each element (optim/lbfgs.h, as published), from the uniform design
 *   cnn      L-BFGS on the weights of the published generator (train/designer.h), from weights drawn by the seed; or on
 *            those of another generator
 *
 * and many runs side by side.
 */
#ifndef NAS_DESIGN_H
#define NAS_DESIGN_H
#include "base/pool.h"
#include "nn/generator.h"
#include "structure/optimise.h"

/* A method by name: oc, mma, pixels, cnn; 0: none of that name. cnn is the published generator. */
const Optimiser *design_find(const char *name);

typedef struct {
    const char *problem;  /* name */
    const Problem *given; /* it, if it has no name that problem_find() knows, or 0 */
    double *curve, *x;    /* as in DesignRun, kept for the caller; 0: not wanted */
    double *times;        /* the same: its `seconds` */
    const Optimiser *method;
    const GeneratorSpec *generator; /* in place of the method, or 0 */
    int64_t steps;
    uint64_t seed;
    const double *from; /* to go on: as in DesignRun, with curve, times, x, best and evaluations; or 0 */
    int64_t from_count;
    /* the result */
    double best, seconds;
    int64_t evaluations;
    const char *why; /* it failed, or 0 */
} DesignJob;
/* Runs jobs on the threads of a pool, each on one, in their order. Results do not depend on the number of threads; texts are
 * in perm. *stop (may be 0) ends all runs when it becomes non-zero. */
typedef struct {
    volatile int *stop;                                             /* may be 0 */
    void (*seen)(void *context, int64_t job, const DesignRun *run); /* as in DesignRun: from any thread, or 0 */
    void (*done)(void *context, int64_t job);                       /* the same, after a job */
    void *context;
} DesignWatch;
/* The same under the eyes of a caller. */
void design_watch(Arena *perm, Pool *pool, DesignJob *job, int64_t count, const DesignWatch *watch);
void design_run(Arena *perm, Pool *pool, DesignJob *job, int64_t count, volatile int *stop);
#endif
