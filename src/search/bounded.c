/* bounded: see bounded.h. */
#include "search/bounded.h"

#include <stdlib.h>
#include <string.h>

/* ---- what an edge costs ---- */

typedef struct {
    Bounds base;                      /* of all that does not depend on the edges */
    Bounds edge[2][2][SPACE_MAX_OPS]; /* normal or reduction; from an input of the cell or from a node; column */
} Costs;

static const char *measure(Arena scratch, Arena *perm, const Genotype *t, const NetSpec *net, Bounds *out)
{
    Graph *g = network_genotype(&scratch, t, net);
    if (g->error) return arena_strdup(perm, g->error);
    *out = (Bounds){graph_param_total(g), g->macs};
    return 0;
}

/* Differences between networks of two-node cells, in which one edge is put in place of none. */
static const char *find_costs(Arena *perm, Arena scratch, const Space *s, const NetSpec *net, Costs *c)
{
    GeneEdge none = {.op = (int8_t)primitive_find("none", 4)},
             skip = {.op = (int8_t)primitive_find("skip_connect", 12)};
    Space shape = *s; /* as many nodes, since they make the width of the cell's output */
    shape.inputs = 2;
    Genotype plain = {derive_empty(&shape), derive_empty(&shape)};
    Cell *cell[] = {&plain.normal, &plain.reduce};
    for (int64_t i = 0; i < 2 * s->nodes; i++)
        for (int t = 0; t < 2; t++) cell[t]->edge[i] = i % 2 ? none : skip;
    const char *why = measure(scratch, perm, &plain, net, &c->base);
    Bounds base = c->base;
    for (int t = 0; t < 2 && !why; t++) {
        GeneEdge *edge = &cell[t]->edge[2 * s->nodes - 1]; /* the last node's second */
        for (int from = 0; from < 2 && !why; from++) {
            if (from && s->nodes < 2) continue;
            for (int k = 0; k <= s->op_count && !why; k++) { /* the last one: skip, for the base */
                GeneEdge put = k == s->op_count ? skip : (GeneEdge){.op = s->op[k]};
                if (primitive_table[put.op].kind == PRIM_NONE || (k == s->op_count && from)) continue;
                put.input = from ? 2 : 0;
                *edge = put;
                Bounds with = base;
                why = measure(scratch, perm, &plain, net, &with);
                *edge = none;
                Bounds cost = {with.parameters - base.parameters, with.macs - base.macs};
                if (k < s->op_count) {
                    c->edge[t][from][k] = cost;
                } else {
                    c->base.parameters -= s->nodes * cost.parameters;
                    c->base.macs -= s->nodes * cost.macs;
                }
            }
        }
    }
    return why;
}

/* ---- the search ---- */

typedef struct {
    double weight;
    int64_t parameters, macs;
    int32_t before;   /* the partial choice of the earlier nodes */
    GeneEdge edge[2]; /* of this node; column, not primitive, as op */
} Part;

static int by_cost(const void *a, const void *b)
{
    const Part *x = a, *y = b;
    if (x->parameters != y->parameters) return x->parameters < y->parameters ? -1 : 1;
    if (x->macs != y->macs) return x->macs < y->macs ? -1 : 1;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return memcmp(x->edge, y->edge, sizeof x->edge) ?: (x->before > y->before) - (x->before < y->before);
}

static int by_weight(const void *a, const void *b)
{
    const Part *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return by_cost(a, b);
}

/* Keeps what nothing beats. Sorted by parameters, a part is beaten if an earlier one has no more MACs and no less weight:
 * `step` holds the earlier ones that matter, by rising MACs and rising weight. */
static int64_t prune(Part *part, int64_t count, Part *step)
{
    qsort(part, (size_t)count, sizeof *part, by_cost);
    int64_t kept = 0, steps = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t low = 0, high = steps; /* the first step with more MACs */
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (step[middle].macs <= part[i].macs)
                low = middle + 1;
            else
                high = middle;
        }
        if (low && step[low - 1].weight >= part[i].weight) continue;
        int64_t end = low; /* steps that the new one beats */
        while (end < steps && step[end].weight <= part[i].weight) end++;
        if (low && step[low - 1].macs == part[i].macs) low--;
        memmove(step + low + 1, step + end, (size_t)(steps - end) * sizeof *step);
        steps += low + 1 - end;
        step[low] = part[i];
        part[kept++] = part[i];
    }
    return kept;
}

typedef struct {
    const Space *s;
    const double *weight[2];
    const Costs *costs;
    int none;
} Problem;

static void add_edge(const Problem *p, int table, int64_t node, int64_t input, int column, Part *to, int slot)
{
    const Bounds *c = &p->costs->edge[table][input >= 2][column];
    to->weight += p->weight[table][space_edge(node, input) * p->s->op_count + column];
    to->parameters += c->parameters;
    to->macs += c->macs;
    to->edge[slot] = (GeneEdge){.op = (int8_t)column, .input = (int8_t)input};
}

/* All choices of a node: one or two different inputs, each with an operation other than none. */
static int64_t node_choices(const Problem *p, int table, int64_t node, Part *out)
{
    int64_t n = 0, ops = p->s->op_count;
    for (int64_t a = 0; a < node + 2; a++)
        for (int i = 0; i < ops; i++) {
            if (i == p->none) continue;
            Part one = {0};
            add_edge(p, table, node, a, i, &one, 0);
            if (p->s->inputs == 1) out[n++] = one;
            for (int64_t b = a + 1; p->s->inputs == 2 && b < node + 2; b++)
                for (int k = 0; k < ops; k++) {
                    if (k == p->none) continue;
                    out[n] = one;
                    add_edge(p, table, node, b, k, &out[n++], 1);
                }
        }
    return n;
}

static void least(const Part *part, int64_t n, Bounds *out)
{
    *out = (Bounds){INT64_MAX, INT64_MAX};
    for (int64_t i = 0; i < n; i++) {
        if (part[i].parameters < out->parameters) out->parameters = part[i].parameters;
        if (part[i].macs < out->macs) out->macs = part[i].macs;
    }
}

static bool within(Bounds b, int64_t parameters, int64_t macs)
{
    return (!b.parameters || parameters <= b.parameters) && (!b.macs || macs <= b.macs);
}

/* Writes the choices of all nodes, the stronger edge of a node first, with margins. */
static void write_cells(const Problem *p, Part *const *front, int64_t best, Derived *out)
{
    const Space *s = p->s;
    Cell *cell[] = {&out->genotype.normal, &out->genotype.reduce};
    out->margin_count = 2 * s->nodes * s->inputs;
    for (int64_t g = 2 * s->nodes - 1; g >= 0; best = front[g--][best].before) {
        const Part *part = &front[g][best];
        int64_t t = g / s->nodes, node = g % s->nodes;
        double weight[2] = {0};
        for (int64_t i = 0; i < s->inputs; i++)
            weight[i] = p->weight[t][space_edge(node, part->edge[i].input) * s->op_count + part->edge[i].op];
        for (int64_t i = 0; i < s->inputs; i++) {
            GeneEdge e = part->edge[weight[1] > weight[0] ? 1 - i : i];
            const double *row = p->weight[t] + space_edge(node, e.input) * s->op_count;
            double next = 0;
            for (int k = 0; k < s->op_count; k++)
                if (k != p->none && k != e.op && row[k] > next) next = row[k];
            out->margin[(t * s->nodes + node) * s->inputs + i] = row[e.op] - next;
            cell[t]->edge[node * s->inputs + i] = (GeneEdge){.op = s->op[e.op], .input = e.input};
        }
    }
}

const char *derive_bounded(Arena *perm, Arena scratch, const Space *s, const double *normal, const double *reduce,
                           const NetSpec *net, Bounds bounds, Derived *out, Bounds *size, bool *exact)
{
    *out = (Derived){.genotype = {derive_empty(s), derive_empty(s)}};
    *exact = true;
    Costs costs = {0};
    const char *why = derive_check(perm, s, normal, reduce);
    if (!why) why = find_costs(perm, scratch, s, net, &costs);
    if (why) return why;
    Problem p = {.s = s, .weight = {normal, reduce}, .costs = &costs, .none = space_none(s)};

    enum { GROUPS = 2 * GENOTYPE_MAX_NODES };
    Part *choice[GROUPS], *front[GROUPS];
    int64_t groups = 2 * s->nodes, choices[GROUPS], count = 1;
    Bounds rest = costs.base; /* the least that the nodes to come will add */
    for (int64_t g = 0; g < groups; g++) {
        int64_t states = g % s->nodes + 2, most = states * (states - 1) / 2 * s->op_count * s->op_count;
        Part *all = NEW(&scratch, Part, most + states * s->op_count),
             *step = NEW(&scratch, Part, most + states * s->op_count);
        choices[g] = prune(all, node_choices(&p, (int)(g / s->nodes), g % s->nodes, all), step);
        choice[g] = all;
        Bounds low;
        least(all, choices[g], &low);
        rest.parameters += low.parameters;
        rest.macs += low.macs;
    }
    if (!within(bounds, rest.parameters, rest.macs))
        return arena_printf(perm, "no cell fits: a network has at least %lld parameters and %lld multiply-accumulates",
                            (long long)rest.parameters, (long long)rest.macs);
    Part start = {.parameters = costs.base.parameters, .macs = costs.base.macs};
    const Part *before = &start;
    Arena kept = {scratch.beg, scratch.beg + arena_left(&scratch) / 2}; /* the fronts; the rest is of one node each */
    scratch.beg = kept.end;
    rest.parameters -= start.parameters;
    rest.macs -= start.macs;
    for (int64_t g = 0; g < groups; g++) {
        Bounds low;
        least(choice[g], choices[g], &low);
        rest.parameters -= low.parameters;
        rest.macs -= low.macs;
        int64_t all = size_mul(count, choices[g]), n = 0;
        Arena once = scratch;
        Part *next = NEW(&once, Part, all), *step = NEW(&once, Part, all);
        for (int64_t i = 0; i < count; i++)
            for (int64_t k = 0; k < choices[g]; k++) {
                Part part = choice[g][k];
                part.weight += before[i].weight;
                part.parameters += before[i].parameters;
                part.macs += before[i].macs;
                part.before = (int32_t)i;
                if (within(bounds, part.parameters + rest.parameters, part.macs + rest.macs)) next[n++] = part;
            }
        if (!n) return "no cell fits both bounds at once";
        n = prune(next, n, step);
        if (n >
            BOUNDED_ROOM) { /* the front of the list are the cheapest ones: some of them stay, whatever they weigh */
            qsort(next + BOUNDED_ROOM / 10, (size_t)(n - BOUNDED_ROOM / 10), sizeof *next, by_weight);
            n = BOUNDED_ROOM;
            *exact = false;
        }
        before = front[g] = NEW(&kept, Part, n);
        memcpy(front[g], next, (size_t)n * sizeof *next);
        count = n;
    }
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (before[i].weight > before[best].weight) best = i;
    write_cells(&p, front, best, out);
    derive_describe(s, normal, reduce, out);
    why = measure(scratch, perm, &out->genotype, net, size);
    if (!why && (size->parameters != before[best].parameters || size->macs != before[best].macs))
        why = "the counts of the network are not those of its edges"; /* the assumption above does not hold */
    return why;
}
