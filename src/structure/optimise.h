/* optimise: the two classical methods of compliance minimisation on element densities; both start from the uniform design and
 * hold the volume after the filter.
 *
 *   oc    optimality criteria (Bendsøe, Sigmund 2004): x sqrt(-dC / (lambda dV)), moves of at most 0.2, lambda by bisection
 *   mma   the method of moving asymptotes, globally convergent (Svanberg 2002), NLopt's LD_MMA, V(x) <= density
 *
 * A step is one evaluation of C and its gradient; step 0 is the uniform design, so n steps are n + 1 evaluations.
 */
#ifndef NAS_OPTIMISE_H
#define NAS_OPTIMISE_H
#include "structure/compliance.h"

typedef struct DesignRun {
    double *curve;       /* (steps + 1): C of every evaluation; room is the caller's */
    double *x;           /* (H, W): the design of the least C; room is the caller's */
    double best;         /* the least C */
    uint64_t seed;       /* of methods that start at random */
    int64_t evaluations; /* entries of curve: fewer than steps + 1 when the method ended by itself or was stopped */
    volatile int *stop;  /* may be 0; ends the run when it becomes non-zero */
    double *seconds;     /* may be 0: since `began` (clock_wall), of every evaluation */
    double began;
    /* What a run consists of beside the above, as it is before an evaluation; the method's, by design_state(). 0: it cannot
     * be told, the run starts anew. */
    double *state;
    int64_t state_count;
    /* To go on: such a state, saved when `seen` was called, and the above as it was then (`evaluations` before the one that
     * was seen, which is made again); or 0. */
    const double *from;
    int64_t from_count;
    void (*seen)(void *context, const struct DesignRun *run); /* may be 0; called after every evaluation */
    void *context;
} DesignRun;

typedef struct {
    const char *name;
    /* Runs `steps` steps from the uniform design. 0, or why it failed (in perm). */
    const char *(*run)(Arena *perm, Arena scratch, Compliance *c, int64_t steps, DesignRun *out);
} Optimiser;
const Optimiser *optimiser_find(const char *name);

/* For methods: tells what the state is, count numbers, and puts those in that the run goes on from. 0, or why they do not
 * fit. */
const char *design_state(DesignRun *run, double *state, int64_t count);
/* For methods: takes an evaluation into a run. False: the run is over (enough, or stopped). */
bool design_take(DesignRun *run, int64_t steps, int64_t elements, const double *x, double C);
#endif
