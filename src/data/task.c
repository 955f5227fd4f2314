/* task: losses, metrics and trivial predictors, all over a whole split and in double.
 *
 * classification  loss               mean cross-entropy, log(sum(exp(z))) - z[label]
 *                 accuracy           the largest logit is the label's (the first of equal ones counts as largest)
 *                 top5               the label is among the five largest (from six classes on)
 *                 balanced_accuracy  mean recall of the classes that occur
 *                 macro_f1           mean F1 of the classes that occur or are predicted, as scikit-learn's
 * regression      loss               mean over samples and outputs of ((prediction - target) / target_sd)², as trained
 *                 rmse, mae          in the targets' own unit, over samples and outputs
 *                 r2_0 … r2_7        1 - SSE/SST of one output, SST around the mean of these targets; from two
 *                                    outputs on
 *                 r2                 1 - SSE/SST with both summed over outputs after division by target_sd², so that
 *                                    every output counts in its own scale; for one output the usual R²
 *                 SST = 0: R² is 1 if SSE = 0, else 0.
 *
 * The trivial predictor answers the same to everything: class frequencies, or the mean, of the train split.
 */
#include "data/task.h"

#include <math.h>
#include <string.h>

enum { TOP = 5, R2_OUTPUTS = 8 };

static int64_t put(Metric *m, int64_t n, int64_t room, const char *name, double value)
{
    if (n < room) m[n++] = (Metric){.name = name, .split = "", .value = value};
    return n;
}

/* ---- classification ---- */

typedef struct { /* counts of one class */
    int64_t truth, predicted, right;
} ClassCount;

/* Rows of logits are `stride` floats apart; 0: the same row for every sample. */
static int64_t classify(const DatasetInfo *d, const float *logits, int64_t stride, const float *targets, int64_t rows,
                        Metric *m, int64_t room)
{
    const int64_t K = d->outputs;
    Arena whole = arena_reserve(K * (int64_t)sizeof(ClassCount) + 4096), a = whole;
    ClassCount *count = NEW(&a, ClassCount, K);
    int64_t right = 0, top = 0;
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *z = logits + r * stride;
        const int64_t label = (int64_t)targets[r];
        int64_t best = -1, above = 0; /* a row of NaN predicts nothing */
        double largest = -INFINITY, sum = 0;
        for (int64_t k = 0; k < K; k++) {
            if (best < 0 ? !isnan(z[k]) : z[k] > z[best]) best = k;
            if (!(z[k] <= largest)) largest = z[k];
            above += z[k] > z[label] || (z[k] == z[label] && k < label);
        }
        for (int64_t k = 0; k < K; k++) sum += exp(z[k] - largest);
        loss += log(sum) + largest - z[label];
        count[label].truth++;
        if (best >= 0) count[best].predicted++;
        if (best == label) count[label].right++, right++;
        top += !isnan(z[label]) && above < TOP;
    }
    double recall = 0, f1 = 0;
    int64_t occur = 0, either = 0;
    for (int64_t k = 0; k < K; k++) {
        const ClassCount *c = &count[k];
        if (c->truth) occur++, recall += (double)c->right / (double)c->truth;
        if (c->truth + c->predicted) either++, f1 += 2.0 * (double)c->right / (double)(c->truth + c->predicted);
    }
    arena_release(whole);
    if (rows < 1) return 0;
    int64_t n = put(m, 0, room, "loss", loss / (double)rows);
    n = put(m, n, room, "accuracy", (double)right / (double)rows);
    if (K > TOP) n = put(m, n, room, "top5", (double)top / (double)rows);
    n = put(m, n, room, "balanced_accuracy", recall / (double)occur);
    return put(m, n, room, "macro_f1", f1 / (double)either);
}

static int64_t class_metrics(const DatasetInfo *d, const float *logits, const float *targets, int64_t rows, Metric *m,
                             int64_t room)
{
    return classify(d, logits, d->outputs, targets, rows, m, room);
}

static int64_t class_trivial(const DatasetInfo *d, const float *train_targets, int64_t train_rows, const float *targets,
                             int64_t rows, Metric *m, int64_t room)
{
    Arena whole = arena_reserve(d->outputs * (int64_t)(sizeof(int64_t) + sizeof(float)) + 4096), a = whole;
    int64_t *count = NEW(&a, int64_t, d->outputs);
    float *logits = NEW(&a, float, d->outputs);
    for (int64_t r = 0; r < train_rows; r++) count[(int64_t)train_targets[r]]++;
    /* a class that train lacks gets half a sample: its loss is large, but finite */
    for (int64_t k = 0; k < d->outputs; k++) logits[k] = (float)log(count[k] ? (double)count[k] : 0.5);
    int64_t n = classify(d, logits, 0, targets, rows, m, room);
    arena_release(whole);
    return n;
}

static void class_predict(const DatasetInfo *d, float *logits, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++) {
        float *z = logits + r * d->outputs, largest = -INFINITY;
        double sum = 0;
        for (int64_t k = 0; k < d->outputs; k++)
            if (!(z[k] <= largest)) largest = z[k];
        for (int64_t k = 0; k < d->outputs; k++) sum += exp((double)z[k] - largest);
        for (int64_t k = 0; k < d->outputs; k++) z[k] = (float)(exp((double)z[k] - largest) / sum);
    }
}

/* ---- regression ---- */

static double r_squared(double sse, double sst)
{
    return sst > 0 ? 1 - sse / sst : sse > 0 ? 0 : 1;
}

/* Predictions in the targets' own unit are offset[k] + scale[k] * z; z is 0 for all samples when logits is 0. */
static int64_t regress(const DatasetInfo *d, const float *logits, const double *offset, const float *targets,
                       int64_t rows, Metric *m, int64_t room)
{
    static const char *const name[R2_OUTPUTS] = {"r2_0", "r2_1", "r2_2", "r2_3", "r2_4", "r2_5", "r2_6", "r2_7"};
    const int64_t K = d->outputs;
    double squares = 0, absolute = 0, scaled_sse = 0, scaled_sst = 0, each[R2_OUTPUTS] = {0};
    if (rows < 1) return 0;
    for (int64_t k = 0; k < K; k++) {
        double mean = 0, sse = 0, sst = 0, sd = d->target_sd[k];
        for (int64_t r = 0; r < rows; r++) mean += targets[r * K + k];
        mean /= (double)rows;
        for (int64_t r = 0; r < rows; r++) {
            double t = targets[r * K + k];
            double e = offset[k] + (logits ? sd * logits[r * K + k] : 0) - t;
            sse += e * e;
            sst += (t - mean) * (t - mean);
            absolute += fabs(e);
        }
        squares += sse;
        scaled_sse += sse / (sd * sd);
        scaled_sst += sst / (sd * sd);
        if (k < R2_OUTPUTS) each[k] = r_squared(sse, sst);
    }
    const double values = (double)rows * (double)K;
    int64_t n = put(m, 0, room, "loss", scaled_sse / values);
    n = put(m, n, room, "rmse", sqrt(squares / values));
    n = put(m, n, room, "mae", absolute / values);
    n = put(m, n, room, "r2", r_squared(scaled_sse, scaled_sst));
    for (int64_t k = 0; K > 1 && k < K && k < R2_OUTPUTS; k++) n = put(m, n, room, name[k], each[k]);
    return n;
}

static int64_t value_metrics(const DatasetInfo *d, const float *logits, const float *targets, int64_t rows, Metric *m,
                             int64_t room)
{
    return regress(d, logits, d->target_mean, targets, rows, m, room);
}

static int64_t value_trivial(const DatasetInfo *d, const float *train_targets, int64_t train_rows, const float *targets,
                             int64_t rows, Metric *m, int64_t room)
{
    Arena whole = arena_reserve(d->outputs * (int64_t)sizeof(double) + 4096), a = whole;
    double *mean = NEW(&a, double, d->outputs);
    for (int64_t r = 0; r < train_rows; r++)
        for (int64_t k = 0; k < d->outputs; k++) mean[k] += train_targets[r * d->outputs + k];
    for (int64_t k = 0; k < d->outputs; k++) mean[k] /= (double)(train_rows > 0 ? train_rows : 1);
    int64_t n = regress(d, 0, mean, targets, rows, m, room);
    arena_release(whole);
    return n;
}

static void value_predict(const DatasetInfo *d, float *logits, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < d->outputs; k++) {
            float *z = &logits[r * d->outputs + k];
            *z = (float)(d->target_mean[k] + d->target_sd[k] * *z);
        }
}

/* ---- the table ---- */

const Task task_table[] = {
    {"classification", LOSS_CROSS_ENTROPY, "accuracy", true, class_metrics, class_trivial, class_predict},
    {"regression", LOSS_MSE, "r2", true, value_metrics, value_trivial, value_predict},
};
const int64_t task_count = COUNTOF(task_table);

const Task *task_find(const char *name)
{
    for (int64_t i = 0; i < task_count; i++)
        if (!strcmp(task_table[i].name, name)) return &task_table[i];
    return 0;
}

void task_scale_targets(const DatasetInfo *d, const float *targets, int64_t rows, int64_t width, float *scaled)
{
    const Task *task = task_find(d->task);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < width; k++) {
            float t = targets[r * width + k];
            scaled[r * width + k] =
                task && task->loss == LOSS_MSE ? (float)((t - d->target_mean[k]) / d->target_sd[k]) : t;
        }
}
