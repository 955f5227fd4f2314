/* progress: one line about a run that steps through epochs: rate, time left, loss, metric, memory. */
#ifndef NAS_PROGRESS_H
#define NAS_PROGRESS_H
#include "train/tally.h"

typedef struct {
    const char *what;      /* "search", the run's name */
    int64_t epochs, steps; /* of the run; of an epoch */
    double started, shown; /* clock; 0: never */
    int64_t first;         /* step from which the rate is measured */
    double forecast;       /* clock at which the run will end, as last said; 0: not forecast yet */
    double epoch_started;  /* clock, when its first step was done; 0: in an earlier process */
} Progress;

Progress progress_start(const char *what, int64_t epochs, int64_t steps);
/* After a step: `done` steps since the start of the run. Says how long a run will take by its first steps, and again
 * after an epoch by which it takes much longer: by what is measured at its end, or since alphas have begun to learn. */
void progress_step(Progress *p, Arena scratch, int64_t done, const Tally *t, double loss);
#endif
