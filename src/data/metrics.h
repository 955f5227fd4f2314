/* metrics: how well answers fit targets, over all rows together and in double. One function a kind of task; data/task.h
 * chooses. Undefined values (an area under a curve where only one class occurs, a correlation with a constant) are NaN,
 * and a mean over classes or outputs is that of those where the value is defined.
 *
 * classes   loss               as trained: mean of -log p[label], weighted by the class weights if the data have them
 *           accuracy           the largest answer is the label's (the first of equal ones counts as largest)
 *           top5               the label is among the five largest (from six classes on)
 *           balanced_accuracy  mean recall of the classes that occur
 *           macro_f1           mean F1 of the classes that occur or are predicted, as scikit-learn's
 *           log_loss           mean of -log p[label], if the loss is a weighted one
 *           weighted_log_loss  if the data have weights for it: sum w[j] L[j] / sum w[j], L[j] the mean of -log p[j] over
 *                              the samples of class j, p kept within 1e-15 … 1 - 1e-15; over the classes that occur. The
 *                              PLAsTiCC metric (Malz et al. 2019, arXiv:1809.11145)
 *           auroc              area under the ROC curve: of class 1 if there are two, else the mean of one against the rest
 *           average_precision  likewise
 *           ece                expected calibration error of the largest probability (measure.h)
 *           of each class: precision, recall, f1, auroc, average_precision; NaN where undefined; samples
 * labels    loss               as trained: mean binary cross-entropy over samples and outputs, positives weighted
 *           auroc, average_precision, macro_f1   mean over outputs (F1: of those that occur or are predicted)
 *           micro_f1           F1 of all outputs' decisions together; a label is predicted if its probability is above 0.5
 *           exact_match        fraction of samples with all labels right
 *           hamming_loss       fraction of decisions that are wrong
 *           log_loss           mean binary cross-entropy, if the loss is a weighted one
 *           ece                of the probability that the label is there, as if each decision were a sample
 *           of each output: as of each class
 * values    loss               as trained: regression ((answer - target) / target_sd)², tree (answer - target)²; means
 *           rmse, mae          in the targets' own unit, over samples and outputs; rmse is the Galaxy Challenge's metric
 *           r2                 1 - SSE/SST with both summed over outputs, for regression after division by target_sd², so
 *                              that every output counts in its own scale. SST = 0: 1 if SSE = 0, else 0
 *           pearson, spearman  mean over outputs of the correlation of answers and targets, and of their ranks
 *           of each output: rmse, mae, r2, pearson, spearman
 */
#ifndef NAS_METRICS_H
#define NAS_METRICS_H
#include "engine/graph.h"
#include "stream/record.h"

typedef struct {
    const DatasetInfo *info;
    LossKind loss;
    LossDetail detail;
    const float *logits;  /* (rows, outputs), or 0: */
    const double *same;   /* (outputs) the answer to every row, as metrics_answer() gives it */
    const float *targets; /* (rows, width) */
    int64_t rows;
    bool all; /* those too that need sorting */
} Rows;

typedef struct {
    Metric *item;
    int64_t count, room;
} MetricList;

enum { CLASS_COLUMNS = 6, VALUE_COLUMNS = 5 };
extern const char *const metrics_class_columns[CLASS_COLUMNS], *const metrics_value_columns[VALUE_COLUMNS];

/* What the metrics look at: logits of classes and labels, in the targets' own unit values and fractions. */
void metrics_answer(const Rows *r, int64_t row, double *answer);
/* each: (outputs, columns), or 0 if not wanted. */
void metrics_classes(const Rows *r, MetricList *out, double *each);
void metrics_labels(const Rows *r, MetricList *out, double *each);
void metrics_values(const Rows *r, MetricList *out, double *each);
/* Bytes that they take for so many rows, beside little things. */
int64_t metrics_bytes(int64_t rows, int64_t outputs);
#endif
