/* perturb: see perturb.h. */
#include "search/perturb.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "cli/cli.h"
#include "optim/schedule.h"
#include "train/evaluate.h"

enum { TABLES = 2 };

typedef struct {
    const Workplace *place;
    const PerturbSettings *settings;
    const Space *space;
    const MetricInfo *selects;
    Engine *engine;
    Tally tally;
    Arena scratch;
    int64_t edges, cells;    /* of a table; elements of it */
    int64_t columns, bypass; /* of an edge in the engine; which one is the bypass, or -1 */
    double *table[TABLES];   /* (edges, ops): the mixture as it is now */
    double *whole[TABLES];   /* (edges): what the operations of an edge weighed together, at most 1 */
    bool used[TABLES];       /* by the supernet */
    int64_t samples, batch, evaluations, planned;
    const char *why; /* sticky */
} Perturb;

typedef struct {
    double loss, metric;
} Score;

/* ---- measuring ---- */

/* Sets the mixture; what has no weight is not computed. */
static void set_mixture(Perturb *p)
{
    Arena once = p->scratch;
    const int64_t ops = p->space->op_count, n = p->edges * p->columns;
    float *weight = NEW(&once, float, n);
    uint8_t *active = NEW(&once, uint8_t, n);
    for (int t = 0; t < TABLES; t++) {
        for (int64_t edge = 0; edge < p->edges; edge++) {
            float *to = weight + edge * p->columns;
            bool stands = false;
            for (int64_t k = 0; k < ops; k++) {
                to[k] = (float)p->table[t][edge * ops + k];
                stands |= to[k] != 0;
            }
            for (int64_t k = ops; k < p->columns; k++) to[k] = stands && k == p->bypass ? (float)p->whole[t][edge] : 0;
        }
        for (int64_t i = 0; i < n; i++) active[i] = weight[i] != 0;
        engine_set_mix(p->engine, t, weight);
        engine_set_active(p->engine, t, active);
    }
}

static Score measure(Perturb *p)
{
    Score s = {NAN, NAN};
    if (p->why) return s;
    set_mixture(p);
    Metric m[TALLY_METRICS];
    int64_t n = 0;
    evaluate_split(p->engine, p->place->data, p->settings->split, p->samples, p->batch, MODE_TRAIN, &p->tally, &p->why);
    tally_metrics(&p->tally, "", m, &n, COUNTOF(m));
    s.loss = metric_get(m, n, "", "loss");
    s.metric = p->settings->by_loss ? 0 : metric_get(m, n, "", p->selects->name);
    p->evaluations++;
    cli_progress("perturbation: evaluation %lld of %lld", (long long)p->evaluations, (long long)p->planned);
    return s;
}

/* The mixture without some elements of an edge, which are put back. */
static Score measure_without(Perturb *p, int t, int64_t first, int64_t count)
{
    double kept[SPACE_MAX_OPS], *at = p->table[t] + first;
    memcpy(kept, at, (size_t)count * sizeof *at);
    memset(at, 0, (size_t)count * sizeof *at);
    Score s = measure(p);
    memcpy(at, kept, (size_t)count * sizeof *at);
    return s;
}

/* Does it hurt more to do without a than without b? A loss that is no number is the greatest. */
static bool worse(const Perturb *p, Score a, Score b)
{
    if (a.metric != b.metric && !isnan(a.metric) && !isnan(b.metric))
        return p->selects->higher ? a.metric < b.metric : a.metric > b.metric;
    return isnan(a.loss) ? !isnan(b.loss) : a.loss > b.loss;
}

/* ---- fine-tuning ---- */

static void tune(Perturb *p)
{
    const PerturbSettings *o = p->settings;
    const Dataset *d = p->place->data;
    if (!o->tune_epochs || p->why) return;
    set_mixture(p);
    LoaderSpec spec = {.split = SPLIT_TRAIN, .batch = p->batch, .shuffle = true, .seed = p->place->seed};
    Loader *l = loader_open(d, &spec, &p->why);
    if (!l) return;
    Arena once = p->scratch;
    float *y = NEW(&once, float, p->batch * d->target_width);
    for (int64_t step = 0; step < o->tune_epochs * loader_batches(l) && !p->why; step++) {
        Batch b = loader_next(l);
        task_scale_targets(&d->info, b.y, b.n, d->target_width, y);
        engine_batch(p->engine, b.x, y, b.n);
        engine_forward(p->engine, MODE_TRAIN);
        engine_backward(p->engine, GRAD_WEIGHTS);
        engine_clip(p->engine, 5); /* settings of the search as published */
        engine_sgd(p->engine, o->tune_lr, 0.9, 3e-4, false, 1);
        if (!isfinite(engine_loss(p->engine))) {
            p->why = engine_error(p->engine);
            if (!p->why) p->why = "the fine-tuning diverges: a smaller --tune-lr may help";
            break;
        }
    }
    loader_close(l);
}

/* ---- decisions ---- */

static void decide_op(Perturb *p, int t, int64_t edge, int8_t *choice, double *margin)
{
    const Space *s = p->space;
    int none = space_none(s), best = -1;
    Score most = {0};
    double second = NAN;
    bool alone = s->op_count - (none >= 0) == 1;
    for (int k = 0; k < s->op_count; k++) {
        if (k == none) continue;
        Score now = alone ? most : measure_without(p, t, edge * s->op_count + k, 1);
        if (best < 0 || worse(p, now, most)) {
            if (best >= 0 && !(most.loss <= second)) second = most.loss;
            best = k;
            most = now;
        } else if (!(now.loss <= second)) {
            second = now.loss;
        }
    }
    *choice = (int8_t)best;
    *margin = alone || !isfinite(most.loss - second) ? 0 : most.loss - second;
    double *row = p->table[t] + edge * s->op_count;
    for (int k = 0; k < s->op_count; k++) row[k] = k == best ? p->whole[t][edge] : 0;
}

/* Keeps the inputs of a node that are missed most, the most missed one first. */
static void decide_inputs(Perturb *p, int t, int64_t node, int64_t *kept)
{
    const Space *s = p->space;
    Score score[GENOTYPE_MAX_NODES + 1];
    bool taken[GENOTYPE_MAX_NODES + 1] = {false};
    for (int64_t input = 0; input < node + 2; input++)
        score[input] = measure_without(p, t, space_edge(node, input) * s->op_count, s->op_count);
    for (int64_t k = 0; k < s->inputs; k++) {
        int64_t best = -1;
        for (int64_t input = 0; input < node + 2; input++)
            if (!taken[input] && (best < 0 || worse(p, score[input], score[best]))) best = input;
        taken[best] = true;
        kept[k] = best;
    }
    for (int64_t input = 0; input < node + 2; input++)
        if (!taken[input])
            memset(p->table[t] + space_edge(node, input) * s->op_count, 0, (size_t)s->op_count * sizeof(double));
}

/* The decisions of one part in random order: index of a permutation to table and place. */
static int64_t *order_of(Perturb *p, uint64_t part, int64_t count)
{
    int64_t *order = NEW(&p->scratch, int64_t, count);
    rng_permutation(p->place->seed, RNG_CELL, (UINT64_C(1) << 62) + part, order, count); /* beyond all random cells */
    return order;
}

static void decide(Perturb *p, Derived *out)
{
    const Space *s = p->space;
    Cell *cell[TABLES] = {&out->genotype.normal, &out->genotype.reduce};
    int8_t *choice = NEW(&p->scratch, int8_t, TABLES * p->edges);
    double *margin = NEW(&p->scratch, double, TABLES * p->edges);
    int64_t *order = order_of(p, 0, TABLES * p->edges);
    for (int64_t i = 0; i < TABLES * p->edges && !p->why; i++) {
        int t = (int)(order[i] / p->edges);
        if (!p->used[t]) continue;
        decide_op(p, t, order[i] % p->edges, &choice[order[i]], &margin[order[i]]);
        tune(p);
    }
    order = order_of(p, 1, TABLES * s->nodes);
    for (int64_t i = 0; i < TABLES * s->nodes && !p->why; i++) {
        int64_t t = order[i] / s->nodes, node = order[i] % s->nodes, kept[GENOTYPE_MAX_INPUTS];
        if (!p->used[t]) continue;
        decide_inputs(p, (int)t, node, kept);
        if (node + 2 > s->inputs) tune(p);
        for (int64_t k = 0; k < s->inputs; k++) {
            int64_t edge = t * p->edges + space_edge(node, kept[k]);
            cell[t]->edge[node * s->inputs + k] = (GeneEdge){.op = s->op[choice[edge]], .input = (int8_t)kept[k]};
            out->margin[(t * s->nodes + node) * s->inputs + k] = margin[edge];
        }
    }
}

/* ---- the whole ---- */

static int64_t count_evaluations(const Perturb *p)
{
    const Space *s = p->space;
    int64_t ops = s->op_count - (space_none(s) >= 0), n = 2; /* at the start and at the end */
    for (int t = 0; t < TABLES; t++)
        if (p->used[t]) n += p->edges * (ops > 1 ? ops : 0) + p->edges;
    return n;
}

const char *perturb_derive(Arena *perm, Arena scratch, const Workplace *w, const PerturbSettings *o, const Space *s,
                           const NetSpec *besides, const Graph *g, const float *weights, const float *stats,
                           const double *normal, const double *reduce, Derived *out, PerturbReport *report)
{
    const char *why = derive_magnitude(perm, s, normal, reduce, 0, out); /* of a table that is not used */
    if (why) return why;
    const Dataset *d = w->data;
    Perturb p = {.place = w, .settings = o, .space = s, .selects = task_selects(&d->info)};
    p.samples = dataset_limit(o->limit, d->split[o->split].count);
    if (p.samples < 1) return arena_printf(perm, "the %s split is empty", split_name[o->split]);
    if (o->tune_epochs && !d->split[SPLIT_TRAIN].count) return "the train split is empty";
    EngineOptions options = {.device = w->device,
                             .tf32 = w->tf32,
                             .precision = w->precision,
                             .batch = dataset_limit(o->batch, p.samples),
                             .pool = w->pool,
                             .forward_only = !o->tune_epochs};
    ForecastNeed need = {
        .fixed = tally_bytes(d, p.samples), .per_sample = 2 * loader_bytes(d), .limit = o->memory << 20, .least = 2};
    Forecast forecast;
    why = forecast_fit(perm, scratch, g, &options, &need, &forecast);
    if (!why) why = tally_open(perm, d, task_find(d->info.task), p.samples, options.batch, &p.tally);
    p.engine = why ? 0 : engine_open(perm, g, &options, &why);
    if (why) return why;
    p.tally.brief = true;
    p.batch = report->batch = options.batch;
    if (forecast.batch != forecast.asked) /* batch statistics: it changes the result */
        cli_warn("batch %lld instead of %lld: there is memory for no more", (long long)forecast.batch,
                 (long long)forecast.asked);
    p.edges = space_edges(s);
    int64_t skip;
    p.columns = network_columns(s, besides, &p.bypass, &skip);
    p.cells = p.edges * s->op_count;
    const double *from[TABLES] = {normal, reduce};
    for (int t = 0; t < TABLES; t++) {
        p.table[t] = NEW(&scratch, double, p.cells);
        memcpy(p.table[t], from[t], (size_t)p.cells * sizeof(double));
        p.whole[t] = NEW(&scratch, double, p.edges);
        for (int64_t edge = 0; edge < p.edges; edge++) {
            for (int64_t k = 0; k < s->op_count; k++) p.whole[t][edge] += from[t][edge * s->op_count + k];
            p.whole[t][edge] = fmin(1, p.whole[t][edge]);
        }
    }
    p.scratch = scratch;
    graph_tables_used(g, p.used, TABLES);
    p.planned = count_evaluations(&p);
    engine_upload(p.engine, BLOCK_WEIGHTS, weights);
    engine_upload(p.engine, BLOCK_STATS, stats);
    report->before = measure(&p).loss;
    decide(&p, out);
    report->after = measure(&p).loss;
    cli_progress_done();
    derive_describe(s, normal, reduce, out);
    report->evaluations = p.evaluations;
    report->samples = p.samples;
    why = p.why ? arena_strdup(perm, p.why) : 0;
    engine_close(p.engine);
    return why;
}
