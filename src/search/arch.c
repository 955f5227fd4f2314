/* arch: tables of architecture weights. */
#include "search/arch.h"

#include <math.h>

#include "base/rng.h"
#include "search/derive.h"

Arch *arch_new(Arena *perm, const Space *s, uint64_t seed)
{
    Arch *a = NEW(perm, Arch, 1);
    a->edges = space_edges(s);
    a->ops = s->op_count;
    a->count = ARCH_TABLES * a->edges * a->ops;
    double **const block[] = {&a->raw, &a->weight, &a->weight_grad, &a->grad, &a->moment1, &a->moment2};
    for (int i = 0; i < COUNTOF(block); i++) *block[i] = NEW(perm, double, a->count);
    for (int64_t i = 0; i < a->count; i++) a->raw[i] = 1e-3 * rng_normal(seed, RNG_ALPHA, (uint64_t)i);
    return a;
}

void arch_state(Arch *a, ArchBlock out[ARCH_STATE])
{
    out[0] = (ArchBlock){"alphas", a->raw, a->count};
    out[1] = (ArchBlock){"alphas_moment1", a->moment1, a->count};
    out[2] = (ArchBlock){"alphas_moment2", a->moment2, a->count};
}

static double entropy(const double *weight, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (weight[i] > 0) sum -= weight[i] * log(weight[i]);
    return sum;
}

AlphaTable *arch_record(Arena *a, const Arch *arch, const Space *s)
{
    static const char *const names[ARCH_TABLES] = {"normal", "reduce"};
    AlphaTable *t = NEW(a, AlphaTable, ARCH_TABLES);
    for (int i = 0; i < ARCH_TABLES; i++) {
        int64_t start = i * arch->edges * arch->ops;
        t[i] = (AlphaTable){.name = names[i],
                            .edges = arch->edges,
                            .ops = arch->ops,
                            .raw = arch->raw + start,
                            .weight = arch->weight + start,
                            .entropy = NEW(a, double, arch->edges),
                            .margin = NEW(a, double, arch->edges)};
        for (int64_t e = 0; e < arch->edges; e++) {
            t[i].entropy[e] = entropy(t[i].weight + e * arch->ops, arch->ops);
            t[i].margin[e] = derive_edge(s, t[i].weight + e * arch->ops).margin;
        }
    }
    return t;
}
