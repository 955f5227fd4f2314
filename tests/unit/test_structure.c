/* Problems, filter, compliance and its gradient: against figures of an independent program (structure_figures.h), closed
 * forms and finite differences. NAS_TEST_LONG=1: all 116 problems. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check.h"
#include "structure/compliance.h"
#include "structure/filter.h"
#include "structure_figures.h"

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
    char text[32];
    double began = clock_wall();
    snprintf(text, sizeof text, "%.9g", compliance_density(c, constant(&a, &p, p.density), 0));
    if (is_long()) printf("%-45s %9.3f s %12lld\n", p.name, clock_wall() - began, (long long)compliance_factor(c));
    CHECK_MSG(!strcmp(text, structure_figures[i].C0), "%s: C0 is %s, expected %s", p.name, text, structure_figures[i].C0);
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

int main(void)
{
    arena = arena_reserve((ptrdiff_t)1 << 30);
    CHECK_RUN(test_table);
    return check_done("structure");
}
