/* backend_host: runs a plan with a set of kernels (ref, or cpu of some instruction set) on a thread pool.
 *
 * A group of operations is one parallel region over `parts` runs of images; a part does all operations of the group on
 * its images, so what one writes the next finds in the cache, and gradients that several operations add to need no lock.
 * What a part sums up goes to its own slot. After the region the slots are added in order, in double, by one part per
 * operation: batch statistics forward; gradients of weights, mixing weights and normalisation backward. The number of
 * parts depends on the graph and the batch only, so the number of threads does not change a bit.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/backend.h"
#include "engine/loss.h"
#include "engine/step.h"

enum {
    MAX_PARTS = 16,        /* parts of a batch: enough for 16 threads, few enough for their sums to be cheap */
    LEAST_PARTS = 4,       /* even where the gradients of the weights are large */
    SLOT_BYTES = 64 << 20, /* the gradients of a group in all slots stay below, down to LEAST_PARTS */
    BLOCK_RUN = 1 << 14,   /* elements of a flat block per part */
    HUGE_PAGE = 2 << 20
};
static const double norm_epsilon = 1.0 / GRAPH_EPS_INV, norm_momentum = 0.1;

typedef struct { /* normalisation of one value: what its reader applies, and the coefficients of dy (kernels.h) */
    float *scale, *shift, *a, *b, *d;
    double *mean, *invstd;
} Norm;

typedef struct {
    KConv conv;
    KPool pool;
    KMix mix;
    KHead head;
    KSelect select;
    KLearned learned;
    KResize resize;
    KTerm *term, *live;  /* mix: of all terms; of the active ones, which the kernels see */
    int32_t *live_index; /* mix: which term a live one is */
    float **drop;        /* mix: per term the samples' scales, or 0 */
    int32_t *place_in;   /* conv: input channel -> block*lanes + lane; each part starts a block */
    int32_t in_channels, out_channels;
    double *sums;                          /* forward sums, MAX_PARTS slots */
    double *in_sums;                       /* conv that takes a raw value: MAX_PARTS slots */
    double *mix_grad;                      /* mix: per term, of the last backward pass */
    int64_t sum_count, dw_count, pw_count; /* elements of one slot */
} HostOp;

typedef struct {
    const Graph *g;
    const NasKernels *k;
    Pool *pool;
    Plan *plan;
    HostOp *op;
    bool *active; /* per operation */
    Norm *norm;   /* per value */
    bool forward_only, single_path;
    int64_t capacity; /* largest batch */
    int64_t n;        /* samples of the current batch */
    Mode mode;
    char *arena; /* of the plan */
    char *map;
    int64_t map_bytes, planned; /* of all; of what every step touches */
    float *block[BLOCK_COUNT];
    float **mix_weight, **mix_grad;
    uint8_t **mix_active;                    /* per table */
    float *targets, *g_logits, *g_auxiliary; /* the last: 0 unless there is such a head */
    char *scratch;
    int64_t scratch_bytes; /* per thread */
    char *slots;           /* gradients of the weights of one group, all slots */
    double loss, clip;     /* clip: what the next update scales its gradient by */
    bool weights_changed, has_targets;
    bool spent, diverged; /* spent: the backward pass has used up the forward pass's tensors */
    double drop_p;
    uint64_t drop_seed;
    int64_t drop_step;
    bool profiling;
    StepProfile profile;
    const char *device;
    /* the region in flight */
    int32_t step, group, only; /* only: one operation of the group, or -1 */
    bool again;                /* only operations that are computed again */
    int64_t parts;
    GradWhat what;
    const float *source;
} Host;

static int32_t blocks_of(int64_t channels, int lanes)
{
    return (int32_t)((channels + lanes - 1) / lanes);
}

static int64_t tensor_bytes(const ValueInfo *v, int64_t batch, const void *context)
{
    const NasKernels *k = context;
    return batch * blocks_of(v->channels, k->lanes) * k->lanes * v->height * v->width * (int64_t)sizeof(float);
}

/* ---- carving memory: the same code measures (base 0) and assigns ---- */

typedef struct {
    char *base;
    int64_t used;
} Carver;

static void *carve(Carver *c, int64_t bytes)
{
    void *p = c->base ? c->base + c->used : 0;
    c->used += (bytes + 63) / 64 * 64;
    return p;
}

/* ---- set-up ---- */

static float *data_of(const Host *h, Value v)
{
    return h->plan->data[v].bytes ? (float *)(void *)(h->arena + h->plan->data[v].offset) : 0;
}

static float *grad_of(const Host *h, Value v)
{
    return h->plan->grad[v].bytes ? (float *)(void *)(h->arena + h->plan->grad[v].offset) : 0;
}

/* The gradient that a raw or pooled value's producer starts from: its own, or that of the sum it is a term of. */
static void set_grad(Host *h, Value v, const float *g, bool relu)
{
    const Op *op = &h->g->ops[h->g->values[v].op];
    Norm *n = &h->norm[v];
    KGrad grad = {.g = g, .a = n->a, .b = n->b, .d = n->d}; /* sample_scale: with the masks of each step */
    if (relu) grad.mask_scale = n->scale, grad.mask_shift = n->shift;
    if (op->kind == OP_POOL)
        h->op[h->g->values[v].op].pool.grad = grad;
    else
        h->op[h->g->values[v].op].conv.grad = grad;
}

static const char *setup_conv(Host *h, Arena *perm, int32_t index)
{
    const Graph *g = h->g;
    const Op *op = &g->ops[index];
    HostOp *o = &h->op[index];
    KConv *k = &o->conv;
    const ValueInfo *in = &g->values[op->input], *out = &g->values[op->output];
    int lanes = h->k->lanes;
    bool sep = op->kind == OP_SEPCONV;
    const char *why = step_taps(perm, op, k);
    if (why) return why;
    const Value *parts;
    int64_t count = step_parts(g, &op->input, &parts);
    if (count > K_MAX_PARTS) return arena_printf(perm, "%s: more than %d tensors side by side", op->name, K_MAX_PARTS);
    k->parts = (int32_t)count;
    o->in_channels = (int32_t)in->channels, o->out_channels = (int32_t)out->channels;
    o->place_in = NEW(perm, int32_t, in->channels);
    int32_t channel = 0;
    for (int64_t p = 0; p < count; p++) {
        const ValueInfo *part = &g->values[parts[p]];
        k->part_blocks[p] = blocks_of(part->channels, lanes);
        for (int64_t c = 0; c < part->channels; c++) o->place_in[channel++] = k->in_blocks * lanes + (int32_t)c;
        k->in_blocks += k->part_blocks[p];
        k->x[p] = data_of(h, parts[p]);
    }
    int32_t *block_lanes = NEW(perm, int32_t, k->in_blocks);
    for (int32_t c = 0; c < o->in_channels; c++) block_lanes[o->place_in[c] / lanes] = o->place_in[c] % lanes + 1;
    k->block_lanes = block_lanes;
    k->in_h = (int32_t)in->height, k->in_w = (int32_t)in->width;
    k->out_blocks = blocks_of(out->channels, lanes);
    k->out_h = (int32_t)out->height, k->out_w = (int32_t)out->width;
    k->y = data_of(h, op->output);
    o->sum_count = 2 * (int64_t)k->out_blocks * lanes;
    o->dw_count = sep ? (int64_t)k->in_blocks * k->taps * lanes : 0;
    o->pw_count = (int64_t)k->out_blocks * k->in_blocks * lanes * lanes * (sep ? 1 : k->taps);
    k->winograd = h->k->conv_winograd(k);
    if (in->kind == VALUE_RAW) {
        k->in_scale = h->norm[op->input].scale;
        k->in_shift = h->norm[op->input].shift;
        if (!h->forward_only) set_grad(h, op->input, grad_of(h, op->input), false);
    }
    return 0;
}

static void setup_pool(Host *h, int32_t index)
{
    const Op *op = &h->g->ops[index];
    const ValueInfo *in = &h->g->values[op->input], *out = &h->g->values[op->output];
    HostOp *o = &h->op[index];
    KPool *k = &o->pool;
    step_pool(h->g, op, k);
    k->x = data_of(h, op->input);
    k->blocks = blocks_of(in->channels, h->k->lanes);
    o->out_channels = (int32_t)out->channels;
    o->sum_count = 2 * (int64_t)k->blocks * h->k->lanes;
}

static void setup_mix(Host *h, Arena *perm, Carver *c, int32_t index)
{
    const Op *op = &h->g->ops[index];
    const ValueInfo *out = &h->g->values[op->output];
    HostOp *o = &h->op[index];
    KMix *k = &o->mix;
    k->blocks = blocks_of(out->channels, h->k->lanes);
    k->height = (int32_t)out->height, k->width = (int32_t)out->width;
    k->out = data_of(h, op->output);
    k->g = grad_of(h, op->output);
    o->out_channels = (int32_t)out->channels;
    o->term = NEW(perm, KTerm, op->mix.count);
    o->live = NEW(perm, KTerm, op->mix.count);
    o->live_index = NEW(perm, int32_t, op->mix.count);
    o->drop = NEW(perm, float *, op->mix.count);
    o->mix_grad = NEW(perm, double, op->mix.count);
    o->sum_count = (1 + 2 * (int64_t)op->mix.count) * k->blocks * h->k->lanes;
    for (int32_t t = 0; t < op->mix.count; t++) {
        const Term *term = &op->mix.terms[t];
        if (term->drop) o->drop[t] = carve(c, h->capacity * (int64_t)sizeof(float));
        if (h->g->values[term->value].kind != VALUE_PLAIN && !h->forward_only)
            set_grad(h, term->value, k->g, term->relu);
    }
}

static void setup_head(Host *h, Carver *c, int32_t index)
{
    const Graph *g = h->g;
    const Op *op = &g->ops[index];
    const ValueInfo *in = &g->values[op->input];
    HostOp *o = &h->op[index];
    KHead *k = &o->head;
    const Value *parts;
    k->parts = (int32_t)step_parts(g, &op->input, &parts);
    for (int32_t p = 0; p < k->parts; p++) {
        k->part_channels[p] = (int32_t)g->values[parts[p]].channels;
        k->part_blocks[p] = blocks_of(g->values[parts[p]].channels, h->k->lanes);
        k->x[p] = data_of(h, parts[p]);
    }
    k->channels = (int32_t)in->channels;
    k->height = (int32_t)in->height, k->width = (int32_t)in->width;
    k->outputs = (int32_t)op->head.outputs;
    k->pooled = carve(c, h->capacity * in->channels * (int64_t)sizeof(float));
    k->logits = carve(c, h->capacity * op->head.outputs * (int64_t)sizeof(float));
    k->weight = h->block[BLOCK_WEIGHTS] ? h->block[BLOCK_WEIGHTS] + g->params[op->weight].offset : 0;
    k->bias = h->block[BLOCK_WEIGHTS] ? h->block[BLOCK_WEIGHTS] + g->params[op->weight2].offset : 0;
    k->g_logits = op->output == g->auxiliary ? h->g_auxiliary : h->g_logits;
    o->pw_count = op->head.outputs * in->channels + op->head.outputs;
}

static const char *setup_select(Host *h, Arena *perm, int32_t index)
{
    const Graph *g = h->g;
    const Op *op = &g->ops[index];
    const ValueInfo *out = &g->values[op->output];
    KSelect *k = &h->op[index].select;
    const Value *parts;
    int64_t count = step_parts(g, &op->input, &parts);
    if (count > K_MAX_PARTS) return arena_printf(perm, "%s: more than %d tensors side by side", op->name, K_MAX_PARTS);
    k->parts = (int32_t)count;
    k->channels = (int32_t)out->channels, k->blocks = blocks_of(out->channels, h->k->lanes);
    k->height = (int32_t)out->height, k->width = (int32_t)out->width;
    k->y = data_of(h, op->output), k->g = grad_of(h, op->output);
    int32_t *part = NEW(perm, int32_t, out->channels), *place = NEW(perm, int32_t, out->channels);
    for (int32_t p = 0, first = 0; p < k->parts; p++) {
        int32_t channels = (int32_t)g->values[parts[p]].channels;
        k->part_blocks[p] = blocks_of(channels, h->k->lanes);
        k->x[p] = data_of(h, parts[p]);
        for (int32_t c = 0; c < k->channels; c++)
            if (op->select[c] >= first && op->select[c] < first + channels)
                part[c] = p, place[c] = op->select[c] - first;
        first += channels;
    }
    k->part = part, k->place = place;
    return 0;
}

static void setup_learned(Host *h, int32_t index)
{
    const Graph *g = h->g;
    const Op *op = &g->ops[index];
    const ValueInfo *out = &g->values[op->output];
    KLearned *k = &h->op[index].learned;
    const float *w = h->block[BLOCK_WEIGHTS];
    k->latent = op->learned.latent;
    k->channels = (int32_t)out->channels, k->blocks = blocks_of(out->channels, h->k->lanes);
    k->pixels = (int32_t)(out->height * out->width);
    k->scale = (float)op->learned.scale;
    k->y = data_of(h, op->output), k->g = grad_of(h, op->output);
    h->op[index].pw_count = g->params[op->weight].count;
    if (w) k->bias = w + g->params[op->weight].offset;
    if (!k->latent) return;
    h->op[index].pw_count += g->params[op->weight2].count + k->latent;
    if (w) k->weight = w + g->params[op->weight2].offset, k->z = w + g->params[op->weight2 + 1].offset;
}

static void setup_resize(Host *h, Carver *c, int32_t index)
{
    const Op *op = &h->g->ops[index];
    const ValueInfo *in = &h->g->values[op->input];
    KResize *k = &h->op[index].resize;
    k->x = data_of(h, op->input);
    k->channels = (int32_t)in->channels, k->blocks = blocks_of(in->channels, h->k->lanes);
    k->in_h = (int32_t)in->height, k->in_w = (int32_t)in->width, k->factor = (int32_t)op->resize.factor;
    k->kind = op->resize.kind, k->tanh = op->resize.tanh, k->norm = op->resize.norm;
    k->y = data_of(h, op->output), k->g = grad_of(h, op->output);
    k->invstd = carve(c, h->capacity * (int64_t)sizeof(double));
}

/* Parts of the current batch in a group's backward pass (or, group -1, anywhere else). */
static int64_t group_parts(const Host *h, int64_t n, int32_t group)
{
    int64_t most = MAX_PARTS;
    if (group >= 0) {
        int64_t floats = 0;
        for (int32_t i = h->plan->group_start[group]; i < h->plan->group_start[group + 1]; i++)
            floats += h->op[h->plan->order[i]].dw_count + h->op[h->plan->order[i]].pw_count;
        while (most > LEAST_PARTS && floats * most * (int64_t)sizeof(float) > SLOT_BYTES) most--;
    }
    return n < most ? n : most;
}

/* Elements of all tensors of a sample in blocks of so many lanes. */
static int64_t padded_elements(const Graph *g, int lanes)
{
    int64_t sum = 0;
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *i = &g->values[v];
        if (i->kind != VALUE_PLAIN && i->kind != VALUE_RAW) continue;
        sum = size_add(sum, (int64_t)blocks_of(i->channels, lanes) * lanes * i->height * i->width);
    }
    return sum;
}

/* The best instruction set, with its widest blocks; narrower ones where a third of the wide ones would be padding: then
 * they are as fast, and the memory is the saving that partial channels promise. */
static const NasKernels *choose_kernels(const Graph *g, const char *device, const char **why)
{
    if (!strcmp(device, "ref")) return nas_kernels_ref();
    const char *isa = getenv("NAS_ISA");
    const NasKernels *k = nas_kernels_cpu(isa ? isa : "", 0), *narrow = isa && strchr(isa, '/') ? 0 : k;
    if (!k) *why = "NAS_ISA names no instruction set of this machine (v2, v3, v4; v4/8: of 8 lanes)";
    while (narrow && (narrow = nas_kernels_cpu(k->name, k->lanes / 2)))
        if (3 * padded_elements(g, narrow->lanes) < 2 * padded_elements(g, k->lanes))
            k = narrow;
        else
            break;
    return k;
}

static int64_t block_count(const Host *h, Block b)
{
    return b < BLOCK_WEIGHT_KINDS ? h->g->weight_count : h->g->stat_floats;
}

/* Blocks that every step touches; the others serve those who save, keep the best or run Adam. */
static bool block_in_use(const Host *h, Block b)
{
    return b == BLOCK_WEIGHTS || b == BLOCK_STATS || (!h->forward_only && (b == BLOCK_GRAD || b == BLOCK_MOMENT1));
}

/* All memory, laid out behind `c`. Called twice: to measure, then to assign. */
static const char *layout(Host *h, Arena *perm, Carver *c, int64_t *parts)
{
    const Graph *g = h->g;
    const NasKernels *k = h->k;
    int64_t f = sizeof(float), d = sizeof(double), start = c->used;
    h->arena = carve(c, h->plan->bytes);
    parts[0] = c->used - start, start = c->used;
    for (int b = 0; b < BLOCK_COUNT; b++)
        if (block_in_use(h, b)) h->block[b] = carve(c, block_count(h, b) * f);
    parts[1] = c->used - start, start = c->used;
    h->targets = carve(c, h->capacity * g->outputs * f);
    h->g_logits = carve(c, h->capacity * g->outputs * f);
    if (g->auxiliary >= 0 && !h->forward_only) h->g_auxiliary = carve(c, h->capacity * g->outputs * f);
    for (int32_t t = 0; t < g->table_count; t++) {
        h->mix_weight[t] = carve(c, g->tables[t].count * f);
        h->mix_grad[t] = carve(c, g->tables[t].count * f);
        h->mix_active[t] = carve(c, g->tables[t].count);
    }
    for (int32_t v = 0; v < g->value_count; v++) {
        const ValueInfo *info = &g->values[v];
        if (info->kind != VALUE_RAW && info->kind != VALUE_POOLED) continue;
        int64_t channels = (int64_t)blocks_of(info->channels, k->lanes) * k->lanes;
        Norm *n = &h->norm[v];
        float **all[] = {&n->scale, &n->shift, &n->a, &n->b, &n->d};
        for (int i = 0; i < 5; i++) *all[i] = carve(c, channels * f);
        n->mean = carve(c, channels * d);
        n->invstd = carve(c, channels * d);
    }
    for (int32_t i = 0; i < g->op_count; i++) {
        HostOp *o = &h->op[i];
        if (h->plan->group_of[i] < 0) continue;
        *o = (HostOp){.conv.grad = o->conv.grad, .pool.grad = o->pool.grad};
        const char *why = 0;
        switch (g->ops[i].kind) {
        case OP_CONV:
        case OP_SEPCONV: why = setup_conv(h, perm, i); break;
        case OP_POOL: setup_pool(h, i); break;
        case OP_MIX: setup_mix(h, perm, c, i); break;
        case OP_HEAD: setup_head(h, c, i); break;
        case OP_SELECT: why = setup_select(h, perm, i); break;
        case OP_LEARNED: setup_learned(h, i); break;
        case OP_RESIZE: setup_resize(h, c, i); break;
        case OP_FLATTEN: o->head.logits = carve(c, h->capacity * g->outputs * f); break;
        default: break;
        }
        if (why) return why;
        if (o->sum_count) o->sums = carve(c, MAX_PARTS * o->sum_count * d);
        if (g->ops[i].kind == OP_CONV || g->ops[i].kind == OP_SEPCONV) {
            o->conv.dw = carve(c, o->dw_count * f);
            int64_t packed = o->conv.winograd ? o->pw_count / 9 * 16 : o->pw_count;
            o->conv.pw = carve(c, packed * f);
            if (!h->forward_only) o->conv.pw_t = carve(c, packed * f);
            if (g->values[g->ops[i].input].kind == VALUE_RAW) {
                o->in_sums = carve(c, MAX_PARTS * 2 * (int64_t)o->conv.in_blocks * k->lanes * d);
                o->conv.in_sums = o->in_sums;
            }
        }
    }
    /* Terms point at their producers' tensors and pools. */
    for (int32_t i = 0; i < g->op_count; i++) {
        if (g->ops[i].kind != OP_MIX || h->plan->group_of[i] < 0) continue;
        HostOp *o = &h->op[i];
        int64_t channels = (int64_t)o->mix.blocks * k->lanes;
        for (int32_t t = 0; t < g->ops[i].mix.count; t++) {
            const Term *term = &g->ops[i].mix.terms[t];
            const ValueInfo *v = &g->values[term->value];
            KTerm *to = &o->term[t];
            if (v->kind == VALUE_POOLED)
                to->pool = &h->op[v->op].pool;
            else
                to->y = data_of(h, term->value);
            to->relu = term->relu;
            if (term->relu && v->kind != VALUE_PLAIN)
                to->relu_scale = h->norm[term->value].scale, to->relu_shift = h->norm[term->value].shift;
            to->scale = carve(c, channels * f);
            to->shift = carve(c, channels * f);
        }
        o->mix.term = o->term; /* all of them, while work areas are measured */
        o->mix.terms = g->ops[i].mix.count;
    }
    parts[2] = c->used - start, start = c->used;
    int64_t slots = 0;
    h->scratch_bytes = 0;
    for (int32_t group = 0; group < h->plan->groups; group++) {
        int64_t floats = 0;
        for (int32_t i = h->plan->group_start[group]; i < h->plan->group_start[group + 1]; i++) {
            HostOp *o = &h->op[h->plan->order[i]];
            int64_t need = 0;
            switch (g->ops[h->plan->order[i]].kind) {
            case OP_CONV:
            case OP_SEPCONV: need = k->conv_scratch(&o->conv); break;
            case OP_POOL: need = k->pool_scratch(&o->pool); break;
            case OP_MIX: need = k->mix_scratch(&o->mix); break;
            case OP_RESIZE: need = k->resize_scratch(&o->resize); break;
            default: break;
            }
            if (need > h->scratch_bytes) h->scratch_bytes = need;
            floats += o->dw_count + o->pw_count + 32; /* each rounded up to 64 bytes */
        }
        int64_t bytes = floats * f * group_parts(h, h->capacity, group);
        if (bytes > slots) slots = bytes;
    }
    h->scratch_bytes = (h->scratch_bytes + 4095) / 4096 * 4096 + 192; /* threads apart, not in the same cache sets */
    h->scratch = carve(c, h->scratch_bytes * pool_threads(h->pool));
    h->slots = h->forward_only ? 0 : carve(c, slots);
    parts[3] = c->used - start;
    h->planned = c->used;
    for (int b = 0; b < BLOCK_COUNT; b++) /* room in the address space, which costs nothing until it is touched */
        if (!block_in_use(h, b)) h->block[b] = carve(c, block_count(h, b) * f);
    return 0;
}

static Host *host_prepare(Arena *perm, Arena scratch, const Graph *g, const EngineOptions *o, const char *device,
                          Carver *c, int64_t *parts, const char **why)
{
    Host *h = NEW(perm, Host, 1);
    h->g = g;
    h->k = choose_kernels(g, device, why);
    if (!h->k) return 0;
    h->pool = o->pool;
    h->capacity = o->batch;
    h->clip = 1;
    h->forward_only = o->forward_only;
    h->single_path = o->single_path;
    h->plan = plan_make(perm, scratch, g, o->batch, o->forward_only, o->single_path, o->recompute, tensor_bytes, h->k);
    h->op = NEW(perm, HostOp, g->op_count);
    h->active = NEW(perm, bool, g->op_count);
    h->profile.row_of = NEW(perm, int32_t, g->op_count);
    h->profile.element = sizeof(float);
    memset(h->active, 1, (size_t)g->op_count * sizeof *h->active);
    h->norm = NEW(perm, Norm, g->value_count);
    h->mix_weight = NEW(perm, float *, g->table_count);
    h->mix_grad = NEW(perm, float *, g->table_count);
    h->mix_active = NEW(perm, uint8_t *, g->table_count);
    *why = layout(h, perm, c, parts);
    return *why ? 0 : h;
}

static const char *host_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out,
                               const char *device)
{
    Arena room = scratch, rest = scratch; /* one half for what the host keeps, one for the planner */
    room.end = rest.beg = scratch.beg + (scratch.end - scratch.beg) / 128 * 64;
    room.beg += -(uintptr_t)room.beg & 63; /* what is used must not depend on what was there before */
    int64_t left = arena_left(&room);
    Carver c = {0};
    int64_t p[4];
    const char *why = 0;
    Host *h = host_prepare(&room, rest, g, o, device, &c, p, &why);
    if (!h) return arena_strdup(perm, why);
    p[3] += left - arena_left(&room);
    out->host = h->planned + left - arena_left(&room);
    out->parts =
        arena_printf(perm,
                     "tensors and gradients %.1f MB, parameters %.1f MB, packed weights and sums %.1f MB, work "
                     "areas %.1f MB",
                     (double)p[0] / 1e6, (double)p[1] / 1e6, (double)p[2] / 1e6, (double)p[3] / 1e6);
    return 0;
}

static void *host_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why, const char *device)
{
    Arena scratch = arena_reserve((ptrdiff_t)1 << 30);
    Carver c = {0};
    int64_t parts[4];
    Host *h = host_prepare(perm, scratch, g, o, device, &c, parts, why);
    arena_release(scratch);
    if (!h) return 0;
    h->map_bytes = (c.used + 2 * (int64_t)HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    h->map = mmap(0, (size_t)h->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (h->map == MAP_FAILED) {
        *why = arena_printf(perm, "%.1f MB of memory are not to be had: %s", (double)h->planned / 1e6, strerror(errno));
        return 0;
    }
    madvise(h->map, (size_t)h->map_bytes, MADV_HUGEPAGE); /* a wish: small pages only cost time */
    Carver at = {h->map + (-(uintptr_t)h->map & (HUGE_PAGE - 1)), 0};
    *why = layout(h, perm, &at, parts);
    assert(!*why && at.used == c.used);
    for (int32_t t = 0; t < g->table_count; t++) {
        memset(h->mix_active[t], 1, (size_t)g->tables[t].count);
        for (int64_t i = 0; i < g->tables[t].count; i++) h->mix_weight[t][i] = 1;
    }
    for (int32_t s = 0; s < g->stat_count; s++)
        for (int64_t i = 0; i < g->stats[s].channels; i++)
            h->block[BLOCK_STATS][g->stats[s].offset + g->stats[s].channels + i] = 1;
    h->weights_changed = true;
    h->profiling = getenv("NAS_PROFILE") != 0;
    h->device = arena_printf(perm, "%s %s, %d lanes, %d thread%s", device, h->k->about, h->k->lanes,
                             pool_threads(h->pool), pool_threads(h->pool) == 1 ? "" : "s");
    return h;
}

static void host_close(void *b)
{
    Host *h = b;
    munmap(h->map, (size_t)h->map_bytes);
}

/* ---- flat blocks ---- */

/* A block that is written: weights must be packed anew then. */
static float *changed(Host *h, Block b)
{
    if (b == BLOCK_WEIGHTS) h->weights_changed = true;
    return h->block[b];
}

static void host_upload(void *b, Block to, const float *from)
{
    memcpy(changed(b, to), from, (size_t)block_count(b, to) * sizeof *from);
}

static void host_download(void *b, Block from, float *to)
{
    const Host *h = b;
    memcpy(to, h->block[from], (size_t)block_count(h, from) * sizeof *to);
}

static void host_copy(void *b, Block to, Block from)
{
    Host *h = b;
    assert(block_count(h, to) == block_count(h, from));
    memcpy(changed(h, to), h->block[from], (size_t)block_count(h, to) * sizeof(float));
}

typedef struct {
    const NasKernels *k;
    int64_t count;
    float *a, *b, *c, *d;
    double factor, *sums;
    KSgd sgd;
    KAdam adam;
    enum { RUN_SCALE, RUN_AXPY, RUN_DOT, RUN_SGD, RUN_ADAM } what;
} BlockRun;

static void block_part(void *context, int64_t part, int thread)
{
    BlockRun *r = context;
    int64_t at = part * BLOCK_RUN, n = r->count - at < BLOCK_RUN ? r->count - at : BLOCK_RUN;
    (void)thread;
    switch (r->what) {
    case RUN_SCALE: r->k->scale(n, r->a + at, r->factor); break;
    case RUN_AXPY: r->k->axpy(n, r->a + at, r->factor, r->b + at); break;
    case RUN_DOT: r->sums[part] = r->k->dot(n, r->a + at, r->b + at); break;
    case RUN_SGD: r->k->sgd(&r->sgd, n, r->a + at, r->b + at, r->c + at); break;
    case RUN_ADAM: r->k->adam(&r->adam, n, r->a + at, r->b + at, r->c + at, r->d + at); break;
    }
}

static void block_run(Host *h, BlockRun *r)
{
    r->k = h->k;
    pool_run(h->pool, (r->count + BLOCK_RUN - 1) / BLOCK_RUN, block_part, r);
}

static void host_scale(void *b, Block y, double factor)
{
    BlockRun r = {.count = block_count(b, y), .a = changed(b, y), .factor = factor, .what = RUN_SCALE};
    block_run(b, &r);
}

static void host_axpy(void *b, Block y, double a, Block x)
{
    Host *h = b;
    BlockRun r = {.count = block_count(h, y), .a = changed(h, y), .b = h->block[x], .factor = a, .what = RUN_AXPY};
    block_run(h, &r);
}

static double host_dot(void *b, Block x, Block y)
{
    Host *h = b;
    double sums[256], total = 0;
    int64_t count = block_count(h, x), most = 256 * (int64_t)BLOCK_RUN;
    for (int64_t at = 0; at < count; at += most) {
        int64_t n = count - at < most ? count - at : most;
        BlockRun r = {.count = n, .a = h->block[x] + at, .b = h->block[y] + at, .sums = sums, .what = RUN_DOT};
        block_run(h, &r);
        for (int64_t i = 0; i < (n + BLOCK_RUN - 1) / BLOCK_RUN; i++) total += sums[i];
    }
    return total;
}

static void host_clip(void *b, double most)
{
    ((Host *)b)->clip = step_clip(sqrt(host_dot(b, BLOCK_GRAD, BLOCK_GRAD)), most);
}

/* What an update's gradient is scaled by. */
static double take_scale(Host *h, double grad_scale)
{
    grad_scale *= h->clip;
    h->clip = 1;
    return grad_scale;
}

static void host_sgd(void *b, double lr, double momentum, double weight_decay, bool nesterov, double grad_scale)
{
    Host *h = b;
    grad_scale = take_scale(h, grad_scale);
    if (h->diverged) return;
    BlockRun r = {.count = block_count(h, BLOCK_WEIGHTS),
                  .a = changed(h, BLOCK_WEIGHTS),
                  .b = h->block[BLOCK_GRAD],
                  .c = h->block[BLOCK_MOMENT1],
                  .what = RUN_SGD,
                  .sgd = {(float)lr, (float)momentum, (float)weight_decay, (float)grad_scale, nesterov}};
    block_run(b, &r);
}

static void host_adam(void *b, double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled,
                      int64_t step, double grad_scale)
{
    Host *h = b;
    grad_scale = take_scale(h, grad_scale);
    if (h->diverged) return;
    BlockRun r = {.count = block_count(h, BLOCK_WEIGHTS),
                  .a = changed(h, BLOCK_WEIGHTS),
                  .b = h->block[BLOCK_GRAD],
                  .c = h->block[BLOCK_MOMENT1],
                  .d = h->block[BLOCK_MOMENT2],
                  .what = RUN_ADAM,
                  .adam = step_adam(lr, beta1, beta2, eps, weight_decay, decoupled, step, grad_scale)};
    block_run(b, &r);
}

/* ---- settings of a step ---- */

static void host_set_mix(void *b, int32_t table, const float *weight)
{
    Host *h = b;
    memcpy(h->mix_weight[table], weight, (size_t)h->g->tables[table].count * sizeof *weight);
}

static void host_get_mix_grad(void *b, int32_t table, float *grad)
{
    Host *h = b;
    memcpy(grad, h->mix_grad[table], (size_t)h->g->tables[table].count * sizeof *grad);
}

static void host_set_active(void *b, int32_t table, const uint8_t *active)
{
    Host *h = b;
    const Graph *g = h->g;
    if (active)
        memcpy(h->mix_active[table], active, (size_t)g->tables[table].count);
    else
        memset(h->mix_active[table], 1, (size_t)g->tables[table].count);
    step_active(g, h->plan, h->mix_active, h->active);
}

static void host_set_drop(void *b, double p, uint64_t seed, int64_t step)
{
    Host *h = b;
    h->drop_p = p;
    h->drop_seed = seed;
    h->drop_step = step;
}

/* ---- input ---- */

static void batch_part(void *context, int64_t n, int thread)
{
    Host *h = context;
    const ValueInfo *v = &h->g->values[h->g->input];
    int lanes = h->k->lanes;
    int32_t blocks = blocks_of(v->channels, lanes);
    int64_t pixels = v->height * v->width;
    float *to = data_of(h, h->g->input) + n * blocks * pixels * lanes;
    (void)thread;
    if (v->channels % lanes) memset(to, 0, (size_t)(blocks * pixels * lanes) * sizeof *to);
    for (int64_t c = 0; c < v->channels; c++) {
        const float *from = h->source + (n * v->channels + c) * pixels;
        float *out = to + c / lanes * pixels * lanes + c % lanes;
        for (int64_t p = 0; p < pixels; p++) out[p * lanes] = from[p];
    }
}

static void host_batch(void *b, const float *x, const float *y, int64_t n)
{
    Host *h = b;
    assert(n >= 1 && n <= h->capacity);
    h->n = n;
    h->source = x;
    if (h->g->input >= 0) pool_run(h->pool, n, batch_part, h);
    h->has_targets = y != 0;
    int64_t width = loss_width(h->g->loss, &h->g->detail, h->g->outputs);
    if (y) memcpy(h->targets, y, (size_t)(n * width) * sizeof *y);
}

/* Samples n0 … n1-1 of a tensor, at their places in (n, C, H, W). */
static void plain_layout(const Host *h, Value v, int64_t n0, int64_t n1, float *out)
{
    const ValueInfo *info = &h->g->values[v];
    int lanes = h->k->lanes;
    int64_t pixels = info->height * info->width, blocks = blocks_of(info->channels, lanes);
    const float *from = data_of(h, v);
    assert(from);
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = 0; c < info->channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                out[(n * info->channels + c) * pixels + p] =
                    from[((n * blocks + c / lanes) * pixels + p) * lanes + c % lanes];
}

static void host_value(void *b, Value v, float *out)
{
    plain_layout(b, v, 0, ((Host *)b)->n, out);
}

/* The gradient of a flattened value's elements is that of the outputs. */
static void flatten_backward(const Host *h, Value v, int64_t n0, int64_t n1)
{
    const ValueInfo *info = &h->g->values[v];
    int lanes = h->k->lanes;
    int64_t pixels = info->height * info->width, blocks = blocks_of(info->channels, lanes);
    float *to = grad_of(h, v);
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = 0; c < info->channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                to[((n * blocks + c / lanes) * pixels + p) * lanes + c % lanes] +=
                    h->g_logits[(n * info->channels + c) * pixels + p];
}

/* ---- packing of weights, unpacking of their gradients ---- */

/* The taps of a convolution's weights for one (out, in): `taps` of them follow each other in a block of weights, and are so
 * many steps apart in pw and pw_t. A depthwise convolution has these for its pointwise half, of one tap. */
typedef struct {
    int64_t logical;            /* in a block of weights */
    int64_t packed, transposed; /* in pw and pw_t */
    int64_t step, step_t;
    int32_t taps;
} WeightPlace;

static int32_t packed_taps(const KConv *k)
{
    return k->depthwise ? 1 : k->taps;
}

/* Elements from one tap to the next in pw (or pw_t: with the blocks exchanged), and where those of an output block start. */
static int64_t tap_step(const KConv *k, int64_t lanes, int64_t outs, int64_t ins)
{
    return (k->winograd ? outs : 1) * ins * lanes * lanes;
}

static int64_t block_start(const KConv *k, int64_t lanes, int64_t ins, int64_t block)
{
    return block * (k->winograd ? 1 : packed_taps(k)) * ins * lanes * lanes;
}

static WeightPlace weight_place(const Host *h, int32_t index, int32_t out, int32_t in)
{
    const Op *op = &h->g->ops[index];
    const HostOp *o = &h->op[index];
    const KConv *k = &o->conv;
    const Param *param = h->g->params;
    int64_t lanes = h->k->lanes, channels = o->in_channels;
    int64_t ib = o->place_in[in] / lanes, il = o->place_in[in] % lanes, ob = out / lanes, ol = out % lanes;
    WeightPlace p = {.step = tap_step(k, lanes, k->out_blocks, k->in_blocks),
                     .step_t = tap_step(k, lanes, k->in_blocks, k->out_blocks),
                     .taps = packed_taps(k)};
    p.packed = block_start(k, lanes, k->in_blocks, ob) + (ib * lanes + il) * lanes + ol;
    p.transposed = block_start(k, lanes, k->out_blocks, ib) + (ob * lanes + ol) * lanes + il;
    if (k->depthwise) {
        p.logical = param[op->weight2].offset + out * channels + in;
    } else if (op->conv.factorized) { /* the first half of the outputs has the first tap, the rest the second */
        int32_t half = o->out_channels / 2, second = out >= half;
        p.logical = param[second ? op->weight2 : op->weight].offset + (out - (second ? half : 0)) * channels + in;
        p.packed += second * p.step, p.transposed += second * p.step_t;
        p.taps = 1;
    } else {
        p.logical = param[op->weight].offset + (out * channels + in) * p.taps;
    }
    return p;
}

/* The place of a depthwise weight in dw; in the block of weights it is at channel*taps + tap of its parameter. */
static int64_t depthwise_place(const Host *h, const HostOp *o, int32_t channel, int32_t tap)
{
    int lanes = h->k->lanes;
    return ((int64_t)(o->place_in[channel] / lanes) * o->conv.taps + tap) * lanes + o->place_in[channel] % lanes;
}

static void pack_weights(Host *h, int32_t index)
{
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    if (op->kind != OP_CONV && op->kind != OP_SEPCONV) return;
    const float *w = h->block[BLOCK_WEIGHTS];
    float *pw = (float *)o->conv.pw, *pw_t = (float *)o->conv.pw_t, *dw = (float *)o->conv.dw;
    if (o->conv.depthwise) {
        const float *from = w + h->g->params[op->weight].offset;
        for (int32_t c = 0; c < o->in_channels; c++)
            for (int32_t t = 0; t < o->conv.taps; t++) dw[depthwise_place(h, o, c, t)] = *from++;
    }
    for (int32_t first = 0; first < o->out_channels; first += h->k->lanes) /* block by block: lines of pw at a time */
        for (int32_t in = 0; in < o->in_channels; in++)
            for (int32_t out = first; out < o->out_channels && out < first + h->k->lanes; out++) {
                WeightPlace p = weight_place(h, index, out, in);
                for (int32_t t = 0; t < p.taps; t++) pw[p.packed + t * p.step] = w[p.logical + t];
                for (int32_t t = 0; pw_t && t < p.taps; t++) pw_t[p.transposed + t * p.step_t] = w[p.logical + t];
            }
    if (o->conv.winograd) h->k->winograd_weights(o->pw_count / 9, pw);
    if (o->conv.winograd && pw_t) h->k->winograd_weights(o->pw_count / 9, pw_t);
}

/* Gradients of the weights of an output block: adds the slots up in place, along their length, then picks. */
static void unpack_block(Host *h, int32_t index, int64_t parts, int32_t block)
{
    HostOp *o = &h->op[index];
    const KConv *k = &o->conv;
    int32_t lanes = h->k->lanes, first = block * lanes;
    int64_t run = (int64_t)k->in_blocks * lanes * lanes, step = tap_step(k, lanes, k->out_blocks, k->in_blocks);
    for (int32_t t = 0; t < packed_taps(k); t++) {
        float *to = k->g_pw + block_start(k, lanes, k->in_blocks, block) + t * step;
        for (int64_t p = 1; p < parts; p++)
            for (int64_t i = 0; i < run; i++) to[i] += to[p * o->pw_count + i];
    }
    for (int32_t in = 0; in < o->in_channels; in++)
        for (int32_t out = first; out < o->out_channels && out < first + lanes; out++) {
            WeightPlace p = weight_place(h, index, out, in);
            for (int32_t t = 0; t < p.taps; t++) h->block[BLOCK_GRAD][p.logical + t] = k->g_pw[p.packed + t * p.step];
        }
}

static void unpack_gradients(Host *h, int32_t index, int64_t parts)
{
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    float *grad = h->block[BLOCK_GRAD];
    float *g = grad + h->g->params[op->weight].offset;
    if (op->kind == OP_LEARNED) { /* its parameters follow each other */
        for (int64_t i = 0; i < o->pw_count; i++) {
            double s = 0;
            for (int64_t p = 0; p < parts; p++) s += (double)o->learned.g_all[p * o->pw_count + i];
            g[i] = (float)s;
        }
        return;
    }
    if (op->kind == OP_HEAD) {
        float *gb = grad + h->g->params[op->weight2].offset;
        int64_t weights = h->g->params[op->weight].count;
        for (int64_t i = 0; i < o->pw_count; i++) {
            double s = 0;
            for (int64_t p = 0; p < parts; p++) s += (double)o->head.g_weight[p * o->pw_count + i];
            *(i < weights ? g + i : gb + (i - weights)) = (float)s;
        }
        return;
    }
    if (o->conv.depthwise) {
        for (int64_t p = 1; p < parts; p++)
            for (int64_t i = 0; i < o->dw_count; i++) o->conv.g_dw[i] += o->conv.g_dw[p * o->dw_count + i];
        for (int32_t c = 0; c < o->in_channels; c++)
            for (int32_t t = 0; t < o->conv.taps; t++) *g++ = o->conv.g_dw[depthwise_place(h, o, c, t)];
    }
    for (int32_t b = 0; b < o->conv.out_blocks; b++) unpack_block(h, index, parts, b);
}

static void pack_part(void *context, int64_t part, int thread)
{
    Host *h = context;
    (void)thread;
    pack_weights(h, h->plan->order[part]);
}

/* ---- normalisation ---- */

static float gamma_of(const Host *h, const ValueInfo *v, int64_t c)
{
    return v->gamma < 0 ? 1 : h->block[BLOCK_WEIGHTS][h->g->params[v->gamma].offset + c];
}

static float beta_of(const Host *h, const ValueInfo *v, int64_t c)
{
    return v->beta < 0 ? 0 : h->block[BLOCK_WEIGHTS][h->g->params[v->beta].offset + c];
}

/* Batch statistics or running ones act on the value. */
static bool normalises(const ValueInfo *v)
{
    return v->stat >= 0;
}

/* Scale and shift of a value from the batch's sums (training) or the running statistics. */
static void set_norm(Host *h, Value value, const double *sums, int64_t channels, int64_t parts)
{
    const ValueInfo *v = &h->g->values[value];
    Norm *n = &h->norm[value];
    double count = (double)(h->n * v->height * v->width);
    float *running = v->stat < 0 ? 0 : h->block[BLOCK_STATS] + h->g->stats[v->stat].offset;
    for (int64_t c = 0; c < v->channels; c++) {
        double mean = 0, variance = 1;
        if (!normalises(v)) {
            n->scale[c] = 1;
            n->shift[c] = beta_of(h, v, c);
            continue;
        }
        if (h->mode == MODE_TRAIN) {
            double s = 0, q = 0;
            for (int64_t p = 0; p < parts; p++) s += sums[2 * p * channels + c], q += sums[(2 * p + 1) * channels + c];
            mean = s / count;
            variance = q / count - mean * mean;
            if (variance < 0) variance = 0; /* rounding */
            running[c] += (float)(norm_momentum * (mean - (double)running[c]));
            double unbiased = count > 1 ? variance * count / (count - 1) : variance;
            float *rv = running + v->channels + c;
            *rv += (float)(norm_momentum * (unbiased - (double)*rv));
        } else {
            mean = (double)running[c];
            variance = (double)running[v->channels + c];
        }
        double invstd = 1 / sqrt(variance + norm_epsilon), scale = invstd * (double)gamma_of(h, v, c);
        n->mean[c] = mean;
        n->invstd[c] = invstd;
        n->scale[c] = (float)scale;
        n->shift[c] = (float)((double)beta_of(h, v, c) - mean * scale);
    }
}

/* From the sums of g and g*y over the batch (g already masked and scaled per sample): the coefficients of dy, where the
 * value's reader multiplied it by `weight`; gradients of gamma and beta; returns dLoss/dweight. */
static double set_grad_coefficients(Host *h, Value value, double weight, const double *s0, const double *s1)
{
    const ValueInfo *v = &h->g->values[value];
    Norm *n = &h->norm[value];
    double count = (double)(h->n * v->height * v->width), total = 0;
    for (int64_t c = 0; c < v->channels; c++) {
        if (!normalises(v)) {
            n->a[c] = (float)weight;
            total += s1[c] + (double)beta_of(h, v, c) * s0[c];
            if (v->beta >= 0 && (h->what & GRAD_WEIGHTS))
                h->block[BLOCK_GRAD][h->g->params[v->beta].offset + c] = (float)(weight * s0[c]);
            continue;
        }
        double gamma = (double)gamma_of(h, v, c), mean = n->mean[c], invstd = n->invstd[c];
        double gx = invstd * (s1[c] - mean * s0[c]), a = weight * gamma * invstd;
        n->a[c] = (float)a;
        n->b[c] = (float)(-a * invstd * gx / count);
        n->d[c] = (float)(a * (invstd * mean * gx - s0[c]) / count);
        total += gamma * gx + (double)beta_of(h, v, c) * s0[c];
        if (v->gamma >= 0 && (h->what & GRAD_WEIGHTS)) {
            h->block[BLOCK_GRAD][h->g->params[v->gamma].offset + c] = (float)(weight * gx);
            h->block[BLOCK_GRAD][h->g->params[v->beta].offset + c] = (float)(weight * s0[c]);
        }
    }
    return total;
}

/* ---- forward ---- */

static void run_range(const Host *h, int64_t part, int64_t parts, int64_t *n0, int64_t *n1)
{
    *n0 = h->n * part / parts;
    *n1 = h->n * (part + 1) / parts;
}

static void *thread_scratch(const Host *h, int thread)
{
    return h->scratch + h->scratch_bytes * thread;
}

static void zero_slot(double *sums, int64_t count, int64_t part)
{
    if (sums) memset(sums + part * count, 0, (size_t)count * sizeof *sums);
}

static void make_noise(Host *h, int32_t index, int64_t n0, int64_t n1)
{
    const ValueInfo *v = &h->g->values[h->g->ops[index].output];
    int64_t lanes = h->k->lanes, pixels = v->height * v->width, room = blocks_of(v->channels, (int)lanes) * lanes;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t c = 0; c < room; c++) {
            float *to = data_of(h, h->g->ops[index].output) + (n * room + c / lanes * lanes) * pixels + c % lanes;
            uint64_t first = (uint64_t)((n * v->channels + c) * pixels);
            for (int64_t p = 0; p < pixels; p++)
                to[p * lanes] =
                    c < v->channels ? step_noise(h->drop_seed, h->drop_step, index, first + (uint64_t)p) : 0;
        }
}

static void forward_part(void *context, int64_t part, int thread)
{
    Host *h = context;
    int64_t n0, n1;
    run_range(h, part, h->parts, &n0, &n1);
    void *scratch = thread_scratch(h, thread);
    for (int32_t i = h->plan->group_start[h->group]; i < h->plan->group_start[h->group + 1]; i++) {
        int32_t index = h->plan->order[i];
        HostOp *o = &h->op[index];
        if (!h->active[index] || (h->only >= 0 && h->only != index) || (h->again && !h->plan->again[index])) continue;
        switch (h->g->ops[index].kind) {
        case OP_CONV:
        case OP_SEPCONV:
            zero_slot(o->conv.sums, o->sum_count, part);
            h->k->conv_forward(&o->conv, n0, n1, part, scratch);
            break;
        case OP_POOL:
            zero_slot(o->pool.sums, o->sum_count, part);
            h->k->pool_forward(&o->pool, n0, n1, part, scratch);
            break;
        case OP_MIX: h->k->mix_forward(&o->mix, n0, n1, scratch); break;
        case OP_HEAD: h->k->head_forward(&o->head, n0, n1); break;
        case OP_SELECT: h->k->select_forward(&o->select, n0, n1); break;
        case OP_NOISE: make_noise(h, index, n0, n1); break;
        case OP_LEARNED: h->k->learned_forward(&o->learned, n0, n1); break;
        case OP_RESIZE: h->k->resize_forward(&o->resize, n0, n1, scratch); break;
        case OP_FLATTEN: plain_layout(h, h->g->ops[index].input, n0, n1, o->head.logits); break;
        default: break;
        }
    }
}

/* The active terms, side by side: what the others would read may never have been computed. */
static void gather_terms(Host *h, int32_t index)
{
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    o->mix.term = o->live;
    o->mix.terms = 0;
    for (int32_t t = 0; t < op->mix.count; t++)
        if (step_term_on(h->mix_active, &op->mix.terms[t])) {
            o->live_index[o->mix.terms] = t;
            o->live[o->mix.terms++] = o->term[t];
        }
    o->sum_count = (1 + 2 * (int64_t)o->mix.terms) * o->mix.blocks * h->k->lanes;
}

static void prepare_mix(Host *h, int32_t index)
{
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    for (int32_t t = 0; t < op->mix.count; t++) {
        const Term *term = &op->mix.terms[t];
        const ValueInfo *v = &h->g->values[term->value];
        KTerm *k = &o->term[t];
        bool plain = v->kind == VALUE_PLAIN;
        float weight = term->table < 0 ? 1 : h->mix_weight[term->table][term->index];
        float *scale = (float *)k->scale, *shift = (float *)k->shift;
        const Norm *n = &h->norm[term->value];
        for (int64_t c = 0; c < v->channels; c++) {
            scale[c] = plain || k->relu ? weight : weight * n->scale[c];
            shift[c] = plain || k->relu ? 0 : weight * n->shift[c];
        }
    }
    gather_terms(h, index);
}

static void norm_part(void *context, int64_t part, int thread)
{
    Host *h = context;
    int32_t index = h->plan->order[h->plan->group_start[h->group] + part];
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    (void)thread;
    if (!h->active[index] || (op->kind != OP_CONV && op->kind != OP_SEPCONV && op->kind != OP_POOL)) return;
    set_norm(h, op->output, o->sums, o->sum_count / 2, h->parts);
}

static bool has_work(const Host *h, int32_t index);

/* One region for the group, or, when profiling, one for each of its operations. */
static void run_group(Host *h, PoolFn part, bool backward)
{
    h->only = -1;
    if (!h->profiling) {
        pool_run(h->pool, h->parts, part, h);
        return;
    }
    int32_t from = h->plan->group_start[h->group], to = h->plan->group_start[h->group + 1];
    for (int32_t i = 0; i < to - from; i++) {
        int32_t index = h->plan->order[backward ? to - 1 - i : from + i];
        h->only = index;
        double start = clock_wall();
        pool_run(h->pool, h->parts, part, h);
        double took = clock_wall() - start;
        bool work = backward ? has_work(h, index) : h->active[index] && (!h->again || h->plan->again[index]);
        step_profile(&h->profile, h->g, index, h->n, backward, work, h->what & GRAD_WEIGHTS, took);
    }
    h->only = -1;
}

static void set_loss(Host *h)
{
    const Graph *g = h->g;
    const bool two = g->auxiliary >= 0 && !h->forward_only && h->mode == MODE_TRAIN;
    StepHead head[2] = {{h->op[g->values[g->logits].op].head.logits, h->g_logits}};
    if (two) head[1] = (StepHead){h->op[g->values[g->auxiliary].op].head.logits, h->g_auxiliary};
    h->loss = h->has_targets ? step_loss(g, h->n, h->targets, &head[0], two ? &head[1] : 0) : NAN;
}

static void host_forward(void *b, Mode mode)
{
    Host *h = b;
    const Graph *g = h->g;
    const Plan *p = h->plan;
    h->mode = mode;
    h->spent = false;
    for (int32_t i = 0, choice = 0, taken = 0; h->single_path && i < g->op_count; i++) {
        if (!h->active[i] || !g->ops[i].choice) continue; /* the operations of a choice follow each other */
        assert(g->ops[i].choice != choice || g->ops[i].alternative == taken);
        choice = g->ops[i].choice, taken = g->ops[i].alternative;
    }
    if (h->weights_changed) {
        pool_run(h->pool, p->group_start[p->groups], pack_part, h);
        h->weights_changed = false;
    }
    bool drop = mode == MODE_TRAIN && h->drop_p > 0;
    for (int32_t i = 0; i < p->group_start[p->groups]; i++) {
        int32_t index = p->order[i];
        const Op *op = &g->ops[index];
        HostOp *o = &h->op[index];
        if (op->kind == OP_CONV || op->kind == OP_SEPCONV || op->kind == OP_POOL) {
            bool wanted = mode == MODE_TRAIN && normalises(&g->values[op->output]);
            o->conv.sums = o->pool.sums = wanted ? o->sums : 0;
            if (mode == MODE_EVAL || !wanted) set_norm(h, op->output, 0, 0, 0);
        }
        for (int32_t t = 0; op->kind == OP_MIX && t < op->mix.count; t++) {
            const Term *term = &op->mix.terms[t];
            if (!term->drop) continue;
            o->term[t].sample_scale = drop ? o->drop[t] : 0;
            if (!h->forward_only && g->values[term->value].kind != VALUE_PLAIN) {
                HostOp *producer = &h->op[g->values[term->value].op];
                producer->conv.grad.sample_scale = producer->pool.grad.sample_scale = o->term[t].sample_scale;
            }
            if (drop) step_drop(h->drop_p, h->drop_seed, h->drop_step, index, t, h->n, o->drop[t]);
        }
    }
    h->parts = group_parts(h, h->n, -1);
    for (h->group = 0; h->group < p->groups; h->group++) {
        int32_t from = p->group_start[h->group], count = p->group_start[h->group + 1] - from;
        bool norms = false;
        for (int32_t i = from; i < from + count; i++) {
            OpKind kind = g->ops[p->order[i]].kind;
            if (kind == OP_MIX) prepare_mix(h, p->order[i]);
            norms |= kind == OP_CONV || kind == OP_SEPCONV || kind == OP_POOL;
        }
        run_group(h, forward_part, false);
        if (norms && mode == MODE_TRAIN) pool_run(h->pool, count, norm_part, h);
    }
    set_loss(h);
}

static void host_targets(void *b, const float *y)
{
    Host *h = b;
    const Graph *g = h->g;
    memcpy(h->targets, y, (size_t)(h->n * loss_width(g->loss, &g->detail, g->outputs)) * sizeof *y);
    h->has_targets = true;
    set_loss(h);
}

static double host_loss(void *b)
{
    return ((Host *)b)->loss;
}

static void host_wait(void *b)
{
    (void)b; /* the pass has ended when the call returns */
}

static void host_logits(void *b, float *out)
{
    Host *h = b;
    memcpy(out, h->op[h->g->values[h->g->logits].op].head.logits, (size_t)(h->n * h->g->outputs) * sizeof *out);
}

static void host_outputs(void *b, double *loss, float *logits)
{
    if (loss) *loss = host_loss(b);
    if (logits) host_logits(b, logits);
}

/* ---- backward ---- */

/* The gradient that an operation adds to for input v, or 0 if nobody asks for it. */
static float *wanted_grad(const Host *h, Value v)
{
    if (!(h->what & GRAD_WEIGHTS) && !h->plan->needs_mix_grad[v]) return 0;
    return grad_of(h, v);
}

/* Sets the pointers of a group's operations for this kind of pass, and lays out the slots of its weight gradients. */
static void prepare_backward(Host *h, int32_t group)
{
    int64_t used = 0;
    bool weights = h->what & GRAD_WEIGHTS;
    for (int32_t i = h->plan->group_start[group]; i < h->plan->group_start[group + 1]; i++) {
        int32_t index = h->plan->order[i];
        const Op *op = &h->g->ops[index];
        HostOp *o = &h->op[index];
        float *slots[2] = {0, 0};
        int64_t counts[2] = {o->dw_count, o->pw_count};
        for (int s = 0; s < 2 && weights; s++) {
            slots[s] = (float *)(void *)(h->slots + used);
            used += (counts[s] * h->parts * (int64_t)sizeof(float) + 63) / 64 * 64;
        }
        const Value *parts;
        int64_t count = op->input < 0 ? 0 : step_parts(h->g, &op->input, &parts);
        switch (op->kind) {
        case OP_CONV:
        case OP_SEPCONV:
            o->conv.g_dw = slots[0], o->conv.g_pw = slots[1];
            for (int64_t p = 0; p < count; p++) o->conv.gx[p] = wanted_grad(h, parts[p]);
            break;
        case OP_POOL: o->pool.gx = wanted_grad(h, op->input); break;
        case OP_HEAD:
            o->head.g_weight = slots[1];
            for (int64_t p = 0; p < count; p++) o->head.gx[p] = wanted_grad(h, parts[p]);
            break;
        case OP_SELECT:
            for (int64_t p = 0; p < count; p++) o->select.gx[p] = wanted_grad(h, parts[p]);
            break;
        case OP_LEARNED: o->learned.g_all = slots[1]; break;
        case OP_RESIZE: o->resize.gx = wanted_grad(h, op->input); break;
        case OP_MIX:
            o->mix.sums = o->sums;
            for (int32_t t = 0; t < op->mix.count; t++) {
                bool plain = h->g->values[op->mix.terms[t].value].kind == VALUE_PLAIN;
                o->term[t].gx = plain ? wanted_grad(h, op->mix.terms[t].value) : 0;
            }
            gather_terms(h, index);
            break;
        default: break;
        }
    }
}

/* Whether a backward pass of this operation has anything to give. */
static bool has_work(const Host *h, int32_t index)
{
    const HostOp *o = &h->op[index];
    if (!h->active[index]) return false;
    switch (h->g->ops[index].kind) {
    case OP_CONV:
    case OP_SEPCONV: {
        bool any = o->conv.g_pw != 0;
        for (int32_t p = 0; p < o->conv.parts; p++) any |= o->conv.gx[p] != 0;
        return any && o->conv.grad.g; /* none, where noise alone reads what follows */
    }
    case OP_POOL: return o->pool.gx && o->pool.grad.g;
    case OP_NOISE: return false;
    case OP_LEARNED: return o->learned.g_all && o->learned.g;
    case OP_RESIZE: return o->resize.gx && o->resize.g;
    case OP_FLATTEN: return wanted_grad(h, h->g->ops[index].input) != 0;
    case OP_SELECT:
    case OP_MIX:
        return ((h->what & GRAD_WEIGHTS) || h->plan->needs_mix_grad[h->g->ops[index].output]) &&
               grad_of(h, h->g->ops[index].output);
    default: return true;
    }
}

static void backward_part(void *context, int64_t part, int thread)
{
    Host *h = context;
    const Plan *p = h->plan;
    int64_t n0, n1;
    run_range(h, part, h->parts, &n0, &n1);
    void *scratch = thread_scratch(h, thread);
    int32_t from = p->group_start[h->group], to = p->group_start[h->group + 1];
    if (h->only < 0 || h->only == p->order[to - 1])
        for (int32_t v = 0; v < h->g->value_count; v++) /* gradients that are added to from now on */
            if (p->grad[v].bytes && p->grad[v].life[0].birth == h->step && h->g->values[v].kind == VALUE_PLAIN) {
                int64_t image = tensor_bytes(&h->g->values[v], 1, h->k);
                memset((char *)grad_of(h, v) + n0 * image, 0, (size_t)((n1 - n0) * image));
            }
    for (int32_t i = to - 1; i >= from; i--) {
        int32_t index = p->order[i];
        HostOp *o = &h->op[index];
        if (!has_work(h, index) || (h->only >= 0 && h->only != index)) continue;
        switch (h->g->ops[index].kind) {
        case OP_CONV:
        case OP_SEPCONV:
            if (o->conv.g_pw) {
                memset(o->conv.g_pw + part * o->pw_count, 0, (size_t)o->pw_count * sizeof(float));
                if (o->dw_count) memset(o->conv.g_dw + part * o->dw_count, 0, (size_t)o->dw_count * sizeof(float));
            }
            zero_slot(o->in_sums, 2 * (int64_t)o->conv.in_blocks * h->k->lanes, part);
            h->k->conv_backward(&o->conv, n0, n1, part, scratch);
            break;
        case OP_POOL: h->k->pool_backward(&o->pool, n0, n1, part, scratch); break;
        case OP_SELECT: h->k->select_backward(&o->select, n0, n1); break;
        case OP_LEARNED:
            memset(o->learned.g_all + part * o->pw_count, 0, (size_t)o->pw_count * sizeof(float));
            h->k->learned_backward(&o->learned, n0, n1, part);
            break;
        case OP_RESIZE: h->k->resize_backward(&o->resize, n0, n1, scratch); break;
        case OP_FLATTEN: flatten_backward(h, h->g->ops[index].input, n0, n1); break;
        case OP_MIX:
            zero_slot(o->sums, o->sum_count, part);
            h->k->mix_backward(&o->mix, n0, n1, part, scratch);
            break;
        case OP_HEAD:
            if (o->head.g_weight) memset(o->head.g_weight + part * o->pw_count, 0, (size_t)o->pw_count * sizeof(float));
            h->k->head_backward(&o->head, n0, n1, part);
            break;
        default: break;
        }
    }
}

/* After a group's backward pass: add up its slots. */
static void reduce_part(void *context, int64_t part, int thread)
{
    Host *h = context;
    int32_t index = h->plan->order[h->plan->group_start[h->group] + part];
    const Op *op = &h->g->ops[index];
    HostOp *o = &h->op[index];
    (void)thread;
    if (op->kind == OP_MIX) memset(o->mix_grad, 0, (size_t)op->mix.count * sizeof *o->mix_grad);
    if (!has_work(h, index)) return;
    if ((h->what & GRAD_WEIGHTS) && op->weight >= 0) unpack_gradients(h, index, h->parts);
    if (o->in_sums && o->conv.gx[0]) {
        int64_t channels = (int64_t)o->conv.in_blocks * h->k->lanes;
        for (int64_t p = 1; p < h->parts; p++)
            for (int64_t i = 0; i < 2 * channels; i++) o->in_sums[i] += o->in_sums[p * 2 * channels + i];
        set_grad_coefficients(h, op->input, 1, o->in_sums, o->in_sums + channels);
    }
    if (op->kind == OP_MIX) {
        int64_t channels = (int64_t)o->mix.blocks * h->k->lanes;
        for (int64_t p = 1; p < h->parts; p++)
            for (int64_t i = 0; i < o->sum_count; i++) o->sums[i] += o->sums[p * o->sum_count + i];
        for (int32_t i = 0; i < o->mix.terms; i++) {
            int32_t t = o->live_index[i];
            const Term *term = &op->mix.terms[t];
            const double *s0 = o->sums + (1 + 2 * (int64_t)i) * channels, *s1 = s0 + channels;
            double weight = term->table < 0 ? 1 : (double)h->mix_weight[term->table][term->index];
            if (h->g->values[term->value].kind == VALUE_PLAIN)
                for (int32_t c = 0; c < o->out_channels; c++) o->mix_grad[t] += s1[c];
            else
                o->mix_grad[t] = set_grad_coefficients(h, term->value, weight, s0, s1);
        }
    }
}

/* Makes the tensors of a group once more from what is kept, normalisation included: nothing else changes. */
static void run_again(Host *h)
{
    const Plan *p = h->plan;
    for (int32_t i = p->group_start[h->group]; i < p->group_start[h->group + 1]; i++) {
        OpKind kind = h->g->ops[p->order[i]].kind;
        if (kind == OP_CONV || kind == OP_SEPCONV) h->op[p->order[i]].conv.sums = 0;
    }
    h->parts = group_parts(h, h->n, -1);
    h->again = true;
    run_group(h, forward_part, false);
    h->again = false;
}

static void host_backward(void *b, GradWhat what)
{
    Host *h = b;
    const Graph *g = h->g;
    const Plan *p = h->plan;
    assert(!h->forward_only && h->mode == MODE_TRAIN && h->has_targets && !h->spent);
    h->spent = true;
    h->diverged = !isfinite(h->loss);
    h->what = what;
    if (what & GRAD_WEIGHTS) memset(h->block[BLOCK_GRAD], 0, (size_t)g->weight_count * sizeof(float));
    for (int32_t t = 0; t < g->table_count; t++) memset(h->mix_grad[t], 0, (size_t)g->tables[t].count * sizeof(float));
    for (h->step = p->groups; h->step < p->steps; h->step++) {
        h->group = p->step[h->step].group;
        if (p->step[h->step].kind == STEP_AGAIN) {
            run_again(h);
            continue;
        }
        int32_t from = p->group_start[h->group], count = p->group_start[h->group + 1] - from;
        h->parts = group_parts(h, h->n, h->group);
        prepare_backward(h, h->group);
        run_group(h, backward_part, true);
        pool_run(h->pool, count, reduce_part, h);
        for (int32_t i = from; i < from + count; i++) {
            const Op *op = &g->ops[p->order[i]];
            for (int32_t t = 0; op->kind == OP_MIX && t < op->mix.count; t++)
                if (op->mix.terms[t].table >= 0)
                    h->mix_grad[op->mix.terms[t].table][op->mix.terms[t].index] +=
                        (float)h->op[p->order[i]].mix_grad[t];
        }
    }
}

/* ---- the rest ---- */

static const char *host_device(const void *b)
{
    return ((const Host *)b)->device;
}

static const char *host_error(const void *b)
{
    (void)b;
    return 0;
}

static void host_set_profile(void *b, bool on)
{
    ((Host *)b)->profiling = on;
}

static int64_t host_profile(const void *b, EngineProfile *rows, int64_t room)
{
    const Host *h = b;
    int64_t n = h->profile.count < room ? h->profile.count : room;
    memcpy(rows, h->profile.row, (size_t)n * sizeof *rows);
    return n;
}

static const char *host_probe(Arena *perm, const char *device)
{
    (void)perm, (void)device;
    return 0;
}

static const char *cpu_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out)
{
    return host_memory(g, o, scratch, perm, out, "cpu");
}

static const char *ref_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out)
{
    return host_memory(g, o, scratch, perm, out, "ref");
}

static void *cpu_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why)
{
    return host_open(perm, g, o, why, "cpu");
}

static void *ref_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why)
{
    return host_open(perm, g, o, why, "ref");
}

#define HOST_FUNCTIONS                                                                                                 \
    .close = host_close, .device = host_device, .error = host_error, .upload = host_upload, .download = host_download, \
    .copy = host_copy, .set_mix = host_set_mix, .get_mix_grad = host_get_mix_grad, .set_active = host_set_active,      \
    .set_drop = host_set_drop, .batch = host_batch, .forward = host_forward, .targets = host_targets,                  \
    .loss = host_loss, .logits = host_logits, .backward = host_backward, .scale = host_scale, .axpy = host_axpy,       \
    .dot = host_dot, .sgd = host_sgd, .adam = host_adam, .value = host_value, .set_profile = host_set_profile,         \
    .profile = host_profile, .outputs = host_outputs, .wait = host_wait, .clip = host_clip

const Backend backend_cpu = {BACKEND_ABI, "cpu", host_probe, cpu_memory, cpu_open, HOST_FUNCTIONS};
const Backend backend_ref = {BACKEND_ABI, "ref", host_probe, ref_memory, ref_open, HOST_FUNCTIONS};
