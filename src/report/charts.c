/* charts: what figure.c does not draw over epochs alone: weights, spreads, fronts, depths, as panels of series. A box is a
 * series like any other, so that gnuplot, its characters and the page draw the same.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/cells.h"
#include "report/verdict.h"

static double *sorted(Arena *a, const double *x, int64_t n)
{
    double *copy = NEW(a, double, n);
    for (int64_t i = 0; i < n; i++) copy[i] = x[i];
    statistics_sort(copy, n);
    return copy;
}

/* ---- weights ---- */

static void quantile_panel(Arena *a, Figure *f, const StorySearch *search, bool reduce)
{
    static const struct {
        double q;
        const char *label;
        int colour;
        LineStyle style;
    } line[] = {{0.5, "median", 0, LINE_SOLID}, {0, "least, most", 6, LINE_THIN},
                {1, "", 6, LINE_THIN},          {0.1, "1st, 9th tenth", 1, LINE_DASHED},
                {0.9, "", 1, LINE_DASHED},      {0.25, "quartiles", 2, LINE_SOLID},
                {0.75, "", 2, LINE_SOLID}};
    const char *title = arena_printf(a, "%s: %s cell", search->label, reduce ? "reduce" : "normal");
    Panel *p = figure_panel(a, f, title, "mixing weights");
    for (int i = 0; i < COUNTOF(line); i++) {
        Series *s = figure_series(a, p, line[i].label, line[i].colour, line[i].style, search->count);
        for (int64_t k = 0; k < search->count; k++) {
            Arena scratch = *a;
            const AlphaTable *t = mixing_table(search, k, reduce);
            const int64_t n = t ? t->edges * t->ops : 0;
            const double y = t ? statistics_quantile(sorted(&scratch, t->weight, n), n, line[i].q) : NAN;
            figure_point(p, s, (double)search->epoch[k]->epoch, y);
        }
    }
    figure_finish(f);
}

/* Of the first, the middle and the last epoch, as stairs over 0 … the largest weight. */
static void histogram_panel(Arena *a, Figure *f, const StorySearch *search, bool reduce)
{
    enum { BINS = 24, EPOCHS = 3 };
    int64_t epoch[EPOCHS] = {0, (search->count - 1) / 2, search->count - 1};
    double most = 0;
    for (int i = 0; i < EPOCHS; i++) {
        const AlphaTable *t = mixing_table(search, epoch[i], reduce);
        for (int64_t k = 0; t && k < t->edges * t->ops; k++) most = fmax(most, t->weight[k]);
    }
    if (!(most > 0)) return;
    const char *title = arena_printf(a, "%s: %s cell", search->label, reduce ? "reduce" : "normal");
    Panel *p = figure_panel(a, f, title, "share of the weights");
    p->x_title = "mixing weight";
    for (int i = 0; i < EPOCHS; i++) {
        const AlphaTable *t = mixing_table(search, epoch[i], reduce);
        if (!t || (i && epoch[i] == epoch[i - 1])) continue;
        double share[BINS] = {0};
        for (int64_t k = 0; k < t->edges * t->ops; k++) {
            const int64_t bin = (int64_t)(t->weight[k] / most * BINS);
            share[bin < BINS ? bin : BINS - 1] += 1 / (double)(t->edges * t->ops);
        }
        Series *s = figure_series(a, p, arena_printf(a, "epoch %lld", (long long)search->epoch[epoch[i]]->epoch), i,
                                  i == EPOCHS - 1 ? LINE_SOLID : LINE_DASHED, 2 * BINS);
        for (int b = 0; b < BINS; b++) {
            figure_point(p, s, most * b / BINS, share[b]);
            figure_point(p, s, most * (b + 1) / BINS, share[b]);
        }
    }
    figure_finish(f);
}

Figure figure_weights(const Story *s, Arena *a)
{
    Figure f = {0};
    for (int64_t i = 0; i < s->search_count; i++)
        for (int reduce = 0; reduce < 2; reduce++) {
            if (!mixing_table(&s->search[i], s->search[i].count - 1, reduce)) continue;
            quantile_panel(a, &f, &s->search[i], reduce);
            histogram_panel(a, &f, &s->search[i], reduce);
        }
    return f;
}

/* ---- contests ---- */

static const char *contest_title(Arena *a, const Contest *c)
{
    return arena_printf(a, "%s, %s", c->dataset[0] ? c->dataset : "unnamed dataset", c->split);
}

/* Quartiles as a box, the median across it, whiskers to the least and the most. */
static void add_box(Arena *a, Panel *p, const Contender *x, int64_t place)
{
    const double *v = sorted(a, x->value, x->count), at = (double)place, half = 0.3;
    const double low = statistics_quantile(v, x->count, 0.25), high = statistics_quantile(v, x->count, 0.75),
                 middle = statistics_quantile(v, x->count, 0.5);
    const double box[][2] = {
        {at, v[0]}, {at, low},         {at - half, low}, {at - half, high}, {at, high}, {at, v[x->count - 1]},
        {at, high}, {at + half, high}, {at + half, low}, {at, low}};
    const double median[][2] = {{at - half, middle}, {at + half, middle}};
    Series *s = figure_series(a, p, "", place, LINE_SOLID, COUNTOF(box));
    for (int i = 0; i < COUNTOF(box); i++) figure_point(p, s, box[i][0], box[i][1]);
    s = figure_series(a, p, "", place, LINE_SOLID, 2);
    for (int i = 0; i < 2; i++) figure_point(p, s, median[i][0], median[i][1]);
}

Figure figure_spread(const Story *s, Arena *a)
{
    enum { BOXED = 4 }; /* runs that are worth a box */
    Figure f = {0};
    int64_t count;
    Contest **all = verdict_contests(s, a, &count);
    for (int64_t i = 0; i < count; i++) {
        const Contest *c = all[i];
        Panel *p = figure_panel(a, &f, contest_title(a, c), c->metric);
        p->x_name = NEW(a, const char *, c->count);
        p->x_names = c->count;
        for (int64_t k = 0; k < c->count; k++) {
            const Contender *x = &c->contender[k];
            p->x_name[k] = arena_printf(a, "%s (%lld)", x->name, (long long)x->count);
            if (x->count >= BOXED) add_box(a, p, x, k);
            Series *dots = figure_series(a, p, "", k, LINE_POINTS, x->count);
            for (int64_t r = 0; r < x->count; r++) figure_point(p, dots, (double)k, x->value[r]);
        }
        if (!isnan(c->trivial)) {
            Series *line = figure_series(a, p, "trivial predictor", 6, LINE_DASHED, 2);
            figure_point(p, line, -0.5, c->trivial);
            figure_point(p, line, (double)c->count - 0.5, c->trivial);
        }
        figure_finish(&f);
    }
    return f;
}

typedef struct {
    double cost, value;
} Place;

static int by_cost(const void *a, const void *b)
{
    const double x = ((const Place *)a)->cost, y = ((const Place *)b)->cost;
    return (x > y) - (x < y);
}

/* The networks that no other beats at the same or a lower cost, as stairs. */
static void add_front(Arena *a, Panel *p, Place *place, int64_t count, bool higher)
{
    qsort(place, (size_t)count, sizeof *place, by_cost);
    Series *s = figure_series(a, p, "Pareto front", 6, LINE_DASHED, 2 * count + 1);
    double best = NAN;
    for (int64_t i = 0; i < count; i++) {
        double here = place[i].value; /* of those of one cost, the best */
        while (i + 1 < count && place[i + 1].cost <= place[i].cost) {
            i++;
            here = higher ? fmax(here, place[i].value) : fmin(here, place[i].value);
        }
        if (!isnan(best) && (higher ? here <= best : here >= best)) continue;
        if (!isnan(best)) figure_point(p, s, place[i].cost, best);
        figure_point(p, s, place[i].cost, here);
        best = here;
    }
    if (count && !isnan(best)) figure_point(p, s, place[count - 1].cost, best);
}

static void front_panel(Arena *a, Figure *f, const Contest *c, bool macs)
{
    int64_t runs = 0, known = 0;
    for (int64_t k = 0; k < c->count; k++) runs += c->contender[k].count;
    Place *place = NEW(a, Place, runs);
    Panel *p = figure_panel(a, f, contest_title(a, c), c->metric);
    p->x_title = macs ? "MACs" : "parameters";
    p->log_x = true;
    for (int64_t k = 0; k < c->count; k++) {
        const Contender *x = &c->contender[k];
        Series *s = figure_series(a, p, x->name, k, LINE_POINTS, x->count);
        for (int64_t r = 0; r < x->count; r++) {
            const double cost = macs ? x->macs[r] : x->parameters[r];
            if (!(cost > 0)) continue;
            figure_point(p, s, cost, x->value[r]);
            place[known++] = (Place){cost, x->value[r]};
        }
    }
    add_front(a, p, place, known, c->higher);
    figure_finish(f);
}

Figure figure_fronts(const Story *s, Arena *a)
{
    Figure f = {0};
    int64_t count;
    Contest **all = verdict_contests(s, a, &count);
    for (int64_t i = 0; i < count; i++)
        for (int macs = 0; macs < 2; macs++) front_panel(a, &f, all[i], macs);
    return f;
}

/* ---- depth ---- */

typedef struct {
    const char *dataset, *metric, *name, *what; /* what: genotype or net, told apart by it */
    int64_t layers, channels;
    double value;
} Sized; /* one network of a known size */

static Sized *sized(const Story *s, Arena *a, int64_t *count)
{
    Sized *all = NEW(a, Sized, s->count);
    *count = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const Record *r = &s->item[i].r;
        Sized x = {0};
        const Metric *m = 0;
        int64_t n = 0;
        if (r->kind == REC_TRANSFER) {
            const TransferRow *t = &r->transfer;
            x = (Sized){t->to, 0, t->name[0] ? t->name : "unnamed", t->genotype, t->layers, t->channels, 0};
            m = t->metrics;
            n = t->metric_count;
        } else if (r->kind == REC_EVALUATION && !strcmp(r->evaluation.split, split_name[SPLIT_TEST])) {
            const Evaluation *e = &r->evaluation;
            const NetworkRecord *net = story_network(s, &s->item[i]);
            if (!net) continue;
            x = (Sized){e->dataset, 0, e->run, e->genotype[0] ? e->genotype : e->net, net->layers, net->channels, 0};
            m = e->metrics;
            n = e->metric_count;
        }
        x.metric = metric_primary(m, n, 0);
        x.value = x.metric ? metric_by_name(m, n, x.metric) : NAN;
        if (!isnan(x.value) && x.layers > 0 && x.channels > 0) all[(*count)++] = x;
    }
    return all;
}

static bool same_contest(const Sized *x, const Sized *y)
{
    return !strcmp(x->dataset, y->dataset) && !strcmp(x->metric, y->metric);
}

static int64_t size_of(const Sized *x, bool channels)
{
    return channels ? x->channels : x->layers;
}

static bool same_series(const Sized *x, const Sized *y, bool channels)
{
    return same_contest(x, y) && !strcmp(x->what, y->what) && size_of(x, !channels) == size_of(y, !channels);
}

/* Means over the runs of one size, from the smallest; no series if all have the same size. */
static void size_series(Arena *a, Panel *p, const Sized *all, int64_t count, int64_t first, int64_t colour,
                        bool channels)
{
    int64_t sizes = 0, last = 0;
    const Sized *x = &all[first];
    const char *label =
        arena_printf(a, "%s, %lld %s", x->name, (long long)size_of(x, !channels), channels ? "layers" : "channels");
    Series *s = figure_series(a, p, label, colour, LINE_SOLID, count);
    for (;; sizes++) {
        int64_t next = INT64_MAX, n = 0;
        double sum = 0;
        for (int64_t i = first; i < count; i++) {
            const int64_t size = size_of(&all[i], channels);
            if (same_series(x, &all[i], channels) && size > last && size < next) next = size;
        }
        if (next == INT64_MAX) break;
        for (int64_t i = first; i < count; i++) {
            if (!same_series(x, &all[i], channels) || size_of(&all[i], channels) != next) continue;
            sum += all[i].value;
            n++;
        }
        figure_point(p, s, (double)next, sum / (double)n);
        last = next;
    }
    if (sizes < 2) p->count--;
}

static void size_panel(Arena *a, Figure *f, const Sized *all, int64_t count, int64_t first, bool channels)
{
    Panel *p = figure_panel(a, f, all[first].dataset[0] ? all[first].dataset : "unnamed dataset", all[first].metric);
    p->x_title = channels ? "channels" : "layers";
    p->whole_x = true;
    for (int64_t i = first; i < count; i++) {
        bool told = !same_contest(&all[first], &all[i]);
        for (int64_t k = first; k < i && !told; k++) told = same_series(&all[k], &all[i], channels);
        if (!told) size_series(a, p, all, count, i, p->count, channels);
    }
    if (p->count) /* the ranges are those of the series that stayed */
        p->x0 = p->y0 = DBL_MAX, p->x1 = p->y1 = -DBL_MAX;
    for (int64_t i = 0; i < p->count; i++) {
        Series *s = &p->series[i];
        const int64_t points = s->count;
        for (s->count = 0; s->count < points;) figure_point(p, s, s->x[s->count], s->y[s->count]);
    }
    figure_finish(f);
}

Figure figure_depth(const Story *s, Arena *a)
{
    Figure f = {0};
    int64_t count;
    const Sized *all = sized(s, a, &count);
    for (int64_t i = 0; i < count; i++) {
        bool told = false;
        for (int64_t k = 0; k < i && !told; k++) told = same_contest(&all[k], &all[i]);
        for (int channels = 0; channels < 2 && !told; channels++) size_panel(a, &f, all, count, i, channels);
    }
    return f;
}
