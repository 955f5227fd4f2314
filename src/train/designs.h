/* designs: the problems of a dataset designed by candidates, many side by side, and what is told of each in a stream. A
 * candidate is a method of train/design.h, by its name, or a generator, by its text (nn/generator_space.h).
 *
 *   Network      of each candidate, before its designs: name, method, text, seed
 *
 * A design is a run "PROBLEM CANDIDATE". In the order of candidates, splits and problems, whatever the number of threads, each
 * writes as soon as it and those before it are done:
 *
 *   TrainEpoch   one for every step, from 0 (the first design): metric "compliance"; best, where it is the least so far
 *   Tensor       of set "best", "density": (H, W) in double, the design of the least compliance, before the filter
 *
 * A design that fails is an Event "design". A checkpoint holds the designs that are written, and of those that are under way
 * what they have so far and the state of their method; a design by mma, whose state is NLopt's own, starts anew.
 */
#ifndef NAS_DESIGNS_H
#define NAS_DESIGNS_H
#include "train/candidates.h"
#include "train/checkpoint.h"
#include "train/design.h"

typedef struct {
    const Candidates *todo;
    bool split[SPLIT_COUNT]; /* which are designed */
    int64_t steps;
    Checkpoint *checkpoint;
} DesignPlan;

/* Why a candidate designs nothing, or 0; *method or *generator is what does. */
const char *designs_method(Arena *perm, const Candidate *c, const Optimiser **method, const GeneratorSpec **generator);
/* How many designs a plan makes of a dataset. */
int64_t designs_count(const Dataset *d, const DesignPlan *plan);
/* Makes those after checkpoint->item. Returns 0, or why it could not begin (no memory, a checkpoint that does not fit); those
 * that failed are counted in checkpoint->diverged, those that are written in checkpoint->item. Ends on a signal. */
const char *designs_run(Arena *perm, Arena scratch, Pool *pool, const Dataset *d, const DesignPlan *plan, Writer *out);
#endif
