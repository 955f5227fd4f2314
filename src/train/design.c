/* design: see design.h. */
#include "train/design.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "optim/lbfgs.h"
#include "structure/filter.h"
#include "train/designer.h"

static const ptrdiff_t job_bytes = (ptrdiff_t)1 << 32; /* of address space */

static const char *run_pixels(Arena *perm, Arena scratch, Compliance *c, int64_t steps, DesignRun *out)
{
    const Problem *p = compliance_problem(c);
    const int64_t n = p->W * p->H;
    Lbfgs *l = lbfgs_open(&scratch, n, lbfgs_published);
    double *x = NEW(&scratch, double, n);
    for (int64_t i = 0; i < n; i++) l->x[i] = p->mask[i] ? p->density : 0; /* any constant is the uniform design */
    const char *why = design_state(out, l->state, l->state_count);
    if (why) return why;
    for (LbfgsStatus status = LBFGS_NEW; status <= LBFGS_NEW;) {
        const double C = compliance_logits(c, l->x, l->g);
        if (isnan(C) && !out->evaluations) return arena_strdup(perm, compliance_why(c));
        filter_sigmoid(compliance_filter(c), l->x, p->density, x);
        if (!design_take(out, steps, n, x, C)) break;
        status = lbfgs_tell(l, C);
    }
    return 0;
}

static const char *run_generator(Arena *perm, Arena scratch, Compliance *c, const GeneratorSpec *spec, int64_t steps,
                                 DesignRun *out)
{
    const Problem *p = compliance_problem(c);
    const char *why = 0;
    Pool *pool = pool_open(1);
    Designer *d = designer_open(&scratch, spec, c, pool, out->seed, &why);
    if (d) why = design_state(out, d->lbfgs->state, d->lbfgs->state_count);
    while (d && !why && designer_step(d)) {
        if (isnan(d->C) && !out->evaluations) why = compliance_why(c);
        if (!design_take(out, steps, p->W * p->H, d->x, d->C)) break;
    }
    designer_close(d);
    pool_close(pool);
    return why ? arena_strdup(perm, why) : 0;
}

static const char *run_cnn(Arena *perm, Arena scratch, Compliance *c, int64_t steps, DesignRun *out)
{
    return run_generator(perm, scratch, c, &generator_published, steps, out);
}

static const Optimiser own[] = {{"pixels", run_pixels}, {"cnn", run_cnn}};

const Optimiser *design_find(const char *name)
{
    for (int i = 0; i < COUNTOF(own); i++)
        if (!strcmp(name, own[i].name)) return &own[i];
    return optimiser_find(name);
}

typedef struct {
    DesignJob *job;
    Arena *room; /* of each thread */
    const DesignWatch *watch;
} Jobs;

typedef struct { /* a run under the eyes of the caller of all */
    int64_t job;
    const DesignWatch *watch;
} Seen;

static void seen(void *context, const DesignRun *run)
{
    const Seen *s = context;
    s->watch->seen(s->watch->context, s->job, run);
}

static void run_method(Arena *a, const DesignJob *all, DesignJob *job, const DesignWatch *watch)
{
    Problem p;
    const Seen of = {job - all, watch};
    const char *why = job->given ? 0 : problem_find(a, job->problem, &p);
    if (job->given) p = *job->given;
    Compliance *c = why ? 0 : compliance_open(a, &p, &why);
    job->why = why;
    if (!c) return;
    DesignRun run = {.curve = job->curve ? job->curve : NEW(a, double, job->steps + 1),
                     .x = job->x ? job->x : NEW(a, double, p.W *p.H),
                     .seconds = job->times,
                     .began = clock_wall(),
                     .seed = job->seed,
                     .stop = watch->stop,
                     .from = job->from,
                     .from_count = job->from_count,
                     .seen = watch->seen ? seen : 0,
                     .context = (void *)&of};
    if (job->from) { /* curve and x are as they were */
        run.best = job->best;
        run.evaluations = job->evaluations;
        run.began -= job->times && run.evaluations ? job->times[run.evaluations - 1] : 0;
    }
    job->why = job->generator ? run_generator(a, *a, c, job->generator, job->steps, &run)
                              : job->method->run(a, *a, c, job->steps, &run);
    job->best = run.best;
    job->evaluations = run.evaluations;
    compliance_close(c);
}

static void run_job(void *context, int64_t part, int thread)
{
    const Jobs *j = context;
    DesignJob *job = &j->job[part];
    const double began = clock_wall();
    if (j->watch->stop && *j->watch->stop) return;
    Arena a = j->room[thread];
    run_method(&a, j->job, job, j->watch);
    if (job->why) j->room[thread] = a; /* the text is there */
    job->seconds = clock_wall() - began;
    if (j->watch->done) j->watch->done(j->watch->context, part);
}

void design_watch(Arena *perm, Pool *pool, DesignJob *job, int64_t count, const DesignWatch *watch)
{
    const int threads = pool_threads(pool);
    Arena *whole = NEW(perm, Arena, threads);
    for (int t = 0; t < threads; t++) whole[t] = arena_reserve(job_bytes);
    Jobs jobs = {job, whole, watch};
    pool_run(pool, count, run_job, &jobs);
    for (int64_t i = 0; i < count; i++)
        if (job[i].why) job[i].why = arena_strdup(perm, job[i].why);
    for (int t = 0; t < threads; t++) arena_release(whole[t]);
}

void design_run(Arena *perm, Pool *pool, DesignJob *job, int64_t count, volatile int *stop)
{
    design_watch(perm, pool, job, count, &(DesignWatch){.stop = stop});
}
