/* design_scores: see design_scores.h. */
#include "train/design_scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/problems.h"
#include "nn/generator_space.h"
#include "structure/compliance.h"
#include "train/settings.h"

typedef struct {
    double best;    /* up to the step; NaN: no design */
    double least;   /* of all steps */
    double seconds; /* of the last step that counts */
    int64_t steps;
} Design;

typedef struct {
    NetworkRecord net; /* texts copied */
    Design *design;    /* of each problem */
} Designed;

enum { MAX_CANDIDATES = 4096 };
struct DesignScores {
    Arena *perm;
    const DatasetInfo *info;
    Split split;
    const Problem *problem;
    int64_t problems, steps;
    Designed candidate[MAX_CANDIDATES];
    int64_t count;
};

DesignScores *design_scores_new(Arena *perm, const Dataset *d, Split split, int64_t steps)
{
    DesignScores *s = NEW(perm, DesignScores, 1);
    s->perm = perm;
    s->info = &d->info;
    s->split = split;
    s->problem = d->split[split].problems;
    s->problems = d->split[split].count;
    s->steps = steps;
    return s;
}

/* ---- taking in ---- */

static const char *begin(DesignScores *s, const NetworkRecord *n)
{
    const char *dataset = s->info->name;
    if (strcmp(n->task, s->info->task)) return arena_printf(s->perm, "network %s is none that designs", n->run);
    if (strcmp(n->dataset, dataset))
        return arena_printf(s->perm, "%s designed %s, not %s", n->run, n->dataset, dataset);
    if (s->count == MAX_CANDIDATES) return arena_printf(s->perm, "more than %d candidates", MAX_CANDIDATES);
    Designed *c = &s->candidate[s->count++];
    c->net = *n;
    c->net.run = arena_strdup(s->perm, n->run);
    c->net.net = arena_strdup(s->perm, n->net);
    c->net.genotype = arena_strdup(s->perm, n->genotype);
    c->design = NEW(s->perm, Design, s->problems);
    for (int64_t i = 0; i < s->problems; i++) c->design[i] = (Design){.best = NAN, .least = NAN};
    return 0;
}

/* The design of a run, "PROBLEM CANDIDATE", by the latest candidate of that name; 0: of another split, or no design. */
static Design *find(const DesignScores *s, const char *run, int64_t *problem)
{
    for (int64_t k = s->count; k-- > 0;) {
        const char *name = s->candidate[k].net.run;
        const int64_t rest = (int64_t)strlen(run) - (int64_t)strlen(name) - 1;
        if (rest < 1 || run[rest] != ' ' || strcmp(run + rest + 1, name)) continue;
        for (int64_t i = 0; i < s->problems; i++)
            if ((int64_t)strlen(s->problem[i].name) == rest && !memcmp(s->problem[i].name, run, (size_t)rest))
                return *problem = i, &s->candidate[k].design[i];
    }
    return 0;
}

static void take_step(DesignScores *s, const TrainEpoch *e)
{
    int64_t problem;
    Design *d = find(s, e->run, &problem);
    const double C = metric_get(e->metrics, e->metric_count, split_name[s->split], "compliance");
    if (!d || isnan(C)) return;
    d->least = fmin(d->least, C);
    if (s->steps && e->epoch > s->steps) return;
    d->best = fmin(d->best, C);
    d->seconds = e->seconds;
    d->steps = e->epoch;
}

static double simulate(Arena scratch, const Problem *p, const double *x)
{
    const char *why;
    Compliance *c = compliance_open(&scratch, p, &why);
    const double C = c ? compliance_density(c, x, 0) : NAN;
    compliance_close(c);
    return C;
}

static const char *check_density(DesignScores *s, Arena scratch, const TensorRecord *t)
{
    static const double tolerance = 1e-6;
    int64_t i;
    const Design *d = strcmp(t->name, "density") ? 0 : find(s, t->run, &i);
    if (!d) return 0;
    const Problem *p = &s->problem[i];
    if (t->rank != 2 || t->shape[0] != p->H || t->shape[1] != p->W || t->dtype != DTYPE_F64 || !t->data)
        return arena_printf(s->perm, "%s: densities of another grid", t->run);
    double *x = NEW(&scratch, double, p->W * p->H); /* the record's are not aligned */
    memcpy(x, t->data, (size_t)(p->W * p->H) * sizeof *x);
    const double C = simulate(scratch, p, x);
    if (fabs(C - d->least) <= tolerance * d->least) return 0;
    return arena_printf(s->perm, "%s: its densities have compliance %.9g, its curve says %.9g", t->run, C, d->least);
}

const char *design_scores_add(DesignScores *s, Arena scratch, const Record *r)
{
    if (r->kind == REC_NETWORK) return begin(s, &r->network);
    if (r->kind == REC_TRAIN_EPOCH) take_step(s, &r->train_epoch);
    return r->kind == REC_TENSOR ? check_density(s, scratch, &r->tensor) : 0;
}

/* ---- scores ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { METRICS = 3, COLUMNS = 4 };

static Metric *measure(const DesignScores *s, const double *error, int64_t n)
{
    Arena *a = s->perm;
    double *sorted = NEW(a, double, n), sum = 0;
    int64_t near = 0;
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = error[i];
        sum += error[i];
        near += error[i] <= 0.01;
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    Metric *m = NEW(a, Metric, METRICS);
    const char *split = split_name[s->split];
    m[0] = (Metric){"relative_error", split, sum / (double)n};
    m[1] = (Metric){"median_relative_error", split, (sorted[(n - 1) / 2] + sorted[n / 2]) / 2};
    m[2] = (Metric){"within_1_percent", split, (double)near / (double)n};
    return m;
}

/* Parameters and multiply-adds of a candidate on a problem: of a generator those of its network; else a number an element. */
static void size_of(Arena scratch, const NetworkRecord *n, const Problem *p, int64_t *parameters, int64_t *macs)
{
    GeneratorSpec spec = generator_published;
    const bool generator = *n->genotype || !strcmp(n->net, generator_published_name);
    const char *why = *n->genotype ? generator_parse(&scratch, n->genotype, &spec) : 0;
    const Graph *g = generator && !why ? generator_make(&scratch, &spec, p->H, p->W, &why) : 0;
    *parameters = g ? g->weight_count : problem_designable(p);
    *macs = g ? g->macs : 0;
}

static Evaluation score(DesignScores *s, Arena scratch, const Designed *c, const double *known, const double *uniform,
                        int64_t references)
{
    static const char *const columns[COLUMNS] = {"compliance", "best_known", "relative_error", "steps"};
    Arena *a = s->perm;
    double *error = NEW(a, double, s->problems), *trivial = NEW(a, double, s->problems);
    ScoreTable *t = NEW(a, ScoreTable, 1);
    *t = (ScoreTable){.name = "problem",
                      .rows = NEW(a, const char *, s->problems),
                      .metrics = NEW(a, const char *, COLUMNS),
                      .metric_count = COLUMNS,
                      .value = NEW(a, double, s->problems *COLUMNS)};
    for (int i = 0; i < COLUMNS; i++) t->metrics[i] = columns[i];
    double parameters = 0, macs = 0, seconds = 0;
    int64_t n = 0, most = 0;
    for (int64_t i = 0; i < s->problems; i++) {
        const Design *d = &c->design[i];
        if (isnan(d->best)) continue;
        error[n] = d->best / known[i] - 1;
        trivial[n] = uniform[i] / known[i] - 1;
        const double row[COLUMNS] = {d->best, known[i], error[n], (double)d->steps};
        memcpy(t->value + n * COLUMNS, row, sizeof row);
        t->rows[n++] = s->problem[i].name;
        int64_t weights, adds;
        size_of(scratch, &c->net, &s->problem[i], &weights, &adds);
        parameters += (double)weights;
        macs += (double)adds;
        seconds += d->seconds;
        if (d->steps > most) most = d->steps;
    }
    t->row_count = n;
    Settings list = {0};
    settings_add(a, &list, "steps", "%lld", (long long)(s->steps ? s->steps : most));
    settings_add(a, &list, "seed", "%lld", (long long)c->net.seed);
    settings_add(a, &list, "best_known", "published of %lld problems, else the least of the stream",
                 (long long)references);
    if (n < s->problems) settings_add(a, &list, "without_design", "%lld", (long long)(s->problems - n));
    return (Evaluation){.run = c->net.run,
                        .set = "best",
                        .dataset = s->info->name,
                        .split = split_name[s->split],
                        .genotype = c->net.genotype,
                        .net = c->net.net,
                        .count = n,
                        .parameters = n ? (int64_t)(parameters / (double)n + 0.5) : 0,
                        .macs = n ? (int64_t)(macs / (double)n + 0.5) : 0,
                        .seconds = seconds,
                        .metrics = n ? measure(s, error, n) : 0,
                        .metric_count = METRICS,
                        .baseline = n ? measure(s, trivial, n) : 0,
                        .baseline_count = METRICS,
                        .train_mode_loss = NAN,
                        .eval_mode_loss = NAN,
                        .settings = list.item,
                        .setting_count = list.count,
                        .tables = t,
                        .table_count = 1};
}

Evaluation *design_scores_all(DesignScores *s, Arena scratch, int64_t *count, const char **why)
{
    double *known = NEW(s->perm, double, s->problems), *uniform = NEW(s->perm, double, s->problems);
    int64_t references = 0;
    *why = 0;
    *count = 0;
    for (int64_t i = 0; i < s->problems; i++) {
        Arena once = scratch;
        const Problem *p = &s->problem[i];
        double *x = NEW(&once, double, p->W * p->H);
        for (int64_t k = 0; k < p->W * p->H; k++) x[k] = p->density;
        uniform[i] = simulate(once, p, x);
        references += p->reference > 0;
        known[i] = p->reference > 0 ? p->reference : INFINITY;
        for (int64_t k = 0; k < s->count && !(p->reference > 0); k++)
            known[i] = fmin(known[i], s->candidate[k].design[i].least);
        if (isnan(uniform[i])) *why = arena_printf(s->perm, "problem %s cannot be simulated", p->name);
    }
    if (*why) return 0;
    Evaluation *all = NEW(s->perm, Evaluation, s->count);
    for (int64_t k = 0; k < s->count; k++) {
        const Evaluation e = score(s, scratch, &s->candidate[k], known, uniform, references);
        if (e.count) all[(*count)++] = e;
    }
    return all;
}
