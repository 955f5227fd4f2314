/* evaluate: whole-split evaluation and the health check. */
#include "train/evaluate.h"

#include <math.h>

#include "cli/cli.h"

bool evaluate_split(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, Mode mode, Tally *t,
                    const char **why)
{
    LoaderSpec spec = {.split = split, .batch = batch, .limit = limit};
    *why = 0;
    tally_reset(t);
    Loader *l = loader_open(d, &spec, why);
    if (!l) return false;
    bool done = false;
    while (!done && !cli_interrupted()) {
        Batch b = loader_next(l);
        tally_feed(t, e, &b);
        engine_forward(e, mode);
        tally_add(t, e, &b);
        done = b.last;
    }
    loader_close(l);
    return done;
}

const char *evaluate_health(Engine *e, const Dataset *d, Split split, int64_t batch, Arena scratch, Health *out)
{
    int64_t n = d->split[split].count < HEALTH_SAMPLES ? d->split[split].count : HEALTH_SAMPLES;
    if (n > batch) n -= n % batch; /* whole batches: the statistics of a short one are another matter */
    *out = (Health){.count = n, .train_mode = NAN, .eval_mode = NAN};
    Tally t;
    const char *why = tally_open(&scratch, d, task_find(d->info.task), n, batch, &t);
    if (why) return why;
    if (evaluate_split(e, d, split, n, batch, MODE_EVAL, &t, &why)) out->eval_mode = tally_loss(&t);
    engine_copy(e, BLOCK_STATS_SAVED, BLOCK_STATS); /* which a pass in training mode moves */
    if (!why && evaluate_split(e, d, split, n, batch, MODE_TRAIN, &t, &why)) out->train_mode = tally_loss(&t);
    engine_copy(e, BLOCK_STATS, BLOCK_STATS_SAVED);
    return why;
}

const char *health_warning(Arena *a, const Health *h)
{
    if (isfinite(h->eval_mode) && !(h->eval_mode > 2 * h->train_mode + 0.5)) return 0;
    if (isnan(h->train_mode)) return 0; /* not measured */
    return arena_printf(
        a,
        "loss %.4g by running statistics, %.4g by batch statistics, on the same %lld samples: train longer "
        "or with a larger batch",
        h->eval_mode, h->train_mode, (long long)h->count);
}

double *evaluate_confusion(Arena *perm, const Tally *t)
{
    enum { MOST = 1000 }; /* classes: 8 MB */
    int64_t n = t->info->outputs;
    if (t->task->loss != LOSS_CROSS_ENTROPY || n > MOST) return 0;
    double *count = NEW(perm, double, n *n);
    for (int64_t r = 0; r < t->rows; r++) {
        const float *z = t->logits + r * n;
        int64_t best = 0;
        for (int64_t k = 1; k < n; k++)
            if (z[k] > z[best]) best = k;
        count[(int64_t)t->targets[r] * n + best]++;
    }
    return count;
}

int64_t evaluate_trivial(const Dataset *d, const Tally *t, Metric *m, int64_t room)
{
    const SplitData *train = &d->split[SPLIT_TRAIN];
    if (!train->count) return 0;
    return task_trivial(&d->info, train->targets, train->count, t->targets, t->rows, m, room);
}

ScoreTable *evaluate_scores(Arena *perm, const Dataset *d, const Tally *t, int64_t *count)
{
    const SplitData *train = &d->split[SPLIT_TRAIN];
    return task_scores(perm, &d->info, t->logits, t->targets, t->rows, train->targets, train->count, count);
}
