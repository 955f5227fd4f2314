/* guard: see guard.h. */
#include "search/guard.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "cli/cli.h"
#include "search/derive.h"

/* ---- skip count ---- */

static double skips_measure(const struct GuardScene *g, Arena scratch)
{
    const Space *s = g->arch->space;
    const double *weight = arch_effective(&scratch, g->arch);
    Derived d;
    if (derive_magnitude(&scratch, s, weight, weight + g->arch->op_count / ARCH_TABLES, 0, &d)) return NAN;
    int64_t n = 0;
    for (int64_t k = 0; k < s->nodes * s->inputs; k++)
        n += primitive_table[d.genotype.normal.edge[k].op].kind == PRIM_SKIP;
    return (double)n;
}

/* Too many now, and not too many the epoch before: a cell that had too many from the start has no good alphas to go back
 * to. */
static int64_t skips_back(const double *latest, int64_t count, double most)
{
    return count > 1 && latest[0] > most && latest[1] <= most ? 1 : -1;
}

static char *skips_say(Arena *a, const double *latest, double most)
{
    return arena_printf(a, "%g skip_connect in the normal cell, more than %g", latest[0], most);
}

/* ---- ranking stability ---- */

static bool same_ranking(const double *x, const double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++)
            if ((x[i] > x[k]) != (y[i] > y[k])) return false;
    return true;
}

/* For how many epochs the operations of every edge have had one order. */
static double stable_measure(const struct GuardScene *g, Arena scratch)
{
    (void)scratch;
    const Arch *a = g->arch;
    if (!g->before) return 0;
    for (int64_t edge = 0; edge < ARCH_TABLES * a->edges; edge++)
        if (g->used[edge / a->edges] && !same_ranking(a->raw + edge * a->ops, g->before + edge * a->ops, a->ops))
            return 0;
    return g->last + 1;
}

static int64_t stable_back(const double *latest, int64_t count, double enough)
{
    (void)count;
    return latest[0] >= enough ? 0 : -1;
}

static char *stable_say(Arena *a, const double *latest, double enough)
{
    (void)enough;
    return arena_printf(a, "the operations of every edge have had the same order for %g epochs", latest[0]);
}

/* ---- dominant eigenvalue ---- */

static double length(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

double guard_eigenvalue(GuardGradient *gradient, void *context, const double *at, int64_t n, int64_t iterations,
                        double *v, Arena scratch)
{
    double *above = NEW(&scratch, double, n), *below = NEW(&scratch, double, n), *beside = NEW(&scratch, double, n);
    double most = 0, value = NAN, size = length(v, n);
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(at[i]));
    const double eps = 0.01 * (1 + most);
    if (!(size > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) v[i] /= size;
    for (int64_t k = 0; k < iterations; k++) {
        for (int64_t i = 0; i < n; i++) beside[i] = at[i] + eps * v[i];
        if (!gradient(context, beside, above, scratch)) return NAN;
        for (int64_t i = 0; i < n; i++) beside[i] = at[i] - eps * v[i];
        if (!gradient(context, beside, below, scratch)) return NAN;
        value = 0;
        for (int64_t i = 0; i < n; i++) {
            above[i] = (above[i] - below[i]) / (2 * eps);
            value += v[i] * above[i];
        }
        size = length(above, n);
        if (!(size > 0)) return isnan(size) ? NAN : 0; /* flat: v stays */
        for (int64_t i = 0; i < n; i++) v[i] = above[i] / size;
    }
    return value;
}

static double eigenvalue_measure(const struct GuardScene *g, Arena scratch)
{
    const Arch *a = g->arch;
    double *v = NEW(&scratch, double, a->count);
    memcpy(v, g->direction, (size_t)a->count * sizeof *v);
    if (!(length(v, a->count) > 0)) /* beyond the numbers of the initial alphas */
        for (int64_t i = 0; i < a->count; i++) v[i] = rng_normal(g->seed, RNG_ALPHA, (uint64_t)1 << 32 | (uint64_t)i);
    double value = guard_eigenvalue(g->gradient, g->context, a->raw, a->count, GUARD_ITERATIONS, v, scratch);
    if (!isnan(value)) memcpy(g->direction, v, (size_t)a->count * sizeof *v);
    return value;
}

enum { WINDOW = 5, DELTA = 4 }; /* of the authors' code */

static double mean(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static int64_t eigenvalue_back(const double *latest, int64_t count, double factor)
{
    if (count <= DELTA) return -1;
    double now = mean(latest, WINDOW), then = mean(latest + DELTA, count - DELTA < WINDOW ? count - DELTA : WINDOW);
    return then > 0 && now > factor * then ? DELTA : -1;
}

static char *eigenvalue_say(Arena *a, const double *latest, double factor)
{
    return arena_printf(a,
                        "the dominant eigenvalue of the alphas' Hessian has grown to %.3g, in the mean of %d epochs by "
                        "more than %g times in %d epochs",
                        latest[0], WINDOW, factor, DELTA);
}

const Guard guard_table[] = {
    {{"skips",
      "ends when the normal cell would get more than so many skips, with the alphas of the epoch before",
      "Liang et al. 2019, arXiv:1909.06035; Chen et al. 2019, arXiv:1904.12760",
      1,
      {2},
      {0},
      {1000}},
     "skips",
     .measure = skips_measure,
     .back = skips_back,
     .say = skips_say},
    {{"stable",
      "ends when the order of every edge's operations has not changed for so many epochs",
      "Liang et al. 2019, arXiv:1909.06035",
      1,
      {10},
      {1},
      {1e6}},
     "stable_epochs",
     .measure = stable_measure,
     .back = stable_back,
     .say = stable_say},
    {{"eigenvalue",
      "ends when the dominant eigenvalue of the alphas' Hessian grows by this factor in 4 epochs, with the alphas from "
      "before",
      "Zela et al. 2020, arXiv:1909.09656",
      1,
      {1.3},
      {1},
      {1e6}},
     "eigenvalue",
     .every_path = true,
     .measure = eigenvalue_measure,
     .back = eigenvalue_back,
     .say = eigenvalue_say},
};
const int64_t guard_count = COUNTOF(guard_table);

/* ---- at work ---- */

GuardState guard_new(Arena *perm, const Arch *a)
{
    GuardState g = {.alphas = NEW(perm, double, GUARD_ALPHAS * a->count),
                    .measure = NEW(perm, double, MAX_GUARDS *GUARD_MEMORY),
                    .direction = NEW(perm, double, a->count)};
    for (int64_t i = 0; i < MAX_GUARDS * GUARD_MEMORY; i++) g.measure[i] = NAN;
    return g;
}

static double *alphas_after(const GuardState *g, const Arch *a, int64_t epoch)
{
    return g->alphas + epoch % GUARD_ALPHAS * a->count;
}

bool guard_judge(GuardState *g, Arena *perm, Arena scratch, Arch *a, const struct GuardScene *scene, int64_t epoch,
                 const char **said)
{
    const Strategy *s = scene->strategy;
    const size_t bytes = (size_t)a->count * sizeof(double);
    double now[MAX_GUARDS];
    struct GuardScene look = *scene;
    *said = 0;
    look.before = g->watched ? alphas_after(g, a, epoch - 1) : 0;
    look.direction = NEW(&scratch, double, a->count);
    memcpy(look.direction, g->direction, bytes);
    for (int64_t i = 0; i < s->guard_count; i++) {
        look.last = g->measure[i * GUARD_MEMORY];
        now[i] = s->guard[i]->measure(&look, scratch);
        if (cli_interrupted()) return false;
    }
    memcpy(g->direction, look.direction, bytes);
    memcpy(alphas_after(g, a, epoch), a->raw, bytes);
    g->watched++;
    g->judged = epoch;
    for (int64_t i = 0; i < s->guard_count; i++) {
        double *latest = g->measure + i * GUARD_MEMORY;
        memmove(latest + 1, latest, (GUARD_MEMORY - 1) * sizeof *latest);
        latest[0] = now[i];
    }
    for (int64_t i = 0; i < s->guard_count && !g->fired; i++) {
        const double *latest = g->measure + i * GUARD_MEMORY;
        int64_t known = g->watched < GUARD_MEMORY ? g->watched : GUARD_MEMORY;
        int64_t back = s->guard[i]->back(latest, known, s->guard_value[i][0]);
        if (back < 0) continue;
        g->fired = i + 1;
        memcpy(a->raw, alphas_after(g, a, epoch - back), bytes);
        const char *why = s->guard[i]->say(perm, latest, s->guard_value[i][0]);
        *said = back ? arena_printf(perm, "%s: %s: the search ends with the alphas of epoch %lld",
                                    s->guard[i]->part.name, why, (long long)(epoch - back))
                     : arena_printf(perm, "%s: %s: the search ends", s->guard[i]->part.name, why);
    }
    return true;
}

void guard_metrics(const GuardState *g, const Strategy *s, int64_t epoch, Metric *m, int64_t *count)
{
    for (int64_t i = 0; i < s->guard_count && g->judged == epoch; i++)
        if (!isnan(g->measure[i * GUARD_MEMORY]))
            m[(*count)++] = (Metric){s->guard[i]->metric, "", g->measure[i * GUARD_MEMORY]};
}
