/* evaluate: a net on a whole split. */
#ifndef NAS_EVALUATE_H
#define NAS_EVALUATE_H
#include "train/tally.h"

/* Runs the first `limit` samples of a split (0: all) through the net, without augmentation, and leaves outputs and targets
 * in t (which was opened for as many rows). False: interrupted by a signal; *why (0 if not that) tells what failed. */
bool evaluate_split(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, Mode mode, Tally *t,
                    const char **why);

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
/* The numbers of every output, both predictors' (task_scores). */
ScoreTable *evaluate_scores(Arena *perm, const Dataset *d, const Tally *t, int64_t *count);
#endif
