/* evaluate: a net on a whole split. */
#ifndef NAS_EVALUATE_H
#define NAS_EVALUATE_H
#include "train/tally.h"

/* Runs the first `limit` samples of a split (0: all) through the net, without augmentation, and leaves outputs and targets
 * in t (which was opened for as many rows). False: interrupted by a signal; *why (0 if not that) tells what failed. */
bool evaluate_split(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, Mode mode, Tally *t,
                    const char **why);

/* The same with a loader's settings, in their epoch: augmented samples, if they say so. */
bool evaluate_pass(Engine *e, const Dataset *d, const LoaderSpec *spec, int64_t epoch, Mode mode, Tally *t,
                   const char **why);

/* The metric that selects, between the 2.5 % and the 97.5 % of its values for `resamples` drawings of as many rows with
 * replacement (percentile bootstrap; Efron, Tibshirani 1993, chapter 13). Drawings where it is undefined do not count; NaN
 * if there is no other. Returns 0 or why not (memory). */
const char *evaluate_bootstrap(Arena scratch, const Tally *t, int64_t resamples, uint64_t seed, double interval[2]);

/* The health check: the loss of the same samples, by batch statistics and by running ones. Far apart, the running
 * statistics do not describe the net, and what it scores says nothing. */
typedef struct {
    int64_t count;
    double train_mode, eval_mode; /* losses */
} Health;
enum { HEALTH_SAMPLES = 256 };
const char *evaluate_health(Engine *e, const Dataset *d, Split split, int64_t batch, Arena scratch, Health *out);
/* What to tell the user, or 0 if all is well. */
const char *health_warning(Arena *a, const Health *h);

/* Counts of (true class, predicted class), (outputs, outputs); 0 where the task has no classes or too many. */
double *evaluate_confusion(Arena *perm, const Tally *t);
/* The trivial predictor of the task on the same rows. */
int64_t evaluate_trivial(const Dataset *d, const Tally *t, Metric *m, int64_t room);
/* Fills in what a record says of t: metrics, with those of the trivial predictor, the confusion, the numbers of every
 * output; if `resamples`, also "<metric>_low" and "<metric>_high" of evaluate_bootstrap(). Returns 0 or why not. */
const char *evaluate_record(Arena *perm, Arena scratch, const Dataset *d, Split split, const Tally *t,
                            int64_t resamples, uint64_t seed, Evaluation *r);
#endif
