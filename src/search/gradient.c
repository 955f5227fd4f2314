/* gradient: of the loss on the alpha split with respect to the mixing weights. */
#include <math.h>

#include "search/strategy.h"

static void take_mix_grad(const AlphaProblem *p, double *to, Arena scratch)
{
    int64_t n = p->arch->edges * p->arch->columns;
    float *grad = NEW(&scratch, float, n);
    for (int32_t table = 0; table < ARCH_TABLES; table++) {
        engine_get_mix_grad(p->engine, table, grad);
        for (int64_t i = 0; i < n; i++) to[table * n + i] = (double)grad[i];
    }
}

/* Both ways; returns the loss. */
static double pass(const AlphaProblem *p, Split split, GradWhat what)
{
    p->forward(p->context, split);
    engine_backward(p->engine, what);
    return p->loss(p->context);
}

static double first_order(const AlphaProblem *p, Arena scratch)
{
    double loss = pass(p, SPLIT_ALPHA, GRAD_MIX);
    take_mix_grad(p, p->arch->mixing_grad, scratch);
    return loss;
}

/* The gradient on the train batch at w + step * v, v in MOMENT2 and w in SAVED. */
static double train_grad_beside(const AlphaProblem *p, double step, double *to, Arena scratch)
{
    engine_copy(p->engine, BLOCK_WEIGHTS, BLOCK_SAVED);
    engine_axpy(p->engine, BLOCK_WEIGHTS, step, BLOCK_MOMENT2);
    double loss = pass(p, SPLIT_TRAIN, GRAD_MIX);
    take_mix_grad(p, to, scratch);
    return loss;
}

/* At w' = w - xi (mu m + grad L_train(w) + lambda w), the weights after the step to come (momentum mu, velocity m, weight
 * decay lambda):
 *
 *   d/dalpha L_alpha(w', alpha) - xi (d/dalpha L_train(w+, alpha) - d/dalpha L_train(w-, alpha)) / (2 eps)
 *
 * with w± = w ± eps v, v = grad_w' L_alpha(w', alpha), eps = 0.01 / |v|: equations 6 to 8 of the paper. */
static double second_order(const AlphaProblem *p, Arena scratch)
{
    Engine *e = p->engine;
    int64_t n = ARCH_TABLES * p->arch->edges * p->arch->columns;
    double *above = NEW(&scratch, double, n), *below = NEW(&scratch, double, n), *grad = p->arch->mixing_grad;
    engine_copy(e, BLOCK_STATS_SAVED, BLOCK_STATS);
    engine_copy(e, BLOCK_SAVED, BLOCK_WEIGHTS);
    double loss = pass(p, SPLIT_TRAIN, GRAD_WEIGHTS);
    if (isfinite(loss)) {
        engine_scale(e, BLOCK_WEIGHTS, 1 - p->rate * p->weight_decay);
        engine_axpy(e, BLOCK_WEIGHTS, -p->rate * p->momentum, BLOCK_MOMENT1);
        engine_axpy(e, BLOCK_WEIGHTS, -p->rate, BLOCK_GRAD);
        loss = pass(p, SPLIT_ALPHA, GRAD_ALL);
    }
    if (isfinite(loss)) {
        take_mix_grad(p, grad, scratch);
        engine_copy(e, BLOCK_MOMENT2, BLOCK_GRAD);
        double norm = engine_grad_norm(e), eps = norm > 0 ? 0.01 / norm : 0;
        if (eps > 0) {
            double beside = train_grad_beside(p, eps, above, scratch) + train_grad_beside(p, -eps, below, scratch);
            for (int64_t i = 0; i < n; i++) grad[i] -= p->rate * (above[i] - below[i]) / (2 * eps);
            if (!isfinite(beside)) loss = beside;
        }
    }
    engine_copy(e, BLOCK_WEIGHTS, BLOCK_SAVED);
    engine_copy(e, BLOCK_STATS, BLOCK_STATS_SAVED);
    return loss;
}

const AlphaGradient gradient_table[] = {
    {{"first-order", "the weights are taken as they are", "Liu, Simonyan, Yang 2019, arXiv:1806.09055"},
     .find = first_order},
    {{"second-order", "through the weight step to come: four passes more", "Liu, Simonyan, Yang 2019"},
     .blocks = 2,
     .find = second_order},
    {{"none", "the alphas do not learn", ""}},
};
const int64_t gradient_count = COUNTOF(gradient_table);
