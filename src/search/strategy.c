/* strategy: the parts, and the strategies made of them. */
#include "search/strategy.h"

#include <math.h>
#include <string.h>

#include "optim/adam.h"

/* ---- relaxations ---- */

static void softmax_mix(const double *raw, int64_t n, double *weight)
{
    double most = raw[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = fmax(most, raw[i]);
    for (int64_t i = 0; i < n; i++) sum += weight[i] = exp(raw[i] - most);
    for (int64_t i = 0; i < n; i++) weight[i] /= sum;
}

static void softmax_pull_back(const double *weight, const double *weight_grad, int64_t n, double *grad)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += weight[i] * weight_grad[i];
    for (int64_t i = 0; i < n; i++) grad[i] = weight[i] * (weight_grad[i] - mean);
}

static const Relaxation softmax = {"softmax", "the weights of an edge add up to one", softmax_mix, softmax_pull_back};

/* ---- gradients ---- */

static void first_order(const AlphaProblem *p, Arena scratch)
{
    engine_backward(p->engine, GRAD_MIX);
    int64_t n = p->arch->count / ARCH_TABLES;
    float *grad = NEW(&scratch, float, n);
    for (int32_t table = 0; table < ARCH_TABLES; table++) {
        engine_get_mix_grad(p->engine, table, grad);
        for (int64_t i = 0; i < n; i++) p->arch->weight_grad[table * n + i] = (double)grad[i];
    }
}

static const AlphaGradient gradient_first = {"first-order", "the weights are taken as they are", first_order};

/* ---- regularisers ---- */

static void l2_add(const Arch *a, const AlphaSettings *s, double *grad)
{
    for (int64_t i = 0; i < a->count; i++) grad[i] += s->weight_decay * a->raw[i];
}

static const Regulariser l2 = {"l2", "weight decay", l2_add};

/* ---- updates ---- */

static void adam_update(Arch *a, const AlphaSettings *s)
{
    AdamSettings settings = {.lr = s->lr, .beta1 = s->beta1, .beta2 = s->beta2, .eps = 1e-8};
    adam_step(&settings, ++a->step, a->count, a->grad, a->moment1, a->moment2, a->raw);
}

static const AlphaUpdate adam = {"adam", "Adam", adam_update};

/* ---- strategies ---- */

const Strategy strategy_table[] = {
    {"darts1", "Liu, Simonyan, Yang 2019", &softmax, &gradient_first, &l2, &adam},
};
const int64_t strategy_count = COUNTOF(strategy_table);

const Strategy *strategy_find(const char *name)
{
    for (int64_t i = 0; i < strategy_count; i++)
        if (!strcmp(strategy_table[i].name, name)) return &strategy_table[i];
    return 0;
}

const char *strategy_parts(Arena *a, const Strategy *s)
{
    return arena_printf(a, "%s + %s + %s + %s", s->relaxation->name, s->gradient->name, s->regulariser->name,
                        s->update->name);
}

void strategy_mix(const Strategy *s, Arch *a, Engine *e, Arena scratch)
{
    for (int64_t row = 0; row < a->count; row += a->ops) s->relaxation->mix(a->raw + row, a->ops, a->weight + row);
    int64_t n = a->count / ARCH_TABLES;
    float *weight = NEW(&scratch, float, n);
    for (int32_t table = 0; table < ARCH_TABLES; table++) {
        for (int64_t i = 0; i < n; i++) weight[i] = (float)a->weight[table * n + i];
        engine_set_mix(e, table, weight);
    }
}

void strategy_step(const Strategy *s, const AlphaProblem *p, const AlphaSettings *settings, Arena scratch)
{
    Arch *a = p->arch;
    s->gradient->find(p, scratch);
    for (int64_t row = 0; row < a->count; row += a->ops)
        s->relaxation->pull_back(a->weight + row, a->weight_grad + row, a->ops, a->grad + row);
    s->regulariser->add(a, settings, a->grad);
    s->update->step(a, settings);
    strategy_mix(s, a, p->engine, scratch);
}
