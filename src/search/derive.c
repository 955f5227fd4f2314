/* derive: the magnitude rule, and tables of weights read from text. */
#include "search/derive.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

EdgeChoice derive_edge(const Space *s, const double *weight)
{
    int none = space_none(s);
    EdgeChoice best = {.column = -1};
    double second = 0;
    for (int k = 0; k < s->op_count; k++) {
        if (k == none) continue;
        if (best.column < 0 || weight[k] > best.weight) {
            second = best.weight;
            best.column = k;
            best.weight = weight[k];
        } else if (weight[k] > second) {
            second = weight[k];
        }
    }
    best.margin = best.weight - second;
    return best;
}

Cell derive_empty(const Space *s)
{
    Cell c = {.nodes = s->nodes, .inputs = s->inputs, .concat_count = s->concat};
    for (int64_t i = 0; i < s->concat; i++) c.concat[i] = (int8_t)(2 + s->nodes - s->concat + i);
    return c;
}

static Cell derive_cell(const Space *s, const double *weight, double threshold, Derived *out)
{
    Cell c = derive_empty(s);
    for (int64_t node = 0; node < s->nodes; node++) {
        EdgeChoice choice[GENOTYPE_MAX_NODES + 1];
        bool taken[GENOTYPE_MAX_NODES + 1] = {false};
        for (int64_t input = 0; input < node + 2; input++)
            choice[input] = derive_edge(s, weight + space_edge(node, input) * s->op_count);
        for (int64_t k = 0; k < s->inputs; k++) {
            int64_t best = -1;
            for (int64_t input = 0; input < node + 2; input++)
                if (!taken[input] && (best < 0 || choice[input].weight > choice[best].weight)) best = input;
            taken[best] = true;
            bool weak = k && threshold > 0 && choice[best].weight <= threshold;
            int op = weak ? primitive_find("none", 4) : s->op[choice[best].column];
            c.edge[node * s->inputs + k] = (GeneEdge){.op = (int8_t)op, .input = (int8_t)best};
            out->margin[out->margin_count++] = weak ? choice[best].weight - threshold : choice[best].margin;
        }
    }
    return c;
}

const char *derive_check(Arena *perm, const Space *s, const double *normal, const double *reduce)
{
    const double *table[] = {normal, reduce};
    int64_t edges = space_edges(s);
    for (int64_t i = 0; i < 2 * edges * s->op_count; i++) {
        int64_t of_table = i % (edges * s->op_count), edge = of_table / s->op_count;
        double w = table[i / (edges * s->op_count)][of_table];
        if (!isfinite(w) || w < 0)
            return arena_printf(perm, "%s edge %lld has the weight %g, which is no number from 0 up",
                                i < edges * s->op_count ? "normal" : "reduce", (long long)edge, w);
    }
    return 0;
}

static int column_of(const Space *s, int op)
{
    for (int k = 0; k < s->op_count; k++)
        if (s->op[k] == op) return k;
    return -1;
}

void derive_describe(const Space *s, const double *normal, const double *reduce, Derived *out)
{
    const double *table[] = {normal, reduce};
    const Cell *cell[] = {&out->genotype.normal, &out->genotype.reduce};
    int64_t edges = space_edges(s), kept = 0;
    int none = space_none(s);
    double none_sum = 0, kept_sum = 0;
    for (int t = 0; t < 2; t++) {
        out->none_wins[t] = 0;
        for (int64_t e = 0; none >= 0 && e < edges; e++) {
            const double *row = table[t] + e * s->op_count;
            none_sum += row[none];
            out->none_wins[t] += row[none] > derive_edge(s, row).weight;
        }
        for (int64_t i = 0; i < s->nodes * s->inputs; i++) {
            GeneEdge e = cell[t]->edge[i];
            if (primitive_table[e.op].kind == PRIM_NONE) continue;
            kept_sum += table[t][space_edge(i / s->inputs, e.input) * s->op_count + column_of(s, e.op)];
            kept++;
        }
    }
    out->none_mass = none < 0 ? -1 : none_sum / (double)(2 * edges);
    out->weight_kept = kept_sum / (double)kept;
}

const char *derive_magnitude(Arena *perm, const Space *s, const double *normal, const double *reduce, double threshold,
                             Derived *out)
{
    *out = (Derived){0};
    const char *why = derive_check(perm, s, normal, reduce);
    if (why) return why;
    out->genotype.normal = derive_cell(s, normal, threshold, out);
    out->genotype.reduce = derive_cell(s, reduce, threshold, out);
    derive_describe(s, normal, reduce, out);
    return 0;
}

const char *derive_read_table(Arena *perm, const Space *s, const char *text, int64_t length, double **weights)
{
    int64_t rows = 2 * space_edges(s), row = 0, line = 0;
    *weights = NEW(perm, double, rows * s->op_count);
    for (const char *at = text, *end = text + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        char *p = arena_strndup(perm, at, stop - at), *word, *rest = p; /* terminated, for strtod */
        at = stop + 1;
        line++;
        p[strcspn(p, "#")] = 0;
        int64_t column = 0;
        for (; (word = strtok_r(rest, " \t\r,", &rest)); column++) {
            char *after;
            double w = strtod(word, &after);
            if (*after || after == word)
                return arena_printf(perm, "line %lld: \"%.40s\" is no number", (long long)line, word);
            if (!isfinite(w) || w < 0)
                return arena_printf(perm, "line %lld: %.40s is no weight: they are from 0 up, after the softmax",
                                    (long long)line, word);
            if (column < s->op_count && row < rows) (*weights)[row * s->op_count + column] = w;
        }
        if (!column) continue;
        if (column != s->op_count)
            return arena_printf(perm, "line %lld: %lld numbers, expected %lld, one an operation", (long long)line,
                                (long long)column, (long long)s->op_count);
        row++;
    }
    if (row != rows)
        return arena_printf(perm, "%lld rows, expected %lld: %lld edges of the normal cell, then the reduction cell's",
                            (long long)row, (long long)rows, (long long)rows / 2);
    return 0;
}
