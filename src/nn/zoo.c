/* zoo: hand-designed nets to compare a search with, each a row of the table below and a short builder over the same
 * blocks as the cells. All take any input, series as well: there a k×k kernel becomes 1×k and strides act along the
 * width alone. Where a side has become 1, pooling leaves it.
 *
 * Stored values may be sums before their ReLU; whoever reads one applies it, once or again. Convolutions have no bias,
 * since a normalisation follows. Names of parameters are torchvision's where it has the net.
 */
#include "nn/network.h"

#include <stdlib.h>
#include <string.h>

#include "nn/names.h"

enum {
    MOST_PARTS = 32, /* of a concatenation */
    MOST_CHANNELS = 1 << 20
};

typedef struct { /* a net on its way */
    Graph *g;
    bool series;
    int64_t channels, usual; /* of the first stage: asked for, and the net's own */
} Zoo;

typedef struct {
    const char *name, *about;
    int64_t channels; /* of the first stage, where the caller does not say */
    Value (*build)(Zoo *z, Value x, const int64_t *size);
    int64_t size[4]; /* what the builder makes of it */
    bool flat;       /* the sample is one column of values: no place is like another */
} ZooRow;

/* ---- blocks ---- */

/* Channels of a layer that has `own` of them in the net's own width. */
static int64_t wide(const Zoo *z, int64_t own)
{
    int64_t c = own * z->channels / z->usual;
    return c > 0 ? c : 1;
}

static const char *name2(const Zoo *z, const char *prefix, const char *name)
{
    return arena_printf(z->g->perm, "%s.%s", prefix, name);
}

static const char *numbered(const Zoo *z, const char *prefix, int64_t index)
{
    return arena_printf(z->g->perm, "%s.%lld", prefix, (long long)index);
}

/* k×k convolution, of ReLU(x) unless x is the input; with BN if it has a name */
static Value conv(Zoo *z, Value x, int64_t out, int64_t kernel, int64_t stride, const char *weight, const char *norm)
{
    ConvSpec s = {.relu = x != z->g->input,
                  .out_channels = out,
                  .kernel_h = z->series ? 1 : kernel,
                  .kernel_w = kernel,
                  .stride_h = z->series ? 1 : stride,
                  .stride_w = stride,
                  .pad_h = z->series ? 0 : kernel / 2,
                  .pad_w = kernel / 2,
                  .dilation_h = 1,
                  .dilation_w = 1,
                  .norm = norm ? NORM_AFFINE : NORM_NONE};
    return graph_conv(z->g, x, s, arena_printf(z->g->perm, "%s.weight", weight), norm);
}

static Value stored(Zoo *z, Value x, const char *name)
{
    return graph_mix(z->g, &(Term){.value = x, .table = -1}, 1, name);
}

static Value conv_stored(Zoo *z, Value x, int64_t out, int64_t kernel, const char *weight, const char *norm)
{
    return stored(z, conv(z, x, out, kernel, 1, weight, norm), weight);
}

static Value add(Zoo *z, Value a, Value b, bool relu_b, const char *name)
{
    Term terms[2] = {{.value = a, .table = -1}, {.value = b, .table = -1, .relu = relu_b}};
    return graph_mix(z->g, terms, 2, name);
}

/* Does `each` to the parts of a concatenation, or to x alone, and puts the results side by side. */
static Value parts_do(Zoo *z, Value x, Value (*each)(Zoo *z, Value part, const void *how, const char *name),
                      const void *how, const char *name)
{
    Graph *g = z->g;
    if (g->error || x < 0) return -1;
    const ValueInfo *v = &g->values[x];
    if (v->kind != VALUE_CONCAT) return each(z, x, how, name);
    Value part[MOST_PARTS];
    int32_t count = v->part_count;
    if (count > MOST_PARTS) {
        g->error = "too many values side by side";
        return -1;
    }
    memcpy(part, v->parts, (size_t)count * sizeof *part);
    for (int32_t i = 0; i < count; i++) part[i] = each(z, part[i], how, numbered(z, name, i));
    return graph_concat(g, part, count);
}

static Value relu_part(Zoo *z, Value x, const void *how, const char *name)
{
    (void)how;
    return graph_mix(z->g, &(Term){.value = x, .table = -1, .relu = true}, 1, name);
}

/* BN -> ReLU of what is stored (pre-activation): BN is a pooling of single pixels with a normalisation */
static Value norm_part(Zoo *z, Value x, const void *how, const char *name)
{
    (void)how;
    PoolSpec s = {.kind = POOL_AVG, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .norm = NORM_AFFINE};
    return graph_mix(z->g, &(Term){.value = graph_pool(z->g, x, s, name), .table = -1, .relu = true}, 1, name);
}

static Value norm_relu(Zoo *z, Value x, const char *name)
{
    return parts_do(z, x, norm_part, 0, name);
}

static Value pool_part(Zoo *z, Value x, const void *how, const char *name)
{
    PoolSpec s = *(const PoolSpec *)how;
    if (x < 0 || z->g->error) return -1;
    const ValueInfo *v = &z->g->values[x];
    if (v->height <= 1) s.kernel_h = s.stride_h = 1, s.pad_h = 0;
    if (v->width <= 1) s.kernel_w = s.stride_w = 1, s.pad_w = 0;
    return stored(z, graph_pool(z->g, x, s, name), name);
}

/* Pooling with `same` padding; a maximum may be taken before the ReLU as well as after it. */
static Value pool(Zoo *z, Value x, PoolKind kind, int64_t kernel, int64_t stride, const char *name)
{
    int64_t pad = kernel % 2 ? kernel / 2 : 0;
    PoolSpec s = {.kind = kind,
                  .kernel_h = kernel,
                  .kernel_w = kernel,
                  .stride_h = stride,
                  .stride_w = stride,
                  .pad_h = pad,
                  .pad_w = pad};
    return parts_do(z, x, pool_part, &s, name);
}

/* ---- nets; each returns the features that the head takes the mean of; a block or layer is a segment ---- */

static Value linear(Zoo *z, Value x, const int64_t *size)
{
    (void)z, (void)size;
    return x;
}

/* size: hidden layers */
static Value mlp(Zoo *z, Value x, const int64_t *size)
{
    for (int64_t i = 0; i < size[0]; i++) {
        const char *prefix = numbered(z, "layer", i + 1);
        graph_segment(z->g, SEGMENT_CELL);
        x = conv_stored(z, x, z->channels, 1, name2(z, prefix, "fc"), name2(z, prefix, "bn"));
    }
    return x;
}

static Value stem(Zoo *z, Value x, int64_t channels)
{
    return conv_stored(z, x, channels, 3, "conv1", "bn1");
}

/* size: stages */
static Value small_cnn(Zoo *z, Value x, const int64_t *size)
{
    x = stem(z, x, z->channels);
    for (int64_t stage = 0; stage < size[0]; stage++) {
        const char *prefix = arena_printf(z->g->perm, "layer%lld.0", (long long)stage + 1);
        graph_segment(z->g, SEGMENT_CELL);
        x = stored(
            z, conv(z, x, z->channels << stage, 3, stage ? 2 : 1, name2(z, prefix, "conv1"), name2(z, prefix, "bn1")),
            prefix);
    }
    return x;
}

static Value residual_block(Zoo *z, Value x, int64_t channels, int64_t stride, const char *prefix)
{
    graph_segment(z->g, SEGMENT_CELL);
    Value y = conv(z, x, channels, 3, stride, name2(z, prefix, "conv1"), name2(z, prefix, "bn1"));
    y = conv(z, y, channels, 3, 1, name2(z, prefix, "conv2"), name2(z, prefix, "bn2"));
    if (stride == 1) return add(z, y, x, true, prefix);
    Value shortcut =
        conv(z, x, channels, 1, stride, name2(z, prefix, "downsample.0"), name2(z, prefix, "downsample.1"));
    return add(z, y, shortcut, false, prefix);
}

/* size: stages, blocks of each. Stages double the channels and halve the sides; shortcuts between them are 1×1
 * convolutions (option B of the paper). */
static Value resnet(Zoo *z, Value x, const int64_t *size)
{
    x = stem(z, x, z->channels);
    for (int64_t stage = 0; stage < size[0]; stage++)
        for (int64_t block = 0; block < size[1]; block++)
            x = residual_block(z, x, z->channels << stage, stage && !block ? 2 : 1,
                               arena_printf(z->g->perm, "layer%lld.%lld", (long long)stage + 1, (long long)block));
    return x;
}

/* size: blocks of each of three groups, widening factor. Pre-activation; no dropout. */
static Value wide_resnet(Zoo *z, Value x, const int64_t *size)
{
    x = stored(z, conv(z, x, z->channels, 3, 1, "conv1", 0), "conv1");
    int64_t before = z->channels;
    for (int64_t group = 0; group < 3; group++) {
        int64_t channels = (z->channels << group) * size[1];
        for (int64_t block = 0; block < size[0]; block++) {
            const char *prefix =
                arena_printf(z->g->perm, "block%lld.layer.%lld", (long long)group + 1, (long long)block);
            int64_t stride = group && !block ? 2 : 1;
            graph_segment(z->g, SEGMENT_CELL);
            Value a = norm_relu(z, x, name2(z, prefix, "bn1"));
            Value y = conv(z, a, channels, 3, stride, name2(z, prefix, "conv1"), name2(z, prefix, "bn2"));
            y = conv(z, y, channels, 3, 1, name2(z, prefix, "conv2"), 0);
            if (before != channels || stride > 1)
                x = conv(z, a, channels, 1, stride, name2(z, prefix, "convShortcut"), 0);
            x = add(z, y, x, false, prefix);
            before = channels;
        }
    }
    return norm_relu(z, x, "bn1");
}

/* size: layout, a row of vgg_layout. One linear layer at the end, as usual for small images. */
static Value vgg(Zoo *z, Value x, const int64_t *size)
{
    static const char *const vgg_layout[] = {"64 M 128 M 256 256 M 512 512 M 512 512 M",
                                             "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"};
    int64_t index = 0;
    for (const char *at = vgg_layout[size[0]]; *at; at += strcspn(at, " "), at += *at == ' ') {
        const char *weight = numbered(z, "features", index);
        if (*at == 'M') {
            x = pool(z, x, POOL_MAX, 2, 2, weight);
            index++;
            graph_segment(z->g, SEGMENT_CELL);
        } else {
            graph_segment(z->g, SEGMENT_NODE);
            x = conv_stored(z, x, wide(z, strtoll(at, 0, 10)), 3, weight, numbered(z, "features", index + 1));
            index += 3; /* convolution, normalisation, ReLU */
        }
    }
    return x;
}

/* A branch of an inception block: convolutions with BN and ReLU; the kernels after the first are 3. */
static Value branch(Zoo *z, Value x, const int64_t *channels, const int64_t *kernels, int count, const char *prefix)
{
    for (int i = 0; i < count; i++) {
        const char *p = numbered(z, prefix, i);
        x = conv(z, x, wide(z, channels[i]), kernels[i], 1, name2(z, p, "conv"), name2(z, p, "bn"));
    }
    return stored(z, x, prefix);
}

static Value inception(Zoo *z, Value x, const int64_t *c, const char *prefix)
{
    static const int64_t one[] = {1}, three[] = {1, 3}, five[] = {1, 3, 3}; /* 5×5 as two 3×3 */
    graph_segment(z->g, SEGMENT_CELL);
    Value part[4] = {
        branch(z, x, (int64_t[]){c[0]}, one, 1, name2(z, prefix, "branch1")),
        branch(z, x, (int64_t[]){c[1], c[2]}, three, 2, name2(z, prefix, "branch2")),
        branch(z, x, (int64_t[]){c[3], c[4], c[4]}, five, 3, name2(z, prefix, "branch3")),
        branch(z, pool(z, x, POOL_MAX, 3, 1, name2(z, prefix, "pool")), (int64_t[]){c[5]}, one, 1,
               name2(z, prefix, "branch4")),
    };
    return graph_concat(z->g, part, 4);
}

static Value googlenet(Zoo *z, Value x, const int64_t *size)
{
    (void)size;
    static const struct {
        const char *name;    /* 0: pooling */
        int64_t channels[6]; /* 1×1, 3×3 reduced, 3×3, 5×5 reduced, 5×5, after the pool */
    } block[] = {
        {"inception3a", {64, 96, 128, 16, 32, 32}},
        {"inception3b", {128, 128, 192, 32, 96, 64}},
        {0, {0}},
        {"inception4a", {192, 96, 208, 16, 48, 64}},
        {"inception4b", {160, 112, 224, 24, 64, 64}},
        {"inception4c", {128, 128, 256, 24, 64, 64}},
        {"inception4d", {112, 144, 288, 32, 64, 64}},
        {"inception4e", {256, 160, 320, 32, 128, 128}},
        {0, {0}},
        {"inception5a", {256, 160, 320, 32, 128, 128}},
        {"inception5b", {384, 192, 384, 48, 128, 128}},
    };
    x = stem(z, x, z->channels);
    for (int64_t i = 0; i < COUNTOF(block) && !z->g->error; i++)
        x = block[i].name ? inception(z, x, block[i].channels, block[i].name)
                          : pool(z, x, POOL_MAX, 3, 2, numbered(z, "maxpool", i));
    return x;
}

/* size: layers of each of three blocks, growth rate. Bottlenecks of four times the growth, half the channels kept at a
 * transition (BC). */
static Value densenet(Zoo *z, Value x, const int64_t *size)
{
    int64_t growth = wide(z, size[1]), channels = z->channels;
    x = stored(z, conv(z, x, channels, 3, 1, "features.conv0", 0), "features.conv0");
    for (int64_t block = 0; block < 3 && !z->g->error; block++) {
        Value part[MOST_PARTS] = {x};
        for (int64_t layer = 0; layer < size[0] && !z->g->error; layer++) {
            const char *p = arena_printf(z->g->perm, "features.denseblock%lld.denselayer%lld", (long long)block + 1,
                                         (long long)layer + 1);
            graph_segment(z->g, SEGMENT_CELL);
            Value y = norm_relu(z, x, name2(z, p, "norm1"));
            y = conv(z, y, 4 * growth, 1, 1, name2(z, p, "conv1"), name2(z, p, "norm2"));
            part[layer + 1] = stored(z, conv(z, y, growth, 3, 1, name2(z, p, "conv2"), 0), p);
            x = graph_concat(z->g, part, (int32_t)layer + 2);
        }
        channels += size[0] * growth;
        if (block == 2) break;
        graph_segment(z->g, SEGMENT_CELL);
        const char *p = arena_printf(z->g->perm, "features.transition%lld", (long long)block + 1);
        channels /= 2;
        x = conv(z, norm_relu(z, x, name2(z, p, "norm")), channels, 1, 1, name2(z, p, "conv"), 0);
        x = pool(z, stored(z, x, p), POOL_AVG, 2, 2, name2(z, p, "pool"));
    }
    return norm_relu(z, x, "features.norm5");
}

/* size: modules, one residual connection every three. Its convolutions of 39, 19 and 9 values (the paper's 40, 20 and 10
 * have no middle) and of a pooling of 3 stand side by side. */
static Value inception_time(Zoo *z, Value x, const int64_t *size)
{
    enum { BRANCHES = 4 };
    static const int64_t kernels[BRANCHES - 1] = {39, 19, 9};
    const int64_t f = z->channels;
    Value from = x;
    for (int64_t m = 0; m < size[0] && !z->g->error; m++) {
        const char *p = numbered(z, "inception", m);
        graph_segment(z->g, SEGMENT_CELL);
        Value narrow = z->g->values[x].channels > 1 ? conv_stored(z, x, f, 1, name2(z, p, "bottleneck"), 0) : x;
        Value pooled = pool(z, x, POOL_MAX, 3, 1, name2(z, p, "pool")), part[BRANCHES];
        bool last = m % 3 == 2;
        for (int i = 0; i < BRANCHES; i++) {
            const char *q = numbered(z, name2(z, p, "conv"), i);
            /* the bottleneck is linear: no ReLU on the way */
            ConvSpec s = {.relu = i == BRANCHES - 1 && m > 0,
                          .out_channels = f,
                          .kernel_h = 1,
                          .kernel_w = i < BRANCHES - 1 ? kernels[i] : 1,
                          .stride_h = 1,
                          .stride_w = 1,
                          .pad_w = i < BRANCHES - 1 ? kernels[i] / 2 : 0,
                          .dilation_h = 1,
                          .dilation_w = 1,
                          .norm = NORM_AFFINE};
            Value y = graph_conv(z->g, i < BRANCHES - 1 ? narrow : pooled, s, arena_printf(z->g->perm, "%s.weight", q),
                                 numbered(z, name2(z, p, "bn"), i));
            if (!last) {
                part[i] = stored(z, y, q);
                continue;
            }
            const char *r = numbered(z, name2(z, p, "shortcut"), i);
            part[i] = add(z, y, conv(z, from, f, 1, 1, name2(z, r, "conv"), name2(z, r, "bn")), false, q);
        }
        x = graph_concat(z->g, part, BRANCHES);
        if (last) from = x;
    }
    return x;
}

/* size: channels of the three blocks in units of the first. Kernels of 7, 5 and 3 values (the paper's 8 has no middle); a
 * shortcut that changes nothing has no normalisation. */
static Value resnet_1d(Zoo *z, Value x, const int64_t *size)
{
    static const int64_t kernels[3] = {7, 5, 3};
    for (int64_t block = 0; block < 3; block++) {
        const char *p = numbered(z, "block", block + 1);
        graph_segment(z->g, SEGMENT_CELL);
        int64_t channels = z->channels * size[block];
        Value y = x;
        for (int i = 0; i < 3; i++)
            y = conv(z, y, channels, kernels[i], 1, name2(z, p, arena_printf(z->g->perm, "conv%d", i + 1)),
                     name2(z, p, arena_printf(z->g->perm, "bn%d", i + 1)));
        if (z->g->error) return -1;
        x = z->g->values[x].channels == channels
                ? add(z, y, x, true, p)
                : add(z, y, conv(z, x, channels, 1, 1, name2(z, p, "shortcut.0"), name2(z, p, "shortcut.1")), false, p);
    }
    return x;
}

static const ZooRow zoo[] = {
    {"linear", "one linear layer on all values", 1, linear, {0}, true},
    {"mlp", "two hidden layers of 256", 256, mlp, {2}, true},
    {"small-cnn", "four 3x3 convolutions", 16, small_cnn, {3}},
    {"resnet-tiny", "10 layers, an eighth of the filters of resnet-18", 8, resnet, {4, 1}},
    {"resnet-18", "He et al. 2016, stem for small images", 64, resnet, {4, 2}},
    {"resnet-20", "He et al. 2016, for CIFAR, shortcuts of option B", 16, resnet, {3, 3}},
    {"resnet-56", "the same with 56 layers", 16, resnet, {3, 9}},
    {"wrn-16-4", "Zagoruyko, Komodakis 2016", 16, wide_resnet, {2, 4}},
    {"vgg-11", "Simonyan, Zisserman 2015, with BN and one linear layer", 64, vgg, {0}},
    {"vgg-16", "the same with 16 layers", 64, vgg, {1}},
    {"googlenet", "Szegedy et al. 2015, with BN, stem for small images", 192, googlenet, {0}},
    {"densenet-bc-40", "Huang et al. 2017, 40 layers, growth 12", 24, densenet, {6, 12}},
    {"densenet-bc-100", "the same with 100 layers", 24, densenet, {16, 12}},
    {"inception-time", "Fawaz et al. 2020, for series", 32, inception_time, {6}},
    {"resnet-1d", "Wang et al. 2017, for series", 64, resnet_1d, {1, 2, 2}},
};

const char *network_zoo_help(Arena *perm)
{
    Text t = {0};
    for (ptrdiff_t i = 0; i < COUNTOF(zoo); i++) text_addf(perm, &t, "\n%s: %s.\n", zoo[i].name, zoo[i].about);
    return t.s;
}

Graph *network_named(Arena *perm, const char *name, const NetSpec *n, const char **why)
{
    const ZooRow *row = 0;
    const char *known[COUNTOF(zoo)];
    for (ptrdiff_t i = 0; i < COUNTOF(zoo); i++) {
        known[i] = zoo[i].name;
        if (!strcmp(zoo[i].name, name)) row = &zoo[i];
    }
    if (!row) {
        *why = arena_printf(perm, "unknown net \"%s\"; near it: %s", name,
                            names_near(perm, name, (int64_t)strlen(name), known, COUNTOF(zoo)));
        return 0;
    }
    if (row->build == inception_time && n->height > 1) {
        *why = arena_printf(perm, "%s is for series, and a sample is %lldx%lld", name, (long long)n->height,
                            (long long)n->width);
        return 0;
    }
    if (n->channels > MOST_CHANNELS) {
        *why = arena_printf(perm, "%s: %lld channels are too many", name, (long long)n->channels);
        return 0;
    }
    Zoo z = {.g = graph_new(perm),
             .series = n->height == 1,
             .channels = n->channels > 0 ? n->channels : row->channels,
             .usual = row->channels};
    Value x = row->flat ? graph_input(z.g, size_mul(size_mul(n->input_channels, n->height), n->width), 1, 1)
                        : graph_input(z.g, n->input_channels, n->height, n->width);
    if (!z.g->error) x = row->build(&z, x, row->size);
    if (x != z.g->input) x = parts_do(&z, x, relu_part, 0, "features");
    graph_head(z.g, x, n->outputs, "fc");
    graph_loss(z.g, n->loss, &n->detail);
    *why = z.g->error;
    return z.g->error ? 0 : z.g;
}
