/* designs: see designs.h. */
#include "train/designs.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "nn/generator_space.h"

typedef struct {
    const DesignPlan *plan;
    DesignJob *job;
    Split *split;            /* of each */
    const Candidate **of;    /* of each */
    const DatasetInfo *info; /* of the problems */
    bool *done;
    int64_t count, first; /* jobs; the number of the first one */
    int64_t each;         /* designs of a candidate */
    Writer *out;
    Arena scratch;
    volatile int stop;
    pthread_mutex_t lock; /* of all that done() changes */
} Designs;

int64_t designs_count(const Dataset *d, const DesignPlan *plan)
{
    int64_t count = 0;
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (plan->split[s]) count += d->split[s].count;
    return count * plan->todo->count;
}

static void no_state(void *of, State *s)
{
    (void)of;
    (void)s;
}

const char *designs_method(Arena *perm, const Candidate *c, const Optimiser **method, const GeneratorSpec **generator)
{
    *method = 0;
    *generator = 0;
    if (!*c->genotype) {
        *method = design_find(c->net);
        return *method ? 0 : arena_printf(perm, "--net oc, mma, pixels or cnn design them, %s does not", c->net);
    }
    GeneratorSpec *spec = NEW(perm, GeneratorSpec, 1);
    *generator = spec;
    const char *why = generator_parse(perm, c->genotype, spec);
    return why ? arena_printf(perm, "generators design them: genotype %s: %s", c->run, why) : 0;
}

static void put_candidate(Designs *t, Arena a, const Candidate *c, const DesignJob *j)
{
    Settings list = {0};
    settings_add(&a, &list, "steps", "%lld", (long long)j->steps);
    const NetworkRecord n = {.run = c->run,
                             .net = c->net,
                             .genotype = c->genotype,
                             .height = t->info->height,
                             .width = t->info->width,
                             .task = t->info->task,
                             .dataset = t->info->name,
                             .tree = "",
                             .seed = (int64_t)j->seed,
                             .settings = list.item,
                             .setting_count = list.count};
    writer_put(t->out, &(Record){.kind = REC_NETWORK, .network = n});
}

static void put_design(Designs *t, Arena a, int64_t i)
{
    const DesignJob *j = &t->job[i];
    const Split split = t->split[i];
    if ((t->first + i) % t->each == 0) put_candidate(t, a, t->of[i], j);
    const char *run = arena_printf(&a, "%s %s", j->problem, t->of[i]->run);
    if (j->why) {
        const char *text = arena_printf(&a, "%s: %s", run, j->why);
        writer_put(t->out, &(Record){.kind = REC_EVENT, .event = {.what = "design", .text = text, .epoch = -1}});
        cli_warn("%s", text);
        t->plan->checkpoint->diverged++;
        return;
    }
    double least = INFINITY;
    for (int64_t step = 0; step < j->evaluations; step++) {
        Metric m = {"compliance", split_name[split], j->curve[step]};
        const TrainEpoch e = {.run = run,
                              .epoch = step,
                              .epochs = j->steps,
                              .steps = step,
                              .seconds = j->times[step],
                              .best = m.value < least,
                              .metrics = &m,
                              .metric_count = 1};
        least = fmin(least, m.value);
        writer_put(t->out, &(Record){.kind = REC_TRAIN_EPOCH, .train_epoch = e});
    }
    int64_t shape[2] = {j->given->H, j->given->W};
    const TensorRecord x = {.run = run,
                            .set = "best",
                            .name = "density",
                            .shape = shape,
                            .rank = 2,
                            .dtype = DTYPE_F64,
                            .data = j->x,
                            .data_bytes = shape[0] * shape[1] * (int64_t)sizeof(double)};
    writer_put(t->out, &(Record){.kind = REC_TENSOR, .tensor = x});
    cli_note("%s: compliance %.6g after %lld steps, %.1f s", run, j->best, (long long)j->evaluations - 1, j->seconds);
}

static void seen(void *context, int64_t step, double C)
{
    (void)step;
    (void)C;
    if (cli_interrupted()) ((Designs *)context)->stop = 1;
}

/* What is done is written once all before it is. */
static void done(void *context, int64_t job)
{
    Designs *t = context;
    pthread_mutex_lock(&t->lock);
    Checkpoint *c = t->plan->checkpoint;
    t->done[job] = !t->stop; /* else it was cut short: it will be made again */
    for (; c->item - t->first < t->count && t->done[c->item - t->first] && !writer_error(t->out); c->item++) {
        const int64_t i = c->item - t->first;
        put_design(t, t->scratch, i);
        writer_flush(t->out);
    }
    if (writer_error(t->out)) t->stop = 1;
    if (checkpoint_due(c)) checkpoint_save(c, t->scratch, "designs", 0, c->item, no_state, 0);
    cli_progress("designs: %lld of %lld", (long long)c->item, (long long)(t->first + t->count));
    pthread_mutex_unlock(&t->lock);
}

const char *designs_run(Arena *perm, Arena scratch, Pool *pool, const Dataset *d, const DesignPlan *plan, Writer *out)
{
    Checkpoint *c = plan->checkpoint;
    const char *why;
    checkpoint_restore(c, perm, scratch, no_state, 0, &why);
    if (why) return why;
    const int64_t all = designs_count(d, plan), largest = dataset_sample_values(&d->info);
    const char *large = dataset_too_large(perm, all, (int64_t)sizeof(double) * (2 * (plan->steps + 1) + largest));
    if (large)
        return arena_printf(perm, "%lld designs of %lld steps: %s", (long long)all, (long long)plan->steps, large);
    Designs t = {.plan = plan,
                 .info = &d->info,
                 .first = c->item,
                 .each = all / plan->todo->count,
                 .out = out,
                 .scratch = scratch,
                 .lock = PTHREAD_MUTEX_INITIALIZER};
    t.job = NEW(perm, DesignJob, all + 1);
    t.split = NEW(perm, Split, all + 1);
    t.of = NEW(perm, const Candidate *, all + 1);
    t.done = NEW(perm, bool, all + 1);
    int64_t number = 0;
    for (int64_t m = 0; m < plan->todo->count; m++) {
        const Candidate *of = &plan->todo->item[m];
        const Optimiser *method;
        const GeneratorSpec *generator;
        if ((why = designs_method(perm, of, &method, &generator))) return why;
        for (int s = 0; s < SPLIT_COUNT; s++)
            for (int64_t i = 0; plan->split[s] && i < d->split[s].count; i++) {
                const Problem *p = &d->split[s].problems[i];
                if (number++ < t.first) continue;
                t.split[t.count] = (Split)s;
                t.of[t.count] = of;
                t.job[t.count++] = (DesignJob){.problem = p->name,
                                               .given = p,
                                               .method = method,
                                               .generator = generator,
                                               .steps = plan->steps,
                                               .seed = (uint64_t)cli_common.seed,
                                               .curve = NEW(perm, double, plan->steps + 1),
                                               .times = NEW(perm, double, plan->steps + 1),
                                               .x = NEW(perm, double, p->W * p->H)};
            }
    }
    design_watch(perm, pool, t.job, t.count, &(DesignWatch){&t.stop, seen, done, &t});
    cli_progress_done();
    checkpoint_save(c, scratch, "designs", 0, c->item, no_state, 0);
    pthread_mutex_destroy(&t.lock);
    return 0;
}
