/* average: the mean of what several networks, or one network of several views of a sample, say of the same samples. */
#ifndef NAS_AVERAGE_H
#define NAS_AVERAGE_H
#include "train/tally.h"

typedef struct {
    double *sum; /* (rows, outputs) of predictions */
    int64_t rows, count;
} Average;

/* Returns 0 or why not (memory). */
const char *average_open(Arena *perm, const Dataset *d, int64_t rows, Average *out);
/* Adds the predictions in t: predictions_make() made them. */
void average_add(Average *a, Tally *t);
/* The outputs in t become those that stand for the mean prediction. */
void average_take(const Average *a, Tally *t);

/* Runs a split through the net as evaluate_split() did, and then `views` times more as the data's declared augmentations
 * change it (flips and crops; not cutout, which takes away), by `seed`; t gets the mean. False as evaluate_split(). */
bool average_views(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, int64_t views, uint64_t seed,
                   Average *a, Tally *t, const char **why);
#endif
