/* Problems, filter, compliance and its gradient: against figures of an independent program (structure_figures.h), closed
 * forms and finite differences. NAS_TEST_LONG=1: all 116 problems. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "structure/compliance.h"
#include "structure/filter.h"
#include "structure/optimise.h"
#include "structure_figures.h"
#include "train/design.h"

static Arena arena; /* each case takes a copy */

static bool is_long(void)
{
    return getenv("NAS_TEST_LONG") != 0;
}

static Problem problem(Arena *a, const char *name)
{
    Problem p = {0};
    const char *why = problem_find(a, name, &p);
    CHECK_MSG(!why, "%s: %s", name, why);
    return p;
}

static Compliance *open(Arena *a, const Problem *p)
{
    const char *why;
    Compliance *c = compliance_open(a, p, &why);
    CHECK_MSG(c, "%s: %s", p->name, why);
    return c;
}

static double *constant(Arena *a, const Problem *p, double v)
{
    double *x = NEW(a, double, p->W * p->H);
    for (int64_t i = 0; i < p->W * p->H; i++) x[i] = v;
    return x;
}

/* ---- the table ---- */

static void check_figures(Arena a, int64_t i)
{
    const Problem p = problem(&a, structure_figures[i].name);
    int64_t fixed = 0;
    double sum[2] = {0};
    for (int64_t d = 0; d < problem_dofs(&p); d++) {
        fixed += p.fixed[d];
        if (!p.fixed[d]) sum[d % 2] += p.load[d];
    }
    CHECK_EQ(fixed, structure_figures[i].fixed);
    CHECK_EQ(problem_designable(&p), structure_figures[i].designable);
    const char *expected[2] = {structure_figures[i].fx, structure_figures[i].fy};
    for (int axis = 0; axis < 2; axis++) {
        char text[32];
        snprintf(text, sizeof text, "%.6g", fabs(sum[axis]) < 1e-12 ? 0 : sum[axis]);
        CHECK_STR(text, expected[axis]);
    }
    if (p.W * p.H > 4096 && !is_long()) return;
    Compliance *c = open(&a, &p);
    /* nine digits; a matrix of contrast 1e9 leaves some 1e-10 of rounding, which may tip the last one */
    const double C = compliance_density(c, constant(&a, &p, p.density), 0), C0 = atof(structure_figures[i].C0);
    const double unit = pow(10, floor(log10(C0)) - 8);
    CHECK_MSG(fabs(C - C0) <= 0.5 * unit + 5e-10 * C0, "%s: C0 is %.12g, expected %.9g", p.name, C, C0);
    compliance_close(c);
}

static void test_table(void)
{
    CHECK_EQ(COUNTOF(structure_figures), PROBLEM_COUNT);
    for (int64_t i = 0; i < PROBLEM_COUNT; i++) {
        Arena a = arena;
        CHECK_STR(problem_name(&a, &problem_table[i]), structure_figures[i].name);
        check_figures(a, i);
    }
}

/* ---- filter and sigmoid ---- */

/* Rows of three by columns of four; two cells at the lower left may be empty. */
static Problem little(Arena *a, bool hole)
{
    Problem p = {.name = "little", .family = "little", .W = 4, .H = 3, .density = 0.5};
    uint8_t *mask = NEW(a, uint8_t, 12);
    memset(mask, 1, 12);
    for (int r = 1; r < 3 && hole; r++) mask[4 * r] = mask[4 * r + 1] = 0;
    p.mask = mask;
    return p;
}

static void check_row(const double *got, const double *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) CHECK_NEAR(got[i], want[i], 1e-10);
}

static void test_filter(void)
{
    Arena a = arena;
    Problem p = little(&a, false);
    DensityFilter f = filter_make(&a, &p);
    double x[12] = {1}, y[12];
    filter_apply(&f, x, y);
    check_row(y, (double[]){0.4361302096, 0.1620332483, 0, 0, 0.1620332483, 0.0702116989, 0, 0, 0, 0, 0, 0}, 12);
    filter_transpose(&f, x, y);
    check_row(y, (double[]){0.4361302096, 0.2180651048, 0, 0, 0.2180651048, 0.1277395809, 0, 0}, 8);
    p = little(&a, true);
    f = filter_make(&a, &p);
    for (int i = 0; i < 12; i++) x[i] = (i + 1) / 12.0;
    filter_apply(&f, x, y);
    check_row(y,
              (double[]){0.1111111111, 0.2198914920, 0.3533714808, 0.4197845048, 0, 0, 0.5739934014, 0.6373444161, 0, 0,
                         0.8302154952, 0.8559147143},
              12);
    filter_transpose(&f, x, y);
    check_row(y,
              (double[]){0.0918997397, 0.1957909873, 0.3481490171, 0.3487237433, 0, 0, 0.7169322746, 0.7364357793, 0, 0,
                         0.7674546847, 0.7946137740},
              12);
    filter_volume_gradient(&f, y);
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += y[i];
    CHECK_NEAR(sum, 1, 1e-14);
}

static void test_sigmoid(void)
{
    static const struct {
        int64_t n;
        double z[7], mean, b, x[7], gradient[7];
        int64_t from; /* first gradient that is known */
    } cases[] = {
        {4,
         {-1, 0, 2, 5},
         0.5,
         -1.198646094260,
         {0.0998721362, 0.2317161564, 0.6902640202, 0.9781476873},
         {-0.1196764790, -0.0589707249, 0.1429780663, 0.0356691376},
         0},
        {4,
         {-1, 0, 2, 5},
         0.3,
         -3.041734347458,
         {0.0172637076, 0.0455756697, 0.2608154891, 0.8763451337},
         {-0.0353826603, -0.0472195789, -0.0164921502, 0.0990943894},
         0},
        {3, {0.1, 0.1, 0.1}, 0.12, -2.092430164690, {0.12, 0.12, 0.12}, {-0.1056, 0, 0.1056}, 0},
        {7,
         {-30, -20, -10, 0, 10, 20, 30},
         0.25,
         -18.902032710158,
         {0, 0, 2.80553e-13, 6.17947382e-9, 1.3609344496e-4, 0.7498790432, 0.9999848572},
         {0, 0, 0, 0, -1.3598724899e-4, 1.2084723283e-4, 1.5152371972e-5},
         4},
    };
    static const uint8_t mask[7] = {1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < COUNTOF(cases); i++) {
        const DensityFilter f = {.W = cases[i].n, .H = 1, .count = cases[i].n, .mask = mask};
        double x[7], g[7] = {1, 2, 3, 4, 5, 6, 7};
        const double b = filter_sigmoid(&f, cases[i].z, cases[i].mean, x);
        CHECK_NEAR(b, cases[i].b, 2e-12);
        check_row(x, cases[i].x, cases[i].n);
        filter_sigmoid_gradient(&f, cases[i].z, b, g, g);
        check_row(g + cases[i].from, cases[i].gradient + cases[i].from, cases[i].n - cases[i].from);
    }
    const DensityFilter f = {.W = 2, .H = 1, .count = 2, .mask = mask};
    double x[2], g[2] = {1, 2};
    CHECK(isnan(filter_sigmoid(&f, (double[]){0, NAN}, 0.5, x)));
    const double far[2] = {-4000, 4000}; /* every slope underflows */
    filter_sigmoid_gradient(&f, far, filter_sigmoid(&f, far, 0.5, x), g, g);
    CHECK(g[0] == 0 && g[1] == 0);
}

/* ---- fields that are not uniform ---- */

static double *field(Arena *a, const Problem *p)
{
    double *x = NEW(a, double, p->W * p->H);
    for (int64_t i = 0; i < p->W * p->H; i++)
        if (p->mask[i]) x[i] = 0.2 + 0.06 * (double)((7 * (i % p->W) + 13 * (i / p->W)) % 11);
    return x;
}

static void check_places(const Problem *p, const double *g, const double *at)
{
    const int64_t place[3] = {p->W - 1, p->H / 4 * p->W + p->W - 2, 5 * p->W + 7};
    for (int i = 0; i < 3; i++) CHECK_CLOSE(g[place[i]], at[i], 2e-11, 2e-7);
}

static void test_fields(void)
{
    for (int64_t i = 0; i < COUNTOF(field_figures); i++) {
        Arena a = arena;
        const Problem p = problem(&a, field_figures[i].name);
        Compliance *c = open(&a, &p);
        double *x = field(&a, &p), *g = NEW(&a, double, p.W *p.H), volume = 0, sum = 0;
        CHECK_CLOSE(compliance_density(c, x, g), field_figures[i].C, 0, 1e-9);
        check_places(&p, g, field_figures[i].at);
        for (int64_t k = 0; k < p.W * p.H; k++) sum += g[k], volume += compliance_filtered(c)[k];
        CHECK_CLOSE(volume / (double)problem_designable(&p), field_figures[i].volume, 0, 1e-9);
        CHECK_CLOSE(sum, field_figures[i].sum, 0, 1e-8);
        compliance_close(c);
    }
}

/* Along d = 1 or -1, against central differences of two steps, extrapolated. */
static void check_direction(Arena a, const Problem *p, Compliance *c, const double *at, const double *g,
                            double (*value)(Compliance *c, const double *x, double *gradient), double tolerance)
{
    const double step[2] = {2e-3, 1e-3};
    double slope = 0, difference[2], *y = NEW(&a, double, p->W * p->H);
    for (int s = 0; s < 2; s++) {
        double side[2];
        for (int minus = 0; minus < 2; minus++) {
            slope = 0;
            for (int64_t k = 0; k < p->W * p->H; k++) {
                const double d = !p->mask[k] ? 0 : (3 * (k % p->W) + 5 * (k / p->W)) % 7 < 3 ? 1 : -1;
                y[k] = at[k] + (minus ? -step[s] : step[s]) * d;
                slope += g[k] * d;
            }
            side[minus] = value(c, y, 0);
        }
        difference[s] = (side[0] - side[1]) / (2 * step[s]);
    }
    CHECK_CLOSE(slope, (4 * difference[1] - difference[0]) / 3, 1e-7, tolerance);
}

static void test_logits(void)
{
    for (int64_t i = 0; i < COUNTOF(logit_figures); i++) {
        Arena a = arena;
        const Problem p = problem(&a, logit_figures[i].name);
        Compliance *c = open(&a, &p);
        double *x = field(&a, &p), *z = field(&a, &p), *g = NEW(&a, double, p.W *p.H), norm = 0;
        for (int64_t k = 0; k < p.W * p.H; k++) z[k] = 6 * (x[k] - 0.5);
        CHECK_NEAR(filter_sigmoid(compliance_filter(c), z, p.density, g), logit_figures[i].b, 2e-9);
        CHECK_CLOSE(compliance_logits(c, z, g), logit_figures[i].C, 0, 1e-9);
        check_places(&p, g, logit_figures[i].at);
        for (int64_t k = 0; k < p.W * p.H; k++) norm += g[k] * g[k];
        CHECK_CLOSE(sqrt(norm), logit_figures[i].norm, 0, 1e-8);
        if (p.W * p.H <= 2048) {
            check_direction(a, &p, c, z, g, compliance_logits, 1e-6);
            compliance_density(c, x, g);
            check_direction(a, &p, c, x, g, compliance_density, 1e-7);
        }
        compliance_close(c);
    }
}

/* Element by element, on a grid that is not square and with a hole. */
static void test_gradient_elements(void)
{
    Arena a = arena;
    const Problem p = problem(&a, "thin_support_bridge_8x8_0.3");
    Compliance *c = open(&a, &p);
    double *x = field(&a, &p), *g = NEW(&a, double, 64);
    compliance_density(c, x, g);
    for (int64_t k = 0; k < 64; k++) {
        const double at = x[k], h = 1e-5;
        if (!p.mask[k]) {
            CHECK(g[k] == 0);
            continue;
        }
        x[k] = at + h;
        double d = compliance_density(c, x, 0);
        x[k] = at - h;
        d = (d - compliance_density(c, x, 0)) / (2 * h);
        x[k] = at;
        CHECK_CLOSE(g[k], d, 1e-4, 1e-4);
    }
    compliance_close(c);
}

static void test_small_meshes(void)
{
    Arena a = arena;
    const Problem p = problem(&a, "mbb_beam_3x2_0.5");
    Compliance *c = open(&a, &p);
    double g[6];
    CHECK_CLOSE(compliance_density(c, constant(&a, &p, 0.5), g), 145.80726123, 0, 1e-10);
    const double expected[6] = {-198.26988877, -163.64816218, -68.29896303, -185.13223825, -169.08345279, -90.41085535};
    for (int i = 0; i < 6; i++) CHECK_CLOSE(g[i], expected[i], 0, 1e-9);
    const double *u = compliance_displacements(c);
    CHECK_CLOSE(u[2 * problem_node(&p, 0, 0) + 1], -145.80726123, 0, 1e-10);
    CHECK_CLOSE(u[2 * problem_node(&p, 3, 2)], -53.19064637, 0, 1e-9);
    compliance_close(c);
}

/* ---- optimisers ---- */

static DesignRun optimise(Arena *a, const char *name, const char *method, int64_t steps)
{
    const Problem p = problem(a, name);
    Compliance *c = open(a, &p);
    DesignRun run = {.curve = NEW(a, double, steps + 1), .x = NEW(a, double, p.W *p.H)};
    const char *why = design_find(method)->run(a, *a, c, steps, &run);
    CHECK_MSG(!why, "%s of %s: %s", method, name, why);
    compliance_close(c);
    return run;
}

static void check_curve(const char *name, const char *method, const int64_t *step, const double *C, int64_t n,
                        double near)
{
    Arena a = arena;
    const DesignRun run = optimise(&a, name, method, step[n - 1]);
    CHECK_EQ(run.evaluations, step[n - 1] + 1);
    for (int64_t i = 0; i < n; i++)
        CHECK_MSG(fabs(run.curve[step[i]] / C[i] - 1) <= near, "%s of %s: step %lld is %.9g, expected %.9g", method,
                  name, (long long)step[i], run.curve[step[i]], C[i]);
}
#define CURVE(name, method, near, steps, ...)                                                                          \
    check_curve(name, method, (const int64_t[])steps, (const double[]){__VA_ARGS__},                                   \
                COUNTOF(((const double[]){__VA_ARGS__})), near)
#define STEPS(...)                                                                                                     \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void test_optimality_criteria(void)
{
    CURVE("mbb_beam_24x16_0.5", "oc", 1e-9, STEPS(0, 1, 2, 10, 50), 216.948642516, 134.4512366, 99.93416996, 61.4444212,
          54.14647868);
    CURVE("mbb_beam_60x20_0.5", "oc", 1e-9, STEPS(0, 1, 10, 100), 1007.0221007, 577.8355484, 286.2885471, 219.9699667);
    CURVE("hoop_32x64_0.25", "oc", 1e-6, STEPS(0, 1, 2, 5, 10), 8.931135, 5.750669, 4.110538, 2.85051, 1.692235);
}

static void test_moving_asymptotes(void)
{
    CURVE("hoop_32x64_0.25", "mma", 1e-7, STEPS(0, 1, 2, 3, 5, 10), 8.9311349, 8.9279243, 8.8931831, 8.4861759,
          6.2624203, 2.6373414);
    CURVE("multistory_building_32x64_0.5", "mma", 1e-7, STEPS(0, 1, 2, 3, 5, 10), 127.40567, 127.38251, 127.13083,
          126.69310, 123.17366, 95.71240);
}

static void test_pixels(void)
{
    CURVE("hoop_32x64_0.25", "pixels", 1e-7, STEPS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 8.9311349, 8.6135841, 7.5817739,
          5.2743354, 4.4049751, 3.6756026, 2.9220916, 2.4030521, 2.0841548, 1.9235529, 1.6245167);
    CURVE("pure_bending_moment_32x64_0.15", "pixels", 1e-7, STEPS(0, 1, 2, 3, 4), 1438.0635, 975.60786, 651.89485,
          451.24696, 311.49647);
}

static void test_jobs(void)
{
    double best[2];
    for (int threads = 1; threads <= 2; threads++) {
        Arena a = arena;
        DesignJob job[4] = {{.problem = "mbb_beam_24x16_0.5", .method = design_find("oc"), .steps = 10},
                            {.problem = "mbb_beam_24x16_0.5", .method = design_find("mma"), .steps = 10},
                            {.problem = "mbb_beam_24x16_0.5", .method = design_find("pixels"), .steps = 10},
                            {.problem = "nothing", .method = design_find("oc"), .steps = 10}};
        Pool *pool = pool_open(threads);
        design_run(&a, pool, job, 4, 0);
        pool_close(pool);
        CHECK_CLOSE(job[0].best, 61.4444212, 0, 1e-8);
        CHECK_CONTAINS(job[3].why, "of no known family");
        best[threads - 1] = job[0].best + job[1].best + job[2].best;
    }
    CHECK(best[0] == best[1]);
    CHECK(!design_find("adam"));
}

/* ---- what is refused ---- */

static void test_bad_problems(void)
{
    static const struct {
        const char *name, *why;
    } cases[] = {{"mbb_beam_1x1_0.5", "one element"},
                 {"mbb_beam_8x8_1", "between 0 and 1"},
                 {"mbb_beam_8x8_0", "between 0 and 1"},
                 {"mbb_beam_8x8_nan", "between 0 and 1"},
                 {"mbb_beam_0x8_0.5", "sides from 1"},
                 {"mbb_beam_9999999999999x8_0.5", "sides from 1"},
                 {"mbb_beam_8x8", "expected"},
                 {"mbb_8x8_0.5", "no known family"},
                 {"hoop_32x32_0.2", "outside the grid"},
                 {"ground_structure_8x64_0.5", "outside the grid"},
                 {"l_shape_0.2_2x2_0.5", "no element may be filled"},
                 {"mbb_beam_8x8_0.5x", "expected"}};
    for (int i = 0; i < COUNTOF(cases); i++) {
        Arena a = arena;
        Problem p;
        CHECK_CONTAINS(problem_find(&a, cases[i].name, &p), cases[i].why);
    }
}

static void test_bad_supports(void)
{
    Arena a = arena;
    Problem p = problem(&a, "mbb_beam_4x4_0.5");
    uint8_t *fixed = (uint8_t *)p.fixed;
    double *load = (double *)p.load;
    const char *why;
    memset(fixed, 0, (size_t)problem_dofs(&p));
    CHECK_CONTAINS(problem_check(&a, &p), "no supports");
    fixed[0] = fixed[1] = 1; /* may turn about its corner */
    CHECK(!compliance_open(&a, &p, &why));
    CHECK_CONTAINS(why, "singular");
    fixed[3] = 1; /* held along y on a line along y: still turns */
    CHECK_CONTAINS(problem_check(&a, &p), "singular");
    fixed[2] = 1;
    CHECK(problem_check(&a, &p) == 0 || strstr(problem_check(&a, &p), "no load"));
    memset(load, 0, (size_t)problem_dofs(&p) * sizeof *load);
    CHECK_CONTAINS(problem_check(&a, &p), "no load");
    load[20] = INFINITY;
    CHECK_CONTAINS(problem_check(&a, &p), "a number expected");
}

static void test_bad_designs(void)
{
    Arena a = arena;
    const Problem p = problem(&a, "mbb_beam_4x4_0.5");
    Compliance *c = open(&a, &p);
    double *x = constant(&a, &p, 0.5), g[16];
    x[3] = 1.5;
    CHECK(isnan(compliance_density(c, x, g)));
    CHECK_CONTAINS(compliance_why(c), "element 3 has density 1.5");
    x[3] = NAN;
    CHECK(isnan(compliance_density(c, x, g)));
    CHECK(isnan(compliance_logits(c, x, g)));
    CHECK_CONTAINS(compliance_why(c), "logit is not finite");
    x[3] = 0.5;
    CHECK(compliance_density(c, x, g) > 0); /* it goes on */
    compliance_close(c);
    Problem huge = p;
    double *load = NEW(&a, double, problem_dofs(&p));
    for (int64_t i = 0; i < problem_dofs(&p); i++) load[i] = 1e300 * p.load[i];
    huge.load = load;
    c = open(&a, &huge);
    CHECK(isnan(compliance_density(c, x, g)));
    CHECK_CONTAINS(compliance_why(c), "compliance is not finite");
    compliance_close(c);
}

int main(void)
{
    arena = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_table);
    CHECK_RUN(test_filter);
    CHECK_RUN(test_sigmoid);
    CHECK_RUN(test_small_meshes);
    CHECK_RUN(test_fields);
    CHECK_RUN(test_logits);
    CHECK_RUN(test_gradient_elements);
    CHECK_RUN(test_optimality_criteria);
    CHECK_RUN(test_moving_asymptotes);
    CHECK_RUN(test_pixels);
    CHECK_RUN(test_jobs);
    CHECK_RUN(test_bad_problems);
    CHECK_RUN(test_bad_supports);
    CHECK_RUN(test_bad_designs);
    return check_done("structure");
}
