/* generator: see generator.h. */
#include "nn/generator.h"

#include <math.h>

#include "base/rng.h"

const GeneratorSpec generator_published = {.latent = 128,
                                           .channels = 32,
                                           .stages = 5,
                                           .stage = {{RESIZE_BILINEAR, 1, 5, 128, true, 1},
                                                     {RESIZE_BILINEAR, 2, 5, 64, true, 1},
                                                     {RESIZE_BILINEAR, 2, 5, 32, true, 1},
                                                     {RESIZE_BILINEAR, 2, 5, 16, true, 1},
                                                     {RESIZE_BILINEAR, 1, 5, 1, true, 1}},
                                           .offset = 10};

int64_t generator_multiple(const GeneratorSpec *s)
{
    int64_t multiple = 1;
    for (int i = 0; i < s->stages; i++) multiple *= s->stage[i].factor;
    return multiple;
}

static Value make_stage(Graph *g, Value x, const GeneratorStage *s, double offset, int index)
{
    ConvSpec conv = {.out_channels = s->channels,
                     .kernel_h = s->kernel,
                     .kernel_w = s->kernel,
                     .stride_h = 1,
                     .stride_w = 1,
                     .pad_h = s->kernel / 2 * s->dilation,
                     .pad_w = s->kernel / 2 * s->dilation,
                     .dilation_h = s->dilation,
                     .dilation_w = s->dilation,
                     .norm = NORM_BIAS};
    const char *name = arena_printf(g->perm, "stages.%d", index), *conv_name = arena_printf(g->perm, "%s.conv", name);
    ResizeSpec resize = {.kind = s->resize, .factor = s->factor, .tanh = true, .norm = s->norm};
    Value y = graph_resize(g, x, resize, arena_printf(g->perm, "%s.resize", name));
    Term terms[2] = {{graph_conv(g, y, conv, arena_printf(g->perm, "%s.weight", conv_name), conv_name), -1}};
    if (g->error) return -1;
    const ValueInfo *v = &g->values[terms[0].value];
    int64_t height = v->height, width = v->width;
    if (offset)
        terms[1] = (Term){
            graph_learned(g, s->channels, height, width, 0, offset, arena_printf(g->perm, "%s.offset", name)), -1};
    return graph_mix(g, terms, offset ? 2 : 1, name);
}

Graph *generator_make(Arena *perm, const GeneratorSpec *s, int64_t height, int64_t width, const char **why)
{
    int64_t multiple = generator_multiple(s);
    *why = 0;
    if (height < 1 || width < 1 || height % multiple || width % multiple) {
        *why = arena_printf(perm, "the generator makes images whose sides are multiples of %lld, not %lldx%lld",
                            (long long)multiple, (long long)width, (long long)height);
        return 0;
    }
    Graph *g = graph_new(perm);
    Value x = graph_learned(g, s->channels, height / multiple, width / multiple, s->latent, 1, "dense");
    for (int i = 0; i < s->stages; i++) x = make_stage(g, x, &s->stage[i], s->offset, i);
    graph_flatten(g, x, "logits");
    graph_loss(g, LOSS_LINEAR, 0);
    *why = g->error;
    return g->error ? 0 : g;
}

/* ---- initial weights ---- */

/* Rows of a (rows, columns) matrix, rows <= columns, made orthonormal; twice is enough (Giraud, Langou, Rozloznik 2005). */
static void orthonormalise(double *row, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        double *r = row + i * columns, length = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double *q = row + j * columns;
                double product = 0;
                for (int64_t k = 0; k < columns; k++) product += r[k] * q[k];
                for (int64_t k = 0; k < columns; k++) r[k] -= product * q[k];
            }
        for (int64_t k = 0; k < columns; k++) length += r[k] * r[k];
        for (int64_t k = 0; k < columns; k++) r[k] /= sqrt(length);
    }
}

/* (inputs, outputs): the rows orthogonal, or the columns where there are fewer of them. */
static void init_dense(Arena scratch, const Param *p, uint64_t seed, uint64_t index, float *w)
{
    int64_t inputs = p->shape[0], outputs = p->count / inputs;
    int64_t rows = inputs < outputs ? inputs : outputs, columns = p->count / rows;
    double gain = sqrt(fmax((double)outputs / (double)inputs, 1)), *m = NEW(&scratch, double, p->count);
    for (int64_t k = 0; k < p->count; k++) m[k] = rng_normal(seed, RNG_INIT, index | (uint64_t)k);
    orthonormalise(m, rows, columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            w[rows == inputs ? i * outputs + j : j * outputs + i] = (float)(gain * m[i * columns + j]);
}

/* Normal, cut at two standard deviations, of variance 1/fan-in after the cut. */
static void init_kernel(const Param *p, uint64_t seed, uint64_t index, float *w)
{
    const double of_cut = 0.87962566103423978; /* standard deviation of a normal variable cut at 2 */
    double deviation = sqrt(1 / (double)p->fan_in) / of_cut;
    for (int64_t k = 0; k < p->count; k++) {
        double v = 3;
        for (uint64_t t = 0; fabs(v) > 2; t++) v = rng_normal(seed, RNG_INIT + (t << 8), index | (uint64_t)k);
        w[k] = (float)(deviation * v);
    }
}

void generator_init(Arena scratch, const Graph *g, uint64_t seed, float *weights)
{
    bool *dense = NEW(&scratch, bool, g->param_count);
    for (int32_t i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == OP_LEARNED && g->ops[i].weight2 >= 0) dense[g->ops[i].weight2] = true;
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        float *w = weights + p->offset;
        uint64_t index = (uint64_t)i << 32;
        if (p->role == PARAM_WEIGHT) {
            if (dense[i])
                init_dense(scratch, p, seed, index, w);
            else
                init_kernel(p, seed, index, w);
            continue;
        }
        for (int64_t k = 0; k < p->count; k++)
            w[k] = p->role == PARAM_LATENT ? (float)rng_normal(seed, RNG_INIT, index | (uint64_t)k) : 0;
    }
}
