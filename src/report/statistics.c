/* statistics: see statistics.h. The incomplete beta and gamma functions are summed by the series and continued fractions of
 * the NIST Digital Library of Mathematical Functions, 8.7.1, 8.9.2 and 8.17.22, the fractions by the method of Lentz. */
#include "report/statistics.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_TERMS = 10000 };

Sample statistics_of(const double *x, int64_t n)
{
    Sample s = {.n = n, .mean = NAN, .sd = NAN, .least = NAN, .most = NAN};
    if (n < 1) return s;
    double sum = 0, squares = 0;
    s.least = s.most = x[0];
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        s.least = fmin(s.least, x[i]);
        s.most = fmax(s.most, x[i]);
    }
    s.mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - s.mean) * (x[i] - s.mean);
    if (n > 1) s.sd = sqrt(squares / (double)(n - 1));
    return s;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void statistics_sort(double *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
}

double statistics_quantile(const double *sorted, int64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const int64_t i = (int64_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static double away_from_0(double x)
{
    return fabs(x) < 1e-300 ? 1e-300 : x;
}

/* The regularised incomplete beta function I_x(a, b). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / away_from_0(1 - (a + b) * x / (a + 1)), f = d;
    for (int m = 1; m < MOST_TERMS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / away_from_0(1 + even * d);
        c = away_from_0(1 + even / c);
        f *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_0(1 + odd * d);
        c = away_from_0(1 + odd / c);
        f *= d * c;
        if (fabs(d * c - 1) < 1e-15) break;
    }
    return f;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double statistics_t_tail(double t, double freedom)
{
    if (isnan(t) || !(freedom > 0)) return NAN;
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
}

double statistics_t_quantile(double p, double freedom)
{
    if (!(p > 0 && p < 1 && freedom > 0)) return NAN;
    double low = 0, high = 1;
    while (statistics_t_tail(high, freedom) > p && high < 1e12) high *= 2;
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        *(statistics_t_tail(middle, freedom) > p ? &low : &high) = middle;
    }
    return 0.5 * (low + high);
}

double statistics_chi2_tail(double x, double freedom)
{
    double a = freedom / 2;
    x /= 2;
    if (isnan(x) || !(a > 0)) return NAN;
    if (x <= 0) return 1;
    double front = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int k = 1; k < MOST_TERMS && term > sum * 1e-16; k++) sum += term *= x / (a + k);
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
    for (int k = 1; k < MOST_TERMS; k++) {
        double n = k * (a - k);
        b += 2;
        d = 1 / away_from_0(b + n * d);
        c = away_from_0(b + n / c);
        f *= d * c;
        if (fabs(d * c - 1) < 1e-15) break;
    }
    return front * f;
}

static void complete(Difference *d, double error)
{
    d->t = d->difference / error;
    d->p = statistics_t_tail(d->t, d->freedom);
    double half = error * statistics_t_quantile(0.05, d->freedom);
    d->low = d->difference - half;
    d->high = d->difference + half;
}

static double small_sample(double freedom)
{
    return 1 - 3 / (4 * freedom - 1);
}

Difference statistics_welch(const Sample *a, const Sample *b)
{
    Difference d = {a->mean - b->mean, NAN, NAN, NAN, NAN, NAN, NAN};
    double va = a->sd * a->sd / (double)a->n, vb = b->sd * b->sd / (double)b->n, error = sqrt(va + vb);
    if (!(error > 0)) return d;
    d.freedom = (va + vb) * (va + vb) / (va * va / (double)(a->n - 1) + vb * vb / (double)(b->n - 1));
    complete(&d, error);
    double df = (double)(a->n + b->n - 2);
    double pooled = sqrt(((double)(a->n - 1) * a->sd * a->sd + (double)(b->n - 1) * b->sd * b->sd) / df);
    d.effect = small_sample(df) * d.difference / pooled;
    return d;
}

Difference statistics_paired(const double *x, int64_t n)
{
    Sample s = statistics_of(x, n);
    Difference d = {s.mean, NAN, NAN, NAN, NAN, NAN, NAN};
    double error = s.sd / sqrt((double)n);
    if (!(error > 0)) return d;
    d.freedom = (double)(n - 1);
    complete(&d, error);
    d.effect = small_sample(d.freedom) * s.mean / s.sd;
    return d;
}
