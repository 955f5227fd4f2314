/* split: which sample goes where, decided once, at ingest.
 *
 * The samples are lined up by class, in seeded random order within a class, and a split takes evenly spaced places of
 * the line: sample i of n goes to a split of k when (i+1)k/n and ik/n differ in their whole part.  So the split has
 * exactly k samples, and of every class its share, rounded down or up.  What is left is the line for the next split.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "data/reader.h"
#include "data/task.h"

enum { DROPPED = SPLIT_COUNT };

typedef struct {
    int64_t *line; /* samples still to be placed */
    int64_t count;
    uint8_t *of; /* split of every sample */
} Lineup;

static void place(Lineup *l, int64_t k, uint8_t split)
{
    int64_t n = l->count, left = 0;
    for (int64_t i = 0; i < n; i++) { /* n < 2^31: products fit */
        if ((i + 1) * k / n > i * k / n)
            l->of[l->line[i]] = split;
        else
            l->line[left++] = l->line[i];
    }
    l->count = left;
}

/* Lines the samples up by class, keeping the order of `shuffled` within a class; `outputs` 0: no classes. */
static void line_up(Arena scratch, const SplitData *s, const int64_t *shuffled, int64_t outputs, int64_t *line)
{
    if (!outputs) {
        memcpy(line, shuffled, (size_t)s->count * sizeof *line);
        return;
    }
    int64_t *at = NEW(&scratch, int64_t, outputs + 1);
    for (int64_t i = 0; i < s->count; i++) at[(int64_t)s->targets[i] + 1]++;
    for (int64_t k = 1; k <= outputs; k++) at[k] += at[k - 1];
    for (int64_t i = 0; i < s->count; i++) line[at[(int64_t)s->targets[shuffled[i]]]++] = shuffled[i];
}

/* Why the samples teach nothing, or 0. */
static const char *teaches(Arena *perm, const Dataset *d, bool classes)
{
    const SplitData *s = &d->split[SPLIT_TRAIN];
    if (s->count < 1) return "zero samples";
    for (int64_t i = 1; i < s->count; i++)
        for (int64_t k = 0; k < d->target_width; k++)
            if (s->targets[i * d->target_width + k] != s->targets[k]) return 0;
    if (classes)
        return arena_printf(perm, "only one class: all %lld training samples have label %g", (long long)s->count,
                            (double)s->targets[0]);
    return arena_printf(perm, "only one target value: it is the same in all %lld training samples",
                        (long long)s->count);
}

/* Moves elements so that element i becomes the old element from[i]; from ends as the identity. */
typedef struct {
    char *base, *spare;
    int64_t size;
} Column;

static void permute(Column *column, int columns, int64_t *from, int64_t n)
{
    for (int64_t start = 0; start < n; start++) {
        if (from[start] == start) continue;
        for (int c = 0; c < columns; c++)
            memcpy(column[c].spare, column[c].base + start * column[c].size, (size_t)column[c].size);
        int64_t hole = start;
        while (from[hole] != start) {
            int64_t next = from[hole];
            for (int c = 0; c < columns; c++)
                memcpy(column[c].base + hole * column[c].size, column[c].base + next * column[c].size,
                       (size_t)column[c].size);
            from[hole] = hole;
            hole = next;
        }
        for (int c = 0; c < columns; c++)
            memcpy(column[c].base + hole * column[c].size, column[c].spare, (size_t)column[c].size);
        from[hole] = hole;
    }
}

static int64_t *number(Arena *perm, int64_t n, const char **why)
{
    int64_t *ids = dataset_memory(perm, n, sizeof *ids, why);
    for (int64_t i = 0; ids && i < n; i++) ids[i] = i;
    return ids;
}

const char *split_assign(Arena *perm, Arena scratch, Dataset *d, const IngestSpec *spec)
{
    const Task *task = task_find(d->info.task);
    if (!task) return arena_printf(perm, "unknown task \"%s\"", d->info.task);
    const bool classes = task->loss == LOSS_CROSS_ENTROPY, own_test = d->split[SPLIT_TEST].count > 0;
    SplitData *source = &d->split[SPLIT_TRAIN];
    const int64_t n = source->count;
    const char *why = teaches(perm, d, classes);
    if (why) return why;
    if (n > INT32_MAX) return arena_printf(perm, "%lld samples: too many", (long long)n);
    if (spec->subset < 0 || spec->subset > n)
        return arena_printf(perm, "a subset of %lld was asked for, but there are %lld training samples",
                            (long long)spec->subset, (long long)n);

    int64_t *shuffled = dataset_memory(&scratch, n, sizeof *shuffled, &why);
    Lineup l = {.count = n};
    if (shuffled) l.line = dataset_memory(&scratch, n, sizeof *l.line, &why);
    if (l.line) l.of = dataset_memory(&scratch, n, 1, &why);
    if (!l.of) return arena_strdup(perm, why);
    rng_permutation(spec->seed, RNG_SPLIT, 0, shuffled, n);
    line_up(scratch, source, shuffled, classes ? d->info.outputs : 0, l.line);

    if (spec->subset) {
        int64_t *kept = l.line;
        memset(l.of, DROPPED, (size_t)n);
        place(&l, spec->subset, SPLIT_TRAIN);
        line_up(scratch, source, shuffled, classes ? d->info.outputs : 0, kept);
        l.count = 0;
        for (int64_t i = 0; i < n; i++)
            if (l.of[kept[i]] == SPLIT_TRAIN) l.line[l.count++] = kept[i];
    }
    const struct {
        Split split;
        double fraction;
    } carve[] = {{SPLIT_TEST, own_test ? 0 : spec->test_fraction},
                 {SPLIT_VALID, spec->valid_fraction},
                 {SPLIT_ALPHA, spec->alpha_fraction}};
    for (int i = 0; i < COUNTOF(carve); i++) {
        double f = carve[i].fraction;
        if (!(f >= 0 && f < 1))
            return arena_printf(perm, "fraction %g of the %s split: 0 to below 1 expected", f,
                                split_name[carve[i].split]);
        int64_t k = llround(f * (double)l.count);
        if (f > 0 && (k == 0 || k == l.count))
            return arena_printf(perm, "%g of %lld samples leaves the %s split empty", f, (long long)l.count,
                                split_name[k ? SPLIT_TRAIN : carve[i].split]);
        place(&l, k, (uint8_t)carve[i].split);
    }
    for (int64_t i = 0; i < l.count; i++) l.of[l.line[i]] = SPLIT_TRAIN;

    /* one run per split, each in shuffled order, dropped samples last */
    int64_t first[SPLIT_COUNT + 1], at = 0;
    for (int s = 0; s <= SPLIT_COUNT; s++) {
        first[s] = at;
        for (int64_t i = 0; i < n; i++)
            if (l.of[shuffled[i]] == s) l.line[at++] = shuffled[i];
    }
    if (!source->ids) source->ids = number(perm, n, &why);
    if (source->ids && own_test && !d->split[SPLIT_TEST].ids)
        d->split[SPLIT_TEST].ids = number(perm, d->split[SPLIT_TEST].count, &why);
    if (why) return why;
    const int64_t sample = dataset_sample_bytes(&d->info);
    Column column[] = {{(char *)source->data, 0, sample},
                       {(char *)source->targets, 0, d->target_width * (int64_t)sizeof(float)},
                       {(char *)source->ids, 0, sizeof(int64_t)}};
    for (int c = 0; c < COUNTOF(column); c++) column[c].spare = NEW(&scratch, char, column[c].size);
    permute(column, COUNTOF(column), l.line, n);
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (s != SPLIT_TEST || !own_test)
            d->split[s] =
                (SplitData){first[s + 1] - first[s], column[0].base + first[s] * sample,
                            (float *)column[1].base + first[s] * d->target_width, (int64_t *)column[2].base + first[s]};
    why = teaches(perm, d, classes);
    if (why) return why;

    DatasetInfo *info = &d->info;
    dataset_setting(perm, info, "split", "%s, seeded shuffle; test, validation, alpha in turn",
                    classes ? "stratified by class" : "random");
    dataset_setting(perm, info, "seed", "%llu", (unsigned long long)spec->seed);
    dataset_setting(perm, info, "test", own_test ? "the source's own" : "%g", spec->test_fraction);
    dataset_setting(perm, info, "validation", "%g", spec->valid_fraction);
    dataset_setting(perm, info, "alpha", "%g", spec->alpha_fraction);
    if (spec->subset) dataset_setting(perm, info, "subset", "%lld of %lld", (long long)spec->subset, (long long)n);
    return 0;
}

const char *split_missing(Arena *perm, const Dataset *d)
{
    enum { NAMED = 3 };
    const DatasetInfo *info = &d->info;
    const Task *task = task_find(info->task);
    const bool classes = task->loss == LOSS_CROSS_ENTROPY;
    Text t = {0};
    int64_t missing = 0;
    if (!classes && task->loss != LOSS_BINARY) return 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const SplitData *split = &d->split[s];
        int64_t *count = NEW(perm, int64_t, info->outputs);
        for (int64_t i = 0; i < split->count * d->target_width; i++) {
            if (classes)
                count[(int64_t)split->targets[i]]++;
            else
                count[i % info->outputs] += split->targets[i] > 0.5F;
        }
        for (int64_t k = 0; split->count && k < info->outputs; k++) {
            if (count[k] || ++missing > NAMED) continue;
            text_addf(perm, &t, "%s%s ", t.length ? "; " : "", task->each);
            if (info->output_names)
                text_add(perm, &t, info->output_names[k]);
            else
                text_addf(perm, &t, "%lld", (long long)k);
            text_addf(perm, &t, ": none in %s", split_name[s]);
        }
    }
    if (missing > NAMED) text_addf(perm, &t, "; and %lld more", (long long)(missing - NAMED));
    return t.s;
}
