/* arch: tables of architecture weights. */
#include "search/arch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "search/derive.h"

Arch *arch_new(Arena *perm, const Space *s, const NetSpec *n, bool edge_weights)
{
    Arch *a = NEW(perm, Arch, 1);
    a->space = s;
    a->edges = space_edges(s);
    a->ops = s->op_count;
    a->columns = network_columns(s, n, &a->bypass, &a->skip);
    a->op_count = ARCH_TABLES * a->edges * a->ops;
    a->count = a->op_count + (edge_weights ? ARCH_TABLES * a->edges : 0);
    a->op_groups = ARCH_TABLES * a->edges;
    a->group_count = a->op_groups + (edge_weights ? ARCH_TABLES * s->nodes : 0);
    a->group = NEW(perm, ArchGroup, a->group_count);
    for (int64_t i = 0; i < a->op_groups; i++) a->group[i] = (ArchGroup){i * a->ops, a->ops};
    for (int64_t i = a->op_groups; i < a->group_count; i++) {
        int64_t table = (i - a->op_groups) / s->nodes, node = (i - a->op_groups) % s->nodes;
        a->group[i] = (ArchGroup){a->op_count + table * a->edges + space_edge(node, 0), node + 2};
    }
    double **const block[] = {&a->raw,         &a->weight, &a->point,   &a->drawn,
                              &a->weight_grad, &a->grad,   &a->moment1, &a->moment2};
    for (int i = 0; i < COUNTOF(block); i++) *block[i] = NEW(perm, double, a->count);
    a->mixing = NEW(perm, double, ARCH_TABLES * a->edges * a->columns);
    a->mixing_grad = NEW(perm, double, ARCH_TABLES * a->edges * a->columns);
    return a;
}

/* The weight of an edge in `block`; edge counts over both tables. */
static double edge_weight(const Arch *a, const double *block, int64_t edge)
{
    return a->count > a->op_count ? block[a->op_count + edge] : 1;
}

void arch_mix(Arch *a, double skip, Engine *e, Arena scratch)
{
    int64_t n = a->edges * a->columns;
    for (int64_t edge = 0; edge < ARCH_TABLES * a->edges; edge++) {
        double *to = a->mixing + edge * a->columns, whole = edge_weight(a, a->drawn, edge);
        for (int64_t k = 0; k < a->ops; k++) to[k] = whole * a->drawn[edge * a->ops + k];
        if (a->bypass >= 0) to[a->bypass] = whole;
        if (a->skip >= 0) to[a->skip] = whole * skip;
    }
    uint8_t *active = NEW(&scratch, uint8_t, n);
    for (int32_t table = 0; table < ARCH_TABLES; table++) {
        Arena once = scratch;
        const float *weight = arch_mixing(&once, a, table);
        for (int64_t i = 0; i < n; i++) active[i] = weight[i] != 0; /* a NaN stays visible */
        engine_set_mix(e, table, weight);
        engine_set_active(e, table, active);
    }
}

const float *arch_mixing(Arena *perm, const Arch *a, int32_t table)
{
    int64_t n = a->edges * a->columns;
    float *weight = NEW(perm, float, n);
    for (int64_t i = 0; i < n; i++) weight[i] = (float)a->mixing[table * n + i];
    return weight;
}

void arch_mix_back(Arch *a)
{
    for (int64_t edge = 0; edge < ARCH_TABLES * a->edges; edge++) {
        const double *from = a->mixing_grad + edge * a->columns, *drawn = a->drawn + edge * a->ops;
        double whole = edge_weight(a, a->drawn, edge), sum = 0;
        for (int64_t k = 0; k < a->ops; k++) {
            a->weight_grad[edge * a->ops + k] = whole * from[k];
            sum += drawn[k] * from[k];
        }
        if (a->count == a->op_count) continue;
        if (a->bypass >= 0) sum += from[a->bypass];
        if (a->skip >= 0 && whole != 0) sum += a->mixing[edge * a->columns + a->skip] / whole * from[a->skip];
        a->weight_grad[a->op_count + edge] = sum;
    }
}

/* Where pair k of a cell is in a block of (tables, edges, ops). */
static int64_t element_of(const Space *s, int64_t table, const Cell *cell, int64_t k)
{
    GeneEdge e = cell->edge[k];
    int64_t edge = table * space_edges(s) + space_edge(k / cell->inputs, e.input), column = 0;
    while (column < s->op_count && s->op[column] != e.op) column++;
    assert(column < s->op_count);
    return edge * s->op_count + column;
}

const uint8_t *arch_kept(Arena *perm, const Space *s, const Genotype *g)
{
    uint8_t *kept = NEW(perm, uint8_t, ARCH_TABLES * space_edges(s) * s->op_count);
    const Cell *cells[ARCH_TABLES] = {&g->normal, &g->reduce};
    for (int64_t table = 0; table < ARCH_TABLES; table++)
        for (int64_t k = 0; k < s->nodes * cells[table]->inputs; k++) kept[element_of(s, table, cells[table], k)] = 1;
    return kept;
}

void arch_one_hot(const Arch *a, const Genotype *g, double *weight)
{
    const Space *s = a->space;
    memset(weight, 0, (size_t)a->op_count * sizeof *weight);
    for (int64_t i = a->op_count; i < a->count; i++) weight[i] = 1;
    const Cell *cells[ARCH_TABLES] = {&g->normal, &g->reduce};
    for (int64_t table = 0; table < ARCH_TABLES; table++)
        for (int64_t k = 0; k < s->nodes * cells[table]->inputs; k++) weight[element_of(s, table, cells[table], k)] = 1;
}

double *arch_effective(Arena *perm, const Arch *a)
{
    double *w = NEW(perm, double, a->op_count);
    for (int64_t i = 0; i < a->op_count; i++) w[i] = a->weight[i] * edge_weight(a, a->weight, i / a->ops);
    return w;
}

static double entropy(const double *weight, int64_t n)
{
    double sum = 0, total = 0;
    for (int64_t i = 0; i < n; i++) total += weight[i];
    for (int64_t i = 0; i < n; i++)
        if (weight[i] > 0) sum -= weight[i] / total * log(weight[i] / total);
    return sum;
}

AlphaTable *arch_record(Arena *perm, const Arch *a, int64_t *count)
{
    static const char *const names[2 * ARCH_TABLES] = {"normal", "reduce", "normal edges", "reduce edges"};
    *count = a->count > a->op_count ? 2 * ARCH_TABLES : ARCH_TABLES;
    AlphaTable *t = NEW(perm, AlphaTable, *count);
    double *weight = arch_effective(perm, a);
    for (int64_t i = 0; i < *count; i++) {
        bool ops = i < ARCH_TABLES;
        int64_t start = ops ? i * a->edges * a->ops : a->op_count + (i - ARCH_TABLES) * a->edges;
        t[i] = (AlphaTable){.name = names[i],
                            .edges = a->edges,
                            .ops = ops ? a->ops : 1,
                            .raw = a->raw + start,
                            .weight = ops ? weight + start : a->weight + start};
        t[i].entropy = NEW(perm, double, a->edges);
        t[i].margin = NEW(perm, double, a->edges);
        for (int64_t e = 0, node = 0; e < a->edges && !ops; e++) {
            if (e == space_edge(node + 1, 0)) node++;
            t[i].entropy[e] = entropy(t[i].weight + space_edge(node, 0), node + 2);
            t[i].margin[e] = t[i].weight[e];
        }
        if (!ops) continue;
        for (int64_t e = 0; e < a->edges; e++) {
            t[i].entropy[e] = entropy(t[i].weight + e * a->ops, a->ops);
            t[i].margin[e] = derive_edge(a->space, t[i].weight + e * a->ops).margin;
        }
    }
    return t;
}

void arch_state(Arch *a, ArchState state[ARCH_STATES])
{
    state[0] = (ArchState){"alphas", a->raw, 0, a->count};
    state[1] = (ArchState){"alpha_moment1", a->moment1, 0, a->count};
    state[2] = (ArchState){"alpha_moment2", a->moment2, 0, a->count};
    state[3] = (ArchState){"alpha_step", 0, &a->step, 1};
}
