/* loss: see loss.h. */
#include "engine/loss.h"

#include <math.h>

static const double small = 1e-12; /* keeps a division by nothing away */

int64_t loss_width(LossKind kind, const LossDetail *d, int64_t outputs)
{
    return kind == LOSS_CROSS_ENTROPY && !(d && d->soft) ? 1 : outputs;
}

/* Of a class with all it weighs; of soft classes, what they weigh together. */
static double class_share(const LossDetail *d, int64_t outputs, const float *y)
{
    double sum = 0;
    if (!d->soft) return d->weight ? d->weight[(int64_t)y[0]] : 1;
    for (int64_t i = 0; i < outputs; i++) sum += (d->weight ? d->weight[i] : 1) * (double)y[i];
    return sum;
}

double loss_share(LossKind kind, const LossDetail *d, int64_t outputs, const float *y)
{
    if (kind == LOSS_LINEAR) return 1;
    return kind == LOSS_CROSS_ENTROPY ? class_share(d, outputs, y) : (double)outputs;
}

/* The largest of z and the sum of exp(z - largest). */
static double exp_sum(const float *z, int64_t n, double *largest)
{
    double most = (double)z[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        if ((double)z[i] > most) most = (double)z[i];
    for (int64_t i = 0; i < n; i++) sum += exp((double)z[i] - most);
    *largest = most;
    return sum;
}

static double cross_entropy(const LossDetail *d, int64_t outputs, const float *z, const float *y, double over,
                            float *grad)
{
    int64_t target = d->soft ? -1 : (int64_t)y[0];
    double most, sum = exp_sum(z, outputs, &most), share = class_share(d, outputs, y), total = 0;
    for (int64_t i = 0; i < outputs; i++) {
        double part = !d->soft ? (i == target) * share : (d->weight ? d->weight[i] : 1) * (double)y[i];
        if (part > 0) total += part * (log(sum) + most - (double)z[i]);
        if (grad) grad[i] = (float)((share * (exp((double)z[i] - most) / sum) - part) / over);
    }
    return total;
}

static double squares(int64_t outputs, const float *z, const float *y, double over, float *grad)
{
    double total = 0;
    for (int64_t i = 0; i < outputs; i++) {
        double e = (double)z[i] - (double)y[i];
        total += e * e;
        if (grad) grad[i] = (float)(2 * e / over);
    }
    return total;
}

static double linear(int64_t outputs, const float *z, const float *y, double over, float *grad)
{
    double total = 0;
    for (int64_t i = 0; i < outputs; i++) {
        total += (double)z[i] * (double)y[i];
        if (grad) grad[i] = (float)((double)y[i] / over);
    }
    return total;
}

double loss_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

double loss_sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double binary(const LossDetail *d, int64_t outputs, const float *z, const float *y, double over, float *grad)
{
    double total = 0;
    for (int64_t i = 0; i < outputs; i++) {
        double x = (double)z[i], t = (double)y[i], weight = d->weight ? d->weight[i] : 1;
        total += weight * t * loss_softplus(-x) + (1 - t) * loss_softplus(x);
        if (grad) grad[i] = (float)((loss_sigmoid(x) * (weight * t + 1 - t) - weight * t) / over);
    }
    return total;
}

/* ---- tree ---- */

/* Shares of 1 among the answers of a question; returns the sum that they were divided by, 0 for softmax. */
static double shares(bool divisive, const float *z, int64_t n, double *q)
{
    double most, sum = 0;
    if (!divisive) {
        sum = exp_sum(z, n, &most);
        for (int64_t i = 0; i < n; i++) q[i] = exp((double)z[i] - most) / sum;
        return 0;
    }
    for (int64_t i = 0; i < n; i++) sum += q[i] = z[i] <= 0 ? 0 : (double)z[i]; /* a NaN stays one */
    for (int64_t i = 0; i < n; i++) q[i] /= sum + small;
    return sum + small;
}

/* The gradient of shares(): g with respect to q, on return with respect to z. */
static void shares_backward(bool divisive, const float *z, int64_t n, const double *q, double sum, double *g)
{
    double inner = 0;
    for (int64_t i = 0; i < n; i++) inner += g[i] * q[i];
    if (divisive && sum <= small) return; /* see loss.h */
    for (int64_t i = 0; i < n; i++) {
        double scale = !divisive ? q[i] : z[i] > 0 ? 1 / sum : 0;
        g[i] = scale * (g[i] - inner);
    }
}

static double leading(const Question *k, const double *p)
{
    return k->parent < 0 ? 1 : p[k->parent];
}

static double tree(const LossDetail *d, int64_t outputs, const float *z, const float *y, double over, float *grad)
{
    double q[TREE_MAX_OUTPUTS], p[TREE_MAX_OUTPUTS], g[TREE_MAX_OUTPUTS], sum[TREE_MAX_OUTPUTS], total = 0;
    for (int32_t k = 0; k < d->questions; k++) {
        const Question *question = &d->question[k];
        const int64_t first = question->first, n = question->count;
        sum[k] = shares(d->divisive, z + first, n, q + first);
        for (int64_t i = first; i < first + n; i++) p[i] = leading(question, p) * q[i];
    }
    for (int64_t i = 0; i < outputs; i++) {
        double e = p[i] - (double)y[i];
        total += e * e;
        g[i] = 2 * e;
    }
    for (int32_t k = d->questions; grad && k-- > 0;) { /* a question is done before the answer that leads to it */
        const Question *question = &d->question[k];
        const int64_t first = question->first, n = question->count;
        double above = leading(question, p), inner = 0;
        for (int64_t i = first; i < first + n; i++) {
            inner += g[i] * q[i];
            g[i] *= above;
        }
        if (question->parent >= 0) g[question->parent] += inner;
        shares_backward(d->divisive, z + first, n, q + first, sum[k], g + first);
        for (int64_t i = first; i < first + n; i++) grad[i] = (float)(g[i] / over);
    }
    return total;
}

/* ---- any ---- */

double loss_row(LossKind kind, const LossDetail *d, int64_t outputs, const float *z, const float *y, double over,
                float *grad)
{
    switch (kind) {
    case LOSS_CROSS_ENTROPY: return cross_entropy(d, outputs, z, y, over, grad);
    case LOSS_BINARY: return binary(d, outputs, z, y, over, grad);
    case LOSS_TREE: return tree(d, outputs, z, y, over, grad);
    case LOSS_LINEAR: return linear(outputs, z, y, over, grad);
    default: return squares(outputs, z, y, over, grad);
    }
}

void loss_predict(LossKind kind, const LossDetail *d, int64_t outputs, const float *z, double *p)
{
    if (kind == LOSS_CROSS_ENTROPY) shares(false, z, outputs, p);
    for (int64_t i = 0; (kind == LOSS_MSE || kind == LOSS_LINEAR) && i < outputs; i++) p[i] = (double)z[i];
    for (int64_t i = 0; kind == LOSS_BINARY && i < outputs; i++) p[i] = loss_sigmoid((double)z[i]);
    for (int32_t k = 0; kind == LOSS_TREE && k < d->questions; k++) {
        const Question *question = &d->question[k];
        shares(d->divisive, z + question->first, question->count, p + question->first);
        double above = leading(question, p);
        for (int64_t i = 0; i < question->count; i++) p[question->first + i] *= above;
    }
}
