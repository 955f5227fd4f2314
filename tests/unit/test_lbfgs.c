/* test_lbfgs: L-BFGS on functions whose minimum is known; its points against SciPy's; its state saved between any two
 * evaluations. */
#include "optim/lbfgs.h"
#include "tests/unit/oracle.h"

static Arena memory;

typedef double Function(int64_t n, const double *x, double *g);

/* Rosenbrock's valley, in pairs. */
static double rosenbrock(int64_t n, const double *x, double *g)
{
    double f = 0;
    for (int64_t i = 0; i < n; i += 2) {
        double a = 1 - x[i], b = x[i + 1] - x[i] * x[i];
        f += a * a + 100 * b * b;
        g[i] = -2 * a - 400 * x[i] * b;
        g[i + 1] = 200 * b;
    }
    return f;
}

/* A quadratic form of condition 5e4, its axes turned in pairs. */
static double quadratic(int64_t n, const double *x, double *g)
{
    double f = 0;
    memset(g, 0, (size_t)n * sizeof *g);
    for (int64_t i = 0; i < n; i++) {
        int64_t j = (i + 1) % n;
        double weight = pow(10, 3.0 * (double)i / (double)(n - 1)), u = 0.6 * x[i] + 0.8 * x[j] - 1;
        f += weight * u * u / 2;
        g[i] += 0.6 * weight * u;
        g[j] += 0.8 * weight * u;
    }
    return f;
}

/* Brown's badly scaled function (Moré, Garbow, Hillstrom 1981, number 4): minimum 0 at (1e6, 2e-6). */
static double brown(int64_t n, const double *x, double *g)
{
    double a = x[0] - 1e6, b = x[1] - 2e-6, c = x[0] * x[1] - 2;
    g[0] = 2 * a + 2 * c * x[1];
    g[1] = 2 * b + 2 * c * x[0];
    return n ? a * a + b * b + c * c : 0;
}

static double absolute(int64_t n, const double *x, double *g)
{
    double f = 0;
    for (int64_t i = 0; i < n; i++) {
        f += fabs(x[i]) * (double)(i + 1);
        g[i] = (double)(i + 1) * (x[i] > 0 ? 1 : -1);
    }
    return f;
}

/* Its gradient has the wrong sign. */
static double wrong(int64_t n, const double *x, double *g)
{
    double f = absolute(n, x, g);
    for (int64_t i = 0; i < n; i++) g[i] = -g[i];
    return f;
}

/* A wall on the way: nothing is defined beyond x = 2. */
static double wall(int64_t n, const double *x, double *g)
{
    double f = 0;
    for (int64_t i = 0; i < n; i++) {
        f += (x[i] - 1.5) * (x[i] - 1.5);
        g[i] = 2 * (x[i] - 1.5);
    }
    return x[0] > 2 ? NAN : f;
}

/* Of its gradient one number in the middle is none. */
static double holed(int64_t n, const double *x, double *g)
{
    double f = wall(n, x, g);
    g[1] = NAN;
    return f;
}

static Lbfgs *start(Arena *a, int64_t n, double x0, double x1, LbfgsSettings s)
{
    Lbfgs *l = lbfgs_open(a, n, s);
    for (int64_t i = 0; i < n; i++) l->x[i] = i % 2 ? x1 : x0;
    return l;
}

/* Runs to the end, or `most` evaluations; values[i] (may be 0) of evaluation i. */
static LbfgsStatus minimise(Lbfgs *l, Function *function, int64_t most, double *values, double *last)
{
    LbfgsStatus status = LBFGS_TRIAL;
    for (int64_t i = 0; i < most && status <= LBFGS_NEW; i++) {
        *last = function(l->n, l->x, l->g);
        if (values) values[i] = *last;
        status = lbfgs_tell(l, *last);
    }
    return status;
}

static void test_minima(void)
{
    static const struct {
        const char *name;
        Function *function;
        int64_t n;
        double x0, x1, f, tolerance;
        int64_t most;
    } cases[] = {{"rosenbrock 2", rosenbrock, 2, -1.2, 1, 0, 1e-20, 80},
                 {"rosenbrock 100", rosenbrock, 100, -1.2, 1, 0, 1e-18, 150},
                 {"quadratic 7", quadratic, 7, 3, -2, 0, 1e-12, 200},
                 {"quadratic 51", quadratic, 51, 3, -2, 0, 1e-12, 1500},
                 {"brown", brown, 2, 1, 1, 0, 1e-9, 200}};
    for (int i = 0; i < COUNTOF(cases); i++)
        for (int m = 5; m <= 20; m += 5) {
            Arena a = memory;
            LbfgsSettings s = lbfgs_published;
            double f = NAN;
            s.memory = m;
            Lbfgs *l = start(&a, cases[i].n, cases[i].x0, cases[i].x1, s);
            minimise(l, cases[i].function, cases[i].most, 0, &f);
            CHECK_MSG(fabs(f - cases[i].f) <= cases[i].tolerance, "%s, %d pairs: %g after %lld evaluations",
                      cases[i].name, m, f, (long long)lbfgs_evaluations(l));
        }
}

/* Evaluation by evaluation, beside SciPy's L-BFGS-B: tests/golden/oracle_lbfgs.txt, a function and its values a line. */
static void test_as_scipy(void)
{
    static const struct {
        const char *name;
        Function *function;
        int64_t n;
        double x0, x1;
    } cases[] = {{"rosenbrock", rosenbrock, 2, -1.2, 1},
                 {"valleys", rosenbrock, 100, -1.2, 1},
                 {"quadratic", quadratic, 51, 3, -2},
                 {"brown", brown, 2, 1, 1},
                 {"absolute", absolute, 3, 1.3, -0.7}};
    FILE *file = open_golden("oracle_lbfgs.txt");
    if (!file) return;
    for (int i = 0; i < COUNTOF(cases); i++) {
        Arena a = memory;
        char name[32] = "";
        double want, largest = 0;
        LbfgsStatus status = LBFGS_TRIAL;
        Lbfgs *l = start(&a, cases[i].n, cases[i].x0, cases[i].x1, lbfgs_published);
        CHECK(fscanf(file, "%31s", name) == 1 && !strcmp(name, cases[i].name));
        for (int k = 0; fscanf(file, "%lf", &want) == 1; k++) {
            if (!CHECK_MSG(status <= LBFGS_NEW, "%s ended before evaluation %d", name, k)) break;
            double f = cases[i].function(l->n, l->x, l->g);
            if (!k) largest = fabs(f);
            if (!CHECK_MSG(fabs(f - want) <= 1e-5 * fabs(want) + 1e-12 * largest,
                           "%s: evaluation %d: %.12g, SciPy %.12g", name, k, f, want))
                break;
            status = lbfgs_tell(l, f);
        }
    }
    fclose(file);
}

/* The first step has length 1; the sweep by sums is as good as the plain recursion. */
static void test_direction(void)
{
    enum { N = 1031 };
    Arena a = memory;
    Lbfgs *l = start(&a, N - N % 2, -1.2, 1, lbfgs_published);
    double before[N], f = rosenbrock(l->n, l->x, l->g), length = 0;
    memcpy(before, l->x, (size_t)l->n * sizeof *before);
    CHECK_EQ(lbfgs_tell(l, f), LBFGS_NEW);
    for (int64_t i = 0; i < l->n; i++) length += (l->x[i] - before[i]) * (l->x[i] - before[i]);
    CHECK_NEAR(sqrt(length), 1, 1e-12);
    CHECK_EQ(lbfgs_iterations(l), 0);
    CHECK_EQ(minimise(l, rosenbrock, 500, 0, &f), LBFGS_CONVERGED);
    CHECK_NEAR(f, 0, 1e-15);
}

/* Saved after every evaluation and gone on with elsewhere: the same bits. */
static void test_state(void)
{
    Arena a = memory;
    double f;
    Lbfgs *whole = start(&a, 20, -1.2, 1, lbfgs_published), *parts = start(&a, 20, -1.2, 1, lbfgs_published);
    CHECK_EQ(whole->state_count, lbfgs_state_count(20, &lbfgs_published));
    LbfgsStatus end = minimise(whole, rosenbrock, 1000, 0, &f), status = LBFGS_TRIAL;
    while (status <= LBFGS_NEW) {
        Lbfgs *next = lbfgs_open(&a, 20, lbfgs_published);
        memcpy(next->state, parts->state, (size_t)parts->state_count * sizeof(double));
        parts = next;
        status = lbfgs_tell(parts, rosenbrock(20, parts->x, parts->g));
    }
    CHECK_EQ(status, end);
    CHECK_EQ(lbfgs_evaluations(parts), lbfgs_evaluations(whole));
    CHECK(!memcmp(parts->state, whole->state, (size_t)whole->state_count * sizeof(double)));
}

static void test_ends(void)
{
    Arena a = memory;
    double f;
    Lbfgs *l = start(&a, 4, 1, 1, lbfgs_published); /* at the minimum */
    CHECK_EQ(minimise(l, rosenbrock, 10, 0, &f), LBFGS_CONVERGED);
    CHECK_EQ(lbfgs_evaluations(l), 1);
    l = start(&a, 2, 3, 0, lbfgs_published); /* not defined where it starts */
    CHECK_EQ(minimise(l, wall, 10, 0, &f), LBFGS_STUCK);
    l = start(&a, 3, 1, 0, lbfgs_published);
    CHECK_EQ(minimise(l, holed, 10, 0, &f), LBFGS_STUCK);
    l = start(&a, 3, 1, 1, lbfgs_published); /* a kink, where no gradient vanishes */
    CHECK(minimise(l, absolute, 5000, 0, &f) >= LBFGS_CONVERGED);
    CHECK_NEAR(f, 0, 1e-9);
    l = start(&a, 3, 1, 1, lbfgs_published); /* no way down where the gradient says */
    CHECK_EQ(minimise(l, wrong, 100, 0, &f), LBFGS_STUCK);
    CHECK_EQ(lbfgs_iterations(l), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(l->x[i], 1);
    l = start(&a, 2, -3, 0, lbfgs_published); /* beyond the wall nothing is lost */
    CHECK(minimise(l, wall, 200, 0, &f) >= LBFGS_CONVERGED);
    CHECK(l->x[0] <= 2 && isfinite(l->x[0]) && isfinite(l->x[1]));
    LbfgsSettings one = lbfgs_published;
    one.memory = 1;
    l = start(&a, 2, -1.2, 1, one);
    minimise(l, rosenbrock, 400, 0, &f);
    CHECK_NEAR(f, 0, 1e-10);
    CHECK_EQ(lbfgs_state_count(INT64_MAX / 2, &lbfgs_published), -1);
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_RUN(test_minima);
    CHECK_RUN(test_as_scipy);
    CHECK_RUN(test_direction);
    CHECK_RUN(test_state);
    CHECK_RUN(test_ends);
    return check_done("lbfgs");
}
