/* test_kernels: every kernel set that this machine can run against `ref`, and `ref` against finite differences.
 *
 * A case is described once in plain NCHW terms; run_*() packs it for a set's lanes, runs the kernels between guard bytes,
 * checks that lanes beyond the channels are zero, and gives plain arrays back. Inputs are multiples of 1/16, so that
 * every sign that decides a ReLU or a mask, and every tie of a maximum, is exact in any arithmetic.
 */
#include "base/arena.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tests/unit/check.h"

#include <math.h>
#include <stdlib.h>

static Arena memory; /* every case works on a copy */
static char label[160];

/* Float sums of up to some thousand terms against double: relative to the largest element of the array. */
static const double tolerance = 2e-5;

/* ---- kernel sets ---- */

static const NasKernels *sets[16];
static int set_count;

static void find_sets(void)
{
    static const char *const isa[] = {"v2", "v3", "v4", "base"};
    for (int i = 0; i < COUNTOF(isa); i++)
        for (int lanes = 4; lanes <= 16; lanes *= 2) {
            const NasKernels *k = nas_kernels_cpu(isa[i], lanes);
            if (k) sets[set_count++] = k;
        }
}

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

static const ConvCase conv_cases[] = {
    /* n parts in          h   w  out kh kw sh sw dil depthwise factorized */
    {3, 1, {3}, 7, 7, 5, 3, 3, 1, 1, 1, false, false},      {3, 1, {5}, 7, 7, 3, 3, 3, 1, 1, 1, true, false},
    {2, 1, {17}, 7, 7, 16, 1, 1, 1, 1, 1, false, false},    {2, 1, {1}, 19, 35, 17, 3, 3, 2, 2, 1, false, false},
    {2, 1, {16}, 8, 8, 16, 5, 5, 1, 1, 2, true, false},     {2, 1, {17}, 8, 8, 40, 5, 5, 2, 2, 1, true, false},
    {2, 1, {40}, 7, 7, 17, 3, 3, 2, 2, 2, true, false},     {1, 1, {3}, 19, 35, 5, 7, 7, 1, 1, 1, true, false},
    {2, 1, {5}, 30, 80, 16, 3, 3, 1, 1, 1, true, false},    {2, 1, {16}, 1, 64, 17, 1, 7, 1, 2, 1, false, false},
    {3, 1, {5}, 1, 64, 5, 1, 5, 1, 1, 2, true, false},      {2, 1, {3}, 19, 35, 3, 7, 1, 1, 1, 1, false, false},
    {2, 1, {3}, 19, 35, 3, 1, 7, 1, 1, 1, false, false},    {2, 1, {16}, 8, 8, 17, 1, 1, 2, 2, 1, false, true},
    {2, 1, {5}, 7, 7, 5, 1, 1, 2, 2, 1, false, true},       {2, 1, {5}, 1, 64, 3, 1, 1, 1, 2, 1, false, true},
    {2, 3, {5, 17, 3}, 7, 7, 16, 1, 1, 1, 1, 1, false},     {2, 3, {16, 16, 16}, 8, 8, 17, 1, 1, 2, 2, 1, false, true},
    {2, 2, {17, 5}, 7, 7, 16, 3, 3, 1, 1, 1, false, false}, {2, 2, {3, 40}, 7, 7, 5, 3, 3, 2, 2, 1, true, false},
    {1, 1, {40}, 7, 7, 40, 3, 3, 1, 1, 1, false, false},    {1, 1, {3}, 30, 80, 16, 7, 7, 2, 2, 1, false, false},
    {2, 1, {8}, 5, 9, 8, 3, 3, 1, 2, 1, true, false},       {2, 1, {1}, 1, 1, 1, 3, 3, 1, 1, 1, true, false},
    {4, 1, {48}, 2, 2, 33, 5, 5, 1, 1, 2, true, false},
};

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

/* Element (out block, k, lane in, lane out) of packed weights holds plain (o, tap, c); pw_t likewise. */
static void pack_weights(Arena *a, KConv *k, const Map *in, const Map *out, const float *plain, int taps)
{
    int L = in->lanes;
    int64_t bytes = (int64_t)out->blocks * taps * in->blocks * L * L * (int64_t)sizeof(float);
    float *pw = guarded(a, bytes), *pw_t = guarded(a, bytes);
    for (int j = 0; j < out->blocks * L; j++)
        for (int t = 0; t < taps; t++)
            for (int i = 0; i < in->blocks * L; i++) {
                int o = out->channel[j], c = in->channel[i];
                if (o < 0 || c < 0) continue;
                float w = plain[(o * taps + t) * in->channels + c];
                int64_t row = (int64_t)(j / L) * taps * in->blocks + t * in->blocks + i / L;
                pw[(row * L + i % L) * L + j % L] = w;
                row = (int64_t)(i / L) * taps * out->blocks + t * out->blocks + j / L;
                pw_t[(row * L + j % L) * L + i % L] = w;
            }
    k->pw = pw;
    k->pw_t = pw_t;
}

static float *unpack_weights(Arena *a, const Map *in, const Map *out, const float *packed, int taps)
{
    int L = in->lanes;
    int64_t dirty = 0;
    float *plain = NEW(a, float, out->channels *taps * in->channels);
    for (int j = 0; j < out->blocks * L; j++)
        for (int t = 0; t < taps; t++)
            for (int i = 0; i < in->blocks * L; i++) {
                int o = out->channel[j], c = in->channel[i];
                int64_t row = (int64_t)(j / L) * taps * in->blocks + t * in->blocks + i / L;
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

/* Runs forward on slots 0 and 1, then backward on given y and g; plain results. The slots start with a 1 to see that
 * they are added to. */
static ConvResult run_conv(Arena *a, const NasKernels *kernels, const ConvCase *c, int flags)
{
    int L = kernels->lanes;
    Map in = map_make(a, L, c->parts, c->in), out = map_one(a, L, c->out), part[3];
    KConv k = {.parts = c->parts, .relu = flags & RELU ? 1 : 0, .depthwise = c->depthwise};
    conv_geometry(c, &k);
    int64_t n = c->n, in_pixels = c->h * c->w, out_pixels = k.out_h * k.out_w, offset = 0, half = (n + 1) / 2;
    int64_t n0[2] = {0, half}, n1[2] = {half, n};
    k.in_blocks = in.blocks;
    k.out_blocks = out.blocks;
    int32_t *block_lanes = NEW(a, int32_t, in.blocks);
    for (int i = 0; i < in.blocks * L; i++) block_lanes[i / L] += in.channel[i] >= 0;
    k.block_lanes = block_lanes;
    bool written = flags & IN_SCALE;
    for (int p = 0; p < c->parts; p++) {
        part[p] = map_one(a, L, c->in[p]);
        k.part_blocks[p] = part[p].blocks;
        k.x[p] = pack(a, &part[p], source(a, n * c->in[p] * in_pixels, 1 + p), n, in_pixels, 0);
        if (flags & NO_GX) continue;
        k.gx[p] = pack(a, &part[p], source(a, n * c->in[p] * in_pixels, 5 + p), n, in_pixels, written ? 7 : 0);
    }
    if (flags & IN_SCALE) {
        k.in_scale = pack_channels(a, &in, source(a, in.channels, 9));
        k.in_shift = pack_channels(a, &in, source(a, in.channels, 10));
        if (!(flags & NO_GX)) k.in_sums = guarded(a, 2 * 2 * in.blocks * L * (int64_t)sizeof(double));
    }
    int taps = c->depthwise ? 1 : k.taps;
    ConvResult r = {.y_count = n * c->out * out_pixels,
                    .gx_count = n * in.channels * in_pixels,
                    .in_channels = in.channels,
                    .dw_count = in.channels * k.taps,
                    .pw_count = c->out * taps * in.channels};
    pack_weights(a, &k, &in, &out, source(a, r.pw_count, 11), taps);
    if (c->depthwise) k.dw = pack(a, &in, source(a, r.dw_count, 12), 1, k.taps, 0);
    k.y = guarded(a, n * out.blocks * L * out_pixels * (int64_t)sizeof(float));
    if (!(flags & NO_SUMS)) k.sums = guarded(a, 2 * 2 * out.blocks * L * (int64_t)sizeof(double));
    void *scratch = guarded(a, kernels->conv_scratch(&k));
    memset(scratch, 0xFF, (size_t)kernels->conv_scratch(&k)); /* NaN */
    for (int s = 0; k.sums && s < 2; s++)
        for (int i = 0; i < out.blocks * L; i++) k.sums[(2 * s + 1) * out.blocks * L + i] = out.channel[i] >= 0;
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->conv_forward(&k, n0[s], n1[s], s, scratch);
    r.y = unpack(a, &out, k.y, n, out_pixels, "y");
    if (k.sums) r.sums = unpack_sums(a, &out, k.sums, 4, "sums");

    /* backward: y and g are just data */
    k.y = pack(a, &out, source(a, r.y_count, 13), n, out_pixels, 0);
    k.grad = grad_make(a, &out, source(a, r.y_count, 14), n, out_pixels, flags, false);
    int64_t dw = (int64_t)in.blocks * k.taps * L, pw = (int64_t)out.blocks * taps * in.blocks * L * L;
    if (!(flags & NO_WEIGHTS)) {
        if (c->depthwise) k.g_dw = guarded(a, 2 * dw * (int64_t)sizeof(float));
        k.g_pw = guarded(a, 2 * pw * (int64_t)sizeof(float));
        if (c->depthwise) k.g_dw[dw] = 1;
        k.g_pw[0] = 1;
    }
    for (int s = 0; k.in_sums && s < 2; s++) k.in_sums[2 * s * in.blocks * L] = 1;
    memset(scratch, 0xFF, (size_t)kernels->conv_scratch(&k));
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->conv_backward(&k, n0[s], n1[s], s, scratch);
    if (!(flags & NO_GX)) {
        r.gx = NEW(a, float, r.gx_count);
        for (int p = 0; p < c->parts; p++) {
            int64_t size = n * c->in[p] * in_pixels;
            memcpy(r.gx + offset, unpack(a, &part[p], k.gx[p], n, in_pixels, "gx"), (size_t)size * sizeof(float));
            offset += size;
        }
        if (k.in_sums) r.in_sums = unpack_sums(a, &in, k.in_sums, 4, "in_sums");
    }
    if (k.g_dw)
        r.g_dw = add_slots(a, unpack(a, &in, k.g_dw, 1, k.taps, "g_dw"), unpack(a, &in, k.g_dw + dw, 1, k.taps, "g_dw"),
                           r.dw_count);
    if (k.g_pw)
        r.g_pw = add_slots(a, unpack_weights(a, &in, &out, k.g_pw, taps),
                           unpack_weights(a, &in, &out, k.g_pw + pw, taps), r.pw_count);
    check_guards();
    return r;
}

static void compare_conv(const ConvCase *c, int flags)
{
    Arena scratch = memory;
    snprintf(label, sizeof label, "ref %dx%d", c->h, c->w);
    ConvResult want = run_conv(&scratch, nas_kernels_ref(), c, flags);
    for (int i = 0; i < set_count; i++) {
        Arena each = scratch;
        snprintf(label, sizeof label, "%s/%d conv n%d %d+%d+%d->%d %dx%d k%dx%d s%d,%d d%d%s%s flags %d", sets[i]->name,
                 sets[i]->lanes, c->n, c->in[0], c->in[1], c->in[2], c->out, c->h, c->w, c->kh, c->kw, c->sh, c->sw,
                 c->dilation, c->depthwise ? " depthwise" : "", c->factorized ? " factorized" : "", flags);
        ConvResult got = run_conv(&each, sets[i], c, flags);
        compare("y", want.y_count, got.y, want.y);
        compare("sums", 4 * c->out, got.sums, want.sums);
        compare("gx", want.gx_count, got.gx, want.gx);
        compare("in_sums", 4 * want.in_channels, got.in_sums, want.in_sums);
        compare("g_dw", want.dw_count, got.g_dw, want.g_dw);
        compare("g_pw", want.pw_count, got.g_pw, want.g_pw);
    }
}

static void test_conv(void)
{
    for (int i = 0; i < COUNTOF(conv_cases); i++) {
        const ConvCase *c = &conv_cases[i];
        for (int flags = 0; flags < ALL_FLAGS; flags++) {
            if (flags & IN_SCALE && c->parts > 1) continue;
            bool small = i < 2, chosen = rng_below(1, RNG_TEST, (uint64_t)(i * ALL_FLAGS + flags), 8) == 0;
            if (small || chosen || flags == RELU || flags == (RELU | IN_SCALE | MASK | SAMPLES)) compare_conv(c, flags);
        }
    }
}

/* ---- pooling ---- */

typedef struct {
    int n, channels, h, w, kh, kw, sh, sw, ph, pw, extra;
} PoolCase;

static const PoolCase pool_cases[] = {
    {3, 3, 7, 7, 3, 3, 1, 1, 1, 1, 0},    {2, 17, 7, 7, 3, 3, 2, 2, 1, 1, 0},  {2, 5, 19, 35, 3, 3, 2, 2, 1, 1, 0},
    {2, 40, 8, 8, 3, 3, 1, 1, 1, 1, 0},   {2, 16, 1, 64, 1, 3, 1, 2, 0, 1, 0}, {2, 1, 1, 64, 1, 3, 1, 1, 0, 1, 0},
    {2, 3, 30, 80, 3, 3, 1, 1, 1, 1, 0},  {2, 16, 8, 8, 2, 2, 1, 1, 0, 0, 1},  {2, 5, 7, 7, 2, 2, 2, 2, 0, 0, 1},
    {2, 17, 19, 35, 5, 5, 2, 2, 2, 2, 0}, {1, 8, 2, 2, 3, 3, 1, 1, 1, 1, 0},   {2, 3, 1, 1, 3, 3, 1, 1, 1, 1, 0},
    {2, 9, 7, 5, 3, 3, 1, 2, 1, 1, 0},    {2, 5, 1, 64, 1, 2, 1, 2, 0, 0, 1},
};

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

static PoolResult run_pool(Arena *a, const NasKernels *kernels, const PoolCase *c, bool average, int flags)
{
    int L = kernels->lanes;
    Map m = map_one(a, L, c->channels);
    KPool k = {.blocks = m.blocks, .average = average};
    pool_geometry(c, &k);
    int64_t n = c->n, in_pixels = c->h * c->w, out_pixels = k.out_h * k.out_w, half = (n + 1) / 2;
    int64_t n0[2] = {0, half}, n1[2] = {half, n};
    PoolResult r = {.out_count = n * c->channels * out_pixels, .in_count = n * c->channels * in_pixels};
    k.x = pack(a, &m, source(a, r.in_count, 1), n, in_pixels, 0);
    k.gx = pack(a, &m, source(a, r.in_count, 2), n, in_pixels, 0);
    if (!(flags & NO_SUMS)) k.sums = guarded(a, 2 * 2 * m.blocks * L * (int64_t)sizeof(double));
    if (k.sums) k.sums[0] = 1;
    k.grad = grad_make(a, &m, source(a, r.out_count, 3), n, out_pixels, flags, true);
    int64_t bytes = kernels->pool_scratch(&k);
    void *scratch = guarded(a, bytes);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->pool_forward(&k, n0[s], n1[s], s, scratch);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->pool_backward(&k, n0[s], n1[s], s, scratch);
    r.gx = unpack(a, &m, k.gx, n, in_pixels, "gx");
    if (k.sums) r.sums = unpack_sums(a, &m, k.sums, 4, "sums");
    check_guards();
    return r;
}

static void test_pool(void)
{
    static const int combos[] = {0, SAMPLES, MASK, SAMPLES | MASK, NO_SUMS};
    for (int i = 0; i < COUNTOF(pool_cases); i++)
        for (int f = 0; f < 2 * COUNTOF(combos); f++) {
            const PoolCase *c = &pool_cases[i];
            Arena scratch = memory;
            bool average = f % 2;
            int flags = combos[f / 2];
            snprintf(label, sizeof label, "ref pool");
            PoolResult want = run_pool(&scratch, nas_kernels_ref(), c, average, flags);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d %s pool n%d c%d %dx%d k%dx%d s%d,%d extra %d flags %d",
                         sets[s]->name, sets[s]->lanes, average ? "average" : "maximum", c->n, c->channels, c->h, c->w,
                         c->kh, c->kw, c->sh, c->sw, c->extra, flags);
                PoolResult got = run_pool(&each, sets[s], c, average, flags);
                compare("gx", want.in_count, got.gx, want.gx);
                compare("sums", 4 * c->channels, got.sums, want.sums);
            }
        }
}

/* ---- mix ---- */

/* A term's kind, one letter: r raw with scale and shift; i identity with gx; R the ReLU of a raw value; P the same
 * without normalisation; m maximum and a average pooled; then s for sample_scale. */
static const char *const mix_cases[] = {
    "r", "i", "rr", "R", "a", "m", "riam", "rrrrrr", "aaaaam", "rsRs", "isrsmsasR", "RrPiRsPsrrrr", "isPr"};
static const struct {
    int n, channels, h, w;
} mix_shapes[] = {{2, 3, 7, 7},   {3, 17, 7, 7},  {2, 5, 19, 35}, {2, 40, 8, 8},
                  {2, 16, 1, 64}, {1, 8, 30, 80}, {2, 1, 1, 1}};

enum { MIX_MAX_TERMS = 16 };
typedef struct {
    float *out, *sums, *gx[MIX_MAX_TERMS];
    int terms;
    int64_t count;
} MixResult;

static MixResult run_mix(Arena *a, const NasKernels *kernels, const char *kinds, int n, int channels, int h, int w)
{
    int L = kernels->lanes;
    Map m = map_one(a, L, channels);
    int64_t pixels = h * w, half = (n + 1) / 2, width = m.blocks * L;
    int64_t n0[2] = {0, half}, n1[2] = {half, n};
    MixResult r = {.count = n * channels * pixels};
    KTerm *term = NEW(a, KTerm, MIX_MAX_TERMS);
    for (const char *p = kinds; *p; p++) {
        KTerm *t = &term[r.terms];
        int seed = 100 * ++r.terms;
        float *x = pack(a, &m, source(a, r.count, seed), n, pixels, 0);
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
            for (int c = 1; c < channels; c++) scale[c] = scale[0];
        t->scale = pack_channels(a, &m, scale);
        if (*p == 'R') {
            t->relu_scale = pack_channels(a, &m, source(a, channels, seed + 3));
            t->relu_shift = pack_channels(a, &m, source(a, channels, seed + 4));
        }
        t->relu = *p == 'R' || *p == 'P';
        if (*p == 'i' || *p == 'P') t->gx = pack(a, &m, source(a, r.count, seed + 5), n, pixels, 0);
        if (!t->relu && *p != 'i') t->shift = pack_channels(a, &m, source(a, channels, seed + 2));
        if (p[1] == 's') {
            float *s = guarded(a, n * (int64_t)sizeof *s);
            for (int i = 0; i < n; i++) s[i] = (i + r.terms) % 2 ? 0 : 1.25f;
            t->sample_scale = s;
            p++;
        }
    }
    KMix k = {.terms = r.terms, .term = term, .blocks = m.blocks, .height = h, .width = w};
    k.out = guarded(a, n * width * pixels * (int64_t)sizeof(float));
    k.g = pack(a, &m, source(a, r.count, 7), n, pixels, 0);
    k.sums = guarded(a, 2 * (1 + 2 * r.terms) * width * (int64_t)sizeof(double));
    k.sums[0] = 1;
    int64_t bytes = kernels->mix_scratch(&k);
    void *scratch = guarded(a, bytes);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->mix_forward(&k, n0[s], n1[s], scratch);
    memset(scratch, 0xFF, (size_t)bytes);
    for (int s = 0; s < 2; s++)
        if (n0[s] < n1[s]) kernels->mix_backward(&k, n0[s], n1[s], s, scratch);
    r.out = unpack(a, &m, k.out, n, pixels, "out");
    r.sums = unpack_sums(a, &m, k.sums, 2 * (1 + 2 * r.terms), "sums");
    for (int i = 0; i < r.terms; i++)
        if (term[i].gx) r.gx[i] = unpack(a, &m, term[i].gx, n, pixels, "gx");
    check_guards();
    return r;
}

static void test_mix(void)
{
    for (int i = 0; i < COUNTOF(mix_cases); i++)
        for (int j = 0; j < COUNTOF(mix_shapes); j++) {
            int n = mix_shapes[j].n, c = mix_shapes[j].channels, h = mix_shapes[j].h, w = mix_shapes[j].w;
            Arena scratch = memory;
            snprintf(label, sizeof label, "ref mix");
            MixResult want = run_mix(&scratch, nas_kernels_ref(), mix_cases[i], n, c, h, w);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d mix %s n%d c%d %dx%d", sets[s]->name, sets[s]->lanes, mix_cases[i],
                         n, c, h, w);
                MixResult got = run_mix(&each, sets[s], mix_cases[i], n, c, h, w);
                compare("out", want.count, got.out, want.out);
                compare("sums", 2 * (1 + 2 * want.terms) * c, got.sums, want.sums);
                for (int t = 0; t < want.terms; t++) compare("gx", want.count, got.gx[t], want.gx[t]);
            }
        }
}

/* ---- head ---- */

typedef struct {
    float *pooled, *logits, *g_weight, *gx[2];
} HeadResult;

static HeadResult run_head(Arena *a, const NasKernels *kernels, int n, const int *channels, int h, int w, int outputs,
                           bool no_weights, bool no_gx)
{
    Map m[2];
    KHead k = {.parts = 2, .height = h, .width = w, .outputs = outputs, .channels = channels[0] + channels[1]};
    int64_t pixels = h * w, size = (int64_t)outputs * k.channels + outputs, half = (n + 1) / 2;
    for (int p = 0; p < 2; p++) {
        m[p] = map_one(a, kernels->lanes, channels[p]);
        k.part_blocks[p] = m[p].blocks;
        k.part_channels[p] = channels[p];
        k.x[p] = pack(a, &m[p], source(a, n * channels[p] * pixels, 1 + p), n, pixels, 0);
        if (!no_gx) k.gx[p] = pack(a, &m[p], source(a, n * channels[p] * pixels, 3 + p), n, pixels, 0);
    }
    k.weight = source(a, outputs * k.channels, 5);
    k.bias = source(a, outputs, 6);
    k.g_logits = source(a, n * outputs, 7);
    k.pooled = guarded(a, n * k.channels * (int64_t)sizeof(float));
    k.logits = guarded(a, n * outputs * (int64_t)sizeof(float));
    if (!no_weights) k.g_weight = guarded(a, 2 * size * (int64_t)sizeof(float));
    if (k.g_weight) k.g_weight[0] = k.g_weight[size - 1] = 1;
    kernels->head_forward(&k, 0, half);
    if (half < n) kernels->head_forward(&k, half, n);
    kernels->head_backward(&k, 0, half, 0);
    if (half < n) kernels->head_backward(&k, half, n, 1);
    HeadResult r = {.pooled = k.pooled, .logits = k.logits};
    if (k.g_weight) r.g_weight = add_slots(a, k.g_weight, k.g_weight + size, size);
    for (int p = 0; p < 2 && !no_gx; p++) r.gx[p] = unpack(a, &m[p], k.gx[p], n, pixels, "gx");
    check_guards();
    return r;
}

static void test_head(void)
{
    static const int shapes[][6] = {
        {3, 5, 17, 7, 7, 10}, {1, 1, 3, 1, 1, 1}, {4, 40, 16, 8, 8, 3}, {2, 8, 9, 1, 64, 37}};
    for (int i = 0; i < COUNTOF(shapes); i++)
        for (int f = 0; f < 4; f++) {
            const int *c = shapes[i];
            int64_t all = c[1] + c[2], pixels = c[3] * c[4];
            Arena scratch = memory;
            HeadResult want = run_head(&scratch, nas_kernels_ref(), c[0], c + 1, c[3], c[4], c[5], f & 1, f & 2);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d head %d flags %d", sets[s]->name, sets[s]->lanes, i, f);
                HeadResult got = run_head(&each, sets[s], c[0], c + 1, c[3], c[4], c[5], f & 1, f & 2);
                compare("pooled", c[0] * all, got.pooled, want.pooled);
                compare("logits", c[0] * c[5], got.logits, want.logits);
                compare("g_weight", c[5] * all + c[5], got.g_weight, want.g_weight);
                for (int p = 0; p < 2; p++) compare("gx", c[0] * c[1 + p] * pixels, got.gx[p], want.gx[p]);
            }
        }
}

/* ---- select ---- */

typedef struct {
    float *y, *gx[2];
} SelectResult;

static SelectResult run_select(Arena *a, const NasKernels *kernels, int n, const int *in, const int32_t *from,
                               int count, int h, int w, bool no_first)
{
    int lanes = kernels->lanes;
    Map m[2], out = map_one(a, lanes, count);
    KSelect k = {.parts = 2, .channels = count, .blocks = out.blocks, .height = h, .width = w};
    int32_t *part = NEW(a, int32_t, count), *place = NEW(a, int32_t, count);
    int64_t pixels = h * w, half = (n + 1) / 2;
    for (int p = 0; p < 2; p++) {
        m[p] = map_one(a, lanes, in[p]);
        k.part_blocks[p] = m[p].blocks;
        k.x[p] = pack(a, &m[p], source(a, n * in[p] * pixels, 1 + p), n, pixels, 0);
        if (p || !no_first) k.gx[p] = pack(a, &m[p], source(a, n * in[p] * pixels, 3 + p), n, pixels, 0);
    }
    for (int c = 0; c < count; c++) {
        part[c] = from[c] >= in[0];
        place[c] = from[c] - part[c] * in[0];
    }
    k.part = part, k.place = place;
    k.y = pack(a, &out, source(a, n * count * pixels, 5), n, pixels, 7);
    k.g = pack(a, &out, source(a, n * count * pixels, 6), n, pixels, 0);
    kernels->select_forward(&k, 0, half);
    if (half < n) kernels->select_forward(&k, half, n);
    kernels->select_backward(&k, 0, half);
    if (half < n) kernels->select_backward(&k, half, n);
    SelectResult r = {.y = unpack(a, &out, k.y, n, pixels, "y")};
    for (int p = 0; p < 2; p++)
        if (k.gx[p]) r.gx[p] = unpack(a, &m[p], k.gx[p], n, pixels, "gx");
    check_guards();
    return r;
}

/* `ref` by its definition, the others by `ref`: shuffles, whole blocks, channels that come twice or never. */
static void test_select(void)
{
    static const int shapes[][6] = {/* n, channels of both parts, h, w, channels taken */
                                    {3, 5, 17, 7, 3, 22},
                                    {1, 1, 3, 1, 1, 2},
                                    {2, 16, 32, 4, 4, 48},
                                    {2, 4, 12, 5, 5, 16},
                                    {2, 20, 4, 1, 9, 31}};
    for (int i = 0; i < COUNTOF(shapes); i++)
        for (int kind = 0; kind < 3; kind++) {
            const int *c = shapes[i];
            int all = c[1] + c[2], pixels = c[3] * c[4];
            int32_t from[64];
            for (int k = 0; k < c[5]; k++)
                from[k] = kind == 0 ? k % all : kind == 1 ? (k % 4 * (all / 4) + k / 4) % all : (7 * k + 3) % all;
            Arena scratch = memory;
            SelectResult want = run_select(&scratch, nas_kernels_ref(), c[0], c + 1, from, c[5], c[3], c[4], kind == 2);
            float *x[2] = {source(&scratch, c[0] * c[1] * pixels, 1), source(&scratch, c[0] * c[2] * pixels, 2)};
            float *gx[2] = {source(&scratch, c[0] * c[1] * pixels, 3), source(&scratch, c[0] * c[2] * pixels, 4)};
            float *g = source(&scratch, c[0] * c[5] * pixels, 6), *y = NEW(&scratch, float, c[0] * c[5] * pixels);
            for (int j = 0; j < c[0] * c[5] * pixels; j++) {
                int n = j / (c[5] * pixels), channel = from[j / pixels % c[5]], p = channel >= c[1];
                int at = (n * c[1 + p] + channel - p * c[1]) * pixels + j % pixels;
                y[j] = x[p][at];
                gx[p][at] += g[j];
            }
            snprintf(label, sizeof label, "ref select %d kind %d", i, kind);
            compare("y", c[0] * c[5] * pixels, want.y, y);
            for (int p = kind == 2; p < 2; p++) compare("gx", c[0] * c[1 + p] * pixels, want.gx[p], gx[p]);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d select %d kind %d", sets[s]->name, sets[s]->lanes, i, kind);
                SelectResult got = run_select(&each, sets[s], c[0], c + 1, from, c[5], c[3], c[4], kind == 2);
                compare("y", c[0] * c[5] * pixels, got.y, want.y);
                for (int p = 0; p < 2; p++) compare("gx", c[0] * c[1 + p] * pixels, got.gx[p], want.gx[p]);
            }
        }
}

/* ---- flat blocks ---- */

static float *guarded_source(Arena *a, int64_t n, int seed)
{
    return memcpy(guarded(a, n * (int64_t)sizeof(float)), source(a, n, seed), (size_t)n * sizeof(float));
}

/* The formulas, once more and in another form than in ref. */
static void test_flat(void)
{
    enum { N = 1003 };
    for (int s = -1; s < set_count; s++)
        for (int f = 0; f < 2; f++) {
            const NasKernels *k = s < 0 ? nas_kernels_ref() : sets[s];
            Arena scratch = memory;
            snprintf(label, sizeof label, "%s/%d flat %d", k->name, k->lanes, f);
            float *g = guarded_source(&scratch, N, 1), *w = guarded_source(&scratch, N, 2);
            float *m = guarded_source(&scratch, N, 3), *v = guarded_source(&scratch, N, 4);
            float *want = NEW(&scratch, float, N), *want_m = NEW(&scratch, float, N), *want_v = NEW(&scratch, float, N);
            KSgd sgd = {.lr = 0.1f, .momentum = 0.75f, .decay = 0.5f, .scale = 0.25f, .nesterov = f};
            for (int i = 0; i < N; i++) {
                double grad = 0.25 * g[i] + 0.5 * w[i], velocity = 0.75 * m[i] + grad;
                want_m[i] = (float)velocity;
                want[i] = (float)(w[i] - 0.1 * (f ? grad + 0.75 * velocity : velocity));
            }
            k->sgd(&sgd, N, w, g, m);
            compare("sgd", N, w, want);
            compare("velocity", N, m, want_m);

            KAdam adam = {.lr = 0.1f,
                          .beta1 = 0.5f,
                          .beta2 = 0.75f,
                          .eps = 0.01f,
                          .decay = 0.5f,
                          .scale = 0.25f,
                          .decoupled = f,
                          .lr_plain = 0.25f};
            for (int i = 0; i < N; i++) {
                v[i] = fabsf(v[i]);
                double grad = 0.25 * g[i] + (f ? 0 : 0.5 * w[i]), first = (m[i] + grad) / 2;
                double second = v[i] - 0.25 * (v[i] - grad * grad), old = f ? w[i] * 0.875 : w[i];
                want_m[i] = (float)first;
                want_v[i] = (float)second;
                want[i] = (float)(old - 0.1 * first / (sqrt(second) + 0.01));
            }
            k->adam(&adam, N, w, g, m, v);
            compare("adam", N, w, want);
            compare("first moment", N, m, want_m);
            compare("second moment", N, v, want_v);

            double dot = 0;
            for (int i = 0; i < N; i++) {
                want[i] = (float)(w[i] - 0.375 * g[i]);
                want_m[i] = m[i] * 0.625f;
                dot += (double)g[i] * v[i];
            }
            k->axpy(N, w, -0.375, g);
            k->scale(N, m, 0.625);
            compare("axpy", N, w, want);
            compare("scale", N, m, want_m);
            CHECK_NEAR(k->dot(N, g, v), dot, 1e-9 * N);
            k->sgd(&sgd, 0, 0, 0, 0); /* nothing to do */
            CHECK(k->dot(0, 0, 0) == 0);
            check_guards();
        }
}

/* ---- a diverged network shows ---- */

static void test_nan(void)
{
    for (int s = -1; s < set_count; s++) {
        const NasKernels *k = s < 0 ? nas_kernels_ref() : sets[s];
        Arena scratch = memory;
        int L = k->lanes;
        Map m = map_one(&scratch, L, 1);
        float x[2] = {NAN, -1}, one = 1;
        KConv conv = {.parts = 1,
                      .part_blocks = {1},
                      .in_blocks = 1,
                      .in_h = 1,
                      .in_w = 2,
                      .relu = 1,
                      .depthwise = 1,
                      .taps = 1,
                      .stride_h = 1,
                      .stride_w = 1,
                      .out_blocks = 1,
                      .out_h = 1,
                      .out_w = 2};
        conv.block_lanes = (const int32_t[]){1};
        conv.x[0] = pack(&scratch, &m, x, 1, 2, 0);
        conv.dw = pack_channels(&scratch, &m, &one);
        pack_weights(&scratch, &conv, &m, &m, &one, 1);
        conv.y = guarded(&scratch, 2 * L * (int64_t)sizeof(float));
        k->conv_forward(&conv, 0, 1, 0, guarded(&scratch, k->conv_scratch(&conv)));
        CHECK_MSG(isnan(conv.y[0]) && conv.y[L] == 0, "%s/%d: conv: NaN and -1 under a ReLU give %g and %g", k->name, L,
                  (double)conv.y[0], (double)conv.y[L]);
        KTerm term = {.y = conv.x[0], .scale = conv.dw, .relu = 1};
        KMix mix = {.terms = 1, .term = &term, .blocks = 1, .height = 1, .width = 2, .out = conv.y};
        memset(conv.y, 0, (size_t)(2 * L) * sizeof(float));
        k->mix_forward(&mix, 0, 1, guarded(&scratch, k->mix_scratch(&mix)));
        CHECK_MSG(isnan(conv.y[0]) && conv.y[L] == 0, "%s/%d: mix: NaN and -1 under a ReLU give %g and %g", k->name, L,
                  (double)conv.y[0], (double)conv.y[L]);
        check_guards();
    }
}

/* ---- ref: small cases by hand ---- */

static void test_ref_by_hand(void)
{
    const NasKernels *ref = nas_kernels_ref();
    double scratch[256];
    { /* 1x2 cross-correlation of (1 -2 3) with (10 1), tap 1 right: ReLU first */
        float x[] = {1, -2, 3}, w[] = {10, 1}, y[3], g[] = {1, 2, 4}, gx[] = {100, 100, 100}, gw[] = {0, 0};
        float one[] = {1}, zero[] = {0}, half[] = {0.5f}, mask_shift[] = {-4};
        double sums[] = {0, 0};
        KConv k = {.parts = 1,
                   .x = {x},
                   .gx = {gx},
                   .part_blocks = {1},
                   .in_blocks = 1,
                   .in_h = 1,
                   .in_w = 3,
                   .relu = 1,
                   .taps = 2,
                   .stride_h = 1,
                   .stride_w = 1,
                   .tap_x = {0, 1},
                   .out_blocks = 1,
                   .out_h = 1,
                   .out_w = 3,
                   .y = y,
                   .sums = sums,
                   .pw = w,
                   .g_pw = gw,
                   .grad = {.g = g, .a = one, .b = zero, .d = zero}};
        CHECK(ref->conv_scratch(&k) <= (int64_t)sizeof scratch);
        ref->conv_forward(&k, 0, 1, 0, scratch);
        CHECK(y[0] == 10 && y[1] == 3 && y[2] == 30);
        CHECK(sums[0] == 43 && sums[1] == 100 + 9 + 900);
        ref->conv_backward(&k, 0, 1, 0, scratch);
        CHECK(gx[0] == 110 && gx[1] == 100 && gx[2] == 142);
        CHECK(gw[0] == 1 * 1 + 4 * 3 && gw[1] == 2 * 3);
        /* masked where y <= 4, sample scale 1/2, plus y/2 - 4: dy = (1/2 + 5 - 4, 1.5 - 4, 2 + 15 - 4) */
        k.grad = (KGrad){.g = g,
                         .a = one,
                         .b = half,
                         .d = mask_shift,
                         .sample_scale = half,
                         .mask_scale = one,
                         .mask_shift = mask_shift};
        gx[0] = gx[1] = gx[2] = 0;
        ref->conv_backward(&k, 0, 1, 0, scratch);
        CHECK(gx[0] == 15 && gx[1] == 0 && gx[2] == 127.5f);
        /* the input normalised by x*2 - 2: (0 -6 4), of which only the last passes the ReLU; gx is written */
        float two[] = {2}, minus[] = {-2};
        double in_sums[] = {0, 0};
        k.in_scale = two;
        k.in_shift = minus;
        k.in_sums = in_sums;
        k.grad = (KGrad){.g = g, .a = one, .b = zero, .d = zero};
        ref->conv_forward(&k, 0, 1, 0, scratch);
        CHECK(y[0] == 0 && y[1] == 4 && y[2] == 40);
        ref->conv_backward(&k, 0, 1, 0, scratch);
        CHECK(gx[0] == 0 && gx[1] == 0 && gx[2] == 42);
        CHECK(in_sums[0] == 42 && in_sums[1] == 3 * 42);
    }
    { /* pools of (5 5 / 1 7), kernel 2, stride 1, one extra row and column of zeros */
        float x[] = {5, 5, 1, 7}, gx[4] = {0}, g[] = {1, 10, 100, 1000}, one[] = {1}, zero[] = {0};
        double sums[2] = {0};
        KPool k = {.x = x,
                   .gx = gx,
                   .blocks = 1,
                   .in_h = 2,
                   .in_w = 2,
                   .out_h = 2,
                   .out_w = 2,
                   .kernel_h = 2,
                   .kernel_w = 2,
                   .stride_h = 1,
                   .stride_w = 1,
                   .extra_h = 1,
                   .extra_w = 1,
                   .sums = sums,
                   .grad = {.g = g, .a = one, .b = zero, .d = zero}};
        ref->pool_forward(&k, 0, 1, 0, 0);
        CHECK(sums[0] == 28 && sums[1] == 4 * 49);
        ref->pool_backward(&k, 0, 1, 0, 0);
        CHECK(gx[0] == 0 && gx[1] == 0 && gx[2] == 0 && gx[3] == 1111);
        x[3] =
            -7; /* windows (5 5 / 1 -7), (5 0 / -7 0), (1 -7 / 0 0), (-7 0 / 0 0): the last one's maximum is a zero */
        memset(gx, 0, sizeof gx);
        ref->pool_forward(&k, 0, 1, 0, 0);
        ref->pool_backward(&k, 0, 1, 0, 0);
        CHECK(gx[0] == 1 && gx[1] == 10 && gx[2] == 100 && gx[3] == 0);
        /* average: extra cells count, */
        k.average = 1;
        memset(sums, 0, sizeof sums);
        memset(gx, 0, sizeof gx);
        ref->pool_forward(&k, 0, 1, 0, 0);
        CHECK(sums[0] == 1 + -0.5 + -1.5 + -1.75);
        ref->pool_backward(&k, 0, 1, 0, 0);
        CHECK(gx[0] == 0.25f && gx[1] == 2.75f && gx[2] == 25.25f && gx[3] == 277.75f);
        /* padding does not. 3x3 over a single 6: each window holds it alone. */
        float six[] = {6}, gsix[] = {0}, g1[] = {8};
        KPool p = {.x = six,
                   .gx = gsix,
                   .blocks = 1,
                   .in_h = 1,
                   .in_w = 1,
                   .out_h = 1,
                   .out_w = 1,
                   .average = 1,
                   .kernel_h = 3,
                   .kernel_w = 3,
                   .stride_h = 1,
                   .stride_w = 1,
                   .pad_h = 1,
                   .pad_w = 1,
                   .sums = sums,
                   .grad = {.g = g1, .a = one, .b = zero, .d = zero}};
        sums[0] = 0;
        ref->pool_forward(&p, 0, 1, 0, 0);
        ref->pool_backward(&p, 0, 1, 0, 0);
        CHECK(sums[0] == 6 && gsix[0] == 8);
    }
    { /* mix: 3*y + 1, and on half the strength 2*ReLU(4*y - 8) */
        float y0[] = {1, 2}, y1[] = {1, 5}, s0[] = {3}, h0[] = {1}, s1[] = {2}, rs[] = {4}, rt[] = {-8},
              half[] = {0.5f};
        float out[2], g[] = {10, 1}, gx[] = {0, 0};
        double sums[5] = {0};
        KTerm t[] = {{.y = y0, .scale = s0, .shift = h0, .gx = gx},
                     {.y = y1, .scale = s1, .relu = 1, .relu_scale = rs, .relu_shift = rt, .sample_scale = half}};
        KMix k = {.terms = 2, .term = t, .blocks = 1, .height = 1, .width = 2, .out = out, .g = g, .sums = sums};
        ref->mix_forward(&k, 0, 1, 0);
        CHECK(out[0] == 4 && out[1] == 7 + 12);
        ref->mix_backward(&k, 0, 1, 0, 0);
        CHECK(sums[0] == 11 && sums[1] == 11 && sums[2] == 12 && sums[3] == 0.5 && sums[4] == 2.5);
        CHECK(gx[0] == 30 && gx[1] == 3);
    }
}

/* ---- ref: finite differences ---- */

/* Of f(x) = sum a*s*g*y + b*y*y/2 + d*y, whose gradient by y is what KGrad describes. */
static double conv_objective(const KConv *k, int64_t n, void *scratch)
{
    nas_kernels_ref()->conv_forward(k, 0, n, 0, scratch);
    double f = 0;
    int64_t pixels = k->out_h * k->out_w;
    for (int64_t i = 0; i < n * k->out_blocks * pixels; i++) {
        int64_t c = i / pixels % k->out_blocks;
        double y = k->y[i], s = k->grad.sample_scale ? k->grad.sample_scale[i / pixels / k->out_blocks] : 1;
        f += k->grad.a[c] * s * k->grad.g[i] * y + k->grad.b[c] * y * y / 2 + k->grad.d[c] * y;
    }
    return f;
}

/* Moves x along a random direction of -1 and 1, both ways, and compares with the gradient g. Inputs lie at odd multiples
 * of 1/32, so a step of 1/64 crosses no ReLU. scale: dv/dx per channel, or 0. */
static void check_direction(const KConv *k, int64_t n, void *scratch, float *x, const float *g, int64_t count,
                            const float *scale, int64_t pixels, int seed, const char *what)
{
    double step = 1.0 / 64, expected = 0, size = 0;
    float *old = malloc((size_t)count * sizeof *old);
    signed char *direction = malloc((size_t)count);
    memcpy(old, x, (size_t)count * sizeof *old);
    for (int64_t i = 0; i < count; i++) {
        direction[i] = rng_u64((uint64_t)seed, RNG_TEST, (uint64_t)i) & 1 ? 1 : -1;
        double d = g[i] * (scale ? (double)scale[i / pixels % k->in_blocks] : 1);
        expected += direction[i] * d;
        size += d * d;
    }
    for (int64_t i = 0; i < count; i++) x[i] = (float)(old[i] + step * direction[i]);
    double up = conv_objective(k, n, scratch);
    for (int64_t i = 0; i < count; i++) x[i] = (float)(old[i] - step * direction[i]);
    double down = conv_objective(k, n, scratch), found = (up - down) / (2 * step);
    memcpy(x, old, (size_t)count * sizeof *old);
    CHECK_MSG(fabs(found - expected) <= 1e-3 * (sqrt(size) + fabs(expected)), "%s: %s: slope %.9g, gradient says %.9g",
              label, what, found, expected);
    free(old);
    free(direction);
}

static void test_ref_conv_gradients(void)
{
    for (int i = 0; i < COUNTOF(conv_cases); i++) {
        const ConvCase *c = &conv_cases[i];
        if (c->parts > 1 || c->n * c->in[0] * c->h * c->w > 4000) continue;
        for (int flags = 0; flags < 8; flags++) {
            Arena a = memory;
            Map in = map_one(&a, 1, c->in[0]), out = map_one(&a, 1, c->out);
            KConv k = {.parts = 1, .relu = flags & RELU, .depthwise = c->depthwise};
            conv_geometry(c, &k);
            int64_t pixels = c->h * c->w, size = c->n * c->in[0] * pixels, ys = c->n * c->out * k.out_h * k.out_w;
            int64_t pw = (int64_t)c->out * c->in[0] * (c->depthwise ? 1 : k.taps), dw = c->in[0] * k.taps;
            k.part_blocks[0] = k.in_blocks = c->in[0];
            k.out_blocks = c->out;
            float *x = source(&a, size, 1), *w = source(&a, pw, 2), *d = source(&a, dw, 3),
                  *shift = source(&a, c->in[0], 5);
            for (int64_t j = 0; j < size; j++) x[j] += 1.0f / 32;
            float *scale = NEW(&a, float, c->in[0]);
            for (int j = 0; j < c->in[0]; j++) scale[j] = j % 2 ? 0.5f : -1;
            k.x[0] = x;
            k.gx[0] = NEW(&a, float, size);
            k.pw = w;
            k.dw = d;
            k.y = NEW(&a, float, ys);
            k.g_pw = NEW(&a, float, pw);
            k.g_dw = c->depthwise ? NEW(&a, float, dw) : 0;
            if (flags & IN_SCALE) {
                k.in_scale = scale;
                k.in_shift = shift;
                k.in_sums = NEW(&a, double, 2 * in.channels);
            }
            k.grad = grad_make(&a, &out, source(&a, ys, 4), c->n, k.out_h * k.out_w, flags & SAMPLES, false);
            void *scratch = arena_alloc(&a, 1, 64, nas_kernels_ref()->conv_scratch(&k));
            conv_objective(&k, c->n, scratch);
            nas_kernels_ref()->conv_backward(&k, 0, c->n, 0, scratch);
            snprintf(label, sizeof label, "conv case %d flags %d", i, flags);
            for (int s = 0; s < 2; s++) {
                check_direction(&k, c->n, scratch, x, k.gx[0], size, k.in_scale, pixels, 30 + s, "gx");
                check_direction(&k, c->n, scratch, w, k.g_pw, pw, 0, 1, 40 + s, "g_pw");
                if (k.g_dw) check_direction(&k, c->n, scratch, d, k.g_dw, dw, 0, 1, 50 + s, "g_dw");
            }
            guard_count = 0;
        }
    }
}

/* Pools and mixes are linear between ties, so one step along each single input must give its gradient. */
static void test_ref_pool_gradients(void)
{
    const NasKernels *ref = nas_kernels_ref();
    for (int i = 0; i < COUNTOF(pool_cases); i++)
        for (int average = 0; average < 2; average++) {
            const PoolCase *c = &pool_cases[i];
            Arena a = memory;
            KPool k = {.blocks = c->channels, .average = average};
            pool_geometry(c, &k);
            int64_t size = c->n * c->channels * c->h * c->w, count = c->n * c->channels * k.out_h * k.out_w;
            float *x = NEW(&a, float, size), *out = NEW(&a, float, count), *g = source(&a, count, 4);
            for (int64_t j = 0; j < size; j++) x[j] = (float)rng_normal(3, RNG_TEST, (uint64_t)j);
            float *zero = NEW(&a, float, c->channels), *scale = source(&a, c->channels, 5);
            k.x = x;
            k.gx = NEW(&a, float, size);
            k.grad = (KGrad){.g = g, .a = scale, .b = zero, .d = zero};
            ref->pool_backward(&k, 0, c->n, 0, 0);
            KTerm t = {.pool = &k, .scale = scale};
            KMix m = {.terms = 1, .term = &t, .blocks = c->channels, .height = k.out_h, .width = k.out_w, .out = out};
            for (int j = 0; j < 20; j++) {
                int64_t at = rng_below(4, RNG_TEST, (uint64_t)(100 * i + j), size);
                float old = x[at], step = 1e-4f;
                double f[2];
                for (int s = 0; s < 2; s++) {
                    x[at] = s ? old - step : old + step;
                    ref->mix_forward(&m, 0, c->n, 0);
                    f[s] = ref->dot(count, g, out);
                }
                double slope = (f[0] - f[1]) / ((double)(old + step) - (double)(old - step));
                x[at] = old;
                CHECK_MSG(fabs(slope - k.gx[at]) < 0.02, "pool case %d, average %d: slope %g, gradient says %g", i,
                          average, slope, (double)k.gx[at]);
            }
        }
}

static void test_ref_head_gradients(void)
{
    const NasKernels *ref = nas_kernels_ref();
    enum { N = 3, C = 5, P = 4, O = 3 };
    Arena a = memory;
    float *x = source(&a, N * C * P, 1), *w = source(&a, O * C, 2), *bias = source(&a, O, 3), *g = source(&a, N * O, 4);
    KHead k = {.parts = 1,
               .x = {x},
               .gx = {NEW(&a, float, N *C *P)},
               .part_blocks = {C},
               .part_channels = {C},
               .channels = C,
               .height = 2,
               .width = 2,
               .outputs = O,
               .weight = w,
               .bias = bias,
               .pooled = NEW(&a, float, N *C),
               .logits = NEW(&a, float, N *O),
               .g_logits = g,
               .g_weight = NEW(&a, float, O *C + O)};
    ref->head_forward(&k, 0, N);
    ref->head_backward(&k, 0, N, 0);
    struct {
        float *value, *gradient;
        int count;
    } each[] = {{x, k.gx[0], N * C * P}, {w, k.g_weight, O * C}, {bias, k.g_weight + O * C, O}};
    for (int i = 0; i < COUNTOF(each); i++)
        for (int j = 0; j < each[i].count; j++) {
            double f[2];
            float old = each[i].value[j];
            for (int s = 0; s < 2; s++) {
                each[i].value[j] = old + (s ? -0.25f : 0.25f);
                ref->head_forward(&k, 0, N);
                f[s] = ref->dot(N * O, g, k.logits);
            }
            each[i].value[j] = old;
            CHECK_NEAR(2 * (f[0] - f[1]), each[i].gradient[j], 1e-4);
        }
}

int main(void)
{
    memory = arena_reserve((ptrdiff_t)1 << 30);
    find_sets();
    for (int i = 0; i < set_count; i++) printf("%s, %d lanes: %s\n", sets[i]->name, sets[i]->lanes, sets[i]->about);
    CHECK_MSG(set_count > 0, "no cpu kernel set runs on this machine");
    CHECK_RUN(test_ref_by_hand);
    CHECK_RUN(test_ref_conv_gradients);
    CHECK_RUN(test_ref_pool_gradients);
    CHECK_RUN(test_ref_head_gradients);
    CHECK_RUN(test_nan);
    CHECK_RUN(test_flat);
    CHECK_RUN(test_head);
    CHECK_RUN(test_select);
    CHECK_RUN(test_mix);
    CHECK_RUN(test_pool);
    CHECK_RUN(test_conv);
    return check_done("kernels");
}
