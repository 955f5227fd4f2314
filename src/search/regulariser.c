/* regulariser: what is added to the gradient of the alphas. */
#include <math.h>

#include "search/strategy.h"

/* strength/2 × sum of alpha²: weight decay */
static void l2_add(const Arch *a, const double *value, double progress, double *grad)
{
    (void)progress;
    for (int64_t i = 0; i < a->count; i++) grad[i] += value[0] * a->raw[i];
}

/* strength × sum of |alpha|, subgradient 0 at 0 */
static void l1_add(const Arch *a, const double *value, double progress, double *grad)
{
    (void)progress;
    for (int64_t i = 0; i < a->count; i++) grad[i] += value[0] * ((a->raw[i] > 0) - (a->raw[i] < 0));
}

/* strength × sum of (alpha² + delta²)^(p/2): |alpha|^p, but smooth within delta of 0, where for p < 1 its slope has no
 * bound */
static void lp_add(const Arch *a, const double *value, double progress, double *grad)
{
    const double delta = 1e-4, p = value[1];
    (void)progress;
    for (int64_t i = 0; i < a->count; i++)
        grad[i] += value[0] * p * a->raw[i] * pow(a->raw[i] * a->raw[i] + delta * delta, p / 2 - 1);
}

/* strength × progress × mean over the edges of a cell of log sum exp(alpha), whose gradient is the softmax */
static void beta_add(const Arch *a, const double *value, double progress, double *grad)
{
    for (int64_t i = 0; i < a->op_count; i++) grad[i] += value[0] * progress * a->weight[i] / (double)a->edges;
}

/* -strength × mean of (sigmoid(alpha) - 1/2)² */
static void zero_one_add(const Arch *a, const double *value, double progress, double *grad)
{
    (void)progress;
    for (int64_t i = 0; i < a->op_count; i++) {
        double w = a->weight[i];
        grad[i] -= value[0] * 2 * (w - 0.5) * w * (1 - w) / (double)a->op_count;
    }
}

#define STRENGTH(usual)                                                                                                \
    1, {usual}, {0},                                                                                                   \
    {                                                                                                                  \
        1e6                                                                                                            \
    }

const Regulariser regulariser_table[] = {
    {{"l2", "weight decay of this strength", "Liu, Simonyan, Yang 2019", STRENGTH(1e-3)}, .add = l2_add},
    {{"l1", "strength × sum of |alpha|", "", STRENGTH(1e-3)}, .add = l1_add},
    {{"lp", "strength × sum of |alpha|^P; STRENGTH:P", "", 2, {1e-3, 0.5}, {0, 0.01}, {1e6, 8}}, .add = lp_add},
    {{"beta-decay", "mean log sum exp(alpha) of an edge, from 0 to this strength over the epochs",
      "Ye et al. 2022, arXiv:2203.01665", STRENGTH(50)},
     .relaxation = "softmax",
     .add = beta_add},
    {{"zero-one", "pushes the weights to 0 or 1 with this strength", "Chu et al. 2020, arXiv:1911.12126", STRENGTH(10)},
     .relaxation = "sigmoid",
     .add = zero_one_add},
};
const int64_t regulariser_count = COUNTOF(regulariser_table);
