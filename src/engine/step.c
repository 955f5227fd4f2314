/* step: see step.h. */
#include "engine/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "engine/loss.h"

int64_t step_parts(const Graph *g, const Value *self, const Value **parts)
{
    const ValueInfo *info = &g->values[*self];
    bool concat = info->kind == VALUE_CONCAT;
    *parts = concat ? info->parts : self;
    return concat ? info->part_count : 1;
}

const char *step_taps(Arena *perm, const Op *op, KConv *k)
{
    const ConvSpec *spec = &op->conv;
    k->relu = spec->relu;
    k->depthwise = op->kind == OP_SEPCONV;
    k->stride_h = (int32_t)spec->stride_h, k->stride_w = (int32_t)spec->stride_w;
    if (spec->factorized) {
        k->taps = 2;
        k->tap_y[1] = k->stride_h > 1, k->tap_x[1] = k->stride_w > 1;
        return 0;
    }
    int64_t kw = spec->kernel_w, taps = spec->kernel_h * kw;
    if (taps > K_MAX_TAPS)
        return arena_printf(perm, "%s: a %lldx%lld kernel is too large", op->name, (long long)spec->kernel_h,
                            (long long)kw);
    k->taps = (int32_t)taps;
    for (int32_t t = 0; t < k->taps; t++) {
        k->tap_y[t] = (int32_t)(t / kw * spec->dilation_h - spec->pad_h);
        k->tap_x[t] = (int32_t)(t % kw * spec->dilation_w - spec->pad_w);
    }
    return 0;
}

void step_pool(const Graph *g, const Op *op, KPool *k)
{
    const ValueInfo *in = &g->values[op->input], *out = &g->values[op->output];
    const PoolSpec *s = &op->pool;
    k->in_h = (int32_t)in->height, k->in_w = (int32_t)in->width;
    k->out_h = (int32_t)out->height, k->out_w = (int32_t)out->width;
    k->average = s->kind == POOL_AVG;
    k->kernel_h = (int32_t)s->kernel_h, k->kernel_w = (int32_t)s->kernel_w;
    k->stride_h = (int32_t)s->stride_h, k->stride_w = (int32_t)s->stride_w;
    k->pad_h = (int32_t)s->pad_h, k->pad_w = (int32_t)s->pad_w;
    k->extra_h = s->kernel_h > 1 ? (int32_t)s->extra_pad_bottom_right : 0;
    k->extra_w = s->kernel_w > 1 ? (int32_t)s->extra_pad_bottom_right : 0;
}

bool step_term_on(uint8_t *const *mix_active, const Term *t)
{
    return t->table < 0 || mix_active[t->table][t->index];
}

void step_active(const Graph *g, const Plan *p, uint8_t *const *mix_active, bool *active)
{
    for (int32_t i = 0; i < g->op_count; i++)
        active[i] = g->ops[i].output == g->logits || g->ops[i].output == g->auxiliary;
    for (int32_t i = g->op_count - 1; i >= 0; i--) {
        if (!active[i] || p->group_of[i] < 0) continue;
        const Op *op = &g->ops[i];
        if (op->kind == OP_LEARNED) continue;
        if (op->kind == OP_MIX) {
            for (int32_t t = 0; t < op->mix.count; t++)
                if (step_term_on(mix_active, &op->mix.terms[t])) active[g->values[op->mix.terms[t].value].op] = true;
            continue;
        }
        const Value *parts;
        int64_t count = step_parts(g, &op->input, &parts);
        for (int64_t q = 0; q < count; q++) active[g->values[parts[q]].op] = true;
    }
}

void step_drop(double p, uint64_t seed, int64_t step, int32_t op, int32_t term, int64_t n, float *scale)
{
    uint64_t where = (uint64_t)op * 64 + (uint64_t)term;
    for (int64_t i = 0; i < n; i++) {
        uint64_t what = ((uint64_t)step << 20) + (uint64_t)i;
        scale[i] = rng_uniform(seed, RNG_DROP + (where << 8), what) >= p ? (float)(1 / (1 - p)) : 0;
    }
}

/* The sum of the eight bytes of a random number: close enough to normal and cheap. */
float step_noise(uint64_t seed, int64_t step, int32_t op, uint64_t element)
{
    const uint64_t even = 0x00FF00FF00FF00FF;
    uint64_t purpose = RNG_NOISE_VALUE + ((uint64_t)op << 8);
    uint64_t bytes = rng_u64(seed, purpose, ((uint64_t)step << 36) + element);
    uint64_t pairs = (bytes & even) + (bytes >> 8 & even);
    double sum = (double)(pairs * 0x0001000100010001 >> 48);
    return (float)((sum - 8 * 127.5) * (1 / 209.0215)); /* sqrt(8 (256² - 1) / 12) */
}

static double head_loss(const Graph *g, int64_t n, const float *targets, const StepHead *head, double factor)
{
    const int64_t outputs = g->outputs, width = loss_width(g->loss, &g->detail, outputs);
    double total = 0, over = 0;
    for (int64_t i = 0; i < n; i++) over += loss_share(g->loss, &g->detail, outputs, targets + i * width);
    for (int64_t i = 0; i < n; i++)
        total += loss_row(g->loss, &g->detail, outputs, head->logits + i * outputs, targets + i * width, over / factor,
                          head->grad + i * outputs);
    return factor * total / over;
}

double step_loss(const Graph *g, int64_t n, const float *targets, const StepHead *head, const StepHead *auxiliary)
{
    double loss = head_loss(g, n, targets, head, 1);
    return auxiliary ? loss + head_loss(g, n, targets, auxiliary, g->auxiliary_weight) : loss;
}

double step_clip(double norm, double most)
{
    double factor = most / (norm + 1e-6);
    return most > 0 && factor < 1 ? factor : 1;
}

KAdam step_adam(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, int64_t step,
                double grad_scale)
{
    double c1 = 1 - pow(beta1, (double)step), c2 = sqrt(1 - pow(beta2, (double)step));
    return (KAdam){.lr = (float)(lr * c2 / c1),
                   .beta1 = (float)beta1,
                   .beta2 = (float)beta2,
                   .eps = (float)(eps * c2),
                   .decay = (float)weight_decay,
                   .scale = (float)grad_scale,
                   .decoupled = decoupled,
                   .lr_plain = (float)lr};
}

static int32_t profile_row(StepProfile *p, const Graph *g, int32_t index)
{
    if (p->row_of[index]) return p->row_of[index] - 1;
    static const char *const kinds[] = {"input",  "conv",  "sepconv", "pool",   "mix",    "head",
                                        "select", "noise", "learned", "resize", "flatten"};
    const Op *op = &g->ops[index];
    const ValueInfo *out = &g->values[op->output];
    char name[64];
    if (op->kind == OP_CONV || op->kind == OP_SEPCONV) {
        const ConvSpec *c = &op->conv;
        snprintf(name, sizeof name, "%s %lldx%lld%s C%lld", c->factorized ? "factorized" : kinds[op->kind],
                 (long long)c->kernel_h, (long long)c->kernel_w, c->dilation_w > 1 ? " dilated" : "",
                 (long long)out->channels);
    } else if (op->kind == OP_POOL) {
        snprintf(name, sizeof name, "pool %s C%lld", op->pool.kind == POOL_MAX ? "max" : "avg",
                 (long long)out->channels);
    } else {
        snprintf(name, sizeof name, "%s C%lld", kinds[op->kind], (long long)out->channels);
    }
    int32_t row = 0;
    while (row < p->count && strcmp(p->row[row].op, name)) row++;
    if (row == COUNTOF(p->row)) row--; /* a net of more kinds lumps the rest together */
    if (row == p->count) p->row[p->count++].op = arena_strdup(g->perm, name);
    p->row_of[index] = row + 1;
    return row;
}

void step_profile(StepProfile *p, const Graph *g, int32_t op, int64_t n, bool backward, bool work, bool weights,
                  double seconds)
{
    EngineProfile *row = &p->row[profile_row(p, g, op)];
    row->calls += !backward;
    if (work) {
        int passes = backward && weights ? 2 : 1; /* gradients of the input and of the weights */
        row->flops += 2.0 * (double)g->ops[op].macs * (double)n * passes;
        row->bytes += (double)p->element * (double)(graph_traffic(g, op, backward) * n);
    }
    *(backward ? &row->backward : &row->forward) += seconds;
}
