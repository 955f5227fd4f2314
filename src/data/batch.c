/* batch: samples in stored form -> normalised float32, augmented.
 *
 * One sample at a time: every output row is a run of source columns, forwards or (flipped) backwards, with zeros left
 * and right of it where a crop reaches past the image.  u8 pixels go through a table of the 256 normalised values of
 * their channel.  Where the sample is turned, moved or enlarged, every output pixel looks up where it comes from instead.
 * What an augmentation draws is a function of (seed, epoch, split, sample), so neither the batch size nor the order nor the
 * thread matters; but that mixup takes for a sample's partner another one of its batch.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"

typedef struct { /* how one sample is seen */
    bool flip_h, flip_v;
    int64_t shift_y, shift_x;  /* output (y, x) shows source (y + shift_y, x + shift_x) of the flipped image */
    int64_t cut_y, cut_x, cut; /* zeroed square, may reach outside; cut 0: none */
    bool warped; /* (y, x) shows source centre + matrix (y - centre, x - centre) - move, before the above */
    double yy, yx, xy, xx, move_y, move_x;
} View;

enum { DRAW_FLIP_H, DRAW_FLIP_V, DRAW_CROP_Y, DRAW_CROP_X, DRAW_CUT_Y, DRAW_CUT_X, DRAW_ROOM = 8 };
enum { DRAW_ANGLE, DRAW_ZOOM, DRAW_MOVE_Y, DRAW_MOVE_X };

/* 2^32 samples, eight draws each, then split and epoch: wraps around after 2^27 epochs, which is harmless */
static uint64_t draws_of(int64_t epoch, Split s, int64_t sample)
{
    return (((uint64_t)epoch * SPLIT_COUNT + (uint64_t)s) << 35) + (uint64_t)sample * DRAW_ROOM;
}

static void draw_warp(View *v, const Augment *a, bool series, uint64_t seed, uint64_t at)
{
    double draw[DRAW_MOVE_X + 1]; /* -1…1 */
    for (int i = 0; i < COUNTOF(draw); i++) draw[i] = 2 * rng_uniform(seed, RNG_WARP, at + (uint64_t)i) - 1;
    const double angle = series ? 0 : a->rotate * draw[DRAW_ANGLE] * (3.14159265358979323846 / 180);
    const double shrink = a->zoom > 1 ? exp(-log(a->zoom) * draw[DRAW_ZOOM]) : 1; /* of the step from pixel to pixel */
    v->warped = true;
    v->yy = series ? 1 : shrink * cos(angle);
    v->xx = shrink * cos(angle);
    v->yx = shrink * sin(angle);
    v->xy = -v->yx;
    v->move_y = series ? 0 : a->shift * draw[DRAW_MOVE_Y];
    v->move_x = a->shift * draw[DRAW_MOVE_X];
}

static View draw_view(const Augment *a, int64_t height, int64_t width, uint64_t seed, uint64_t at)
{
    View v = {0};
    v.flip_h = a->flip_horizontal && rng_below(seed, RNG_AUGMENT, at + DRAW_FLIP_H, 2);
    v.flip_v = a->flip_vertical && rng_below(seed, RNG_AUGMENT, at + DRAW_FLIP_V, 2);
    if (a->crop_padding > 0) {
        if (height > 1)
            v.shift_y = rng_below(seed, RNG_AUGMENT, at + DRAW_CROP_Y, 2 * a->crop_padding + 1) - a->crop_padding;
        v.shift_x = rng_below(seed, RNG_AUGMENT, at + DRAW_CROP_X, 2 * a->crop_padding + 1) - a->crop_padding;
    }
    if (a->cutout > 0) { /* centre anywhere in the image */
        v.cut = a->cutout;
        v.cut_y = rng_below(seed, RNG_AUGMENT, at + DRAW_CUT_Y, height) - a->cutout / 2;
        v.cut_x = rng_below(seed, RNG_AUGMENT, at + DRAW_CUT_X, width) - a->cutout / 2;
    }
    if (a->rotate > 0 || a->shift > 0 || a->zoom > 1) draw_warp(&v, a, height == 1, seed, at);
    return v;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* to[0…n) = table[from[0…n)], read forwards or backwards */
static void row_u8(float *restrict to, const uint8_t *restrict from, int64_t n, bool flip, const float *restrict table)
{
    if (flip)
        for (int64_t i = 0; i < n; i++) to[i] = table[from[n - 1 - i]];
    else
        for (int64_t i = 0; i < n; i++) to[i] = table[from[i]];
}

static void row_f32(float *restrict to, const float *restrict from, int64_t n, bool flip, float mean, float scale)
{
    if (flip)
        for (int64_t i = 0; i < n; i++) to[i] = (from[n - 1 - i] - mean) * scale;
    else
        for (int64_t i = 0; i < n; i++) to[i] = (from[i] - mean) * scale;
}

/* A stored plane's normalised value at (row, column) of the flipped image; 0 outside. */
static double pixel(const DatasetInfo *d, int64_t c, const void *from, const View *v, const float *table, int64_t row,
                    int64_t column)
{
    if (row < 0 || row >= d->height || column < 0 || column >= d->width) return 0;
    int64_t at = (v->flip_v ? d->height - 1 - row : row) * d->width + (v->flip_h ? d->width - 1 - column : column);
    if (table) return (double)table[((const uint8_t *)from)[at]];
    return ((double)((const float *)from)[at] - d->mean[c]) / d->sd[c];
}

static void plane_warped(const DatasetInfo *d, int64_t c, const void *from, const View *v, const float *table,
                         float *to)
{
    const double middle_y = (double)(d->height - 1) / 2, middle_x = (double)(d->width - 1) / 2;
    for (int64_t y = 0; y < d->height; y++)
        for (int64_t x = 0; x < d->width; x++) {
            const double oy = (double)(y + v->shift_y) - middle_y, ox = (double)(x + v->shift_x) - middle_x;
            const double sy = middle_y + v->yy * oy + v->yx * ox - v->move_y,
                         sx = middle_x + v->xy * oy + v->xx * ox - v->move_x;
            const int64_t row = (int64_t)floor(sy), column = (int64_t)floor(sx);
            const double down = sy - (double)row, right = sx - (double)column;
            double sum = 0;
            for (int k = 0; k < 4; k++) {
                const double part = (k / 2 ? down : 1 - down) * (k % 2 ? right : 1 - right);
                if (part > 0) sum += part * pixel(d, c, from, v, table, row + k / 2, column + k % 2);
            }
            *to++ = (float)sum;
        }
}

static void zero_rectangle(const DatasetInfo *d, float *to, int64_t y, int64_t x, int64_t height, int64_t width)
{
    const int64_t top = clamp(y, 0, d->height), bottom = clamp(y + height, top, d->height);
    const int64_t begin = clamp(x, 0, d->width), end = clamp(x + width, begin, d->width);
    for (int64_t row = top; row < bottom; row++)
        memset(to + row * d->width + begin, 0, (size_t)(end - begin) * sizeof *to);
}

/* One channel of one sample, but for what is done to all of it afterwards. `table` is 0 for f32. */
static void plane(const DatasetInfo *d, int64_t c, const void *from, const View *v, const float *table, float *to)
{
    const int64_t H = d->height, W = d->width;
    const float mean = (float)d->mean[c], scale = (float)(1 / d->sd[c]);
    const int64_t left = clamp(-v->shift_x, 0, W),
                  right = clamp(W - v->shift_x, left, W);      /* columns inside the image */
    const int64_t n = right - left, first = left + v->shift_x; /* of the flipped image */
    const int64_t source = v->flip_h ? W - first - n : first;  /* where that run begins in the stored row */
    if (v->warped) {
        plane_warped(d, c, from, v, table, to);
        return;
    }
    for (int64_t y = 0; y < H; y++, to += W) {
        int64_t row = y + v->shift_y;
        if (row < 0 || row >= H || n == 0) {
            memset(to, 0, (size_t)W * sizeof *to);
            continue;
        }
        int64_t at = (v->flip_v ? H - 1 - row : row) * W + source;
        if (table)
            row_u8(to + left, (const uint8_t *)from + at, n, v->flip_h, table);
        else
            row_f32(to + left, (const float *)from + at, n, v->flip_h, mean, scale);
        if (n < W) {
            memset(to, 0, (size_t)left * sizeof *to);
            memset(to + right, 0, (size_t)(W - right) * sizeof *to);
        }
    }
}

/* A band: from 0 to `most` of `side` wide, somewhere within. */
static int64_t draw_band(uint64_t own, int64_t band, int64_t side, int64_t most, int64_t *first)
{
    int64_t wide = rng_below(own, RNG_MASK, 2 * (uint64_t)band, (most < side ? most : side) + 1);
    *first = rng_below(own, RNG_MASK, 2 * (uint64_t)band + 1, side - wide + 1);
    return wide;
}

/* What hides parts of a plane or adds to it. All channels of a sample have the same bands, and noise of their own. */
static void finish_plane(const DatasetInfo *d, int64_t c, const Augment *a, const View *v, uint64_t seed, uint64_t at,
                         float *to)
{
    const int64_t H = d->height, W = d->width;
    if (v->cut) zero_rectangle(d, to, v->cut_y, v->cut_x, v->cut, v->cut);
    const bool masked = a->mask_rows > 0 || a->mask_columns > 0;
    const uint64_t bands = masked ? rng_u64(seed, RNG_MASK, at) : 0;
    for (int64_t i = 0, first, wide; masked && i < a->mask_count; i++) {
        if (a->mask_rows > 0) {
            wide = draw_band(bands, 2 * i, H, a->mask_rows, &first);
            zero_rectangle(d, to, first, 0, wide, W);
        }
        if (a->mask_columns > 0) {
            wide = draw_band(bands, 2 * i + 1, W, a->mask_columns, &first);
            zero_rectangle(d, to, 0, first, H, wide);
        }
    }
    if (a->jitter <= 0) return;
    const uint64_t own = rng_u64(seed, RNG_JITTER, at);
    for (int64_t i = 0; i < H * W; i++)
        to[i] += (float)(a->jitter * rng_normal(own, RNG_JITTER, (uint64_t)(c * H * W + i)));
}

void dataset_batch(const Dataset *d, Split s, const int64_t *order, int64_t n, const Augment *a, uint64_t seed,
                   int64_t epoch, float *x, float *y)
{
    const DatasetInfo *info = &d->info;
    const SplitData *split = &d->split[s];
    const int64_t area = info->height * info->width, size = dtype_size(info->dtype);
    float table[256];
    /* channels outside, so that one table is made once a batch and stays in cache */
    for (int64_t c = 0; c < info->channels; c++) {
        if (info->dtype == DTYPE_U8)
            for (int k = 0; k < 256; k++) table[k] = (float)((k - info->mean[c]) / info->sd[c]);
        for (int64_t i = 0; i < n; i++) {
            assert(order[i] >= 0 && order[i] < split->count);
            const uint64_t at = draws_of(epoch, s, order[i]);
            View v = draw_view(a, info->height, info->width, seed, at);
            const char *from = (const char *)split->data + (order[i] * info->channels + c) * area * size;
            float *to = x + (i * info->channels + c) * area;
            plane(info, c, from, &v, info->dtype == DTYPE_U8 ? table : 0, to);
            finish_plane(info, c, a, &v, seed, at, to);
        }
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * d->target_width, split->targets + order[i] * d->target_width,
               (size_t)d->target_width * sizeof *y);
}

/* Of Beta(a, a), as u^(1/a) / (u^(1/a) + v^(1/a)) for evenly drawn u and v whose powers add up to 1 at most (Jöhnk 1964). */
static double draw_beta(double a, uint64_t own)
{
    for (uint64_t k = 0;; k += 2) {
        const double u = log(1 - rng_uniform(own, RNG_MIX, k)) / a, v = log(1 - rng_uniform(own, RNG_MIX, k + 1)) / a;
        if (exp(u) + exp(v) <= 1) return 1 / (1 + exp(v - u));
    }
}

void dataset_mix(const Dataset *d, Split s, const int64_t *order, int64_t n, const Augment *a, uint64_t seed,
                 int64_t epoch, float *x, const float *y, float *partner, float *share)
{
    const int64_t values = dataset_sample_values(&d->info);
    for (int64_t i = 0; i < n; i++) {
        const double m = draw_beta(a->mixup, rng_u64(seed, RNG_MIX, draws_of(epoch, s, order[i])));
        share[i] = (float)fmax(m, 1 - m);
        memcpy(partner + i * d->target_width, y + (n - 1 - i) * d->target_width,
               (size_t)d->target_width * sizeof *partner);
    }
    for (int64_t i = 0; i < n / 2; i++) {
        float *p = x + i * values, *q = x + (n - 1 - i) * values;
        const float mine = share[i], other = share[n - 1 - i];
        for (int64_t k = 0; k < values; k++) {
            const float here = p[k], there = q[k];
            p[k] = mine * here + (1 - mine) * there;
            q[k] = other * there + (1 - other) * here;
        }
    }
}
