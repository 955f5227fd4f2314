/* tally: gathers what a net gives for a sequence of batches, so that a metric is that of all their samples together and
 * never a mean over batches. */
#ifndef NAS_TALLY_H
#define NAS_TALLY_H
#include "data/dataset.h"
#include "data/task.h"
#include "engine/engine.h"

typedef struct {
    const DatasetInfo *info;
    const Task *task;
    int64_t width;  /* of the targets */
    float *logits;  /* (room, outputs) */
    float *targets; /* (room, width), in their own unit */
    float *scaled;  /* (batch, outputs): of the batch in the engine, as the loss wants them */
    /* So much of a class's or label's target is spread over all of them evenly, for the loss alone: 0 but in training
     * (Szegedy et al. 2016, arXiv:1512.00567, section 7). */
    double smoothing;
    int64_t rows, room;
    double loss; /* of the batch that was added last, when it is known */
    bool brief;  /* metrics that need sorting are left out, but for the one that selects */
} Tally;

enum { TALLY_METRICS = 32 }; /* room for the metrics of one split */

int64_t tally_bytes(const Dataset *d, int64_t room);
/* For `room` samples in batches of at most `batch`. Returns 0, or why not (memory). */
const char *tally_open(Arena *perm, const Dataset *d, const Task *task, int64_t room, int64_t batch, Tally *out);
void tally_reset(Tally *t);
/* Gives a batch to the engine, targets as the loss wants them: scaled, smoothed, mixed as the samples are. */
void tally_feed(const Tally *t, Engine *e, const Batch *b);
/* Adds the last forward pass of that batch, whose outputs may be on their way until tally_wait(). The targets of mixed
 * samples are the mixtures where these are numbers, else those of the larger part. */
void tally_add(Tally *t, Engine *e, const Batch *b);
/* Waits for what was added. Returns the mean loss of the last batch. */
double tally_wait(const Tally *t, Engine *e);
/* The task's metrics over all rows, "loss" among them, appended to m[*count…room). */
void tally_metrics(const Tally *t, const char *split, Metric *m, int64_t *count, int64_t room);
double tally_loss(const Tally *t);   /* the "loss" among them; NaN without rows */
double tally_recent(const Tally *t); /* the metric that selects, over the latest rows: for a progress line */
#endif
