/* The guards of a search: what each measures and when it fires, the eigenvalue against known ones, going back. */
#include "check.h"

#include "search/guard.h"

static Arena perm, scratch;

/* ---- the dominant eigenvalue ---- */

enum { N = 4 };
typedef struct {
    double eigen[N], cubic; /* of the quadratic form in turned coordinates; strength of a third-order part */
    int64_t calls, fails_at;
} Bowl;

/* An orthogonal matrix: a half of the Hadamard matrix of order 4. */
static const double turn[N][N] = {{.5, .5, .5, .5}, {.5, -.5, .5, -.5}, {.5, .5, -.5, -.5}, {.5, -.5, -.5, .5}};

static bool bowl_gradient(void *context, const double *x, double *grad, Arena unused)
{
    Bowl *b = context;
    (void)unused;
    if (++b->calls == b->fails_at) return false;
    for (int i = 0; i < N; i++) grad[i] = b->cubic * x[i] * x[i];
    for (int k = 0; k < N; k++) {
        double along = 0;
        for (int i = 0; i < N; i++) along += turn[k][i] * x[i];
        for (int i = 0; i < N; i++) grad[i] += b->eigen[k] * along * turn[k][i];
    }
    return true;
}

static void test_eigenvalue(void)
{
    static const struct {
        double eigen[N], cubic, want;
        int64_t iterations;
    } cases[] = {
        {{1, 2, 3, 7}, 0, 7, 40},    {{1, -8, 3, 7}, 0, -8, 200}, /* the largest modulus */
        {{0, 0, 0, 0.5}, 0, 0.5, 2}, {{0, 0, 0, 0}, 0, 0, 5},     /* flat */
        {{1, 2, 3, 7}, 0.5, 7, 40}, /* at 0 the third-order part has no curvature, and the difference is central */
    };
    for (int c = 0; c < COUNTOF(cases); c++) {
        Bowl b = {.cubic = cases[c].cubic};
        memcpy(b.eigen, cases[c].eigen, sizeof b.eigen);
        double at[N] = {0}, v[N] = {0.3, -0.1, 0.7, 0.2};
        CHECK_NEAR(guard_eigenvalue(bowl_gradient, &b, at, N, cases[c].iterations, v, scratch), cases[c].want, 1e-6);
        CHECK(b.calls <= 2 * cases[c].iterations);
    }
    Bowl b = {.eigen = {1, 2, 3, 7}};
    double at[N] = {0.1, -0.2, 0.3, 0}, v[N] = {0.3, -0.1, 0.7, 0.2}, none[N] = {0};
    for (int epoch = 0; epoch < 8; epoch++) /* a few steps an epoch come together, as v goes on */
        guard_eigenvalue(bowl_gradient, &b, at, N, GUARD_ITERATIONS, v, scratch);
    for (int i = 0; i < N; i++) CHECK_NEAR(fabs(v[i]), 0.5, 1e-6);
    b.calls = 0, b.fails_at = 3;
    CHECK(isnan(guard_eigenvalue(bowl_gradient, &b, at, N, 5, v, scratch)));
    CHECK(isnan(guard_eigenvalue(bowl_gradient, &b, at, N, 5, none, scratch))); /* no direction */
}

/* ---- when they fire ---- */

static int64_t row(const char *name)
{
    for (int64_t i = 0; i < guard_count; i++)
        if (!strcmp(guard_table[i].part.name, name)) return i;
    return -1;
}

static void test_back(void)
{
    static const struct {
        const char *guard;
        double value, latest[GUARD_MEMORY];
        int64_t count, back;
    } cases[] = {
        {"skips", 2, {3, 2}, 2, 1},
        {"skips", 2, {2, 2}, 2, -1},
        {"skips", 2, {3}, 1, -1},    /* nothing to go back to */
        {"skips", 2, {4, 3}, 2, -1}, /* nor here: they were too many before */
        {"skips", 0, {1, 0}, 2, 1},
        {"skips", 2, {NAN, 1}, 2, -1},
        {"stable", 3, {3, 2, 1, 0}, 4, 0},
        {"stable", 3, {2, 1, 0}, 3, -1},
        {"eigenvalue", 1.3, {2, 2, 2, 2}, 4, -1},        /* not yet 4 epochs */
        {"eigenvalue", 1.3, {1, 1, 1, 1, 1}, 5, -1},     /* flat */
        {"eigenvalue", 1.3, {4, 2, 1, 1, 1}, 5, 4},      /* mean 1.8 against 1 */
        {"eigenvalue", 1.3, {1.5, 1.5, 1, 1, 1}, 5, -1}, /* mean 1.2 */
        {"eigenvalue", 1.3, {2, 2, 2, 2, 2, 2, 2, 2, 2}, 9, -1},
        {"eigenvalue", 1.3, {3, 3, 3, 3, 1, 1, 1, 1, 1}, 9, 4}, /* mean 2.6 against 1 */
        {"eigenvalue", 1.3, {3, 3, 3, 3, -1, -1, -1}, 7, -1},   /* growth of what is no valley */
        {"eigenvalue", 1.3, {3, 3, 3, 3, NAN}, 5, -1},
    };
    for (int i = 0; i < COUNTOF(cases); i++) {
        const Guard *g = &guard_table[row(cases[i].guard)];
        CHECK_MSG(g->back(cases[i].latest, cases[i].count, cases[i].value) == cases[i].back, "case %d, %s", i,
                  cases[i].guard);
    }
}

/* ---- in a search ---- */

typedef struct {
    Space space;
    Arch *arch;
    Strategy strategy;
    Bowl bowl;
    struct GuardScene scene;
} Stage;

static bool scaled_gradient(void *context, const double *raw, double *grad, Arena unused)
{
    Stage *s = context;
    (void)unused;
    for (int64_t i = 0; i < s->arch->count; i++) grad[i] = s->bowl.eigen[0] * raw[i];
    return true;
}

static void stage_set(Stage *s, const char *guards)
{
    static const NetSpec net = {0};
    *s = (Stage){0};
    CHECK(!space_make(&perm, "none,skip_connect,sep_conv_3x3", 2, 2, 2, &s->space));
    s->arch = arch_new(&perm, &s->space, &net, false);
    const StrategySettings named = {.name = "darts1", .warmup = -1, .guard = guards};
    CHECK(!strategy_make(&perm, &named, &s->strategy));
    s->scene = (struct GuardScene){.strategy = &s->strategy,
                                   .arch = s->arch,
                                   .gradient = scaled_gradient,
                                   .context = s,
                                   .used = {true, false},
                                   .seed = 1};
}

/* Alphas of which skip_connect is the best on the first n edges of both cells, told apart by `mark`. */
static void stage_alphas(Stage *s, int64_t n, double mark)
{
    Arch *a = s->arch;
    for (int64_t e = 0; e < ARCH_TABLES * a->edges; e++) {
        double *raw = a->raw + e * a->ops;
        raw[0] = mark, raw[1] = e % a->edges < n ? 1 : -1, raw[2] = 0;
        s->strategy.relaxation->mix(raw, a->ops, a->weight + e * a->ops);
    }
}

static double metric_of(const GuardState *g, const Stage *s, int64_t epoch, const char *name)
{
    Metric m[MAX_GUARDS];
    int64_t n = 0;
    guard_metrics(g, &s->strategy, epoch, m, &n);
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(m[i].name, name)) return m[i].value;
    return NAN;
}

static void test_skips(void)
{
    Stage s;
    const char *said;
    stage_set(&s, "skips:1");
    GuardState g = guard_new(&perm, s.arch);
    const struct {
        int64_t edges;
        double skips;
    } epoch[] = {{5, 4}, {2, 2}, {0, 0}, {1, 1}, {2, 2}}; /* two too many at first: no good alphas to go back to */
    for (int64_t e = 1; e <= COUNTOF(epoch); e++) {
        stage_alphas(&s, epoch[e - 1].edges, 0.001 * (double)e);
        CHECK(guard_judge(&g, &perm, scratch, s.arch, &s.scene, e, &said));
        CHECK_EQ(metric_of(&g, &s, e, "skips"), epoch[e - 1].skips);
        CHECK(isnan(metric_of(&g, &s, e + 1, "skips"))); /* of no other epoch */
        CHECK_EQ(said != 0, e == COUNTOF(epoch));
        CHECK_EQ(g.fired, e == COUNTOF(epoch));
    }
    CHECK_NEAR(s.arch->raw[0], 0.004, 0);
    CHECK_CONTAINS(said,
                   "skips: 2 skip_connect in the normal cell, more than 1: the search ends with the alphas of epoch 4");
}

static void test_stable(void)
{
    Stage s;
    const char *said;
    stage_set(&s, "stable:2");
    GuardState g = guard_new(&perm, s.arch);
    const int64_t edges[] = {1, 2, 2, 1, 1, 1};
    const double want[] = {0, 0, 1, 0, 1, 2};
    for (int64_t e = 1; e <= COUNTOF(edges); e++) {
        stage_alphas(&s, edges[e - 1], 0.001 * (double)e);
        s.arch->raw[s.arch->edges * s.arch->ops] = (double)(e % 2) - 0.5; /* of a cell that the network has not */
        CHECK(guard_judge(&g, &perm, scratch, s.arch, &s.scene, e, &said));
        CHECK_EQ(metric_of(&g, &s, e, "stable_epochs"), want[e - 1]);
        CHECK_EQ(said != 0, e == COUNTOF(edges));
    }
    CHECK_NEAR(s.arch->raw[0], 0.006, 0); /* as it is */
}

static void test_valley(void)
{
    Stage s;
    const char *said;
    stage_set(&s, "skips,eigenvalue:1.3");
    GuardState g = guard_new(&perm, s.arch);
    for (int64_t e = 1; e <= 9; e++) {
        stage_alphas(&s, 1, 0.001 * (double)e);
        s.bowl.eigen[0] = e <= 7 ? 1 : 3;
        CHECK(guard_judge(&g, &perm, scratch, s.arch, &s.scene, e, &said));
        CHECK_NEAR(metric_of(&g, &s, e, "eigenvalue"), s.bowl.eigen[0], 1e-9);
        CHECK_EQ(g.fired, said ? 2 : 0);
        if (said) break;
    }
    CHECK_EQ(g.judged, 8); /* (3 + 4 · 1) / 5 = 1.4 */
    CHECK_NEAR(s.arch->raw[0], 0.004, 0);
    CHECK_CONTAINS(said, "eigenvalue");
    CHECK_CONTAINS(said, "alphas of epoch 4");
}

static void test_refused(void)
{
    static const struct {
        StrategySettings s;
        const char *why;
    } bad[] = {
        {{.name = "darts1", .guard = "skip"}, "near it: skips"},
        {{.name = "darts1", .guard = "skips:-1"}, "from 0 to 1000"},
        {{.name = "darts1", .guard = "eigenvalue:0.5"}, "from 1 to"},
        {{.name = "darts1", .guard = "skips,stable,skips:3"}, "--guard: skips twice"},
        {{.name = "random", .guard = "skips"}, "the alphas do not learn"},
        {{.name = "gdas", .guard = "eigenvalue"}, "not with --sampling gumbel"},
    };
    for (int i = 0; i < COUNTOF(bad); i++) {
        Strategy s;
        CHECK_CONTAINS(strategy_make(&perm, &bad[i].s, &s), bad[i].why);
    }
}

int main(void)
{
    perm = arena_reserve((ptrdiff_t)1 << 28);
    scratch = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_eigenvalue);
    CHECK_RUN(test_back);
    CHECK_RUN(test_skips);
    CHECK_RUN(test_stable);
    CHECK_RUN(test_valley);
    CHECK_RUN(test_refused);
    return check_done("guard");
}
