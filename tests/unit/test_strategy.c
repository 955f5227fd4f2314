/* The parts of search strategies, each by itself against formulas and finite differences; and how they work together on
 * real engines: a bilevel problem with a known answer, the unrolled gradient by brute force, the way from the loss back to
 * every alpha. */
#include "check.h"

#include "base/rng.h"
#include "search/strategy.h"
#include <stdlib.h>

static Arena perm;
static Pool *pool;

static Strategy strategy(const char *name)
{
    const StrategySettings named = {.name = name, .warmup = -1};
    Strategy s;
    const char *why = strategy_make(&perm, &named, &s);
    CHECK_MSG(!why, "%s: %s", name, why);
    return s;
}

static Space space(const char *ops, int64_t nodes)
{
    Space s;
    CHECK(!space_make(&perm, ops, nodes, 2, nodes, &s));
    return s;
}

static const Relaxation *relaxation(const char *name)
{
    for (int64_t i = 0; i < relaxation_count; i++)
        if (!strcmp(relaxation_table[i].part.name, name)) return &relaxation_table[i];
    return 0;
}

/* ---- parts ---- */

/* Sum of k * weight[k]², a function with an uneven gradient. */
static double objective(const double *weight, int64_t n, double *grad)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        sum += (double)(k + 1) * weight[k] * weight[k];
        if (grad) grad[k] = 2 * (double)(k + 1) * weight[k];
    }
    return sum;
}

static void test_relaxations(void)
{
    enum { N = 5 };
    const double h = 1e-6;
    for (int64_t i = 0; i < relaxation_count; i++) {
        const Relaxation *r = &relaxation_table[i];
        double raw[N] = {0.3, -1.2, 2.0, 0.0, 0.7}, weight[N], weight_grad[N], grad[N], sum = 0;
        r->mix(raw, N, weight);
        for (int k = 0; k < N; k++) sum += weight[k];
        if (r->of_one_sum && !r->simplex) CHECK_NEAR(sum, 1, 1e-15);
        objective(weight, N, weight_grad);
        r->pull_back(weight, weight_grad, N, grad);
        for (int k = 0; k < N; k++) {
            double kept = raw[k], above, below;
            raw[k] = kept + h;
            r->mix(raw, N, weight);
            above = objective(weight, N, 0);
            raw[k] = kept - h;
            r->mix(raw, N, weight);
            below = objective(weight, N, 0);
            raw[k] = kept;
            CHECK_NEAR(grad[k], (above - below) / (2 * h), 1e-8);
        }
    }
}

static void test_extremes(void)
{
    double weight[3];
    relaxation("softmax")->mix((double[]){1000, 1000, -1000}, 3, weight); /* no overflow */
    CHECK_NEAR(weight[0], 0.5, 1e-15);
    CHECK_NEAR(weight[1], 0.5, 1e-15);
    CHECK_NEAR(weight[2], 0, 1e-15);
    relaxation("softmax")->mix((double[]){0, log(2), log(5)}, 3, weight);
    CHECK_NEAR(weight[0], 0.125, 1e-15);
    CHECK_NEAR(weight[2], 0.625, 1e-15);
    relaxation("sigmoid")->mix((double[]){1000, -1000, log(3)}, 3, weight);
    CHECK_NEAR(weight[0], 1, 1e-15);
    CHECK_NEAR(weight[1], 0, 1e-15);
    CHECK_NEAR(weight[2], 0.75, 1e-15);
}

/* What strategy_mix() does before sampling, without an engine. */
static void draw(const Strategy *s, Arch *a, const Moment *m, double value)
{
    for (int64_t i = 0; i < a->group_count; i++)
        s->relaxation->mix(a->raw + a->group[i].start, a->group[i].count, a->weight + a->group[i].start);
    memcpy(a->point, a->weight, (size_t)a->count * sizeof(double));
    memcpy(a->drawn, a->weight, (size_t)a->count * sizeof(double));
    a->slope = 1;
    s->sampling->draw(a, s->relaxation, m, value);
}

static void test_gumbel(void)
{
    enum { STEPS = 20000, OPS = 4 };
    Strategy s = strategy("gdas");
    Space sp = space("none,skip_connect,sep_conv_3x3,max_pool_3x3", 1);
    const NetSpec n = {0};
    Arch *a = arch_new(&perm, &sp, &n, false);
    const double raw[OPS] = {0.5, -0.5, 1, 0};
    for (int64_t i = 0; i < a->count; i++) a->raw[i] = raw[i % OPS];
    double taken[OPS] = {0};
    Moment m = {.seed = 3, .kind = STEP_WEIGHTS};
    for (m.step = 0; m.step < STEPS;
         m.step++) { /* the maximum of alpha + G is distributed as the softmax (Gumbel 1954) */
        draw(&s, a, &m, 1);
        for (int64_t g = 0; g < a->op_groups; g++) {
            double sum = 0;
            for (int k = 0; k < OPS; k++) sum += a->drawn[g * OPS + k];
            CHECK(sum == 1);
        }
        for (int k = 0; k < OPS; k++) taken[k] += a->drawn[k] / STEPS;
    }
    for (int k = 0; k < OPS; k++) CHECK_NEAR(taken[k], a->weight[k], 0.012); /* 3.4 standard deviations */
    /* the way back: of the relaxed sample, with the noise as it was */
    const double h = 1e-6, tau = 0.7;
    double grad[OPS], weight_grad[OPS];
    m.step = 5;
    m.kind = STEP_ALPHAS;
    draw(&s, a, &m, tau);
    objective(a->point, OPS, weight_grad);
    s.relaxation->pull_back(a->point, weight_grad, OPS, grad);
    double slope = a->slope;
    for (int k = 0; k < OPS; k++) {
        double f[2];
        for (int side = 0; side < 2; side++) {
            a->raw[k] = raw[k] + (side ? -h : h);
            draw(&s, a, &m, tau);
            f[side] = objective(a->point, OPS, 0);
        }
        a->raw[k] = raw[k];
        CHECK_NEAR(grad[k] * slope, (f[0] - f[1]) / (2 * h), 1e-7);
    }
    m.kind = STEP_VALIDATION; /* no chance: the largest alpha */
    draw(&s, a, &m, tau);
    for (int64_t i = 0; i < a->count; i++) CHECK(a->drawn[i] == (i % OPS == 2));
}

static void test_noise_and_paths(void)
{
    Strategy s = strategy("sdarts-rs");
    Space sp = space("darts", 4);
    const NetSpec n = {0};
    Arch *a = arch_new(&perm, &sp, &n, false);
    strategy_start(&s, a, 1);
    Moment m = {.seed = 3, .step = 9, .kind = STEP_ALPHAS};
    draw(&s, a, &m, 0.1);
    CHECK(!memcmp(a->drawn, a->weight, (size_t)a->count * sizeof(double)));
    m.kind = STEP_WEIGHTS;
    draw(&s, a, &m, 0.1);
    double moved = 0;
    for (int64_t g = 0; g < a->op_groups; g++) {
        double sum = 0;
        for (int64_t k = g * 8; k < g * 8 + 8; k++) {
            sum += a->drawn[k];
            moved += fabs(a->drawn[k] - a->weight[k]) / (double)a->count;
            CHECK(a->drawn[k] >= 0 && a->drawn[k] < 0.25 / 0.2);
        }
        CHECK_NEAR(sum, 1, 1e-12);
    }
    CHECK_MSG(moved > 0.03 && moved < 0.07, "moved by %g", moved); /* mean |U(-0.1, 0.1)| = 0.05 */

    s = strategy("random-ws");
    int64_t used[8] = {0};
    for (m.step = 0; m.step < 200; m.step++) {
        draw(&s, a, &m, 0);
        for (int64_t table = 0; table < 2; table++)
            for (int64_t node = 0; node < 4; node++) {
                double sum = 0;
                for (int64_t i = 0; i < node + 2; i++)
                    for (int64_t k = 0; k < 8; k++) {
                        double w = a->drawn[(table * 14 + space_edge(node, i)) * 8 + k];
                        CHECK(w == 0 || w == 1);
                        sum += w;
                        used[k] += w > 0;
                    }
                CHECK(sum == 2); /* two inputs a node */
            }
    }
    CHECK_EQ(used[0], 0); /* none is never drawn */
    for (int k = 1; k < 8; k++) CHECK_MSG(abs((int)used[k] - 3200 / 7) < 90, "operation %d: %d times", k, (int)used[k]);
}

/* Penalties as the header's formulas have them. */
static double penalty(const Arch *a, const char *name, const double *v, double progress)
{
    double sum = 0;
    for (int64_t i = 0; i < a->op_count && strcmp(name, "beta-decay"); i++) {
        double x = a->raw[i], w = 1 / (1 + exp(-x));
        if (!strcmp(name, "l2")) sum += v[0] / 2 * x * x;
        if (!strcmp(name, "l1")) sum += v[0] * fabs(x);
        if (!strcmp(name, "lp")) sum += v[0] * pow(fabs(x), v[1]);
        if (!strcmp(name, "zero-one")) sum -= v[0] * (w - 0.5) * (w - 0.5) / (double)a->op_count;
    }
    for (int64_t g = 0; g < a->op_groups && !strcmp(name, "beta-decay"); g++) {
        double e = 0;
        for (int64_t k = 0; k < a->ops; k++) e += exp(a->raw[g * a->ops + k]);
        sum += v[0] * progress * log(e) / (double)a->edges;
    }
    return sum;
}

static void test_regularisers(void)
{
    const double h = 1e-6, progress = 0.4, value[2] = {0.7, 0.5};
    Space sp = space("skip_connect,sep_conv_3x3,max_pool_3x3", 2);
    const NetSpec n = {0};
    Arch *a = arch_new(&perm, &sp, &n, false);
    for (int64_t r = 0; r < regulariser_count; r++) {
        const Regulariser *part = &regulariser_table[r];
        const Relaxation *from = relaxation(part->relaxation ? part->relaxation : "softmax");
        for (int64_t i = 0; i < a->count; i++) {
            a->raw[i] = (double)(i % 5) - 1.7;
            a->grad[i] = 1; /* it is added to */
        }
        for (int64_t g = 0; g < a->op_groups; g++) from->mix(a->raw + g * 3, 3, a->weight + g * 3);
        part->add(a, value, progress, a->grad);
        for (int64_t i = 0; i < a->count; i++) {
            double kept = a->raw[i], f[2];
            for (int side = 0; side < 2; side++) {
                a->raw[i] = kept + (side ? -h : h);
                f[side] = penalty(a, part->part.name, value, progress);
            }
            a->raw[i] = kept;
            CHECK_MSG(fabs(a->grad[i] - 1 - (f[0] - f[1]) / (2 * h)) < 1e-6, "%s: alpha %d: %g, slope %g",
                      part->part.name, (int)i, a->grad[i] - 1, (f[0] - f[1]) / (2 * h));
        }
    }
    /* at zero: no slope, no NaN, however small P */
    for (int64_t i = 0; i < a->count; i++) a->raw[i] = a->grad[i] = 0;
    for (int64_t r = 0; r < 3; r++) regulariser_table[r].add(a, value, 1, a->grad);
    for (int64_t i = 0; i < a->count; i++) CHECK(a->grad[i] == 0);
    /* beta decay by hand: alphas log 1, log 2, log 5, five edges, 0.7 of 50: 35/5 × (1, 2, 5)/8 */
    const Regulariser *beta = 0;
    for (int64_t r = 0; r < regulariser_count; r++)
        if (!strcmp(regulariser_table[r].part.name, "beta-decay")) beta = &regulariser_table[r];
    relaxation("softmax")->mix((double[]){0, log(2), log(5)}, 3, a->weight);
    beta->add(a, (double[]){50}, 0.7, a->grad);
    CHECK_NEAR(a->grad[0], 0.875, 1e-12);
    CHECK_NEAR(a->grad[1], 1.75, 1e-12);
    CHECK_NEAR(a->grad[2], 4.375, 1e-12);
}

static const AlphaUpdate *update(const char *name)
{
    for (int64_t i = 0; i < update_count; i++)
        if (!strcmp(update_table[i].part.name, name)) return &update_table[i];
    return 0;
}

static void test_updates(void)
{
    Space sp = space("skip_connect,sep_conv_3x3", 1);
    const NetSpec n = {0};
    const AlphaSettings settings = {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.999};
    Arch *a = arch_new(&perm, &sp, &n, false);
    /* Adam's first step is the learning rate against the sign of the gradient, whatever its size. */
    a->grad[0] = 1e-3;
    a->grad[3] = -7;
    update("adam")->step(a, &settings);
    CHECK_EQ(a->step, 1);
    CHECK_NEAR(a->raw[0], -0.1, 1e-5);
    CHECK_NEAR(a->raw[1], 0, 0);
    CHECK_NEAR(a->raw[3], 0.1, 1e-8);
    update("sgd")->step(a, &settings);
    CHECK_NEAR(a->raw[3], 0.8, 1e-8);
    /* theta (1/4, 3/4), rate 0.1, gradients (10 log 3, 0) -> (1/12, 3/4) of sum 5/6 -> (0.1, 0.9) */
    a->raw[0] = 0.25, a->raw[1] = 0.75;
    a->grad[0] = 10 * log(3), a->grad[1] = 0;
    a->raw[2] = a->raw[3] = 0.5;
    a->grad[2] = 1e9, a->grad[3] = -1e9; /* no overflow, and the loser is not lost for good */
    for (int64_t i = 4; i < a->count; i++) a->raw[i] = 0.5, a->grad[i] = 3;
    update("exponentiated")->step(a, &settings);
    CHECK_NEAR(a->raw[0], 0.1, 1e-12);
    CHECK_NEAR(a->raw[1], 0.9, 1e-12);
    CHECK(a->raw[2] > 0 && a->raw[2] < 1e-29);
    CHECK_NEAR(a->raw[3], 1, 1e-15);
    CHECK_NEAR(a->raw[5], 0.5, 1e-15);
    a->grad[0] = NAN;
    update("exponentiated")->step(a, &settings);
    CHECK(isnan(a->raw[0]) && isnan(a->raw[1]));
}

/* ---- compositions ---- */

static void test_presets(void)
{
    static const struct {
        const char *name, *parts;
    } want[] = {
        {"steady", "softmax + first-order + l2:0.001 + adam + warmup:10 %"},
        {"darts1", "softmax + first-order + l2:0.001 + adam"},
        {"darts2", "softmax + second-order + l2:0.001 + adam"},
        {"pc-darts", "softmax + channel-share:4 + edge-weights + first-order + l2:0.001 + adam + warmup:30 %"},
        {"gaea", "simplex + first-order + exponentiated"},
        {"beta-darts", "softmax + first-order + beta-decay:50 + adam"},
        {"darts-", "softmax + auxiliary-skip + first-order + l2:0.001 + adam"},
        {"fair-darts", "sigmoid + first-order + l2:0.001 + zero-one:10 + adam"},
        {"sdarts-rs", "softmax + noise:0.03:0.3 + first-order + l2:0.001 + adam"},
        {"gdas", "softmax + gumbel:10:0.1 + first-order + l2:0.001 + adam"},
        {"random", "simplex + random"},
        {"random-ws", "simplex + uniform + rank:100"},
    };
    CHECK_EQ(strategy_count, COUNTOF(want));
    for (int i = 0; i < COUNTOF(want); i++) {
        Strategy s = strategy(want[i].name);
        CHECK_STR(strategy_parts(&perm, &s), want[i].parts);
        CHECK_CONTAINS(strategy_help(&perm), arena_printf(&perm, "  %-14s  %s", want[i].name, want[i].parts));
    }
}

#define OVER(...)                                                                                                      \
    {                                                                                                                  \
        .warmup = -1, __VA_ARGS__                                                                                      \
    }
#define REST(...)                                                                                                      \
    {                                                                                                                  \
        .warmup = 0, __VA_ARGS__                                                                                       \
    }

static void test_overrides(void)
{
    static const struct {
        StrategySettings s;
        const char *parts;
    } good[] = {
        {OVER(.name = "darts1", .share = 2, .regulariser = "lp:0.01:0.7,l1"),
         "softmax + channel-share:2 + first-order + lp:0.01:0.7 + l1:0.001 + adam"},
        {REST(.name = "pc-darts", .edge_weights = "off", .share = 1), "softmax + first-order + l2:0.001 + adam"},
        {OVER(.name = "pc-darts", .relaxation = "simplex", .update = "exponentiated", .regulariser = "none"),
         "simplex + channel-share:4 + edge-weights + first-order + exponentiated + warmup:30 %"},
        {OVER(.name = "gdas", .sampling = "gumbel:5", .gradient = "second-order", .auxiliary_skip = "on"),
         "softmax + gumbel:5:0.1 + auxiliary-skip + second-order + l2:0.001 + adam"},
        {OVER(.name = "random-ws", .choice = "rank:7", .sampling = "all"), "simplex + rank:7"},
    };
    for (int i = 0; i < COUNTOF(good); i++) {
        Strategy s;
        const char *why = strategy_make(&perm, &good[i].s, &s);
        if (CHECK_MSG(!why, "%s", why)) CHECK_STR(strategy_parts(&perm, &s), good[i].parts);
    }
    static const struct {
        StrategySettings s;
        const char *why;
    } bad[] = {
        {OVER(.name = "dart1"), "near it: darts1"},
        {OVER(.name = "darts1", .relaxation = "softmaxx"), "--relaxation softmaxx: unknown; near it: softmax"},
        {OVER(.name = "darts1", .relaxation = "softmax:1"), "softmax takes 0 values"},
        {OVER(.name = "darts1", .sampling = "gumbel:0"), "a number from 0.001 to 1e+06"},
        {OVER(.name = "darts1", .sampling = "noise:0.1:0.2:0.3"), "noise takes 2 values"},
        {OVER(.name = "darts1", .regulariser = "l2:-1"), "a number from 0 to"},
        {OVER(.name = "darts1", .regulariser = "l2:x"), "a number from 0 to"},
        {OVER(.name = "darts1", .regulariser = "l2,,l1"), "--regulariser : unknown"},
        {OVER(.name = "darts1", .regulariser = "l2,l1,l2"), "l2 twice"},
        {OVER(.name = "darts1", .regulariser = "zero-one"), "is for --relaxation sigmoid"},
        {OVER(.name = "gaea", .regulariser = "beta-decay"), "is for --relaxation softmax"},
        {OVER(.name = "gaea", .update = "adam"), "does not go with --relaxation simplex"},
        {OVER(.name = "darts1", .update = "exponentiated"), "does not go with --relaxation softmax"},
        {OVER(.name = "darts1", .update = "none"), "the alphas learn or they do not"},
        {OVER(.name = "darts1", .gradient = "none"), "the alphas learn or they do not"},
        {OVER(.name = "darts1", .sampling = "uniform"), "alphas cannot learn from it"},
        {OVER(.name = "darts1", .choice = "rank"), "not with alphas that learn"},
        {OVER(.name = "fair-darts", .sampling = "gumbel"), "gumbel draws from a softmax"},
        {OVER(.name = "fair-darts", .sampling = "noise"), "weights that add up to one"},
        {OVER(.name = "fair-darts", .edge_weights = "on"), "--edge-weights on"},
        {OVER(.name = "random", .edge_weights = "on"), "--edge-weights on"},
        {OVER(.name = "random", .sampling = "uniform"), "leaves nothing to draw"},
        {OVER(.name = "random", .regulariser = "l2"), "the alphas do not learn"},
        {OVER(.name = "darts1", .edge_weights = "maybe"), "on or off expected"},
    };
    for (int i = 0; i < COUNTOF(bad); i++) {
        Strategy s;
        const char *why = strategy_make(&perm, &bad[i].s, &s);
        if (CHECK_MSG(why, "no complaint that should contain: %s", bad[i].why)) CHECK_CONTAINS(why, bad[i].why);
    }
}

/* ---- on engines ---- */

typedef struct { /* two fixed batches on an engine: an AlphaProblem's context */
    Engine *engine;
    const float *x[2], *y[2]; /* train, alpha */
    int64_t n;
    int64_t passes;
} Bench;

static void bench_forward(void *context, Split split)
{
    Bench *b = context;
    int which = split == SPLIT_ALPHA;
    engine_batch(b->engine, b->x[which], b->y[which], b->n);
    engine_forward(b->engine, MODE_TRAIN);
    b->passes++;
}

static double bench_loss(void *context)
{
    return engine_loss(((Bench *)context)->engine);
}

static Engine *open_engine(const Graph *g, const char *device, int64_t batch)
{
    const EngineOptions o = {.device = device, .batch = batch, .pool = pool};
    const char *why = g->error;
    Engine *e = why ? 0 : engine_open(&perm, g, &o, &why);
    if (!CHECK_MSG(e, "%s", why)) exit(check_done("strategy"));
    float *w = NEW(&perm, float, g->weight_count + 1), *s = NEW(&perm, float, g->stat_floats + 1);
    graph_init(g, 1, w, s);
    engine_upload(e, BLOCK_WEIGHTS, w);
    engine_upload(e, BLOCK_STATS, s);
    return e;
}

/* The gradient of the alphas, without regulariser and without a step. */
static double alpha_gradient(Strategy s, const AlphaProblem *p, const Moment *m)
{
    const AlphaSettings still = {0};
    s.regulariser_count = 0;
    s.update = update("sgd");
    return strategy_step(&s, p, &still, m, perm);
}

/* A net whose one weight w meets the sum of alpha-weighted inputs: z = w m, m = sum of softmax(alpha) x; the squared error
 * against y. For each batch, x with target y and -x with -y: so the head's bias stays 0 and the Hessian is 2 m². */
enum { TOY_OPS = 3, TOY_TABLE = 2 * TOY_OPS, TOY_INPUTS = 2 * TOY_TABLE };
typedef struct {
    double x[2][TOY_INPUTS], y[2];
} Toy;

static double toy_mix(const Toy *t, const double *raw, int which)
{
    double m = 0, w[TOY_OPS];
    for (int g = 0; g < TOY_INPUTS / TOY_OPS; g++) {
        relaxation("softmax")->mix(raw + g * TOY_OPS, TOY_OPS, w);
        for (int k = 0; k < TOY_OPS; k++) m += w[k] * t->x[which][g * TOY_OPS + k];
    }
    return m;
}

static double toy_loss(const Toy *t, const double *raw, double w, int which)
{
    double e = w * toy_mix(t, raw, which) - t->y[which];
    return e * e;
}

/* w after a step with momentum mu, velocity v, decay lambda. */
static double toy_step(const Toy *t, const double *raw, double w, const AlphaProblem *p, double v)
{
    double m = toy_mix(t, raw, 0), grad = 2 * m * (w * m - t->y[0]);
    return w - p->rate * (p->momentum * v + grad + p->weight_decay * w);
}

static void test_toy(void)
{
    const Toy t = {{{0.3, 1.1, -0.4, 0.8, 0.2, 0.5, 1.4, -0.1, 0.6, 0.7, 0.9, 0.1},
                    {0.5, 0.9, -0.2, 0.1, 0.7, 0.4, 1.0, 0.3, 0.2, 0.9, -0.5, 0.6}},
                   {1.3, -0.7}};
    Graph *g = graph_new(&perm);
    Value in = graph_input(g, TOY_INPUTS, 1, 1);
    graph_table(g, "normal", TOY_TABLE);
    graph_table(g, "reduce", TOY_TABLE);
    Term terms[TOY_INPUTS];
    for (int32_t i = 0; i < TOY_INPUTS; i++)
        terms[i] = (Term){graph_select(g, in, &i, 1, "x"), i / TOY_TABLE, i % TOY_TABLE, false, false};
    graph_head(g, graph_mix(g, terms, TOY_INPUTS, "m"), 1, "fc");
    graph_loss(g, LOSS_MSE, 0);
    Engine *e = open_engine(g, "cpu", 2);
    CHECK_EQ(g->weight_count, 2);

    Space sp = space("skip_connect,sep_conv_3x3,max_pool_3x3", 1);
    const NetSpec n = {0};
    Arch *a = arch_new(&perm, &sp, &n, false);
    CHECK_EQ(a->count, TOY_INPUTS);
    for (int64_t i = 0; i < a->count; i++) a->raw[i] = 0.3 * (double)(i % 4) - 0.2 * (double)(i % 3);
    float x[2][2 * TOY_INPUTS], y[2][2];
    for (int b = 0; b < 2; b++)
        for (int s = 0; s < 2; s++) {
            for (int i = 0; i < TOY_INPUTS; i++) x[b][s * TOY_INPUTS + i] = (float)(s ? -t.x[b][i] : t.x[b][i]);
            y[b][s] = (float)(s ? -t.y[b] : t.y[b]);
        }
    Bench bench = {e, {x[0], x[1]}, {y[0], y[1]}, 2, 0};
    AlphaProblem p = {.engine = e, .arch = a, .forward = bench_forward, .loss = bench_loss, .context = &bench};
    Moment m = {.kind = STEP_ALPHAS};
    double mixed = toy_mix(&t, a->raw, 0), best = t.y[0] / mixed;
    /* first and second order at any w, with and without momentum and decay; then at w*(alpha) with the rate 1/Hessian,
     * where the second order is the gradient of L(w*(alpha), alpha) itself */
    const struct {
        double w, v, rate, momentum, decay;
        int order;
    } cases[] = {{0.8, 0, 0.3, 0, 0, 1},
                 {0.8, 0, 0.3, 0, 0, 2},
                 {0.8, 0.4, 0.3, 0.9, 0.05, 2},
                 {-1.5, -2, 0.1, 0.5, 0, 2},
                 {best, 0, 0.5 / (mixed * mixed), 0, 0, 3}};
    for (int c = 0; c < COUNTOF(cases); c++) {
        float w[2] = {(float)cases[c].w, 0}, v[2] = {(float)cases[c].v, 0}, after[2];
        p.rate = cases[c].rate, p.momentum = cases[c].momentum, p.weight_decay = cases[c].decay;
        engine_upload(e, BLOCK_WEIGHTS, w);
        engine_upload(e, BLOCK_MOMENT1, v);
        bench.passes = 0;
        double loss = alpha_gradient(strategy(cases[c].order == 1 ? "darts1" : "darts2"), &p, &m);
        double at = cases[c].order == 1 ? cases[c].w : toy_step(&t, a->raw, cases[c].w, &p, cases[c].v);
        CHECK_NEAR(loss, toy_loss(&t, a->raw, at, 1), 1e-5);
        CHECK_EQ(bench.passes, cases[c].order == 1 ? 1 : 4);
        for (int64_t i = 0; i < a->count; i++) {
            const double h = 1e-6;
            double kept = a->raw[i], f[2];
            for (int side = 0; side < 2; side++) {
                a->raw[i] = kept + (side ? -h : h);
                double wi = cases[c].order == 1   ? cases[c].w
                            : cases[c].order == 2 ? toy_step(&t, a->raw, cases[c].w, &p, cases[c].v)
                                                  : t.y[0] / toy_mix(&t, a->raw, 0);
                f[side] = toy_loss(&t, a->raw, wi, 1);
            }
            a->raw[i] = kept;
            double want = (f[0] - f[1]) / (2 * h);
            CHECK_MSG(fabs(a->grad[i] - want) < 2e-3 * fabs(want) + 2e-4, "case %d, alpha %d: %.6g, analytic %.6g", c,
                      (int)i, a->grad[i], want);
        }
        engine_download(e, BLOCK_WEIGHTS, after);
        CHECK(!memcmp(after, w, sizeof w));
        engine_download(e, BLOCK_MOMENT1, after);
        CHECK(!memcmp(after, v, sizeof v));
    }
    engine_close(e);
}

static Bench bench_open(const Graph *g, Engine *e, int64_t n)
{
    const ValueInfo *in = &g->values[g->input];
    int64_t size = n * in->channels * in->height * in->width;
    Bench b = {.engine = e, .n = n};
    for (int s = 0; s < 2; s++) {
        float *x = NEW(&perm, float, size), *y = NEW(&perm, float, n);
        for (int64_t i = 0; i < size; i++) x[i] = (float)rng_normal(11 + (uint64_t)s, RNG_TEST, (uint64_t)i);
        for (int64_t i = 0; i < n; i++) y[i] = (float)(i % g->outputs);
        b.x[s] = x, b.y[s] = y;
    }
    return b;
}

static Graph *supernet(const Space *s, NetSpec *n)
{
    *n = (NetSpec){.input_channels = 2,
                   .height = 8,
                   .width = 8,
                   .outputs = 3,
                   .loss = LOSS_CROSS_ENTROPY,
                   .channels = n->channels,
                   .layers = n->layers,
                   .reduce_count = n->layers > 1,
                   .reduce_at = {1},
                   .stem_multiplier = 1,
                   .share = n->share,
                   .auxiliary_skip = n->auxiliary_skip};
    return network_supernet(&perm, s, n);
}

/* L_alpha(w - xi (mu v + grad L_train(w) + lambda w)) by doing just that. */
static double unrolled(const Strategy *s, const AlphaProblem *p, const Moment *m)
{
    Engine *e = p->engine;
    strategy_mix(s, p->arch, m, e, perm);
    p->forward(p->context, SPLIT_TRAIN);
    engine_backward(e, GRAD_WEIGHTS);
    engine_copy(e, BLOCK_BEST, BLOCK_WEIGHTS);
    engine_scale(e, BLOCK_WEIGHTS, 1 - p->rate * p->weight_decay);
    engine_axpy(e, BLOCK_WEIGHTS, -p->rate * p->momentum, BLOCK_MOMENT1);
    engine_axpy(e, BLOCK_WEIGHTS, -p->rate, BLOCK_GRAD);
    p->forward(p->context, SPLIT_ALPHA);
    double loss = p->loss(p->context);
    engine_copy(e, BLOCK_WEIGHTS, BLOCK_BEST);
    return loss;
}

/* Two nodes of two edges of three operations, as a supernet has them, but without a ReLU: whose kinks would make the second
 * derivative a matter of luck. */
static Graph *smooth_net(int64_t ops)
{
    Graph *g = graph_new(&perm);
    Value state[4];
    const ConvSpec conv = {.out_channels = 3,
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .stride_h = 1,
                           .stride_w = 1,
                           .pad_h = 1,
                           .pad_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .norm = NORM_PLAIN};
    const PoolSpec pool_spec = {.kind = POOL_AVG,
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .stride_h = 1,
                                .stride_w = 1,
                                .pad_h = 1,
                                .pad_w = 1,
                                .norm = NORM_PLAIN};
    graph_table(g, "normal", 2 * ops);
    graph_table(g, "reduce", 2 * ops);
    Value x = graph_input(g, 2, 6, 6);
    for (int i = 0; i < 2; i++) {
        Value y = graph_conv(g, x, conv, arena_printf(&perm, "in%d", i), "norm");
        state[i] = graph_mix(g, &(Term){.value = y, .table = -1}, 1, "state");
    }
    for (int32_t table = 0; table < 2; table++) {
        Term t[6];
        for (int32_t e = 0; e < 2; e++) {
            Value from = state[table + e];
            t[3 * e] = (Term){.value = from, .table = table, .index = 3 * e};
            t[3 * e + 1] = (Term){.value = graph_pool(g, from, pool_spec, "norm"), .table = table, .index = 3 * e + 1};
            t[3 * e + 2] =
                (Term){.value = graph_sepconv(g, from, conv, "a|b", "norm"), .table = table, .index = 3 * e + 2};
        }
        state[2 + table] = graph_mix(g, t, 6, "node");
    }
    graph_head(g, graph_concat(g, state + 2, 2), 3, "fc");
    graph_loss(g, LOSS_CROSS_ENTROPY, 0);
    return g;
}

/* Against brute force: a net that is smooth, closely; a supernet of many pixels, whose kinks average out, roughly. */
static void test_unrolled(void)
{
    Space sp = space("skip_connect,avg_pool_3x3,sep_conv_3x3", 1);
    static const struct {
        int64_t n;
        double h, tolerance;
    } cases[] = {{8, 4e-3, 0.01}, {256, 2e-2, 0.08}};
    for (int c = 0; c < COUNTOF(cases); c++) {
        NetSpec n = {.channels = 3, .layers = 2};
        Graph *g = c ? supernet(&sp, &n) : smooth_net(sp.op_count);
        Engine *e = open_engine(g, "cpu", cases[c].n);
        Bench bench = bench_open(g, e, cases[c].n);
        Arch *a = arch_new(&perm, &sp, &n, false);
        Strategy first = strategy("darts1"), second = strategy("darts2");
        for (int64_t i = 0; i < a->count; i++) a->raw[i] = rng_normal(5, RNG_TEST, (uint64_t)i);
        AlphaProblem p = {.engine = e,
                          .arch = a,
                          .rate = 0.1,
                          .momentum = 0.9,
                          .weight_decay = 0.01,
                          .forward = bench_forward,
                          .loss = bench_loss,
                          .context = &bench};
        Moment m = {.kind = STEP_ALPHAS};
        float *v = NEW(&perm, float, g->weight_count), *stats = NEW(&perm, float, g->stat_floats),
              *after = NEW(&perm, float, g->stat_floats);
        for (int64_t i = 0; i < g->weight_count; i++) v[i] = (float)(0.1 * rng_normal(6, RNG_TEST, (uint64_t)i));
        engine_upload(e, BLOCK_MOMENT1, v);
        double *plain = NEW(&perm, double, a->count), *grad = NEW(&perm, double, a->count);
        alpha_gradient(first, &p, &m);
        memcpy(plain, a->grad, (size_t)a->count * sizeof *plain);
        engine_download(e, BLOCK_STATS, stats);
        alpha_gradient(second, &p, &m);
        memcpy(grad, a->grad, (size_t)a->count * sizeof *grad);
        engine_download(e, BLOCK_STATS, after);
        CHECK(!memcmp(stats, after, (size_t)g->stat_floats * sizeof *stats));
        double wrong = 0, apart = 0, size = 0;
        for (int64_t i = 0; i < a->count; i++) {
            double kept = a->raw[i], f[2];
            for (int side = 0; side < 2; side++) {
                a->raw[i] = kept + (side ? -cases[c].h : cases[c].h);
                f[side] = unrolled(&second, &p, &m);
            }
            a->raw[i] = kept;
            double want = (f[0] - f[1]) / (2 * cases[c].h);
            wrong += pow(grad[i] - want, 2), apart += pow(plain[i] - want, 2), size += want * want;
        }
        CHECK_MSG(sqrt(wrong) < cases[c].tolerance * sqrt(size), "second order: off by %g of %g", sqrt(wrong),
                  sqrt(size));
        CHECK_MSG(sqrt(apart) > 4 * sqrt(wrong), "the first order would do: off by %g of %g", sqrt(apart), sqrt(size));
        engine_close(e);
    }
}

/* The way from the loss back to every alpha: of operations and of edges, through partial channels, auxiliary skips, every
 * relaxation. */
static void test_chain(void)
{
    for (int64_t r = 0; r < relaxation_count; r++) {
        Space sp = space("none,skip_connect,avg_pool_3x3,sep_conv_3x3", 2);
        NetSpec n = {.channels = 4, .layers = 2, .share = 2, .auxiliary_skip = true};
        Graph *g = supernet(&sp, &n);
        Engine *e = open_engine(g, "cpu", 64);
        Bench bench = bench_open(g, e, 64);
        Strategy s = strategy("darts1");
        s.relaxation = &relaxation_table[r];
        Arch *a = arch_new(&perm, &sp, &n, s.relaxation->of_one_sum);
        for (int64_t i = 0; i < a->count; i++) a->raw[i] = 0.3 + 0.1 * rng_normal(5, RNG_TEST, (uint64_t)i);
        AlphaProblem p = {.engine = e, .arch = a, .forward = bench_forward, .loss = bench_loss, .context = &bench};
        Moment m = {.kind = STEP_ALPHAS, .progress = 0.25};
        alpha_gradient(s, &p, &m);
        double *grad = NEW(&perm, double, a->count), size = 0;
        memcpy(grad, a->grad, (size_t)a->count * sizeof *grad);
        for (int64_t i = 0; i < a->count; i++) size += grad[i] * grad[i];
        for (int64_t i = 0; i < a->count; i++) {
            const double h = 1e-2;
            double kept = a->raw[i], f[2];
            for (int side = 0; side < 2; side++) {
                a->raw[i] = kept + (side ? -h : h);
                strategy_mix(&s, a, &m, e, perm);
                bench_forward(&bench, SPLIT_ALPHA);
                f[side] = bench_loss(&bench);
            }
            a->raw[i] = kept;
            CHECK_MSG(fabs(grad[i] - (f[0] - f[1]) / (2 * h)) < 0.02 * sqrt(size), "%s: alpha %d: %g, slope %g of %g",
                      s.relaxation->part.name, (int)i, grad[i], (f[0] - f[1]) / (2 * h), sqrt(size));
        }
        if (a->count > a->op_count) {
            double edges = 0;
            for (int64_t i = a->op_count; i < a->count; i++) edges += grad[i] * grad[i];
            CHECK_MSG(edges > 1e-6 * size, "the edges have no gradient");
        }
        engine_close(e);
    }
}

/* A loss that is not finite is handed on, and changes no alpha and no weight. */
static void test_not_finite(void)
{
    static const char *const names[] = {"darts1", "darts2"};
    Space sp = space("skip_connect,sep_conv_3x3", 1);
    NetSpec n = {.channels = 2, .layers = 1};
    for (int i = 0; i < 2; i++) {
        Graph *g = supernet(&sp, &n);
        Engine *e = open_engine(g, "cpu", 4);
        Bench bench = bench_open(g, e, 4);
        Arch *a = arch_new(&perm, &sp, &n, false);
        Strategy s = strategy(names[i]);
        AlphaProblem p = {
            .engine = e, .arch = a, .rate = 0.1, .forward = bench_forward, .loss = bench_loss, .context = &bench};
        Moment m = {.kind = STEP_ALPHAS};
        float *w = NEW(&perm, float, g->weight_count), *after = NEW(&perm, float, g->weight_count);
        engine_download(e, BLOCK_WEIGHTS, w);
        w[g->weight_count - 1] = INFINITY; /* the bias of a class */
        engine_upload(e, BLOCK_WEIGHTS, w);
        const AlphaSettings settings = {.lr = 1};
        CHECK(!isfinite(strategy_step(&s, &p, &settings, &m, perm)));
        for (int64_t k = 0; k < a->count; k++) CHECK(a->raw[k] == 0);
        engine_download(e, BLOCK_WEIGHTS, after);
        CHECK(!memcmp(w, after, (size_t)g->weight_count * sizeof *w));
        engine_close(e);
    }
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 30);
    pool = pool_open(1);
    CHECK_RUN(test_relaxations);
    CHECK_RUN(test_extremes);
    CHECK_RUN(test_gumbel);
    CHECK_RUN(test_noise_and_paths);
    CHECK_RUN(test_regularisers);
    CHECK_RUN(test_updates);
    CHECK_RUN(test_presets);
    CHECK_RUN(test_overrides);
    CHECK_RUN(test_toy);
    CHECK_RUN(test_unrolled);
    CHECK_RUN(test_chain);
    CHECK_RUN(test_not_finite);
    pool_close(pool);
    return check_done("strategy");
}
