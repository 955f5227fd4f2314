/* cells: see cells.h. Depth and width are those of Shu, Wang and Cai (2020, "Understanding architectures learnt by
 * cell-based neural architecture search", arXiv:1909.09569): DARTS_V2 has depth 3 and width 3.5.
 */
#include "report/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"

const struct MeasureInfo measure_info[MEASURE_COUNT] = {
    [MEASURE_DEPTH] = {"depth", "connections on the longest way from an input of the cell to its output"},
    [MEASURE_WIDTH] = {"width", "sum over nodes of the share of their inputs that are inputs of the cell"},
    [MEASURE_PATHS] = {"paths", "different ways from an input of the cell to its output"},
    [MEASURE_FIELD] = {"field", "pixels of a row of its input that one output can see"},
    [MEASURE_SKIPS] = {"skips", "share of edges with skip_connect"},
    [MEASURE_POOLS] = {"pools", "share of edges with a pooling"},
    [MEASURE_NONES] = {"nones", "share of edges with none"},
    [MEASURE_KINDS] = {"operations", "different operations in the cell"},
    [MEASURE_PARAMETERS] = {"parameters", "of the operations on its edges, at 16 channels a node"},
    [MEASURE_MACS] = {"MACs", "the same's multiply-accumulates on an input of 32x32"},
};

static int64_t edges_of(const Cell *c)
{
    return c->nodes * c->inputs;
}

static PrimitiveKind kind_of(const Cell *c, int64_t edge)
{
    return primitive_table[c->edge[edge].op].kind;
}

/* How many more pixels of the row that a state shows the edge's output sees; jump: distance of the state's pixels in
 * those of the input; stride 2 is that of a reduction cell's inputs. */
static double growth(const Primitive *p, double jump, int stride)
{
    const double k = p->kernel_w - 1;
    switch (p->kind) {
    case PRIM_SKIP: return stride == 2 ? jump : 0;      /* a factorised reduction looks at two neighbours */
    case PRIM_SEP: return k * jump + k * jump * stride; /* two convolutions, the first with the stride */
    case PRIM_DIL: return k * p->dilation * jump;
    case PRIM_POOL:
    case PRIM_CONV_SPLIT: return k * jump;
    case PRIM_NONE:
    case PRIM_NOISE: return 0;
    }
    return 0;
}

static void measure_ways(const Cell *c, bool reduce, double value[MEASURE_COUNT])
{
    enum { STATES = GENOTYPE_MAX_NODES + 2 };
    double depth[STATES] = {0}, paths[STATES] = {1, 1}, field[STATES] = {1, 1}, width = 0;
    for (int64_t node = 0; node < c->nodes; node++) {
        const int64_t state = node + 2;
        double outside = 0, all = 0;
        for (int64_t k = node * c->inputs; k < (node + 1) * c->inputs; k++) {
            const int64_t from = c->edge[k].input;
            if (kind_of(c, k) == PRIM_NONE || !paths[from]) continue;
            const double jump = reduce && from >= 2 ? 2 : 1;
            depth[state] = fmax(depth[state], depth[from] + 1);
            paths[state] += paths[from];
            field[state] = fmax(
                field[state], field[from] + growth(&primitive_table[c->edge[k].op], jump, reduce && from < 2 ? 2 : 1));
            all++;
            outside += from < 2;
        }
        if (all) width += outside / all;
    }
    double longest = 0, ways = 0, seen = 0;
    for (int64_t i = 0; i < c->concat_count; i++) {
        const int64_t state = c->concat[i];
        if (!paths[state]) continue;
        longest = fmax(longest, depth[state] + 1);
        seen = fmax(seen, field[state]);
        ways += paths[state];
    }
    value[MEASURE_DEPTH] = ways ? longest : NAN;
    value[MEASURE_FIELD] = ways ? seen : NAN;
    value[MEASURE_PATHS] = ways;
    value[MEASURE_WIDTH] = width;
}

void cell_measure(Arena scratch, const Cell *c, bool reduce, double value[MEASURE_COUNT])
{
    measure_ways(c, reduce, value);
    double skips = 0, pools = 0, nones = 0, kinds = 0, parameters = 0, macs = 0;
    CellCost cost;
    const int64_t edges = edges_of(c);
    const bool known = cell_cost(scratch, c, reduce, &cost);
    for (int64_t k = 0; k < edges; k++) {
        bool first = true;
        for (int64_t i = 0; i < k; i++) first &= c->edge[i].op != c->edge[k].op;
        kinds += first;
        skips += kind_of(c, k) == PRIM_SKIP;
        pools += kind_of(c, k) == PRIM_POOL;
        nones += kind_of(c, k) == PRIM_NONE;
        parameters += cost.parameters[k];
        macs += cost.macs[k];
    }
    value[MEASURE_SKIPS] = skips / (double)edges;
    value[MEASURE_POOLS] = pools / (double)edges;
    value[MEASURE_NONES] = nones / (double)edges;
    value[MEASURE_KINDS] = kinds;
    value[MEASURE_PARAMETERS] = known ? parameters : NAN;
    value[MEASURE_MACS] = known ? macs : NAN;
}

bool cell_cost(Arena scratch, const Cell *c, bool reduce, CellCost *out)
{
    static const char prefix[] = "cells.0._ops.";
    *out = (CellCost){0};
    bool series = false;
    for (int64_t k = 0; k < edges_of(c); k++) {
        const Primitive *p = &primitive_table[c->edge[k].op];
        series |= p->kernel_h == 1 && p->kernel_w > 1;
    }
    Genotype both = {*c, *c};
    NetSpec spec = {.input_channels = CELL_CHANNELS,
                    .height = series ? 1 : CELL_SIZE,
                    .width = CELL_SIZE,
                    .outputs = 2,
                    .loss = LOSS_CROSS_ENTROPY,
                    .channels = reduce ? CELL_CHANNELS / 2 : CELL_CHANNELS, /* a reduction doubles them */
                    .layers = 1,
                    .reduce_count = reduce,
                    .stem_multiplier = 1};
    const Graph *g = network_genotype(&scratch, &both, &spec);
    if (g->error) return false;
    for (int32_t i = 0; i < g->param_count; i++)
        if (!strncmp(g->params[i].name, prefix, strlen(prefix)))
            out->parameters[atoi(g->params[i].name + strlen(prefix))] += (double)g->params[i].count;
    for (int32_t i = 0; i < g->op_count; i++) {
        const Op *op = &g->ops[i];
        const char *name = op->macs && op->weight >= 0 ? g->params[op->weight].name : "";
        if (!strncmp(name, prefix, strlen(prefix))) out->macs[atoi(name + strlen(prefix))] += (double)op->macs;
    }
    return true;
}

/* ---- two cells ---- */

static int64_t edge_distance(GeneEdge a, GeneEdge b)
{
    return (a.op != b.op) + (a.input != b.input);
}

/* Of one node: the cheaper way to pair its one or two edges. */
static int64_t node_distance(const Cell *a, const Cell *b, int64_t node)
{
    const GeneEdge *x = &a->edge[node * a->inputs], *y = &b->edge[node * b->inputs];
    if (a->inputs == 1 && b->inputs == 1) return edge_distance(x[0], y[0]);
    if (a->inputs == 1 || b->inputs == 1) {
        const GeneEdge *one = a->inputs == 1 ? x : y, *two = a->inputs == 1 ? y : x;
        int64_t first = edge_distance(one[0], two[0]), second = edge_distance(one[0], two[1]);
        return 2 + (first < second ? first : second);
    }
    int64_t straight = edge_distance(x[0], y[0]) + edge_distance(x[1], y[1]);
    int64_t crossed = edge_distance(x[0], y[1]) + edge_distance(x[1], y[0]);
    return straight < crossed ? straight : crossed;
}

int64_t cell_distance(const Cell *a, const Cell *b)
{
    int64_t sum = 0;
    for (int64_t node = 0; node < a->nodes || node < b->nodes; node++) {
        if (node < a->nodes && node < b->nodes)
            sum += node_distance(a, b, node);
        else
            sum += 2 * (node < a->nodes ? a->inputs : b->inputs);
    }
    return sum;
}

double cell_agreement(const Cell *a, const Cell *b)
{
    int64_t common = 0, larger = edges_of(a) > edges_of(b) ? edges_of(a) : edges_of(b);
    for (int64_t node = 0; node < a->nodes && node < b->nodes; node++) {
        bool taken[GENOTYPE_MAX_INPUTS] = {0};
        for (int64_t i = 0; i < a->inputs; i++)
            for (int64_t k = 0; k < b->inputs; k++) {
                if (taken[k] || edge_distance(a->edge[node * a->inputs + i], b->edge[node * b->inputs + k])) continue;
                taken[k] = true;
                common++;
                break;
            }
    }
    return larger ? (double)common / (double)larger : NAN;
}
