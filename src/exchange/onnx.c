/* onnx: see onnx.h. Every operation of a graph becomes one to three nodes; a value is the name of a tensor. */
#include "exchange/onnx.h"

#include <stdbool.h>
#include <string.h>

#include "onnx/onnx.pb-c.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw data of tensors is little-endian");

enum { IR_VERSION = 7, OPSET = 13, MAX_ATTRIBUTES = 6, MAX_SIZES = 8 };
static const int64_t MOST_BYTES = (INT64_C(1) << 31) - (INT64_C(1) << 20); /* room for all but the weights */

typedef struct { /* of a node: whole numbers, or with count -1 one whole number, with -2 a real one */
    const char *name;
    int64_t count, size[MAX_SIZES];
    float real;
} Attribute;

typedef struct {
    Arena *perm;
    const OnnxModel *m;
    const Graph *g;
    const char **tensor; /* of every value that is there: its tensor, normalised; else 0 */
    bool *needed;        /* values that the logits depend on */
    bool **mixed;        /* of each table: the elements that are constants already */
    Onnx__NodeProto **node;
    int64_t nodes, node_room;
    Onnx__TensorProto **constant;
    int64_t constants, constant_room;
} Builder;

/* ---- parts of a model ---- */

/* A constant, whose data are kept by pointer; returns its name. */
static const char *constant_of(Builder *b, const char *name, int32_t type, const int64_t *shape, int rank,
                               const void *data, int64_t bytes)
{
    Onnx__TensorProto *t = NEW(b->perm, Onnx__TensorProto, 1);
    onnx__tensor_proto__init(t);
    t->name = (char *)name;
    t->n_dims = (size_t)rank;
    t->dims = NEW(b->perm, int64_t, rank + 1);
    for (int i = 0; i < rank; i++) t->dims[i] = shape[i];
    t->has_data_type = t->has_raw_data = 1;
    t->data_type = type;
    t->raw_data = (ProtobufCBinaryData){.len = (size_t)bytes, .data = (uint8_t *)data};
    GROW(b->perm, b->constant, b->constants, b->constant_room);
    b->constant[b->constants++] = t;
    return name;
}

static const char *floats(Builder *b, const char *name, const int64_t *shape, int rank, const float *data)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    return constant_of(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape, rank, data,
                       count * (int64_t)sizeof(float));
}

static const char *integers(Builder *b, const char *name, int64_t count, const int64_t *data)
{
    return constant_of(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, &count, 1, data, count * (int64_t)sizeof *data);
}

static const char *parameter(Builder *b, int32_t id)
{
    const Param *p = &b->g->params[id];
    return floats(b, p->name, p->shape, p->rank, b->m->weights + p->offset);
}

static Onnx__AttributeProto *attribute_of(Arena *perm, const Attribute *from)
{
    Onnx__AttributeProto *a = NEW(perm, Onnx__AttributeProto, 1);
    onnx__attribute_proto__init(a);
    a->name = (char *)from->name;
    a->has_type = 1;
    if (from->count == -2) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->has_f = 1;
        a->f = from->real;
    } else if (from->count == -1) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        a->has_i = 1;
        a->i = from->size[0];
    } else {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        a->n_ints = (size_t)from->count;
        a->ints = NEW(perm, int64_t, from->count);
        memcpy(a->ints, from->size, (size_t)from->count * sizeof *a->ints);
    }
    return a;
}

/* Appends a node with one output, whose name is that of the node: given, or made of `label`. */
static const char *node_named(Builder *b, const char *type, const char *name, const char *const *input, int64_t inputs,
                              const Attribute *attributes)
{
    Onnx__NodeProto *n = NEW(b->perm, Onnx__NodeProto, 1);
    onnx__node_proto__init(n);
    n->op_type = (char *)type;
    n->name = (char *)name;
    n->n_input = (size_t)inputs;
    n->input = NEW(b->perm, char *, inputs);
    for (int64_t i = 0; i < inputs; i++) n->input[i] = (char *)input[i];
    n->n_output = 1;
    n->output = NEW(b->perm, char *, 1);
    n->output[0] = (char *)name;
    n->attribute = NEW(b->perm, Onnx__AttributeProto *, MAX_ATTRIBUTES);
    while (attributes && attributes->name) n->attribute[n->n_attribute++] = attribute_of(b->perm, attributes++);
    GROW(b->perm, b->node, b->nodes, b->node_room);
    b->node[b->nodes++] = n;
    return name;
}

static const char *node_of(Builder *b, const char *type, const char *label, const char *const *input, int64_t inputs,
                           const Attribute *attributes)
{
    const char *name = arena_printf(b->perm, "%s/%s_%lld", label, type, (long long)b->nodes);
    return node_named(b, type, name, input, inputs, attributes);
}
#define NODE(b, type, label, ...)                                                                                      \
    node_of(b, type, label, (const char *[]){__VA_ARGS__}, COUNTOF(((const char *[]){__VA_ARGS__})), 0)
#define NODE_WITH(b, type, label, attributes, ...)                                                                     \
    node_of(b, type, label, (const char *[]){__VA_ARGS__}, COUNTOF(((const char *[]){__VA_ARGS__})), attributes)

/* ---- operations ---- */

/* "cells.0.preprocess0.conv_1" of "cells.0.preprocess0.conv_1.weight|cells.0.preprocess0.conv_2.weight" */
static const char *label_of(Arena *perm, const char *name)
{
    static const char ending[] = ".weight";
    int64_t n = (int64_t)strcspn(name, "|"), k = (int64_t)strlen(ending);
    if (n > k && !strncmp(name + n - k, ending, (size_t)k)) n -= k;
    return arena_strndup(perm, name, n);
}

/* The tensor of a value; a concat's parts are put together where it is first read. */
static const char *tensor_of(Builder *b, Value v)
{
    const ValueInfo *info = &b->g->values[v];
    if (b->tensor[v] || info->kind != VALUE_CONCAT) return b->tensor[v];
    const char **part = NEW(b->perm, const char *, info->part_count);
    for (int32_t i = 0; i < info->part_count; i++) part[i] = tensor_of(b, info->parts[i]);
    const Attribute axis[] = {{"axis", -1, {1}}, {0}};
    return b->tensor[v] = node_of(b, "Concat", "concat", part, info->part_count, axis);
}

/* (x - mean) / sqrt(variance + eps) * gamma + beta; without gamma and beta these are constants. */
static const char *normalised(Builder *b, Value v, const char *label, const char *x)
{
    const ValueInfo *info = &b->g->values[v];
    if (info->norm == NORM_NONE) return x;
    const NormStat *s = &b->g->stats[info->stat];
    const int64_t *shape = &s->channels;
    const char *gamma, *beta;
    if (info->norm == NORM_AFFINE) {
        gamma = parameter(b, info->gamma);
        beta = parameter(b, info->beta);
    } else {
        float *one = NEW(b->perm, float, s->channels), *zero = NEW(b->perm, float, s->channels);
        for (int64_t i = 0; i < s->channels; i++) one[i] = 1;
        gamma = floats(b, arena_printf(b->perm, "%s.weight", s->name), shape, 1, one);
        beta = floats(b, arena_printf(b->perm, "%s.bias", s->name), shape, 1, zero);
    }
    const float *stats = b->m->stats + s->offset;
    const char *mean = floats(b, arena_printf(b->perm, "%s.running_mean", s->name), shape, 1, stats);
    const char *variance = floats(b, arena_printf(b->perm, "%s.running_var", s->name), shape, 1, stats + s->channels);
    const Attribute epsilon[] = {{"epsilon", -2, {0}, 1.0f / GRAPH_EPS_INV}, {0}};
    return NODE_WITH(b, "BatchNormalization", label, epsilon, x, gamma, beta, mean, variance);
}

static const char *convolved(Builder *b, const ConvSpec *s, const char *label, const char *x, int32_t weight,
                             int64_t groups)
{
    const Attribute a[] = {{"kernel_shape", 2, {s->kernel_h, s->kernel_w}},
                           {"strides", 2, {s->stride_h, s->stride_w}},
                           {"pads", 4, {s->pad_h, s->pad_w, s->pad_h, s->pad_w}},
                           {"dilations", 2, {s->dilation_h, s->dilation_w}},
                           {"group", -1, {groups}},
                           {0}};
    return NODE_WITH(b, "Conv", label, a, x, parameter(b, weight));
}

/* Zeros at the end of the sides, after as many values were taken from their beginning if `shift`. */
static const char *padded(Builder *b, const char *label, const char *x, int64_t rows, int64_t columns, bool shift)
{
    int64_t *pads = NEW(b->perm, int64_t, 8); /* begin, then end, of N, C, H, W */
    pads[6] = rows;
    pads[7] = columns;
    if (shift) {
        pads[2] = -rows;
        pads[3] = -columns;
    }
    const char *name = arena_printf(b->perm, "%s/pads_%lld", label, (long long)b->nodes);
    return NODE(b, "Pad", label, x, integers(b, name, 8, pads));
}

static const char *conv(Builder *b, const Op *o, const char *label)
{
    const ConvSpec *s = &o->conv;
    const char *x = tensor_of(b, o->input);
    if (s->relu) x = NODE(b, "Relu", label, x);
    const char *y = convolved(b, s, label, x, o->weight, 1);
    if (s->factorized) { /* the second half reads from one place further on, and zeros beyond the end */
        x = padded(b, label, x, s->stride_h - 1, s->stride_w - 1, true);
        const Attribute axis[] = {{"axis", -1, {1}}, {0}};
        y = NODE_WITH(b, "Concat", label, axis, y, convolved(b, s, label, x, o->weight2, 1));
    }
    return normalised(b, o->output, label, y);
}

static const char *sepconv(Builder *b, const Op *o, const char *label)
{
    static const ConvSpec pointwise = {
        .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    const char *x = tensor_of(b, o->input);
    if (o->conv.relu) x = NODE(b, "Relu", label, x);
    x = convolved(b, &o->conv, label, x, o->weight, b->g->values[o->input].channels);
    x = convolved(b, &pointwise, label, x, o->weight2, 1);
    return normalised(b, o->output, label, x);
}

static const char *pool(Builder *b, const Op *o, const char *label)
{
    const PoolSpec *s = &o->pool;
    const char *x = tensor_of(b, o->input);
    int64_t extra = s->extra_pad_bottom_right, rows = s->kernel_h > 1 ? extra : 0,
            columns = s->kernel_w > 1 ? extra : 0;
    if (extra) x = padded(b, label, x, rows, columns, false);
    const Attribute a[] = {{"kernel_shape", 2, {s->kernel_h, s->kernel_w}},
                           {"strides", 2, {s->stride_h, s->stride_w}},
                           {"pads", 4, {s->pad_h, s->pad_w, s->pad_h, s->pad_w}},
                           {0}};
    x = NODE_WITH(b, s->kind == POOL_MAX ? "MaxPool" : "AveragePool", label, a, x); /* neither counts the padding */
    return normalised(b, o->output, label, x);
}

static float weight_of(const Builder *b, const Term *t)
{
    return t->table < 0 ? 1 : b->m->mixing[t->table][t->index];
}

/* Does term i of a mix add something? Of terms that are all 0 the first one stands for them. */
static bool adds(const Builder *b, const Op *o, int32_t i)
{
    bool any = false;
    for (int32_t k = 0; k < o->mix.count; k++) any |= weight_of(b, &o->mix.terms[k]) != 0;
    return any ? weight_of(b, &o->mix.terms[i]) != 0 : i == 0;
}

static const char *mixing_weight(Builder *b, const Term *t)
{
    const char *name = arena_printf(b->perm, "%s.%d", b->g->tables[t->table].name, t->index);
    if (!b->mixed[t->table][t->index]) floats(b, name, 0, 0, b->m->mixing[t->table] + t->index);
    b->mixed[t->table][t->index] = true;
    return name;
}

static const char *mix(Builder *b, const Op *o, const char *label)
{
    const char **term = NEW(b->perm, const char *, o->mix.count);
    int64_t count = 0;
    for (int32_t i = 0; i < o->mix.count; i++) {
        const Term *t = &o->mix.terms[i];
        if (!adds(b, o, i)) continue;
        const char *x = tensor_of(b, t->value);
        if (t->relu) x = NODE(b, "Relu", label, x);
        term[count++] = t->table < 0 ? x : NODE(b, "Mul", label, x, mixing_weight(b, t));
    }
    return count > 1 ? node_of(b, "Sum", label, term, count, 0) : term[0];
}

static const char *selected(Builder *b, const Op *o, const char *label)
{
    int64_t count = b->g->values[o->output].channels, *from = NEW(b->perm, int64_t, count);
    for (int64_t i = 0; i < count; i++) from[i] = o->select[i];
    const char *name = arena_printf(b->perm, "%s/channels", label);
    const Attribute axis[] = {{"axis", -1, {1}}, {0}};
    return NODE_WITH(b, "Gather", label, axis, tensor_of(b, o->input), integers(b, name, count, from));
}

static const char *head(Builder *b, const Op *o, const char *label)
{
    const char *x = NODE(b, "GlobalAveragePool", label, tensor_of(b, o->input));
    x = NODE(b, "Flatten", label, x);
    const Attribute transposed[] = {{"transB", -1, {1}}, {0}};
    const char *input[] = {x, parameter(b, o->weight), parameter(b, o->weight2)};
    return node_named(b, "Gemm", "logits", input, COUNTOF(input), transposed);
}

static const char *standardised(Builder *b)
{
    const OnnxModel *m = b->m;
    const int64_t shape[4] = {1, m->channels, 1, 1};
    if (!m->mean) return "input";
    float *mean = NEW(b->perm, float, shape[1]), *scale = NEW(b->perm, float, shape[1]);
    for (int64_t i = 0; i < shape[1]; i++) {
        mean[i] = (float)m->mean[i];
        scale[i] = (float)(1 / m->sd[i]);
    }
    const char *x = NODE(b, "Sub", "input", "input", floats(b, "input.mean", shape, 4, mean));
    return NODE(b, "Mul", "input", x, floats(b, "input.scale", shape, 4, scale));
}

static const char *input(Builder *b)
{
    const ValueInfo *v = &b->g->values[b->g->input];
    const char *x = standardised(b);
    if (v->channels == b->m->channels && v->height == b->m->height && v->width == b->m->width) return x;
    const int64_t shape[4] = {0, v->channels, v->height, v->width}; /* 0: as it is */
    int64_t *kept = NEW(b->perm, int64_t, COUNTOF(shape));
    memcpy(kept, shape, sizeof shape);
    return NODE(b, "Reshape", "input", x, integers(b, "input.shape", COUNTOF(shape), kept));
}

static const char *operation(Builder *b, const Op *o)
{
    const char *label = label_of(b->perm, o->name);
    switch (o->kind) {
    case OP_INPUT: b->tensor[o->output] = input(b); return 0;
    case OP_CONV: b->tensor[o->output] = conv(b, o, label); return 0;
    case OP_SEPCONV: b->tensor[o->output] = sepconv(b, o, label); return 0;
    case OP_POOL: b->tensor[o->output] = pool(b, o, label); return 0;
    case OP_MIX: b->tensor[o->output] = mix(b, o, label); return 0;
    case OP_SELECT: b->tensor[o->output] = selected(b, o, label); return 0;
    case OP_HEAD: b->tensor[o->output] = head(b, o, label); return 0;
    case OP_LEARNED:
    case OP_RESIZE:
    case OP_FLATTEN: return arena_printf(b->perm, "%s: a generator is not written as an ONNX model", label);
    case OP_NOISE:
    case OP_KIND_COUNT: break;
    }
    return arena_printf(b->perm, "%s: an operation that makes noise has no place in an ONNX model", label);
}

/* ---- what depends on what ---- */

static void need(Builder *b, Value v)
{
    const ValueInfo *info = &b->g->values[v];
    b->needed[v] = true;
    for (int32_t i = 0; i < info->part_count; i++) need(b, info->parts[i]);
}

static void find_needed(Builder *b)
{
    need(b, b->g->logits);
    for (int32_t i = b->g->op_count - 1; i >= 0; i--) { /* operations stand behind what they read */
        const Op *o = &b->g->ops[i];
        if (!b->needed[o->output]) continue;
        if (o->kind != OP_MIX && o->input >= 0) need(b, o->input);
        for (int32_t k = 0; o->kind == OP_MIX && k < o->mix.count; k++)
            if (adds(b, o, k)) need(b, o->mix.terms[k].value);
    }
}

/* ---- predictions ---- */

static const char *pick(Builder *b, const char *x, int64_t first, int64_t count, const char *label)
{
    int64_t *from = NEW(b->perm, int64_t, count);
    for (int64_t i = 0; i < count; i++) from[i] = first + i;
    const char *name = arena_printf(b->perm, "%s/outputs_%lld", label, (long long)b->nodes);
    const Attribute axis[] = {{"axis", -1, {1}}, {0}};
    return NODE_WITH(b, "Gather", label, axis, x, integers(b, name, count, from));
}

/* Shares along a tree of questions, LOSS_TREE of loss.h. */
static void tree(Builder *b)
{
    const LossDetail *d = &b->g->detail;
    const Attribute last[] = {{"axis", -1, {1}}, {0}};
    const char **share = NEW(b->perm, const char *, d->questions),
               **in_order = NEW(b->perm, const char *, d->questions);
    float *tiny = NEW(b->perm, float, 1);
    int64_t *one = NEW(b->perm, int64_t, 1), parts = 0;
    *tiny = 1e-12f;
    *one = 1;
    if (d->divisive) {
        floats(b, "tree/tiny", 0, 0, tiny);
        integers(b, "tree/axis", 1, one);
    }
    for (int32_t q = 0; q < d->questions; q++) {
        const Question *k = &d->question[q];
        const char *x = pick(b, "logits", k->first, k->count, "tree");
        if (d->divisive) {
            x = NODE(b, "Relu", "tree", x);
            x = NODE(b, "Div", "tree", x,
                     NODE(b, "Add", "tree", NODE(b, "ReduceSum", "tree", x, "tree/axis"), "tree/tiny"));
        } else {
            x = NODE_WITH(b, "Softmax", "tree", last, x);
        }
        for (int32_t p = 0; p < q && k->parent >= 0; p++) {
            const Question *above = &d->question[p];
            if (k->parent >= above->first && k->parent < above->first + above->count)
                x = NODE(b, "Mul", "tree", x, pick(b, share[p], k->parent - above->first, 1, "tree"));
        }
        share[q] = x;
    }
    for (int64_t at = 0; at < b->g->outputs;) /* every output is one question's */
        for (int32_t q = 0; q < d->questions; q++)
            if (d->question[q].first == at) {
                in_order[parts++] = share[q];
                at += d->question[q].count;
            }
    node_named(b, "Concat", "predictions", in_order, parts, last);
}

static void predictions(Builder *b)
{
    const OnnxModel *m = b->m;
    const char *const logits[] = {"logits"};
    const Attribute last[] = {{"axis", -1, {1}}, {0}};
    switch (b->g->loss) {
    case LOSS_CROSS_ENTROPY: node_named(b, "Softmax", "predictions", logits, 1, last); return;
    case LOSS_BINARY: node_named(b, "Sigmoid", "predictions", logits, 1, 0); return;
    case LOSS_TREE: tree(b); return;
    default: break;
    }
    if (!m->target_mean) {
        node_named(b, "Identity", "predictions", logits, 1, 0);
        return;
    }
    const int64_t shape[2] = {1, b->g->outputs};
    float *mean = NEW(b->perm, float, shape[1]), *sd = NEW(b->perm, float, shape[1]);
    for (int64_t i = 0; i < shape[1]; i++) {
        mean[i] = (float)m->target_mean[i];
        sd[i] = (float)m->target_sd[i];
    }
    const char *in[] = {NODE(b, "Mul", "target", "logits", floats(b, "target.sd", shape, 2, sd)),
                        floats(b, "target.mean", shape, 2, mean)};
    node_named(b, "Add", "predictions", in, COUNTOF(in), 0);
}

/* ---- the whole ---- */

/* A float tensor with a free first axis. */
static Onnx__ValueInfoProto **interface(Arena *perm, Onnx__ValueInfoProto **to, const char *name, const int64_t *size,
                                        int rank)
{
    Onnx__TensorShapeProto *shape = NEW(perm, Onnx__TensorShapeProto, 1);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = NEW(perm, Onnx__TensorShapeProto__Dimension *, rank + 1);
    for (int i = 0; i <= rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = NEW(perm, Onnx__TensorShapeProto__Dimension, 1);
        onnx__tensor_shape_proto__dimension__init(d);
        d->value_case = i ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                          : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (i)
            d->dim_value = size[i - 1];
        else
            d->dim_param = "batch";
        shape->dim[shape->n_dim++] = d;
    }
    Onnx__TypeProto__Tensor *tensor = NEW(perm, Onnx__TypeProto__Tensor, 1);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    Onnx__TypeProto *type = NEW(perm, Onnx__TypeProto, 1);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    Onnx__ValueInfoProto *v = NEW(perm, Onnx__ValueInfoProto, 1);
    onnx__value_info_proto__init(v);
    v->name = (char *)name;
    v->type = type;
    *to = v;
    return to;
}

const char *onnx_pack(Arena *perm, const OnnxModel *m, const void **bytes, int64_t *count)
{
    const Graph *g = m->graph;
    if (g->weight_count > MOST_BYTES / (int64_t)sizeof(float))
        return arena_printf(perm, "%lld parameters are more than the 2 GiB of an ONNX model hold",
                            (long long)g->weight_count);
    Builder b = {.perm = perm, .m = m, .g = g};
    b.tensor = NEW(perm, const char *, g->value_count);
    b.needed = NEW(perm, bool, g->value_count);
    b.mixed = NEW(perm, bool *, g->table_count + 1);
    for (int32_t i = 0; i < g->table_count; i++) b.mixed[i] = NEW(perm, bool, g->tables[i].count);
    find_needed(&b);
    for (int32_t i = 0; i < g->op_count; i++) {
        const char *why = b.needed[g->ops[i].output] ? operation(&b, &g->ops[i]) : 0;
        if (why) return why;
    }
    predictions(&b);

    Onnx__ValueInfoProto *input_of[1], *output_of[2];
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    graph.name = (char *)m->name;
    graph.n_node = (size_t)b.nodes;
    graph.node = b.node;
    graph.n_initializer = (size_t)b.constants;
    graph.initializer = b.constant;
    graph.n_input = COUNTOF(input_of);
    graph.input = interface(perm, input_of, "input", (int64_t[3]){m->channels, m->height, m->width}, 3);
    graph.n_output = COUNTOF(output_of);
    graph.output = interface(perm, output_of, "logits", &g->outputs, 1);
    interface(perm, output_of + 1, "predictions", &g->outputs, 1);

    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    opset.domain = "";
    opset.has_version = 1;
    opset.version = OPSET;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    model.has_ir_version = 1;
    model.ir_version = IR_VERSION;
    model.n_opset_import = COUNTOF(opsets);
    model.opset_import = opsets;
    model.producer_name = "nas-tools";
    model.producer_version = (char *)m->version;
    model.doc_string = (char *)m->description;
    model.graph = &graph;

    *count = (int64_t)onnx__model_proto__get_packed_size(&model);
    if (*count > INT32_MAX)
        return arena_printf(perm, "%lld bytes are more than an ONNX model holds", (long long)*count);
    uint8_t *to = NEW(perm, uint8_t, *count);
    onnx__model_proto__pack(&model, to);
    *bytes = to;
    return 0;
}
