/* optimise: optimality criteria and moving asymptotes. */
#include "structure/optimise.h"

#include <math.h>
#include <nlopt.h>
#include <string.h>

#include "base/clock.h"
#include "structure/filter.h"

bool design_take(DesignRun *run, int64_t steps, int64_t elements, const double *x, double C)
{
    if (run->evaluations > steps) return false;
    run->curve[run->evaluations] = C;
    if (run->seconds) run->seconds[run->evaluations] = clock_wall() - run->began;
    if (!run->evaluations || C < run->best) {
        run->best = C;
        memcpy(run->x, x, (size_t)elements * sizeof *x);
    }
    if (run->seen) run->seen(run->context, run);
    run->evaluations++;
    return run->evaluations <= steps && !(run->stop && *run->stop);
}

const char *design_state(DesignRun *run, double *state, int64_t count)
{
    run->state = state;
    run->state_count = count;
    if (!run->from) return 0;
    if (run->from_count != count) return "the state of a design does not fit";
    memcpy(state, run->from, (size_t)count * sizeof *state);
    return 0;
}

static void uniform(const Problem *p, double *x)
{
    for (int64_t i = 0; i < p->W * p->H; i++) x[i] = p->mask[i] ? p->density : 0;
}

/* ---- optimality criteria ---- */

typedef struct {
    const DensityFilter *f;
    double density;
    const double *x, *dC, *dV;
    double *next;
} Update;

static double shortage(void *context, double lambda)
{
    static const double move = 0.2;
    const Update *u = context;
    double volume = 0;
    for (int64_t i = 0; i < u->f->W * u->f->H; i++) {
        if (!u->f->mask[i]) continue;
        const double to = u->x[i] * sqrt(fmax(0, -u->dC[i] / (lambda * u->dV[i])));
        u->next[i] = fmin(fmax(to, fmax(0, u->x[i] - move)), fmin(1, u->x[i] + move));
        volume += u->dV[i] * u->next[i]; /* the filtered volume is linear */
    }
    return u->density - volume;
}

static const char *run_oc(Arena *perm, Arena scratch, Compliance *c, int64_t steps, DesignRun *out)
{
    const Problem *p = compliance_problem(c);
    const int64_t n = p->W * p->H;
    double *x = NEW(&scratch, double, n), *dC = NEW(&scratch, double, n), *dV = NEW(&scratch, double, n);
    Update u = {compliance_filter(c), p->density, x, dC, dV, NEW(&scratch, double, n)};
    uniform(p, x);
    filter_volume_gradient(u.f, dV);
    const char *why = design_state(out, x, n);
    if (why) return why;
    for (;;) {
        const double C = compliance_density(c, x, dC);
        if (isnan(C)) return arena_strdup(perm, compliance_why(c));
        if (!design_take(out, steps, n, x, C)) return 0;
        shortage(&u, bisect(1e-9, 1e9, shortage, &u));
        memcpy(x, u.next, (size_t)n * sizeof *x);
    }
}

/* ---- moving asymptotes ---- */

typedef struct { /* NLopt sees the designable elements only, one behind the other */
    Compliance *c;
    DesignRun *out;
    int64_t steps;
    double *x, *gradient, *dV; /* (H, W) */
    nlopt_opt opt;
    bool failed;
} Moving;

static void spread(const Problem *p, const double *from, double *to)
{
    for (int64_t i = 0, k = 0; i < p->W * p->H; i++) to[i] = p->mask[i] ? from[k++] : 0;
}

static void pack(const Problem *p, const double *from, double *to)
{
    for (int64_t i = 0, k = 0; i < p->W * p->H; i++)
        if (p->mask[i]) to[k++] = from[i];
}

static double moving_objective(unsigned n, const double *x, double *gradient, void *context)
{
    (void)n;
    Moving *m = context;
    const Problem *p = compliance_problem(m->c);
    spread(p, x, m->x);
    const double C = compliance_density(m->c, m->x, gradient ? m->gradient : 0);
    m->failed = isnan(C);
    if (m->failed || !design_take(m->out, m->steps, p->W * p->H, m->x, C)) nlopt_force_stop(m->opt);
    if (gradient) pack(p, m->gradient, gradient);
    return C;
}

static double moving_volume(unsigned n, const double *x, double *gradient, void *context)
{
    (void)n;
    Moving *m = context;
    const Problem *p = compliance_problem(m->c);
    double volume = 0;
    for (int64_t i = 0, k = 0; i < p->W * p->H; i++)
        if (p->mask[i]) volume += m->dV[i] * x[k++];
    if (gradient) pack(p, m->dV, gradient);
    return volume - p->density;
}

static const char *run_mma(Arena *perm, Arena scratch, Compliance *c, int64_t steps, DesignRun *out)
{
    const Problem *p = compliance_problem(c);
    const int64_t n = p->W * p->H, designable = problem_designable(p);
    Moving m = {
        .c = c, .out = out, .steps = steps, .x = NEW(&scratch, double, n), .gradient = NEW(&scratch, double, n)};
    m.dV = NEW(&scratch, double, n);
    filter_volume_gradient(compliance_filter(c), m.dV);
    double *x = NEW(&scratch, double, designable), least;
    for (int64_t i = 0; i < designable; i++) x[i] = p->density;
    m.opt = nlopt_create(NLOPT_LD_MMA, (unsigned)designable);
    if (!m.opt) return "no memory for the moving asymptotes";
    nlopt_set_lower_bounds1(m.opt, 0);
    nlopt_set_upper_bounds1(m.opt, 1);
    nlopt_set_min_objective(m.opt, moving_objective, &m);
    nlopt_add_inequality_constraint(m.opt, moving_volume, &m, 1e-8);
    nlopt_set_maxeval(m.opt, (int)(steps + 1));
    const nlopt_result result = nlopt_optimize(m.opt, x, &least);
    nlopt_destroy(m.opt);
    if (m.failed) return arena_strdup(perm, compliance_why(c));
    return result < 0 && result != NLOPT_FORCED_STOP && result != NLOPT_ROUNDOFF_LIMITED
               ? arena_printf(perm, "NLopt ended with status %d", (int)result)
               : 0;
}

static const Optimiser optimiser_table[] = {{"oc", run_oc}, {"mma", run_mma}};

const Optimiser *optimiser_find(const char *name)
{
    for (int64_t i = 0; i < COUNTOF(optimiser_table); i++)
        if (!strcmp(optimiser_table[i].name, name)) return &optimiser_table[i];
    return 0;
}
