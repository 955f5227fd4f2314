/* backend_cuda: runs a plan on one GPU through kernels/cuda. It is the whole of the plugin libnas-cuda.so, which
 * backend_load.c opens; no program links CUDA.
 *
 * One stream, in which operations run in the order of the plan, and one allocation, laid out by the planner. Tensors are
 * (N, C, H, W). Nothing waits for the device but what asks for a result: the loss, logits, downloads, and a third batch
 * while two are on their way. A batch is copied on a stream of its own, to a place of its own, while the step before it may
 * still run. Losses and what a norm scales a gradient by are computed on the device and stay there: between a forward pass
 * and the update that ends its step the host asks for nothing.
 *
 * So a step is launched late, as a whole: forward pass, loss, backward pass and update wait (Cuda.pending) until an update
 * has joined them or something else is called. That is a few hundred launches that are the same in every step. When they
 * come for the second time they are captured, and from then on launched as one (CUDA graphs). They are the same if what is
 * pending, the number of samples, the mode, the operations that are on, and whether paths are dropped are: PassKey. What
 * changes beside that - terms of sums, drop masks, targets, learning rates - is sent before. With noise operations, whose
 * values come from the host in mid-pass, and while profiling, every operation is launched by itself, as with
 * NAS_CUDA_GRAPH=0.
 *
 * NAS_CUDA_SEPARATE=1 gives every buffer an allocation of its own, so that tools which watch allocations see an access
 * past the end of one, or of what an earlier tensor left behind. NAS_CUDA_GEMM=always or never: convolutions by cuBLAS,
 * whatever is thought to pay; always: with the smallest work area, too.
 *
 * With PRECISION_BF16 the elements of tensors are bfloat16 (kernels_cuda.h): half the memory and half the traffic. Kernels
 * convert as they load and store, which every device can; products by cuBLAS take bf16 factors only where there are tensor
 * cores for them, from sm_80 on. There is no scaling of the loss, for bf16 has the exponents of floats.
 */
#include <assert.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend.h"
#include "engine/loss.h"
#include "engine/step.h"
#include "kernels/cuda/kernels_cuda.h"

enum { GATHERED_MOST = 16 << 20 }; /* elements of one convolution's work area */
static const double norm_epsilon = 1.0 / GRAPH_EPS_INV, norm_momentum = 0.1;

typedef struct {
    CudaConv half[2]; /* one; of a factorised reduce two */
    int32_t halves;
    KPool pool;
    CudaMix mix;
    KHead head;
    KSelect select;
    KLearned learned;
    CudaResize resize;
    int32_t *select_from;  /* on the host: part of each channel, then its place there */
    CudaTerm *term, *live; /* of a mix: all terms; those that are on */
    CudaTerm *sent;        /* what the device has of them */
    int32_t sent_terms;
    int32_t *live_index;
    CudaTerm *device_term;
    float **drop;   /* per term the samples' scales, on the device, or 0 */
    double *g_term; /* per term dLoss/dweight, on the device */
} CudaOp;

enum { DO_FORWARD = 1, DO_LOSS = 2, DO_BACKWARD = 4, DO_CLIP = 8, DO_SGD = 16, DO_ADAM = 32 };

typedef struct { /* what the launches of a pass depend on */
    int64_t n;
    int parts; /* DO_… */
    bool drop;
    Mode mode;
    GradWhat what;
} PassKey;

typedef struct {
    PassKey key;
    bool *active;         /* per operation */
    bool seen;            /* once, and not captured */
    cudaGraphExec_t exec; /* 0: not yet */
    int64_t used;         /* when last */
} Pass;
enum {
    PASSES = 16
}; /* whole and last batch; steps of weights, those of alphas (three kinds), evaluation; two active sets */

typedef struct {
    cudaEvent_t from, to;
    int32_t op;
    bool backward, work;
} Timing;

typedef struct { /* of a forward pass, on its way to where it was asked for */
    float *host; /* page-locked: the loss, then logits */
    cudaEvent_t arrived;
    bool busy;
    double *loss;
    float *logits; /* these two may be 0 */
    int64_t values;
} Output;

typedef struct {
    const Graph *g;
    Plan *plan;
    CudaOp *op;
    bool *active;
    CudaNorm *norm;       /* per value */
    float **data, **grad; /* per value, 0: none */
    int64_t capacity, n;
    bool forward_only, has_targets, spent, dropping, mix_grad_known;
    int pending; /* DO_…: asked for, and not launched */
    Mode mode;
    GradWhat what;
    cudaStream_t stream;
    const char *name; /* the device's, as asked for */
    char error[256];  /* the first, or empty; from then on every result is NaN */
    void **allocation;
    int32_t allocations;
    float *block[BLOCK_COUNT];
    float **mix_weight, **mix_grad; /* weights on the device, gradients on the host */
    uint8_t **mix_active;
    float *sums, *middle, *slots, *g_logits, *g_auxiliary, *drop_host;
    double *dot;
    char *noise;           /* elements of a tensor, on the host */
    float *staging[2];     /* page-locked */
    float *arrival[2];     /* on the device: where batches are copied to */
    cudaStream_t copies;   /* of batches */
    cudaEvent_t copied[2]; /* staging may be written again */
    cudaEvent_t taken[2];  /* arrival may be written again */
    bool used[2];
    int turn;
    CudaLoss loss;
    float *targets; /* on the device, as is loss.targets, which says so to kernels */
    Output output[2];
    int output_turn;
    CudaUpdate update, *device_update; /* the second has the first's numbers while an update is launched */
    float *clip_factor;                /* on the device */
    bool clipping;                     /* the next update does */
    double *g_terms, *g_terms_host;    /* of all sums, one after another */
    int64_t term_count;
    Pass pass[PASSES];
    int64_t passes; /* so far */
    bool by_graph, profiling;
    Timing *timing; /* of a pass */
    int32_t timings;
    StepProfile profile;
    CudaGemm gemm;
    void *gemm_workspace;    /* 0: no convolution wants cuBLAS */
    const char *gemm_choice; /* of the environment, or 0 */
    bool gemm_forced, gemm_pays, bf16;
    int64_t element; /* bytes of a tensor's */
    double drop_p;
    uint64_t drop_seed;
    int64_t drop_step;
    const char *device;
} Cuda;

/* ---- memory: the same code measures and assigns ---- */

typedef struct {
    Cuda *c;
    char *base; /* 0: measure */
    int64_t used, count;
    bool separate;
} Carver;

static bool check(Cuda *c, int status, const char *where)
{
    if (status && !*c->error)
        snprintf(c->error, sizeof c->error, "device %s: %s (%s)", c->name, cuda_status_text(status), where);
    return !*c->error;
}
/* Every call that can fail goes through here. */
#define ok(c, status) check(c, (int)(status), __func__)

static void *carve(Carver *v, int64_t bytes)
{
    if (!bytes) return 0;
    void *p = v->base ? v->base + v->used : 0;
    if (v->base && v->separate && ok(v->c, cudaMalloc(&p, (size_t)bytes))) v->c->allocation[v->c->allocations++] = p;
    v->used += (bytes + 255) / 256 * 256;
    v->count++;
    return p;
}

static int64_t tensor_bytes(const ValueInfo *v, int64_t batch, const void *context)
{
    return batch * v->channels * v->height * v->width * *(const int64_t *)context;
}

/* Values of n samples. */
static int64_t input_count(const Cuda *c, int64_t n)
{
    const ValueInfo *v = c->g->input < 0 ? 0 : &c->g->values[c->g->input];
    return v ? n * v->channels * v->height * v->width : 0;
}

static int64_t target_count(const Cuda *c, int64_t n)
{
    return n * loss_width(c->g->loss, &c->g->detail, c->g->outputs);
}

/* Values of the largest batch: samples, then their targets. 0: there is no input. */
static int64_t batch_count(const Cuda *c)
{
    int64_t count = input_count(c, c->capacity);
    return count ? count + target_count(c, c->capacity) : 0;
}

static int64_t block_count(const Cuda *c, Block b)
{
    return b < BLOCK_WEIGHT_KINDS ? c->g->weight_count : c->g->stat_floats;
}

static bool block_exists(const Cuda *c, Block b)
{
    return !c->forward_only || (b != BLOCK_GRAD && b != BLOCK_MOMENT1 && b != BLOCK_MOMENT2);
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static float *param(const Cuda *c, Block b, int32_t id)
{
    return c->block[b] && id >= 0 ? c->block[b] + c->g->params[id].offset : 0;
}

/* The gradient that a raw or pooled value's producer starts from: its own, or that of the sum it is a term of. */
static void set_grad(Cuda *c, Value v, const float *g, bool relu)
{
    const ValueInfo *info = &c->g->values[v];
    const CudaNorm *n = &c->norm[v];
    KGrad grad = {.g = g, .a = n->a, .b = n->b, .d = n->d};
    if (relu) grad.mask_scale = n->scale, grad.mask_shift = n->shift;
    CudaOp *o = &c->op[info->op];
    o->pool.grad = o->half[0].k.grad = o->half[1].k.grad = grad;
}

static const char *setup_conv(Cuda *c, Arena *perm, int32_t index)
{
    const Graph *g = c->g;
    const Op *op = &g->ops[index];
    CudaOp *o = &c->op[index];
    const ValueInfo *in = &g->values[op->input], *out = &g->values[op->output];
    KConv k = {.grad = o->half[0].k.grad};
    const char *why = step_taps(perm, op, &k);
    if (why) return why;
    const Value *parts;
    int64_t count = step_parts(g, &op->input, &parts);
    if (count > K_MAX_PARTS) return arena_printf(perm, "%s: more than %d tensors side by side", op->name, K_MAX_PARTS);
    k.parts = (int32_t)count;
    for (int64_t p = 0; p < count; p++) {
        k.part_blocks[p] = (int32_t)g->values[parts[p]].channels;
        k.x[p] = c->data[parts[p]];
    }
    k.in_blocks = (int32_t)in->channels;
    k.in_h = (int32_t)in->height, k.in_w = (int32_t)in->width;
    k.out_blocks = (int32_t)out->channels;
    k.out_h = (int32_t)out->height, k.out_w = (int32_t)out->width;
    k.y = c->data[op->output];
    if (in->kind == VALUE_RAW) {
        if (op->conv.factorized)
            return arena_printf(perm, "%s: device cuda: a factorised reduce of a raw value", op->name);
        k.in_scale = c->norm[op->input].scale;
        k.in_shift = c->norm[op->input].shift;
        if (!c->forward_only) set_grad(c, op->input, c->grad[op->input], false);
    }
    if (k.depthwise) k.dw = param(c, BLOCK_WEIGHTS, op->weight);
    if (c->capacity * most(in->height * in->width, out->height * out->width) > INT32_MAX)
        return arena_printf(perm, "%s: device cuda: too many pixels in a batch", op->name);
    o->halves = op->conv.factorized ? 2 : 1;
    for (int32_t h = 0; h < o->halves; h++) {
        CudaConv *half = &o->half[h];
        *half = (CudaConv){.k = k, .n = c->capacity, .bf16 = c->bf16};
        half->weight = param(c, BLOCK_WEIGHTS, k.depthwise || h ? op->weight2 : op->weight);
        half->out_first = h ? k.out_blocks / 2 : 0;
        half->out_count = o->halves == 1 ? k.out_blocks : h ? k.out_blocks - k.out_blocks / 2 : k.out_blocks / 2;
        if (o->halves == 2) {
            half->k.taps = 1;
            half->k.tap_y[0] = k.tap_y[h], half->k.tap_x[0] = k.tap_x[h];
        }
        half->gemm = &c->gemm;
        half->by_gemm = c->gemm_choice ? c->gemm_forced : c->gemm_pays && cuda_conv_by_gemm(half);
    }
    return 0;
}

static void setup_mix(Cuda *c, Arena *perm, Carver *v, int32_t index)
{
    const Graph *g = c->g;
    const Op *op = &g->ops[index];
    const ValueInfo *out = &g->values[op->output];
    CudaOp *o = &c->op[index];
    int32_t count = op->mix.count;
    o->term = NEW(perm, CudaTerm, count);
    o->live = NEW(perm, CudaTerm, count);
    o->live_index = NEW(perm, int32_t, count);
    o->drop = NEW(perm, float *, count);
    o->sent = NEW(perm, CudaTerm, count);
    o->device_term = carve(v, count * (int64_t)sizeof(CudaTerm));
    o->g_term = c->g_terms ? c->g_terms + c->term_count : 0;
    c->term_count += count;
    o->mix = (CudaMix){.term = o->device_term,
                       .bf16 = c->bf16,
                       .channels = out->channels,
                       .height = out->height,
                       .width = out->width,
                       .out = c->data[op->output],
                       .g = c->grad[op->output],
                       .sums = c->sums};
    for (int32_t t = 0; t < count; t++) {
        const Term *term = &op->mix.terms[t];
        if (term->drop) o->drop[t] = carve(v, c->capacity * (int64_t)sizeof(float));
        if (g->values[term->value].kind != VALUE_PLAIN && !c->forward_only)
            set_grad(c, term->value, o->mix.g, term->relu);
    }
}

/* When producers are set up: what each term reads. */
static void setup_terms(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    for (int32_t t = 0; t < op->mix.count; t++) {
        const Term *term = &op->mix.terms[t];
        const ValueInfo *v = &c->g->values[term->value];
        CudaTerm *to = &o->term[t];
        if (v->kind == VALUE_POOLED)
            to->pool = c->op[v->op].pool, to->pooled = 1;
        else
            to->y = c->data[term->value];
        to->relu = term->relu;
        if (v->kind != VALUE_PLAIN) to->scale = c->norm[term->value].scale, to->shift = c->norm[term->value].shift;
        to->weight = term->table < 0 ? 0 : c->mix_weight[term->table] + term->index;
    }
}

static bool two_heads(const Cuda *c)
{
    return c->g->auxiliary >= 0 && !c->forward_only;
}

static void setup_loss(Cuda *c, Carver *v)
{
    static const CudaLossKind kinds[LOSS_KIND_COUNT] = {[LOSS_CROSS_ENTROPY] = CUDA_LOSS_CLASSES,
                                                        [LOSS_MSE] = CUDA_LOSS_SQUARES,
                                                        [LOSS_BINARY] = CUDA_LOSS_BINARY,
                                                        [LOSS_TREE] = CUDA_LOSS_TREE,
                                                        [LOSS_LINEAR] = CUDA_LOSS_LINEAR};
    const Graph *g = c->g;
    const LossDetail *d = &g->detail;
    const int64_t f = sizeof(float), heads = two_heads(c) ? 2 : 1, values = c->capacity * g->outputs;
    const bool soft = g->loss == LOSS_CROSS_ENTROPY && d->soft, tree = g->loss == LOSS_TREE;
    c->targets = carve(v, target_count(c, c->capacity) * f);
    c->loss = (CudaLoss){.kind = soft ? CUDA_LOSS_SHARES : kinds[g->loss],
                         .outputs = (int32_t)g->outputs,
                         .questions = d->questions,
                         .divisive = d->divisive,
                         .weight = d->weight ? carve(v, g->outputs * f) : 0,
                         .question = tree ? carve(v, d->questions * (int64_t)sizeof(CudaQuestion)) : 0,
                         .targets = c->targets,
                         .factor = {1, (float)g->auxiliary_weight},
                         .rows = carve(v, (heads + 1) * c->capacity * f),
                         .tree = tree ? carve(v, 2 * heads * values * f) : 0,
                         .loss = carve(v, f)};
}

static void setup_head(Cuda *c, Carver *v, int32_t index)
{
    const Graph *g = c->g;
    const Op *op = &g->ops[index];
    KHead *k = &c->op[index].head;
    const Value *parts;
    k->parts = (int32_t)step_parts(g, &op->input, &parts);
    for (int32_t p = 0; p < k->parts; p++) {
        k->part_channels[p] = k->part_blocks[p] = (int32_t)g->values[parts[p]].channels;
        k->x[p] = c->data[parts[p]];
    }
    k->channels = (int32_t)g->values[op->input].channels;
    k->height = (int32_t)g->values[op->input].height, k->width = (int32_t)g->values[op->input].width;
    k->outputs = (int32_t)op->head.outputs;
    k->pooled = carve(v, c->capacity * k->channels * (int64_t)sizeof(float));
    k->logits = carve(v, c->capacity * k->outputs * (int64_t)sizeof(float));
    k->weight = param(c, BLOCK_WEIGHTS, op->weight);
    k->bias = param(c, BLOCK_WEIGHTS, op->weight2);
    k->g_logits = op->output == g->auxiliary ? c->g_auxiliary : c->g_logits;
}

static const char *setup_select(Cuda *c, Arena *perm, Carver *v, int32_t index)
{
    const Graph *g = c->g;
    const Op *op = &g->ops[index];
    const ValueInfo *out = &g->values[op->output];
    KSelect *k = &c->op[index].select;
    const Value *parts;
    int64_t count = step_parts(g, &op->input, &parts);
    if (count > K_MAX_PARTS) return arena_printf(perm, "%s: more than %d tensors side by side", op->name, K_MAX_PARTS);
    k->parts = (int32_t)count;
    k->channels = k->blocks = (int32_t)out->channels;
    k->height = (int32_t)out->height, k->width = (int32_t)out->width;
    k->y = c->data[op->output], k->g = c->grad[op->output];
    int32_t *from = c->op[index].select_from = NEW(perm, int32_t, 2 * k->channels);
    for (int32_t p = 0, first = 0; p < k->parts; p++) {
        int32_t channels = k->part_blocks[p] = (int32_t)g->values[parts[p]].channels;
        k->x[p] = c->data[parts[p]];
        for (int32_t i = 0; i < k->channels; i++)
            if (op->select[i] >= first && op->select[i] < first + channels)
                from[i] = p, from[k->channels + i] = op->select[i] - first;
        first += channels;
    }
    int32_t *device = carve(v, 2 * k->channels * (int64_t)sizeof *device);
    k->part = device;
    k->place = device ? device + k->channels : 0;
    return 0;
}

static void setup_learned(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    const ValueInfo *out = &c->g->values[op->output];
    c->op[index].learned = (KLearned){.latent = op->learned.latent,
                                      .channels = (int32_t)out->channels,
                                      .blocks = (int32_t)out->channels,
                                      .pixels = (int32_t)(out->height * out->width),
                                      .scale = (float)op->learned.scale,
                                      .bias = param(c, BLOCK_WEIGHTS, op->weight),
                                      .y = c->data[op->output],
                                      .g = c->grad[op->output],
                                      .g_all = param(c, BLOCK_GRAD, op->weight)};
    if (!op->learned.latent) return;
    c->op[index].learned.weight = param(c, BLOCK_WEIGHTS, op->weight2);
    c->op[index].learned.z = param(c, BLOCK_WEIGHTS, op->weight2 + 1);
}

static void setup_resize(Cuda *c, Carver *v, int32_t index)
{
    const Op *op = &c->g->ops[index];
    const ValueInfo *in = &c->g->values[op->input];
    CudaResize *r = &c->op[index].resize;
    *r = (CudaResize){.bf16 = c->bf16,
                      .k = {.x = c->data[op->input],
                            .channels = (int32_t)in->channels,
                            .blocks = (int32_t)in->channels,
                            .in_h = (int32_t)in->height,
                            .in_w = (int32_t)in->width,
                            .factor = (int32_t)op->resize.factor,
                            .kind = op->resize.kind,
                            .tanh = op->resize.tanh,
                            .norm = op->resize.norm,
                            .y = c->data[op->output],
                            .g = c->grad[op->output]}};
    int64_t bytes = r->k.norm ? c->capacity * (int64_t)sizeof(float) : 0;
    r->mean = carve(v, bytes), r->invstd = carve(v, bytes);
    r->mean_g = carve(v, bytes), r->mean_gy = carve(v, bytes);
}

static void setup_flatten(Cuda *c, Carver *v, int32_t index)
{
    KHead *k = &c->op[index].head;
    k->logits = carve(v, c->capacity * c->g->outputs * (int64_t)sizeof(float));
    k->g_logits = c->g_logits;
}

static void setup_norm(Cuda *c, Carver *v, Value value)
{
    const ValueInfo *info = &c->g->values[value];
    CudaNorm *n = &c->norm[value];
    int64_t f = info->channels * (int64_t)sizeof(float), d = 2 * f;
    *n = (CudaNorm){.channels = info->channels, .norm = info->norm == NORM_PLAIN || info->norm == NORM_AFFINE};
    n->gamma = param(c, BLOCK_WEIGHTS, info->gamma);
    n->beta = param(c, BLOCK_WEIGHTS, info->beta);
    n->running = info->stat < 0 || !c->block[BLOCK_STATS] ? 0 : c->block[BLOCK_STATS] + c->g->stats[info->stat].offset;
    n->scale = carve(v, f), n->shift = carve(v, f);
    n->a = carve(v, f), n->b = carve(v, f), n->d = carve(v, f);
    n->mean = carve(v, d), n->invstd = carve(v, d);
}

/* Work areas that all operations share, for they run one after another. */
static void measure_shared(const Cuda *c, int64_t *sums, int64_t *middle, int64_t *slots, int64_t *gathered,
                           int64_t *weights)
{
    const Graph *g = c->g;
    int64_t parts = cuda_image_parts(c->capacity);
    *sums = *middle = *slots = *gathered = *weights = 0;
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        const CudaOp *o = &c->op[i];
        if (c->plan->group_of[i] < 0) continue;
        int64_t channels = g->values[op->output].channels;
        if (op->kind == OP_POOL) *sums = most(*sums, parts * 2 * channels);
        if (op->kind == OP_MIX) *sums = most(*sums, parts * 2 * channels * op->mix.count);
        if (op->kind == OP_RESIZE) *sums = most(*sums, 2 * c->capacity * cuda_resize_parts(&o->resize));
        for (int32_t h = 0; h < o->halves; h++) {
            const CudaConv *k = &o->half[h];
            *sums = most(*sums, cuda_conv_parts(k) * 2 * channels);
            *sums = most(*sums, cuda_conv_in_parts(k) * 2 * k->k.in_blocks);
            *slots = most(*slots, cuda_conv_slot_floats(k));
            if (k->by_gemm) *weights = most(*weights, cuda_conv_weights(k));
            if (k->by_gemm)
                *gathered = most(*gathered, cuda_conv_gathered_elements(k, c->gemm_forced ? 0 : GATHERED_MOST));
            if (k->k.depthwise) *middle = most(*middle, c->capacity * k->k.in_blocks * k->k.out_h * k->k.out_w);
        }
    }
}

static int64_t all_terms(const Graph *g)
{
    int64_t count = 0;
    for (int32_t i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == OP_MIX) count += g->ops[i].mix.count;
    return count;
}

/* All device memory behind v. Called twice: to measure, then to assign. */
static const char *layout(Cuda *c, Arena *perm, Carver *v, int64_t *parts)
{
    const Graph *g = c->g;
    int64_t f = sizeof(float), start = v->used;
    char *arena = v->separate ? 0 : carve(v, c->plan->bytes);
    for (int32_t i = 0; i < g->value_count; i++) {
        const Buffer *b[2] = {&c->plan->data[i], &c->plan->grad[i]};
        float **to[2] = {&c->data[i], &c->grad[i]};
        for (int k = 0; k < 2; k++) {
            *to[k] = 0;
            if (!b[k]->bytes) continue;
            int64_t bytes = tensor_bytes(&g->values[i], c->capacity, &c->element);
            *to[k] = v->separate ? carve(v, bytes) : arena ? (float *)(void *)(arena + b[k]->offset) : 0;
        }
    }
    parts[0] = v->used - start, start = v->used;
    for (int b = 0; b < BLOCK_COUNT; b++)
        if (block_exists(c, b)) c->block[b] = carve(v, block_count(c, b) * f);
    parts[1] = v->used - start, start = v->used;
    for (int32_t t = 0; t < g->table_count; t++) c->mix_weight[t] = carve(v, g->tables[t].count * f);
    c->g_logits = c->forward_only ? 0 : carve(v, c->capacity * g->outputs * f);
    if (two_heads(c)) c->g_auxiliary = carve(v, c->capacity * g->outputs * f);
    setup_loss(c, v);
    c->device_update = carve(v, sizeof *c->device_update);
    c->clip_factor = carve(v, f);
    for (int i = 0; i < 2; i++) c->arrival[i] = carve(v, batch_count(c) * f);
    c->g_terms = carve(v, all_terms(g) * (int64_t)sizeof(double));
    c->term_count = 0;
    c->dot = carve(v, CUDA_DOT_PARTS * (int64_t)sizeof(double));
    for (Value i = 0; i < g->value_count; i++)
        if (g->values[i].kind == VALUE_RAW || g->values[i].kind == VALUE_POOLED) setup_norm(c, v, i);
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        if (c->plan->group_of[i] < 0) continue;
        const char *why = 0;
        switch (op->kind) {
        case OP_CONV:
        case OP_SEPCONV: why = setup_conv(c, perm, i); break;
        case OP_POOL:
            step_pool(g, op, &c->op[i].pool);
            c->op[i].pool.x = c->data[op->input];
            c->op[i].pool.blocks = (int32_t)g->values[op->output].channels;
            break;
        case OP_MIX: setup_mix(c, perm, v, i); break;
        case OP_HEAD: setup_head(c, v, i); break;
        case OP_SELECT: why = setup_select(c, perm, v, i); break;
        case OP_LEARNED: setup_learned(c, i); break;
        case OP_RESIZE: setup_resize(c, v, i); break;
        case OP_FLATTEN: setup_flatten(c, v, i); break;
        default: break;
        }
        if (why) return why;
    }
    int64_t sums, middle, slots, weights;
    measure_shared(c, &sums, &middle, &slots, &c->gemm.room, &weights);
    c->gemm_workspace = c->gemm.room ? carve(v, CUDA_GEMM_WORKSPACE) : 0;
    c->gemm.gathered = carve(v, c->gemm.room * c->element);
    c->gemm.weight = c->bf16 ? carve(v, weights * c->element) : 0;
    c->sums = carve(v, sums * f);
    c->middle = c->forward_only ? 0 : carve(v, middle * c->element);
    c->slots = c->forward_only ? 0 : carve(v, slots * f);
    parts[2] = v->used - start;
    for (int32_t i = 0; i < g->op_count; i++) {
        CudaOp *o = &c->op[i];
        if (c->plan->group_of[i] < 0) continue;
        for (int32_t h = 0; h < o->halves; h++) o->half[h].middle = c->middle, o->half[h].slots = c->slots;
        o->mix.sums = o->resize.sums = c->sums;
        if (g->ops[i].kind == OP_MIX) setup_terms(c, i);
    }
    return 0;
}

/* Of the selected device: 75 for sm_75. */
static int device_architecture(void)
{
    struct cudaDeviceProp about;
    int index = 0;
    bool known = !cudaGetDevice(&index) && !cudaGetDeviceProperties(&about, index);
    return known ? 10 * about.major + about.minor : 0;
}

static Cuda *cuda_prepare(Arena *perm, Arena scratch, const Graph *g, const EngineOptions *o, Carver *v, int64_t *parts,
                          const char **why)
{
    Cuda *c = v->c = NEW(perm, Cuda, 1);
    c->g = g;
    c->name = arena_strdup(perm, o->device);
    c->capacity = o->batch;
    c->gemm.tf32 = o->tf32;
    c->bf16 = o->precision == PRECISION_BF16;
    c->element = c->bf16 ? 2 : sizeof(float);
    c->profile.element = c->element;
    c->gemm_pays = !c->bf16 || device_architecture() >= 80;
    c->gemm_choice = getenv("NAS_CUDA_GEMM");
    c->gemm_forced = c->gemm_choice && !strcmp(c->gemm_choice, "always");
    c->forward_only = o->forward_only;
    c->mix_grad_known = true; /* none */
    c->plan =
        plan_make(perm, scratch, g, o->batch, o->forward_only, o->single_path, o->recompute, tensor_bytes, &c->element);
    c->op = NEW(perm, CudaOp, g->op_count);
    c->active = NEW(perm, bool, g->op_count);
    memset(c->active, 1, (size_t)g->op_count * sizeof *c->active);
    for (int i = 0; i < PASSES; i++) c->pass[i].active = NEW(perm, bool, g->op_count);
    c->g_terms_host = NEW(perm, double, all_terms(g));
    c->timing = NEW(perm, Timing, 2 * g->op_count);
    c->profile.row_of = NEW(perm, int32_t, g->op_count);
    c->norm = NEW(perm, CudaNorm, g->value_count);
    c->data = NEW(perm, float *, g->value_count);
    c->grad = NEW(perm, float *, g->value_count);
    c->mix_weight = NEW(perm, float *, g->table_count);
    c->mix_grad = NEW(perm, float *, g->table_count);
    c->mix_active = NEW(perm, uint8_t *, g->table_count);
    const char *separate = getenv("NAS_CUDA_SEPARATE");
    v->separate = separate && *separate == '1';
    *why = layout(c, perm, v, parts);
    return *why ? 0 : c;
}

/* Makes device "name:N" (":N" missing: 0) the one that calls are about. Returns 0 or why not. */
static const char *select_device(Arena *perm, const char *device)
{
    const char *colon = strchr(device, ':'), *visible = getenv("CUDA_VISIBLE_DEVICES");
    int index = colon ? atoi(colon + 1) : 0, count = 0;
    cudaError_t e = cudaGetDeviceCount(&count);
    if (!e && index < count && !(e = cudaSetDevice(index))) return 0;
    Text t = {0};
    if (e)
        text_addf(perm, &t, "device %s: %s", device, cudaGetErrorString(e));
    else
        text_addf(perm, &t, "device %s: there %s %d, counted from 0", device, count == 1 ? "is" : "are", count);
    if (visible) text_addf(perm, &t, " (CUDA_VISIBLE_DEVICES is \"%.100s\")", visible);
    return t.s;
}

static int64_t noise_bytes(const Cuda *c)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < c->g->op_count; i++)
        if (c->g->ops[i].kind == OP_NOISE)
            bytes = most(bytes, tensor_bytes(&c->g->values[c->g->ops[i].output], c->capacity, &c->element));
    return bytes;
}

static int64_t output_count(const Cuda *c)
{
    return 1 + c->capacity * c->g->outputs;
}

static const char *cuda_memory(const Graph *g, const EngineOptions *o, Arena scratch, Arena *perm, EngineMemory *out)
{
    Arena room = scratch, rest = scratch; /* one half for what is kept, one for the planner */
    room.end = rest.beg = scratch.beg + (scratch.end - scratch.beg) / 128 * 64;
    int64_t left = arena_left(&room), p[3], f = sizeof(float);
    Carver v = {0};
    const char *why = select_device(perm, o->device);
    if (why) return why;
    Cuda *c = cuda_prepare(&room, rest, g, o, &v, p, &why);
    if (!c) return arena_strdup(perm, why);
    size_t available, total;
    if (!ok(c, cudaMemGetInfo(&available, &total))) return arena_strdup(perm, c->error);
    out->device = v.used;
    out->device_free = (int64_t)available;
    out->host =
        left - arena_left(&room) + 2 * batch_count(c) * f + 2 * output_count(c) * f + o->batch * f + noise_bytes(c);
    out->parts = arena_printf(perm,
                              "on the device: tensors and gradients%s %.1f MB, parameters %.1f MB, sums and work "
                              "areas %.1f MB",
                              c->bf16 ? " in bf16" : "", (double)p[0] / 1e6, (double)p[1] / 1e6, (double)p[2] / 1e6);
    return 0;
}

static void cuda_close(void *b)
{
    Cuda *c = b;
    cudaStreamSynchronize(c->stream);
    cuda_gemm_close(&c->gemm);
    for (int i = 0; i < PASSES; i++)
        if (c->pass[i].exec) cudaGraphExecDestroy(c->pass[i].exec);
    for (int32_t i = 0; i < 2 * c->g->op_count; i++) {
        if (c->timing[i].from) cudaEventDestroy(c->timing[i].from);
        if (c->timing[i].to) cudaEventDestroy(c->timing[i].to);
    }
    for (int i = 0; i < 2; i++) {
        if (c->copied[i]) cudaEventDestroy(c->copied[i]);
        if (c->taken[i]) cudaEventDestroy(c->taken[i]);
        if (c->output[i].arrived) cudaEventDestroy(c->output[i].arrived);
        cudaFreeHost(c->staging[i]);
        cudaFreeHost(c->output[i].host);
    }
    if (c->copies) cudaStreamDestroy(c->copies);
    for (int32_t i = 0; i < c->allocations; i++) cudaFree(c->allocation[i]);
    cudaStreamDestroy(c->stream);
}

static void synchronise(Cuda *c)
{
    ok(c, cudaStreamSynchronize(c->stream));
}

static void to_device(Cuda *c, void *to, const void *from, int64_t bytes)
{
    if (bytes && !*c->error) ok(c, cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, c->stream));
}

static void start_to_host(Cuda *c, void *to, const void *from, int64_t bytes)
{
    if (bytes && !*c->error) ok(c, cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDeviceToHost, c->stream));
}

static void to_host(Cuda *c, void *to, const void *from, int64_t bytes)
{
    start_to_host(c, to, from, bytes);
    synchronise(c);
    if (*c->error) memset(to, 0xff, (size_t)bytes); /* not a number */
}

/* What blocks, weights and coefficients hold before anything else. */
static void set_up_device(Cuda *c, Arena scratch)
{
    const Graph *g = c->g;
    for (int b = 0; b < BLOCK_COUNT; b++)
        if (c->block[b]) ok(c, cudaMemsetAsync(c->block[b], 0, (size_t)block_count(c, b) * sizeof(float), c->stream));
    int64_t most_channels = 1;
    for (Value v = 0; v < g->value_count; v++) most_channels = most(most_channels, g->values[v].channels);
    for (int32_t t = 0; t < g->table_count; t++) most_channels = most(most_channels, g->tables[t].count);
    float *ones = NEW(&scratch, float, most_channels), *weight = NEW(&scratch, float, g->outputs);
    for (int64_t i = 0; i < most_channels; i++) ones[i] = 1;
    for (Value v = 0; v < g->value_count; v++) {
        CudaNorm *n = &c->norm[v];
        if (!n->scale) continue;
        size_t bytes = (size_t)n->channels * sizeof(float);
        float *zero[] = {n->shift, n->a, n->b, n->d};
        for (int i = 0; i < COUNTOF(zero); i++) ok(c, cudaMemsetAsync(zero[i], 0, bytes, c->stream));
        ok(c, cudaMemcpyAsync(n->scale, ones, bytes, cudaMemcpyHostToDevice, c->stream));
        if (n->running)
            ok(c, cudaMemcpyAsync(n->running + n->channels, ones, bytes, cudaMemcpyHostToDevice, c->stream));
    }
    for (int32_t t = 0; t < g->table_count; t++)
        ok(c, cudaMemcpyAsync(c->mix_weight[t], ones, (size_t)g->tables[t].count * sizeof(float),
                              cudaMemcpyHostToDevice, c->stream));
    for (int32_t i = 0; i < g->op_count; i++)
        if (c->op[i].select_from)
            ok(c, cudaMemcpyAsync((void *)c->op[i].select.part, c->op[i].select_from,
                                  2 * (size_t)c->op[i].select.channels * sizeof(int32_t), cudaMemcpyHostToDevice,
                                  c->stream));
    if (c->term_count) ok(c, cudaMemsetAsync(c->g_terms, 0, (size_t)c->term_count * sizeof *c->g_terms, c->stream));
    ok(c, cudaMemsetAsync(c->loss.loss, 0, sizeof *c->loss.loss, c->stream));
    for (int64_t i = 0; c->loss.weight && i < g->outputs; i++) weight[i] = (float)g->detail.weight[i];
    to_device(c, (void *)c->loss.weight, weight, c->loss.weight ? g->outputs * (int64_t)sizeof *weight : 0);
    CudaQuestion *question = NEW(&scratch, CudaQuestion, g->detail.questions);
    for (int32_t i = 0; i < g->detail.questions; i++) {
        const Question *q = &g->detail.question[i];
        question[i] = (CudaQuestion){q->first, q->count, q->parent};
    }
    if (c->loss.question)
        to_device(c, (void *)c->loss.question, question, g->detail.questions * (int64_t)sizeof *question);
    synchronise(c);
}

static void *cuda_open(Arena *perm, const Graph *g, const EngineOptions *o, const char **why)
{
    if ((*why = select_device(perm, o->device))) return 0;
    Arena scratch = arena_reserve((ptrdiff_t)1 << 30);
    Carver v = {0};
    int64_t parts[3];
    Cuda *c = cuda_prepare(perm, scratch, g, o, &v, parts, why);
    arena_release(scratch);
    if (!c) return 0;
    int64_t bytes = v.used, f = sizeof(float), batch = batch_count(c) * f;
    c->allocation = NEW(perm, void *, v.count + 1);
    struct cudaDeviceProp about;
    int index = 0;
    ok(c, cudaGetDevice(&index));
    ok(c, cudaGetDeviceProperties(&about, index));
    ok(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    ok(c, cudaStreamCreateWithFlags(&c->copies, cudaStreamNonBlocking));
    for (int i = 0; i < 2; i++) {
        ok(c, cudaEventCreateWithFlags(&c->copied[i], cudaEventDisableTiming));
        ok(c, cudaEventCreateWithFlags(&c->taken[i], cudaEventDisableTiming));
        ok(c, cudaEventCreateWithFlags(&c->output[i].arrived, cudaEventDisableTiming));
        ok(c, cudaMallocHost((void **)&c->output[i].host, (size_t)(output_count(c) * f)));
    }
    const char *graphs = getenv("NAS_CUDA_GRAPH");
    c->by_graph = !(graphs && *graphs == '0') && !noise_bytes(c);
    Carver at = {.c = c, .base = (char *)8, .separate = v.separate};
    if (!v.separate && ok(c, cudaMalloc((void **)&at.base, (size_t)bytes))) c->allocation[c->allocations++] = at.base;
    for (int i = 0; i < 2 && batch; i++) ok(c, cudaMallocHost((void **)&c->staging[i], (size_t)batch));
    if (!*c->error) *why = layout(c, perm, &at, parts);
    assert(*c->error || (!*why && at.used == bytes));
    c->drop_host = NEW(perm, float, o->batch);
    c->noise = NEW(perm, char, noise_bytes(c));
    for (int32_t t = 0; t < g->table_count; t++) {
        c->mix_grad[t] = NEW(perm, float, g->tables[t].count);
        c->mix_active[t] = NEW(perm, uint8_t, g->tables[t].count);
        memset(c->mix_active[t], 1, (size_t)g->tables[t].count);
    }
    if (!*c->error && c->gemm.room) ok(c, cuda_gemm_open(&c->gemm, c->gemm_workspace, CUDA_GEMM_WORKSPACE, c->stream));
    if (!*c->error) set_up_device(c, *perm);
    if (*c->error) {
        *why = arena_printf(perm, "%s; %.1f MB were asked for", c->error, (double)bytes / 1e6);
        cuda_close(c);
        return 0;
    }
    c->device = arena_printf(perm, "%s: %s, sm_%d%d%s%s", o->device, about.name, about.major, about.minor,
                             c->gemm.tf32 ? ", TF32" : "", c->bf16 ? ", bf16" : "");
    return c;
}

/* ---- flat blocks ---- */

static void flush(Cuda *c); /* launches what is pending; this and the next are with the passes, below */
static void know_mix_gradients(Cuda *c);

static void cuda_upload(void *b, Block to, const float *from)
{
    Cuda *c = b;
    flush(c);
    to_device(c, c->block[to], from, block_count(c, to) * (int64_t)sizeof *from);
}

static void cuda_download(void *b, Block from, float *to)
{
    Cuda *c = b;
    flush(c);
    to_host(c, to, c->block[from], block_count(c, from) * (int64_t)sizeof *to);
}

static void cuda_copy(void *b, Block to, Block from)
{
    Cuda *c = b;
    assert(block_count(c, to) == block_count(c, from));
    flush(c);
    if (block_count(c, to))
        ok(c, cudaMemcpyAsync(c->block[to], c->block[from], (size_t)block_count(c, to) * sizeof(float),
                              cudaMemcpyDeviceToDevice, c->stream));
}

static void cuda_scale_block(void *b, Block y, double factor)
{
    Cuda *c = b;
    flush(c);
    ok(c, cuda_scale(block_count(c, y), c->block[y], (float)factor, c->stream));
}

static void cuda_axpy_block(void *b, Block y, double a, Block x)
{
    Cuda *c = b;
    flush(c);
    ok(c, cuda_axpy(block_count(c, y), c->block[y], (float)a, c->block[x], c->stream));
}

static double cuda_dot_block(void *b, Block x, Block y)
{
    Cuda *c = b;
    double result = 0;
    flush(c);
    ok(c, cuda_dot(block_count(c, x), c->block[x], c->block[y], c->dot, c->stream));
    to_host(c, &result, c->dot, sizeof result);
    return result;
}

static void cuda_clip_step(void *b, double most)
{
    Cuda *c = b;
    c->update.clip = most;
    c->clipping = true;
}

/* An update ends what is pending. */
static void update(Cuda *c, int what)
{
    c->pending |= what | (c->clipping ? DO_CLIP : 0);
    c->clipping = false;
    flush(c);
}

static void cuda_sgd_step(void *b, double lr, double momentum, double weight_decay, bool nesterov, double grad_scale)
{
    Cuda *c = b;
    c->update.sgd = (KSgd){(float)lr, (float)momentum, (float)weight_decay, (float)grad_scale, nesterov};
    update(c, DO_SGD);
}

static void cuda_adam_step(void *b, double lr, double beta1, double beta2, double eps, double weight_decay,
                           bool decoupled, int64_t step, double grad_scale)
{
    Cuda *c = b;
    c->update.adam = step_adam(lr, beta1, beta2, eps, weight_decay, decoupled, step, grad_scale);
    update(c, DO_ADAM);
}

/* ---- settings and input of a step ---- */

static void cuda_set_mix(void *b, int32_t table, const float *weight)
{
    Cuda *c = b;
    flush(c);
    to_device(c, c->mix_weight[table], weight, c->g->tables[table].count * (int64_t)sizeof *weight);
}

static void cuda_set_active(void *b, int32_t table, const uint8_t *active)
{
    Cuda *c = b;
    flush(c);
    if (c->what & GRAD_MIX) know_mix_gradients(c); /* they are of the terms that were on */
    if (active)
        memcpy(c->mix_active[table], active, (size_t)c->g->tables[table].count);
    else
        memset(c->mix_active[table], 1, (size_t)c->g->tables[table].count);
    step_active(c->g, c->plan, c->mix_active, c->active);
}

static void cuda_set_drop(void *b, double p, uint64_t seed, int64_t step)
{
    Cuda *c = b;
    flush(c);
    c->drop_p = p, c->drop_seed = seed, c->drop_step = step;
}

static void cuda_batch(void *b, const float *x, const float *y, int64_t n)
{
    Cuda *c = b;
    assert(n >= 1 && n <= c->capacity);
    flush(c);
    c->n = n;
    c->has_targets = y != 0;
    const int64_t f = sizeof(float), count = x ? input_count(c, n) : 0, targets = y ? target_count(c, n) : 0;
    if (!count) { /* none, or none are needed */
        to_device(c, c->targets, y, targets * f);
        return;
    }
    int t = c->turn = !c->turn;
    if (c->used[t]) ok(c, cudaEventSynchronize(c->copied[t]));
    memcpy(c->staging[t], x, (size_t)(count * f));
    if (y) memcpy(c->staging[t] + count, y, (size_t)(targets * f));
    if (c->used[t]) ok(c, cudaStreamWaitEvent(c->copies, c->taken[t], 0));
    ok(c, cudaMemcpyAsync(c->arrival[t], c->staging[t], (size_t)((count + targets) * f), cudaMemcpyHostToDevice,
                          c->copies));
    ok(c, cudaEventRecord(c->copied[t], c->copies));
    ok(c, cudaStreamWaitEvent(c->stream, c->copied[t], 0));
    float *input = c->data[c->g->input];
    if (c->bf16)
        ok(c, cuda_to_bf16(count, c->arrival[t], input, c->stream));
    else
        ok(c, cudaMemcpyAsync(input, c->arrival[t], (size_t)(count * f), cudaMemcpyDeviceToDevice, c->stream));
    if (y)
        ok(c, cudaMemcpyAsync(c->targets, c->arrival[t] + count, (size_t)(targets * f), cudaMemcpyDeviceToDevice,
                              c->stream));
    ok(c, cudaEventRecord(c->taken[t], c->stream));
    c->used[t] = true;
}

static void cuda_value(void *b, Value v, float *out)
{
    Cuda *c = b;
    assert(c->data[v]);
    flush(c);
    int64_t bytes = tensor_bytes(&c->g->values[v], c->n, &c->element), count = bytes / c->element;
    char *from = (char *)out + count * (int64_t)sizeof *out - bytes; /* bf16: the upper half */
    to_host(c, from, c->data[v], bytes);
    for (int64_t i = 0; c->bf16 && i < count; i++) {
        uint16_t upper; /* of a float; what is overwritten has been read */
        memcpy(&upper, from + i * c->element, sizeof upper);
        uint32_t bits = (uint32_t)upper << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

/* ---- forward ---- */

/* The terms that are on, side by side, to the device, if it does not have them so. */
static void send_terms(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    o->mix.n = c->n;
    o->mix.terms = 0;
    for (int32_t t = 0; t < op->mix.count; t++)
        if (step_term_on(c->mix_active, &op->mix.terms[t])) {
            o->live_index[o->mix.terms] = t;
            o->live[o->mix.terms++] = o->term[t];
        }
    int64_t bytes = o->mix.terms * (int64_t)sizeof *o->live;
    if (o->sent_terms == o->mix.terms && !memcmp(o->sent, o->live, (size_t)bytes)) return;
    to_device(c, o->device_term, o->live, bytes);
    memcpy(o->sent, o->live, (size_t)bytes);
    o->sent_terms = o->mix.terms;
}

static void set_drop_masks(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    for (int32_t t = 0; t < op->mix.count; t++) {
        const Term *term = &op->mix.terms[t];
        if (!term->drop) continue;
        const float *scale = o->term[t].sample_scale = c->dropping ? o->drop[t] : 0;
        if (c->g->values[term->value].kind != VALUE_PLAIN) {
            CudaOp *producer = &c->op[c->g->values[term->value].op];
            producer->pool.grad.sample_scale = scale;
            for (int h = 0; h < 2; h++) producer->half[h].k.grad.sample_scale = scale;
        }
        if (!c->dropping) continue;
        step_drop(c->drop_p, c->drop_seed, c->drop_step, index, t, c->n, c->drop_host);
        to_device(c, o->drop[t], c->drop_host, c->n * (int64_t)sizeof(float));
    }
}

/* Stores a finite number as an element of a tensor. */
static void put_element(const Cuda *c, char *to, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (c->bf16) { /* to nearest, ties to even */
        uint16_t upper = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        memcpy(to, &upper, sizeof upper);
    } else
        memcpy(to, &bits, sizeof bits);
}

/* Random numbers of 64 bits are the host's business. */
static void forward_noise(Cuda *c, int32_t index)
{
    const ValueInfo *v = &c->g->values[c->g->ops[index].output];
    int64_t bytes = tensor_bytes(v, c->n, &c->element);
    for (int64_t i = 0; i < bytes / c->element; i++)
        put_element(c, c->noise + i * c->element, step_noise(c->drop_seed, c->drop_step, index, (uint64_t)i));
    to_device(c, c->data[c->g->ops[index].output], c->noise, bytes);
}

/* `again`: of a tensor that was forgotten; statistics stay as they are. */
static void forward_op(Cuda *c, int32_t index, bool again)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    CudaNorm *norm = &c->norm[op->output];
    bool train = norm->norm && c->mode == MODE_TRAIN && !again;
    norm->count = c->n * c->g->values[op->output].height * c->g->values[op->output].width;
    int64_t parts = 0;
    switch (op->kind) {
    case OP_CONV:
    case OP_SEPCONV:
        /* both halves of a factorised reduce have as many parts: the wider one's tile is the lower bound of both */
        for (int32_t h = 0; h < o->halves; h++) {
            CudaConv *k = &o->half[h];
            k->n = c->n;
            k->sums = train ? c->sums : 0;
            parts = cuda_conv_parts(k);
            ok(c, cuda_conv_forward(k, c->stream));
        }
        break;
    case OP_POOL:
        if (train) ok(c, cuda_pool_sums(&o->pool, c->n, c->bf16, c->sums, c->stream));
        parts = cuda_image_parts(c->n);
        break;
    case OP_MIX: ok(c, cuda_mix_forward(&o->mix, c->stream)); return;
    case OP_HEAD: ok(c, cuda_head_forward(&o->head, c->n, c->bf16, c->stream)); return;
    case OP_SELECT: ok(c, cuda_select_forward(&o->select, c->n, c->bf16, c->stream)); return;
    case OP_LEARNED: ok(c, cuda_learned_forward(&o->learned, c->n, c->bf16, c->stream)); return;
    case OP_RESIZE:
        o->resize.n = c->n;
        ok(c, cuda_resize_forward(&o->resize, c->stream));
        return;
    case OP_FLATTEN:
        ok(c, cuda_flatten_forward(c->n * c->g->outputs, c->data[op->input], c->bf16, o->head.logits, c->stream));
        return;
    case OP_NOISE: forward_noise(c, index); return;
    default: return;
    }
    if (again) return;
    if (train)
        ok(c, cuda_norm_train(norm, c->sums, parts, norm_epsilon, norm_momentum, c->stream));
    else if (norm->norm || norm->beta)
        ok(c, cuda_norm_eval(norm, norm_epsilon, c->stream));
}

/* ---- passes ---- */

static float *wanted_grad(const Cuda *c, Value v)
{
    return (c->what & GRAD_WEIGHTS) || c->plan->needs_mix_grad[v] ? c->grad[v] : 0;
}

static void begin_timing(Cuda *c, int32_t op, bool backward)
{
    if (!c->profiling) return;
    Timing *t = &c->timing[c->timings];
    if (!t->from) {
        ok(c, cudaEventCreateWithFlags(&t->from, cudaEventDefault));
        ok(c, cudaEventCreateWithFlags(&t->to, cudaEventDefault));
    }
    t->op = op, t->backward = backward;
    ok(c, cudaEventRecord(t->from, c->stream));
}

static bool has_work(const Cuda *c, int32_t index)
{
    const CudaOp *o = &c->op[index];
    switch (c->g->ops[index].kind) {
    case OP_CONV:
    case OP_SEPCONV: return o->half[0].k.grad.g && (o->half[0].g_weight || o->half[0].wants_input);
    case OP_POOL: return o->pool.grad.g && o->pool.gx;
    case OP_HEAD: return true;
    case OP_LEARNED: return c->what & GRAD_WEIGHTS;
    case OP_RESIZE: return wanted_grad(c, c->g->ops[index].input) && wanted_grad(c, c->g->ops[index].output);
    case OP_FLATTEN: return wanted_grad(c, c->g->ops[index].input);
    default: return wanted_grad(c, c->g->ops[index].output);
    }
}

static void end_timing(Cuda *c)
{
    if (!c->profiling) return;
    Timing *t = &c->timing[c->timings++];
    t->work = c->g->ops[t->op].kind != OP_NOISE && (!t->backward || has_work(c, t->op));
    ok(c, cudaEventRecord(t->to, c->stream));
}

/* Between the events that stand before and behind each operation in the stream. */
static void add_timings(Cuda *c)
{
    if (!c->timings) return;
    synchronise(c);
    for (int32_t i = 0; i < c->timings; i++) {
        const Timing *t = &c->timing[i];
        float ms = 0;
        if (ok(c, cudaEventElapsedTime(&ms, t->from, t->to)))
            step_profile(&c->profile, c->g, t->op, c->n, t->backward, t->work, c->what & GRAD_WEIGHTS,
                         1e-3 * (double)ms);
    }
    c->timings = 0;
}

/* The pass of this key, or a new one in the place of that which was not used for the longest time. */
static Pass *find_pass(Cuda *c, const PassKey *key)
{
    Pass *oldest = c->pass;
    size_t bytes = (size_t)c->g->op_count * sizeof *c->active;
    for (Pass *p = c->pass; p < c->pass + PASSES; p++) {
        const PassKey *k = &p->key;
        if (p->used && k->n == key->n && k->parts == key->parts && k->drop == key->drop && k->mode == key->mode &&
            k->what == key->what && !memcmp(p->active, c->active, bytes))
            return p;
        if (p->used < oldest->used) oldest = p;
    }
    if (oldest->exec) ok(c, cudaGraphExecDestroy(oldest->exec));
    memcpy(oldest->active, c->active, bytes);
    *oldest = (Pass){.key = *key, .active = oldest->active};
    return oldest;
}

static void launch_forward(Cuda *c)
{
    const Plan *p = c->plan;
    for (int32_t i = 0; i < p->group_start[p->groups] && !*c->error; i++) {
        int32_t index = p->order[i];
        if (!c->active[index]) continue;
        begin_timing(c, index, false);
        forward_op(c, index, false);
        end_timing(c);
    }
}

static void cuda_forward(void *b, Mode mode)
{
    Cuda *c = b;
    const Plan *p = c->plan;
    flush(c);
    c->mode = mode;
    c->dropping = mode == MODE_TRAIN && c->drop_p > 0;
    c->spent = false;
    for (int32_t i = 0; i < p->group_start[p->groups]; i++) {
        int32_t index = p->order[i];
        if (c->g->ops[index].kind != OP_MIX) continue;
        set_drop_masks(c, index);
        if (c->active[index]) send_terms(c, index);
    }
    c->pending = DO_FORWARD | (c->has_targets ? DO_LOSS : 0);
    if (c->profiling) flush(c);
}

static void launch_loss(Cuda *c)
{
    const Graph *g = c->g;
    const bool train = c->mode == MODE_TRAIN && !c->forward_only;
    CudaLoss *k = &c->loss;
    k->n = c->n;
    k->heads = two_heads(c) && train ? 2 : 1;
    k->logits[0] = c->op[g->values[g->logits].op].head.logits;
    k->grad[0] = train ? c->g_logits : 0;
    if (k->heads == 2) k->logits[1] = c->op[g->values[g->auxiliary].op].head.logits, k->grad[1] = c->g_auxiliary;
    ok(c, cuda_loss(k, c->stream));
}

static void cuda_targets(void *b, const float *y)
{
    Cuda *c = b;
    flush(c);
    to_device(c, c->targets, y, target_count(c, c->n) * (int64_t)sizeof *y);
    c->has_targets = true;
    launch_loss(c);
}

/* ---- outputs ---- */

/* Waits for it, and no longer. */
static void take_output(Cuda *c, Output *o)
{
    if (!o->busy) return;
    o->busy = false;
    ok(c, cudaEventSynchronize(o->arrived));
    if (*c->error) memset(o->host, 0xff, (size_t)(1 + o->values) * sizeof *o->host); /* not numbers */
    if (o->loss) *o->loss = (double)o->host[0];
    if (o->logits) memcpy(o->logits, o->host + 1, (size_t)o->values * sizeof *o->logits);
}

static void cuda_outputs(void *b, double *loss, float *logits)
{
    Cuda *c = b;
    const Graph *g = c->g;
    Output *o = &c->output[c->output_turn];
    flush(c);
    c->output_turn = !c->output_turn;
    take_output(c, o);
    if (loss && !c->has_targets) *loss = NAN, loss = 0;
    o->loss = loss, o->logits = logits;
    o->values = logits ? c->n * g->outputs : 0;
    o->busy = true;
    if (loss) start_to_host(c, o->host, c->loss.loss, sizeof(float));
    if (logits)
        start_to_host(c, o->host + 1, c->op[g->values[g->logits].op].head.logits, o->values * (int64_t)sizeof *logits);
    ok(c, cudaEventRecord(o->arrived, c->stream));
}

static void cuda_wait(void *b)
{
    Cuda *c = b;
    for (int i = 0; i < 2; i++) take_output(c, &c->output[i ^ c->output_turn]); /* in order */
}

/* ---- backward ---- */

static void set_norm_gradients(Cuda *c, Value v)
{
    const ValueInfo *info = &c->g->values[v];
    bool weights = c->what & GRAD_WEIGHTS;
    c->norm[v].g_gamma = weights ? param(c, BLOCK_GRAD, info->gamma) : 0;
    c->norm[v].g_beta = weights ? param(c, BLOCK_GRAD, info->beta) : 0;
    c->norm[v].count = c->n * info->height * info->width;
}

static void backward_conv(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    bool weights = c->what & GRAD_WEIGHTS;
    const Value *inputs;
    int64_t count = step_parts(c->g, &op->input, &inputs), parts = 0;
    if (!o->half[0].k.grad.g) return; /* noise alone reads what follows */
    for (int32_t h = 0; h < o->halves; h++) {
        CudaConv *k = &o->half[h];
        k->n = c->n;
        k->wants_input = 0;
        for (int64_t p = 0; p < count; p++) {
            k->k.gx[p] = wanted_grad(c, inputs[p]);
            k->wants_input |= k->k.gx[p] != 0;
        }
        k->g_weight = weights ? param(c, BLOCK_GRAD, k->k.depthwise || h ? op->weight2 : op->weight) : 0;
        k->g_dw = weights && k->k.depthwise ? param(c, BLOCK_GRAD, op->weight) : 0;
        k->in_sums = k->k.in_scale ? c->sums : 0;
        parts = cuda_conv_in_parts(k);
        if (k->g_weight || k->wants_input) ok(c, cuda_conv_backward(k, c->stream));
    }
    if (!o->half[0].k.in_scale || !o->half[0].wants_input) return;
    set_norm_gradients(c, op->input);
    ok(c,
       cuda_norm_backward(&c->norm[op->input], c->sums, parts, 2 * (int64_t)o->half[0].k.in_blocks, 0, 0, c->stream));
}

/* Where the terms' gradients go. */
static void send_targets(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    if (!wanted_grad(c, op->output)) return;
    for (int32_t t = 0; t < op->mix.count; t++) {
        bool plain = c->g->values[op->mix.terms[t].value].kind == VALUE_PLAIN;
        c->op[index].term[t].gx = plain ? wanted_grad(c, op->mix.terms[t].value) : 0;
    }
    send_terms(c, index);
}

static void backward_mix(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    if (!wanted_grad(c, op->output)) return;
    bool inputs = false;
    ok(c, cuda_mix_sums(&o->mix, c->stream));
    int64_t parts = cuda_image_parts(c->n), stride = 2 * o->mix.channels * o->mix.terms;
    for (int32_t i = 0; i < o->mix.terms; i++) {
        Value v = op->mix.terms[o->live_index[i]].value;
        CudaNorm plain = {.channels = o->mix.channels}, *norm = &plain;
        if (c->g->values[v].kind != VALUE_PLAIN) set_norm_gradients(c, v), norm = &c->norm[v];
        ok(c, cuda_norm_backward(norm, c->sums + 2 * o->mix.channels * i, parts, stride, o->live[i].weight,
                                 o->g_term + o->live_index[i], c->stream));
        inputs |= o->live[i].gx != 0;
    }
    if (inputs) ok(c, cuda_mix_input(&o->mix, c->stream));
}

static void backward_op(Cuda *c, int32_t index)
{
    const Op *op = &c->g->ops[index];
    CudaOp *o = &c->op[index];
    bool weights = c->what & GRAD_WEIGHTS;
    const Value *inputs;
    switch (op->kind) {
    case OP_CONV:
    case OP_SEPCONV: backward_conv(c, index); break;
    case OP_POOL:
        o->pool.gx = wanted_grad(c, op->input);
        if (o->pool.gx && o->pool.grad.g) ok(c, cuda_pool_backward(&o->pool, c->n, c->bf16, c->stream));
        break;
    case OP_MIX: backward_mix(c, index); break;
    case OP_HEAD:
        step_parts(c->g, &op->input, &inputs);
        for (int32_t p = 0; p < o->head.parts; p++) o->head.gx[p] = wanted_grad(c, inputs[p]);
        ok(c, cuda_head_backward(&o->head, c->n, c->bf16, weights ? param(c, BLOCK_GRAD, op->weight) : 0,
                                 weights ? param(c, BLOCK_GRAD, op->weight2) : 0, c->stream));
        break;
    case OP_SELECT:
        step_parts(c->g, &op->input, &inputs);
        for (int32_t p = 0; p < o->select.parts; p++) o->select.gx[p] = wanted_grad(c, inputs[p]);
        if (wanted_grad(c, op->output)) ok(c, cuda_select_backward(&o->select, c->n, c->bf16, c->stream));
        break;
    case OP_LEARNED:
        if (weights) ok(c, cuda_learned_backward(&o->learned, c->n, c->bf16, c->stream));
        break;
    case OP_RESIZE:
        o->resize.k.gx = wanted_grad(c, op->input);
        if (o->resize.k.gx && wanted_grad(c, op->output)) ok(c, cuda_resize_backward(&o->resize, c->stream));
        break;
    case OP_FLATTEN:
        if (wanted_grad(c, op->input))
            ok(c, cuda_flatten_backward(c->n * c->g->outputs, c->grad[op->input], c->bf16, c->g_logits, c->stream));
        break;
    default: break;
    }
}

/* Adds up what the terms of all sums say about the tables' elements, in the order of the backward pass. */
static void gather_mix_gradients(Cuda *c)
{
    const Graph *g = c->g;
    for (int32_t t = 0; t < g->table_count; t++) memset(c->mix_grad[t], 0, (size_t)g->tables[t].count * sizeof(float));
    if (!g->table_count) return;
    to_host(c, c->g_terms_host, c->g_terms, c->term_count * (int64_t)sizeof *c->g_terms);
    for (int32_t group = c->plan->groups - 1; group >= 0; group--)
        for (int32_t i = c->plan->group_start[group]; i < c->plan->group_start[group + 1]; i++) {
            int32_t index = c->plan->order[i];
            const Op *op = &g->ops[index];
            if (op->kind != OP_MIX || !c->active[index]) continue;
            const double *grad = c->g_terms_host + (c->op[index].g_term - c->g_terms);
            for (int32_t t = 0; t < op->mix.count; t++)
                if (op->mix.terms[t].table >= 0 && step_term_on(c->mix_active, &op->mix.terms[t]))
                    c->mix_grad[op->mix.terms[t].table][op->mix.terms[t].index] += (float)grad[t];
        }
}

/* Part of the backward pass, but the host's profile has it, too, as one more forward call. */
static void again_op(Cuda *c, int32_t index)
{
    begin_timing(c, index, false);
    forward_op(c, index, true);
    end_timing(c);
}

static void launch_backward(Cuda *c)
{
    const Graph *g = c->g;
    const Plan *p = c->plan;
    if (c->what & GRAD_WEIGHTS)
        ok(c, cudaMemsetAsync(c->block[BLOCK_GRAD], 0, (size_t)g->weight_count * sizeof(float), c->stream));
    for (int32_t s = p->groups; s < p->steps && !*c->error; s++) {
        int32_t group = p->step[s].group, from = p->group_start[group], to = p->group_start[group + 1];
        if (p->step[s].kind == STEP_AGAIN) {
            for (int32_t i = from; i < to; i++)
                if (c->active[p->order[i]] && p->again[p->order[i]]) again_op(c, p->order[i]);
            continue;
        }
        for (Value v = 0; v < g->value_count; v++) /* gradients that are added to from now on */
            if (p->grad[v].bytes && p->grad[v].life[0].birth == s && g->values[v].kind == VALUE_PLAIN)
                ok(c,
                   cudaMemsetAsync(c->grad[v], 0, (size_t)tensor_bytes(&g->values[v], c->n, &c->element), c->stream));
        for (int32_t i = to - 1; i >= from; i--) {
            if (!c->active[p->order[i]]) continue;
            begin_timing(c, p->order[i], true);
            backward_op(c, p->order[i]);
            end_timing(c);
        }
    }
}

static void cuda_backward(void *b, GradWhat what)
{
    Cuda *c = b;
    const Graph *g = c->g;
    const Plan *p = c->plan;
    assert(!c->forward_only && c->mode == MODE_TRAIN && c->has_targets && !c->spent);
    c->spent = true;
    c->what = what;
    c->mix_grad_known = false;
    for (int32_t i = 0; i < p->group_start[p->groups]; i++)
        if (g->ops[p->order[i]].kind == OP_MIX && c->active[p->order[i]]) send_targets(c, p->order[i]);
    c->pending |= DO_BACKWARD;
    if (c->profiling) flush(c);
}

static void know_mix_gradients(Cuda *c)
{
    flush(c);
    if (!c->mix_grad_known) gather_mix_gradients(c);
    c->mix_grad_known = true;
}

static void cuda_get_mix_grad(void *b, int32_t table, float *grad)
{
    Cuda *c = b;
    know_mix_gradients(c);
    memcpy(grad, c->mix_grad[table], (size_t)c->g->tables[table].count * sizeof *grad);
}

/* ---- what is pending ---- */

static void launch_update(Cuda *c, int parts)
{
    const float *factor = parts & DO_CLIP ? c->clip_factor : 0, *grad = c->block[BLOCK_GRAD];
    const int64_t n = c->g->weight_count;
    float *w = c->block[BLOCK_WEIGHTS], *m = c->block[BLOCK_MOMENT1];
    if (factor) ok(c, cuda_clip(c->device_update, n, grad, c->dot, c->clip_factor, c->stream));
    if (parts & DO_SGD) ok(c, cuda_sgd(c->device_update, factor, c->loss.loss, n, w, grad, m, c->stream));
    if (parts & DO_ADAM)
        ok(c, cuda_adam(c->device_update, factor, c->loss.loss, n, w, grad, m, c->block[BLOCK_MOMENT2], c->stream));
}

static void launch(Cuda *c, int parts)
{
    if (parts & DO_FORWARD) launch_forward(c);
    if (parts & DO_LOSS) launch_loss(c);
    if (parts & DO_BACKWARD) launch_backward(c);
    if (parts & (DO_SGD | DO_ADAM)) launch_update(c, parts);
}

static void flush(Cuda *c)
{
    const int parts = c->pending;
    if (!parts) return;
    c->pending = 0;
    if (parts & (DO_SGD | DO_ADAM)) to_device(c, c->device_update, &c->update, sizeof c->update);
    if (!c->by_graph || c->profiling || !(parts & (DO_FORWARD | DO_BACKWARD))) {
        launch(c, parts);
        add_timings(c);
        return;
    }
    PassKey key = {c->n, parts, c->dropping, c->mode, parts & DO_BACKWARD ? c->what : 0};
    Pass *p = find_pass(c, &key);
    p->used = ++c->passes;
    if (!p->seen) { /* many come but once, and kernels that are new are loaded now */
        p->seen = true;
        launch(c, parts);
        return;
    }
    if (!p->exec && !*c->error) {
        cudaGraph_t graph = 0;
        if (!ok(c, cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal))) return;
        launch(c, parts);
        ok(c, cudaStreamEndCapture(c->stream, &graph));
        if (!*c->error) ok(c, cudaGraphInstantiate(&p->exec, graph, 0));
        if (graph) cudaGraphDestroy(graph);
    }
    if (!*c->error) ok(c, cudaGraphLaunch(p->exec, c->stream));
}

/* ---- the rest ---- */

static double cuda_loss_value(void *b)
{
    double loss;
    cuda_outputs(b, &loss, 0);
    cuda_wait(b);
    return *((Cuda *)b)->error ? NAN : loss;
}

static void cuda_logits(void *b, float *out)
{
    cuda_outputs(b, 0, out);
    cuda_wait(b);
}

static const char *cuda_device(const void *b)
{
    return ((const Cuda *)b)->device;
}

static const char *cuda_error(const void *b)
{
    const Cuda *c = b;
    return *c->error ? c->error : 0;
}

static void cuda_set_profile(void *b, bool on)
{
    flush(b);
    ((Cuda *)b)->profiling = on;
}

static int64_t cuda_profile(const void *b, EngineProfile *rows, int64_t room)
{
    const Cuda *c = b;
    int64_t n = c->profile.count < room ? c->profile.count : room;
    memcpy(rows, c->profile.row, (size_t)n * sizeof *rows);
    return n;
}

static const Backend backend_cuda = {
    BACKEND_ABI,     "cuda",         select_device, cuda_memory,     cuda_open,    cuda_close,        cuda_device,
    cuda_error,      cuda_upload,    cuda_download, cuda_copy,       cuda_set_mix, cuda_get_mix_grad, cuda_set_active,
    cuda_set_drop,   cuda_batch,     cuda_forward,  cuda_loss_value, cuda_logits,  cuda_backward,     cuda_scale_block,
    cuda_axpy_block, cuda_dot_block, cuda_sgd_step, cuda_adam_step,  cuda_value,   cuda_set_profile,  cuda_profile,
    cuda_targets,    cuda_outputs,   cuda_wait,     cuda_clip_step};

/* The plugin's one symbol. */
const Backend *nas_backend(void);
__attribute__((visibility("default"))) const Backend *nas_backend(void)
{
    return &backend_cuda;
}
