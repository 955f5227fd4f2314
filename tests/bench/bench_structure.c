/* bench_structure: optimisers on the published problems, side by side with the published figures; and the time of a
 * solution.
 *
 *   bench_structure table FILE [ELEMENTS [STEPS [METHOD ...]]]   the published rows of at most ELEMENTS elements (32767, the
 *                                                            paper's small ones), the smallest first; what is done is kept
 *                                                            in FILE and not done again, so that it can be stopped
 *   bench_structure show FILE [… the same]                    what FILE has of that, without doing more
 *   bench_structure run METHOD PROBLEM STEPS SEEDS           one method on one problem from seeds 0, 1, …; the median
 *   bench_structure solve PROBLEM FILE                       time of assembly, factorisation and solution; and the stiffness
 *                                                            matrix of the uniform design for bench-solve
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "train/design.h"

enum { MAX_JOBS = PUBLISHED_COUNT * PUBLISHED_METHODS, ROUNDS = 9 };

static const struct {
    const char *name;
    PublishedMethod published;
} methods[] = {{"oc", PUBLISHED_OC}, {"mma", PUBLISHED_MMA}, {"pixels", PUBLISHED_PIXELS}, {"cnn", PUBLISHED_CNN}};

static double published(const char *problem, const Optimiser *method)
{
    for (int i = 0; i < COUNTOF(methods); i++)
        if (!strcmp(methods[i].name, method->name)) return published_find(problem)->typical[methods[i].published];
    return NAN;
}

/* ---- the table; a file keeps what is done: PROBLEM METHOD STEPS COMPLIANCE EVALUATIONS SECONDS, a line each ---- */

typedef struct {
    FILE *kept;
    DesignJob *job;
    pthread_mutex_t lock;
} Keeper;

static void keep(void *context, int64_t job)
{
    Keeper *k = context;
    const DesignJob *j = &k->job[job];
    pthread_mutex_lock(&k->lock);
    if (!j->why)
        fprintf(k->kept, "%s %s %lld %.17g %lld %.2f\n", j->problem, j->method->name, (long long)j->steps, j->best,
                (long long)j->evaluations, j->seconds);
    fflush(k->kept);
    pthread_mutex_unlock(&k->lock);
}

/* The compliance that the file has, or NaN. */
static double kept_value(const char *path, const char *problem, const char *method, int64_t steps)
{
    FILE *f = fopen(path, "r");
    char line[256], name[128], by[16];
    double value, found = NAN;
    for (long long n; f && fgets(line, sizeof line, f);)
        if (sscanf(line, "%127s %15s %lld %lf", name, by, &n, &value) == 4 && !strcmp(name, problem) &&
            !strcmp(by, method) && n == steps)
            found = value;
    if (f) fclose(f);
    return found;
}

static int by_size(const void *a, const void *b)
{
    const PublishedRow *const *x = a, *const *y = b;
    Arena once = arena_reserve((ptrdiff_t)1 << 26);
    Problem p, q;
    problem_find(&once, (*x)->name, &p);
    problem_find(&once, (*y)->name, &q);
    arena_release(once);
    const int64_t d = p.W * p.H - q.W * q.H;
    return d ? (d > 0) - (d < 0) : (*x > *y) - (*x < *y);
}

static void print_kept(const char *path, const PublishedRow **row, int64_t rows, int64_t steps, char **wanted)
{
    printf("%-38s", "problem");
    for (char **m = wanted; *m; m++) printf(" | %9s %9s %8s", *m, "published", "diff");
    printf("\n");
    for (int64_t i = 0; i < rows; i++) {
        printf("%-38s", row[i]->name);
        for (char **m = wanted; *m; m++) {
            const double ours = kept_value(path, row[i]->name, *m, steps),
                         theirs = published(row[i]->name, design_find(*m));
            if (isnan(ours))
                printf(" | %9s %9.6g %8s", "-", theirs, "");
            else
                printf(" | %9.6g %9.6g %+7.2f%%", ours, theirs, 100 * (ours / theirs - 1));
        }
        printf("\n");
    }
    for (char **m = wanted; *m; m++) {
        int64_t near = 0, below = 0, of = 0;
        double ours_error = 0, their_error = 0;
        for (int64_t i = 0; i < rows; i++) {
            const double ours = kept_value(path, row[i]->name, *m, steps),
                         theirs = published(row[i]->name, design_find(*m));
            if (isnan(ours)) continue;
            of++;
            near += fabs(ours / theirs - 1) <= 0.01;
            below += ours / theirs - 1 < -0.01;
            ours_error += ours / published_typical(row[i]) - 1;
            their_error += theirs / published_typical(row[i]) - 1;
        }
        printf(
            "%s: %lld of %lld done; %lld within 1 %% of the published figure, %lld lower than that; mean error to the "
            "best published figure %.4f, published %.4f\n",
            *m, (long long)of, (long long)rows, (long long)near, (long long)below, ours_error / (double)of,
            their_error / (double)of);
    }
}

static int print_table(Arena *perm, bool make, const char *path, int64_t elements, int64_t steps, char **wanted)
{
    static DesignJob job[MAX_JOBS];
    static const PublishedRow *row[PUBLISHED_COUNT];
    static char *all[] = {"oc", "mma", "pixels", 0};
    int64_t count = 0, rows = 0;
    if (!*wanted) wanted = all;
    for (int64_t i = 0; i < PUBLISHED_COUNT; i++) {
        Arena once = *perm;
        Problem p;
        if (!problem_find(&once, published_table[i].name, &p) && p.W * p.H <= elements)
            row[rows++] = &published_table[i];
    }
    qsort(row, (size_t)rows, sizeof *row, by_size);
    for (char **m = wanted; *m; m++) {
        if (design_find(*m)) continue;
        fprintf(stderr, "bench_structure: %s: no such method: oc, mma, pixels, cnn\n", *m);
        return 2;
    }
    for (int64_t i = 0; i < rows; i++)
        for (char **m = wanted; make && *m && count < MAX_JOBS; m++)
            if (isnan(kept_value(path, row[i]->name, *m, steps)))
                job[count++] = (DesignJob){.problem = row[i]->name, .method = design_find(*m), .steps = steps};
    Keeper k = {fopen(path, "a"), job, PTHREAD_MUTEX_INITIALIZER};
    Pool *pool = pool_open(pool_cpus());
    if (!k.kept || !pool) {
        fprintf(stderr, "bench_structure: %s: cannot be written\n", path);
        return 1;
    }
    design_watch(perm, pool, job, count, &(DesignWatch){.done = keep, .context = &k});
    pool_close(pool);
    if (fclose(k.kept)) return 1;
    for (int64_t i = 0; i < count; i++)
        if (job[i].why) printf("%s %s failed: %s\n", job[i].problem, job[i].method->name, job[i].why);
    print_kept(path, row, rows, steps, wanted);
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
    if (row)
        printf(", published %.6g (%+.2f %%)", published(problem, job[0].method),
               100 * (median / published(problem, job[0].method) - 1));
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
    if (argc > 2 && (!strcmp(argv[1], "table") || !strcmp(argv[1], "show")))
        return print_table(&perm, *argv[1] == 't', argv[2], argc > 3 ? atoll(argv[3]) : 32767,
                           argc > 4 ? atoll(argv[4]) : 1000, argc > 5 ? argv + 5 : argv + argc);
    if (argc == 6 && !strcmp(argv[1], "run"))
        return print_runs(&perm, argv[2], argv[3], atoll(argv[4]), atoll(argv[5]));
    if (argc == 4 && !strcmp(argv[1], "solve")) return time_solution(&perm, argv[2], argv[3]);
    fprintf(
        stderr,
        "usage: bench_structure table|show FILE [ELEMENTS [STEPS [METHOD ...]]] | run METHOD PROBLEM STEPS SEEDS | solve PROBLEM FILE\n");
    return 2;
}
