/* zoo: hand-designed nets to compare a search with, each a row: a stem, then stages of blocks, each stage twice as wide
 * and half as large as the one before it, then the head. Residual blocks are those of He et al. 2016 with the ReLU after
 * the addition; names are torchvision's.
 *
 * A stored value is the sum before its ReLU, which whoever reads it applies.
 */
#include "nn/network.h"

#include <string.h>

#include "nn/names.h"

typedef struct {
    const char *name;
    int64_t channels; /* of the first stage, where the caller does not say */
    int64_t stages, blocks;
    bool residual; /* else a block is one convolution */
} ZooRow;

static const ZooRow zoo[] = {
    {"small-cnn", 16, 3, 1, false},
    {"resnet-tiny", 8, 4, 1, true},
    {"resnet-18", 64, 4, 2, true},
};

/* [ReLU ->] k×k convolution -> BN */
static Value conv_bn(Graph *g, Value x, bool relu, int64_t out, int64_t kernel, int64_t stride, const char *weight,
                     const char *norm)
{
    bool series = g->values[g->input].height == 1;
    ConvSpec s = {.relu = relu,
                  .out_channels = out,
                  .kernel_h = series ? 1 : kernel,
                  .kernel_w = kernel,
                  .stride_h = series ? 1 : stride,
                  .stride_w = stride,
                  .pad_h = series ? 0 : kernel / 2,
                  .pad_w = kernel / 2,
                  .dilation_h = 1,
                  .dilation_w = 1,
                  .norm = NORM_AFFINE};
    return graph_conv(g, x, s, arena_printf(g->perm, "%s.weight", weight), norm);
}

static Value plain_block(Graph *g, Value x, int64_t channels, int64_t stride, const char *prefix)
{
    x = conv_bn(g, x, true, channels, 3, stride, arena_printf(g->perm, "%s.conv1", prefix),
                arena_printf(g->perm, "%s.bn1", prefix));
    return graph_mix(g, &(Term){.value = x, .table = -1}, 1, prefix);
}

static Value residual_block(Graph *g, Value x, int64_t channels, int64_t stride, const char *prefix)
{
    Value y = conv_bn(g, x, true, channels, 3, stride, arena_printf(g->perm, "%s.conv1", prefix),
                      arena_printf(g->perm, "%s.bn1", prefix));
    y = conv_bn(g, y, true, channels, 3, 1, arena_printf(g->perm, "%s.conv2", prefix),
                arena_printf(g->perm, "%s.bn2", prefix));
    Term terms[2] = {{.value = y, .table = -1}, {.value = x, .table = -1, .relu = true}};
    if (stride > 1)
        terms[1] =
            (Term){.value = conv_bn(g, x, true, channels, 1, stride, arena_printf(g->perm, "%s.downsample.0", prefix),
                                    arena_printf(g->perm, "%s.downsample.1", prefix)),
                   .table = -1};
    return graph_mix(g, terms, 2, prefix);
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
    Graph *g = graph_new(perm);
    Value x = graph_input(g, n->input_channels, n->height, n->width);
    int64_t channels = n->channels > 0 ? n->channels : row->channels;
    if (!g->error) {
        x = conv_bn(g, x, false, channels, 3, 1, "conv1", "bn1");
        x = graph_mix(g, &(Term){.value = x, .table = -1}, 1, "stem");
    }
    for (int64_t stage = 0; stage < row->stages && !g->error; stage++) {
        if (stage) channels *= 2;
        for (int64_t block = 0; block < row->blocks && !g->error; block++) {
            const char *prefix = arena_printf(perm, "layer%lld.%lld", (long long)stage + 1, (long long)block);
            int64_t stride = stage && !block ? 2 : 1;
            x = (row->residual ? residual_block : plain_block)(g, x, channels, stride, prefix);
        }
    }
    x = graph_mix(g, &(Term){.value = x, .table = -1, .relu = true}, 1, "features");
    graph_head(g, x, n->outputs, "fc");
    graph_loss(g, n->loss, &n->detail);
    *why = g->error;
    return g->error ? 0 : g;
}
