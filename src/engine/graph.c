/* graph: builders of the static description of a network: shapes, parameters and costs are settled here, once, and every
 * misuse is found here, so that a backend may trust what it is given.
 */
#include "engine/graph.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"

enum {
    MAX_EXTENT = 1 << 20,   /* of a channel count, a side, a kernel, a stride: far above any sense */
    MAX_SAMPLE = INT32_MAX, /* elements of one sample's value, so that a backend can index with 32 bits */
    TAKES_PLAIN = 1 << VALUE_PLAIN,
    TAKES_RAW = 1 << VALUE_RAW,
    TAKES_POOLED = 1 << VALUE_POOLED,
    TAKES_CONCAT = 1 << VALUE_CONCAT
};

static const char *const kind_name[] = {"plain", "raw", "pooled", "concat", "logits"};

/* A zeroed new element at the end of one of the graph's lists; it stays put until the list's next PUSH. */
#define PUSH(g, list, item)                                                                                            \
    (GROW((g)->perm, (g)->list, (g)->item##_count, (g)->item##_room), &(g)->list[(g)->item##_count++])

static __attribute__((format(printf, 3, 4))) Value fail(Graph *g, const char *name, const char *format, ...)
{
    if (!g->error) {
        va_list args;
        va_start(args, format);
        const char *why = arena_vprintf(g->perm, format, args);
        va_end(args);
        g->error = name && *name ? arena_printf(g->perm, "%s: %s", name, why) : why;
    }
    return -1;
}

Graph *graph_new(Arena *perm)
{
    Graph *g = NEW(perm, Graph, 1);
    g->perm = perm;
    g->input = g->logits = g->auxiliary = -1;
    return g;
}

/* The input of an operation, if it exists and is of a kind that the operation can take; counts it as consumed. */
static const ValueInfo *take(Graph *g, const char *name, Value x, int kinds)
{
    if (g->error) return 0;
    if (x < 0 || x >= g->value_count) return fail(g, name, "input %d is no value of this graph", x), (ValueInfo *)0;
    ValueInfo *v = &g->values[x];
    if (!(kinds >> v->kind & 1)) return fail(g, name, "cannot take a %s value", kind_name[v->kind]), (ValueInfo *)0;
    if ((v->kind == VALUE_RAW || v->kind == VALUE_POOLED) && v->consumers)
        return fail(g, name, "its input is %s and already has its one consumer", kind_name[v->kind]), (ValueInfo *)0;
    v->consumers++;
    return v;
}

static bool extent_ok(int64_t n, int64_t least)
{
    return n >= least && n <= MAX_EXTENT;
}

/* Places of a kernel along one side, or 0 if there is none. */
static int64_t output_side(int64_t side, int64_t padding, int64_t kernel, int64_t stride, int64_t dilation)
{
    int64_t slack = side + padding - dilation * (kernel - 1) - 1;
    return slack < 0 ? 0 : slack / stride + 1;
}

static Value new_value(Graph *g, const char *name, ValueInfo v)
{
    if (!extent_ok(v.channels, 1) || !extent_ok(v.height, 1) || !extent_ok(v.width, 1))
        return fail(g, name, "impossible shape %lldx%lldx%lld", (long long)v.channels, (long long)v.height,
                    (long long)v.width);
    int64_t elements = size_mul(size_mul(v.channels, v.height), v.width);
    if (elements < 0 || elements > MAX_SAMPLE)
        return fail(g, name, "shape %lldx%lldx%lld is too large", (long long)v.channels, (long long)v.height,
                    (long long)v.width);
    *PUSH(g, values, value) = v;
    return g->value_count - 1;
}

/* Appends the operation and its output value; -1 and g->error if the value is impossible. */
static Value new_op(Graph *g, Op op, ValueInfo out)
{
    out.op = g->op_count;
    op.output = new_value(g, op.name, out);
    if (op.output < 0) return -1;
    op.name = arena_strdup(g->perm, op.name);
    memcpy(op.segment, g->segment, sizeof op.segment);
    op.choice = g->choice;
    op.alternative = g->alternative;
    g->macs = size_add(g->macs, op.macs);
    if (g->macs < 0) g->macs = INT64_MAX; /* an absurd net: "more than can be counted" */
    *PUSH(g, ops, op) = op;
    return op.output;
}

static int32_t new_param(Graph *g, const char *name, ParamRole role, int64_t fan_in, int rank, const int64_t *shape)
{
    Param p = {.name = name, .rank = rank, .offset = g->weight_count, .count = 1, .fan_in = fan_in, .role = role};
    for (int i = 0; i < rank; i++) {
        p.shape[i] = shape[i];
        p.count = size_mul(p.count, shape[i]);
    }
    int64_t total = p.count < 0 ? -1 : size_add(g->weight_count, p.count);
    if (total < 0 || total > INT64_MAX / 64) return fail(g, name, "too many parameters");
    g->weight_count = total;
    *PUSH(g, params, param) = p;
    return g->param_count - 1;
}

static int32_t new_kernel(Graph *g, const char *name, int64_t out, int64_t in, int64_t height, int64_t width)
{
    /* in, height and width are at most 2^20 each, and height * width at most GRAPH_MAX_TAPS */
    return new_param(g, name, PARAM_WEIGHT, in * height * width, 4, (int64_t[4]){out, in, height, width});
}

/* Attaches a batch normalisation to a value that is about to be made. */
static void add_norm(Graph *g, ValueInfo *v, NormKind norm, const char *name)
{
    v->norm = norm;
    v->gamma = v->beta = v->stat = -1;
    if (norm == NORM_NONE) return;
    assert(name);
    if (norm == NORM_AFFINE)
        v->gamma = new_param(g, arena_printf(g->perm, "%s.weight", name), PARAM_GAMMA, 0, 1, &v->channels);
    if (norm == NORM_AFFINE || norm == NORM_BIAS)
        v->beta = new_param(g, arena_printf(g->perm, "%s.bias", name), PARAM_BETA, 0, 1, &v->channels);
    if (norm == NORM_BIAS) return;
    v->stat = g->stat_count;
    *PUSH(g, stats, stat) =
        (NormStat){.name = arena_strdup(g->perm, name), .channels = v->channels, .offset = g->stat_floats};
    g->stat_floats += 2 * v->channels;
}

/* Splits "a|b"; false and g->error if there is no bar. */
static bool split_names(Graph *g, const char *pair, const char **a, const char **b)
{
    const char *bar = strchr(pair, '|');
    if (!bar) return fail(g, pair, "two names are needed, as in \"a|b\""), false;
    *a = arena_strndup(g->perm, pair, bar - pair);
    *b = arena_strdup(g->perm, bar + 1);
    return true;
}

/* What a convolution, a separable one and a pooling have in common: a window that moves. */
typedef struct {
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
} Window;

/* Checks the window and sets the sides of the output. extra: rows and columns added at the end. */
static bool place_window(Graph *g, const char *name, const ValueInfo *in, Window w, int64_t extra, ValueInfo *out)
{
    if (!extent_ok(w.kernel_h, 1) || !extent_ok(w.kernel_w, 1) || w.kernel_h * w.kernel_w > GRAPH_MAX_TAPS)
        return fail(g, name, "impossible kernel %lldx%lld", (long long)w.kernel_h, (long long)w.kernel_w), false;
    if (!extent_ok(w.stride_h, 1) || !extent_ok(w.stride_w, 1) || !extent_ok(w.dilation_h, 1) ||
        !extent_ok(w.dilation_w, 1) || !extent_ok(w.pad_h, 0) || !extent_ok(w.pad_w, 0) || !extent_ok(extra, 0))
        return fail(g, name, "impossible stride, dilation or padding"), false;
    int64_t extra_h = w.kernel_h > 1 ? extra : 0, extra_w = w.kernel_w > 1 ? extra : 0;
    out->height = output_side(in->height, 2 * w.pad_h + extra_h, w.kernel_h, w.stride_h, w.dilation_h);
    out->width = output_side(in->width, 2 * w.pad_w + extra_w, w.kernel_w, w.stride_w, w.dilation_w);
    if (!out->height || !out->width)
        return fail(g, name, "a %lldx%lld kernel does not fit on %lldx%lld", (long long)w.kernel_h,
                    (long long)w.kernel_w, (long long)in->height, (long long)in->width),
               false;
    return true;
}

/* a * b * c * d as a count of operations; shapes were checked, so only absurd nets saturate. */
static int64_t macs_of(int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t n = size_mul(size_mul(size_mul(a, b), c), d);
    return n < 0 ? INT64_MAX : n;
}

/* Without normalisation. */
static ValueInfo value_of(ValueKind kind, int64_t channels, int64_t height, int64_t width)
{
    return (ValueInfo){
        .kind = kind, .channels = channels, .height = height, .width = width, .gamma = -1, .beta = -1, .stat = -1};
}

Value graph_input(Graph *g, int64_t channels, int64_t height, int64_t width)
{
    if (g->error) return -1;
    if (g->input >= 0) return fail(g, "input", "a graph has one input");
    ValueInfo out = value_of(VALUE_PLAIN, channels, height, width);
    Op op = {.kind = OP_INPUT, .name = "input", .input = -1, .weight = -1, .weight2 = -1};
    return g->input = new_op(g, op, out);
}

Value graph_conv(Graph *g, Value x, ConvSpec spec, const char *weight_name, const char *norm_name)
{
    const ValueInfo *in = take(g, weight_name, x, TAKES_PLAIN | TAKES_RAW | TAKES_CONCAT);
    if (!in) return -1;
    if (spec.factorized) { /* the half steps of a side of one would read nothing: there the stride is 1 */
        spec.kernel_h = spec.kernel_w = spec.dilation_h = spec.dilation_w = 1;
        spec.pad_h = spec.pad_w = 0;
        spec.stride_h = in->height > 1 ? 2 : 1;
        spec.stride_w = in->width > 1 ? 2 : 1;
    }
    if (!extent_ok(spec.out_channels, spec.factorized ? 2 : 1))
        return fail(g, weight_name, "impossible number of output channels %lld", (long long)spec.out_channels);
    ValueInfo out = {.kind = VALUE_RAW, .channels = spec.out_channels};
    Window w = {spec.kernel_h, spec.kernel_w, spec.stride_h,   spec.stride_w,
                spec.pad_h,    spec.pad_w,    spec.dilation_h, spec.dilation_w};
    if (!place_window(g, weight_name, in, w, 0, &out)) return -1;
    Op op = {.kind = OP_CONV, .name = weight_name, .input = x, .conv = spec, .weight2 = -1};
    op.macs = macs_of(out.channels, out.height * out.width, in->channels, spec.kernel_h * spec.kernel_w);
    if (spec.factorized) {
        const char *first, *second;
        if (!split_names(g, weight_name, &first, &second)) return -1;
        op.weight = new_kernel(g, first, out.channels / 2, in->channels, 1, 1);
        op.weight2 = new_kernel(g, second, out.channels - out.channels / 2, in->channels, 1, 1);
    } else {
        const char *name = arena_strdup(g->perm, weight_name);
        op.weight = new_kernel(g, name, out.channels, in->channels, spec.kernel_h, spec.kernel_w);
    }
    add_norm(g, &out, spec.norm, norm_name);
    return g->error ? -1 : new_op(g, op, out);
}

Value graph_sepconv(Graph *g, Value x, ConvSpec spec, const char *weight_names, const char *norm_name)
{
    const ValueInfo *in = take(g, weight_names, x, TAKES_PLAIN | TAKES_RAW);
    if (!in) return -1;
    if (!extent_ok(spec.out_channels, 1))
        return fail(g, weight_names, "impossible number of output channels %lld", (long long)spec.out_channels);
    ValueInfo out = {.kind = VALUE_RAW, .channels = spec.out_channels};
    Window w = {spec.kernel_h, spec.kernel_w, spec.stride_h,   spec.stride_w,
                spec.pad_h,    spec.pad_w,    spec.dilation_h, spec.dilation_w};
    if (!place_window(g, weight_names, in, w, 0, &out)) return -1;
    const char *depthwise, *pointwise;
    if (!split_names(g, weight_names, &depthwise, &pointwise)) return -1;
    Op op = {.kind = OP_SEPCONV, .name = weight_names, .input = x, .conv = spec};
    op.macs = macs_of(in->channels, out.height * out.width, out.channels + spec.kernel_h * spec.kernel_w, 1);
    op.weight = new_param(g, depthwise, PARAM_WEIGHT, spec.kernel_h * spec.kernel_w, 4,
                          (int64_t[4]){in->channels, 1, spec.kernel_h, spec.kernel_w});
    op.weight2 = new_kernel(g, pointwise, out.channels, in->channels, 1, 1);
    add_norm(g, &out, spec.norm, norm_name);
    return g->error ? -1 : new_op(g, op, out);
}

Value graph_pool(Graph *g, Value x, PoolSpec spec, const char *norm_name)
{
    const char *name = norm_name ? norm_name : "pool";
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN);
    if (!in) return -1;
    ValueInfo out = {.kind = VALUE_POOLED, .channels = in->channels};
    Window w = {spec.kernel_h, spec.kernel_w, spec.stride_h, spec.stride_w, spec.pad_h, spec.pad_w, 1, 1};
    if (!place_window(g, name, in, w, spec.extra_pad_bottom_right, &out)) return -1;
    if (2 * spec.pad_h > spec.kernel_h || 2 * spec.pad_w > spec.kernel_w)
        return fail(g, name, "a padding of more than half the kernel would pool nothing");
    add_norm(g, &out, spec.norm, norm_name);
    Op op = {.kind = OP_POOL, .name = name, .input = x, .pool = spec, .weight = -1, .weight2 = -1};
    return g->error ? -1 : new_op(g, op, out);
}

Value graph_concat(Graph *g, const Value *parts, int32_t count)
{
    if (g->error) return -1;
    if (count < 1) return fail(g, "concat", "nothing to put together");
    ValueInfo out = {.kind = VALUE_CONCAT, .op = -1, .part_count = count, .gamma = -1, .beta = -1, .stat = -1};
    for (int32_t i = 0; i < count; i++) {
        const ValueInfo *v = take(g, "concat", parts[i], TAKES_PLAIN);
        if (!v) return -1;
        if (i && (v->height != out.height || v->width != out.width))
            return fail(g, "concat", "part %d is %lldx%lld, part 0 %lldx%lld", i, (long long)v->height,
                        (long long)v->width, (long long)out.height, (long long)out.width);
        out.channels += v->channels;
        out.height = v->height;
        out.width = v->width;
    }
    if (count == 1) return g->values[parts[0]].consumers--, parts[0]; /* a part alone is the whole */
    Value *copy = NEW(g->perm, Value, count);
    memcpy(copy, parts, (size_t)count * sizeof *parts);
    out.parts = copy;
    return new_value(g, "concat", out);
}

int32_t graph_table(Graph *g, const char *name, int64_t count)
{
    if (g->error) return -1;
    if (!extent_ok(count, 1)) return fail(g, name, "impossible number of mixing weights %lld", (long long)count);
    *PUSH(g, tables, table) = (MixTable){.name = arena_strdup(g->perm, name), .count = count};
    return g->table_count - 1;
}

void graph_segment(Graph *g, SegmentKind kind)
{
    assert(kind > SEGMENT_WHOLE && kind < SEGMENT_KIND_COUNT);
    for (int k = kind; k < SEGMENT_KIND_COUNT; k++) g->segment[k]++;
}

Value graph_mix(Graph *g, const Term *terms, int32_t count, const char *name)
{
    if (g->error) return -1;
    if (count < 1) return fail(g, name, "no term to add");
    ValueInfo out = value_of(VALUE_PLAIN, 0, 0, 0);
    for (int32_t i = 0; i < count; i++) {
        Term t = terms[i];
        const ValueInfo *v = take(g, name, t.value, TAKES_PLAIN | TAKES_RAW | TAKES_POOLED);
        if (!v) return -1;
        if (t.table < -1 || t.table >= g->table_count) return fail(g, name, "term %d: no table %d", i, t.table);
        if (t.table >= 0 && (t.index < 0 || t.index >= g->tables[t.table].count))
            return fail(g, name, "term %d: no element %d in table %s", i, t.index, g->tables[t.table].name);
        if (i && (v->channels != out.channels || v->height != out.height || v->width != out.width))
            return fail(g, name, "term %d is %lldx%lldx%lld, term 0 %lldx%lldx%lld", i, (long long)v->channels,
                        (long long)v->height, (long long)v->width, (long long)out.channels, (long long)out.height,
                        (long long)out.width);
        out.channels = v->channels;
        out.height = v->height;
        out.width = v->width;
    }
    Term *copy = NEW(g->perm, Term, count);
    memcpy(copy, terms, (size_t)count * sizeof *terms);
    Op op = {.kind = OP_MIX, .name = name, .input = -1, .mix = {copy, count}, .weight = -1, .weight2 = -1};
    return new_op(g, op, out);
}

Value graph_select(Graph *g, Value x, const int32_t *from, int64_t count, const char *name)
{
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN | TAKES_CONCAT);
    if (!in) return -1;
    if (!extent_ok(count, 1)) return fail(g, name, "impossible number of channels %lld", (long long)count);
    int32_t *copy = NEW(g->perm, int32_t, count);
    for (int64_t i = 0; i < count; i++) {
        if (from[i] < 0 || from[i] >= in->channels)
            return fail(g, name, "no channel %d of %lld", from[i], (long long)in->channels);
        copy[i] = from[i];
    }
    ValueInfo out = value_of(VALUE_PLAIN, count, in->height, in->width);
    Op op = {.kind = OP_SELECT, .name = name, .input = x, .select = copy, .weight = -1, .weight2 = -1};
    return new_op(g, op, out);
}

Value graph_noise(Graph *g, Value x, int64_t stride_h, int64_t stride_w, const char *name)
{
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN);
    if (!in) return -1;
    ValueInfo out = value_of(VALUE_PLAIN, in->channels, 0, 0);
    if (!place_window(g, name, in, (Window){1, 1, stride_h, stride_w, 0, 0, 1, 1}, 0, &out)) return -1;
    Op op = {.kind = OP_NOISE, .name = name, .input = x, .weight = -1, .weight2 = -1};
    return new_op(g, op, out);
}

Value graph_learned(Graph *g, int64_t channels, int64_t height, int64_t width, int64_t latent, double scale,
                    const char *name)
{
    if (g->error) return -1;
    ValueInfo out = value_of(VALUE_PLAIN, channels, height, width);
    if (!extent_ok(channels, 1) || !extent_ok(height, 1) || !extent_ok(width, 1) || !extent_ok(latent, 0) ||
        macs_of(channels, height, width, latent ? latent : 1) > INT32_MAX)
        return fail(g, name, "impossible parameters: %lld numbers to %lldx%lldx%lld", (long long)latent,
                    (long long)channels, (long long)height, (long long)width);
    Op op = {.kind = OP_LEARNED, .name = name, .input = -1, .learned = {latent, scale}, .weight2 = -1};
    op.weight =
        new_param(g, arena_printf(g->perm, "%s.bias", name), PARAM_BETA, 0, 3, (int64_t[3]){channels, height, width});
    if (latent) {
        op.weight2 = new_param(g, arena_printf(g->perm, "%s.weight", name), PARAM_WEIGHT, latent, 4,
                               (int64_t[4]){latent, channels, height, width});
        new_param(g, arena_printf(g->perm, "%s.latent", name), PARAM_LATENT, 0, 1, &latent);
        op.macs = macs_of(channels, height, width, latent);
    }
    return g->error ? -1 : new_op(g, op, out);
}

Value graph_resize(Graph *g, Value x, ResizeSpec spec, const char *name)
{
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN);
    if (!in) return -1;
    if (!extent_ok(spec.factor, 1)) return fail(g, name, "impossible factor %lld", (long long)spec.factor);
    ValueInfo out = value_of(VALUE_PLAIN, in->channels, in->height * spec.factor, in->width * spec.factor);
    Op op = {.kind = OP_RESIZE, .name = name, .input = x, .resize = spec, .weight = -1, .weight2 = -1};
    return new_op(g, op, out);
}

void graph_alternative(Graph *g, int32_t choice, int32_t alternative)
{
    g->choice = choice;
    g->alternative = alternative;
}

void graph_tables_used(const Graph *g, bool *used, int32_t count)
{
    for (int32_t t = 0; t < count; t++) used[t] = false;
    for (int32_t i = 0; i < g->op_count; i++)
        for (int32_t k = 0; g->ops[i].kind == OP_MIX && k < g->ops[i].mix.count; k++) {
            int32_t table = g->ops[i].mix.terms[k].table;
            if (table >= 0 && table < count) used[table] = true;
        }
}

/* The last operation of a net may be made now. */
static bool may_end(Graph *g, int64_t outputs, const char *name)
{
    if (g->logits >= 0) return fail(g, name, "a graph has one head"), false;
    if (!extent_ok(outputs, 1)) return fail(g, name, "impossible number of outputs %lld", (long long)outputs), false;
    for (int32_t i = 0; i < g->value_count; i++) {
        const ValueInfo *v = &g->values[i];
        if ((v->kind == VALUE_RAW || v->kind == VALUE_POOLED) && !v->consumers)
            return fail(g, g->ops[v->op].name, "its output is used by nothing"), false;
    }
    return true;
}

static Value new_head(Graph *g, Value x, int64_t outputs, const char *name)
{
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN | TAKES_CONCAT);
    if (!in || !may_end(g, outputs, name)) return -1;
    ValueInfo out = value_of(VALUE_LOGITS, outputs, 1, 1);
    Op op = {.kind = OP_HEAD, .name = name, .input = x, .head = {.outputs = outputs}};
    op.macs = macs_of(in->channels, outputs, 1, 1);
    op.weight = new_param(g, arena_printf(g->perm, "%s.weight", name), PARAM_WEIGHT, in->channels, 2,
                          (int64_t[2]){outputs, in->channels});
    op.weight2 = new_param(g, arena_printf(g->perm, "%s.bias", name), PARAM_BIAS, in->channels, 1, &outputs);
    return g->error ? -1 : new_op(g, op, out);
}

Value graph_head(Graph *g, Value x, int64_t outputs, const char *name)
{
    if (g->auxiliary >= 0 && g->values[g->auxiliary].channels != outputs)
        return fail(g, name, "%lld outputs, and another number of the auxiliary head", (long long)outputs);
    g->outputs = outputs;
    return g->logits = new_head(g, x, outputs, name);
}

Value graph_auxiliary(Graph *g, Value x, int64_t outputs, const char *name, double weight)
{
    if (g->auxiliary >= 0) return fail(g, name, "a graph has one auxiliary head");
    g->auxiliary_weight = weight;
    return g->auxiliary = new_head(g, x, outputs, name);
}

Value graph_flatten(Graph *g, Value x, const char *name)
{
    const ValueInfo *in = take(g, name, x, TAKES_PLAIN);
    if (!in || !may_end(g, in->channels * in->height * in->width, name)) return -1;
    g->outputs = in->channels * in->height * in->width;
    ValueInfo out = value_of(VALUE_LOGITS, g->outputs, 1, 1);
    Op op = {.kind = OP_FLATTEN, .name = name, .input = x, .weight = -1, .weight2 = -1};
    return g->logits = new_op(g, op, out);
}

void graph_loss(Graph *g, LossKind kind, const LossDetail *detail)
{
    assert(kind >= 0 && kind < LOSS_KIND_COUNT);
    assert(kind != LOSS_TREE || (detail && detail->questions > 0 && g->outputs <= TREE_MAX_OUTPUTS));
    g->loss = kind;
    if (detail) g->detail = *detail;
}

static int64_t value_size(const Graph *g, Value v)
{
    return g->values[v].channels * g->values[v].height * g->values[v].width;
}

/* The tensor that a term of a mix reads: a pooled value is made again from the pool's input. */
static Value term_tensor(const Graph *g, const Term *t)
{
    return g->values[t->value].kind == VALUE_POOLED ? g->ops[g->values[t->value].op].input : t->value;
}

int64_t graph_traffic(const Graph *g, int32_t op, bool backward)
{
    const Op *o = &g->ops[op];
    int64_t in = o->input < 0 ? 0 : value_size(g, o->input), out = value_size(g, o->output);
    switch (o->kind) {
    case OP_CONV:
    case OP_SEPCONV: /* y and its gradient; a raw input's gradient is written, others are added to */
        return backward ? in + 2 * out + (g->values[o->input].kind == VALUE_RAW ? 1 : 2) * in : in + out;
    case OP_POOL: return backward ? in + out + 2 * in : in;
    case OP_RESIZE: return backward ? 3 * in + 2 * out : in + out;
    case OP_LEARNED: return out;
    case OP_FLATTEN: return in + (backward ? 2 : 1) * out;
    case OP_HEAD: return backward ? 2 * in : in;
    case OP_MIX:
        for (int32_t t = 0; t < o->mix.count; t++) {
            const Term *term = &o->mix.terms[t];
            bool seen = false;
            for (int32_t k = 0; k < t && !seen; k++) seen = term_tensor(g, &o->mix.terms[k]) == term_tensor(g, term);
            if (!seen) out += value_size(g, term_tensor(g, term));
            if (backward && g->values[term->value].kind == VALUE_PLAIN) out += 2 * value_size(g, term->value);
        }
        return out;
    default: return 0;
    }
}

int64_t graph_param_total(const Graph *g)
{
    return g->weight_count - g->auxiliary_count;
}

void graph_init(const Graph *g, uint64_t seed, float *weights, float *stats)
{
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        float *w = weights + p->offset;
        if (p->role == PARAM_LATENT) {
            for (int64_t k = 0; k < p->count; k++)
                w[k] = (float)rng_normal(seed, RNG_INIT, (uint64_t)i << 32 | (uint64_t)k);
            continue;
        }
        bool random = p->role == PARAM_WEIGHT || p->role == PARAM_BIAS;
        double bound = random ? 1.0 / sqrt((double)p->fan_in) : 0, fixed = p->role == PARAM_GAMMA ? 1 : 0;
        for (int64_t k = 0; k < p->count; k++)
            w[k] = (float)(random ? bound * (2 * rng_uniform(seed, RNG_INIT, (uint64_t)i << 32 | (uint64_t)k) - 1)
                                  : fixed);
    }
    for (int32_t i = 0; i < g->stat_count; i++) {
        const NormStat *s = &g->stats[i];
        for (int64_t k = 0; k < s->channels; k++) {
            stats[s->offset + k] = 0;
            stats[s->offset + s->channels + k] = 1;
        }
    }
}
