/* test_generator: the published generator: sizes, initial weights, and logits and gradients of an independent program in
 * double precision (weights from a formula); designs by it: compliance and its gradient, descent, a run that stops and goes
 * on. */
#include "check.h"
#include "nn/generator.h"
#include "train/designer.h"

static Arena memory;
static Pool *pool;

static Engine *open_engine(Arena *a, const Graph *g, const char *device)
{
    const char *why = 0;
    Engine *e = engine_open(a, g, &(EngineOptions){.device = device, .batch = 1, .pool = pool}, &why);
    if (!CHECK_MSG(e, "%s: %s", device, why)) exit(check_done("generator"));
    return e;
}

static void test_sizes(void)
{
    static const struct {
        int64_t width, height, parameters;
    } sizes[] = {{96, 32, 665345},    {32, 64, 567553},    {64, 64, 763137},
                 {128, 128, 1936641}, {256, 256, 6630657}, {128, 512, 6630657}};
    Arena a = memory;
    const char *why;
    CHECK_EQ(generator_multiple(&generator_published), 8);
    for (int i = 0; i < COUNTOF(sizes); i++) {
        Graph *g = generator_make(&a, &generator_published, sizes[i].height, sizes[i].width, &why);
        if (!CHECK_MSG(g, "%s", why)) continue;
        CHECK_EQ(g->weight_count, sizes[i].parameters);
        CHECK_EQ(g->outputs, sizes[i].width * sizes[i].height);
        CHECK_EQ(g->input, -1);
    }
    static const int64_t wrong[][2] = {{60, 20}, {8, 12}, {12, 8}, {0, 8}, {8, -8}};
    for (int i = 0; i < COUNTOF(wrong); i++) {
        CHECK(!generator_make(&a, &generator_published, wrong[i][1], wrong[i][0], &why));
        CHECK_CONTAINS(why, "multiples of 8");
    }
    CHECK(!generator_make(&a, &generator_published, (int64_t)1 << 40, (int64_t)1 << 40, &why) && why);
}

static void test_init(void)
{
    Arena a = memory;
    const char *why;
    Graph *g = generator_make(&a, &generator_published, 16, 24, &why);
    float *w = NEW(&a, float, g->weight_count), *other = NEW(&a, float, g->weight_count);
    generator_init(a, g, 1, w);
    generator_init(a, g, 2, other);
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        const float *v = w + p->offset;
        double mean = 0, square = 0, largest = 0, same = 0;
        for (int64_t k = 0; k < p->count; k++) {
            mean += v[k] / (double)p->count, square += v[k] * (double)v[k] / (double)p->count;
            largest = fmax(largest, fabs((double)v[k]));
            same += v[k] == other[p->offset + k];
        }
        if (p->role == PARAM_BETA) {
            CHECK_EQ(largest, 0);
        } else if (!strcmp(p->name, "dense.weight")) { /* 128 rows of 192: W W' = 192/128 */
            for (int64_t r = 0; r < 128; r += 31)
                for (int64_t q = 0; q < 128; q += 9) {
                    double product = 0;
                    for (int64_t k = 0; k < 192; k++) product += (double)v[r * 192 + k] * v[q * 192 + k];
                    CHECK_NEAR(product, r == q ? 1.5 : 0, 1e-5);
                }
        } else {
            double variance = p->role == PARAM_LATENT ? 1 : 1 / (double)p->fan_in;
            CHECK_NEAR(mean, 0, 4 * sqrt(variance / (double)p->count));
            CHECK_CLOSE(square - mean * mean, variance, 0, 6 / sqrt((double)p->count));
            if (p->role == PARAM_WEIGHT) CHECK(largest <= 2.28 * sqrt(variance));
            CHECK(same < 4);
        }
    }
}

/* The net of the check figures: sides 16 and 24, latent vector of 5, 3 channels from the dense layer. */
static const GeneratorSpec small = {.latent = 5,
                                    .channels = 3,
                                    .stages = 5,
                                    .stage = {{RESIZE_BILINEAR, 1, 5, 6, true, 1},
                                              {RESIZE_BILINEAR, 2, 5, 5, true, 1},
                                              {RESIZE_BILINEAR, 2, 5, 4, true, 1},
                                              {RESIZE_BILINEAR, 2, 5, 3, true, 1},
                                              {RESIZE_BILINEAR, 1, 5, 1, true, 1}},
                                    .offset = 10};

/* Fills (outer, C, H, W) from (outer, H, W, C): the order of the formula. Its element t is s sin(t + 1). */
static void sines(float *to, int64_t *t, double s, int64_t outer, int64_t channels, int64_t pixels)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < channels; c++) to[(o * channels + c) * pixels + p] = (float)(s * sin((double)++*t));
}

static void sine_weights(const Graph *g, float *w)
{
    int64_t t = 0;
    const Param *p = g->params; /* bias, matrix, latent vector of the dense layer; then kernel, bias, offset */
    int64_t pixels = p[0].shape[1] * p[0].shape[2], channels = p[0].shape[0];
    sines(w + p[2].offset, &t, 1, 1, 1, p[2].count);
    sines(w + p[1].offset, &t, 0.3, p[1].shape[0], channels, pixels);
    sines(w + p[0].offset, &t, 0.1, 1, channels, pixels);
    for (p += 3; p < g->params + g->param_count; p += 3) {
        int64_t out = p[0].shape[0], in = p[0].shape[1], taps = p[0].shape[2] * p[0].shape[3];
        for (int64_t k = 0; k < taps; k++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t o = 0; o < out; o++)
                    w[p[0].offset + (o * in + i) * taps + k] = (float)(0.2 * sin((double)++t));
        sines(w + p[1].offset, &t, 0.1, 1, 1, out);
        sines(w + p[2].offset, &t, 0.01, 1, out, p[2].shape[1] * p[2].shape[2]);
    }
    CHECK_EQ(t, g->weight_count);
}

static void test_figures(void)
{
    static const double corners[] = {0.364315673364, 1.11685549718, -1.16532318657, -0.33182751371, -0.275387942304};
    static const int places[] = {0, 23, 7 * 24 + 11, 15 * 24, 15 * 24 + 23};
    static const double norms[] = {8.034012361, 14.02411791,  0.9501806634, 40.14822578, 2.421749214,  96.63314032,
                                   28.75890561, 2.55221187,   30.95572718,  12.75124454, 0.9828481085, 33.58791314,
                                   10.77811102, 0.9779624228, 47.57535682,  22.66675629, 0.4814262389, 138.5421092};
    for (int way = 0; way < 2; way++) {
        Arena a = memory;
        const char *why;
        Graph *g = generator_make(&a, &small, 16, 24, &why);
        CHECK_EQ(g->weight_count, 4283);
        Engine *e = open_engine(&a, g, way ? "cpu" : "ref");
        float *w = NEW(&a, float, g->weight_count), z[16 * 24], y[16 * 24];
        double mean = 0, square = 0;
        sine_weights(g, w);
        engine_upload(e, BLOCK_WEIGHTS, w);
        engine_batch(e, 0, 0, 1);
        engine_forward(e, MODE_TRAIN);
        CHECK(isnan(engine_loss(e)));
        engine_logits(e, z);
        for (int i = 0; i < COUNTOF(places); i++) CHECK_NEAR(z[places[i]], corners[i], 2e-5);
        for (int i = 0; i < 16 * 24; i++) {
            mean += (double)z[i] / (16 * 24), square += (double)z[i] * z[i] / (16 * 24);
            y[i] = (float)cos(i + 1.0);
        }
        CHECK_NEAR(mean, -0.0155488133388, 1e-5);
        CHECK_NEAR(sqrt(square - mean * mean), 1.02373317574, 1e-5);
        engine_targets(e, y);
        CHECK_CLOSE(engine_loss(e), -5.42029948805, 0, 1e-4);
        engine_backward(e, GRAD_WEIGHTS);
        engine_download(e, BLOCK_GRAD, w);
        for (int32_t i = 0; i < g->param_count; i++) {
            double s = 0;
            for (int64_t k = 0; k < g->params[i].count; k++) s += pow(w[g->params[i].offset + k], 2);
            CHECK_CLOSE(sqrt(s), norms[i], 0, 2e-4);
        }
        engine_close(e);
    }
}

typedef struct {
    Problem problem;
    Compliance *compliance;
    Designer *designer;
} Work;

static Work begin(Arena *a, const char *problem, uint64_t seed)
{
    Work *w = NEW(a, Work, 1);
    const char *why = problem_find(a, problem, &w->problem);
    if (!why) w->compliance = compliance_open(a, &w->problem, &why);
    if (w->compliance) w->designer = designer_open(a, &small, w->compliance, pool, seed, &why);
    if (!CHECK_MSG(w->designer, "%s: %s", problem, why)) exit(check_done("generator"));
    return *w;
}

static void end(Work w)
{
    designer_close(w.designer);
    compliance_close(w.compliance);
}

/* The same net on mbb_beam 24x16: C and the norm of its gradient by all 4283 parameters. */
static void test_compliance(void)
{
    Arena a = memory;
    Work w = begin(&a, "mbb_beam_24x16_0.5", 1);
    const Graph *g = w.designer->graph;
    float *weights = NEW(&a, float, g->weight_count);
    double square = 0, volume = 0;
    sine_weights(g, weights);
    for (int64_t i = 0; i < g->weight_count; i++) w.designer->lbfgs->x[i] = (double)weights[i];
    CHECK(designer_step(w.designer));
    CHECK_CLOSE(w.designer->C, 219.324372967, 0, 1e-5);
    for (int64_t i = 0; i < g->weight_count; i++) square += pow(w.designer->lbfgs->g[i], 2);
    CHECK_CLOSE(sqrt(square), 1409.866053, 0, 1e-4);
    for (int i = 0; i < 24 * 16; i++) volume += w.designer->x[i] / (24 * 16);
    CHECK_NEAR(volume, 0.5, 1e-9);
    end(w);
}

static void test_design(void)
{
    enum { STEPS = 60 };
    Arena a = memory;
    Work whole = begin(&a, "mbb_beam_24x16_0.5", 3), part = begin(&a, "mbb_beam_24x16_0.5", 3);
    double first = 0, best = INFINITY;
    Work other = begin(&a, "mbb_beam_24x16_0.5", 4);
    CHECK(memcmp(whole.designer->lbfgs->x, other.designer->lbfgs->x, 100 * sizeof(double)) != 0);
    end(other);
    for (int i = 0; i < STEPS; i++) {
        CHECK(designer_step(whole.designer));
        if (!i) first = whole.designer->C;
        best = fmin(best, whole.designer->C);
        if (i == 17) { /* another one takes over */
            Work next = begin(&a, "mbb_beam_24x16_0.5", 5);
            memcpy(next.designer->lbfgs->state, part.designer->lbfgs->state,
                   (size_t)part.designer->lbfgs->state_count * sizeof(double));
            end(part);
            part = next;
            CHECK(designer_step(part.designer)); /* the last point again */
        }
        CHECK(designer_step(part.designer));
        CHECK_MSG(part.designer->C == whole.designer->C, "step %d: %.17g, but %.17g", i, part.designer->C,
                  whole.designer->C);
    }
    CHECK_MSG(first > 150 && best < 65, "from %g to %g", first, best); /* optimality criteria: 54 after 50 steps */
    end(whole);
    end(part);
}

static void test_refusals(void)
{
    Arena a = memory;
    Problem p;
    const char *why = problem_find(&a, "mbb_beam_60x20_0.5", &p);
    Compliance *c = why ? 0 : compliance_open(&a, &p, &why);
    if (!CHECK_MSG(c, "%s", why)) return;
    CHECK(!designer_open(&a, &generator_published, c, pool, 1, &why));
    CHECK_STR(why, "the generator makes images whose sides are multiples of 8, not 60x20");
    compliance_close(c);
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 30);
    pool = pool_open(1);
    CHECK_RUN(test_sizes);
    CHECK_RUN(test_init);
    CHECK_RUN(test_figures);
    CHECK_RUN(test_compliance);
    CHECK_RUN(test_design);
    CHECK_RUN(test_refusals);
    pool_close(pool);
    return check_done("generator");
}
