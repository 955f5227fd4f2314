/* dataset: samples in memory: read from a stream, measured, written to a stream.
 *
 * Everything that comes from outside is checked here once, so that all code above may trust shapes, counts, labels and
 * finiteness.
 */
#include "data/dataset.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/problems.h"
#include "data/task.h"
#include "engine/loss.h"

enum {
    CHUNK_BYTES = 1 << 20
}; /* of one Samples record: large enough to compress well, small enough to stay in cache */

static const DType pixel_types[] = {DTYPE_U8, DTYPE_F32};

/* ---- sizes ---- */

int64_t dataset_sample_values(const DatasetInfo *i)
{
    return i->channels * i->height * i->width;
}

int64_t dataset_sample_bytes(const DatasetInfo *i)
{
    return dataset_sample_values(i) * dtype_size(i->dtype);
}

const char *dataset_check_shape(Arena *perm, int64_t channels, int64_t height, int64_t width, DType dtype)
{
    bool known = false;
    for (int i = 0; i < COUNTOF(pixel_types); i++) known |= dtype == pixel_types[i];
    if (!known) return arena_printf(perm, "pixels of type %d: u8 or f32 expected", (int)dtype);
    const int64_t side[] = {channels, height, width};
    for (int i = 0; i < COUNTOF(side); i++)
        if (side[i] < 1 || side[i] > DATASET_MAX_SIDE)
            return arena_printf(perm, "shape (%lld, %lld, %lld): sides from 1 to %d expected", (long long)channels,
                                (long long)height, (long long)width, DATASET_MAX_SIDE);
    if (channels * height > DATASET_MAX_SAMPLE / width ||
        channels * height * width * dtype_size(dtype) > DATASET_MAX_SAMPLE)
        return arena_printf(perm, "shape (%lld, %lld, %lld): a sample is larger than %d MiB", (long long)channels,
                            (long long)height, (long long)width, DATASET_MAX_SAMPLE >> 20);
    return 0;
}

const char *dataset_too_large(Arena *perm, int64_t count, int64_t size)
{
    int64_t bytes = size_mul(count, size);
    int64_t left = arena_left(perm) - 65536; /* room for messages and small things */
    int64_t now = memory_available();
    if (now > 0 && now < left) left = now;
    if (bytes >= 0 && bytes <= left) return 0;
    if (bytes < 0)
        return arena_printf(perm, "%lld x %lld bytes do not fit in memory", (long long)count, (long long)size);
    return arena_printf(perm, "needs %.1f MiB of memory, %.1f MiB are free", (double)bytes / 1048576,
                        (double)(left > 0 ? left : 0) / 1048576);
}

void *dataset_memory(Arena *perm, int64_t count, int64_t size, const char **why)
{
    *why = dataset_too_large(perm, count, size);
    return *why ? 0 : arena_alloc(perm, 1, 64, count * size);
}

const char *dataset_pixels_too_large(Arena *perm, int64_t count, int64_t size)
{
    const char *why = dataset_too_large(perm, count, size);
    const char *beside = why && spill_when() != SPILL_NEVER ? spill_refuses(perm, size_mul(count, size)) : 0;
    return beside ? arena_printf(perm, "%s; %s", why, beside) : spill_when() == SPILL_NEVER ? why : 0;
}

void *dataset_pixels(Arena *perm, int64_t count, int64_t size, const char **why)
{
    Spill file;
    void *memory = spill_when() != SPILL_ALWAYS ? dataset_memory(perm, count, size, why) : 0;
    if (memory || spill_when() == SPILL_NEVER) return memory;
    if ((*why = dataset_pixels_too_large(perm, count, size))) return 0;
    *why = spill_begin(perm, 0, 0, count * size, &file);
    if (!*why) *why = spill_reserve(perm, &file, count * size);
    return *why ? 0 : file.data;
}

void dataset_setting(Arena *perm, DatasetInfo *info, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *value = arena_vprintf(perm, format, args);
    va_end(args);
    Setting *settings = NEW(perm, Setting, info->setting_count + 1);
    for (int64_t i = 0; i < info->setting_count; i++) settings[i] = info->settings[i];
    settings[info->setting_count++] = (Setting){key, value};
    info->settings = settings;
}

/* ---- digest: four lanes of multiply and xor-shift over 8-byte words, so that a pass runs at memory speed ---- */

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
    return h ^ (h >> 32);
}

uint64_t dataset_hash(uint64_t seed, const void *data, int64_t n)
{
    const unsigned char *p = data;
    uint64_t lane[4] = {mix(seed, 1), mix(seed, 2), mix(seed, 3), mix(seed, (uint64_t)n)};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int k = 0; k < 4; k++) {
            uint64_t word;
            memcpy(&word, p + i + 8 * k, 8);
            lane[k] = mix(lane[k], word);
        }
    unsigned char tail[32] = {0};
    if (n > i) memcpy(tail, p + i, (size_t)(n - i));
    uint64_t h = seed;
    for (int k = 0; k < 4; k++) {
        uint64_t word;
        memcpy(&word, tail + 8 * k, 8);
        h = mix(h, mix(lane[k], word));
    }
    return h;
}

static uint64_t digest(const Dataset *d)
{
    const DatasetInfo *i = &d->info;
    const int64_t shape[] = {i->channels, i->height, i->width, i->outputs, d->target_width, (int64_t)i->dtype};
    uint64_t h = dataset_hash(0, shape, sizeof shape);
    for (int s = 0; s < SPLIT_COUNT; s++) {
        h = mix(h, (uint64_t)d->split[s].count);
        h = dataset_hash(h, d->split[s].data, d->split[s].count * dataset_sample_bytes(i));
        h = dataset_hash(h, d->split[s].targets, d->split[s].count * d->target_width * (int64_t)sizeof(float));
    }
    return h ? h : 1; /* 0 means "not computed" */
}

/* ---- statistics ---- */

static void channel_stats_u8(const SplitData *s, int64_t channels, int64_t plane, int64_t c, double *mean, double *sd)
{
    int64_t histogram[4][256] = {0}; /* four, so that equal neighbours do not wait for each other */
    for (int64_t n = 0; n < s->count; n++) {
        const uint8_t *p = (const uint8_t *)s->data + (n * channels + c) * plane;
        int64_t i = 0;
        for (; i + 4 <= plane; i += 4)
            for (int k = 0; k < 4; k++) histogram[k][p[i + k]]++;
        for (; i < plane; i++) histogram[0][p[i]]++;
    }
    double total = (double)s->count * (double)plane, sum = 0, squares = 0;
    for (int v = 0; v < 256; v++)
        sum += v * (double)(histogram[0][v] + histogram[1][v] + histogram[2][v] + histogram[3][v]);
    *mean = sum / total;
    for (int v = 0; v < 256; v++)
        squares +=
            (v - *mean) * (v - *mean) * (double)(histogram[0][v] + histogram[1][v] + histogram[2][v] + histogram[3][v]);
    *sd = sqrt(squares / total);
}

/* Mean and sd of element c of `count` rows of `stride` floats, each element a run of `run` floats. */
static void stats_f32(const float *x, int64_t count, int64_t stride, int64_t run, int64_t c, double *mean, double *sd)
{
    double total = (double)count * (double)run, sum = 0, squares = 0;
    for (int64_t n = 0; n < count; n++)
        for (int64_t i = 0; i < run; i++) sum += x[n * stride + c * run + i];
    *mean = sum / total;
    for (int64_t n = 0; n < count; n++)
        for (int64_t i = 0; i < run; i++) {
            double e = x[n * stride + c * run + i] - *mean;
            squares += e * e;
        }
    *sd = sqrt(squares / total);
}

/* A constant channel or target is left as it is: sd 1. Rounding noise of a constant counts as constant. */
static double usable_sd(double mean, double sd)
{
    return sd > 1e-12 * fabs(mean) && sd > 1e-30 ? sd : 1;
}

void dataset_finish(Arena *perm, Dataset *d)
{
    DatasetInfo *i = &d->info;
    if (problems_are(i)) {
        problems_finish(perm, d);
        return;
    }
    const SplitData *train = &d->split[SPLIT_TRAIN];
    assert(train->count > 0);
    int64_t plane = i->height * i->width;
    i->mean = NEW(perm, double, i->channels);
    i->sd = NEW(perm, double, i->channels);
    const bool global = d->normalise == NORMALISE_GLOBAL;
    const int64_t channels = global ? 1 : i->channels, run = global ? i->channels * plane : plane; /* of one mean */
    for (int64_t c = 0; c < channels; c++) {
        if (d->normalise == NORMALISE_SAMPLE || d->normalise == NORMALISE_NONE) {
            i->mean[c] = 0;
            i->sd[c] = i->dtype == DTYPE_U8 ? 255 : 1;
            continue;
        }
        if (i->dtype == DTYPE_U8)
            channel_stats_u8(train, channels, run, c, &i->mean[c], &i->sd[c]);
        else
            stats_f32(train->data, train->count, channels * run, run, c, &i->mean[c], &i->sd[c]);
        i->sd[c] = usable_sd(i->mean[c], i->sd[c]);
    }
    for (int64_t c = channels; c < i->channels; c++) i->mean[c] = i->mean[0], i->sd[c] = i->sd[0];
    const Task *task = task_find(i->task);
    i->target_mean = i->target_sd = 0;
    if (task && task->loss == LOSS_MSE) {
        i->target_mean = NEW(perm, double, i->outputs);
        i->target_sd = NEW(perm, double, i->outputs);
        for (int64_t k = 0; k < i->outputs; k++) {
            stats_f32(train->targets, train->count, i->outputs, 1, k, &i->target_mean[k], &i->target_sd[k]);
            i->target_sd[k] = usable_sd(i->target_mean[k], i->target_sd[k]);
        }
    }
    for (int s = 0; s < SPLIT_COUNT; s++) i->split_count[s] = d->split[s].count;
    i->digest = digest(d);
}

/* ---- writing ---- */

void dataset_write(Writer *out, Arena scratch, const Dataset *d)
{
    if (problems_are(&d->info)) {
        problems_write(out, scratch, d);
        return;
    }
    Record r = {.kind = REC_DATASET, .dataset = d->info};
    writer_put(out, &r);
    int64_t sample = dataset_sample_bytes(&d->info);
    int64_t each = sample + d->target_width * (int64_t)sizeof(float) + (int64_t)sizeof(int64_t);
    int64_t step = CHUNK_BYTES / each > 1 ? CHUNK_BYTES / each : 1;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const SplitData *split = &d->split[s];
        for (int64_t first = 0; first < split->count; first += step) {
            int64_t n = split->count - first < step ? split->count - first : step;
            r = (Record){.kind = REC_SAMPLES,
                         .samples = {.split = (Split)s,
                                     .first = first,
                                     .count = n,
                                     .dtype = d->info.dtype,
                                     .data = (const char *)split->data + first * sample,
                                     .data_bytes = n * sample,
                                     .targets = split->targets + first * d->target_width,
                                     .target_width = d->target_width,
                                     .ids = split->ids ? split->ids + first : 0,
                                     .groups = split->groups ? split->groups + first : 0}};
            writer_put(out, &r);
        }
    }
}

/* ---- reading ---- */

static double *copy_doubles(Arena *perm, const double *from, int64_t n)
{
    if (!from) return 0;
    double *to = NEW(perm, double, n);
    memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static bool usable(const double *v, int64_t n, bool positive)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || (positive && v[i] <= 0)) return false;
    return true;
}

/* Decides, before the first page is touched, whether `total` samples of `each` bytes go into memory; if not, makes room for
 * the pixels outside. */
static const char *place(Arena *perm, int64_t total, int64_t each, Dataset *out)
{
    const char *why = dataset_too_large(perm, total, each);
    if (!why && spill_when() != SPILL_ALWAYS) return 0;
    if (why && spill_when() == SPILL_NEVER) return why;
    const int64_t pixels = size_mul(total, dataset_sample_bytes(&out->info));
    const char *beside = dataset_too_large(perm, total, each - dataset_sample_bytes(&out->info));
    if (beside) return beside;
    if ((beside = spill_open(perm, pixels, &out->spill)))
        return why ? arena_printf(perm, "%s; %s", why, beside) : beside;
    out->spilled = arena_printf(perm, "%.1f MiB of samples are read from a file in %s%s%s", (double)pixels / 1048576,
                                spill_folder(), why ? ": in memory it " : "", why ? why : "");
    return 0;
}

/* Checks a DatasetInfo as it came from a stream, copies it into perm and makes room for its samples. */
static const char *begin(Arena *perm, const DatasetInfo *from, Dataset *out)
{
    const Task *task = task_find(from->task);
    if (!task) return arena_printf(perm, "unknown task \"%s\"", from->task);
    const char *why = dataset_check_shape(perm, from->channels, from->height, from->width, from->dtype);
    if (why) return why;
    int64_t least = task->loss == LOSS_CROSS_ENTROPY ? 2 : 1;
    if (from->outputs < least || from->outputs > DATASET_MAX_OUTPUTS)
        return arena_printf(perm, "%lld outputs: from %lld to %d expected", (long long)from->outputs, (long long)least,
                            DATASET_MAX_OUTPUTS);
    if (!from->mean || !from->sd || !usable(from->mean, from->channels, false) ||
        !usable(from->sd, from->channels, true))
        return "mean and sd of every channel expected, sd above 0";
    if (task->loss == LOSS_MSE &&
        (!from->target_mean || !from->target_sd || !usable(from->target_mean, from->outputs, false) ||
         !usable(from->target_sd, from->outputs, true)))
        return "mean and sd of every target expected, sd above 0";
    if ((why = task_check(perm, from))) return why;
    if (from->crop_padding < 0 || from->crop_padding > DATASET_MAX_SIDE || from->cutout < 0 ||
        from->cutout > DATASET_MAX_SIDE)
        return "crop padding or cutout out of range";

    int64_t total = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        if (from->split_count[s] < 0 || from->split_count[s] > INT32_MAX)
            return arena_printf(perm, "%lld %s samples announced", (long long)from->split_count[s], split_name[s]);
        total += from->split_count[s];
    }
    if (total == 0) return "zero samples announced";

    DatasetInfo *to = &out->info;
    *to = *from;
    to->name = arena_strdup(perm, from->name);
    to->source = arena_strdup(perm, from->source);
    to->task = task->name;
    to->mean = copy_doubles(perm, from->mean, from->channels);
    to->sd = copy_doubles(perm, from->sd, from->channels);
    to->target_mean = copy_doubles(perm, from->target_mean, from->outputs);
    to->target_sd = copy_doubles(perm, from->target_sd, from->outputs);
    to->class_weight = copy_doubles(perm, from->class_weight, from->outputs);
    to->metric_weight = copy_doubles(perm, from->metric_weight, from->outputs);
    to->metric = arena_strdup(perm, from->metric);
    to->tree = arena_strdup(perm, from->tree);
    if (from->output_names) {
        to->output_names = NEW(perm, const char *, from->outputs);
        for (int64_t i = 0; i < from->outputs; i++) to->output_names[i] = arena_strdup(perm, from->output_names[i]);
    }
    to->settings = 0;
    to->setting_count = 0;
    if (from->setting_count > 0) {
        to->settings = NEW(perm, Setting, from->setting_count);
        for (; to->setting_count < from->setting_count; to->setting_count++) {
            const Setting *s = &from->settings[to->setting_count];
            to->settings[to->setting_count] = (Setting){arena_strdup(perm, s->key), arena_strdup(perm, s->value)};
        }
    }

    if (task->simulated) return problems_room(perm, out);
    out->target_width = loss_width(task->loss, 0, to->outputs);
    int64_t each = dataset_sample_bytes(to) + out->target_width * (int64_t)sizeof(float) + (int64_t)sizeof(int64_t);
    if ((why = place(perm, total, each, out))) return why;
    const char *data = out->spill.data;
    const float *targets = dataset_memory(perm, total, out->target_width * (int64_t)sizeof *targets, &why);
    const int64_t *ids = why ? 0 : dataset_memory(perm, total, sizeof *ids, &why);
    if (!why && !data) data = dataset_memory(perm, total, dataset_sample_bytes(to), &why);
    if (why) return why;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const int64_t n = to->split_count[s];
        if (!n) continue;
        out->split[s] = (SplitData){.data = data, .targets = targets, .ids = ids};
        data += n * dataset_sample_bytes(to);
        targets += n * out->target_width;
        ids += n;
    }
    return 0;
}

static const char *check_values(Arena *perm, const Dataset *d, const Samples *c)
{
    if (d->info.dtype == DTYPE_F32) {
        const float *x = c->data;
        for (int64_t i = 0; i < c->count * dataset_sample_values(&d->info); i++)
            if (!isfinite(x[i]))
                return arena_printf(perm, "%s sample %lld has a value that is not finite", split_name[c->split],
                                    (long long)(c->first + i / dataset_sample_values(&d->info)));
    }
    int64_t row, bad; /* how well a tree must be obeyed was decided at ingest */
    const char *why = task_check_targets(perm, &d->info, c->targets, c->count, INFINITY, &row, &bad);
    if (!why) return 0;
    return arena_printf(perm, "%s sample %lld %s", split_name[c->split], (long long)(c->first + row), why);
}

/* Takes one chunk; `seen` counts the samples of every split so far. */
static const char *take(Arena *perm, Dataset *d, const Samples *c, int64_t *seen)
{
    if (problems_are(&d->info)) return "samples in a dataset of problems";
    if ((int)c->split < 0 || (int)c->split >= SPLIT_COUNT)
        return arena_printf(perm, "samples of an unknown split %d", (int)c->split);
    int64_t *have = &seen[c->split], all = d->info.split_count[c->split];
    if (c->first != *have)
        return arena_printf(perm, "%s samples from %lld: out of order, %lld expected", split_name[c->split],
                            (long long)c->first, (long long)*have);
    if (c->count < 1 || c->count > all - *have)
        return arena_printf(perm, "%lld %s samples: %lld announced, %lld already here", (long long)c->count,
                            split_name[c->split], (long long)all, (long long)*have);
    int64_t sample = dataset_sample_bytes(&d->info);
    if (c->dtype != d->info.dtype || c->target_width != d->target_width || !c->data || !c->targets ||
        c->data_bytes != size_mul(c->count, sample))
        return arena_printf(perm, "%s samples that do not match the dataset's shape", split_name[c->split]);
    const char *why = check_values(perm, d, c);
    if (why) return why;
    SplitData *to = &d->split[c->split];
    char *pixels = (char *)to->data + c->first * sample;
    if (!d->spill.data)
        memcpy(pixels, c->data, (size_t)c->data_bytes);
    else if ((why = spill_write(perm, &d->spill, pixels - d->spill.data, c->data, c->data_bytes)))
        return why;
    memcpy((float *)to->targets + c->first * d->target_width, c->targets,
           (size_t)(c->count * d->target_width) * sizeof(float));
    for (int64_t i = 0; i < c->count; i++) ((int64_t *)to->ids)[c->first + i] = c->ids ? c->ids[i] : c->first + i;
    if (!c->groups != !to->groups && c->first)
        return arena_printf(perm, "%s samples from %lld: groups for some samples only", split_name[c->split],
                            (long long)c->first);
    if (c->groups && !c->first && !(to->groups = dataset_memory(perm, all, sizeof *to->groups, &why))) return why;
    if (c->groups) memcpy((int64_t *)to->groups + c->first, c->groups, (size_t)c->count * sizeof *c->groups);
    *have += c->count;
    to->count = *have;
    return 0;
}

static const char *complete(Arena *perm, const Dataset *d, const int64_t *seen)
{
    int64_t total = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) total += seen[s];
    if (total == 0) return "a dataset without its samples (was the bulk dropped on the way?)";
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (seen[s] != d->info.split_count[s])
            return arena_printf(perm, "%lld %s samples announced, %lld found", (long long)d->info.split_count[s],
                                split_name[s], (long long)seen[s]);
    if (d->info.digest && d->info.digest != (problems_are(&d->info) ? problems_digest(d) : digest(d)))
        return "the samples are not those of this dataset (digest)";
    return 0;
}

static const char *read_all(Arena *perm, Arena scratch, Reader *in, Dataset *out,
                            void (*other)(void *context, const Record *r), void *context)
{
    *out = (Dataset){0};
    bool begun = false;
    int64_t seen[SPLIT_COUNT] = {0};
    for (;;) {
        Arena once = scratch;
        Record r = {0};
        StreamStatus status = reader_next(in, &once, &r);
        if (status == STREAM_ERROR) return reader_error(in);
        if (status == STREAM_END) break;
        const char *why = 0;
        if (r.kind == REC_DATASET) {
            why = begun ? "a second dataset: one a stream expected" : begin(perm, &r.dataset, out);
            begun = true;
        } else if (r.kind == REC_SAMPLES) {
            why = begun ? take(perm, out, &r.samples, seen) : "samples before their dataset";
        } else if (r.kind == REC_PROBLEM) {
            why = begun ? problems_take(perm, out, &r.problem, seen) : "a problem before its dataset";
        } else if (other) {
            other(context, &r);
        }
        if (why) return arena_printf(perm, "%s: record %lld: %s", reader_name(in), (long long)r.number, why);
    }
    if (out->spill.data) spill_access(out->spill.data, out->spill.bytes, true);
    const char *why = begun ? complete(perm, out, seen) : "no dataset in this stream (nas-ingest makes one)";
    return why ? arena_printf(perm, "%s: %s", reader_name(in), why) : 0;
}

static const char *read_or_close(Arena *perm, Arena scratch, Reader *in, bool problems, Dataset *out,
                                 void (*other)(void *context, const Record *r), void *context)
{
    const char *why = read_all(perm, scratch, in, out, other, context);
    if (!why && !problems && problems_are(&out->info))
        why = arena_printf(perm, "%s: a dataset of structural problems: there are no samples in it to learn from",
                           reader_name(in));
    if (why) dataset_close(out);
    return why;
}

const char *dataset_read(Arena *perm, Arena scratch, Reader *in, Dataset *out,
                         void (*other)(void *context, const Record *r), void *context)
{
    return read_or_close(perm, scratch, in, false, out, other, context);
}

const char *dataset_read_any(Arena *perm, Arena scratch, Reader *in, Dataset *out,
                             void (*other)(void *context, const Record *r), void *context)
{
    return read_or_close(perm, scratch, in, true, out, other, context);
}

void dataset_close(Dataset *d)
{
    spill_close(&d->spill);
}

static const char *open_file(Arena *perm, Arena scratch, const char *path, bool problems, Dataset *out, bool *damaged)
{
    Reader *in = reader_open(perm, path);
    const char *why = read_or_close(perm, scratch, in, problems, out, 0, 0);
    *damaged = why && reader_damaged(in);
    reader_close(in);
    return why;
}

const char *dataset_open(Arena *perm, Arena scratch, const char *path, Dataset *out, bool *damaged)
{
    return open_file(perm, scratch, path, false, out, damaged);
}

const char *dataset_open_any(Arena *perm, Arena scratch, const char *path, Dataset *out, bool *damaged)
{
    return open_file(perm, scratch, path, true, out, damaged);
}
