/* measure: see measure.h. */
#include "data/measure.h"

#include <math.h>
#include <stdlib.h>

static int falling(const void *a, const void *b)
{
    double x = ((const Scored *)a)->score, y = ((const Scored *)b)->score;
    return (x < y) - (x > y);
}

void measure_ranking(Scored *s, int64_t n, double *area, double *average_precision)
{
    double positives = 0, above = 0 /* pairs */, precision = 0, right = 0;
    bool known = true;
    for (int64_t i = 0; i < n; i++) {
        positives += s[i].positive;
        known &= !isnan(s[i].score);
    }
    const double negatives = (double)n - positives;
    *area = *average_precision = NAN;
    if (!known || positives == 0) return;
    qsort(s, (size_t)n, sizeof *s, falling);
    for (int64_t first = 0, end; first < n; first = end) {
        double here = 0;
        for (end = first; end < n && s[end].score == s[first].score; end++) here += s[end].positive;
        double others = (double)(end - first) - here;
        above += others * (right + here / 2);
        right += here;
        precision += here / positives * (right / (double)end);
    }
    *average_precision = precision;
    if (negatives > 0) *area = above / (positives * negatives);
}

static int rising_at(const void *a, const void *b, void *values)
{
    const double *v = values, x = v[*(const int64_t *)a], y = v[*(const int64_t *)b];
    return (x > y) - (x < y);
}

void measure_ranks(double *x, int64_t *index, int64_t n)
{
    for (int64_t i = 0; i < n; i++) index[i] = i;
    qsort_r(index, (size_t)n, sizeof *index, rising_at, x);
    for (int64_t first = 0, end; first < n; first = end) {
        const double value = x[index[first]]; /* ranks go where values that were read already have stood */
        for (end = first + 1; end < n && x[index[end]] == value; end++) continue;
        for (int64_t i = first; i < end; i++) x[index[i]] = 0.5 * (double)(first + 1 + end);
    }
}

double measure_correlation(const double *x, const double *y, int64_t n)
{
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        mean_x += x[i] / (double)n;
        mean_y += y[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double a = x[i] - mean_x, b = y[i] - mean_y;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    /* what rounding leaves of a constant is none */
    if (!(xx > 1e-24 * mean_x * mean_x * (double)n) || !(yy > 1e-24 * mean_y * mean_y * (double)n)) return NAN;
    return xy / sqrt(xx * yy);
}

void measure_confidence(Calibration *c, double confidence, bool right)
{
    int64_t bin = confidence > 0 ? (int64_t)ceil(confidence * MEASURE_BINS) - 1 : 0; /* (0, 1/15], (1/15, 2/15] … */
    if (bin >= MEASURE_BINS) bin = MEASURE_BINS - 1;
    c->confidence[bin] += confidence;
    c->right[bin] += right;
    c->count[bin]++;
}

double measure_calibration(const Calibration *c)
{
    double off = 0, count = 0;
    for (int i = 0; i < MEASURE_BINS; i++) {
        off += fabs(c->right[i] - c->confidence[i]);
        count += c->count[i];
    }
    return count > 0 ? off / count : NAN;
}
