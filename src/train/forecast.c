/* forecast: memory before the start. */
#include "train/forecast.h"

#include <string.h>

#include "base/clock.h"
#include "engine/plan.h"

const char recompute_choices[] = "auto|none|cell|node";
const char recompute_help[] =
    "The tensors within cells or nodes are not kept for the backward pass but computed again: "
    "less memory, more time, the same results. auto: only if memory is short.";

int64_t loader_bytes(const Dataset *d)
{
    enum { BATCHES = 2 }; /* one in use, one in the making */
    return BATCHES * (dataset_sample_values(&d->info) + d->target_width) * (int64_t)sizeof(float);
}

int64_t dataset_bytes(const Dataset *d)
{
    int64_t sum = 0, each = d->target_width * (int64_t)sizeof(float) + 8;
    if (!d->spill.data) each += dataset_sample_bytes(&d->info);
    for (int s = 0; s < SPLIT_COUNT; s++) sum += d->split[s].count * each;
    return sum;
}

const char *forecast_fit(Arena *perm, Arena scratch, const Graph *g, EngineOptions *o, const ForecastNeed *need,
                         Forecast *out)
{
    /* What is free now is not all ours: the last part keeps the machine from swapping. */
    int64_t free_now = memory_available(), available = need->limit ? need->limit : free_now - free_now / 16;
    const char *recompute = need->recompute ? need->recompute : recompute_name[SEGMENT_WHOLE];
    *out = (Forecast){.asked = o->batch,
                      .recompute_asked = strcmp(recompute, "auto") != 0,
                      .parameters = graph_param_total(g),
                      .macs = g->macs,
                      .available = available};
    int64_t batch_least = need->least < o->batch ? need->least : o->batch, bytes_least = -1, device_least = -1;
    for (;; o->batch = o->batch / 2 > batch_least ? o->batch / 2 : batch_least) {
        for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
            if (out->recompute_asked && strcmp(recompute, recompute_name[kind])) continue;
            o->recompute = out->recompute = (SegmentKind)kind;
            EngineMemory engine;
            const char *why = engine_memory(g, o, scratch, perm, &engine);
            if (why) return why;
            int64_t host = size_add(need->fixed, size_mul(o->batch, need->per_sample));
            out->batch = o->batch;
            out->bytes = size_add(engine.host, host);
            out->parts = engine.parts;
            out->device = engine.device;
            out->device_available = engine.device_free - engine.device_free / 16; /* the driver takes some, too */
            bool device_fits = out->device <= out->device_available;
            if (out->bytes >= 0 && (available <= 0 || out->bytes <= available) && device_fits) {
                EngineOptions alone = *o;
                alone.pool = pool_open(1);
                if (!alone.pool || engine_memory(g, &alone, scratch, perm, &engine)) engine = (EngineMemory){0};
                out->one_thread = alone.pool ? engine.host + engine.device + host : out->bytes + out->device;
                pool_close(alone.pool);
                return 0;
            }
            if (out->bytes >= 0 && (bytes_least < 0 || out->bytes < bytes_least)) bytes_least = out->bytes;
            if (device_least < 0 || out->device < device_least) device_least = out->device;
        }
        if (o->batch <= batch_least) break;
    }
    if (bytes_least < 0) return "no memory is large enough for this network";
    if (device_least > out->device_available)
        return arena_printf(perm, "needs %s of the device's memory with a batch of %lld, %s are there",
                            forecast_bytes(&scratch, device_least), (long long)out->batch,
                            forecast_bytes(&scratch, out->device_available));
    return arena_printf(perm, "needs %s of memory with a batch of %lld, %s are there",
                        forecast_bytes(&scratch, bytes_least), (long long)out->batch,
                        forecast_bytes(&scratch, available));
}

char *forecast_bytes(Arena *a, int64_t n)
{
    if (n < 1 << 20) return arena_printf(a, "%.1f KiB", (double)n / 1024);
    if (n < 1 << 30) return arena_printf(a, "%.1f MiB", (double)n / 1048576);
    return arena_printf(a, "%.2f GiB", (double)n / 1073741824);
}

char *forecast_seconds(Arena *a, double s)
{
    if (!(s < 1e9)) return arena_strdup(a, "for ever");
    long long whole = (long long)(s + 0.5);
    if (whole < 60) return arena_printf(a, "%lld s", whole);
    if (whole < 3600) return arena_printf(a, "%lld min %02lld s", whole / 60, whole % 60);
    return arena_printf(a, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
}

static char *grouped(Arena *a, int64_t n) /* 1,930,618 */
{
    return n < 1000 ? arena_printf(a, "%lld", (long long)n)
                    : arena_printf(a, "%s,%03lld", grouped(a, n / 1000), (long long)(n % 1000));
}

char *forecast_text(Arena *a, const Forecast *f)
{
    Text t = {0};
    text_addf(a, &t, "%s parameters, %.4g M multiply-accumulates a sample; batch %lld", grouped(a, f->parameters),
              (double)f->macs / 1e6, (long long)f->batch);
    if (f->recompute != SEGMENT_WHOLE) text_addf(a, &t, ", recompute %s", recompute_name[f->recompute]);
    text_addf(a, &t, ": %s of memory", forecast_bytes(a, f->bytes));
    if (f->parts && *f->parts) text_addf(a, &t, " (%s)", f->parts);
    if (f->available > 0) text_addf(a, &t, ", %s are there", forecast_bytes(a, f->available));
    if (f->device)
        text_addf(a, &t, "; %s of the device's, %s are there", forecast_bytes(a, f->device),
                  forecast_bytes(a, f->device_available));
    return t.s;
}
