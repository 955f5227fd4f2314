/* tally: whole-split sums. */
#include "train/tally.h"

#include <assert.h>
#include <string.h>

int64_t tally_bytes(const Dataset *d, int64_t room)
{
    return room * (d->info.outputs + d->target_width) * (int64_t)sizeof(float) + metrics_bytes(room, d->info.outputs);
}

const char *tally_open(Arena *perm, const Dataset *d, const Task *task, int64_t room, int64_t batch, Tally *out)
{
    const char *why = 0;
    *out = (Tally){.info = &d->info, .task = task, .width = d->target_width, .room = room};
    out->logits = dataset_memory(perm, room, d->info.outputs * (int64_t)sizeof(float), &why);
    if (out->logits) out->targets = dataset_memory(perm, room, d->target_width * (int64_t)sizeof(float), &why);
    if (out->targets) out->scaled = dataset_memory(perm, batch, d->info.outputs * (int64_t)sizeof(float), &why);
    return why ? arena_printf(perm, "the outputs of %lld samples: %s", (long long)room, why) : 0;
}

void tally_reset(Tally *t)
{
    t->rows = 0;
}

/* Targets as numbers, each sample's mixed with its partner's. */
static void mixed(const Batch *b, int64_t width, float *to)
{
    for (int64_t i = 0; i < b->n * width; i++) {
        const float m = b->share ? b->share[i / width] : 1;
        to[i] = b->share ? m * b->y[i] + (1 - m) * b->partner[i] : b->y[i];
    }
}

/* Classes as shares of all classes. */
static void shares(const Tally *t, const Batch *b)
{
    const int64_t classes = t->info->outputs;
    for (int64_t i = 0; i < b->n; i++) {
        float *to = t->scaled + i * classes;
        const double m = b->share ? (double)b->share[i] : 1;
        for (int64_t k = 0; k < classes; k++) {
            const double part = (b->y[i] == (float)k) * m + (b->share && b->partner[i] == (float)k) * (1 - m);
            to[k] = (float)((1 - t->smoothing) * part + t->smoothing / (double)classes);
        }
    }
}

void tally_feed(const Tally *t, Engine *e, const Batch *b)
{
    if (engine_graph(e)->detail.soft) {
        shares(t, b);
    } else {
        mixed(b, t->width, t->scaled);
        for (int64_t i = 0; t->smoothing > 0 && i < b->n * t->width; i++)
            t->scaled[i] = (float)((1 - t->smoothing) * (double)t->scaled[i] + t->smoothing / 2);
        task_scale_targets(t->info, t->scaled, b->n, t->width, t->scaled);
    }
    engine_batch(e, b->x, t->scaled, b->n);
}

void tally_add(Tally *t, Engine *e, const Batch *b)
{
    assert(t->rows + b->n <= t->room);
    engine_outputs(e, &t->loss, t->logits + t->rows * t->info->outputs);
    float *targets = t->targets + t->rows * t->width;
    if (t->task->loss == LOSS_MSE || t->task->loss == LOSS_TREE)
        mixed(b, t->width, targets);
    else
        memcpy(targets, b->y, (size_t)(b->n * t->width) * sizeof(float));
    t->rows += b->n;
}

double tally_wait(const Tally *t, Engine *e)
{
    engine_wait(e);
    return t->loss;
}

static int64_t measure(const Tally *t, int64_t first, bool all, Metric *m, int64_t room)
{
    return task_metrics(t->info, t->logits + first * t->info->outputs, t->targets + first * t->width, t->rows - first,
                        all, m, room);
}

void tally_metrics(const Tally *t, const char *split, Metric *m, int64_t *count, int64_t room)
{
    assert(*count <= room);
    if (!t->rows) return; /* nor need it be open */
    int64_t n = measure(t, 0, !t->brief, m + *count, room - *count);
    for (int64_t i = 0; i < n; i++) m[(*count)++].split = split;
}

double tally_loss(const Tally *t)
{
    Metric m[TALLY_METRICS];
    return metric_get(m, measure(t, 0, false, m, TALLY_METRICS), "", "loss");
}

double tally_recent(const Tally *t)
{
    enum { LATEST = 1024 };
    Metric m[TALLY_METRICS];
    int64_t n = measure(t, t->rows > LATEST ? t->rows - LATEST : 0, false, m, TALLY_METRICS);
    return metric_get(m, n, "", task_selects(t->info)->name);
}
