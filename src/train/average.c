/* average: see average.h. */
#include "train/average.h"

#include <string.h>

#include "train/evaluate.h"
#include "train/predictions.h"

const char *average_open(Arena *perm, const Dataset *d, int64_t rows, Average *out)
{
    const char *why = 0;
    *out = (Average){.rows = rows};
    out->sum = dataset_memory(perm, rows, d->info.outputs * (int64_t)sizeof *out->sum, &why);
    return why ? arena_printf(perm, "the mean outputs of %lld samples: %s", (long long)rows, why) : 0;
}

void average_add(Average *a, Tally *t)
{
    for (int64_t i = 0; i < t->rows * t->info->outputs; i++) a->sum[i] += (double)t->logits[i];
    a->count++;
}

void average_take(const Average *a, Tally *t)
{
    for (int64_t i = 0; i < a->rows * t->info->outputs; i++) t->logits[i] = (float)(a->sum[i] / (double)a->count);
    t->rows = a->rows;
    task_unpredict(t->info, t->logits, t->rows);
}

bool average_views(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, int64_t views, uint64_t seed,
                   Average *a, Tally *t, const char **why)
{
    const DatasetInfo *i = &d->info;
    const Augment augment = {
        .flip_horizontal = i->flip_horizontal, .flip_vertical = i->flip_vertical, .crop_padding = i->crop_padding};
    memset(a->sum, 0, (size_t)(a->rows * i->outputs) * sizeof *a->sum);
    a->count = 0;
    for (int64_t view = 0; view <= views; view++) {
        LoaderSpec spec = {.split = split, .batch = batch, .limit = limit, .seed = seed};
        if (view) spec.augment = augment;
        if (!evaluate_pass(e, d, &spec, view, MODE_EVAL, t, why)) return false;
        predictions_make(t);
        average_add(a, t);
    }
    average_take(a, t);
    return true;
}
