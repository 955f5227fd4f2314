/* task: what is to be predicted. One row a task: its loss (engine/loss.h; which is its head too), its metrics over a whole
 * split (data/metrics.h), its trivial predictor, which answers the same to every sample.
 *
 *   classification  one class of several; loss weighted by class_weight if the data have it; trivial: class frequencies
 *   regression      numbers, trained standardised; trivial: means
 *   multi-label     any of several labels, targets 0 or 1; class_weight is that of an output's positives; trivial: the
 *                   frequencies of the labels
 *   simulation      designs; a sample is a problem (data/problems.h), measured by a simulation instead of targets: here
 *                   are only its name and its metrics
 *   tree            answers to a tree of questions (data/tree.h), targets fractions; trivial: means, which obey the tree
 *
 * Frequencies and means are those of the train split.
 */
#ifndef NAS_TASK_H
#define NAS_TASK_H
#include "data/metrics.h"

typedef struct {
    const char *name;
    LossKind loss;
    const char *metric; /* the one that selects the best epoch, if the dataset names no other */
    void (*measure)(const Rows *r, MetricList *out, double *each);
    void (*prior)(const float *train_targets, int64_t train_rows, int64_t outputs, double *same);
    const char *each; /* what an output is: "class", "label", "output" */
    const char *const *columns;
    int64_t column_count;
    bool simulated; /* no targets: loss, measure, prior mean nothing */
} Task;

extern const Task task_table[];
extern const int64_t task_count;
const Task *task_find(const char *name); /* 0 if unknown */
const char *task_names(Arena *perm);     /* "classification, regression, …" */

typedef struct {
    const char *name;
    bool higher, percent; /* is more better; is it shown in percent */
    bool sorts;           /* only among all metrics */
    unsigned losses;      /* of the tasks that have it: 1 << LossKind, … */
} MetricInfo;
const MetricInfo *task_metric(const char *name); /* 0 if unknown */
/* The metric that selects: the dataset's own choice, weighted_log_loss if it has weights for that, else the task's. */
const MetricInfo *task_selects(const DatasetInfo *d);

/* Metrics of `rows` logits (rows, outputs) and targets (rows, width): "loss", the metric that selects, the others; at most
 * `room`, names are static. Those that need sorting only if `all`. Returns how many; none of no rows. */
int64_t task_metrics(const DatasetInfo *d, const float *logits, const float *targets, int64_t rows, bool all, Metric *m,
                     int64_t room);
/* The same of the trivial predictor. */
int64_t task_trivial(const DatasetInfo *d, const float *train_targets, int64_t train_rows, const float *targets,
                     int64_t rows, Metric *m, int64_t room);
/* The numbers of every class or output, of a tree of every question too, the trivial predictor's beside them if there are
 * training targets. */
ScoreTable *task_scores(Arena *perm, const DatasetInfo *d, const float *logits, const float *targets, int64_t rows,
                        const float *train_targets, int64_t train_rows, int64_t *count);
/* Turns logits into predictions in place: probabilities, targets in their own unit, fractions along the tree. */
void task_predict(const DatasetInfo *d, float *logits, int64_t rows);
/* The way back: logits that stand for these predictions, a probability or fraction of 0 being taken for 1e-30. */
void task_unpredict(const DatasetInfo *d, float *predictions, int64_t rows);
/* Regression targets are trained standardised: (t - target_mean) / target_sd. Fills `scaled`, which may be `targets`,
 * for the loss; for other tasks copies. */
void task_scale_targets(const DatasetInfo *d, const float *targets, int64_t rows, int64_t width, float *scaled);

/* What the loss needs, from the fields of a DatasetInfo or a Network record. Returns 0 or why they do not fit. */
const char *task_detail(Arena *perm, const Task *task, int64_t outputs, const double *class_weight, const char *tree,
                        LossDetail *out);
/* Sets d->tree, and the names of its outputs from it. Returns 0 or why it does not fit. */
const char *task_take_tree(Arena *perm, DatasetInfo *d, const char *text);
/* Why the fields of a dataset that are the task's do not fit together, or 0. */
const char *task_check(Arena *perm, const DatasetInfo *d);
/* Why targets (rows, width) are none, or 0; *row is the first bad one, *bad how many there are. `tolerance`: how far the
 * answers of a tree may be from what they should add up to. */
const char *task_check_targets(Arena *perm, const DatasetInfo *d, const float *targets, int64_t rows, double tolerance,
                               int64_t *row, int64_t *bad);
#endif
