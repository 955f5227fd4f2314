/* progress: one line about a run that steps through epochs: rate, time left, loss, metric, memory. */
#ifndef NAS_PROGRESS_H
#define NAS_PROGRESS_H
#include "train/tally.h"

typedef struct {
    const char *what;      /* "search", the run's name */
    int64_t epochs, steps; /* of the run; of an epoch */
    double started, shown; /* clock; 0: never */
    int64_t first;         /* step from which the rate is measured */
    bool forecast;         /* the time was forecast */
} Progress;

Progress progress_start(const char *what, int64_t epochs, int64_t steps);
/* After a step: `done` steps since the start of the run. */
void progress_step(Progress *p, Arena scratch, int64_t done, const Tally *t, double loss);
#endif
