/* network: the supernet and the derived network, both of one shape:
 *
 *   stem -> cell 0 -> … -> cell layers-1 -> global average -> linear
 *
 * A cell sees the outputs of the two cells before it (the stem, where there is none), brings both to its own width, and
 * puts its nodes side by side. A reduction cell doubles the width and halves the sides. What differs is what fills the
 * edges: all operations, weighted, or the chosen ones. Names are those of DARTS' model_search.py and model.py, so that
 * weights can be compared with and taken from PyTorch.
 *
 * A series is an image of height 1: every kernel, stride and padding then acts along the width alone.
 */
#include "nn/network.h"

#include <assert.h>
#include <string.h>

enum { MAX_LAYERS = 1000, MAX_TERMS = (GENOTYPE_MAX_NODES + 1) * (SPACE_MAX_OPS + 1) };

typedef struct {
    Graph *g;
    NormKind norm; /* of everything but the stem and pools */
    NormKind pool_norm;
    bool series;
} Net;

/* ---- blocks ---- */

static ConvSpec conv_spec(const Net *n, bool relu, int64_t out, int64_t kh, int64_t kw, int64_t sh, int64_t sw,
                          NormKind norm)
{
    if (n->series) kh = sh = 1;
    return (ConvSpec){.relu = relu,
                      .out_channels = out,
                      .kernel_h = kh,
                      .kernel_w = kw,
                      .stride_h = sh,
                      .stride_w = sw,
                      .pad_h = kh / 2,
                      .pad_w = kw / 2,
                      .dilation_h = 1,
                      .dilation_w = 1,
                      .norm = norm};
}

static const char *join(const Net *n, const char *prefix, const char *suffix)
{
    return arena_printf(n->g->perm, "%s.%s", prefix, suffix);
}

/* ReLU -> k×k -> BN */
static Value relu_conv_bn(Net *n, Value x, int64_t out, const char *prefix)
{
    return graph_conv(n->g, x, conv_spec(n, true, out, 1, 1, 1, 1, n->norm), join(n, prefix, "op.1.weight"),
                      join(n, prefix, "op.2"));
}

static Value factorized_reduce(Net *n, Value x, int64_t out, const char *prefix)
{
    ConvSpec s = {.relu = true, .factorized = true, .out_channels = out, .norm = n->norm};
    const char *names = arena_printf(n->g->perm, "%s.conv_1.weight|%s.conv_2.weight", prefix, prefix);
    return graph_conv(n->g, x, s, names, join(n, prefix, "bn"));
}

/* ReLU -> depthwise -> pointwise -> BN; its layers are prefix.op.first+1 … first+3 */
static Value separable(Net *n, Value x, const Primitive *p, int64_t channels, int64_t stride, const char *prefix,
                       int first)
{
    ConvSpec s = {.relu = true,
                  .out_channels = channels,
                  .kernel_h = n->series ? 1 : p->kernel_h,
                  .kernel_w = p->kernel_w,
                  .stride_h = n->series ? 1 : stride,
                  .stride_w = stride,
                  .dilation_h = n->series ? 1 : p->dilation,
                  .dilation_w = p->dilation,
                  .norm = n->norm};
    s.pad_h = s.dilation_h * (s.kernel_h - 1) / 2;
    s.pad_w = s.dilation_w * (s.kernel_w - 1) / 2;
    const char *names =
        arena_printf(n->g->perm, "%s.op.%d.weight|%s.op.%d.weight", prefix, first + 1, prefix, first + 2);
    return graph_sepconv(n->g, x, s, names, arena_printf(n->g->perm, "%s.op.%d", prefix, first + 3));
}

static Value pooling(Net *n, Value x, const Primitive *p, int64_t stride, const char *prefix)
{
    PoolSpec s = {.kind = p->pool,
                  .kernel_h = n->series ? 1 : p->kernel_h,
                  .kernel_w = p->kernel_w,
                  .stride_h = n->series ? 1 : stride,
                  .stride_w = stride,
                  .norm = n->pool_norm};
    if (p->kernel_w % 2) { /* odd windows are centred; even ones get their missing row and column at the end */
        s.pad_h = s.kernel_h / 2;
        s.pad_w = s.kernel_w / 2;
    } else {
        s.extra_pad_bottom_right = 1;
    }
    return graph_pool(n->g, x, s, join(n, prefix, "1"));
}

/* ReLU -> 1×k -> k×1 -> BN */
static Value split_conv(Net *n, Value x, const Primitive *p, int64_t channels, int64_t stride, const char *prefix)
{
    x = graph_conv(n->g, x, conv_spec(n, true, channels, 1, p->kernel_w, 1, stride, NORM_NONE),
                   join(n, prefix, "1.weight"), 0);
    return graph_conv(n->g, x, conv_spec(n, false, channels, p->kernel_h, 1, stride, 1, n->norm),
                      join(n, prefix, "2.weight"), join(n, prefix, "3"));
}

/* One operation on an edge. *identity: it is the state itself. The value none would give does not exist: -1. */
static Value apply(Net *n, Value x, const Primitive *p, int64_t channels, int64_t stride, const char *prefix,
                   bool *identity)
{
    *identity = false;
    switch (p->kind) {
    case PRIM_NONE: return -1;
    case PRIM_SKIP: *identity = stride == 1; return *identity ? x : factorized_reduce(n, x, channels, prefix);
    case PRIM_POOL: return pooling(n, x, p, stride, prefix);
    case PRIM_SEP:
        x = separable(n, x, p, channels, stride, prefix, 0);
        return separable(n, x, p, channels, 1, prefix, 4);
    case PRIM_DIL: return separable(n, x, p, channels, stride, prefix, 0);
    case PRIM_CONV_SPLIT: return split_conv(n, x, p, channels, stride, prefix);
    case PRIM_NOISE: return graph_noise(n->g, x, n->series ? 1 : stride, stride, prefix);
    }
    assert(!"a primitive of unknown kind");
    return -1;
}

/* Stores a value that many will read. */
static Value store(Net *n, Value x, const char *name)
{
    return graph_mix(n->g, &(Term){.value = x, .table = -1}, 1, name);
}

/* ---- cells ---- */

typedef struct {
    int64_t index, channels;
    bool reduction, reduction_before; /* this cell, the one before it */
    const char *prefix;               /* "cells.3" */
    Value state[GENOTYPE_MAX_NODES + 2];
    Value rest[GENOTYPE_MAX_NODES + 2]; /* partial channels: state is the first 1/K of them, rest the others */
} CellBuild;

static void preprocess(Net *n, CellBuild *c, Value before_last, Value last)
{
    graph_segment(n->g, SEGMENT_CELL);
    const char *p0 = join(n, c->prefix, "preprocess0"), *p1 = join(n, c->prefix, "preprocess1");
    Value s0 = c->reduction_before ? factorized_reduce(n, before_last, c->channels, p0)
                                   : relu_conv_bn(n, before_last, c->channels, p0);
    c->state[0] = store(n, s0, p0);
    c->state[1] = store(n, relu_conv_bn(n, last, c->channels, p1), p1);
}

static int64_t edge_stride(const CellBuild *c, int64_t input)
{
    return c->reduction && input < 2 ? 2 : 1;
}

/* Channels [from, to) of x after the shuffle of partial channels, K = 1: as they are. */
static Value take_channels(Net *n, Value x, int64_t channels, int64_t share, int64_t from, int64_t to, const char *name)
{
    int32_t *pick = NEW(n->g->perm, int32_t, channels);
    for (int64_t i = from; i < to; i++) pick[i - from] = (int32_t)(i % share * (channels / share) + i / share);
    return graph_select(n->g, x, pick, to - from, name);
}

static void split_state(Net *n, CellBuild *c, int64_t i, Value x, int64_t shuffle, int64_t share)
{
    const char *name = arena_printf(n->g->perm, "%s.state%lld", c->prefix, (long long)i);
    int64_t part = c->channels / share;
    c->state[i] = take_channels(n, x, c->channels, shuffle, 0, part, join(n, name, "part"));
    c->rest[i] = take_channels(n, x, c->channels, shuffle, part, c->channels, join(n, name, "rest"));
}

/* What the operations of all edges into a node add up to; with partial channels, *bypass: the same of the bypasses. */
static Value search_node(Net *n, const CellBuild *c, const Space *s, const NetSpec *spec, int64_t node, Value *bypass)
{
    Arena *perm = n->g->perm;
    const char *name = arena_printf(perm, "%s.node%lld", c->prefix, (long long)node);
    int64_t share = spec->share > 1 ? spec->share : 1, bypass_column, skip_column,
            columns = network_columns(s, spec, &bypass_column, &skip_column), channels = c->channels / share;
    Term *terms = NEW(perm, Term, MAX_TERMS), passed[GENOTYPE_MAX_NODES + 1];
    int32_t count = 0, passes = 0;
    graph_segment(n->g, SEGMENT_NODE);
    for (int64_t input = 0; input < node + 2; input++) {
        int64_t edge = space_edge(node, input), stride = edge_stride(c, input), first = edge * columns;
        bool identity;
        for (int64_t op = 0; op < s->op_count; op++) {
            const Primitive *p = &primitive_table[s->op[op]];
            if (p->kind == PRIM_NONE) continue; /* adds zero, whatever its weight */
            if (spec->only && !spec->only[(c->reduction * space_edges(s) + edge) * s->op_count + op]) continue;
            const char *prefix =
                arena_printf(perm, "%s._ops.%lld._ops.%lld", c->prefix, (long long)edge, (long long)op);
            graph_alternative(n->g, (int32_t)(c->index * space_edges(s) + edge + 1), (int32_t)op + 1);
            Value v = apply(n, c->state[input], p, channels, stride, prefix, &identity);
            terms[count++] = (Term){.value = v, .table = c->reduction, .index = (int32_t)(first + op)};
            graph_alternative(n->g, 0, 0);
        }
        if (skip_column >= 0) {
            const Primitive skip = {"skip_connect", PRIM_SKIP, 0, 0, 0, 0};
            const char *prefix = arena_printf(perm, "%s._aux.%lld", c->prefix, (long long)edge);
            Value v = apply(n, c->state[input], &skip, channels, stride, prefix, &identity);
            terms[count++] = (Term){.value = v, .table = c->reduction, .index = (int32_t)(first + skip_column)};
        }
        if (bypass_column >= 0)
            passed[passes++] =
                (Term){.value = c->rest[input], .table = c->reduction, .index = (int32_t)(first + bypass_column)};
    }
    if (passes) *bypass = graph_mix(n->g, passed, passes, join(n, name, "rest"));
    return graph_mix(n->g, terms, count, name);
}

static Value search_cell(Net *n, CellBuild *c, const Space *s, const NetSpec *spec)
{
    static const Primitive halve = {"max_pool_2x2", PRIM_POOL, 2, 2, 1, POOL_MAX};
    Net plain = {.g = n->g, .series = n->series};
    Value all[2 * (GENOTYPE_MAX_NODES + 2)], bypass = -1;
    int32_t parts = 0, per_state = spec->share > 1 ? 2 : 1;
    for (int64_t i = 0; i < s->nodes + 2 && !n->g->error; i++) {
        Value x = i < 2 ? c->state[i] : search_node(n, c, s, spec, i - 2, &bypass);
        if (per_state == 1) {
            c->state[i] = x;
            continue;
        }
        if (i >= 2) x = graph_concat(n->g, (Value[2]){x, bypass}, 2);
        split_state(n, c, i, x, i < 2 ? 1 : spec->share, spec->share);
        if (i < 2 && c->reduction) { /* pooled once for all nodes */
            const char *name = arena_printf(n->g->perm, "%s.state%lld.pooled", c->prefix, (long long)i);
            c->rest[i] = store(n, pooling(&plain, c->rest[i], &halve, 2, name), name);
        }
    }
    for (int64_t i = 2 + s->nodes - s->concat; i < s->nodes + 2; i++) {
        all[parts++] = c->state[i];
        if (per_state == 2) all[parts++] = c->rest[i];
    }
    return graph_concat(n->g, all, parts);
}

static Value derived_cell(Net *n, CellBuild *c, const Cell *cell)
{
    Graph *g = n->g;
    for (int64_t node = 0; node < cell->nodes && !g->error; node++) {
        graph_segment(g, SEGMENT_NODE);
        Term terms[GENOTYPE_MAX_INPUTS];
        int32_t count = 0;
        for (int64_t k = node * cell->inputs; k < (node + 1) * cell->inputs; k++) {
            GeneEdge e = cell->edge[k];
            const Primitive *p = &primitive_table[e.op];
            const char *prefix = arena_printf(g->perm, "%s._ops.%lld", c->prefix, (long long)k);
            bool identity;
            Value v = apply(n, c->state[e.input], p, c->channels, edge_stride(c, e.input), prefix, &identity);
            if (p->kind != PRIM_NONE) terms[count++] = (Term){.value = v, .table = -1, .drop = !identity};
        }
        const char *name = arena_printf(g->perm, "%s.node%lld", c->prefix, (long long)node);
        if (!count && !g->error) g->error = arena_printf(g->perm, "%s: all its inputs are none", name);
        c->state[node + 2] = graph_mix(g, terms, count, name);
    }
    Value parts[COUNTOF(cell->concat)];
    for (int64_t i = 0; i < cell->concat_count; i++) parts[i] = c->state[cell->concat[i]];
    return graph_concat(g, parts, (int32_t)cell->concat_count);
}

/* ---- the whole ---- */

static const char *check_spec(Arena *perm, const NetSpec *n)
{
    if (n->layers < 1 || n->layers > MAX_LAYERS)
        return arena_printf(perm, "a network has 1 to %d cells, not %lld", MAX_LAYERS, (long long)n->layers);
    if (n->channels < 1 || n->channels > 1 << 16)
        return arena_printf(perm, "impossible number of channels %lld", (long long)n->channels);
    if (n->stem_multiplier < 1 || n->stem_multiplier > 64)
        return arena_printf(perm, "impossible multiplier %lld of the stem", (long long)n->stem_multiplier);
    if (n->reduce_count > COUNTOF(n->reduce_at))
        return arena_printf(perm, "more than %td reduction cells", COUNTOF(n->reduce_at));
    if (n->share > 1 && n->channels % n->share)
        return arena_printf(perm, "1 of %lld channels cannot be taken of %lld: it must divide them",
                            (long long)n->share, (long long)n->channels);
    for (int64_t i = 0; i < n->reduce_count; i++)
        if (n->reduce_at[i] < 0 || n->reduce_at[i] >= n->layers)
            return arena_printf(perm, "no cell %lld to reduce at: there are %lld", (long long)n->reduce_at[i],
                                (long long)n->layers);
    return 0;
}

bool network_reduces(const NetSpec *n, int64_t cell)
{
    if (n->reduce_count < 0) return cell == n->layers / 3 || cell == 2 * n->layers / 3;
    for (int64_t i = 0; i < n->reduce_count; i++)
        if (n->reduce_at[i] == cell) return true;
    return false;
}

static const char auxiliary_prefix[] = "auxiliary_head";

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* x: the output of a cell. */
static void auxiliary_tower(Net *n, Value x, int64_t outputs, double weight)
{
    Graph *g = n->g;
    if (g->error) return;
    const ValueInfo cell = g->values[x];
    const int64_t count = cell.kind == VALUE_CONCAT ? cell.part_count : 1;
    Value *part = NEW(g->perm, Value, count);
    PoolSpec pool = {.kind = POOL_AVG,
                     .kernel_h = least(5, cell.height),
                     .kernel_w = least(5, cell.width),
                     .stride_h = n->series ? 1 : 3,
                     .stride_w = 3};
    for (int64_t i = 0; i < count; i++) {
        const char *name = arena_printf(g->perm, "%s.part%lld", auxiliary_prefix, (long long)i);
        const Value from = cell.kind == VALUE_CONCAT ? cell.parts[i] : x;
        Value positive = graph_mix(g, &(Term){.value = from, .table = -1, .relu = true}, 1, name);
        part[i] = store(n, graph_pool(g, positive, pool, 0), name);
    }
    x = graph_concat(g, part, (int32_t)count);
    x = graph_conv(g, x, conv_spec(n, false, 128, 1, 1, 1, 1, n->norm), join(n, auxiliary_prefix, "features.2.weight"),
                   join(n, auxiliary_prefix, "features.3"));
    if (g->error) return;
    ConvSpec last = conv_spec(n, true, 768, least(2, g->values[x].height), least(2, g->values[x].width), 1, 1, n->norm);
    last.pad_h = last.pad_w = 0;
    x = graph_conv(g, x, last, join(n, auxiliary_prefix, "features.5.weight"), join(n, auxiliary_prefix, "features.6"));
    x = graph_mix(g, &(Term){.value = x, .table = -1, .relu = true}, 1, auxiliary_prefix);
    graph_auxiliary(g, x, outputs, join(n, auxiliary_prefix, "classifier"), weight);
}

/* Either of s (search) and t (derived) is 0. */
static Graph *build(Arena *perm, const Space *s, const Genotype *t, const NetSpec *spec)
{
    Graph *g = graph_new(perm);
    if ((g->error = check_spec(perm, spec))) return g;
    Net n = {.g = g, .series = spec->height == 1, .norm = s ? NORM_PLAIN : NORM_AFFINE};
    n.pool_norm = s ? NORM_PLAIN : NORM_NONE;
    if (s) {
        int64_t bypass, skip, elements = space_edges(s) * network_columns(s, spec, &bypass, &skip);
        graph_table(g, "normal", elements);
        graph_table(g, "reduce", elements);
    }
    Value x = graph_input(g, spec->input_channels, spec->height, spec->width);
    ConvSpec stem = conv_spec(&n, false, spec->channels * spec->stem_multiplier, 3, 3, 1, 1, NORM_AFFINE);
    x = store(&n, graph_conv(g, x, stem, "stem.0.weight", "stem.1"), "stem");
    Value before_last = x, last = x;
    CellBuild c = {.channels = spec->channels};
    for (c.index = 0; c.index < spec->layers && !g->error; c.index++) {
        c.prefix = arena_printf(perm, "cells.%lld", (long long)c.index);
        c.reduction_before = c.reduction;
        c.reduction = network_reduces(spec, c.index);
        if (c.reduction) c.channels *= 2;
        preprocess(&n, &c, before_last, last);
        x = s ? search_cell(&n, &c, s, spec) : derived_cell(&n, &c, c.reduction ? &t->reduce : &t->normal);
        before_last = last;
        last = x;
        if (t && spec->auxiliary > 0 && c.index == 2 * spec->layers / 3) {
            const int64_t macs = g->macs, before = g->weight_count;
            auxiliary_tower(&n, x, spec->outputs, spec->auxiliary);
            g->macs = macs;
            g->auxiliary_count = g->weight_count - before;
        }
    }
    graph_head(g, last, spec->outputs, "classifier");
    graph_loss(g, spec->loss, &spec->detail);
    return g;
}

Graph *network_supernet(Arena *perm, const Space *s, const NetSpec *n)
{
    return build(perm, s, 0, n);
}

Graph *network_genotype(Arena *perm, const Genotype *t, const NetSpec *n)
{
    return build(perm, 0, t, n);
}

int64_t network_columns(const Space *s, const NetSpec *n, int64_t *bypass, int64_t *skip)
{
    int64_t columns = s->op_count;
    *bypass = n->share > 1 ? columns++ : -1;
    *skip = n->auxiliary_skip ? columns++ : -1;
    return columns;
}

OpCost network_cost(Arena scratch, const Primitive *p, const NetSpec *spec, int64_t channels, int64_t height,
                    int64_t width, int64_t stride)
{
    Graph *g = graph_new(&scratch);
    Net n = {.g = g, .series = spec->height == 1, .norm = NORM_PLAIN, .pool_norm = NORM_PLAIN};
    bool identity;
    apply(&n, graph_input(g, channels, height, width), p, channels, stride, "op", &identity);
    return (OpCost){g->weight_count, g->macs};
}
