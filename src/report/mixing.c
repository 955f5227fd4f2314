/* mixing: how decided a search is, from its mixing weights. See cells.h. */
#include <math.h>
#include <string.h>

#include "report/cells.h"
#include "report/statistics.h"

const struct MeasureInfo mixing_info[MIXING_COUNT] = {
    [MIXING_ENTROPY] = {"entropy", "mean over edges, as a share of the most it can be: 1 undecided, 0 decided"},
    [MIXING_SIGMA] = {"sigma", "standard deviation of all weights of the cell"},
    [MIXING_GINI] = {"gini",
                     "inequality of an edge's weights, mean over edges: 0 all alike, 1 - 1/operations one has all"},
    [MIXING_NONE] = {"none_mass", "mean weight of none over edges"},
    [MIXING_NONE_WINS] = {"none_wins", "share of edges whose heaviest operation is none"},
    [MIXING_SKIP] = {"skip_mass", "mean weight of skip_connect over edges"},
    [MIXING_KEPT] = {"weight_kept", "mean weight of the operations that the derived cell keeps, over its edges"},
    [MIXING_TAU_PREVIOUS] = {"tau_previous", "Kendall's tau of an edge's ranking of operations with that of the epoch "
                                             "before, mean over edges: 1 the same, 0 unrelated, -1 reversed"},
    [MIXING_TAU_LAST] = {"tau_last", "the same with the last epoch"},
};

const AlphaTable *mixing_table(const StorySearch *search, int64_t epoch, bool reduce)
{
    if (!search->space || epoch < 0 || epoch >= search->count) return 0;
    const SearchEpoch *e = search->epoch[epoch];
    for (int64_t k = 0; k < e->table_count; k++) {
        const AlphaTable *t = &e->tables[k];
        if (strcmp(t->name, reduce ? "reduce" : "normal")) continue;
        if (!t->weight || t->edges < 1 || t->ops < 2 || t->ops != search->space->op_count) return 0;
        for (int64_t i = 0; i < t->edges * t->ops; i++)
            if (!(t->weight[i] >= 0 && t->weight[i] <= 1)) return 0;
        return t;
    }
    return 0;
}

double mixing_entropy(const double *w, int64_t n)
{
    double h = 0, total = 0;
    for (int64_t i = 0; i < n; i++) total += w[i];
    for (int64_t i = 0; i < n; i++)
        if (w[i] > 0) h -= w[i] / total * log(w[i] / total);
    return total > 0 ? h : NAN;
}

double mixing_gini(Arena scratch, const double *x, int64_t n)
{
    double *sorted = NEW(&scratch, double, n), sum = 0, weighted = 0;
    for (int64_t i = 0; i < n; i++) sorted[i] = x[i];
    statistics_sort(sorted, n);
    for (int64_t i = 0; i < n; i++) {
        sum += sorted[i];
        weighted += (double)(2 * (i + 1) - n - 1) * sorted[i];
    }
    return sum > 0 ? weighted / ((double)n * sum) : NAN;
}

double mixing_tau(const double *x, const double *y, int64_t n)
{
    double same = 0, in_x = 0, in_y = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++) {
            const double a = (x[i] > x[k]) - (x[i] < x[k]), b = (y[i] > y[k]) - (y[i] < y[k]);
            same += a * b;
            in_x += a * a;
            in_y += b * b;
        }
    return in_x > 0 && in_y > 0 ? same / sqrt(in_x * in_y) : NAN;
}

void mixing_histogram(const AlphaTable *t, double share[MIXING_BINS])
{
    const int64_t n = t->edges * t->ops;
    for (int b = 0; b < MIXING_BINS; b++) share[b] = 0;
    for (int64_t i = 0; i < n; i++) {
        int b = (int)(t->weight[i] * MIXING_BINS);
        share[b < MIXING_BINS ? b : MIXING_BINS - 1] += 1 / (double)n;
    }
}

static int64_t column_of(const SearchSpace *s, const char *op)
{
    for (int64_t i = 0; i < s->op_count; i++)
        if (!strcmp(s->ops[i], op)) return i;
    return -1;
}

static double column_mean(const AlphaTable *t, int64_t column)
{
    double sum = 0;
    if (column < 0) return NAN;
    for (int64_t e = 0; e < t->edges; e++) sum += t->weight[e * t->ops + column];
    return sum / (double)t->edges;
}

static double none_wins(const AlphaTable *t, int64_t none)
{
    int64_t wins = 0;
    if (none < 0) return NAN;
    for (int64_t e = 0; e < t->edges; e++) {
        const double *w = &t->weight[e * t->ops];
        bool most = true;
        for (int64_t o = 0; o < t->ops; o++) most &= o == none || w[o] < w[none];
        wins += most;
    }
    return (double)wins / (double)t->edges;
}

static double weight_kept(Arena scratch, const StorySearch *search, const AlphaTable *t, const char *text, bool reduce)
{
    Genotype g;
    if (genotype_parse(&scratch, text, &g)) return NAN;
    const Cell *c = reduce ? &g.reduce : &g.normal;
    double sum = 0;
    for (int64_t k = 0; k < c->nodes * c->inputs; k++) {
        const int64_t row = space_edge(k / c->inputs, c->edge[k].input);
        const int64_t column = column_of(search->space, primitive_table[c->edge[k].op].name);
        if (row >= t->edges || column < 0) return NAN;
        sum += t->weight[row * t->ops + column];
    }
    return sum / (double)(c->nodes * c->inputs);
}

/* Mean over the edges where it is defined. */
static double tau_between(const AlphaTable *a, const AlphaTable *b)
{
    double sum = 0;
    int64_t n = 0;
    if (!a || !b || a->edges != b->edges || a->ops != b->ops) return NAN;
    for (int64_t e = 0; e < a->edges; e++) {
        const double tau = mixing_tau(&a->weight[e * a->ops], &b->weight[e * a->ops], a->ops);
        if (isnan(tau)) continue;
        sum += tau;
        n++;
    }
    return n ? sum / (double)n : NAN;
}

void mixing_measure(Arena scratch, const StorySearch *search, int64_t epoch, bool reduce, double value[MIXING_COUNT])
{
    const AlphaTable *t = mixing_table(search, epoch, reduce);
    for (int m = 0; m < MIXING_COUNT; m++) value[m] = NAN;
    if (!t) return;
    const int64_t n = t->edges * t->ops, none = column_of(search->space, "none");
    double entropy = 0, gini = 0, sum = 0, squares = 0;
    int64_t weighted = 0; /* edges that have any weight */
    for (int64_t e = 0; e < t->edges; e++) {
        const double *w = &t->weight[e * t->ops], h = mixing_entropy(w, t->ops);
        if (isnan(h)) continue;
        entropy += h / log((double)t->ops);
        gini += mixing_gini(scratch, w, t->ops);
        weighted++;
    }
    for (int64_t i = 0; i < n; i++) sum += t->weight[i];
    for (int64_t i = 0; i < n; i++) squares += pow(t->weight[i] - sum / (double)n, 2);
    value[MIXING_ENTROPY] = entropy / (double)weighted; /* 0/0: NaN */
    value[MIXING_GINI] = gini / (double)weighted;
    value[MIXING_SIGMA] = sqrt(squares / (double)n);
    value[MIXING_NONE] = column_mean(t, none);
    value[MIXING_NONE_WINS] = none_wins(t, none);
    value[MIXING_SKIP] = column_mean(t, column_of(search->space, "skip_connect"));
    value[MIXING_KEPT] = weight_kept(scratch, search, t, search->epoch[epoch]->genotype, reduce);
    value[MIXING_TAU_PREVIOUS] = tau_between(mixing_table(search, epoch - 1, reduce), t);
    value[MIXING_TAU_LAST] = tau_between(t, mixing_table(search, search->count - 1, reduce));
}
