/* batch: samples in stored form -> normalised float32, augmented.
 *
 * One sample at a time: every output row is a run of source columns, forwards or (flipped) backwards, with zeros left
 * and right of it where a crop reaches past the image.  u8 pixels go through a table of the 256 normalised values of
 * their channel.  What an augmentation draws is a function of (seed, epoch, split, sample), so neither the batch size
 * nor the order nor the thread matters.
 */
#include <assert.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"

typedef struct { /* how one sample is seen */
    bool flip_h, flip_v;
    int64_t shift_y, shift_x;  /* output (y, x) shows source (y + shift_y, x + shift_x) of the flipped image */
    int64_t cut_y, cut_x, cut; /* zeroed square, may reach outside; cut 0: none */
} View;

enum { DRAW_FLIP_H, DRAW_FLIP_V, DRAW_CROP_Y, DRAW_CROP_X, DRAW_CUT_Y, DRAW_CUT_X, DRAW_ROOM = 8 };

static View draw_view(const Augment *a, int64_t height, int64_t width, uint64_t seed, int64_t epoch, Split s,
                      int64_t sample)
{
    /* 2^32 samples, eight draws each, then split and epoch: wraps around after 2^27 epochs, which is harmless */
    uint64_t at = (((uint64_t)epoch * SPLIT_COUNT + (uint64_t)s) << 35) + (uint64_t)sample * DRAW_ROOM;
    View v = {0};
    v.flip_h = a->flip_horizontal && rng_below(seed, RNG_AUGMENT, at + DRAW_FLIP_H, 2);
    v.flip_v = a->flip_vertical && rng_below(seed, RNG_AUGMENT, at + DRAW_FLIP_V, 2);
    if (a->crop_padding > 0) {
        v.shift_y = rng_below(seed, RNG_AUGMENT, at + DRAW_CROP_Y, 2 * a->crop_padding + 1) - a->crop_padding;
        v.shift_x = rng_below(seed, RNG_AUGMENT, at + DRAW_CROP_X, 2 * a->crop_padding + 1) - a->crop_padding;
    }
    if (a->cutout > 0) { /* centre anywhere in the image, as in Cutout (DeVries and Taylor 2017) */
        v.cut = a->cutout;
        v.cut_y = rng_below(seed, RNG_AUGMENT, at + DRAW_CUT_Y, height) - a->cutout / 2;
        v.cut_x = rng_below(seed, RNG_AUGMENT, at + DRAW_CUT_X, width) - a->cutout / 2;
    }
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

/* One channel of one sample. `table` is 0 for f32. */
static void plane(const DatasetInfo *d, int64_t c, const void *from, const View *v, const float *table, float *to)
{
    const int64_t H = d->height, W = d->width;
    const float mean = (float)d->mean[c], scale = (float)(1 / d->sd[c]);
    const int64_t left = clamp(-v->shift_x, 0, W),
                  right = clamp(W - v->shift_x, left, W);      /* columns inside the image */
    const int64_t n = right - left, first = left + v->shift_x; /* of the flipped image */
    const int64_t source = v->flip_h ? W - first - n : first;  /* where that run begins in the stored row */
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
    to -= H * W;
    const int64_t top = clamp(v->cut_y, 0, H), bottom = clamp(v->cut_y + v->cut, top, H);
    const int64_t begin = clamp(v->cut_x, 0, W), end = clamp(v->cut_x + v->cut, begin, W);
    for (int64_t y = top; y < bottom; y++) memset(to + y * W + begin, 0, (size_t)(end - begin) * sizeof *to);
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
            View v = draw_view(a, info->height, info->width, seed, epoch, s, order[i]);
            const char *from = (const char *)split->data + (order[i] * info->channels + c) * area * size;
            plane(info, c, from, &v, info->dtype == DTYPE_U8 ? table : 0, x + (i * info->channels + c) * area);
        }
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * d->target_width, split->targets + order[i] * d->target_width,
               (size_t)d->target_width * sizeof *y);
}
