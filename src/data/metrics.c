/* metrics: see metrics.h. */
#include "data/metrics.h"

#include <math.h>
#include <string.h>

#include "data/measure.h"
#include "engine/loss.h"

enum { TOP = 5 };

const char *const metrics_class_columns[CLASS_COLUMNS] = {"precision",         "recall", "f1", "auroc",
                                                          "average_precision", "samples"};
const char *const metrics_value_columns[VALUE_COLUMNS] = {"rmse", "mae", "r2", "pearson", "spearman"};

static void put(MetricList *l, const char *name, double value)
{
    if (l->count < l->room) l->item[l->count++] = (Metric){.name = name, .split = "", .value = value};
}

static double mean(double sum, int64_t count)
{
    return count > 0 ? sum / (double)count : NAN;
}

void metrics_answer(const Rows *r, int64_t row, double *answer)
{
    const int64_t K = r->info->outputs;
    if (!r->logits) {
        memcpy(answer, r->same, (size_t)K * sizeof *answer);
        return;
    }
    const float *z = r->logits + row * K;
    if (r->loss == LOSS_TREE) loss_predict(r->loss, &r->detail, K, z, answer);
    for (int64_t k = 0; r->loss != LOSS_TREE && k < K; k++) answer[k] = (double)z[k];
    for (int64_t k = 0; r->loss == LOSS_MSE && k < K; k++)
        answer[k] = r->info->target_mean[k] + r->info->target_sd[k] * answer[k];
}

int64_t metrics_bytes(int64_t rows, int64_t outputs)
{
    return rows * (outputs * (int64_t)sizeof(float) + 3 * (int64_t)sizeof(double));
}

static Arena room_for(const Rows *r)
{
    return arena_reserve(metrics_bytes(r->rows, r->info->outputs) + 256 * (r->info->outputs + 64));
}

/* ---- classes and labels ---- */

typedef struct { /* of one class or label */
    double truth, predicted, right;
} Count;

static double f1_of(const Count *c)
{
    return c->truth + c->predicted > 0 ? 2 * c->right / (c->truth + c->predicted) : NAN;
}

/* Areas and average precisions of outputs first … K-1; score (K, rows) as float. Puts their means and fills each. */
static void put_rankings(const Rows *r, Arena a, const float *score, int64_t first, MetricList *out, double *each)
{
    const int64_t K = r->info->outputs, rows = r->rows;
    Scored *s = NEW(&a, Scored, rows);
    double areas = 0, precisions = 0;
    int64_t with_area = 0, with_precision = 0;
    for (int64_t k = each ? 0 : first; k < K; k++) {
        for (int64_t i = 0; i < rows; i++) {
            bool positive = r->loss == LOSS_BINARY ? r->targets[i * K + k] > 0.5F : (int64_t)r->targets[i] == k;
            s[i] = (Scored){(double)score[k * rows + i], positive};
        }
        double area, precision;
        measure_ranking(s, rows, &area, &precision);
        if (each) each[k * CLASS_COLUMNS + 3] = area, each[k * CLASS_COLUMNS + 4] = precision;
        if (k < first) continue;
        if (!isnan(area)) with_area++, areas += area;
        if (!isnan(precision)) with_precision++, precisions += precision;
    }
    put(out, "auroc", mean(areas, with_area));
    put(out, "average_precision", mean(precisions, with_precision));
}

static void put_each(const Count *count, int64_t K, double *each)
{
    for (int64_t k = 0; each && k < K; k++) {
        double *to = each + k * CLASS_COLUMNS;
        to[0] = count[k].predicted > 0 ? count[k].right / count[k].predicted : NAN;
        to[1] = count[k].truth > 0 ? count[k].right / count[k].truth : NAN;
        to[2] = f1_of(&count[k]);
        to[3] = to[4] = NAN;
        to[5] = count[k].truth;
    }
}

void metrics_classes(const Rows *r, MetricList *out, double *each)
{
    static const double least = 1e-15;
    const int64_t K = r->info->outputs, rows = r->rows;
    const double *weight = r->detail.weight, *importance = r->info->metric_weight;
    Arena whole = room_for(r), a = whole;
    Count *count = NEW(&a, Count, K);
    double *z = NEW(&a, double, K), *class_loss = NEW(&a, double, K);
    float *score = r->all ? NEW(&a, float, K *rows) : 0;
    double right = 0, top = 0, loss = 0, weighted = 0, weights = 0;
    Calibration calibration = {0};
    for (int64_t i = 0; i < rows; i++) {
        const int64_t label = (int64_t)r->targets[i];
        int64_t best = -1, above = 0; /* a row of NaN predicts nothing */
        double largest = -INFINITY, sum = 0;
        metrics_answer(r, i, z);
        for (int64_t k = 0; k < K; k++) {
            if (best < 0 ? !isnan(z[k]) : z[k] > z[best]) best = k;
            if (!(z[k] <= largest)) largest = z[k];
            above += z[k] > z[label] || (z[k] == z[label] && k < label);
        }
        for (int64_t k = 0; k < K; k++) sum += exp(z[k] - largest);
        const double own = log(sum) + largest - z[label], w = weight ? weight[label] : 1;
        loss += own;
        weighted += w * own;
        weights += w;
        class_loss[label] -= log(fmin(fmax(exp(-own), least), 1 - least)) + (isnan(own) ? NAN : 0);
        count[label].truth++;
        if (best >= 0) count[best].predicted++;
        if (best == label) count[label].right++, right++;
        top += !isnan(z[label]) && above < TOP;
        measure_confidence(&calibration, best < 0 ? NAN : exp(z[best] - largest) / sum, best == label);
        for (int64_t k = 0; score && k < K; k++) score[k * rows + i] = (float)(z[k] - largest - log(sum));
    }
    double recall = 0, f1 = 0, total = 0, importances = 0;
    int64_t occur = 0, either = 0;
    for (int64_t k = 0; k < K; k++) {
        const Count *c = &count[k];
        if (c->truth + c->predicted > 0) either++, f1 += f1_of(c);
        if (c->truth == 0) continue;
        occur++;
        recall += c->right / c->truth;
        double w = importance ? importance[k] : 1;
        total += w * class_loss[k] / c->truth;
        importances += w;
    }
    put_each(count, K, each);
    put(out, "loss", weighted / weights);
    put(out, "accuracy", right / (double)rows);
    if (K > TOP) put(out, "top5", top / (double)rows);
    put(out, "balanced_accuracy", mean(recall, occur));
    put(out, "macro_f1", mean(f1, either));
    if (weight) put(out, "log_loss", loss / (double)rows);
    if (importance) put(out, "weighted_log_loss", total / importances);
    if (score) put_rankings(r, a, score, K == 2 ? 1 : 0, out, each);
    put(out, "ece", measure_calibration(&calibration));
    arena_release(whole);
}

void metrics_labels(const Rows *r, MetricList *out, double *each)
{
    const int64_t K = r->info->outputs, rows = r->rows;
    const double *weight = r->detail.weight;
    Arena whole = room_for(r), a = whole;
    Count *count = NEW(&a, Count, K), all = {0};
    double *z = NEW(&a, double, K), loss = 0, weighted = 0, wrong = 0, exact = 0, f1 = 0;
    float *score = r->all ? NEW(&a, float, K *rows) : 0;
    Calibration calibration = {0};
    for (int64_t i = 0; i < rows; i++) {
        int64_t errors = 0;
        metrics_answer(r, i, z);
        for (int64_t k = 0; k < K; k++) {
            bool truth = r->targets[i * K + k] > 0.5F, predicted = z[k] > 0;
            double own = loss_softplus(truth ? -z[k] : z[k]);
            loss += own;
            weighted += (truth && weight ? weight[k] : 1) * own;
            count[k].truth += truth;
            count[k].predicted += predicted;
            count[k].right += truth && predicted;
            errors += truth != predicted || isnan(z[k]);
            measure_confidence(&calibration, loss_sigmoid(z[k]), truth);
            if (score) score[k * rows + i] = (float)z[k];
        }
        wrong += (double)errors;
        exact += errors == 0;
    }
    int64_t either = 0;
    for (int64_t k = 0; k < K; k++) {
        const Count *c = &count[k];
        all.truth += c->truth, all.predicted += c->predicted, all.right += c->right;
        if (c->truth + c->predicted > 0) either++, f1 += f1_of(c);
    }
    put_each(count, K, each);
    const double decisions = (double)rows * (double)K;
    put(out, "loss", weighted / decisions);
    if (score) put_rankings(r, a, score, 0, out, each);
    put(out, "macro_f1", mean(f1, either));
    put(out, "micro_f1", f1_of(&all));
    put(out, "exact_match", exact / (double)rows);
    put(out, "hamming_loss", wrong / decisions);
    if (weight) put(out, "log_loss", loss / decisions);
    put(out, "ece", measure_calibration(&calibration));
    arena_release(whole);
}

/* ---- values ---- */

static double r_squared(double sse, double sst)
{
    return sst > 0 ? 1 - sse / sst : sse > 0 ? 0 : sse == 0 ? 1 : NAN;
}

/* Correlations of each output; answer (K, rows). */
static void put_correlations(const Rows *r, Arena a, const float *answer, MetricList *out, double *each)
{
    const int64_t K = r->info->outputs, rows = r->rows;
    double *x = NEW(&a, double, rows), *y = NEW(&a, double, rows), sum[2] = {0};
    int64_t *index = NEW(&a, int64_t, rows), defined[2] = {0};
    for (int64_t k = 0; k < K; k++) {
        for (int64_t i = 0; i < rows; i++) {
            x[i] = (double)answer[k * rows + i];
            y[i] = (double)r->targets[i * K + k];
        }
        double found[2] = {measure_correlation(x, y, rows), NAN};
        if (!isnan(found[0])) {
            measure_ranks(x, index, rows);
            measure_ranks(y, index, rows);
            found[1] = measure_correlation(x, y, rows);
        }
        for (int c = 0; c < 2; c++) {
            if (each) each[k * VALUE_COLUMNS + 3 + c] = found[c];
            if (!isnan(found[c])) defined[c]++, sum[c] += found[c];
        }
    }
    put(out, "pearson", mean(sum[0], defined[0]));
    put(out, "spearman", mean(sum[1], defined[1]));
}

void metrics_values(const Rows *r, MetricList *out, double *each)
{
    typedef struct {
        double mean, sse, sst, absolute;
    } Sums;
    const int64_t K = r->info->outputs, rows = r->rows;
    Arena whole = room_for(r), a = whole;
    Sums *sums = NEW(&a, Sums, K);
    double *p = NEW(&a, double, K);
    float *answer = r->all ? NEW(&a, float, K *rows) : 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < K; k++) sums[k].mean += (double)r->targets[i * K + k] / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        metrics_answer(r, i, p);
        for (int64_t k = 0; k < K; k++) {
            Sums *s = &sums[k];
            double t = (double)r->targets[i * K + k], e = p[k] - t;
            s->sse += e * e;
            s->sst += (t - s->mean) * (t - s->mean);
            s->absolute += fabs(e);
            if (answer) answer[k * rows + i] = (float)p[k];
        }
    }
    double squares = 0, absolute = 0, scaled_sse = 0, scaled_sst = 0;
    for (int64_t k = 0; k < K; k++) {
        const Sums *s = &sums[k];
        double sd = r->loss == LOSS_MSE ? r->info->target_sd[k] : 1;
        squares += s->sse;
        absolute += s->absolute;
        scaled_sse += s->sse / (sd * sd);
        scaled_sst += s->sst / (sd * sd);
        if (!each) continue;
        double *to = each + k * VALUE_COLUMNS;
        to[0] = sqrt(s->sse / (double)rows);
        to[1] = s->absolute / (double)rows;
        to[2] = r_squared(s->sse, s->sst);
        to[3] = to[4] = NAN;
    }
    const double values = (double)rows * (double)K;
    put(out, "loss", scaled_sse / values);
    put(out, "rmse", sqrt(squares / values));
    put(out, "mae", absolute / values);
    put(out, "r2", r_squared(scaled_sse, scaled_sst));
    if (answer) put_correlations(r, a, answer, out, each);
    arena_release(whole);
}
