/* null: random cells, to hold cells of a search against. See cells.h. */
#include <math.h>

#include "base/rng.h"
#include "report/cells.h"

static double share_of(const Cell *c, int8_t op)
{
    int64_t n = 0;
    for (int64_t k = 0; k < c->nodes * c->inputs; k++) n += c->edge[k].op == op;
    return (double)n / (double)(c->nodes * c->inputs);
}

Null *null_sample(Arena *a, const Space *s, bool reduce, int64_t count, uint64_t seed)
{
    Null *n = NEW(a, Null, 1);
    *n = (Null){.space = *s, .reduce = reduce, .count = count};
    for (int m = 0; m < MEASURE_COUNT; m++) n->value[m] = NEW(a, double, count);
    for (int64_t o = 0; o < s->op_count; o++) n->share[o] = NEW(a, double, count);
    n->distance = NEW(a, double, count / 2);
    n->agreement = NEW(a, double, count / 2);
    Cell before = {0};
    for (int64_t i = 0; i < count; i++) {
        const Genotype g = genotype_random(s, seed, (uint64_t)i);
        const Cell *c = reduce ? &g.reduce : &g.normal;
        double value[MEASURE_COUNT];
        cell_measure(*a, c, reduce, value);
        for (int m = 0; m < MEASURE_COUNT; m++) n->value[m][i] = value[m];
        for (int64_t o = 0; o < s->op_count; o++) n->share[o][i] = share_of(c, s->op[o]);
        if (i % 2) {
            n->distance[i / 2] = (double)cell_distance(&before, c);
            n->agreement[i / 2] = cell_agreement(&before, c);
        }
        before = *c;
    }
    return n;
}

/* The mean of n values drawn with replacement. */
static double draw(const double *sample, int64_t count, int64_t n, uint64_t seed, int64_t index)
{
    if (n == 1) return sample[index];
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += sample[rng_below(seed, RNG_RESAMPLE, (uint64_t)index << 32 | (uint64_t)i, count)];
    return sum / (double)n;
}

NullTest null_test(const double *sample, int64_t count, double observed, int64_t n, uint64_t seed)
{
    NullTest t = {NAN, NAN, NAN};
    if (count < 2 || n < 1) return t;
    const double near = 1e-9 * fmax(1, fabs(observed)); /* means that differ by rounding alone are equal */
    double sum = 0, squares = 0;
    int64_t below = 0, above = 0;
    for (int64_t i = 0; i < count; i++) sum += sample[i];
    t.expected = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double x = draw(sample, count, n, seed, i);
        squares += (sample[i] - t.expected) * (sample[i] - t.expected);
        below += x <= observed + near;
        above += x >= observed - near;
    }
    t.sd = sqrt(squares / (double)(count - 1) / (double)n);
    /* The observed value counts as one more draw, so that p is never 0 (Davison and Hinkley 1997, 4.2). */
    const int64_t tail = below < above ? below : above;
    if (!isnan(observed)) t.p = fmin(1, 2 * (double)(tail + 1) / (double)(count + 1));
    return t;
}
