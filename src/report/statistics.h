/* statistics: of small samples, as verdicts need them. In double; NaN where a value is not defined. */
#ifndef NAS_STATISTICS_H
#define NAS_STATISTICS_H
#include <stdint.h>

typedef struct {
    int64_t n;
    double mean, sd; /* sd with n - 1; NaN for fewer than two */
    double least, most;
} Sample;
Sample statistics_of(const double *x, int64_t n);

typedef struct {                  /* of a difference of means, a - b */
    double difference, low, high; /* 95 % confidence interval */
    double t, freedom, p;         /* two-sided */
    double effect;                /* in pooled standard deviations, corrected for small samples (Hedges' g, 1981) */
} Difference;
/* Independent samples of unequal variances (Welch 1947). NaN where either has fewer than two values or both are
 * constant. */
Difference statistics_welch(const Sample *a, const Sample *b);
/* Pairs, d[i] = a[i] - b[i] (Student's paired test); the effect is in standard deviations of d. */
Difference statistics_paired(const double *d, int64_t n);

void statistics_sort(double *x, int64_t n); /* ascending */
/* The q-quantile of n >= 1 sorted values, interpolated between the two nearest (Hyndman and Fan 1996, definition 7). */
double statistics_quantile(const double *sorted, int64_t n, double q);

/* P(|T| > t) of Student's distribution; and the t for which it is p. */
double statistics_t_tail(double t, double freedom);
double statistics_t_quantile(double p, double freedom);
/* P(X > x) of the chi-squared distribution. */
double statistics_chi2_tail(double x, double freedom);
#endif
