/* problems: see problems.h. */
#include "data/problems.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "data/task.h"

bool problems_are(const DatasetInfo *info)
{
    const Task *task = task_find(info->task);
    return task && task->simulated;
}

/* ---- splits ---- */

typedef struct {
    int64_t first, count; /* of the problems in order */
} Unit;

/* Problems in an order by seed in which families are not mixed; units are families or single problems. */
static Unit *order_problems(Arena *perm, const Problem *p, int64_t n, uint64_t seed, bool families, int64_t *order,
                            int64_t *units)
{
    int64_t *family = NEW(perm, int64_t, n), *shuffled = NEW(perm, int64_t, n), *member = NEW(perm, int64_t, n);
    int64_t count = 0, done = 0;
    for (int64_t i = 0; i < n; i++) { /* a family's number is that of its first member */
        family[i] = 0;
        while (strcmp(p[family[i]].family, p[i].family)) family[i]++;
        if (family[i] == i) shuffled[count++] = i;
    }
    int64_t *permutation = NEW(perm, int64_t, n);
    rng_permutation(seed, RNG_SPLIT, 0, permutation, count);
    Unit *unit = NEW(perm, Unit, n);
    *units = 0;
    for (int64_t f = 0; f < count; f++) {
        const int64_t which = shuffled[permutation[f]], begin = done;
        int64_t members = 0;
        for (int64_t i = 0; i < n; i++)
            if (family[i] == which) member[members++] = i;
        int64_t *within = NEW(perm, int64_t, members);
        rng_permutation(seed, RNG_SPLIT, (uint64_t)(1 + which), within, members);
        for (int64_t i = 0; i < members; i++) {
            order[done++] = member[within[i]];
            if (!families) unit[(*units)++] = (Unit){done - 1, 1};
        }
        if (families) unit[(*units)++] = (Unit){begin, members};
    }
    return unit;
}

const char *problems_split(Arena *perm, Dataset *d, const IngestSpec *spec)
{
    const bool families = spec->split_by && !strcmp(spec->split_by, "group");
    if (spec->split_by && *spec->split_by && !families && strcmp(spec->split_by, "fraction"))
        return arena_printf(perm, "--split-by %s: problems are split by fraction or group (family)", spec->split_by);
    if (spec->subset || spec->group_copies) return "--subset and --group-copies do not apply to structural problems";
    const Problem *p = d->split[SPLIT_TRAIN].problems;
    const int64_t n = d->split[SPLIT_TRAIN].count;
    const double left = 1 - spec->test_fraction, rest = left * (1 - spec->valid_fraction);
    const double share[SPLIT_COUNT] = {[SPLIT_TEST] = spec->test_fraction,
                                       [SPLIT_VALID] = left * spec->valid_fraction,
                                       [SPLIT_ALPHA] = rest * spec->alpha_fraction,
                                       [SPLIT_TRAIN] = rest * (1 - spec->alpha_fraction)};
    int64_t *order = NEW(perm, int64_t, n), units, counts[SPLIT_COUNT] = {0}, done = 0;
    const Unit *unit = order_problems(perm, p, n, spec->seed, families, order, &units);
    Problem *to[SPLIT_COUNT];
    for (int s = 0; s < SPLIT_COUNT; s++) to[s] = NEW(perm, Problem, n);
    for (int64_t u = 0; u < units; u++) {
        int where = SPLIT_TRAIN;
        done += unit[u].count;
        for (int s = 0; s < SPLIT_COUNT; s++)
            if (share[s] * (double)done - (double)counts[s] > share[where] * (double)done - (double)counts[where])
                where = s;
        for (int64_t i = 0; i < unit[u].count; i++) to[where][counts[where]++] = p[order[unit[u].first + i]];
    }
    for (int s = 0; s < SPLIT_COUNT; s++) d->split[s] = (SplitData){.count = counts[s], .problems = to[s]};
    dataset_setting(perm, &d->info, "split",
                    families ? "whole families, by fraction" : "by fraction, families spread over the splits");
    dataset_setting(perm, &d->info, "seed", "%lld", (long long)spec->seed);
    dataset_setting(perm, &d->info, "fractions", "test %g, valid %g, alpha %g", spec->test_fraction,
                    spec->valid_fraction, spec->alpha_fraction);
    return 0;
}

/* ---- what they are together ---- */

uint64_t problems_digest(const Dataset *d)
{
    uint64_t h = 0;
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (int64_t i = 0; i < d->split[s].count; i++) {
            const Problem *p = &d->split[s].problems[i];
            const int64_t shape[] = {s, i, p->W, p->H};
            h = dataset_hash(h, shape, sizeof shape);
            h = dataset_hash(h, p->name, (int64_t)strlen(p->name));
            h = dataset_hash(h, p->family, (int64_t)strlen(p->family));
            h = dataset_hash(h, &p->density, sizeof p->density);
            h = dataset_hash(h, &p->reference, sizeof p->reference);
            h = dataset_hash(h, p->mask, p->W * p->H);
            h = dataset_hash(h, p->fixed, problem_dofs(p));
            h = dataset_hash(h, p->load, problem_dofs(p) * (int64_t)sizeof *p->load);
        }
    return h ? h : 1;
}

void problems_finish(Arena *perm, Dataset *d)
{
    DatasetInfo *info = &d->info;
    info->channels = info->height = info->width = info->outputs = 1;
    info->dtype = DTYPE_U8;
    info->mean = NEW(perm, double, 1);
    info->target_mean = NEW(perm, double, 1);
    info->sd = NEW(perm, double, 1);
    info->target_sd = NEW(perm, double, 1);
    info->sd[0] = info->target_sd[0] = 1;
    info->output_names = NEW(perm, const char *, 1);
    info->output_names[0] = "compliance";
    for (int s = 0; s < SPLIT_COUNT; s++) {
        info->split_count[s] = d->split[s].count;
        for (int64_t i = 0; i < d->split[s].count; i++) {
            const Problem *p = &d->split[s].problems[i];
            if (p->W > info->width) info->width = p->W;
            if (p->H > info->height) info->height = p->H;
        }
    }
    info->digest = problems_digest(d);
}

/* ---- records ---- */

static ProblemRecord to_record(Arena *a, const Problem *p, Split split, int64_t index)
{
    const int64_t dofs = problem_dofs(p);
    ProblemRecord r = {.name = p->name,
                       .family = p->family,
                       .split = split,
                       .index = index,
                       .width = p->W,
                       .height = p->H,
                       .density = p->density,
                       .mask = p->mask,
                       .mask_bytes = p->W * p->H,
                       .fixed = NEW(a, int64_t, dofs),
                       .load_dof = NEW(a, int64_t, dofs),
                       .load = NEW(a, double, dofs),
                       .reference = p->reference};
    for (int64_t i = 0; i < dofs; i++) {
        if (p->fixed[i]) r.fixed[r.fixed_count++] = i;
        if (!(fabs(p->load[i]) > 0)) continue;
        r.load_dof[r.load_count] = i;
        r.load[r.load_count++] = p->load[i];
    }
    return r;
}

void problems_write(Writer *out, Arena scratch, const Dataset *d)
{
    writer_put(out, &(Record){.kind = REC_DATASET, .dataset = d->info});
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (int64_t i = 0; i < d->split[s].count; i++) {
            Arena once = scratch;
            writer_put(out, &(Record){.kind = REC_PROBLEM,
                                      .problem = to_record(&once, &d->split[s].problems[i], (Split)s, i)});
        }
}

const char *problems_room(Arena *perm, Dataset *d)
{
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const char *why;
        if (!d->info.split_count[s]) continue;
        d->split[s].problems = dataset_memory(perm, d->info.split_count[s], sizeof(Problem), &why);
        if (why) return why;
    }
    return 0;
}

/* Degrees of freedom of a record: within the grid and ascending. */
static const char *check_dofs(Arena *perm, const char *what, const int64_t *dof, int64_t n, int64_t dofs)
{
    for (int64_t i = 0; i < n; i++) {
        if (dof[i] >= dofs)
            return arena_printf(perm, "%s on degree of freedom %lld is outside the grid, which has %lld", what,
                                (long long)dof[i], (long long)dofs);
        if (i && dof[i] <= dof[i - 1])
            return arena_printf(perm, "%s on degree of freedom %lld is out of order", what, (long long)dof[i]);
    }
    return 0;
}

static const char *from_record(Arena *perm, const ProblemRecord *r, Problem *p)
{
    *p = (Problem){.name = arena_strdup(perm, r->name),
                   .family = arena_strdup(perm, r->family),
                   .W = r->width,
                   .H = r->height,
                   .density = r->density,
                   .reference = r->reference};
    const char *why = problem_check_size(perm, p->W, p->H, p->density);
    if (!why) why = check_dofs(perm, "a support", r->fixed, r->fixed_count, problem_dofs(p));
    if (!why) why = check_dofs(perm, "a load", r->load_dof, r->load_count, problem_dofs(p));
    if (why) return why;
    if (!(r->reference >= 0 && isfinite(r->reference))) return "a reference that is no compliance";
    const int64_t dofs = problem_dofs(p), bytes = p->W * p->H + dofs * (1 + (int64_t)sizeof(double)) + 64;
    if ((why = dataset_too_large(perm, 1, bytes))) return why;
    uint8_t *mask = NEW(perm, uint8_t, p->W * p->H), *fixed = NEW(perm, uint8_t, dofs);
    double *load = NEW(perm, double, dofs);
    memcpy(mask, r->mask, (size_t)(p->W * p->H));
    for (int64_t i = 0; i < p->W * p->H; i++)
        if (mask[i] > 1)
            return arena_printf(perm, "element %lld of the mask is %d: 0 or 1 expected", (long long)i, mask[i]);
    for (int64_t i = 0; i < r->fixed_count; i++) fixed[r->fixed[i]] = 1;
    for (int64_t i = 0; i < r->load_count; i++) load[r->load_dof[i]] = r->load[i];
    p->mask = mask;
    p->fixed = fixed;
    p->load = load;
    return problem_check(perm, p);
}

const char *problems_take(Arena *perm, Dataset *d, const ProblemRecord *r, int64_t *seen)
{
    if (!problems_are(&d->info)) return arena_printf(perm, "a problem in a dataset of task %s", d->info.task);
    int64_t *have = &seen[r->split], all = d->info.split_count[r->split];
    if (r->index != *have || *have >= all)
        return arena_printf(perm, "%s problem %lld: out of order, or more than the %lld announced",
                            split_name[r->split], (long long)r->index, (long long)all);
    const char *why = from_record(perm, r, &((Problem *)d->split[r->split].problems)[*have]);
    if (why) return arena_printf(perm, "problem %s: %s", r->name, why);
    d->split[r->split].count = ++*have;
    return 0;
}
