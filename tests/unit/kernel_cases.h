/* kernel_cases: cases of kernel calls and how to run them, for the unit tests and for tests/bench.
 *
 * A case is described once in plain NCHW terms. *_make() packs it for a set's lanes, every array between guard bytes;
 * run_*() runs the kernels on it, checks that lanes beyond the channels are zero, and gives plain arrays back. Inputs are
 * multiples of 1/16, so that every sign that decides a ReLU or a mask, and every tie of a maximum, is exact in any
 * arithmetic.
 */
#ifndef NAS_KERNEL_CASES_H
#define NAS_KERNEL_CASES_H
#include "base/arena.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdlib.h>

static char label[160];

/* Float sums of up to some thousand terms against double: relative to the largest element of the array. */
static const double tolerance = 2e-5;

/* ---- guarded memory ---- */

enum { GUARD = 64, MAX_GUARDS = 256 };
static struct {
    unsigned char *beg;
    int64_t bytes;
} guards[MAX_GUARDS];
static int guard_count;

static void *guarded(Arena *a, int64_t bytes)
{
    int64_t whole = (bytes + 63) / 64 * 64 + 2 * GUARD;
    unsigned char *p = arena_alloc(a, 1, 64, whole);
    memset(p, 0xA5, (size_t)whole);
    memset(p + GUARD, 0, (size_t)bytes);
    if (guard_count == MAX_GUARDS) abort();
    guards[guard_count].beg = p;
    guards[guard_count++].bytes = bytes;
    return p + GUARD;
}

static void check_guards(void)
{
    for (int i = 0; i < guard_count; i++) {
        int64_t bytes = guards[i].bytes, end = (bytes + 63) / 64 * 64 + 2 * GUARD, wrong = 0;
        for (int64_t j = 0; j < GUARD; j++) wrong += guards[i].beg[j] != 0xA5;
        for (int64_t j = GUARD + bytes; j < end; j++) wrong += guards[i].beg[j] != 0xA5;
        CHECK_MSG(!wrong, "%s: %d bytes written around block %d of %d bytes", label, (int)wrong, i, (int)bytes);
    }
    guard_count = 0;
}

/* ---- sources and packing ---- */

static float *source(Arena *a, int64_t n, int seed)
{
    float *x = NEW(a, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((int)(rng_u64((uint64_t)seed, RNG_TEST, (uint64_t)i) % 65) - 32) / 16;
    return x;
}

typedef struct { /* where the channels of some tensors side by side are in blocks */
    int lanes, blocks, channels;
    int32_t *channel; /* (blocks * lanes): channel or -1 */
} Map;

static Map map_make(Arena *a, int lanes, int parts, const int *channels)
{
    Map m = {.lanes = lanes};
    for (int p = 0; p < parts; p++) m.blocks += (channels[p] + lanes - 1) / lanes;
    m.channel = NEW(a, int32_t, m.blocks * lanes);
    int at = 0;
    for (int p = 0; p < parts; p++) {
        int room = (channels[p] + lanes - 1) / lanes * lanes;
        for (int i = 0; i < room; i++) m.channel[at++] = i < channels[p] ? m.channels++ : -1;
    }
    return m;
}

static Map map_one(Arena *a, int lanes, int channels)
{
    return map_make(a, lanes, 1, &channels);
}

/* (outer, C, inner) plain -> (outer, B, inner, L). Lanes without a channel are `fill`. */
static float *pack(Arena *a, const Map *m, const float *from, int64_t outer, int64_t inner, float fill)
{
    int64_t width = m->blocks * m->lanes;
    float *to = guarded(a, outer * width * inner * (int64_t)sizeof *to);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < inner; i++) {
                int32_t c = m->channel[j];
                to[((o * m->blocks + j / m->lanes) * inner + i) * m->lanes + j % m->lanes] =
                    c < 0 ? fill : from[(o * m->channels + c) * inner + i];
            }
    return to;
}

static float *unpack(Arena *a, const Map *m, const float *from, int64_t outer, int64_t inner, const char *what)
{
    int64_t width = m->blocks * m->lanes, dirty = 0;
    float *to = NEW(a, float, outer * m->channels * inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < inner; i++) {
                int32_t c = m->channel[j];
                float v = from[((o * m->blocks + j / m->lanes) * inner + i) * m->lanes + j % m->lanes];
                if (c >= 0)
                    to[(o * m->channels + c) * inner + i] = v;
                else
                    dirty += !(v == 0);
            }
    CHECK_MSG(!dirty, "%s: %s: %d elements beyond the channels are not zero", label, what, (int)dirty);
    return to;
}

static float *pack_channels(Arena *a, const Map *m, const float *from)
{
    return pack(a, m, from, 1, 1, 0);
}

static float *unpack_sums(Arena *a, const Map *m, const double *from, int64_t rows, const char *what)
{
    int64_t width = m->blocks * m->lanes, dirty = 0;
    float *to = NEW(a, float, rows * m->channels);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < width; j++) {
            if (m->channel[j] >= 0)
                to[r * m->channels + m->channel[j]] = (float)from[r * width + j];
            else
                dirty += !(from[r * width + j] == 0);
        }
    CHECK_MSG(!dirty, "%s: %s: %d sums beyond the channels are not zero", label, what, (int)dirty);
    return to;
}

static void compare(const char *what, int64_t n, const float *got, const float *want)
{
    CHECK_MSG(!got == !want, "%s: %s is missing", label, what);
    if (!got || !want) return;
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)want[i]));
    int64_t wrong = 0, worst = -1;
    double off = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (d <= tolerance * largest + tolerance * fabs((double)want[i])) continue;
        wrong++;
        if (worst < 0 || !(d <= off)) off = d, worst = i;
    }
    CHECK_MSG(!wrong, "%s: %s: %d of %d differ, most at %d: %.9g, expected %.9g", label, what, (int)wrong, (int)n,
              (int)worst, (double)got[worst < 0 ? 0 : worst], (double)want[worst < 0 ? 0 : worst]);
}

/* ---- what a case's gradient looks like ---- */

enum { RELU = 1, IN_SCALE = 2, SAMPLES = 4, MASK = 8, NO_GX = 16, NO_WEIGHTS = 32, NO_SUMS = 64, ALL_FLAGS = 128 };

/* mask_odd: the value under the mask is a rounded average, so its zero must not be hit exactly. */
static KGrad grad_make(Arena *a, const Map *m, const float *g, int64_t n, int64_t pixels, int flags, bool mask_odd)
{
    int c = m->channels;
    KGrad k = {.g = pack(a, m, g, n, pixels, 0)};
    k.a = pack_channels(a, m, source(a, c, 20));
    k.b = pack_channels(a, m, source(a, c, 21));
    k.d = pack_channels(a, m, source(a, c, 22));
    if (flags & SAMPLES) {
        float *s = guarded(a, n * (int64_t)sizeof *s);
        for (int64_t i = 0; i < n; i++) s[i] = i % 3 == 1 ? 0 : 1.25f;
        k.sample_scale = s;
    }
    if (flags & MASK) {
        float *shift = source(a, c, 24);
        for (int i = 0; mask_odd && i < c; i++) shift[i] += 0.01234567f;
        k.mask_scale = pack_channels(a, m, source(a, c, 23));
        k.mask_shift = pack_channels(a, m, shift);
    }
    return k;
}

/* ---- convolution ---- */

typedef struct {
    int n, parts, in[3], h, w, out, kh, kw, sh, sw, dilation;
    bool depthwise, factorized;
} ConvCase;

typedef struct {
    float *y, *sums, *gx, *in_sums, *g_dw, *g_pw;
    int64_t y_count, gx_count, in_channels, dw_count, pw_count;
} ConvResult;

static void conv_geometry(const ConvCase *c, KConv *k)
{
    int pad_h = c->dilation * (c->kh - 1) / 2, pad_w = c->dilation * (c->kw - 1) / 2;
    k->in_h = c->h;
    k->in_w = c->w;
    k->stride_h = c->sh;
    k->stride_w = c->sw;
    k->out_h = (c->h + 2 * pad_h - c->dilation * (c->kh - 1) - 1) / c->sh + 1;
    k->out_w = (c->w + 2 * pad_w - c->dilation * (c->kw - 1) - 1) / c->sw + 1;
    if (c->factorized) {
        k->taps = 2;
        k->tap_y[1] = c->sh - 1;
        k->tap_x[1] = c->sw - 1;
        return;
    }
    for (int y = 0; y < c->kh; y++)
        for (int x = 0; x < c->kw; x++) {
            k->tap_y[k->taps] = y * c->dilation - pad_h;
            k->tap_x[k->taps++] = x * c->dilation - pad_w;
        }
}

/* Which square of packed weights holds tap t of two blocks. */
static int64_t square_of(const KConv *k, int taps, int t, int64_t out, int64_t outs, int64_t in, int64_t ins)
{
    return k->winograd ? (t * outs + out) * ins + in : (out * taps + t) * ins + in;
}

/* Element (lane in, lane out) of a square of packed weights holds plain (o, tap, c); pw_t likewise. */
static void pack_weights(Arena *a, KConv *k, const Map *in, const Map *out, const float *plain, int taps)
{
    int L = in->lanes;
    int64_t bytes = (int64_t)out->blocks * (k->winograd ? 16 : taps) * in->blocks * L * L * (int64_t)sizeof(float);
    float *pw = guarded(a, bytes), *pw_t = guarded(a, bytes);
    for (int j = 0; j < out->blocks * L; j++)
        for (int t = 0; t < taps; t++)
            for (int i = 0; i < in->blocks * L; i++) {
                int o = out->channel[j], c = in->channel[i];
                if (o < 0 || c < 0) continue;
                float w = plain[(o * taps + t) * in->channels + c];
                int64_t row = square_of(k, taps, t, j / L, out->blocks, i / L, in->blocks);
                pw[(row * L + i % L) * L + j % L] = w;
                row = square_of(k, taps, t, i / L, in->blocks, j / L, out->blocks);
                pw_t[(row * L + j % L) * L + i % L] = w;
            }
    k->pw = pw;
    k->pw_t = pw_t;
}

static float *unpack_weights(Arena *a, const KConv *k, const Map *in, const Map *out, const float *packed, int taps)
{
    int L = in->lanes;
    int64_t dirty = 0;
    float *plain = NEW(a, float, out->channels *taps * in->channels);
    for (int j = 0; j < out->blocks * L; j++)
        for (int t = 0; t < taps; t++)
            for (int i = 0; i < in->blocks * L; i++) {
                int o = out->channel[j], c = in->channel[i];
                int64_t row = square_of(k, taps, t, j / L, out->blocks, i / L, in->blocks);
                float w = packed[(row * L + i % L) * L + j % L];
                if (o >= 0 && c >= 0)
                    plain[(o * taps + t) * in->channels + c] = w;
                else
                    dirty += !(w == 0);
            }
    CHECK_MSG(!dirty, "%s: g_pw: %d elements beyond the channels are not zero", label, (int)dirty);
    return plain;
}

static float *add_slots(Arena *a, const float *first, const float *second, int64_t n)
{
    float *sum = NEW(a, float, n);
    for (int64_t i = 0; i < n; i++) sum[i] = first[i] + 2 * second[i]; /* 2: a swap of slots must show */
    return sum;
}

typedef struct { /* a case in a set's layout */
    KConv k;
    Map in, out, part[3];
    int64_t n, taps, dw, pw, pw_count; /* dw, pw: elements of a slot; pw_count: of plain pointwise weights */
} ConvJob;

/* Ready for the forward pass, with `slots` slots for sums. */
static ConvJob conv_make(Arena *a, const NasKernels *kernels, const ConvCase *c, int flags, int64_t slots)
{
    int L = kernels->lanes;
    ConvJob j = {.k = {.parts = c->parts, .relu = flags & RELU ? 1 : 0, .depthwise = c->depthwise},
                 .in = map_make(a, L, c->parts, c->in),
                 .out = map_one(a, L, c->out),
                 .n = c->n};
    KConv *k = &j.k;
    conv_geometry(c, k);
    int64_t in_pixels = c->h * c->w, out_pixels = k->out_h * k->out_w;
    k->in_blocks = j.in.blocks;
    k->out_blocks = j.out.blocks;
    int32_t *block_lanes = NEW(a, int32_t, j.in.blocks);
    for (int i = 0; i < j.in.blocks * L; i++) block_lanes[i / L] += j.in.channel[i] >= 0;
    k->block_lanes = block_lanes;
    bool written = flags & IN_SCALE;
    for (int p = 0; p < c->parts; p++) {
        j.part[p] = map_one(a, L, c->in[p]);
        k->part_blocks[p] = j.part[p].blocks;
        k->x[p] = pack(a, &j.part[p], source(a, j.n * c->in[p] * in_pixels, 1 + p), j.n, in_pixels, 0);
        if (flags & NO_GX) continue;
        float *old = source(a, j.n * c->in[p] * in_pixels, 5 + p);
        k->gx[p] = pack(a, &j.part[p], old, j.n, in_pixels, written ? 7 : 0);
    }
    if (flags & IN_SCALE) {
        k->in_scale = pack_channels(a, &j.in, source(a, j.in.channels, 9));
        k->in_shift = pack_channels(a, &j.in, source(a, j.in.channels, 10));
        if (!(flags & NO_GX)) k->in_sums = guarded(a, slots * 2 * j.in.blocks * L * (int64_t)sizeof(double));
    }
    j.taps = c->depthwise ? 1 : k->taps;
    j.dw = c->depthwise ? (int64_t)j.in.blocks * k->taps * L : 0;
    j.pw = (int64_t)j.out.blocks * j.taps * j.in.blocks * L * L;
    j.pw_count = c->out * j.taps * j.in.channels;
    k->winograd = kernels->conv_winograd(k);
    pack_weights(a, k, &j.in, &j.out, source(a, j.pw_count, 11), (int)j.taps);
    for (int i = 0; k->winograd && i < 2; i++) kernels->winograd_weights(j.pw / 9, (float *)(i ? k->pw_t : k->pw));
    if (c->depthwise) k->dw = pack(a, &j.in, source(a, j.in.channels * k->taps, 12), 1, k->taps, 0);
    k->y = guarded(a, j.n * j.out.blocks * L * out_pixels * (int64_t)sizeof(float));
    if (!(flags & NO_SUMS)) k->sums = guarded(a, slots * 2 * j.out.blocks * L * (int64_t)sizeof(double));
    return j;
}

/* Then for the backward pass: y and g are just data. */
static void conv_make_backward(Arena *a, ConvJob *j, const ConvCase *c, int flags, int64_t slots)
{
    KConv *k = &j->k;
    int64_t pixels = k->out_h * k->out_w, count = j->n * c->out * pixels;
    k->y = pack(a, &j->out, source(a, count, 13), j->n, pixels, 0);
    k->grad = grad_make(a, &j->out, source(a, count, 14), j->n, pixels, flags, false);
    if (flags & NO_WEIGHTS) return;
    if (c->depthwise) k->g_dw = guarded(a, slots * j->dw * (int64_t)sizeof(float));
    k->g_pw = guarded(a, slots * j->pw * (int64_t)sizeof(float));
}

/* Runs forward on slots 0 and 1, then backward on given y and g; plain results. The slots start with a 1 to see that
 * they are added to. */
static ConvResult run_conv(Arena *a, const NasKernels *kernels, const ConvCase *c, int flags)
{
    int L = kernels->lanes;
    ConvJob j = conv_make(a, kernels, c, flags, 2);
    KConv *k = &j.k;
    Map in = j.in, out = j.out;
    int64_t n = c->n, in_pixels = c->h * c->w, out_pixels = k->out_h * k->out_w, offset = 0, half = (n + 1) / 2;
    int64_t n0[2] = {0, half}, n1[2] = {half, n};
    ConvResult r = {.y_count = n * c->out * out_pixels,
                    .gx_count = n * in.channels * in_pixels,
                    .in_channels = in.channels,
                    .dw_count = in.channels * k->taps,
                    .pw_count = j.pw_count};
    void *scratch = guarded(a, kernels->conv_scratch(k));
    memset(scratch, 0xFF, (size_t)kernels->conv_scratch(k)); /* NaN */
    for (int s = 0; k->sums && s < 2; s++)
        for (int i = 0; i < out.blocks * L; i++) k->sums[(2 * s + 1) * out.blocks * L + i] = out.channel[i] >= 0;
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->conv_forward(k, n0[s], n1[s], s, scratch);
    r.y = unpack(a, &out, k->y, n, out_pixels, "y");
    if (k->sums) r.sums = unpack_sums(a, &out, k->sums, 4, "sums");

    conv_make_backward(a, &j, c, flags, 2);
    if (k->g_dw) k->g_dw[j.dw] = 1;
    if (k->g_pw) k->g_pw[0] = 1;
    for (int s = 0; k->in_sums && s < 2; s++) k->in_sums[2 * s * in.blocks * L] = 1;
    memset(scratch, 0xFF, (size_t)kernels->conv_scratch(k));
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->conv_backward(k, n0[s], n1[s], s, scratch);
    if (!(flags & NO_GX)) {
        r.gx = NEW(a, float, r.gx_count);
        for (int p = 0; p < c->parts; p++) {
            int64_t size = n * c->in[p] * in_pixels;
            memcpy(r.gx + offset, unpack(a, &j.part[p], k->gx[p], n, in_pixels, "gx"), (size_t)size * sizeof(float));
            offset += size;
        }
        if (k->in_sums) r.in_sums = unpack_sums(a, &in, k->in_sums, 4, "in_sums");
    }
    if (k->g_dw)
        r.g_dw = add_slots(a, unpack(a, &in, k->g_dw, 1, k->taps, "g_dw"),
                           unpack(a, &in, k->g_dw + j.dw, 1, k->taps, "g_dw"), r.dw_count);
    if (k->g_pw)
        r.g_pw = add_slots(a, unpack_weights(a, k, &in, &out, k->g_pw, (int)j.taps),
                           unpack_weights(a, k, &in, &out, k->g_pw + j.pw, (int)j.taps), r.pw_count);
    check_guards();
    return r;
}

static void compare_conv_results(const ConvCase *c, const ConvResult *got, const ConvResult *want)
{
    compare("y", want->y_count, got->y, want->y);
    compare("sums", 4 * c->out, got->sums, want->sums);
    compare("gx", want->gx_count, got->gx, want->gx);
    compare("in_sums", 4 * want->in_channels, got->in_sums, want->in_sums);
    compare("g_dw", want->dw_count, got->g_dw, want->g_dw);
    compare("g_pw", want->pw_count, got->g_pw, want->g_pw);
}

/* ---- pooling ---- */

typedef struct {
    int n, channels, h, w, kh, kw, sh, sw, ph, pw, extra;
} PoolCase;

typedef struct {
    float *sums, *gx;
    int64_t out_count, in_count;
} PoolResult;

static void pool_geometry(const PoolCase *c, KPool *k)
{
    k->in_h = c->h;
    k->in_w = c->w;
    k->kernel_h = c->kh;
    k->kernel_w = c->kw;
    k->stride_h = c->sh;
    k->stride_w = c->sw;
    k->pad_h = c->ph;
    k->pad_w = c->pw;
    k->extra_h = c->kh > 1 ? c->extra : 0;
    k->extra_w = c->kw > 1 ? c->extra : 0;
    k->out_h = (c->h + k->extra_h + 2 * c->ph - c->kh) / c->sh + 1;
    k->out_w = (c->w + k->extra_w + 2 * c->pw - c->kw) / c->sw + 1;
}

typedef struct {
    KPool k;
    Map m;
    int64_t n;
} PoolJob;

static PoolJob pool_make(Arena *a, const NasKernels *kernels, const PoolCase *c, bool average, int flags, int64_t slots)
{
    PoolJob j = {.m = map_one(a, kernels->lanes, c->channels), .n = c->n};
    j.k = (KPool){.blocks = j.m.blocks, .average = average};
    pool_geometry(c, &j.k);
    int64_t in_pixels = c->h * c->w, out_pixels = j.k.out_h * j.k.out_w, size = j.n * c->channels * in_pixels;
    j.k.x = pack(a, &j.m, source(a, size, 1), j.n, in_pixels, 0);
    j.k.gx = pack(a, &j.m, source(a, size, 2), j.n, in_pixels, 0);
    if (!(flags & NO_SUMS)) j.k.sums = guarded(a, slots * 2 * j.m.blocks * kernels->lanes * (int64_t)sizeof(double));
    float *g = source(a, j.n * c->channels * out_pixels, 3);
    j.k.grad = grad_make(a, &j.m, g, j.n, out_pixels, flags, true);
    return j;
}

static PoolResult run_pool(Arena *a, const NasKernels *kernels, const PoolCase *c, bool average, int flags)
{
    PoolJob j = pool_make(a, kernels, c, average, flags, 2);
    KPool *k = &j.k;
    int64_t n = c->n, in_pixels = c->h * c->w, out_pixels = k->out_h * k->out_w, half = (n + 1) / 2;
    int64_t n0[2] = {0, half}, n1[2] = {half, n};
    PoolResult r = {.out_count = n * c->channels * out_pixels, .in_count = n * c->channels * in_pixels};
    if (k->sums) k->sums[0] = 1;
    int64_t bytes = kernels->pool_scratch(k);
    void *scratch = guarded(a, bytes);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->pool_forward(k, n0[s], n1[s], s, scratch);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->pool_backward(k, n0[s], n1[s], s, scratch);
    r.gx = unpack(a, &j.m, k->gx, n, in_pixels, "gx");
    if (k->sums) r.sums = unpack_sums(a, &j.m, k->sums, 4, "sums");
    check_guards();
    return r;
}

static void compare_pool_results(const PoolCase *c, const PoolResult *got, const PoolResult *want)
{
    compare("gx", want->in_count, got->gx, want->gx);
    compare("sums", 4 * c->channels, got->sums, want->sums);
}

/* ---- mix ---- */

/* A term's kind, one letter: r raw with scale and shift; i identity with gx; R the ReLU of a raw value; P the same
 * without normalisation; m maximum and a average pooled; then s for sample_scale. */
typedef struct {
    const char *kinds;
    int n, channels, h, w;
} MixCase;

enum { MIX_MAX_TERMS = 16 };
typedef struct {
    float *out, *sums, *gx[MIX_MAX_TERMS];
    int terms;
    int64_t count;
} MixResult;

typedef struct {
    KMix k;
    Map m;
    KTerm *term;
    int64_t n;
} MixJob;

static MixJob mix_make(Arena *a, const NasKernels *kernels, const MixCase *c, int64_t slots)
{
    MixJob j = {.m = map_one(a, kernels->lanes, c->channels), .n = c->n, .term = NEW(a, KTerm, MIX_MAX_TERMS)};
    int n = c->n, channels = c->channels, h = c->h, w = c->w, terms = 0;
    int64_t pixels = h * w, width = j.m.blocks * kernels->lanes, count = n * channels * pixels;
    KTerm *term = j.term;
    Map m = j.m;
    for (const char *p = c->kinds; *p; p++) {
        KTerm *t = &term[terms];
        int seed = 100 * ++terms;
        float *x = pack(a, &m, source(a, count, seed), n, pixels, 0);
        if (*p == 'm' || *p == 'a') {
            KPool *pool = NEW(a, KPool, 1);
            *pool = (KPool){.x = x,
                            .blocks = m.blocks,
                            .in_h = h,
                            .in_w = w,
                            .out_h = h,
                            .out_w = w,
                            .average = *p == 'a',
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .stride_h = 1,
                            .stride_w = 1,
                            .pad_h = 1,
                            .pad_w = 1};
            void *scratch = guarded(a, kernels->pool_scratch(pool));
            kernels->pool_forward(pool, 0, n, 0, scratch);
            t->pool = pool;
        } else {
            t->y = x;
        }
        float *scale = source(a, channels, seed + 1);
        if (*p == 'R' || *p == 'P' || *p == 'i') /* then it is the term's weight: one for all channels */
            for (int i = 1; i < channels; i++) scale[i] = scale[0];
        t->scale = pack_channels(a, &m, scale);
        if (*p == 'R') {
            t->relu_scale = pack_channels(a, &m, source(a, channels, seed + 3));
            t->relu_shift = pack_channels(a, &m, source(a, channels, seed + 4));
        }
        t->relu = *p == 'R' || *p == 'P';
        if (*p == 'i' || *p == 'P') t->gx = pack(a, &m, source(a, count, seed + 5), n, pixels, 0);
        if (!t->relu && *p != 'i') t->shift = pack_channels(a, &m, source(a, channels, seed + 2));
        if (p[1] == 's') {
            float *s = guarded(a, n * (int64_t)sizeof *s);
            for (int i = 0; i < n; i++) s[i] = (i + terms) % 2 ? 0 : 1.25f;
            t->sample_scale = s;
            p++;
        }
    }
    j.k = (KMix){.terms = terms, .term = term, .blocks = m.blocks, .height = h, .width = w};
    j.k.out = guarded(a, n * width * pixels * (int64_t)sizeof(float));
    j.k.g = pack(a, &m, source(a, count, 7), n, pixels, 0);
    j.k.sums = guarded(a, slots * (1 + 2 * terms) * width * (int64_t)sizeof(double));
    return j;
}

static MixResult run_mix(Arena *a, const NasKernels *kernels, const MixCase *c)
{
    MixJob j = mix_make(a, kernels, c, 2);
    KMix *k = &j.k;
    int64_t n = c->n, pixels = c->h * c->w, half = (n + 1) / 2, n0[2] = {0, half}, n1[2] = {half, n};
    MixResult r = {.terms = k->terms, .count = n * c->channels * pixels};
    k->sums[0] = 1;
    int64_t bytes = kernels->mix_scratch(k);
    void *scratch = guarded(a, bytes);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->mix_forward(k, n0[s], n1[s], scratch);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->mix_backward(k, n0[s], n1[s], s, scratch);
    r.out = unpack(a, &j.m, k->out, n, pixels, "out");
    r.sums = unpack_sums(a, &j.m, k->sums, 2 * (1 + 2 * r.terms), "sums");
    for (int i = 0; i < r.terms; i++)
        if (j.term[i].gx) r.gx[i] = unpack(a, &j.m, j.term[i].gx, n, pixels, "gx");
    check_guards();
    return r;
}

static void compare_mix_results(const MixCase *c, const MixResult *got, const MixResult *want)
{
    compare("out", want->count, got->out, want->out);
    compare("sums", 2 * (1 + 2 * want->terms) * c->channels, got->sums, want->sums);
    for (int t = 0; t < want->terms; t++) compare("gx", want->count, got->gx[t], want->gx[t]);
}

/* ---- head ---- */

/* A linear layer on two tensors side by side. */
typedef struct {
    int n, channels[2], h, w, outputs;
} HeadCase;

typedef struct {
    float *pooled, *logits, *g_weight, *gx[2];
} HeadResult;

typedef struct {
    KHead k;
    Map m[2];
    int64_t n, size; /* size: elements of a slot of g_weight */
} HeadJob;

static HeadJob head_make(Arena *a, const NasKernels *kernels, const HeadCase *c, int flags, int64_t slots)
{
    HeadJob j = {.n = c->n};
    KHead *k = &j.k;
    *k = (KHead){
        .parts = 2, .height = c->h, .width = c->w, .outputs = c->outputs, .channels = c->channels[0] + c->channels[1]};
    int64_t pixels = c->h * c->w;
    j.size = (int64_t)c->outputs * k->channels + c->outputs;
    for (int p = 0; p < 2; p++) {
        int64_t count = j.n * c->channels[p] * pixels;
        j.m[p] = map_one(a, kernels->lanes, c->channels[p]);
        k->part_blocks[p] = j.m[p].blocks;
        k->part_channels[p] = c->channels[p];
        k->x[p] = pack(a, &j.m[p], source(a, count, 1 + p), j.n, pixels, 0);
        if (!(flags & NO_GX)) k->gx[p] = pack(a, &j.m[p], source(a, count, 3 + p), j.n, pixels, 0);
    }
    k->weight = source(a, c->outputs * k->channels, 5);
    k->bias = source(a, c->outputs, 6);
    k->g_logits = source(a, j.n * c->outputs, 7);
    k->pooled = guarded(a, j.n * k->channels * (int64_t)sizeof(float));
    k->logits = guarded(a, j.n * c->outputs * (int64_t)sizeof(float));
    if (!(flags & NO_WEIGHTS)) k->g_weight = guarded(a, slots * j.size * (int64_t)sizeof(float));
    return j;
}

static HeadResult run_head(Arena *a, const NasKernels *kernels, const HeadCase *c, int flags)
{
    HeadJob j = head_make(a, kernels, c, flags, 2);
    KHead *k = &j.k;
    int64_t n = c->n, half = (n + 1) / 2, pixels = c->h * c->w;
    if (k->g_weight) k->g_weight[0] = k->g_weight[j.size - 1] = 1;
    kernels->head_forward(k, 0, half);
    if (half < n) kernels->head_forward(k, half, n);
    kernels->head_backward(k, 0, half, 0);
    if (half < n) kernels->head_backward(k, half, n, 1);
    HeadResult r = {.pooled = k->pooled, .logits = k->logits};
    if (k->g_weight) r.g_weight = add_slots(a, k->g_weight, k->g_weight + j.size, j.size);
    for (int p = 0; p < 2; p++)
        if (k->gx[p]) r.gx[p] = unpack(a, &j.m[p], k->gx[p], n, pixels, "gx");
    check_guards();
    return r;
}

static void compare_head_results(const HeadCase *c, const HeadResult *got, const HeadResult *want)
{
    int64_t all = c->channels[0] + c->channels[1];
    compare("pooled", c->n * all, got->pooled, want->pooled);
    compare("logits", c->n * c->outputs, got->logits, want->logits);
    compare("g_weight", c->outputs * all + c->outputs, got->g_weight, want->g_weight);
    for (int p = 0; p < 2; p++) compare("gx", (int64_t)c->n * c->channels[p] * c->h * c->w, got->gx[p], want->gx[p]);
}
#endif
