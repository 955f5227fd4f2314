/* intake: samples from readers, one by one. */
#include "data/intake.h"

#include <math.h>
#include <string.h>

const char *intake_open(Arena *perm, const IngestSpec *spec, Dataset *to, int64_t most, Intake *out)
{
    *out = (Intake){.perm = perm, .spec = spec, .to = to, .most = most};
    return raster_plan(perm, spec->reshape ? spec->reshape : "", &out->plan);
}

const char *intake_bad(Intake *s, const char *why)
{
    if (!s->spec->skip_bad) return why;
    if (!s->bad++) s->first_bad = arena_strdup(s->perm, why);
    return 0;
}

/* The first sample fixes the shape; with it the memory for all is known. */
static const char *begin(Intake *s, const Raster *r, const char *where)
{
    DatasetInfo *info = &s->to->info;
    SplitData *split = &s->to->split[SPLIT_TRAIN];
    info->channels = r->channels;
    info->height = r->height;
    info->width = r->width;
    info->dtype = r->dtype;
    const char *why = dataset_check_shape(s->perm, r->channels, r->height, r->width, r->dtype);
    if (why) return arena_printf(s->perm, "%s: %s", where, why);
    split->data = dataset_memory(s->perm, s->most, dataset_sample_bytes(info), &why);
    if (!why) split->targets = dataset_memory(s->perm, s->most, s->to->target_width * (int64_t)sizeof(float), &why);
    if (!why) split->ids = dataset_memory(s->perm, s->most, sizeof(int64_t), &why);
    if (!why) split->groups = dataset_memory(s->perm, s->most, sizeof(int64_t), &why);
    if (!why) split->files = dataset_memory(s->perm, s->most, sizeof(int64_t), &why);
    if (!why) split->named = dataset_memory(s->perm, s->most, 1, &why);
    if (why) return arena_printf(s->perm, "%s: %lld samples: %s", where, (long long)s->most, why);
    s->first = arena_strdup(s->perm, where);
    return 0;
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
    for (int64_t i = 0; r->dtype == DTYPE_F32 && i < dataset_sample_values(info); i++)
        if (!isfinite(x[i])) return arena_printf(s->perm, "%s: a value that is not finite", sample->where);
    for (int64_t i = 0; i < s->to->target_width; i++)
        if (!isfinite(sample->targets[i]))
            return arena_printf(s->perm, "%s: a target that is not finite", sample->where);
    return 0;
}

const char *intake_put(Intake *s, Arena scratch, const Sample *sample)
{
    Dataset *d = s->to;
    SplitData *split = &d->split[SPLIT_TRAIN];
    Raster r = sample->raster;
    const char *why = raster_apply(&scratch, &s->plan, &r);
    if (why) return intake_bad(s, arena_printf(s->perm, "%s: %s", sample->where, why));
    if (!split->data && (why = begin(s, &r, sample->where))) return why;
    if ((why = flaw(s, sample, &r))) return intake_bad(s, why);
    const int64_t i = split->count++, bytes = dataset_sample_bytes(&d->info);
    memcpy((char *)split->data + i * bytes, r.data, (size_t)bytes);
    memcpy((float *)split->targets + i * d->target_width, sample->targets,
           (size_t)d->target_width * sizeof *sample->targets);
    ((int64_t *)split->ids)[i] = sample->id;
    ((int64_t *)split->groups)[i] = sample->group;
    ((int64_t *)split->files)[i] = sample->file;
    ((uint8_t *)split->named)[i] = (uint8_t)(sample->named < 0 ? SPLIT_TRAIN : sample->named);
    s->grouped |= sample->group >= 0;
    s->filed |= sample->file > 0;
    s->named |= sample->named > SPLIT_TRAIN;
    return 0;
}

const char *intake_close(Intake *s, const char *source)
{
    SplitData *split = &s->to->split[SPLIT_TRAIN];
    if (!split->count && s->bad)
        return arena_printf(s->perm, "%s: all %lld samples are bad; the first: %s", source, (long long)s->bad,
                            s->first_bad);
    if (!split->count) return arena_printf(s->perm, "%s: zero samples", source);
    if (!s->grouped) split->groups = 0;
    if (!s->filed) split->files = 0;
    if (!s->named) split->named = 0;
    if (s->plan.count) dataset_setting(s->perm, &s->to->info, "reshape", "%s", s->spec->reshape);
    if (s->bad)
        dataset_setting(s->perm, &s->to->info, "skipped", "%lld bad samples; the first: %s", (long long)s->bad,
                        s->first_bad);
    return 0;
}
