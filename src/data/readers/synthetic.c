/* synthetic: generated sets whose best operation is known, because smaller views hold no information at all.
 *
 * What a cell's operation can use is set by how far apart two pixels may be and still meet in front of a ReLU.
 * Half-widths add up: the stem and each 3x3 convolution or pooling 1, a 5x5 one 2, a dilated 3x3 one 2, a dilated 5x5
 * one 4; sep_conv has two convolutions with a ReLU between them.  Global pooling takes means, so what follows the last
 * ReLU adds nothing.  Largest distance of two pixels, for the operation alone (A: one cell of one node, then the head),
 * and for two in a row (B: two such cells, or one cell of two nodes, the same operation everywhere):
 *
 *        none  skip  avg_pool  max_pool  sep3  sep5  dil3  dil5
 *   A     -     2       2         4        4     6     2     2    last: the stem's ReLU, the maximum, the inner ReLU
 *   B     -     2       4         6        8    14     6    10    last: the ReLU (or more) of the second operation
 *
 * kind      classes                                              best: the cheapest operation that can
 * blobs     bumps of K orientations and heights                  any: for trying things out
 * skip      K levels of mean brightness under pixel noise        skip_connect (avg_pool equals it): linear
 * mean      regression: the mean of independent pixels         skip_connect, of skip and pooling: a maximum is not
 *                                                              linear, a mean of means weighs the border otherwise
 * maxpool   equally many bright pixels, in pairs 3 apart or all  max_pool_3x3 in A: it measures the area of the union
 *           5 or more apart                                      of squares; 3x3 views sum to the same in every image
 * sep3      ±1 noise that repeats after 4 pixels: along rows,    sep_conv_3x3 in A: besides max_pool, which sees it
 *           columns, one diagonal, the other (2 to 4 classes)    dimly, only it and sep_conv_5x5 reach
 * sep5      the same after 6 pixels                              sep_conv_5x5 in A: nothing else reaches
 * dil5      the same after 9 pixels                              dil_conv_5x5 in B: only it and sep_conv_5x5 reach,
 *                                                                which costs twice as much
 * linear    regression: outputs are fixed mixtures of the        skip_connect: linear
 *           channels' means
 * labels    multi-label: of each such mixture, is it above 0?    skip_connect
 * tree      fractions along a tree of questions, shares of the   skip_connect
 *           answers being the softmax of such mixtures; the tree of --tree, or one of three questions
 *
 * In the repeating textures any view that spans less than the period is independent fair ±1 noise in every class, so
 * nothing can be learned from it.  Every value is a function of (seed, sample, position).  Classes go round in turn, so
 * they are balanced.  Measured accuracies: datasets/synthetic/README.md.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "data/readers/formats.h"
#include "data/task.h"
#include "data/tree.h"
#include "engine/loss.h"

enum { MAX_N = 10000000, MAX_SIDE = 256, MAX_CHANNELS = 16, MAX_CLASSES = 16, MAX_OUTPUTS = 64 };
/* Draws of one sample: DRAW_PIXEL + (channel, y, x) for pixels, DRAW_NOISE + … for added noise, the first for shape. */
enum { DRAW_SHAPE = 0, DRAW_PIXEL = 1 << 21, DRAW_NOISE = 1 << 22, DRAW_BITS = 24 };

typedef struct {
    uint64_t seed, sample; /* sample: its draws begin at sample << DRAW_BITS */
    int64_t size, channels, classes, outputs, period;
    double noise;
    const LossDetail *tree;
} Plan;

static const char demo_tree[] = "question Shape: smooth disk star\n"
                                "question Edge after disk: edge-on face-on\n"
                                "question Bar after face-on: bar no-bar\n";

static double uniform(const Plan *p, int64_t draw)
{
    return rng_uniform(p->seed, RNG_SYNTH, (p->sample << DRAW_BITS) + (uint64_t)draw);
}

static double normal(const Plan *p, int64_t draw)
{
    return rng_normal(p->seed, RNG_SYNTH, (p->sample << DRAW_BITS) + (uint64_t)draw);
}

/* A bump of one of K orientations, twice as long as wide, a little higher from class to class. */
static void draw_blobs(const Plan *p, int64_t label, float *x, float *y)
{
    const int64_t S = p->size;
    const double angle = M_PI * (double)label / (double)p->classes, c = cos(angle), s = sin(angle);
    const double at_y = (0.35 + 0.3 * uniform(p, 0)) * (double)S, at_x = (0.35 + 0.3 * uniform(p, 1)) * (double)S;
    const double along = (double)S / 5, across = (double)S / 12, height = 1 + 0.5 * (double)label;
    for (int64_t i = 0; i < S; i++)
        for (int64_t j = 0; j < S; j++) {
            double u = (c * ((double)j - at_x) + s * ((double)i - at_y)) / along;
            double v = (c * ((double)i - at_y) - s * ((double)j - at_x)) / across;
            x[i * S + j] = (float)(height * exp(-(u * u + v * v) / 2));
        }
    *y = (float)label;
}

static void draw_level(const Plan *p, int64_t label, float *x, float *y)
{
    float level = (float)label / (float)(p->classes - 1) - 0.5f;
    for (int64_t i = 0; i < p->size * p->size; i++) x[i] = level;
    *y = (float)label;
}

/* Independent pixels; the target is their mean, in units of its standard deviation. */
static void draw_mean(const Plan *p, int64_t label, float *x, float *y)
{
    const int64_t area = p->size * p->size;
    double sum = 0;
    (void)label;
    for (int64_t i = 0; i < area; i++) {
        x[i] = (float)normal(p, DRAW_PIXEL + i);
        sum += (double)x[i];
    }
    *y = (float)(sum / sqrt((double)area));
}

/* The image is cut into cells of 8x8; bright pixels stay in the middle 4x4 of a cell, so those of different cells are 5
 * or more apart and 2 or more from the border.  Class 1: two, 3 apart, in each of m cells; class 0: one in each of 2m
 * cells, at either end of such a pair, so that both classes are bright in the same places: zero padding would tell. */
static void draw_pairs(const Plan *p, int64_t label, float *x, float *y)
{
    enum { CELL = 8, MARGIN = 2, INNER = 4, GAP = 3 };
    const int64_t S = p->size, side = S / CELL, cells = side * side, pairs = cells / 2;
    int64_t order[(MAX_SIDE / CELL) * (MAX_SIDE / CELL)];
    rng_permutation(p->seed, RNG_SYNTH, p->sample << DRAW_BITS, order, cells);
    for (int64_t k = 0; k < (label ? pairs : 2 * pairs); k++) {
        int64_t draw = DRAW_SHAPE + 1 + 3 * k;
        int64_t across = (int64_t)(uniform(p, draw) * INNER), end = uniform(p, draw + 1) < 0.5;
        bool turned = uniform(p, draw + 2) < 0.5;
        for (int64_t second = 0; second <= label; second++) {
            int64_t along = GAP * (label ? second : end);
            int64_t i = order[k] / side * CELL + MARGIN + (turned ? along : across);
            int64_t j = order[k] % side * CELL + MARGIN + (turned ? across : along);
            x[i * S + j] = 1;
        }
    }
    *y = (float)label;
}

/* x(i, j) = x((i, j) - period × direction of the class), fair ±1 noise where that is outside. */
static void draw_texture(const Plan *p, int64_t label, float *x, float *y)
{
    static const int direction[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
    const int64_t S = p->size, di = p->period * direction[label][0], dj = p->period * direction[label][1];
    for (int64_t i = 0; i < S; i++)
        for (int64_t j = 0; j < S; j++) {
            int64_t from_i = i - di, from_j = j - dj;
            bool inside = from_i >= 0 && from_j >= 0 && from_j < S;
            x[i * S + j] = inside ? x[from_i * S + from_j] : uniform(p, DRAW_PIXEL + i * S + j) < 0.5 ? -1 : 1;
        }
    *y = (float)label;
}

/* Each channel has a level of its own; target k is sum over c of A(k, c) × level(c). The levels are the channels' means
 * up to the pixel noise that is added afterwards. */
static void draw_linear(const Plan *p, int64_t label, float *x, float *y)
{
    (void)label;
    const int64_t area = p->size * p->size;
    double target[MAX_OUTPUTS] = {0};
    for (int64_t c = 0; c < p->channels; c++) {
        double level = 2 * uniform(p, DRAW_SHAPE + c) - 1;
        for (int64_t i = 0; i < area; i++) x[c * area + i] = (float)level;
        for (int64_t k = 0; k < p->outputs; k++) /* A: the draws of a sample that no set has */
            target[k] += level * rng_normal(p->seed, RNG_SYNTH, ~(uint64_t)(k * MAX_CHANNELS + c));
    }
    for (int64_t k = 0; k < p->outputs; k++) y[k] = (float)target[k];
}

static void draw_labels(const Plan *p, int64_t label, float *x, float *y)
{
    draw_linear(p, label, x, y);
    for (int64_t k = 0; k < p->outputs; k++) y[k] = y[k] > 0;
}

static void draw_tree(const Plan *p, int64_t label, float *x, float *y)
{
    double share[MAX_OUTPUTS];
    draw_linear(p, label, x, y);
    for (int64_t k = 0; k < p->outputs; k++) y[k] *= 2; /* clear, but not certain */
    loss_predict(LOSS_TREE, p->tree, p->outputs, y, share);
    for (int64_t k = 0; k < p->outputs; k++) y[k] = (float)share[k];
}

typedef struct {
    const char *name, *best;
    void (*draw)(const Plan *p, int64_t label, float *x, float *y);
    int64_t period, classes, max_classes; /* 0 classes: regression */
    int64_t least_size;
    double noise;
    const char *task; /* 0: classification */
} Kind;

static const Kind kinds[] = {
    {"blobs", "any", draw_blobs, 0, 4, MAX_CLASSES, 8, 0.1},
    {"skip", "skip_connect", draw_level, 0, 2, MAX_CLASSES, 4, 1},
    {"mean", "skip_connect", draw_mean, 0, 0, 0, 4, 0, "regression"},
    {"maxpool", "max_pool_3x3", draw_pairs, 0, 2, 2, 16, 0.02},
    {"sep3", "sep_conv_3x3", draw_texture, 4, 2, 4, 8, 0.1},
    {"sep5", "sep_conv_5x5", draw_texture, 6, 2, 4, 12, 0.1},
    {"dil5", "dil_conv_5x5", draw_texture, 9, 2, 4, 14, 0.1},
    {"linear", "skip_connect", draw_linear, 0, 0, 0, 4, 0.5, "regression"},
    {"labels", "skip_connect", draw_labels, 0, 0, 0, 4, 0.5, "multi-label"},
    {"tree", "skip_connect", draw_tree, 0, 0, 0, 4, 0.5, "tree"},
};

static const char *plan_tree(Arena *perm, const char *text, Plan *p)
{
    Tree *t = NEW(perm, Tree, 1);
    const char *why = tree_parse(perm, text, t);
    if (why) return arena_printf(perm, "the tree of questions: %s", why);
    if (t->outputs > MAX_OUTPUTS) return arena_printf(perm, "a tree of at most %d answers expected", MAX_OUTPUTS);
    p->outputs = t->outputs;
    p->tree = &t->detail;
    return 0;
}

static const char *make_plan(Arena *perm, const IngestSpec *spec, const Kind *kind, Plan *p, int64_t *n)
{
    *p = (Plan){.seed = spec->seed,
                .size = 16,
                .channels = 1,
                .classes = kind->classes,
                .outputs = 2,
                .period = kind->period,
                .noise = kind->noise};
    *n = 2000;
    const bool regression = !kind->classes, tree = kind->draw == draw_tree, one = kind->draw == draw_mean;
    const char *why = reader_option_check(perm, spec, arena_printf(perm, "kind=%s", kind->name),
                                          !regression ? "kind n size noise classes"
                                          : one       ? "kind n size noise"
                                          : tree      ? "kind n size noise channels"
                                                      : "kind n size noise channels outputs");
    if (!why) why = reader_option_int(perm, spec, "n", 2, MAX_N, n);
    if (!why) why = reader_option_int(perm, spec, "size", kind->least_size, MAX_SIDE, &p->size);
    if (!why) why = reader_option_double(perm, spec, "noise", 0, 1000, &p->noise);
    if (!why && !regression) why = reader_option_int(perm, spec, "classes", 2, kind->max_classes, &p->classes);
    if (one) p->outputs = 1;
    if (!why && regression) why = reader_option_int(perm, spec, "outputs", 1, MAX_OUTPUTS, &p->outputs);
    if (!why && tree) why = plan_tree(perm, spec->tree && *spec->tree ? spec->tree : demo_tree, p);
    if (regression) p->channels = one ? 1 : p->outputs < 3 ? p->outputs : 3;
    if (!why && regression) why = reader_option_int(perm, spec, "channels", 1, MAX_CHANNELS, &p->channels);
    return why;
}

const char *synthetic_read(Arena *perm, Arena scratch, const char *const *sources, int64_t n, const IngestSpec *spec,
                           Dataset *out)
{
    (void)scratch;
    *out = (Dataset){0};
    if (n > 0) return arena_printf(perm, "synthetic: it is generated: no source \"%s\" expected", sources[0]);
    const char *wanted = reader_option(spec, "kind");
    const Kind *kind = wanted ? 0 : &kinds[0];
    for (int i = 0; i < COUNTOF(kinds) && !kind; i++)
        if (!strcmp(kinds[i].name, wanted)) kind = &kinds[i];
    if (!kind) return arena_printf(perm, "synthetic: kind \"%s\" is not known", wanted);
    Plan p;
    int64_t count;
    const char *why = make_plan(perm, spec, kind, &p, &count);
    if (why) return arena_printf(perm, "synthetic: %s", why);
    const char *task = kind->task ? kind->task : "classification";
    if (*spec->task && strcmp(spec->task, task))
        return arena_printf(perm, "synthetic: kind %s is a %s set, not %s", kind->name, task, spec->task);

    DatasetInfo *info = &out->info;
    info->name = arena_printf(perm, "synthetic-%s", kind->name);
    info->source = "synthetic";
    info->task = task;
    info->channels = p.channels;
    info->height = info->width = p.size;
    info->outputs = kind->classes ? p.classes : p.outputs;
    info->dtype = DTYPE_F32;
    out->target_width = kind->classes ? 1 : p.outputs;
    if (p.tree) info->tree = spec->tree && *spec->tree ? spec->tree : demo_tree;
    if (p.tree && (why = task_take_tree(perm, info, info->tree))) return arena_printf(perm, "synthetic: %s", why);
    const int64_t values = dataset_sample_values(info);
    float *x = dataset_pixels(perm, count, values * (int64_t)sizeof *x, &why);
    float *y = x ? dataset_memory(perm, count, out->target_width * (int64_t)sizeof *y, &why) : 0;
    if (!y) return arena_printf(perm, "synthetic: %s", why);
    for (int64_t i = 0; i < count; i++) {
        p.sample = (uint64_t)i;
        float *to = x + i * values;
        kind->draw(&p, kind->classes ? i % p.classes : 0, to, y + i * out->target_width);
        if (p.noise > 0)
            for (int64_t k = 0; k < values; k++) to[k] += (float)(p.noise * normal(&p, DRAW_NOISE + k));
    }
    out->split[SPLIT_TRAIN] = (SplitData){.count = count, .data = x, .targets = y};
    dataset_setting(perm, info, "kind", "%s", kind->name);
    dataset_setting(perm, info, "best", "%s", kind->best);
    dataset_setting(perm, info, "noise", "%g", p.noise);
    return 0;
}

int synthetic_probe(const char *path, const unsigned char *head, int64_t head_bytes)
{
    (void)path, (void)head, (void)head_bytes;
    return 0; /* it has no files: asked for by name alone */
}
