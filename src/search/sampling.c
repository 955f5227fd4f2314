/* sampling: what the supernet computes with in one step in place of the weights. Draws are f(seed, step, kind of step,
 * alpha). */
#include <math.h>

#include "base/rng.h"
#include "search/strategy.h"

static double uniform(const Moment *m, int64_t index)
{
    uint64_t step = 2 * (uint64_t)m->step + (m->kind == STEP_ALPHAS);
    return rng_uniform(m->seed, RNG_NOISE, step << 20 | (uint64_t)index);
}

static void one_hot(const double *weight, int64_t n, double *drawn)
{
    int64_t best = 0;
    for (int64_t k = 0; k < n; k++) {
        if (weight[k] > weight[best]) best = k;
        drawn[k] = 0;
    }
    drawn[best] = 1;
}

/* Weights + U(-value, value), cut at 0 and brought back to the sum of one, while the network's weights are trained. The
 * authors' code does the same (xiangning-chen/SmoothDARTS, Random_alpha and clip). */
static void noise_draw(Arch *a, const Relaxation *r, const Moment *m, double value)
{
    (void)r;
    if (m->kind != STEP_WEIGHTS) return;
    for (int64_t i = 0; i < a->op_groups; i++) {
        ArchGroup g = a->group[i];
        double *to = a->drawn + g.start, sum = 0;
        for (int64_t k = 0; k < g.count; k++)
            sum += to[k] = fmax(0, a->weight[g.start + k] + value * (2 * uniform(m, g.start + k) - 1));
        for (int64_t k = 0; k < g.count; k++) to[k] = sum > 0 ? to[k] / sum : a->weight[g.start + k];
    }
}

/* One operation an edge: the largest of p = softmax((alpha + G) / tau), G = -log(-log U). Its weight is 1 forward, and p's
 * gradient is taken for it backward (straight-through); tau is the value. Validation takes the largest alpha. What is not
 * drawn is not computed and gets the gradient 0, as in the paper's equation; the authors' code adds the sum of the node's
 * gradient for it. */
static void gumbel_draw(Arch *a, const Relaxation *r, const Moment *m, double value)
{
    double noisy[SPACE_MAX_OPS];
    for (int64_t i = 0; i < a->op_groups; i++) {
        ArchGroup g = a->group[i];
        for (int64_t k = 0; k < g.count && m->kind != STEP_VALIDATION; k++) {
            double u = uniform(m, g.start + k);
            noisy[k] = (a->raw[g.start + k] - log(-log(u > 0 ? u : 0x1p-53))) / value;
        }
        if (m->kind != STEP_VALIDATION) r->mix(noisy, g.count, a->point + g.start);
        one_hot(a->point + g.start, g.count, a->drawn + g.start);
    }
    a->slope = 1 / value;
}

/* A random architecture of the space, edges included, as a random search draws it; its number is far from those of others
 * (strategy_start, rank.c, nas-derive). */
static void uniform_draw(Arch *a, const Relaxation *r, const Moment *m, double value)
{
    (void)r, (void)value;
    Genotype path = genotype_random(a->space, m->seed, (uint64_t)1 << 40 | (uint64_t)m->step);
    arch_one_hot(a, &path, a->drawn);
}

const Sampling sampling_table[] = {
    {{"all", "every operation, with its weight", ""}},
    {{"noise",
      "the weights are disturbed by noise of this amplitude, first epoch to last, when the network learns",
      "Chen, Hsieh 2020, arXiv:2002.05283",
      2,
      {0.03, 0.3},
      {0, 0},
      {1, 1}},
     .draw = noise_draw},
    {{"gumbel",
      "one operation an edge, drawn by Gumbel noise at this temperature, first epoch to last",
      "Dong, Yang 2019, arXiv:1910.04465",
      2,
      {10, 0.1},
      {0.001, 0.001},
      {1e6, 1e6}},
     .single_path = true,
     .draw = gumbel_draw},
    {{"uniform", "one architecture, drawn uniformly, edges included", "Li, Talwalkar 2019, arXiv:1902.07638"},
     .single_path = true,
     .draw = uniform_draw},
};
const int64_t sampling_count = COUNTOF(sampling_table);
