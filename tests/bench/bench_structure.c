/* bench_structure: optimisers on the published problems, side by side with the published figures; and the time of a
 * solution.
 *
 *   bench_structure table [ELEMENTS [STEPS [METHOD ...]]]   the 58 published rows of at most ELEMENTS elements (4096)
 *   bench_structure run METHOD PROBLEM STEPS SEEDS           one method on one problem from seeds 0, 1, …; the median
 *   bench_structure solve PROBLEM FILE                       time of assembly, factorisation and solution; and the stiffness
 *                                                            matrix of the uniform design for bench-structure to solve
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "train/design.h"

enum { MAX_JOBS = PUBLISHED_COUNT * 3, ROUNDS = 9 };

static const struct {
    const char *name;
    PublishedMethod published;
} methods[] = {{"oc", PUBLISHED_OC}, {"mma", PUBLISHED_MMA}, {"pixels", PUBLISHED_PIXELS}, {"cnn", PUBLISHED_CNN}};

static double published(const DesignJob *j)
{
    for (int i = 0; i < COUNTOF(methods); i++)
        if (!strcmp(methods[i].name, j->method->name)) return published_find(j->problem)->typical[methods[i].published];
    return NAN;
}

static int print_table(Arena *perm, int64_t elements, int64_t steps, char **wanted)
{
    static DesignJob job[MAX_JOBS];
    int64_t count = 0;
    static char *all[] = {"oc", "mma", "pixels", 0};
    if (!*wanted) wanted = all;
    for (char **m = wanted; *m; m++) {
        if (!design_find(*m)) {
            fprintf(stderr, "bench_structure: %s: no such method: oc, mma, pixels\n", *m);
            return 2;
        }
        for (int64_t i = 0; i < PUBLISHED_COUNT; i++) {
            Arena once = *perm;
            Problem p;
            const char *name = published_table[i].name;
            if (problem_find(&once, name, &p) || p.W * p.H > elements || count == MAX_JOBS) continue;
            job[count++] = (DesignJob){.problem = name, .method = design_find(*m), .steps = steps};
        }
    }
    Pool *pool = pool_open(pool_cpus());
    if (!pool) return 1;
    design_run(perm, pool, job, count, 0);
    pool_close(pool);
    printf("%-38s %-7s %12s %12s %9s %6s %8s\n", "problem", "method", "ours", "published", "diff", "evals", "seconds");
    for (int64_t i = 0, near = 0, of = 0; i < count; i++) {
        const DesignJob *j = &job[i];
        const double diff = j->best / published(j) - 1;
        if (j->why)
            printf("%-38s %-7s failed: %s\n", j->problem, j->method->name, j->why);
        else
            printf("%-38s %-7s %12.6g %12.6g %+8.3f%% %6lld %8.2f\n", j->problem, j->method->name, j->best,
                   published(j), 100 * diff, (long long)j->evaluations, j->seconds);
        of++;
        near += !j->why && fabs(diff) <= 0.01;
        if (i + 1 < count && job[i + 1].method == j->method) continue;
        printf("%s: %lld of %lld within 1 %% of the published figure\n\n", j->method->name, (long long)near,
               (long long)of);
        near = of = 0;
    }
    return 0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int print_runs(Arena *perm, const char *method, const char *problem, int64_t steps, int64_t seeds)
{
    static DesignJob job[MAX_JOBS];
    double best[MAX_JOBS];
    Pool *pool = pool_open(pool_cpus());
    if (!pool || !design_find(method) || seeds < 1 || seeds > MAX_JOBS) return 2;
    for (int64_t i = 0; i < seeds; i++)
        job[i] = (DesignJob){.problem = problem, .method = design_find(method), .steps = steps, .seed = (uint64_t)i};
    design_run(perm, pool, job, seeds, 0);
    pool_close(pool);
    for (int64_t i = 0; i < seeds; i++) {
        if (job[i].why) {
            fprintf(stderr, "bench_structure: %s: %s\n", problem, job[i].why);
            return 1;
        }
        printf("%s %s seed %lld: %.6g after %lld evaluations, %.1f s\n", problem, method, (long long)i, job[i].best,
               (long long)job[i].evaluations, job[i].seconds);
        best[i] = job[i].best;
    }
    qsort(best, (size_t)seeds, sizeof *best, by_value);
    const double median = (best[(seeds - 1) / 2] + best[seeds / 2]) / 2;
    printf("median %.6g", median);
    const PublishedRow *row = published_find(problem);
    if (row) printf(", published %.6g (%+.2f %%)", published(&job[0]), 100 * (median / published(&job[0]) - 1));
    printf("\n");
    return 0;
}

/* The lower triangle by columns: "unknowns entries", then start, rows, values, right side as raw bytes. */
static int time_solution(Arena *perm, const char *name, const char *path)
{
    Problem p;
    const char *why = problem_find(perm, name, &p);
    Compliance *c = why ? 0 : compliance_open(perm, &p, &why);
    if (!c) {
        fprintf(stderr, "bench_structure: %s\n", why);
        return 1;
    }
    double *x = NEW(perm, double, p.W *p.H), least = INFINITY;
    for (int64_t i = 0; i < p.W * p.H; i++) x[i] = p.density;
    for (int i = 0; i < ROUNDS; i++) {
        const double began = clock_cpu();
        compliance_density(c, x, 0);
        least = fmin(least, clock_cpu() - began);
    }
    const bool written = compliance_save(c, path);
    compliance_close(c);
    if (!written) fprintf(stderr, "bench_structure: %s: not written\n", path);
    printf("%.6f\n", least);
    return !written;
}

int main(int argc, char **argv)
{
    Arena perm = arena_reserve((ptrdiff_t)1 << 32);
    if (argc > 1 && !strcmp(argv[1], "table"))
        return print_table(&perm, argc > 2 ? atoll(argv[2]) : 4096, argc > 3 ? atoll(argv[3]) : 1000,
                           argc > 4 ? argv + 4 : argv + argc);
    if (argc == 6 && !strcmp(argv[1], "run"))
        return print_runs(&perm, argv[2], argv[3], atoll(argv[4]), atoll(argv[5]));
    if (argc == 4 && !strcmp(argv[1], "solve")) return time_solution(&perm, argv[2], argv[3]);
    fprintf(
        stderr,
        "usage: bench_structure table [ELEMENTS [STEPS [METHOD ...]]] | run METHOD PROBLEM STEPS SEEDS | solve PROBLEM FILE\n");
    return 2;
}
