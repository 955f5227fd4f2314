/* filter: what stands between the variables of an optimiser and the densities that carry load.
 *
 * Density filter (Bruns, Tortorelli 2001; Bourdin 2001): a mean over neighbours with weights max(0, 2 - distance), so a
 * stencil of 3x3 elements: 2 itself, 1 beside, 2 - sqrt 2 diagonally. Only designable elements take part and are counted,
 * so that a constant field stays what it is at every border. */
#ifndef NAS_FILTER_H
#define NAS_FILTER_H
#include "structure/problem.h"

typedef struct DensityFilter {
    int64_t W, H, count; /* count: designable elements */
    const uint8_t *mask; /* (H, W), the problem's */
    const double *scale; /* (H, W): 1 / the sum of an element's weights, 0 outside the mask */
} DensityFilter;

DensityFilter filter_make(Arena *perm, const Problem *p);
/* rho = F x, and out = F' g; all (H, W). What is outside the mask is ignored and becomes 0. Not in place. */
void filter_apply(const DensityFilter *f, const double *x, double *rho);
void filter_transpose(const DensityFilter *f, const double *g, double *out);
/* dV/dx of the volume V, the mean of the filtered x over the designable elements; V is linear: V = dV/dx . x. */
void filter_volume_gradient(const DensityFilter *f, double *out);

/* x = 1 / (1 + exp(-(z + b))) with the b for which the mean of x over the mask is `mean`, found by bisection; 0 outside the
 * mask. Returns b. NaN if a logit is not finite. */
double filter_sigmoid(const DensityFilter *f, const double *z, double mean, double *x);
/* dC/dz from g = dC/dx at that x: s_i (g_i - sum g_j s_j / sum s_j), s = x (1 - x); 0 outside the mask. In place allowed. */
void filter_sigmoid_gradient(const DensityFilter *f, const double *z, double b, const double *g, double *out);

/* The zero of an increasing function between lo and hi by halving, at most 64 times or until they are 1e-12 apart; the last
 * midpoint. */
double bisect(double lo, double hi, double (*residual)(void *context, double at), void *context);
#endif
