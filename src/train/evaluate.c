/* evaluate: whole-split evaluation and the health check. */
#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cli/cli.h"

bool evaluate_pass(Engine *e, const Dataset *d, const LoaderSpec *spec, int64_t epoch, Mode mode, Tally *t,
                   const char **why)
{
    *why = 0;
    tally_reset(t);
    Loader *l = loader_open(d, spec, why);
    if (!l) return false;
    if (epoch) loader_seek(l, epoch, 0);
    bool done = false;
    while (!done && !cli_interrupted()) {
        Batch b = loader_next(l);
        tally_feed(t, e, &b);
        engine_forward(e, mode);
        tally_add(t, e, &b);
        done = b.last;
    }
    tally_wait(t, e);
    loader_close(l);
    *why = engine_error(e);
    return done && !*why;
}

bool evaluate_split(Engine *e, const Dataset *d, Split split, int64_t limit, int64_t batch, Mode mode, Tally *t,
                    const char **why)
{
    const LoaderSpec spec = {.split = split, .batch = batch, .limit = limit};
    return evaluate_pass(e, d, &spec, 0, mode, t, why);
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a fraction of the n sorted ones lies, between two of them by proportion. */
static double quantile(const double *sorted, int64_t n, double fraction)
{
    double at = fraction * (double)(n - 1);
    int64_t below = (int64_t)at, above = below + (below < n - 1);
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

const char *evaluate_bootstrap(Arena scratch, const Tally *t, int64_t resamples, uint64_t seed, double interval[2])
{
    Tally drawn = {.info = t->info, .task = t->task, .width = t->width, .room = t->rows, .rows = t->rows};
    const int64_t K = t->info->outputs, rows = t->rows;
    const char *why = 0, *name = task_selects(t->info)->name;
    drawn.logits = dataset_memory(&scratch, rows, K * (int64_t)sizeof(float), &why);
    if (!why) drawn.targets = dataset_memory(&scratch, rows, t->width * (int64_t)sizeof(float), &why);
    if (why) return why;
    double *value = NEW(&scratch, double, resamples);
    int64_t count = 0;
    for (int64_t b = 0; b < resamples && !cli_interrupted(); b++) {
        for (int64_t i = 0; i < rows; i++) {
            int64_t from = rng_below(seed, RNG_RESAMPLE, (uint64_t)b << 32 | (uint64_t)i, rows);
            memcpy(drawn.logits + i * K, t->logits + from * K, (size_t)K * sizeof(float));
            memcpy(drawn.targets + i * t->width, t->targets + from * t->width, (size_t)t->width * sizeof(float));
        }
        Metric m[TALLY_METRICS];
        int64_t n = task_metrics(t->info, drawn.logits, drawn.targets, rows, false, m, TALLY_METRICS);
        double found = metric_get(m, n, "", name);
        if (!isnan(found)) value[count++] = found;
    }
    qsort(value, (size_t)count, sizeof *value, rising);
    for (int end = 0; end < 2; end++) interval[end] = count ? quantile(value, count, end ? 0.975 : 0.025) : NAN;
    return 0;
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

const char *evaluate_record(Arena *perm, Arena scratch, const Dataset *d, Split split, const Tally *t,
                            int64_t resamples, uint64_t seed, Evaluation *r)
{
    const SplitData *train = &d->split[SPLIT_TRAIN];
    r->dataset = d->info.name;
    r->split = split_name[split];
    r->count = t->rows;
    r->metrics = NEW(perm, Metric, TALLY_METRICS + 2);
    r->baseline = NEW(perm, Metric, TALLY_METRICS);
    tally_metrics(t, r->split, r->metrics, &r->metric_count, TALLY_METRICS);
    r->baseline_count = evaluate_trivial(d, t, r->baseline, TALLY_METRICS);
    for (int64_t i = 0; i < r->baseline_count; i++) r->baseline[i].split = r->split;
    r->confusion = evaluate_confusion(perm, t);
    r->confusion_size = r->confusion ? d->info.outputs : 0;
    r->tables =
        task_scores(perm, &d->info, t->logits, t->targets, t->rows, train->targets, train->count, &r->table_count);
    if (!resamples) return 0;
    const char *selects = task_selects(&d->info)->name, *end[2] = {"low", "high"};
    double interval[2];
    const char *why = evaluate_bootstrap(scratch, t, resamples, seed, interval);
    for (int i = 0; !why && i < 2; i++)
        r->metrics[r->metric_count++] = (Metric){arena_printf(perm, "%s_%s", selects, end[i]), r->split, interval[i]};
    return why ? arena_printf(perm, "the resampled outputs: %s", why) : 0;
}
