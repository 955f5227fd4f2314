/* prepare: normalisation by sample, balance of classes, missing values. */
#include "data/prepare.h"

#include <math.h>
#include <string.h>

#include "data/task.h"

/* ---- normalisation ---- */

/* n values, of u8 or float, to mean 0 and sd 1; from and to may be the same floats. */
static void standardise(const void *from, bool u8, int64_t n, float *to)
{
    double sum = 0, squares = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = u8 ? (double)((const uint8_t *)from)[i] : (double)((const float *)from)[i];
        if (isnan(v)) continue;
        sum += v;
        known++;
    }
    const double mean = known ? sum / (double)known : 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = u8 ? (double)((const uint8_t *)from)[i] : (double)((const float *)from)[i];
        if (!isnan(v)) squares += (v - mean) * (v - mean);
    }
    const double sd = known ? sqrt(squares / (double)known) : 0;
    const double scale = sd > 1e-12 * fabs(mean) && sd > 1e-30 ? 1 / sd : 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = u8 ? (double)((const uint8_t *)from)[i] : (double)((const float *)from)[i];
        to[i] = (float)((v - mean) * scale);
    }
}

const char *prepare_normalise(Arena *perm, Dataset *d, Normalise how)
{
    static const char *const name[] = {"channel", "global", "sample", "none"};
    d->normalise = how;
    if (how != NORMALISE_CHANNEL) dataset_setting(perm, &d->info, "normalize", "%s", name[how]);
    if (how != NORMALISE_SAMPLE) return 0;
    const bool u8 = d->info.dtype == DTYPE_U8;
    const int64_t values = dataset_sample_values(&d->info);
    const char *why = dataset_check_shape(perm, d->info.channels, d->info.height, d->info.width, DTYPE_F32);
    if (why) return why;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        SplitData *split = &d->split[s];
        if (!split->count) continue;
        const char *from = split->data;
        float *to = (float *)split->data;
        if (u8 && !(to = dataset_pixels(perm, split->count, values * (int64_t)sizeof *to, &why))) return why;
        for (int64_t i = 0; i < split->count; i++)
            standardise(from + i * dataset_sample_bytes(&d->info), u8, values, to + i * values);
        split->data = to;
    }
    d->info.dtype = DTYPE_F32;
    return 0;
}

/* ---- balance ---- */

const char *prepare_balance(Arena *perm, Arena scratch, Dataset *d, Balance how)
{
    const Task *task = task_find(d->info.task);
    SplitData *train = &d->split[SPLIT_TRAIN];
    const int64_t K = d->info.outputs, n = train->count;
    if (how == BALANCE_NONE) return 0;
    if (!task || task->loss != LOSS_CROSS_ENTROPY)
        return arena_printf(perm, "--balance: task %s has no classes", d->info.task);

    const char *why;
    int64_t *size = NEW(&scratch, int64_t, K), *begin = NEW(&scratch, int64_t, K + 1), present = 0;
    int64_t *member = dataset_memory(&scratch, n, sizeof *member, &why); /* samples by class, each in its order */
    if (!member) return arena_strdup(perm, why);
    for (int64_t i = 0; i < n; i++) size[(int64_t)train->targets[i]]++;
    int64_t least = n, most = 0;
    for (int64_t k = 0; k < K; k++) {
        begin[k + 1] = begin[k] + size[k];
        if (!size[k]) continue;
        present++;
        if (size[k] < least) least = size[k];
        if (size[k] > most) most = size[k];
    }
    int64_t *at = NEW(&scratch, int64_t, K);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = (int64_t)train->targets[i];
        member[begin[k] + at[k]++] = i;
    }

    const int64_t each = how == BALANCE_CUT ? least : most, all = each * present,
                  bytes = dataset_sample_bytes(&d->info);
    const int64_t *const from[] = {train->ids, train->groups, train->files, train->copies};
    int64_t *to[COUNTOF(from)] = {0};
    char *data = dataset_pixels(perm, all, bytes, &why);
    float *targets = data ? dataset_memory(perm, all, sizeof *targets, &why) : 0;
    for (int c = 0; c < COUNTOF(from) && !why; c++)
        if (from[c]) to[c] = dataset_memory(perm, all, sizeof *to[c], &why);
    if (why) return why;
    int64_t j = 0;
    for (int64_t round = 0; round < each; round++)
        for (int64_t k = 0; k < K; k++) {
            if (!size[k]) continue;
            const int64_t i = member[begin[k] + round % size[k]];
            memcpy(data + j * bytes, (const char *)train->data + i * bytes, (size_t)bytes);
            targets[j] = train->targets[i];
            for (int c = 0; c < COUNTOF(from); c++)
                if (to[c]) to[c][j] = from[c][i];
            j++;
        }
    *train = (SplitData){
        .count = all, .data = data, .targets = targets, .ids = to[0], .groups = to[1], .files = to[2], .copies = to[3]};
    dataset_setting(perm, &d->info, "balance", "%s: %lld of each of %lld classes, from %lld to %lld before",
                    how == BALANCE_CUT ? "cut" : "repeat", (long long)each, (long long)present, (long long)least,
                    (long long)most);
    return 0;
}

/* ---- missing values ---- */

const char *prepare_missing(Arena *perm, Arena scratch, Dataset *d)
{
    if (!d->missing) return 0;
    const int64_t values = dataset_sample_values(&d->info);
    const SplitData *train = &d->split[SPLIT_TRAIN];
    const char *why;
    double *sum = dataset_memory(&scratch, values, sizeof *sum, &why);
    int64_t *known = sum ? dataset_memory(&scratch, values, sizeof *known, &why) : 0, filled = 0;
    if (!known) return arena_strdup(perm, why);
    const float *x = train->data;
    for (int64_t i = 0; i < train->count; i++, x += values)
        for (int64_t k = 0; k < values; k++)
            if (!isnan(x[k])) sum[k] += x[k], known[k]++;
    for (int64_t k = 0; k < values; k++)
        if (known[k]) sum[k] /= (double)known[k];
    for (int s = 0; s < SPLIT_COUNT; s++) {
        float *y = (float *)d->split[s].data;
        for (int64_t i = 0; i < d->split[s].count; i++, y += values)
            for (int64_t k = 0; k < values; k++)
                if (isnan(y[k])) y[k] = (float)sum[k], filled++;
    }
    d->missing = false;
    dataset_setting(perm, &d->info, "missing", "%lld values, filled with the mean of their place in train",
                    (long long)filled);
    return 0;
}
