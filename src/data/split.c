/* split: which sample goes where, decided once, at ingest.
 *
 * Units (samples, or groups of them that must stay together) are lined up by class, in seeded random order within a
 * class, and a split takes evenly spaced places of the line: a unit of s samples that ends at sample i of n goes to a
 * split of k if that brings the split's size nearer to ik/n.  So for single samples the split has exactly k, and of every
 * class its share, rounded down or up.  What is left is the line for the next split.
 */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/rng.h"
#include "data/task.h"

enum { DROPPED = SPLIT_COUNT, UNPLACED };

typedef struct {
    int64_t *line; /* units still to be placed */
    int64_t count, samples;
    const int64_t *size; /* samples of every unit */
    uint8_t *of;         /* split of every unit */
} Lineup;

static void place(Lineup *l, int64_t k, uint8_t split)
{
    int64_t left = 0, end = 0, taken = 0;
    for (int64_t i = 0; i < l->count; i++) { /* fewer than 2^31 samples: products fit */
        const int64_t unit = l->line[i], size = l->size[unit];
        end += size;
        if (end * k / l->samples - taken >= (size + 1) / 2) {
            l->of[unit] = split;
            taken += size;
        } else {
            l->line[left++] = unit;
        }
    }
    l->count = left;
    l->samples -= taken;
}

/* Lines units up by class, keeping the order of `shuffled` within a class; `classes` 0: there are none. Units without
 * samples to be placed stay out. */
static void line_up(Arena scratch, Lineup *l, const int64_t *shuffled, int64_t units, const int64_t *class_of,
                    int64_t classes)
{
    int64_t *at = NEW(&scratch, int64_t, classes + 2);
    l->count = l->samples = 0;
    for (int64_t u = 0; u < units; u++) {
        if (!l->size[u]) continue;
        at[(classes ? class_of[u] : 0) + 1]++;
        l->count++;
        l->samples += l->size[u];
    }
    for (int64_t k = 1; k <= classes; k++) at[k] += at[k - 1];
    for (int64_t i = 0; i < units; i++)
        if (l->size[shuffled[i]]) l->line[at[classes ? class_of[shuffled[i]] : 0]++] = shuffled[i];
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
    for (int c = 0; c < columns; c++) spill_access(column[c].base, n * column[c].size, true);
    for (int64_t start = 0; start < n; start++) {
        if (from[start] == start) continue;
        for (int c = 0; c < columns; c++)
            memcpy(column[c].spare, column[c].base + start * column[c].size, (size_t)column[c].size);
        int64_t hole = start;
        while (from[hole] != start) {
            int64_t next = from[hole];
            if (column[0].size >= 4096) /* else a page that is there already is asked for in vain, time and again */
                spill_expect(column[0].base + from[next] * column[0].size, column[0].size);
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
    for (int c = 0; c < columns; c++) spill_access(column[c].base, n * column[c].size, false);
}

static int64_t *number(Arena *perm, int64_t n, const char **why)
{
    int64_t *ids = dataset_memory(perm, n, sizeof *ids, why);
    for (int64_t i = 0; ids && i < n; i++) ids[i] = i;
    return ids;
}

/* ---- keys: what makes two samples alike ---- */

typedef struct {
    uint64_t key;
    int64_t sample;
    int64_t split;
} Keyed;

static int by_key(const void *a, const void *b)
{
    const Keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    if (x->split != y->split) return x->split < y->split ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

static void flip(const DatasetInfo *i, const char *from, bool horizontal, bool vertical, char *to)
{
    const int64_t size = dtype_size(i->dtype), row = i->width * size;
    for (int64_t c = 0; c < i->channels; c++)
        for (int64_t y = 0; y < i->height; y++, to += row) {
            const char *source = from + (c * i->height + (vertical ? i->height - 1 - y : y)) * row;
            if (!horizontal) memcpy(to, source, (size_t)row);
            for (int64_t x = 0; horizontal && x < i->width; x++)
                memcpy(to + x * size, source + (i->width - 1 - x) * size, (size_t)size);
        }
}

/* The smallest hash of all views of a sample that the declared flips allow: equal for symmetric copies. */
static uint64_t form(const DatasetInfo *i, const char *sample, char *spare)
{
    const int64_t bytes = dataset_sample_bytes(i);
    uint64_t least = dataset_hash(0, sample, bytes);
    for (int view = 1; view < 4; view++) {
        const bool horizontal = view & 1, vertical = view & 2;
        if ((horizontal && !i->flip_horizontal) || (vertical && !i->flip_vertical)) continue;
        flip(i, sample, horizontal, vertical, spare);
        uint64_t hash = dataset_hash(0, spare, bytes);
        if (hash < least) least = hash;
    }
    return least;
}

static bool has_copies(const Dataset *d)
{
    return d->split[SPLIT_TRAIN].copies || d->info.flip_horizontal || d->info.flip_vertical;
}

/* The keys of one split for one kind of likeness. */
static void keys_of(Arena scratch, const Dataset *d, int s, LeakKind kind, Keyed *out)
{
    const SplitData *split = &d->split[s];
    const int64_t bytes = dataset_sample_bytes(&d->info);
    char *spare = NEW(&scratch, char, bytes);
    for (int64_t i = 0; i < split->count; i++) {
        const char *sample = (const char *)split->data + i * bytes;
        uint64_t key = kind == LEAK_GROUP       ? (uint64_t)split->groups[i]
                       : kind == LEAK_DUPLICATE ? dataset_hash(0, sample, bytes)
                       : split->copies          ? (uint64_t)split->copies[i]
                                                : form(&d->info, sample, spare);
        out[i] = (Keyed){key, i, s};
    }
}

/* ---- units ---- */

static int64_t root(int64_t *parent, int64_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* Joins neighbours of equal key; the smaller number is the root. */
static void join(int64_t *parent, Keyed *key, int64_t n)
{
    qsort(key, (size_t)n, sizeof *key, by_key);
    for (int64_t i = 1; i < n; i++) {
        if (key[i].key != key[i - 1].key) continue;
        int64_t a = root(parent, key[i - 1].sample), b = root(parent, key[i].sample);
        if (a < b)
            parent[b] = a;
        else
            parent[a] = b;
    }
}

/* Numbers the units 0, 1, … in the order of their first samples; returns how many. */
static int64_t number_units(int64_t *parent, int64_t *unit, int64_t n)
{
    int64_t units = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t r = root(parent, i);
        unit[i] = r == i ? units++ : unit[r];
    }
    return units;
}

typedef struct {
    int64_t *unit; /* of every sample */
    int64_t count;
    int64_t *size, *class_of; /* of every unit: samples to be placed, most frequent class */
} Units;

static const char *make_units(Arena *perm, Arena *scratch, const Dataset *d, const int64_t *group, bool copies,
                              Units *out)
{
    const int64_t n = d->split[SPLIT_TRAIN].count;
    const char *why;
    out->unit = dataset_memory(scratch, n, sizeof *out->unit, &why);
    if (!out->unit) return arena_strdup(perm, why);
    out->count = n;
    if (!group && !copies) {
        for (int64_t i = 0; i < n; i++) out->unit[i] = i;
        return 0;
    }
    Arena once = *scratch;
    int64_t *parent = dataset_memory(&once, n, sizeof *parent, &why);
    Keyed *key = parent ? dataset_memory(&once, n, sizeof *key, &why) : 0;
    if (!key) return arena_strdup(perm, why);
    for (int64_t i = 0; i < n; i++) parent[i] = i;
    if (group) {
        for (int64_t i = 0; i < n; i++) key[i] = (Keyed){(uint64_t)group[i], i, 0};
        join(parent, key, n);
    }
    for (LeakKind kind = LEAK_DUPLICATE; copies && kind <= LEAK_COPY; kind++) {
        if (kind == LEAK_COPY && !has_copies(d)) break;
        keys_of(once, d, SPLIT_TRAIN, kind, key);
        join(parent, key, n);
    }
    out->count = number_units(parent, out->unit, n);
    return 0;
}

/* Sizes and classes of units, over the samples that are to be placed. */
static const char *measure_units(Arena *perm, Arena *scratch, const SplitData *s, const uint8_t *of, int64_t classes,
                                 Units *u)
{
    const char *why;
    u->size = dataset_memory(scratch, u->count, sizeof *u->size, &why);
    u->class_of = u->size ? dataset_memory(scratch, u->count, sizeof *u->class_of, &why) : 0;
    if (!u->class_of) return arena_strdup(perm, why);
    for (int64_t i = 0; i < s->count; i++) u->size[u->unit[i]] += of[i] == UNPLACED;
    if (!classes) return 0;
    Arena once = *scratch;
    Keyed *key = dataset_memory(&once, s->count, sizeof *key, &why);
    if (!key) return arena_strdup(perm, why);
    for (int64_t i = 0; i < s->count; i++) key[i] = (Keyed){(uint64_t)u->unit[i], 0, (int64_t)s->targets[i]};
    qsort(key, (size_t)s->count, sizeof *key, by_key); /* by unit, then class, which stands in the place of the split */
    int64_t run = 0, longest = 0;
    for (int64_t i = 0; i < s->count; i++) {
        bool same = i && key[i].key == key[i - 1].key;
        run = same && key[i].split == key[i - 1].split ? run + 1 : 1;
        if (!same) longest = 0;
        if (run > longest) {
            longest = run;
            u->class_of[key[i].key] = key[i].split;
        }
    }
    return 0;
}

/* ---- the split ---- */

int split_find(const char *word, int64_t length)
{
    static const struct {
        const char *word;
        Split split;
    } known[] = {{"train", SPLIT_TRAIN}, {"training", SPLIT_TRAIN},   {"alpha", SPLIT_ALPHA}, {"search", SPLIT_ALPHA},
                 {"valid", SPLIT_VALID}, {"validation", SPLIT_VALID}, {"val", SPLIT_VALID},   {"dev", SPLIT_VALID},
                 {"test", SPLIT_TEST},   {"testing", SPLIT_TEST}};
    for (int i = 0; i < COUNTOF(known); i++)
        if ((int64_t)strlen(known[i].word) == length && !strncasecmp(known[i].word, word, (size_t)length))
            return known[i].split;
    return -1;
}

/* Which rule is meant, and the groups that it keeps together (0: none); *rule ends as a name of the four. */
static const char *choose_rule(Arena *perm, const SplitData *s, const char **rule, const int64_t **group)
{
    const char *asked = *rule ? *rule : "";
    if (!*asked) *rule = s->named ? "column" : s->groups ? "group" : "fraction";
    *group = !strcmp(*rule, "file") ? s->files : strcmp(*rule, "fraction") ? s->groups : 0;
    if (!strcmp(*rule, "fraction")) return 0;
    if (!strcmp(*rule, "group"))
        return *group ? 0 : "--split-by group: the source names no groups (an option of the format may name them)";
    if (!strcmp(*rule, "file")) return *group ? 0 : "--split-by file: the samples are not from several files";
    if (!strcmp(*rule, "column"))
        return s->named ? 0 : "--split-by column: the source names no splits (an option of the format may name them)";
    return arena_printf(perm, "--split-by %s: fraction, group, file or column expected", asked);
}

const char *split_assign(Arena *perm, Arena scratch, Dataset *d, const IngestSpec *spec)
{
    const Task *task = task_find(d->info.task);
    if (!task) return arena_printf(perm, "unknown task \"%s\"", d->info.task);
    const bool by_class = task->loss == LOSS_CROSS_ENTROPY, own_test = d->split[SPLIT_TEST].count > 0;
    const int64_t classes = by_class ? d->info.outputs : 0;
    SplitData *source = &d->split[SPLIT_TRAIN];
    const int64_t n = source->count;
    const char *why = teaches(perm, d, by_class);
    if (why) return why;
    if (n > INT32_MAX) return arena_printf(perm, "%lld samples: too many", (long long)n);
    if (spec->subset < 0 || spec->subset > n)
        return arena_printf(perm, "a subset of %lld was asked for, but there are %lld training samples",
                            (long long)spec->subset, (long long)n);
    const char *rule = spec->split_by;
    const int64_t *group;
    if ((why = choose_rule(perm, source, &rule, &group))) return why;

    uint8_t *of = dataset_memory(&scratch, n, 1, &why);
    if (!of) return arena_strdup(perm, why);
    const bool by_column = !strcmp(rule, "column");
    bool named[SPLIT_COUNT] = {[SPLIT_TEST] = own_test};
    for (int64_t i = 0; i < n; i++) {
        of[i] = by_column && source->named[i] != SPLIT_TRAIN ? source->named[i] : UNPLACED;
        if (of[i] < SPLIT_COUNT) named[of[i]] = true;
    }
    if (by_column && own_test)
        for (int64_t i = 0; i < n; i++)
            if (of[i] == SPLIT_TEST) return "a column names test samples, and there is a test set of its own as well";

    Units u = {0};
    if ((why = make_units(perm, &scratch, d, group, spec->group_copies, &u))) return why;
    if ((why = measure_units(perm, &scratch, source, of, classes, &u))) return why;
    Lineup l = {.size = u.size};
    int64_t *shuffled = dataset_memory(&scratch, n, sizeof *shuffled, &why);
    if (shuffled) l.line = dataset_memory(&scratch, n, sizeof *l.line, &why);
    if (l.line) l.of = dataset_memory(&scratch, u.count, 1, &why);
    if (!l.of) return arena_strdup(perm, why);
    rng_permutation(spec->seed, RNG_SPLIT, 0, shuffled, u.count);
    line_up(scratch, &l, shuffled, u.count, u.class_of, classes);
    if (l.count < 2 && !by_column)
        return arena_printf(perm, "all %lld samples are one %s: they cannot be split", (long long)n,
                            strcmp(rule, "file") ? "group" : "file");

    if (spec->subset) { /* what is dropped takes no part in the line-up */
        memset(l.of, DROPPED, (size_t)u.count);
        place(&l, spec->subset < l.samples ? spec->subset : l.samples, SPLIT_TRAIN);
        for (int64_t i = 0; i < u.count; i++)
            if (l.of[i] == DROPPED) u.size[i] = 0;
        line_up(scratch, &l, shuffled, u.count, u.class_of, classes);
    }
    const struct {
        Split split;
        double fraction;
    } carve[] = {
        {SPLIT_TEST, spec->test_fraction}, {SPLIT_VALID, spec->valid_fraction}, {SPLIT_ALPHA, spec->alpha_fraction}};
    for (int i = 0; i < COUNTOF(carve); i++) {
        double f = named[carve[i].split] ? 0 : carve[i].fraction;
        if (!(f >= 0 && f < 1))
            return arena_printf(perm, "fraction %g of the %s split: 0 to below 1 expected", f,
                                split_name[carve[i].split]);
        const int64_t all = l.samples, k = llround(f * (double)all);
        place(&l, k, (uint8_t)carve[i].split);
        if (f > 0 && (l.samples == all || l.samples == 0))
            return arena_printf(perm, "%g of %lld samples leaves the %s split empty", f, (long long)all,
                                split_name[l.samples ? carve[i].split : SPLIT_TRAIN]);
    }
    for (int64_t i = 0; i < l.count; i++) l.of[l.line[i]] = SPLIT_TRAIN;
    for (int64_t i = 0; i < n; i++)
        if (of[i] == UNPLACED) of[i] = l.of[u.unit[i]];

    /* one run per split, each in shuffled order, dropped samples last */
    rng_permutation(spec->seed, RNG_SPLIT, 0, shuffled, n);
    int64_t first[SPLIT_COUNT + 1], at = 0;
    for (int s = 0; s <= SPLIT_COUNT; s++) {
        first[s] = at;
        for (int64_t i = 0; i < n; i++)
            if (of[shuffled[i]] == s) l.line[at++] = shuffled[i];
    }
    const int64_t kept = first[SPLIT_COUNT];
    if (!source->ids) source->ids = number(perm, n, &why);
    if (source->ids && own_test && !d->split[SPLIT_TEST].ids)
        d->split[SPLIT_TEST].ids = number(perm, d->split[SPLIT_TEST].count, &why);
    if (why) return why;
    const int64_t sample = dataset_sample_bytes(&d->info);
    const SplitData whole = *source;
    Column column[6] = {{(char *)whole.data, 0, sample},
                        {(char *)whole.targets, 0, d->target_width * (int64_t)sizeof(float)},
                        {(char *)whole.ids, 0, sizeof(int64_t)}};
    const int64_t *const optional[] = {whole.groups, whole.files, whole.copies};
    int columns = 3;
    for (int i = 0; i < COUNTOF(optional); i++)
        if (optional[i]) column[columns++] = (Column){(char *)optional[i], 0, sizeof(int64_t)};
    for (int c = 0; c < columns; c++) column[c].spare = NEW(&scratch, char, column[c].size);
    permute(column, columns, l.line, n);
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (s != SPLIT_TEST || !own_test)
            d->split[s] = (SplitData){.count = first[s + 1] - first[s],
                                      .data = (const char *)whole.data + first[s] * sample,
                                      .targets = whole.targets + first[s] * d->target_width,
                                      .ids = whole.ids + first[s],
                                      .groups = whole.groups ? whole.groups + first[s] : 0,
                                      .files = whole.files ? whole.files + first[s] : 0,
                                      .copies = whole.copies ? whole.copies + first[s] : 0};
    why = teaches(perm, d, by_class);
    if (why) return why;

    DatasetInfo *info = &d->info;
    dataset_setting(perm, info, "split", "%s%s%s%s, seeded shuffle; test, validation, alpha in turn",
                    by_column ? "by the source's column, else " : "", by_class ? "stratified by class" : "random",
                    !group                 ? ""
                    : strcmp(rule, "file") ? ", groups kept whole"
                                           : ", files kept whole",
                    spec->group_copies ? ", copies kept together" : "");
    if (u.count < n) dataset_setting(perm, info, "units", "%lld of %lld samples", (long long)u.count, (long long)n);
    dataset_setting(perm, info, "seed", "%llu", (unsigned long long)spec->seed);
    for (int i = 0; i < COUNTOF(carve); i++) {
        const Split s = carve[i].split;
        if (named[s])
            dataset_setting(perm, info, split_name[s], s == SPLIT_TEST && own_test ? "the source's own" : "named");
        else
            dataset_setting(perm, info, split_name[s], "%g", carve[i].fraction);
    }
    if (spec->subset) dataset_setting(perm, info, "subset", "%lld of %lld", (long long)kept, (long long)n);
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

/* ---- leaks ---- */

const char *leak_check(Arena *perm, Arena scratch, const Dataset *d, Leaks *out)
{
    *out = (Leaks){.checked = {true, has_copies(d), true}};
    int64_t n = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        n += d->split[s].count;
        if (d->split[s].count && !d->split[s].groups) out->checked[LEAK_GROUP] = false;
        if (d->split[s].count && !d->split[s].copies != !d->split[SPLIT_TRAIN].copies) out->checked[LEAK_COPY] = false;
    }
    const char *why;
    Keyed *key = dataset_memory(&scratch, n, sizeof *key, &why);
    if (!key) return arena_strdup(perm, why);
    for (LeakKind kind = 0; kind < LEAK_KINDS; kind++) {
        if (!out->checked[kind]) continue;
        int64_t at = 0;
        for (int s = 0; s < SPLIT_COUNT; at += d->split[s++].count) keys_of(scratch, d, s, kind, key + at);
        qsort(key, (size_t)n, sizeof *key, by_key);
        for (int64_t i = 0, first = 0; i < n; i++) {
            if (key[i].key != key[first].key) first = i;
            if (key[i].split == key[first].split) continue;
            out->found[kind][key[i].split]++;
            out->total++;
        }
    }
    return 0;
}

const char *leak_text(Arena *perm, const Leaks *l)
{
    static const char *const name[LEAK_KINDS] = {"duplicates", "symmetric copies", "groups"};
    Text t = {0};
    for (int kind = 0; kind < LEAK_KINDS; kind++) {
        if (!l->checked[kind]) continue;
        int64_t sum = 0;
        for (int s = 0; s < SPLIT_COUNT; s++) sum += l->found[kind][s];
        text_addf(perm, &t, "%s%s %lld", t.length ? ", " : "", name[kind], (long long)sum);
        const char *between = " (";
        for (int s = 0; s < SPLIT_COUNT; s++) {
            if (!l->found[kind][s]) continue;
            text_addf(perm, &t, "%s%s %lld", between, split_name[s], (long long)l->found[kind][s]);
            between = ", ";
        }
        if (sum) text_add(perm, &t, ")");
    }
    return t.s;
}
