/* filter: the cone filter as a 3x3 stencil; the sigmoid of exact mean. */
#include "structure/filter.h"

#include <math.h>

/* sum of weight × value over the designable neighbours of (r, c), itself included; `scaled`: value × its own scale. */
static double gather(const DensityFilter *f, const double *value, bool scaled, int64_t r, int64_t c)
{
    static const double weight[3] = {2, 1, 2 - M_SQRT2}; /* by steps along the axes: 0, 1 or 2 */
    double sum = 0;
    for (int64_t i = r > 0 ? r - 1 : 0; i <= r + 1 && i < f->H; i++)
        for (int64_t j = c > 0 ? c - 1 : 0; j <= c + 1 && j < f->W; j++) {
            const int64_t k = i * f->W + j;
            if (f->mask[k]) sum += weight[(i != r) + (j != c)] * (value ? value[k] : 1) * (scaled ? f->scale[k] : 1);
        }
    return sum;
}

DensityFilter filter_make(Arena *perm, const Problem *p)
{
    DensityFilter f = {.W = p->W, .H = p->H, .count = problem_designable(p), .mask = p->mask};
    double *scale = NEW(perm, double, p->W * p->H);
    for (int64_t k = 0; k < f.W * f.H; k++)
        if (f.mask[k]) scale[k] = 1 / gather(&f, 0, false, k / f.W, k % f.W);
    f.scale = scale;
    return f;
}

void filter_apply(const DensityFilter *f, const double *x, double *rho)
{
    for (int64_t k = 0; k < f->W * f->H; k++)
        rho[k] = f->mask[k] ? gather(f, x, false, k / f->W, k % f->W) * f->scale[k] : 0;
}

void filter_transpose(const DensityFilter *f, const double *g, double *out)
{
    for (int64_t k = 0; k < f->W * f->H; k++) out[k] = f->mask[k] ? gather(f, g, true, k / f->W, k % f->W) : 0;
}

void filter_volume_gradient(const DensityFilter *f, double *out)
{
    for (int64_t k = 0; k < f->W * f->H; k++)
        out[k] = f->mask[k] ? gather(f, 0, true, k / f->W, k % f->W) / (double)f->count : 0;
}

double bisect(double lo, double hi, double (*residual)(void *context, double at), void *context)
{
    double at = lo;
    for (int round = 0; round < 64; round++) {
        at = (lo + hi) / 2;
        if (hi - lo < 1e-12) break;
        if (residual(context, at) > 0)
            hi = at;
        else
            lo = at;
    }
    return at;
}

static double sigmoid(double t)
{
    return 0.5 + 0.5 * tanh(t / 2);
}

typedef struct {
    const DensityFilter *f;
    const double *z;
    double mean;
} Shift;

static double surplus(void *context, double b)
{
    const Shift *s = context;
    double sum = 0;
    for (int64_t k = 0; k < s->f->W * s->f->H; k++)
        if (s->f->mask[k]) sum += sigmoid(s->z[k] + b);
    return sum / (double)s->f->count - s->mean;
}

double filter_sigmoid(const DensityFilter *f, const double *z, double mean, double *x)
{
    double least = INFINITY, most = -INFINITY;
    for (int64_t k = 0; k < f->W * f->H; k++) {
        if (!f->mask[k]) continue;
        if (!isfinite(z[k])) return NAN;
        least = fmin(least, z[k]);
        most = fmax(most, z[k]);
    }
    const double logit = log(mean) - log1p(-mean);
    Shift s = {f, z, mean};
    const double b = bisect(logit - most, logit - least, surplus, &s);
    for (int64_t k = 0; k < f->W * f->H; k++) x[k] = f->mask[k] ? sigmoid(z[k] + b) : 0;
    return b;
}

static double slope(double t)
{
    const double c = cosh(t / 2); /* infinite far out: a slope of 0 */
    return 1 / (4 * c * c);
}

void filter_sigmoid_gradient(const DensityFilter *f, const double *z, double b, const double *g, double *out)
{
    double weighted = 0, slopes = 0;
    for (int64_t k = 0; k < f->W * f->H; k++) {
        if (!f->mask[k]) continue;
        weighted += g[k] * slope(z[k] + b);
        slopes += slope(z[k] + b);
    }
    const double mean = slopes > 0 ? weighted / slopes : 0;
    for (int64_t k = 0; k < f->W * f->H; k++) out[k] = f->mask[k] ? slope(z[k] + b) * (g[k] - mean) : 0;
}
