/* contact_sheet: some samples of a dataset in one picture, so that a person can see what a network will see. */
#include <math.h>
#include <png.h>
#include <string.h>

#include "data/dataset.h"
#include "data/raster.h"
#include "data/task.h"
#include "report/parts.h"

enum {
    ROWS = 32,      /* classes shown */
    COLUMNS = 10,   /* samples of a class */
    LOOSE_ROWS = 6, /* rows where there are no classes */
    LEAST = 48,     /* smaller samples are magnified to about this, */
    MOST = 160,     /* larger ones reduced to this */
    GAP = 4,
    BACKGROUND = 128
};

struct ContactSheet {
    Arena *perm;
    DatasetInfo info;
    int64_t rows, per_row;
    bool classes;
    const void *sample[ROWS][COLUMNS];
    int64_t have[ROWS];
};

ContactSheet *contact_sheet_new(Arena *perm)
{
    ContactSheet *s = NEW(perm, ContactSheet, 1);
    s->perm = perm;
    return s;
}

static void *copy(Arena *perm, const void *from, int64_t bytes)
{
    return memcpy(arena_alloc(perm, 1, 16, bytes), from, (size_t)bytes);
}

static const char *begin(ContactSheet *s, const DatasetInfo *info)
{
    if (s->rows) return "a second dataset: one a picture expected";
    const char *why = dataset_check_shape(s->perm, info->channels, info->height, info->width, info->dtype);
    if (why) return why;
    s->info = *info;
    s->info.mean = copy(s->perm, info->mean, info->channels * (int64_t)sizeof(double));
    s->info.sd = copy(s->perm, info->sd, info->channels * (int64_t)sizeof(double));
    s->info.name = arena_strdup(s->perm, info->name);
    s->info.output_names = 0;
    const Task *task = task_find(info->task);
    s->classes = task && task->loss == LOSS_CROSS_ENTROPY && info->outputs >= 1;
    s->rows = !s->classes ? LOOSE_ROWS : info->outputs < ROWS ? info->outputs : ROWS;
    if (s->classes && info->output_names) {
        s->info.output_names = NEW(s->perm, const char *, s->rows);
        for (int64_t k = 0; k < s->rows; k++) s->info.output_names[k] = arena_strdup(s->perm, info->output_names[k]);
    }
    return 0;
}

/* The row that has room for a sample, or -1. */
static int64_t row_for(const ContactSheet *s, const float *target)
{
    if (s->classes) {
        if (!(*target >= 0 && *target < (float)s->rows)) return -1;
        return s->have[(int64_t)*target] < COLUMNS ? (int64_t)*target : -1;
    }
    for (int64_t r = 0; r < s->rows; r++)
        if (s->have[r] < COLUMNS) return r;
    return -1;
}

const char *contact_sheet_add(ContactSheet *s, const Record *r)
{
    if (r->kind == REC_DATASET) return begin(s, &r->dataset);
    if (r->kind != REC_SAMPLES) return 0;
    const Samples *c = &r->samples;
    const int64_t bytes = s->rows ? dataset_sample_bytes(&s->info) : 0;
    if (!bytes || c->dtype != s->info.dtype || !c->data || !c->targets || c->target_width < 1 ||
        c->data_bytes != size_mul(c->count, bytes))
        return "samples that do not match the dataset";
    for (int64_t i = 0; i < c->count; i++) {
        const int64_t row = row_for(s, c->targets + i * c->target_width);
        if (row < 0) continue;
        s->sample[row][s->have[row]++] = copy(s->perm, (const char *)c->data + i * bytes, bytes);
    }
    return 0;
}

/* ---- drawing ---- */

typedef struct {
    int64_t height, width; /* of the picture */
    unsigned char *rgb;
} Canvas;

static void dot(const Canvas *c, int64_t y, int64_t x, const unsigned char rgb[3])
{
    if (y >= 0 && y < c->height && x >= 0 && x < c->width) memcpy(c->rgb + (y * c->width + x) * 3, rgb, 3);
}

/* A value as a grey: bytes as they are, others so that the mean is 128 and 2.5 standard deviations are black or white. */
static unsigned char tone(const DatasetInfo *d, int64_t channel, double v)
{
    if (d->dtype == DTYPE_U8) return (unsigned char)v;
    const double t = 128 + (v - d->mean[channel]) / d->sd[channel] * 51;
    return t <= 0 ? 0 : t >= 255 ? 255 : (unsigned char)t;
}

static double value(const DatasetInfo *d, const void *sample, int64_t i)
{
    return d->dtype == DTYPE_U8 ? ((const uint8_t *)sample)[i] : (double)((const float *)sample)[i];
}

/* 3 or 4 channels are red, green, blue; of any other number the first is shown. */
static void draw_image(const Canvas *c, Arena scratch, const DatasetInfo *d, const void *sample, int64_t top,
                       int64_t left, int64_t height, int64_t width)
{
    Raster r = {d->channels, d->height, d->width, d->dtype, sample};
    if (height < d->height || width < d->width) { /* reduced; magnified below, so that pixels stay visible */
        RasterPlan plan = {.count = 1};
        plan.step[0].kind = RASTER_RESIZE;
        plan.step[0].height = height;
        plan.step[0].width = width;
        if (raster_apply(&scratch, &plan, &r)) return;
    }
    const bool colour = d->channels == 3 || d->channels == 4;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            unsigned char rgb[3];
            for (int64_t k = 0; k < 3; k++) {
                const int64_t ch = colour ? k : 0, from_y = y * r.height / height, from_x = x * r.width / width;
                rgb[k] = tone(d, ch, value(d, r.data, (ch * r.height + from_y) * r.width + from_x));
            }
            dot(c, top + y, left + x, rgb);
        }
}

/* A series: its channels one over the other, each as the range of values in every column. */
static void draw_series(const Canvas *c, const DatasetInfo *d, const void *sample, int64_t top, int64_t left,
                        int64_t height, int64_t width)
{
    static const unsigned char white[3] = {255, 255, 255};
    static const unsigned char ink[6][3] = {{31, 119, 180},  {214, 39, 40},  {44, 160, 44},
                                            {148, 103, 189}, {255, 127, 14}, {23, 190, 207}};
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) dot(c, top + y, left + x, white);
    for (int64_t k = 0; k < d->channels; k++) {
        int64_t last = -1;
        for (int64_t x = 0; x < width; x++) {
            const int64_t begin_at = x * d->width / width, end = (x + 1) * d->width / width;
            int64_t low = last, high = last;
            for (int64_t i = begin_at; i < (end > begin_at ? end : begin_at + 1); i++) {
                const double z = (value(d, sample, k * d->width + i) - d->mean[k]) / d->sd[k] / 8; /* ±4 sd */
                const int64_t y = llround((0.5 - fmin(fmax(z, -0.5), 0.5)) * (double)(height - 1));
                low = low < 0 || y < low ? y : low;
                high = y > high ? y : high;
                last = y;
            }
            for (int64_t y = low; y <= high; y++) dot(c, top + y, left + x, ink[k % 6]);
        }
    }
}

const char *contact_sheet_png(ContactSheet *s, Arena *a, Text *out)
{
    const DatasetInfo *d = &s->info;
    if (!s->rows) return "no dataset in this stream (nas-ingest makes one)";
    int64_t columns = 0;
    for (int64_t r = 0; r < s->rows; r++) columns = s->have[r] > columns ? s->have[r] : columns;
    if (!columns) return "a dataset without its samples (was the bulk dropped on the way?)";
    while (!s->classes && s->rows > 1 && !s->have[s->rows - 1]) s->rows--;

    const bool series = d->height == 1;
    int64_t height = d->height, width = d->width;
    const int64_t longer = height > width ? height : width;
    if (series) {
        height = LEAST;
        width = MOST;
    } else if (longer > MOST) {
        height = height * MOST / longer ? height * MOST / longer : 1;
        width = width * MOST / longer ? width * MOST / longer : 1;
    } else {
        const int64_t zoom = (LEAST + longer - 1) / longer;
        height *= zoom;
        width *= zoom;
    }
    Canvas c = {GAP + s->rows * (height + GAP), GAP + columns * (width + GAP), 0};
    c.rgb = arena_alloc(a, 3, 1, c.height * c.width);
    memset(c.rgb, BACKGROUND, (size_t)(c.height * c.width * 3));
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t k = 0; k < s->have[r]; k++) {
            const int64_t top = GAP + r * (height + GAP), left = GAP + k * (width + GAP);
            if (series)
                draw_series(&c, d, s->sample[r][k], top, left, height, width);
            else
                draw_image(&c, *a, d, s->sample[r][k], top, left, height, width);
        }

    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)c.width,
                       .height = (png_uint_32)c.height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
    char *to = arena_alloc(a, 1, 1, (ptrdiff_t)bytes);
    if (!png_image_write_to_memory(&image, to, &bytes, 0, c.rgb, 0, 0))
        return arena_printf(a, "the picture was not made: %s", image.message);
    *out = (Text){to, (ptrdiff_t)bytes, (ptrdiff_t)bytes};
    return 0;
}

const char *contact_sheet_legend(const ContactSheet *s, Arena *a)
{
    const DatasetInfo *d = &s->info;
    Text t = {0};
    text_addf(a, &t, "%s: ", escape_text(a, AS_PLAIN, d->name));
    if (!s->classes) {
        text_add(a, &t, "samples in their order");
        return t.s;
    }
    text_add(a, &t, "a class each row:");
    for (int64_t k = 0; k < s->rows; k++)
        if (d->output_names)
            text_addf(a, &t, "%s %s", k ? "," : "", escape_text(a, AS_PLAIN, d->output_names[k]));
        else
            text_addf(a, &t, "%s %lld", k ? "," : "", (long long)k);
    if (d->outputs > s->rows) text_addf(a, &t, " and %lld more", (long long)(d->outputs - s->rows));
    return t.s;
}
