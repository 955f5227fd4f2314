/* intake: samples from readers, one by one. */
#include "data/intake.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_EVERY = 16 << 20 /* bytes, after which memory is looked at again */, BUCKETS = 1 << 12 };
static const int64_t most_bytes = (int64_t)1 << 42; /* of samples of which nobody knows how many there will be */

const char *intake_open(Arena *perm, const IngestSpec *spec, Dataset *to, int64_t most, Intake *out)
{
    *out = (Intake){.perm = perm, .spec = spec, .to = to, .most = most};
    to->shaped = true;
    return raster_plan(perm, spec->reshape ? spec->reshape : "", &out->plan);
}

const char *intake_bad(Intake *s, const char *why)
{
    LeftOut *l = &s->to->left_out;
    if (!s->spec->skip_bad) return why;
    if (l->count < COUNTOF(l->why)) l->why[l->count] = arena_strdup(s->perm, why);
    l->count++;
    return 0;
}

/* ---- classes ---- */

static bool number_of(const char *text, double *to)
{
    char *end;
    *to = strtod(text, &end);
    return end != text && !*end && isfinite(*to);
}

int64_t intake_class(Intake *s, const char *text)
{
    char number[40];
    double value;
    if (number_of(text, &value)) {
        snprintf(number, sizeof number, "%.9g", value == 0 ? 0 : value);
        text = number;
    }
    if (!s->bucket) {
        s->bucket = NEW(s->perm, int64_t, BUCKETS);
        for (int64_t i = 0; i < BUCKETS; i++) s->bucket[i] = -1;
    }
    int64_t *bucket = &s->bucket[dataset_hash(0, text, (int64_t)strlen(text)) % BUCKETS];
    for (int64_t i = *bucket; i >= 0; i = s->class[i].next)
        if (!strcmp(s->class[i].text, text)) return i;
    if (s->class_count == DATASET_MAX_OUTPUTS) return -1;
    GROW(s->perm, s->class, s->class_count, s->class_room);
    s->class[s->class_count] = (IntakeClass){arena_strdup(s->perm, text), *bucket};
    return *bucket = s->class_count++;
}

static int by_value(const void *a, const void *b)
{
    const double x = strtod(((const IntakeClass *)a)->text, 0), y = strtod(((const IntakeClass *)b)->text, 0);
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const IntakeClass *)a)->text, ((const IntakeClass *)b)->text);
}

/* Sorts the classes and gives the targets their new numbers. */
static void sort_classes(Intake *s)
{
    DatasetInfo *info = &s->to->info;
    const int64_t n = s->class_count;
    bool numbers = true;
    for (int64_t i = 0; i < n; i++) {
        double value;
        numbers &= number_of(s->class[i].text, &value);
        s->class[i].next = i; /* from here on: the old number */
    }
    qsort(s->class, (size_t)n, sizeof *s->class, numbers ? by_value : by_text);
    int64_t *place = NEW(s->perm, int64_t, n);
    info->outputs = n;
    info->output_names = NEW(s->perm, const char *, n);
    bool counted = numbers; /* 0, 1, …: such names say nothing */
    for (int64_t i = 0; i < n; i++) {
        place[s->class[i].next] = i;
        info->output_names[i] = s->class[i].text;
        counted &= numbers && strtod(s->class[i].text, 0) == (double)i;
    }
    if (counted) info->output_names = 0;
    for (int r = 0; r < COUNTOF(s->run); r++) {
        float *target = (float *)s->run[r].targets.beg - s->run[r].count;
        for (int64_t i = 0; i < s->run[r].count; i++) target[i] = (float)place[(int64_t)target[i]];
    }
}

/* ---- samples ---- */

static int64_t stored_bytes(const Dataset *d)
{
    const int64_t targets = d->target_width * (int64_t)sizeof(float);
    return dataset_sample_bytes(&d->info) + targets + 3 * (int64_t)sizeof(int64_t) + 1;
}

/* Puts what a run has of pixels, and will have, into a file; `why` it does not go into memory, 0: it is asked for. Returns 0 or why not. */
static const char *spill(Intake *s, IntakeRun *run, const char *why)
{
    if (spill_when() == SPILL_NEVER) return why;
    const int64_t sample = dataset_sample_bytes(&s->to->info), used = run->count * sample;
    const int64_t room = s->most ? size_mul(s->most, sample) : most_bytes;
    const char *from = run->data.beg ? run->data.beg - used : 0;
    const char *beside = s->most ? spill_refuses(s->perm, room) : 0;
    if (!beside) beside = spill_begin(s->perm, from, used, room < most_bytes ? room : most_bytes, &run->file);
    if (beside) return why ? arena_printf(s->perm, "%s; %s", why, beside) : beside;
    if (from) arena_forget(from, used);
    run->data = (Arena){run->file.data + used, run->file.data + run->file.bytes};
    s->to->spilled = arena_printf(s->perm, "samples are put together in a file in %s%s%s", spill_folder(),
                                  why ? ": in memory it " : "", why ? why : "");
    return 0;
}

/* Ranges for as many samples as can come, or as there is room for. */
static const char *begin_run(Intake *s, IntakeRun *run, const char *where)
{
    const int64_t pixels = dataset_sample_bytes(&s->to->info), beside = stored_bytes(s->to) - pixels;
    const int64_t room = arena_left(s->perm) / 2, left = s->most - s->run[0].count - s->run[1].count;
    const char *why = s->most ? dataset_too_large(s->perm, left, pixels + beside) : 0;
    if (why || spill_when() == SPILL_ALWAYS) why = spill(s, run, why);
    if (why && !s->most) return arena_printf(s->perm, "%s: %s", where, why);
    if (why) return arena_printf(s->perm, "%s: %lld samples: %s", where, (long long)left, why);
    int64_t n = room / pixels;
    if (!run->file.data) run->data = arena_cut(s->perm, (s->most && left < n ? left : n) * pixels);
    n = s->most && left < room / 2 / beside ? left : room / 2 / beside;
    run->targets = arena_cut(s->perm, n * s->to->target_width * (int64_t)sizeof(float));
    run->ids = arena_cut(s->perm, n * (int64_t)sizeof(int64_t));
    run->groups = arena_cut(s->perm, n * (int64_t)sizeof(int64_t));
    run->files = arena_cut(s->perm, n * (int64_t)sizeof(int64_t));
    run->named = arena_cut(s->perm, n);
    return 0;
}

/* The first sample fixes the shape. */
static const char *begin(Intake *s, const Raster *r, const char *where)
{
    DatasetInfo *info = &s->to->info;
    info->channels = r->channels;
    info->height = r->height;
    info->width = r->width;
    info->dtype = r->dtype;
    s->first = arena_strdup(s->perm, where);
    const char *why = dataset_check_shape(s->perm, r->channels, r->height, r->width, r->dtype);
    return why ? arena_printf(s->perm, "%s: %s", where, why) : 0;
}

/* Makes sure of memory for one more sample, or of a file for its pixels; why not, or 0. */
static const char *make_room(Intake *s, IntakeRun *run, const char *where)
{
    const int64_t pixels = dataset_sample_bytes(&s->to->info);
    const char *why = 0;
    s->unchecked += run->file.data ? stored_bytes(s->to) - pixels : stored_bytes(s->to);
    if (s->unchecked >= CHECK_EVERY) { /* as much again must fit */
        s->unchecked = 0;
        why = dataset_too_large(s->perm, 1, 2 * CHECK_EVERY);
    }
    if (!run->file.data && !why && arena_left(&run->data) < pixels) why = "is more than there is";
    if (!run->file.data && why) why = spill(s, run, why);
    if (!why && arena_left(&run->named) < 1) why = "no more samples fit into memory";
    if (!why && run->file.data) why = spill_reserve(s->perm, &run->file, (run->count + 1) * pixels);
    return why ? arena_printf(s->perm, "%s: after %lld samples: %s", where, (long long)run->count, why) : 0;
}

/* Why this sample is bad, or 0. */
static const char *flaw(Intake *s, const Sample *sample, const Raster *r)
{
    const DatasetInfo *info = &s->to->info;
    if (r->channels != info->channels || r->height != info->height || r->width != info->width)
        return arena_printf(s->perm, "%s: %lldx%lldx%lld, but %s is %lldx%lldx%lld (--reshape can make them alike)",
                            sample->where, (long long)r->channels, (long long)r->height, (long long)r->width, s->first,
                            (long long)info->channels, (long long)info->height, (long long)info->width);
    if (r->dtype != info->dtype)
        return arena_printf(s->perm, "%s: values of another type than in %s", sample->where, s->first);
    const float *x = r->data;
    for (int64_t i = 0; r->dtype == DTYPE_F32 && i < dataset_sample_values(info); i++) {
        if (isfinite(x[i])) continue;
        if (!isnan(x[i]) || !s->missing_allowed)
            return arena_printf(s->perm, "%s: a value that is not finite", sample->where);
        s->to->missing = true;
    }
    for (int64_t i = 0; i < s->to->target_width; i++)
        if (!isfinite(sample->targets[i]))
            return arena_printf(s->perm, "%s: a target that is not finite", sample->where);
    return 0;
}

static void append(Arena *to, const void *from, int64_t bytes)
{
    memcpy(arena_append(to, bytes), from, (size_t)bytes);
}

const char *intake_put(Intake *s, Arena scratch, const Sample *sample)
{
    const Dataset *d = s->to;
    IntakeRun *run = &s->run[sample->apart];
    Raster r = sample->raster;
    const char *why = raster_apply(&scratch, &s->plan, &r);
    if (why) return intake_bad(s, arena_printf(s->perm, "%s: %s", sample->where, why));
    if (!s->first && (why = begin(s, &r, sample->where))) return why;
    if ((why = flaw(s, sample, &r))) return intake_bad(s, why);
    if (!run->data.beg && (why = begin_run(s, run, sample->where))) return why;
    if ((why = make_room(s, run, sample->where))) return why;
    const uint8_t named = (uint8_t)(sample->named < 0 ? SPLIT_TRAIN : sample->named);
    append(&run->data, r.data, dataset_sample_bytes(&d->info));
    append(&run->targets, sample->targets, d->target_width * (int64_t)sizeof *sample->targets);
    append(&run->ids, &sample->id, sizeof sample->id);
    append(&run->groups, &sample->group, sizeof sample->group);
    append(&run->files, &sample->file, sizeof sample->file);
    append(&run->named, &named, 1);
    run->count++;
    s->grouped |= sample->group >= 0;
    s->filed |= sample->file > 0;
    s->named |= sample->named > SPLIT_TRAIN;
    return 0;
}

static SplitData split_of(const Intake *s, const IntakeRun *run)
{
    const int64_t n = run->count;
    if (!n) return (SplitData){0};
    return (SplitData){.count = n,
                       .data = run->data.beg - n * dataset_sample_bytes(&s->to->info),
                       .targets = (float *)run->targets.beg - n * s->to->target_width,
                       .ids = (int64_t *)run->ids.beg - n,
                       .groups = s->grouped ? (int64_t *)run->groups.beg - n : 0,
                       .files = s->filed ? (int64_t *)run->files.beg - n : 0,
                       .named = s->named ? (uint8_t *)run->named.beg - n : 0};
}

const char *intake_close(Intake *s, const char *source)
{
    const LeftOut *l = &s->to->left_out;
    DatasetInfo *info = &s->to->info;
    if (!s->run[0].count && l->count)
        return arena_printf(s->perm, "%s: all %lld samples are bad; the first: %s", source, (long long)l->count,
                            l->why[0]);
    if (!s->run[0].count) return arena_printf(s->perm, "%s: zero samples", source);
    if (s->class_count) sort_classes(s);
    s->to->split[SPLIT_TRAIN] = split_of(s, &s->run[0]);
    s->to->split[SPLIT_TEST] = split_of(s, &s->run[1]);
    s->to->split[SPLIT_TEST].named = 0;
    if (s->plan.count) dataset_setting(s->perm, info, "reshape", "%s", s->spec->reshape);
    if (l->count)
        dataset_setting(s->perm, info, "skipped", "%lld bad samples; the first: %s", (long long)l->count, l->why[0]);
    return 0;
}
