/* raster: crop, resize, pad. */
#include "data/raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

static const char *const step_name[] = {"crop", "resize", "pad"};

/* A side in *s, which is moved behind it; 0 if there is none. */
static int64_t take_side(const char **s)
{
    char *end;
    if (**s < '1' || **s > '9') return 0;
    long long v = strtoll(*s, &end, 10);
    *s = end;
    return v <= DATASET_MAX_SIDE ? v : 0;
}

const char *raster_plan(Arena *perm, const char *text, RasterPlan *out)
{
    *out = (RasterPlan){0};
    for (const char *s = text; *s;) {
        int kind = 0;
        size_t n = 0;
        for (; kind < COUNTOF(step_name); kind++) {
            n = strlen(step_name[kind]);
            if (!strncmp(s, step_name[kind], n) && s[n] == ':') break;
        }
        if (kind == COUNTOF(step_name)) return arena_printf(perm, "%s: crop:, resize: or pad: expected", s);
        if (out->count == RASTER_STEPS) return arena_printf(perm, "%s: more than %d steps", text, RASTER_STEPS);
        s += n + 1;
        const char *numbers = s;
        int64_t height = take_side(&s), width = height;
        if (kind == RASTER_RESIZE && *s == '~')
            width = 0, s++;
        else if (*s == 'x')
            s++, width = take_side(&s);
        if (!height || (!width && s[-1] != '~') || (*s && *s != ','))
            return arena_printf(perm, "%s:%s: HEIGHTxWIDTH expected, each from 1 to %d", step_name[kind], numbers,
                                DATASET_MAX_SIDE);
        out->step[out->count].kind = kind;
        out->step[out->count].height = height;
        out->step[out->count++].width = width;
        s += *s == ',';
    }
    return 0;
}

/* Copies a window of `from` that begins at (top, left), both of which may be negative: what is outside is 0. */
static void *window(Arena *a, const Raster *from, int64_t top, int64_t left, int64_t height, int64_t width)
{
    const int64_t size = dtype_size(from->dtype);
    char *to = arena_alloc(a, size, 64, from->channels * height * width);
    const int64_t x0 = left < 0 ? -left : 0, x1 = from->width - left < width ? from->width - left : width;
    for (int64_t c = 0; c < from->channels; c++)
        for (int64_t y = 0; y < height; y++) {
            const int64_t row = top + y;
            if (row < 0 || row >= from->height) continue;
            memcpy(to + ((c * height + y) * width + x0) * size,
                   (const char *)from->data + ((c * from->height + row) * from->width + left + x0) * size,
                   (size_t)((x1 - x0) * size));
        }
    return to;
}

/* For each of `to` places the first of the `from` places that count, how many, and their weights (to, room). */
typedef struct {
    int64_t room, *first, *count;
    double *weight;
} Taps;

static Taps make_taps(Arena *a, int64_t from, int64_t to)
{
    const double scale = (double)from / (double)to, half = scale > 1 ? scale : 1;
    Taps t = {.room = 2 * (int64_t)ceil(half) + 1};
    t.first = NEW(a, int64_t, to);
    t.count = NEW(a, int64_t, to);
    t.weight = NEW(a, double, to *t.room);
    for (int64_t i = 0; i < to; i++) {
        const double centre = ((double)i + 0.5) * scale;
        int64_t begin = (int64_t)floor(centre - half), end = (int64_t)ceil(centre + half);
        if (begin < 0) begin = 0;
        if (end > from) end = from;
        double sum = 0, *weight = t.weight + i * t.room;
        t.first[i] = -1;
        for (int64_t k = begin; k < end; k++) {
            const double w = 1 - fabs(((double)k + 0.5 - centre) / half);
            if (w <= 0) continue;
            if (t.first[i] < 0) t.first[i] = k;
            weight[t.count[i]++] = w;
            sum += w;
        }
        for (int64_t k = 0; k < t.count[i]; k++) weight[k] /= sum;
    }
    return t;
}

static float value_of(const Raster *r, int64_t i)
{
    return r->dtype == DTYPE_U8 ? (float)((const uint8_t *)r->data)[i] : ((const float *)r->data)[i];
}

static void *resize(Arena *a, const Raster *from, int64_t height, int64_t width)
{
    void *out = arena_alloc(a, dtype_size(from->dtype), 64, from->channels * height * width);
    Arena scratch = *a; /* what follows is given back */
    const Taps x = make_taps(&scratch, from->width, width), y = make_taps(&scratch, from->height, height);
    float *across = NEW(&scratch, float, from->height *width); /* one channel, its rows resized */
    for (int64_t c = 0; c < from->channels; c++) {
        for (int64_t i = 0; i < from->height; i++)
            for (int64_t j = 0; j < width; j++) {
                const int64_t at = (c * from->height + i) * from->width + x.first[j];
                double sum = 0;
                for (int64_t k = 0; k < x.count[j]; k++) sum += x.weight[j * x.room + k] * value_of(from, at + k);
                across[i * width + j] = (float)sum;
            }
        for (int64_t i = 0; i < height; i++)
            for (int64_t j = 0; j < width; j++) {
                double sum = 0;
                for (int64_t k = 0; k < y.count[i]; k++)
                    sum += y.weight[i * y.room + k] * across[(y.first[i] + k) * width + j];
                const int64_t at = (c * height + i) * width + j;
                if (from->dtype == DTYPE_U8)
                    ((uint8_t *)out)[at] = (uint8_t)lround(sum < 0 ? 0 : sum > 255 ? 255 : sum);
                else
                    ((float *)out)[at] = (float)sum;
            }
    }
    return out;
}

const char *raster_apply(Arena *a, const RasterPlan *plan, Raster *r)
{
    for (int i = 0; i < plan->count; i++) {
        int64_t height = plan->step[i].height, width = plan->step[i].width;
        if (!width) { /* the shorter side is given */
            const int64_t side = height, shorter = r->height < r->width ? r->height : r->width;
            height = r->height == shorter ? side : llround((double)r->height * (double)side / (double)shorter);
            width = r->width == shorter ? side : llround((double)r->width * (double)side / (double)shorter);
        }
        const char *why = dataset_check_shape(a, r->channels, height, width, r->dtype);
        if (why) return why;
        const int64_t down = r->height - height, right = r->width - width;
        switch (plan->step[i].kind) {
        case RASTER_CROP:
            if (down < 0 || right < 0)
                return arena_printf(a, "%lldx%lld pixels: too small to be cropped to %lldx%lld", (long long)r->height,
                                    (long long)r->width, (long long)height, (long long)width);
            r->data = window(a, r, down / 2, right / 2, height, width);
            break;
        case RASTER_RESIZE: r->data = resize(a, r, height, width); break;
        case RASTER_PAD:
            if (down > 0 || right > 0)
                return arena_printf(a, "%lldx%lld pixels: too large to be padded to %lldx%lld", (long long)r->height,
                                    (long long)r->width, (long long)height, (long long)width);
            r->data = window(a, r, down / 2, right / 2, height, width); /* C rounds towards 0: the rest is behind */
            break;
        }
        r->height = height;
        r->width = width;
    }
    return 0;
}
