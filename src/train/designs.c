/* designs: see designs.h. */
#include "train/designs.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "nn/generator_space.h"

enum { RUNNING_MAX = 1024 };                            /* threads */
static const ptrdiff_t copy_bytes = (ptrdiff_t)1 << 36; /* of address space */

/* A design under way, as it was when a checkpoint was due. */
typedef struct {
    Arena room; /* of what is below; reserved when first needed */
    int64_t number;
    int64_t evaluations, elements, count;
    double best, *x, *state;
    bool used;
} Copy;

typedef struct {
    const DesignPlan *plan;
    DesignJob *job;
    Split *split;            /* of each */
    const Candidate **of;    /* of each */
    const DatasetInfo *info; /* of the problems */
    bool *done;
    /* A checkpoint that is due is saved once all designs under way have been copied, each by its own thread between two
     * evaluations. */
    int64_t due, saved; /* how many were; of them */
    int64_t *copied; /* of each design: that it was copied for, or for which it need not be; -1: it is not under way */
    Copy copy[RUNNING_MAX];
    int64_t count, first; /* jobs; the number of the first one */
    int64_t each;         /* designs of a candidate */
    Writer *out;
    Arena *perm, scratch;
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

/* ---- checkpoints ---- */

/* The copies, and on the way back, what jobs go on from. */
static void visit(void *of, State *s)
{
    Designs *t = of;
    int64_t running = 0;
    for (int i = 0; i < RUNNING_MAX; i++) running += t->copy[i].used;
    state_int(s, "running", &running);
    if (!s->why && (running < 0 || running > RUNNING_MAX)) s->why = "more designs under way than threads";
    for (int64_t i = 0, k = 0; k < running && !s->why; i++) {
        Copy *c = &t->copy[i];
        if (s->saving && !c->used) continue;
        const char *key = arena_printf(&s->scratch, "design%lld_", (long long)k++);
        state_int(s, arena_printf(&s->scratch, "%snumber", key), &c->number);
        state_int(s, arena_printf(&s->scratch, "%sevaluations", key), &c->evaluations);
        state_int(s, arena_printf(&s->scratch, "%selements", key), &c->elements);
        state_int(s, arena_printf(&s->scratch, "%scount", key), &c->count);
        state_real(s, arena_printf(&s->scratch, "%sbest", key), &c->best);
        const int64_t at = c->number - t->first;
        DesignJob *j = at >= 0 && at < t->count ? &t->job[at] : 0;
        if (!s->why &&
            (!j || c->elements != j->given->W * j->given->H || c->evaluations < 0 || c->evaluations > j->steps ||
             c->count < 1 || dataset_too_large(t->perm, c->count, sizeof(double))))
            s->why = "a design under way that is none of these";
        if (s->why) return;
        if (!s->saving) {
            c->x = j->x;
            c->state = NEW(t->perm, double, c->count);
        }
        state_block(s, arena_printf(&s->scratch, "%sx", key), DTYPE_F64, c->x, c->elements);
        state_block(s, arena_printf(&s->scratch, "%sstate", key), DTYPE_F64, c->state, c->count);
        state_block(s, arena_printf(&s->scratch, "%scurve", key), DTYPE_F64, j->curve, c->evaluations);
        state_block(s, arena_printf(&s->scratch, "%stimes", key), DTYPE_F64, j->times, c->evaluations);
        if (s->saving) continue;
        j->from = c->state;
        j->from_count = c->count;
        j->evaluations = c->evaluations;
        j->best = c->best;
    }
}

static void take_copy(Designs *t, int64_t job, const DesignRun *run)
{
    int i = 0;
    while (i < RUNNING_MAX && t->copy[i].used && t->copy[i].number != t->first + job) i++;
    if (i == RUNNING_MAX) return;
    Copy *c = &t->copy[i];
    if (!c->room.beg) c->room = arena_reserve(copy_bytes);
    Arena a = c->room;
    const Problem *p = t->job[job].given;
    *c = (Copy){.room = a,
                .number = t->first + job,
                .evaluations = run->evaluations,
                .elements = p->W * p->H,
                .count = run->state_count,
                .best = run->best,
                .used = true};
    c->x = NEW(&a, double, c->elements);
    c->state = NEW(&a, double, c->count);
    memcpy(c->x, run->x, (size_t)c->elements * sizeof *c->x);
    memcpy(c->state, run->state, (size_t)c->count * sizeof *c->state);
}

static void drop_copy(Designs *t, int64_t job)
{
    for (int i = 0; i < RUNNING_MAX; i++)
        if (t->copy[i].used && t->copy[i].number == t->first + job) t->copy[i].used = false;
}

static void save(Designs *t)
{
    Checkpoint *c = t->plan->checkpoint;
    checkpoint_save(c, t->scratch, "designs", 0, c->item, visit, t);
}

/* Saves what is due, if all designs under way have been copied for it. */
static void save_if_copied(Designs *t)
{
    if (t->saved == t->due) return;
    for (int64_t i = 0; i < t->count; i++)
        if (t->copied[i] >= 0 && t->copied[i] < t->due) return;
    t->saved = t->due;
    save(t);
}

static void seen(void *context, int64_t job, const DesignRun *run)
{
    Designs *t = context;
    if (cli_interrupted()) t->stop = 1;
    pthread_mutex_lock(&t->lock);
    if (t->copied[job] < 0) t->copied[job] = t->due; /* it has begun: there is nothing of it that would be missed */
    if (t->saved == t->due && checkpoint_due(t->plan->checkpoint)) t->due++;
    if (run->state && (t->copied[job] < t->due || (t->stop && *checkpoint_settings.path))) take_copy(t, job, run);
    if (t->copied[job] < t->due) {
        t->copied[job] = t->due;
        save_if_copied(t);
    }
    pthread_mutex_unlock(&t->lock);
}

/* What is done is written once all before it is. */
static void done(void *context, int64_t job)
{
    Designs *t = context;
    pthread_mutex_lock(&t->lock);
    Checkpoint *c = t->plan->checkpoint;
    t->done[job] = !t->stop; /* else it was cut short */
    t->copied[job] = -1;
    if (t->done[job]) drop_copy(t, job);
    for (; c->item - t->first < t->count && t->done[c->item - t->first] && !writer_error(t->out); c->item++) {
        const int64_t i = c->item - t->first;
        put_design(t, t->scratch, i);
        writer_flush(t->out);
    }
    if (writer_error(t->out)) t->stop = 1;
    save_if_copied(t);
    cli_progress("designs: %lld of %lld", (long long)c->item, (long long)(t->first + t->count));
    pthread_mutex_unlock(&t->lock);
}

const char *designs_run(Arena *perm, Arena scratch, Pool *pool, const Dataset *d, const DesignPlan *plan, Writer *out)
{
    Checkpoint *c = plan->checkpoint;
    const char *why = 0;
    const int64_t all = designs_count(d, plan), largest = dataset_sample_values(&d->info);
    const char *large = dataset_too_large(perm, all, (int64_t)sizeof(double) * (2 * (plan->steps + 1) + largest));
    if (large)
        return arena_printf(perm, "%lld designs of %lld steps: %s", (long long)all, (long long)plan->steps, large);
    Designs t = {.plan = plan,
                 .info = &d->info,
                 .first = c->item,
                 .each = all / plan->todo->count,
                 .out = out,
                 .perm = perm,
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
    t.copied = NEW(perm, int64_t, t.count + 1);
    for (int64_t i = 0; i < t.count; i++) t.copied[i] = -1;
    checkpoint_restore(c, perm, scratch, visit, &t, &why);
    if (why) return why;
    for (int i = 0; i < RUNNING_MAX; i++) t.copy[i] = (Copy){0};
    design_watch(perm, pool, t.job, t.count, &(DesignWatch){&t.stop, seen, done, &t});
    cli_progress_done();
    save(&t);
    for (int i = 0; i < RUNNING_MAX; i++)
        if (t.copy[i].room.beg) arena_release(t.copy[i].room);
    pthread_mutex_destroy(&t.lock);
    return 0;
}
