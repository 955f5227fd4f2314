/* generators: see generators.h. */
#include "search/generators.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "optim/adam.h"

const char generators_strategy[] = "ranks", generators_metric[] = "relative_compliance";

typedef struct { /* all that changes while it runs */
    const Dataset *data;
    const GeneratorsSettings *settings;
    GeneratorSpace space;
    Pool *pool;
    Writer *out;
    Checkpoint *checkpoint;
    volatile int stop;
    int64_t epoch;
    double started;
    double *alpha, *moment1, *moment2, *weight; /* (columns) */
    int64_t judged[GENERATOR_MAX_DECISIONS];    /* choice of the figure below */
    double figure;
    double *published; /* (judges) compliance of the published generator */
} Generators;

/* ---- weights ---- */

void generators_likeliest(const GeneratorSpace *s, const double *weight, int64_t *choice)
{
    for (int64_t d = 0; d < s->decisions; d++) {
        const double *w = weight + s->decision[d].first;
        choice[d] = 0;
        for (int64_t c = 1; c < s->decision[d].count; c++)
            if (w[c] > w[choice[d]]) choice[d] = c;
    }
}

double generators_margin(const GeneratorSpace *s, int64_t decision, const double *weight, int64_t choice)
{
    const double *w = weight + s->decision[decision].first;
    double next = 0;
    for (int64_t c = 0; c < s->decision[decision].count; c++)
        if (c != choice) next = fmax(next, w[c]);
    return w[choice] - next;
}

const char *generators_table(Arena *perm, const GeneratorSpace *s, int64_t decision)
{
    const GeneratorDecision *d = &s->decision[decision];
    return arena_printf(perm, "stages.%d.%s", d->stage, generator_part_name[d->part]);
}

const char *generators_weights(Arena *perm, const GeneratorSpace *s, const SearchEpoch *e, double *weight)
{
    for (int64_t d = 0; d < s->decisions; d++) {
        const GeneratorDecision *of = &s->decision[d];
        const char *name = generators_table(perm, s, d);
        int64_t t = 0;
        while (t < e->table_count && strcmp(e->tables[t].name, name)) t++;
        if (t == e->table_count) return arena_printf(perm, "a search epoch without the table \"%s\"", name);
        if (e->tables[t].edges != 1 || e->tables[t].ops != of->count || !e->tables[t].weight)
            return arena_printf(perm, "the table \"%s\" does not fit the search space", name);
        for (int64_t c = 0; c < of->count; c++) {
            const double w = weight[of->first + c] = e->tables[t].weight[c];
            if (!(w >= 0 && isfinite(w))) return arena_printf(perm, "the table \"%s\" has a weight that is none", name);
        }
    }
    return 0;
}

static void soften(const GeneratorSpace *s, const double *alpha, double *weight)
{
    for (int64_t d = 0; d < s->decisions; d++) {
        const int64_t first = s->decision[d].first, count = s->decision[d].count;
        double most = -INFINITY, sum = 0;
        for (int64_t c = first; c < first + count; c++) most = fmax(most, alpha[c]);
        for (int64_t c = first; c < first + count; c++) sum += weight[c] = exp(alpha[c] - most);
        for (int64_t c = first; c < first + count; c++) weight[c] /= sum;
    }
}

static void draw(const Generators *g, uint64_t index, int64_t *choice)
{
    for (int64_t d = 0; d < g->space.decisions; d++) {
        const double *w = g->weight + g->space.decision[d].first;
        double u = rng_uniform((uint64_t)cli_common.seed, RNG_GENERATOR, index << 8 | (uint64_t)d);
        for (choice[d] = 0; choice[d] < g->space.decision[d].count - 1 && u >= w[choice[d]]; choice[d]++)
            u -= w[choice[d]];
    }
}

/* ---- designs ---- */

static void seen(void *context, int64_t job, const DesignRun *run)
{
    (void)job;
    (void)run;
    if (cli_interrupted()) ((Generators *)context)->stop = 1;
}

static double run_value(const DesignJob *j)
{
    return j->why || !isfinite(j->best) ? INFINITY : j->best;
}

/* Compliances of designs by generators: spec[i] on problem[i]. False: interrupted. */
static bool run_all(Generators *g, Arena scratch, const GeneratorSpec *spec, const Problem *const *problem,
                    int64_t count, uint64_t seed, double *value)
{
    DesignJob *job = NEW(&scratch, DesignJob, count);
    for (int64_t i = 0; i < count; i++)
        job[i] = (DesignJob){.problem = problem[i]->name,
                             .given = problem[i],
                             .generator = &spec[i],
                             .steps = g->settings->steps,
                             .seed = seed};
    design_watch(&scratch, g->pool, job, count, &(DesignWatch){.stop = &g->stop, .seen = seen, .context = g});
    for (int64_t i = 0; i < count; i++) value[i] = run_value(&job[i]);
    return !g->stop;
}

static int64_t at_most(int64_t limit, int64_t have)
{
    return limit && limit < have ? limit : have;
}

/* The figure of the likeliest generator; one that was judged already is not again. */
static bool judge(Generators *g, Arena scratch)
{
    const SplitData *train = &g->data->split[SPLIT_TRAIN];
    const int64_t n = at_most(g->settings->judges, train->count);
    const Problem **problem = NEW(&scratch, const Problem *, n);
    GeneratorSpec *spec = NEW(&scratch, GeneratorSpec, n);
    double *value = NEW(&scratch, double, n);
    for (int64_t i = 0; i < n; i++) problem[i] = &train->problems[i];
    if (isnan(g->published[0])) {
        for (int64_t i = 0; i < n; i++) spec[i] = generator_published;
        if (!run_all(g, scratch, spec, problem, n, (uint64_t)cli_common.seed, g->published)) return false;
    }
    int64_t choice[GENERATOR_MAX_DECISIONS] = {0};
    generators_likeliest(&g->space, g->weight, choice);
    if (!isnan(g->figure) && !memcmp(choice, g->judged, sizeof choice)) return true;
    for (int64_t i = 0; i < n; i++) generator_decide(&g->space, choice, &spec[i]);
    if (!run_all(g, scratch, spec, problem, n, (uint64_t)cli_common.seed, value)) return false;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += log(value[i] / g->published[i]);
    g->figure = exp(sum / (double)n);
    memcpy(g->judged, choice, sizeof choice);
    return true;
}

/* Utilities of the values of one problem: by rank, 1/2 for the least to -1/2. */
static void rank(const double *value, int64_t n, double *utility)
{
    for (int64_t i = 0; i < n; i++) {
        double less = 0;
        for (int64_t k = 0; k < n; k++) less += value[k] < value[i] ? 1 : value[k] > value[i] || k == i ? 0 : 0.5;
        utility[i] = 0.5 - less / (double)(n - 1);
    }
}

/* One epoch: draws, designs, a step of the alphas. */
static bool learn(Generators *g, Arena scratch)
{
    const GeneratorsSettings *s = g->settings;
    const GeneratorSpace *space = &g->space;
    const SplitData *alpha = &g->data->split[SPLIT_ALPHA];
    const int64_t problems = at_most(s->problems, alpha->count), n = problems * s->draws;
    const Problem **problem = NEW(&scratch, const Problem *, n);
    GeneratorSpec *spec = NEW(&scratch, GeneratorSpec, n);
    int64_t *choice = NEW(&scratch, int64_t, n * GENERATOR_MAX_DECISIONS),
            *order = NEW(&scratch, int64_t, alpha->count);
    double *value = NEW(&scratch, double, n), *utility = NEW(&scratch, double, n);
    double *gradient = NEW(&scratch, double, space->columns);
    rng_permutation((uint64_t)cli_common.seed, RNG_SHUFFLE, (uint64_t)g->epoch, order, alpha->count);
    for (int64_t i = 0; i < n; i++) {
        problem[i] = &alpha->problems[order[i / s->draws]];
        draw(g, (uint64_t)(g->epoch << 20 | i), choice + i * GENERATOR_MAX_DECISIONS);
        generator_decide(space, choice + i * GENERATOR_MAX_DECISIONS, &spec[i]);
    }
    const uint64_t seed = rng_u64((uint64_t)cli_common.seed, RNG_GENERATOR, UINT64_MAX - (uint64_t)g->epoch) >> 1;
    if (!run_all(g, scratch, spec, problem, n, seed, value)) return false;
    for (int64_t p = 0; p < problems; p++) rank(value + p * s->draws, s->draws, utility + p * s->draws);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < space->decisions; d++)
            for (int64_t c = 0; c < space->decision[d].count; c++) {
                const int64_t column = space->decision[d].first + c;
                const double here = choice[i * GENERATOR_MAX_DECISIONS + d] == c;
                gradient[column] -= utility[i] * (here - g->weight[column]) / (double)n; /* Adam descends */
            }
    const AdamSettings adam = {s->lr, s->beta1, s->beta2, 1e-8};
    adam_step(&adam, ++g->epoch, space->columns, gradient, g->moment1, g->moment2, g->alpha);
    soften(space, g->alpha, g->weight);
    return true;
}

/* ---- what is told ---- */

static void put_space(Generators *g, Arena a)
{
    const GeneratorsSettings *s = g->settings;
    SearchSpace r = {.strategy = generators_strategy,
                     .layers = generator_published.stages,
                     .channels = generator_published.channels,
                     .dataset = g->data->info.name,
                     .seed = cli_common.seed};
    int64_t room = 0;
    for (int part = 0; part < PART_COUNT; part++) room += g->space.options[part];
    r.ops = NEW(&a, const char *, room);
    for (int part = 0; part < PART_COUNT; part++)
        for (int64_t i = 0; i < g->space.options[part]; i++) r.ops[r.op_count++] = g->space.option[part][i]->name;
    Settings list = {0};
    settings_add(&a, &list, "draws", "%lld", (long long)s->draws);
    settings_add(&a, &list, "problems", "%lld", (long long)at_most(s->problems, g->data->split[SPLIT_ALPHA].count));
    settings_add(&a, &list, "judges", "%lld", (long long)at_most(s->judges, g->data->split[SPLIT_TRAIN].count));
    settings_add(&a, &list, "steps", "%lld", (long long)s->steps);
    settings_add(&a, &list, "alpha_lr", "%g", s->lr);
    settings_add(&a, &list, "alpha_beta1", "%g", s->beta1);
    settings_add(&a, &list, "alpha_beta2", "%g", s->beta2);
    r.settings = list.item;
    r.setting_count = list.count;
    writer_put(g->out, &(Record){.kind = REC_SPACE, .space = r});
}

static void put_epoch(const Generators *g, Arena a)
{
    const GeneratorSpace *s = &g->space;
    int64_t choice[GENERATOR_MAX_DECISIONS] = {0};
    generators_likeliest(s, g->weight, choice);
    GeneratorSpec spec;
    generator_decide(s, choice, &spec);
    Metric figure = {generators_metric, split_name[SPLIT_TRAIN], g->figure};
    SearchEpoch e = {.epoch = g->epoch,
                     .epochs = g->settings->epochs,
                     .steps = g->epoch,
                     .seconds = clock_wall() - g->started,
                     .learning_rate = g->settings->lr,
                     .tables = NEW(&a, AlphaTable, s->decisions),
                     .table_count = s->decisions,
                     .genotype = generator_print(&a, &spec),
                     .metrics = &figure,
                     .metric_count = 1};
    for (int64_t d = 0; d < s->decisions; d++) {
        const int64_t first = s->decision[d].first, count = s->decision[d].count;
        AlphaTable *t = &e.tables[d];
        *t = (AlphaTable){.name = generators_table(&a, s, d),
                          .edges = 1,
                          .ops = count,
                          .raw = g->alpha + first,
                          .weight = g->weight + first,
                          .entropy = NEW(&a, double, 1),
                          .margin = NEW(&a, double, 1)};
        for (int64_t c = first; c < first + count; c++)
            t->entropy[0] -= g->weight[c] > 0 ? g->weight[c] * log(g->weight[c]) : 0;
        t->margin[0] = generators_margin(s, d, g->weight, choice[d]);
    }
    writer_put(g->out, &(Record){.kind = REC_SEARCH_EPOCH, .search_epoch = e});
    writer_flush(g->out);
    cli_progress("search: epoch %lld of %lld, relative compliance %.4f", (long long)g->epoch,
                 (long long)g->settings->epochs, g->figure);
}

static void state(void *of, State *s)
{
    Generators *g = of;
    state_int(s, "epoch", &g->epoch);
    state_real(s, "figure", &g->figure);
    state_clock(s, "started", &g->started);
    state_block(s, "alpha", DTYPE_F64, g->alpha, g->space.columns);
    state_block(s, "moment1", DTYPE_F64, g->moment1, g->space.columns);
    state_block(s, "moment2", DTYPE_F64, g->moment2, g->space.columns);
    state_block(s, "judged", DTYPE_I64, g->judged, GENERATOR_MAX_DECISIONS);
    state_block(s, "published", DTYPE_F64, g->published,
                at_most(g->settings->judges, g->data->split[SPLIT_TRAIN].count));
}

/* ---- the whole ---- */

int64_t generators_count(Arena *perm, const Dataset *d, const GeneratorsSettings *s, const char **why)
{
    const Split needed[] = {SPLIT_TRAIN, SPLIT_ALPHA};
    const int64_t multiple = generator_multiple(&generator_published);
    *why = 0;
    for (int i = 0; i < COUNTOF(needed); i++) {
        const SplitData *of = &d->split[needed[i]];
        if (!of->count) *why = arena_printf(perm, "the %s split is empty", split_name[needed[i]]);
        for (int64_t k = 0; k < of->count; k++)
            if (of->problems[k].W % multiple || of->problems[k].H % multiple)
                *why = arena_printf(perm, "problem %s: generators make designs whose sides are multiples of %lld",
                                    of->problems[k].name, (long long)multiple);
        if (*why) return -1;
    }
    return s->epochs * s->draws * at_most(s->problems, d->split[SPLIT_ALPHA].count) +
           (s->epochs + 2) * at_most(s->judges, d->split[SPLIT_TRAIN].count);
}

const char *generators_run(Arena *perm, Arena scratch, Pool *pool, const Dataset *d, const GeneratorsSettings *s,
                           Checkpoint *checkpoint, Writer *out)
{
    Generators g = {.data = d,
                    .settings = s,
                    .pool = pool,
                    .out = out,
                    .checkpoint = checkpoint,
                    .started = clock_wall(),
                    .figure = NAN};
    const char *why = generator_space_make(perm, s->ops, &g.space);
    if (why) return why;
    const int64_t judges = at_most(s->judges, d->split[SPLIT_TRAIN].count);
    g.alpha = NEW(perm, double, g.space.columns);
    g.moment1 = NEW(perm, double, g.space.columns);
    g.moment2 = NEW(perm, double, g.space.columns);
    g.weight = NEW(perm, double, g.space.columns);
    g.published = NEW(perm, double, judges);
    for (int64_t i = 0; i < judges; i++) g.published[i] = NAN;
    const bool resumed = checkpoint_restore(checkpoint, perm, scratch, state, &g, &why);
    if (why) return why;
    soften(&g.space, g.alpha, g.weight);
    if (!resumed) {
        put_space(&g, scratch);
        if (!judge(&g, scratch)) return 0;
        put_epoch(&g, scratch);
    }
    while (g.epoch < s->epochs && !writer_error(out) && learn(&g, scratch) && judge(&g, scratch)) {
        put_epoch(&g, scratch);
        checkpoint_save(checkpoint, scratch, "search", g.epoch, g.epoch, state, &g); /* an epoch is many designs */
    }
    cli_progress_done();
    return 0;
}
