/* The graph's builders, and the nets made with them: published parameter counts, names, shapes, costs, misuse. */
#include "check.h"
#include "nn/network.h"

static Arena perm;

static Space darts_space(void)
{
    Space s;
    CHECK(!space_make(&perm, "darts", 4, 2, 4, &s));
    return s;
}

static Genotype named(const char *name)
{
    Genotype g = {0};
    CHECK(!genotype_parse(&perm, genotype_find(name)->text, &g));
    return g;
}

static NetSpec spec(int64_t c, int64_t h, int64_t w, int64_t channels, int64_t layers)
{
    return (NetSpec){.input_channels = c,
                     .height = h,
                     .width = w,
                     .outputs = 10,
                     .channels = channels,
                     .layers = layers,
                     .reduce_count = -1,
                     .stem_multiplier = 3};
}

static const Param *param(const Graph *g, const char *name)
{
    for (int32_t i = 0; i < g->param_count; i++)
        if (!strcmp(g->params[i].name, name)) return &g->params[i];
    static const Param none;
    CHECK_MSG(false, "no parameter %s", name);
    return &none;
}

static const NormStat *stat(const Graph *g, const char *name)
{
    for (int32_t i = 0; i < g->stat_count; i++)
        if (!strcmp(g->stats[i].name, name)) return &g->stats[i];
    return 0;
}

static void check_shape(const Graph *g, const char *name, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const Param *p = param(g, name);
    int64_t shape[4] = {a, b, c, d};
    int rank = 4;
    while (rank > 1 && !shape[rank - 1]) rank--;
    CHECK_MSG(p->rank == rank, "%s has rank %d", name, p->rank);
    for (int i = 0; i < rank; i++) CHECK_MSG(p->shape[i] == shape[i], "%s: side %d is %d", name, i, (int)p->shape[i]);
}

/* What must hold of every graph: parameters lie side by side, names are unique, every raw and pooled value has its one
 * consumer, and the cost is what the kernels' sizes say. */
static void check_graph(const Graph *g)
{
    if (!CHECK_MSG(!g->error, "%s", g->error)) return;
    int64_t at = 0, macs = 0;
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        int64_t count = 1;
        for (int k = 0; k < p->rank; k++) count *= p->shape[k];
        CHECK_EQ(p->offset, at);
        CHECK_EQ(p->count, count);
        at += count;
        if (g->param_count < 500)
            for (int32_t k = 0; k < i; k++) CHECK_MSG(strcmp(p->name, g->params[k].name), "%s twice", p->name);
    }
    CHECK_EQ(at, g->weight_count);
    CHECK_EQ(at, g->weight_count);
    at = 0;
    for (int32_t i = 0; i < g->stat_count; i++) {
        CHECK_EQ(g->stats[i].offset, at);
        at += 2 * g->stats[i].channels;
    }
    CHECK_EQ(at, g->stat_floats);
    int32_t *readers = NEW(&perm, int32_t, g->value_count);
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        const ValueInfo *out = &g->values[op->output];
        CHECK_EQ(out->op, i);
        if (op->input >= 0) readers[op->input]++;
        CHECK(op->input < op->output);
        if (op->kind == OP_MIX)
            for (int32_t k = 0; k < op->mix.count; k++) readers[op->mix.terms[k].value]++;
        if (op->kind != OP_CONV && op->kind != OP_SEPCONV && op->kind != OP_HEAD) continue;
        int64_t kernels = g->params[op->weight].count;
        if (op->kind != OP_HEAD && op->weight2 >= 0) kernels += g->params[op->weight2].count;
        CHECK_EQ(op->macs, kernels * out->height * out->width);
        macs += op->macs;
    }
    if (g->auxiliary < 0) CHECK_EQ(macs, g->macs);
    for (int32_t i = 0; i < g->value_count; i++) {
        const ValueInfo *v = &g->values[i];
        for (int32_t k = 0; k < v->part_count; k++) readers[v->parts[k]]++;
    }
    for (int32_t i = 0; i < g->value_count; i++) {
        const ValueInfo *v = &g->values[i];
        CHECK_EQ(v->consumers, readers[i]);
        if (v->kind == VALUE_RAW || v->kind == VALUE_POOLED) CHECK_EQ(v->consumers, 1);
        CHECK_EQ(v->stat >= 0, v->norm != NORM_NONE);
        CHECK_EQ(v->gamma >= 0, v->norm == NORM_AFFINE);
        if (v->gamma >= 0) CHECK_EQ(g->params[v->gamma].count, v->channels);
        if (v->stat >= 0) CHECK_EQ(g->stats[v->stat].channels, v->channels);
    }
    CHECK_EQ(g->values[g->logits].channels, g->outputs);
    for (int32_t i = 0; g->auxiliary < 0 && i < g->param_count; i++) CHECK(!strstr(g->params[i].name, "auxiliary"));
}

/* ---- whole nets ---- */

static void test_published_counts(void)
{
    Space s = darts_space();
    NetSpec n = spec(3, 32, 32, 16, 8);
    Graph *g = network_supernet(&perm, &s, &n);
    check_graph(g);
    CHECK_EQ(graph_param_total(g), 1930618);
    n = spec(1, 28, 28, 16, 8);
    g = network_supernet(&perm, &s, &n);
    CHECK_EQ(graph_param_total(g), 1929754);
    n = spec(3, 32, 32, 36, 20);
    Genotype v2 = named("DARTS_V2");
    g = network_genotype(&perm, &v2, &n);
    check_graph(g);
    CHECK_EQ(graph_param_total(g), 3349342);
    const int64_t macs = g->macs;
    n.auxiliary = 0.4; /* AuxiliaryHeadCIFAR of 576 channels: 1x1 and 2x2 kernels, their BNs, a linear layer */
    g = network_genotype(&perm, &v2, &n);
    check_graph(g);
    CHECK_EQ(graph_param_total(g), 3349342);
    CHECK_EQ(g->weight_count, 3349342 + 576 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10);
    CHECK_EQ(g->macs, macs);
    CHECK_EQ(g->values[g->auxiliary].channels, 10);
    n.auxiliary = 0;
    const char *why;
    n.channels = 0;
    g = network_named(&perm, "resnet-18", &n, &why); /* the CIFAR variant: 3x3 stem, no pooling */
    check_graph(g);
    CHECK_EQ(graph_param_total(g), 11173962);
}

static void test_supernet(void)
{
    Space s = darts_space();
    NetSpec n = spec(3, 32, 32, 16, 8);
    Graph *g = network_supernet(&perm, &s, &n);
    CHECK_EQ(g->table_count, 2);
    CHECK_STR(g->tables[0].name, "normal");
    CHECK_STR(g->tables[1].name, "reduce");
    CHECK_EQ(g->tables[1].count, 14 * 8);
    check_shape(g, "stem.0.weight", 48, 3, 3, 3);
    check_shape(g, "stem.1.weight", 48, 0, 0, 0);
    check_shape(g, "cells.0.preprocess0.op.1.weight", 16, 48, 1, 1);
    check_shape(g, "cells.0._ops.0._ops.4.op.1.weight", 16, 1, 3, 3);
    check_shape(g, "cells.0._ops.0._ops.4.op.2.weight", 16, 16, 1, 1);
    check_shape(g, "cells.7._ops.13._ops.5.op.5.weight", 64, 1, 5, 5);
    check_shape(g, "cells.7._ops.13._ops.7.op.2.weight", 64, 64, 1, 1);
    check_shape(g, "cells.2._ops.1._ops.3.conv_1.weight", 16, 32, 1, 1); /* skip of stride 2 */
    check_shape(g, "cells.3.preprocess0.conv_2.weight", 16, 64, 1, 1);
    check_shape(g, "classifier.weight", 10, 256, 0, 0);
    check_shape(g, "classifier.bias", 10, 0, 0, 0);
    CHECK(stat(g, "stem.1") && stat(g, "cells.3.preprocess0.bn") && stat(g, "cells.0.preprocess1.op.2"));
    CHECK(stat(g, "cells.0._ops.0._ops.1.1")); /* of a pooling */
    CHECK(stat(g, "cells.0._ops.0._ops.4.op.7") && !stat(g, "cells.0._ops.0._ops.7.op.7"));
    int64_t normal = 0, reduce = 0, identities = 0;
    uint8_t seen[2][14 * 8] = {{0}};
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        if (op->kind == OP_POOL) CHECK_EQ(op->pool.norm, NORM_PLAIN);
        if (op->kind != OP_MIX) continue;
        for (int32_t k = 0; k < op->mix.count; k++) {
            Term t = op->mix.terms[k];
            CHECK(!t.drop && !t.relu);
            if (t.table < 0) continue;
            ++*(t.table ? &reduce : &normal);
            seen[t.table][t.index]++;
            identities += g->values[t.value].kind == VALUE_PLAIN;
        }
    }
    CHECK_EQ(normal, 6 * 14 * 7);
    CHECK_EQ(reduce, 2 * 14 * 7);
    CHECK_EQ(identities, 6 * 14 + 2 * 6); /* in reduction cells the edges from both inputs have stride 2 */
    for (int i = 0; i < 14 * 8; i++) {
        CHECK_EQ(seen[0][i], i % 8 ? 6 : 0); /* none is never built */
        CHECK_EQ(seen[1][i], i % 8 ? 2 : 0);
    }
}

static void test_derived(void)
{
    Genotype v2 = named("DARTS_V2");
    NetSpec n = spec(3, 32, 32, 36, 20);
    Graph *g = network_genotype(&perm, &v2, &n);
    CHECK_EQ(g->table_count, 0);
    check_shape(g, "stem.0.weight", 108, 3, 3, 3);
    check_shape(g, "cells.0._ops.0.op.1.weight", 36, 1, 3, 3);
    check_shape(g, "cells.0._ops.0.op.7.weight", 36, 0, 0, 0);
    check_shape(g, "cells.0._ops.7.op.3.bias", 36, 0, 0, 0);
    check_shape(g, "cells.7.preprocess0.conv_1.weight", 36, 144, 1, 1);
    check_shape(g, "classifier.weight", 10, 576, 0, 0);
    int64_t identities = 0, terms = 0;
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        if (op->kind == OP_POOL) CHECK_EQ(op->pool.norm, NORM_NONE);
        if (op->kind == OP_SEPCONV) CHECK_EQ(op->conv.norm, NORM_AFFINE);
        if (op->kind != OP_MIX || op->mix.count == 1) continue;
        for (int32_t k = 0; k < op->mix.count; k++, terms++) {
            Term t = op->mix.terms[k];
            CHECK_EQ(t.table, -1);
            bool identity = g->values[t.value].kind == VALUE_PLAIN;
            CHECK_EQ(t.drop, !identity);
            identities += identity;
        }
    }
    CHECK_EQ(terms, 20 * 8);
    CHECK_EQ(identities, 18 * 2 + 2 * 3);
    const ValueInfo *last = &g->values[g->ops[g->op_count - 1].input];
    CHECK_EQ(last->channels, 576);
    CHECK_EQ(last->height, 8);
}

/* Every published cell builds for every shape: odd sides, one channel, a series, sides that shrink to one. */
static void test_shapes(void)
{
    static const int64_t size[][3] = {{3, 30, 80}, {1, 17, 23}, {6, 1, 101}, {2, 5, 3}, {1, 1, 1}, {57, 7, 1}};
    Space s;
    CHECK(!space_make(&perm, "galaxy-zoo-11", 4, 2, 4, &s));
    s.op[s.op_count++] = (int8_t)primitive_find("conv_7x1_1x7", 12);
    for (ptrdiff_t i = 0; i < COUNTOF(size); i++) {
        NetSpec n = spec(size[i][0], size[i][1], size[i][2], 3, 8);
        Arena before = perm;
        for (int64_t k = 0; k < genotype_named_count; k++) {
            Genotype t = named(genotype_named[k].name);
            Graph *g = network_genotype(&perm, &t, &n);
            check_graph(g);
            const ValueInfo *last = &g->values[g->ops[g->op_count - 1].input];
            CHECK_EQ(last->height, (size[i][1] + 3) / 4);
            CHECK_EQ(last->width, (size[i][2] + 3) / 4);
        }
        Graph *g = network_supernet(&perm, &s, &n);
        check_graph(g);
        if (size[i][1] == 1)
            for (int32_t k = 0; k < g->op_count; k++) {
                const Op *op = &g->ops[k];
                if (op->kind == OP_CONV || op->kind == OP_SEPCONV)
                    CHECK(op->conv.kernel_h == 1 && op->conv.stride_h == 1 && !op->conv.pad_h);
                if (op->kind == OP_POOL) CHECK(op->pool.kernel_h == 1 && op->pool.stride_h == 1 && !op->pool.pad_h);
            }
        perm = before;
    }
}

/* The set for series: every operation of it builds for the lengths of light curves and of the UCR archive (from 15 to
 * some thousand values, many of them odd), down to fewer values than a kernel has, and acts along the width alone; the
 * number of values is halved where a cell reduces. */
static void test_series(void)
{
    static const int64_t length[] = {1, 2, 15, 24, 101, 128, 151, 2709};
    Space s;
    CHECK(!space_make(&perm, space_auto_ops(1), 4, 2, 4, &s));
    CHECK_EQ(s.op_count, 10);
    for (ptrdiff_t i = 0; i < COUNTOF(length); i++) {
        NetSpec n = spec(i % 2 ? 6 : 1, 1, length[i], 3, 6);
        Arena before = perm;
        Graph *g = network_supernet(&perm, &s, &n);
        check_graph(g);
        for (int32_t k = 0; k < g->op_count && !g->error; k++) {
            const Op *op = &g->ops[k];
            CHECK_EQ(g->values[op->output].height, 1);
            if (op->kind == OP_SEPCONV) {
                CHECK(op->conv.kernel_h == 1 && op->conv.kernel_w * op->conv.kernel_h <= 39);
                CHECK_EQ(2 * op->conv.pad_w, op->conv.dilation_w * (op->conv.kernel_w - 1));
            }
        }
        if (!g->error) CHECK_EQ(g->values[g->ops[g->op_count - 1].input].width, (length[i] + 3) / 4);
        /* one cell with each operation of the table, on a series and on an image: the sides of all agree */
        for (int64_t k = 0; k < primitive_count; k++) {
            if (primitive_table[k].kind == PRIM_NONE || primitive_table[k].kind == PRIM_NOISE) continue;
            Genotype t = {.normal = {.nodes = 1, .inputs = 2, .concat = {2}, .concat_count = 1}};
            t.normal.edge[0] = (GeneEdge){(int8_t)k, 0};
            t.normal.edge[1] = (GeneEdge){(int8_t)k, 1};
            t.reduce = t.normal;
            Genotype again;
            CHECK(!genotype_parse(&perm, genotype_print(&perm, &t), &again));
            CHECK(genotype_equal(&t, &again));
            NetSpec image = n;
            image.height = 6;
            check_graph(network_genotype(&perm, &t, &n));
            check_graph(network_genotype(&perm, &t, &image));
        }
        const char *why;
        static const char *const zoo[] = {"small-cnn", "resnet-tiny", "resnet-18"};
        for (ptrdiff_t k = 0; k < COUNTOF(zoo); k++) {
            n.channels = 4;
            g = network_named(&perm, zoo[k], &n, &why);
            if (!CHECK_MSG(g, "%s", why)) continue;
            check_graph(g);
            for (int32_t o = 0; o < g->op_count; o++) {
                if (g->ops[o].kind != OP_CONV) continue;
                CHECK(g->ops[o].conv.kernel_h == 1 && g->ops[o].conv.stride_h == 1 && !g->ops[o].conv.pad_h);
            }
        }
        perm = before;
    }
    CHECK_STR(space_auto_ops(2), "darts");
}

static void test_reductions(void)
{
    Genotype t = named("DARTS_V1");
    static const struct {
        int64_t layers, count, at[3], channels, height;
    } row[] = {
        {8, -1, {0}, 4 * 4 * 4, 5},   {1, -1, {0}, 4 * 2 * 4, 9}, {2, -1, {0}, 4 * 4 * 4, 5},
        {3, 0, {0}, 4 * 4, 17},       {3, 1, {2}, 4 * 2 * 4, 9},  {4, 3, {0, 1, 2}, 4 * 8 * 4, 3},
        {6, 2, {5, 2}, 4 * 4 * 4, 5},
    };
    for (ptrdiff_t i = 0; i < COUNTOF(row); i++) {
        NetSpec n = spec(1, 17, 17, 4, row[i].layers);
        n.reduce_count = row[i].count;
        memcpy(n.reduce_at, row[i].at, sizeof row[i].at);
        Graph *g = network_genotype(&perm, &t, &n);
        check_graph(g);
        const ValueInfo *last = &g->values[g->ops[g->op_count - 1].input];
        CHECK_EQ(last->channels, row[i].channels);
        CHECK_EQ(last->height, row[i].height);
    }
}

static void test_one_input(void)
{
    Space s;
    CHECK(!space_make(&perm, "darts", 3, 1, 1, &s));
    NetSpec n = spec(1, 8, 8, 4, 3);
    Genotype t = genotype_random(&s, 1, 1);
    check_graph(network_genotype(&perm, &t, &n));
    check_graph(network_supernet(&perm, &s, &n));
}

static void test_refused_nets(void)
{
    Space s = darts_space();
    Genotype t = named("DARTS_V2");
    NetSpec good = spec(3, 32, 32, 16, 8), n;
#define REFUSED(change, part) (n = good, n.change, CHECK_CONTAINS(network_genotype(&perm, &t, &n)->error, part))
    REFUSED(layers = 0, "1 to 1000 cells");
    REFUSED(layers = INT64_MAX, "1 to 1000 cells");
    REFUSED(channels = 0, "channels");
    REFUSED(channels = INT64_MAX, "channels");
    REFUSED(stem_multiplier = 0, "stem");
    REFUSED(outputs = 0, "classifier: impossible number of outputs 0");
    REFUSED(outputs = INT64_MAX, "outputs");
    REFUSED(height = 0, "input: impossible shape 3x0x32");
    REFUSED(width = -1, "impossible shape");
    REFUSED(width = INT64_MAX, "impossible shape");
    REFUSED(width = 1 << 20, "too large");
    REFUSED(reduce_count = 9, "reduction cells");
    n = good;
    n.reduce_count = 1;
    n.reduce_at[0] = 8;
    CHECK_CONTAINS(network_genotype(&perm, &t, &n)->error, "no cell 8");
    s.op[2] = (int8_t)primitive_find("noise", 5);
    CHECK(!network_supernet(&perm, &s, &good)->error);
    t.normal.edge[2].op = t.normal.edge[3].op = (int8_t)primitive_find("none", 4);
    CHECK_CONTAINS(network_genotype(&perm, &t, &good)->error, "cells.0.node1: all its inputs are none");
    t.normal.edge[2].op = (int8_t)primitive_find("skip_connect", 12);
    check_graph(network_genotype(&perm, &t, &good));
}

static void test_zoo(void)
{
    /* Of 3×32×32 and 10 classes. ResNets: 272,474 and 855,770 with shortcuts of option B, 11,173,962 with a 3×3 stem; WRN
     * 2,748,890 and DenseNet-BC 769,162 as in their papers' code; VGG and GoogLeNet are published with a bias to each
     * convolution, which BN makes useless (14,728,266 - 4,224; 9,231,114 - 2,752; 6,166,250 - 7,904). */
    static const struct {
        const char *name;
        int64_t parameters; /* 0: of no published number */
    } net[] = {
        {"linear", 30730},           {"mlp", 855562},       {"small-cnn", 0},       {"resnet-tiny", 0},
        {"resnet-18", 11173962},     {"resnet-20", 272474}, {"resnet-56", 855770},  {"wrn-16-4", 2748890},
        {"vgg-11", 9228362},         {"vgg-16", 14724042},  {"googlenet", 6158346}, {"densenet-bc-40", 176122},
        {"densenet-bc-100", 769162}, {"inception-time", 0}, {"resnet-1d", 0},
    };
    NetSpec n = spec(3, 32, 32, 0, 0);
    const char *why;
    for (ptrdiff_t i = 0; i < COUNTOF(net); i++) {
        bool for_series = !strcmp(net[i].name, "inception-time");
        static const int64_t side[][2] = {{32, 32}, {28, 28}, {7, 5}, {2, 3}, {1, 130}, {1, 1}};
        for (ptrdiff_t k = 0; k < COUNTOF(side); k++) {
            n.height = side[k][0];
            n.width = side[k][1];
            Graph *g = network_named(&perm, net[i].name, &n, &why);
            if (for_series && n.height > 1) {
                CHECK(!g);
                CHECK_CONTAINS(why, "is for series");
                continue;
            }
            CHECK_MSG(!why, "%s: %s", net[i].name, why);
            check_graph(g);
            if (!k && net[i].parameters) CHECK_EQ(graph_param_total(g), net[i].parameters);
        }
        CHECK_CONTAINS(network_zoo_help(&perm), net[i].name);
    }
    n = spec(1, 28, 28, 0, 0);
    Graph *g = network_named(&perm, "resnet-tiny", &n, &why);
    int64_t convs = 0;
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        convs += op->kind == OP_CONV && op->conv.kernel_h == 3;
        if (op->kind == OP_MIX && op->mix.count == 2 && g->values[op->mix.terms[1].value].kind == VALUE_PLAIN)
            CHECK(op->mix.terms[1].relu); /* the shortcut adds what follows the ReLU */
        if (op->kind == OP_HEAD) {
            const Op *before = &g->ops[g->values[op->input].op];
            CHECK(before->kind == OP_MIX && before->mix.terms[0].relu);
        }
    }
    CHECK_EQ(convs, 9); /* with the linear layer: ten */
    check_shape(g, "conv1.weight", 8, 1, 3, 3);
    check_shape(g, "layer4.0.downsample.0.weight", 64, 32, 1, 1);
    check_shape(g, "layer4.0.bn2.bias", 64, 0, 0, 0);
    check_shape(g, "fc.weight", 10, 64, 0, 0);
    n.channels = 5;
    check_shape(network_named(&perm, "resnet-tiny", &n, &why), "conv1.weight", 5, 1, 3, 3);
    CHECK(!network_named(&perm, "resnet-tinny", &n, &why));
    CHECK_CONTAINS(why, "unknown net \"resnet-tinny\"; near it: resnet-tiny");
    n.height = 0;
    CHECK(!network_named(&perm, "resnet-tiny", &n, &why));
    CHECK_CONTAINS(why, "impossible shape");
    n.height = 28;
    n.channels = INT64_MAX / 2;
    CHECK(!network_named(&perm, "small-cnn", &n, &why));
    CHECK_CONTAINS(why, "channels are too many");
}

/* ---- the builders ---- */

static ConvSpec conv(int64_t out, int64_t k, int64_t stride, int64_t pad, int64_t dilation)
{
    return (ConvSpec){.out_channels = out,
                      .kernel_h = k,
                      .kernel_w = k,
                      .stride_h = stride,
                      .stride_w = stride,
                      .pad_h = pad,
                      .pad_w = pad,
                      .dilation_h = dilation,
                      .dilation_w = dilation,
                      .norm = NORM_AFFINE};
}

static ConvSpec sep(int64_t out, int64_t k, int64_t stride, int64_t pad, int64_t dilation)
{
    ConvSpec s = conv(out, k, stride, pad, dilation);
    s.norm = NORM_PLAIN;
    return s;
}

static PoolSpec pool(int64_t k, int64_t stride, int64_t pad, int64_t extra)
{
    return (PoolSpec){.kernel_h = k,
                      .kernel_w = k,
                      .stride_h = stride,
                      .stride_w = stride,
                      .pad_h = pad,
                      .pad_w = pad,
                      .extra_pad_bottom_right = extra};
}

static Value mix1(Graph *g, Value x)
{
    return graph_mix(g, &(Term){.value = x, .table = -1}, 1, "mix");
}

static Graph *started(Value *x, int64_t c, int64_t h, int64_t w)
{
    Graph *g = graph_new(&perm);
    *x = graph_input(g, c, h, w);
    return g;
}

static void test_output_sides(void)
{
    for (int64_t side = 1; side < 40; side++) {
        for (int64_t k = 1; k <= 7; k++) {
            for (int64_t stride = 1; stride <= 3; stride++) {
                for (int64_t dilation = 1; dilation <= 2; dilation++) {
                    Arena before = perm;
                    int64_t pad = k / 2, expected = 0;
                    for (int64_t at = -pad; at + dilation * (k - 1) < side + pad; at += stride) expected++;
                    Value x;
                    Graph *g = started(&x, 2, side, 40);
                    Value y = graph_conv(g, x, conv(3, k, stride, pad, dilation), "a", "b");
                    Value z = graph_sepconv(g, x, sep(3, k, stride, pad, dilation), "a|b", "c");
                    if (expected) {
                        CHECK_EQ(g->values[y].height, expected);
                        CHECK_EQ(g->values[z].height, expected);
                        if (dilation == 1)
                            CHECK_EQ(g->values[graph_pool(g, x, pool(k, stride, pad, 0), 0)].height, expected);
                    } else {
                        CHECK(y < 0 && z < 0);
                        CHECK_CONTAINS(g->error, "does not fit");
                    }
                    perm = before;
                }
            }
        }
        Value x;
        Graph *g = started(&x, 2, side, 9);
        ConvSpec f = {.factorized = true, .out_channels = 5};
        Value y = graph_conv(g, x, f, "a|b", 0);
        CHECK_EQ(g->values[y].height, (side + 1) / 2);
        CHECK_EQ(g->values[y].width, 5);
        CHECK_EQ(g->ops[1].conv.stride_h, side > 1 ? 2 : 1);
        check_shape(g, "a", 2, 2, 1, 1);
        check_shape(g, "b", 3, 2, 1, 1);
        CHECK_EQ(g->values[graph_pool(g, x, pool(2, 1, 0, 1), 0)].height, side);
        CHECK_EQ(g->values[graph_pool(g, x, pool(2, 2, 0, 1), 0)].height, (side + 1) / 2);
    }
}

static void test_builders(void)
{
    Value x;
    Graph *g = started(&x, 3, 10, 12);
    Value a = graph_conv(g, x, conv(8, 3, 2, 1, 1), "a.weight", "a.norm"); /* 8x5x6 */
    Value b = graph_sepconv(g, a, sep(7, 5, 1, 2, 1), "b1|b2", "b.norm");
    Value p = mix1(g, b);
    Value q = mix1(g, graph_pool(g, p, pool(3, 1, 1, 0), "q"));
    Value c = graph_concat(g, (Value[]){p, q, p}, 3);
    CHECK_EQ(graph_concat(g, &p, 1), p);
    graph_head(g, c, 4, "head");
    graph_loss(g, LOSS_MSE, 0);
    check_graph(g);
    CHECK_EQ(g->loss, LOSS_MSE);
    CHECK_EQ(g->values[c].channels, 21);
    CHECK_EQ(g->values[c].kind, VALUE_CONCAT);
    CHECK_EQ(param(g, "a.weight")->fan_in, 27);
    CHECK_EQ(param(g, "b1")->fan_in, 25);
    CHECK_EQ(param(g, "b2")->fan_in, 8);
    CHECK_EQ(param(g, "head.weight")->fan_in, 21);
    CHECK_EQ(param(g, "head.bias")->fan_in, 21);
    CHECK_EQ(param(g, "a.norm.weight")->role, PARAM_GAMMA);
    CHECK_EQ(param(g, "a.norm.bias")->role, PARAM_BETA);
    CHECK_EQ(param(g, "head.bias")->role, PARAM_BIAS);
    CHECK_EQ(g->macs, 8 * 27 * 30 + 8 * 25 * 30 + 7 * 8 * 30 + 21 * 4);
    CHECK_EQ(g->stat_floats, 2 * (8 + 7)); /* the pooling carries no normalisation */
}

static void test_misuse(void)
{
    Value x, y;
#define MISUSE(part, ...)                                                                                              \
    do {                                                                                                               \
        Graph *g = started(&x, 4, 8, 8);                                                                               \
        CHECK_EQ((__VA_ARGS__), -1);                                                                                   \
        CHECK_CONTAINS(g->error, part);                                                                                \
        CHECK_EQ(mix1(g, x), -1); /* sticky */                                                                         \
        CHECK_CONTAINS(g->error, part);                                                                                \
    } while (0)
#define RAW graph_conv(g, x, conv(4, 3, 1, 1, 1), "raw", "bn")
    MISUSE("one input", graph_input(g, 1, 1, 1));
    MISUSE("second: its input is raw and already has its one consumer",
           (y = RAW, mix1(g, y), graph_conv(g, y, conv(4, 3, 1, 1, 1), "second", "bn")));
    MISUSE("is pooled and already", (y = graph_pool(g, x, pool(3, 1, 1, 0), 0), mix1(g, y), mix1(g, y)));
    MISUSE("is raw and already", (y = RAW, graph_mix(g, (Term[]){{y, -1}, {y, -1}}, 2, "m")));
    MISUSE("cannot take a raw value", graph_head(g, RAW, 3, "h"));
    MISUSE("cannot take a raw value", graph_pool(g, RAW, pool(3, 1, 1, 0), 0));
    MISUSE("cannot take a raw value", graph_concat(g, (Value[]){x, RAW}, 2));
    MISUSE("cannot take a pooled value",
           graph_conv(g, graph_pool(g, x, pool(3, 1, 1, 0), 0), conv(1, 1, 1, 0, 1), "c", "b"));
    MISUSE("cannot take a pooled value",
           graph_sepconv(g, graph_pool(g, x, pool(3, 1, 1, 0), 0), sep(1, 1, 1, 0, 1), "c|d", "b"));
    MISUSE("cannot take a concat value", graph_pool(g, graph_concat(g, (Value[]){x, x}, 2), pool(3, 1, 1, 0), 0));
    MISUSE("cannot take a concat value",
           graph_sepconv(g, graph_concat(g, (Value[]){x, x}, 2), sep(1, 1, 1, 0, 1), "c|d", "b"));
    MISUSE("cannot take a concat value", mix1(g, graph_concat(g, (Value[]){x, x}, 2)));
    MISUSE("cannot take a concat value", graph_concat(g, (Value[]){graph_concat(g, (Value[]){x, x}, 2), x}, 2));
    MISUSE("cannot take a logits value", mix1(g, graph_head(g, x, 3, "h")));
    MISUSE("one head", graph_head(g, x, graph_head(g, x, 3, "h") ? 3 : 0, "h2"));
    MISUSE("raw: its output is used by nothing", (RAW, graph_head(g, x, 3, "h")));
    MISUSE("input 77 is no value", mix1(g, 77));
    MISUSE("input -1 is no value", mix1(g, -1));
    MISUSE("no term", graph_mix(g, 0, 0, "m"));
    MISUSE("nothing to put together", graph_concat(g, 0, 0));
    MISUSE("no table 0", graph_mix(g, &(Term){x, 0, 0}, 1, "m"));
    MISUSE("no table -2", graph_mix(g, &(Term){x, -2, 0}, 1, "m"));
    MISUSE("no element 3 in table t", graph_mix(g, &(Term){x, graph_table(g, "t", 3), 3}, 1, "m"));
    MISUSE("no element -1", graph_mix(g, &(Term){x, graph_table(g, "t", 3), -1}, 1, "m"));
    MISUSE("number of mixing weights 0", graph_table(g, "t", 0));
    MISUSE("m: term 1 is 5x8x8, term 0 4x8x8",
           graph_mix(g, (Term[]){{x, -1}, {graph_conv(g, x, conv(5, 3, 1, 1, 1), "c", "b"), -1}}, 2, "m"));
    MISUSE("part 1 is 4x4, part 0 8x8",
           graph_concat(g, (Value[]){x, mix1(g, graph_conv(g, x, conv(4, 3, 2, 1, 1), "c", "b"))}, 2));
    MISUSE("c: a 3x3 kernel does not fit on 8x8", graph_conv(g, x, conv(4, 3, 1, 0, 5), "c", "b"));
    MISUSE("impossible kernel 0x0", graph_conv(g, x, conv(4, 0, 1, 0, 1), "c", "b"));
    MISUSE("impossible kernel 15x15", graph_conv(g, x, conv(4, 15, 1, 7, 1), "c", "b"));
    MISUSE("impossible stride", graph_conv(g, x, conv(4, 3, 0, 0, 1), "c", "b"));
    MISUSE("impossible stride", graph_conv(g, x, conv(4, 3, 1, -1, 1), "c", "b"));
    MISUSE("impossible stride", graph_sepconv(g, x, sep(4, 3, 1, 1, INT64_MAX), "c|d", "b"));
    MISUSE("output channels 0", graph_conv(g, x, conv(0, 3, 1, 1, 1), "c", "b"));
    MISUSE("output channels 0", graph_sepconv(g, x, sep(0, 3, 1, 1, 1), "c|d", "b"));
    MISUSE("output channels 1", graph_conv(g, x, (ConvSpec){.factorized = true, .out_channels = 1}, "c|d", "b"));
    MISUSE("two names", graph_conv(g, x, (ConvSpec){.factorized = true, .out_channels = 2}, "c", "b"));
    MISUSE("two names", graph_sepconv(g, x, sep(4, 3, 1, 1, 1), "c", "b"));
    MISUSE("more than half the kernel", graph_pool(g, x, pool(3, 1, 2, 0), 0));
    MISUSE("number of outputs 0", graph_head(g, x, 0, "h"));
}

static void test_init(void)
{
    Space s = darts_space();
    NetSpec n = spec(3, 8, 8, 8, 2);
    Graph *g = network_supernet(&perm, &s, &n);
    float *w = NEW(&perm, float, g->weight_count), *again = NEW(&perm, float, g->weight_count);
    float *other = NEW(&perm, float, g->weight_count), *stats = NEW(&perm, float, g->stat_floats);
    graph_init(g, 5, w, stats);
    graph_init(g, 5, again, stats);
    graph_init(g, 6, other, stats);
    CHECK(!memcmp(w, again, (size_t)g->weight_count * sizeof *w));
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        double fixed = p->role == PARAM_GAMMA ? 1 : 0, sum = 0, square = 0, most = 0,
               bound = 1 / sqrt((double)p->fan_in);
        bool random = p->role == PARAM_WEIGHT || p->role == PARAM_BIAS, differs = false;
        for (int64_t k = p->offset; k < p->offset + p->count; k++) {
            if (!random && !CHECK_EQ(w[k], fixed)) break;
            sum += w[k];
            square += (double)w[k] * w[k];
            most = fmax(most, fabs(w[k]));
            differs |= w[k] != other[k];
        }
        if (!random) continue;
        CHECK_MSG(differs, "%s does not depend on the seed", p->name);
        CHECK_MSG(most <= bound, "%s: %g is beyond %g", p->name, most, bound);
        double count = (double)p->count, sd = bound / sqrt(3);
        CHECK_MSG(fabs(sum / count) < 5 * sd / sqrt(count), "%s: the mean is %g", p->name, sum / count);
        if (p->count > 100) CHECK_CLOSE(square / count, sd * sd, 0, 0.4);
    }
    CHECK(memcmp(w + param(g, "cells.0._ops.0._ops.4.op.2.weight")->offset,
                 w + param(g, "cells.0._ops.1._ops.4.op.2.weight")->offset, 64 * sizeof *w));
    for (int32_t i = 0; i < g->stat_count; i++)
        for (int64_t k = 0; k < 2 * g->stats[i].channels; k++)
            CHECK_EQ(stats[g->stats[i].offset + k], k >= g->stats[i].channels);
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_published_counts);
    CHECK_RUN(test_supernet);
    CHECK_RUN(test_derived);
    CHECK_RUN(test_shapes);
    CHECK_RUN(test_series);
    CHECK_RUN(test_reductions);
    CHECK_RUN(test_one_input);
    CHECK_RUN(test_refused_nets);
    CHECK_RUN(test_zoo);
    CHECK_RUN(test_output_sides);
    CHECK_RUN(test_builders);
    CHECK_RUN(test_misuse);
    CHECK_RUN(test_init);
    return check_done("network");
}
