/* task: what is to be predicted. One row a task: its loss, its metrics over a whole split, its trivial predictor. */
#ifndef NAS_TASK_H
#define NAS_TASK_H
#include "engine/graph.h"
#include "stream/record.h"

typedef struct {
    const char *name; /* "classification", "regression" */
    LossKind loss;
    const char *metric; /* the one that selects the best epoch */
    bool higher_is_better;
    /* Metrics of `rows` predictions over a whole split. logits (rows, outputs) as the net gives them; targets
     * (rows, target_width). Writes at most `room` metrics (names are static), returns how many. Double throughout. */
    int64_t (*metrics)(const DatasetInfo *d, const float *logits, const float *targets, int64_t rows, Metric *m,
                       int64_t room);
    /* Same metrics of the trivial predictor (class prior or mean of the train split) on these targets. */
    int64_t (*trivial)(const DatasetInfo *d, const float *train_targets, int64_t train_rows, const float *targets,
                       int64_t rows, Metric *m, int64_t room);
    /* Turns logits into predictions in place: probabilities, or targets in their own unit. */
    void (*predict)(const DatasetInfo *d, float *logits, int64_t rows);
} Task;

extern const Task task_table[];
extern const int64_t task_count;
const Task *task_find(const char *name); /* 0 if unknown */
/* Regression targets are trained standardised: (t - target_mean) / target_sd. Fills `scaled` for the loss; for other
 * tasks copies. */
void task_scale_targets(const DatasetInfo *d, const float *targets, int64_t rows, int64_t width, float *scaled);
#endif
