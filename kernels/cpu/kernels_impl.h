/* kernels_impl: the cpu kernels of one lane count and instruction set. Included by lanes8_isa.c and lanes16_isa.c.
 *
 * The plan of a convolution, per image: each input block is copied once into a plane with its padding, normalised and
 * rectified on the way (so no inner loop knows a border); then, a few output rows at a time so that all stays in L1:
 * depthwise taps -> u, pointwise as a small matrix product -> y, whose sums for the batch statistics are taken from the
 * accumulators. The backward pass forms dy on load, walks the same rows for the weight gradients (u is recomputed: it is
 * cheaper than storing it), and gathers dx from a padded plane of gradients, one stride phase at a time.
 */
#include "kernels/cpu/vec.h"
#include "kernels/kernels.h"

enum {
#if LANES == 16
    TILE = 16, /* pixels a matrix tile holds in registers: 16 of 32 zmm */
    PAIR = 12, /* the same with two output blocks at once: 24 of 32 */
#elif defined(__AVX512VL__)
    TILE = 16,
    PAIR = 12,
#elif defined(__AVX__)
    TILE = 8, /* 8 of 16 ymm, and one for the broadcast */
    PAIR = 6,
#else
    TILE = 4, /* 8 lanes are two xmm */
    PAIR = 2,
#endif
    ROWS_PIXELS = 64, /* pixels of u or dy that are made at a time: 64 * 64 bytes = 4 KiB a block */
};

static int32_t at_least(int32_t a, int32_t b)
{
    return a > b ? a : b;
}
static int32_t at_most(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* ---- small building blocks ---- */

/* What becomes of a computed pixel g: stored; added to the gradient of a plain input, behind its ReLU or not; or written
 * as the gradient of a normalised input, with the sums that the normalisation's backward pass needs. */
typedef enum { EMIT_STORE, EMIT_ADD, EMIT_ADD_RELU, EMIT_NORM, EMIT_NORM_RELU } EmitKind;

typedef struct {
    const float *x;  /* the input that the gradient belongs to, in step with it */
    vf scale, shift; /* its normalisation */
    vf sum, sum_x;   /* of g and g*x */
} Emit;

INLINE void emit(EmitKind kind, Emit *e, ptrdiff_t at, float *out, vf g)
{
    if (kind == EMIT_ADD) g += vload(out + at);
    if (kind == EMIT_ADD_RELU) g = vload(out + at) + vmask(vload(e->x + at) > vzero(), g);
    if (kind == EMIT_NORM || kind == EMIT_NORM_RELU) {
        vf x = vload(e->x + at);
        if (kind == EMIT_NORM_RELU) g = vmask(x * e->scale + e->shift > vzero(), g);
        e->sum += g;
        e->sum_x += g * x;
    }
    vstore(out + at, g);
}

/* Pixel p of out, at p*out_step, from sum_k in[p*step + off[k]] * w[k], for p < n; steps in floats. */
INLINE void taps_tile(EmitKind kind, Emit *e, int T, float *out, ptrdiff_t from, ptrdiff_t out_step, const float *in,
                      ptrdiff_t step, int taps, const ptrdiff_t *off, const float *w)
{
    vf acc[16];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) acc[t] = vzero();
    for (int k = 0; k < taps; k++) {
        vf wk = vload(w + k * LANES);
        const float *p = in + from * step + off[k];
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) acc[t] += wk * vload(p + t * step);
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) emit(kind, e, (from + t) * out_step, out, acc[t]);
}

INLINE void taps_run(EmitKind kind, Emit *e, float *out, ptrdiff_t out_step, const float *in, ptrdiff_t step, int32_t n,
                     int taps, const ptrdiff_t *off, const float *w)
{
    int32_t p = 0;
    if (step == LANES && out_step == LANES) { /* the common case with constant steps */
        for (; p + TILE <= n; p += TILE) taps_tile(kind, e, TILE, out, p, LANES, in, LANES, taps, off, w);
        for (; TILE > 8 && p + 8 <= n; p += 8) taps_tile(kind, e, 8, out, p, LANES, in, LANES, taps, off, w);
        for (; p + 4 <= n; p += 4) taps_tile(kind, e, 4, out, p, LANES, in, LANES, taps, off, w);
    }
    for (; p + 8 <= n; p += 8) taps_tile(kind, e, 8, out, p, out_step, in, step, taps, off, w);
    for (; p + 4 <= n; p += 4) taps_tile(kind, e, 4, out, p, out_step, in, step, taps, off, w);
    switch (n - p) {
    case 3: taps_tile(kind, e, 3, out, p, out_step, in, step, taps, off, w); break;
    case 2: taps_tile(kind, e, 2, out, p, out_step, in, step, taps, off, w); break;
    case 1: taps_tile(kind, e, 1, out, p, out_step, in, step, taps, off, w); break;
    default: break;
    }
}

NOINLINE void taps_row(float *out, ptrdiff_t out_step, const float *in, ptrdiff_t step, int32_t n, int taps,
                       const ptrdiff_t *off, const float *w)
{
    taps_run(EMIT_STORE, 0, out, out_step, in, step, n, taps, off, w);
}

/* The same into a gradient; `from` is e's state, which stays in registers meanwhile. */
NOINLINE void taps_row_gradient(EmitKind kind, Emit *from, float *out, ptrdiff_t out_step, const float *in, int32_t n,
                                int taps, const ptrdiff_t *off, const float *w)
{
    Emit e = *from;
    switch (kind) {
    case EMIT_ADD: taps_run(EMIT_ADD, &e, out, out_step, in, LANES, n, taps, off, w); break;
    case EMIT_ADD_RELU: taps_run(EMIT_ADD_RELU, &e, out, out_step, in, LANES, n, taps, off, w); break;
    case EMIT_NORM: taps_run(EMIT_NORM, &e, out, out_step, in, LANES, n, taps, off, w); break;
    default: taps_run(EMIT_NORM_RELU, &e, out, out_step, in, LANES, n, taps, off, w);
    }
    *from = e;
}

/* One block row of the matrix product: out[p] = sum_k sum_ci in[k][p*step + ci] * w[k][ci*LANES …]. */
INLINE void gemm_tile(int T, int pair, float *out, float *out2, ptrdiff_t out_step, const float *const *in,
                      ptrdiff_t at, ptrdiff_t step, int32_t K, const int32_t *lanes, const float *const *w,
                      const float *const *w2, vf *sums)
{
    vf acc[16], acc2[16];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) {
        acc[t] = vzero();
        if (pair) acc2[t] = vzero();
    }
    for (int32_t k = 0; k < K; k++) {
        const float *p = in[k] + at, *wk = w[k], *wk2 = pair ? w2[k] : 0;
        int n = lanes[k];
        for (int ci = 0; ci < n; ci++) {
            vf a = vload(wk + ci * LANES), a2 = pair ? vload(wk2 + ci * LANES) : a;
#pragma GCC unroll 16
            for (int t = 0; t < T; t++) {
                float s = p[t * step + ci];
                acc[t] += a * s;
                if (pair) acc2[t] += a2 * s;
            }
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) {
        vstore(out + t * out_step, acc[t]);
        if (pair) vstore(out2 + t * out_step, acc2[t]);
    }
    if (sums) {
        vf s = sums[0], q = sums[1], s2 = sums[2], q2 = sums[3];
#pragma GCC unroll 16
        for (int t = 0; t < T; t++) {
            s += acc[t];
            q += acc[t] * acc[t];
            if (pair) {
                s2 += acc2[t];
                q2 += acc2[t] * acc2[t];
            }
        }
        sums[0] = s, sums[1] = q, sums[2] = s2, sums[3] = q2;
    }
}

NOINLINE void gemm_row(float *out, ptrdiff_t out_step, const float *const *in, ptrdiff_t step, int32_t n, int32_t K,
                       const int32_t *lanes, const float *const *w, vf *sums)
{
    int32_t p = 0;
    if (step == LANES)
        for (; p + TILE <= n; p += TILE)
            gemm_tile(TILE, 0, out + p * out_step, 0, out_step, in, (ptrdiff_t)p * LANES, LANES, K, lanes, w, 0, sums);
    for (; p + 4 <= n; p += 4)
        gemm_tile(4, 0, out + p * out_step, 0, out_step, in, p * step, step, K, lanes, w, 0, sums);
    switch (n - p) {
    case 3: gemm_tile(3, 0, out + p * out_step, 0, out_step, in, p * step, step, K, lanes, w, 0, sums); break;
    case 2: gemm_tile(2, 0, out + p * out_step, 0, out_step, in, p * step, step, K, lanes, w, 0, sums); break;
    case 1: gemm_tile(1, 0, out + p * out_step, 0, out_step, in, p * step, step, K, lanes, w, 0, sums); break;
    default: break;
    }
}

/* The same for two output blocks at once: each broadcast feeds two accumulators. A tile of one or two pixels waits for its
 * own sums, so that 8 pixels are done as 4 + 4 rather than 6 + 2. */
NOINLINE void gemm_row2(float *out, float *out2, ptrdiff_t out_step, const float *const *in, ptrdiff_t step, int32_t n,
                        int32_t K, const int32_t *lanes, const float *const *w, const float *const *w2, vf *sums)
{
#define GEMM_PAIR(T)                                                                                                   \
    gemm_tile(T, 1, out + p * out_step, out2 + p * out_step, out_step, in, p * step, step, K, lanes, w, w2, sums)
    int32_t p = 0;
    if (step == LANES)
        for (; p + PAIR <= n && (PAIR != 6 || (n - p != 7 && n - p != 8)); p += PAIR)
            gemm_tile(PAIR, 1, out + p * out_step, out2 + p * out_step, out_step, in, (ptrdiff_t)p * LANES, LANES, K,
                      lanes, w, w2, sums);
    for (; p + 4 <= n; p += 4) GEMM_PAIR(4);
    switch (n - p) {
    case 3: GEMM_PAIR(3); break;
    case 2: GEMM_PAIR(2); break;
    case 1: GEMM_PAIR(1); break;
    default: break;
    }
#undef GEMM_PAIR
}

/* Row pointers of a matrix product; the weights of output block b start at w + b*K*LANES*LANES. */
typedef struct {
    const float **in, **w, **w2;
    int32_t *lanes;
} Gemm;

/* All output blocks for one run of n pixels: out block b at out + b*out_block. sums: (blocks, 2) vectors or 0. */
static void gemm_blocks(const Gemm *m, int32_t K, const float *weights, const int32_t *which, int32_t blocks,
                        ptrdiff_t weight_block, float *out, ptrdiff_t out_block, ptrdiff_t out_step, ptrdiff_t step,
                        int32_t n, vf *sums)
{
    for (int32_t b = 0; b < blocks; b += 2) {
        const float *wb = weights + b * weight_block;
        for (int32_t k = 0; k < K; k++) {
            m->w[k] = wb + (ptrdiff_t)(which ? which[k] : k) * LANES * LANES;
            m->w2[k] = m->w[k] + weight_block;
        }
        vf *s = sums ? sums + 2 * b : 0;
        if (b + 1 < blocks)
            gemm_row2(out + b * out_block, out + (b + 1) * out_block, out_step, m->in, step, n, K, m->lanes, m->w,
                      m->w2, s);
        else
            gemm_row(out + b * out_block, out_step, m->in, step, n, K, m->lanes, m->w, s);
    }
}

/* g[ci] += sum_p y[p] * x[p*step + ci] for ci < G, over a rectangle of rows: the gradient of one block of a matrix; with
 * `pair`, also g2 from y2, of another output block. */
INLINE void outer_tile(int G, int pair, float *g, float *g2, const float *y, const float *y2, ptrdiff_t y_row,
                       const float *x, ptrdiff_t x_row, ptrdiff_t step, int32_t rows, int32_t n)
{
    vf acc[16], acc2[16];
#pragma GCC unroll 16
    for (int i = 0; i < G; i++) {
        acc[i] = vload(g + i * LANES);
        if (pair) acc2[i] = vload(g2 + i * LANES);
    }
    for (int32_t r = 0; r < rows; r++) {
        const float *yr = y + r * y_row, *yr2 = pair ? y2 + r * y_row : 0, *xr = x + r * x_row;
        for (int32_t p = 0; p < n; p++) {
            vf v = vload(yr + (ptrdiff_t)p * LANES), v2 = pair ? vload(yr2 + (ptrdiff_t)p * LANES) : v;
            const float *s = xr + p * step;
#pragma GCC unroll 16
            for (int i = 0; i < G; i++) {
                float f = s[i];
                acc[i] += v * f;
                if (pair) acc2[i] += v2 * f;
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < G; i++) {
        vstore(g + i * LANES, acc[i]);
        if (pair) vstore(g2 + i * LANES, acc2[i]);
    }
}

/* Lanes in use of a block are done in fours: what lies beyond them in x is zero, and so is what it adds. */
NOINLINE void outer_block(int32_t lanes, float *g, const float *y, ptrdiff_t y_row, const float *x, ptrdiff_t x_row,
                          ptrdiff_t step, int32_t rows, int32_t n)
{
    int i = 0;
#if LANES == 16 || defined(__AVX512VL__)
    for (; i + LANES <= lanes; i += LANES)
        outer_tile(LANES, 0, g + i * LANES, 0, y, 0, y_row, x + i, x_row, step, rows, n);
#elif LANES == 8
    for (; i + 8 <= lanes; i += 8) outer_tile(8, 0, g + i * LANES, 0, y, 0, y_row, x + i, x_row, step, rows, n);
#endif
    for (; i < lanes; i += 4) outer_tile(4, 0, g + i * LANES, 0, y, 0, y_row, x + i, x_row, step, rows, n);
}

NOINLINE void outer_block2(int32_t lanes, float *g, float *g2, const float *y, const float *y2, ptrdiff_t y_row,
                           const float *x, ptrdiff_t x_row, ptrdiff_t step, int32_t rows, int32_t n)
{
    int i = 0;
#if LANES == 16 || (LANES == 8 && defined(__AVX512VL__))
    for (; i + 8 <= lanes; i += 8)
        outer_tile(8, 1, g + i * LANES, g2 + i * LANES, y, y2, y_row, x + i, x_row, step, rows, n);
#endif
    for (; i < lanes; i += 4)
        outer_tile(4, 1, g + i * LANES, g2 + i * LANES, y, y2, y_row, x + i, x_row, step, rows, n);
}

/* The gradients of all output blocks with one input block: block b of y at y + b*y_block, of g at g + b*g_block. */
static void outer_blocks(int32_t blocks, int32_t lanes, float *g, ptrdiff_t g_block, const float *y, ptrdiff_t y_block,
                         ptrdiff_t y_row, const float *x, ptrdiff_t x_row, ptrdiff_t step, int32_t rows, int32_t n)
{
    int32_t b = 0;
    for (; b + 2 <= blocks; b += 2)
        outer_block2(lanes, g + b * g_block, g + (b + 1) * g_block, y + b * y_block, y + (b + 1) * y_block, y_row, x,
                     x_row, step, rows, n);
    if (b < blocks) outer_block(lanes, g + b * g_block, y + b * y_block, y_row, x, x_row, step, rows, n);
}

/* g[k] += sum_p z[p] * x[p*step + off[k]], lane by lane: the gradient of G depthwise taps. */
INLINE void tap_gradient(int G, float *g, const float *z, ptrdiff_t z_row, const float *x, ptrdiff_t x_row,
                         ptrdiff_t step, const ptrdiff_t *off, int32_t rows, int32_t n)
{
    vf acc[9];
    const float *base[9];
#pragma GCC unroll 16
    for (int i = 0; i < G; i++) {
        acc[i] = vload(g + i * LANES);
        base[i] = x + off[i];
    }
    for (int32_t r = 0; r < rows; r++) {
        const float *zr = z + r * z_row;
        ptrdiff_t at = r * x_row;
        for (int32_t p = 0; p < n; p++, at += step) {
            vf v = vload(zr + (ptrdiff_t)p * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < G; i++) acc[i] += v * vload(base[i] + at);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < G; i++) vstore(g + i * LANES, acc[i]);
}

/* In passes of at most 9 taps, as even as can be: their sums and addresses stay in registers. */
NOINLINE void tap_gradients(int taps, float *g, const float *z, ptrdiff_t z_row, const float *x, ptrdiff_t x_row,
                            ptrdiff_t step, const ptrdiff_t *off, int32_t rows, int32_t n)
{
#define TAP_GRADIENTS(G)                                                                                               \
    case G: tap_gradient(G, g + k * LANES, z, z_row, x, x_row, step, off + k, rows, n); break
    for (int k = 0, passes = (taps + 8) / 9; passes; passes--) {
        int now = (taps - k + passes - 1) / passes;
        switch (now) {
            TAP_GRADIENTS(1);
            TAP_GRADIENTS(2);
            TAP_GRADIENTS(3);
            TAP_GRADIENTS(4);
            TAP_GRADIENTS(5);
            TAP_GRADIENTS(6);
            TAP_GRADIENTS(7);
            TAP_GRADIENTS(8);
            TAP_GRADIENTS(9);
        }
        k += now;
    }
#undef TAP_GRADIENTS
}

/* dy of n consecutive pixels of one block: see KGrad. */
typedef struct {
    vf a, b, d, mask_scale, mask_shift;
    int masked;
} GradLoad;

static GradLoad grad_load(const KGrad *g, int32_t block, int64_t n)
{
    ptrdiff_t c = (ptrdiff_t)block * LANES;
    GradLoad l = {vload(g->a + c), vload(g->b + c), vload(g->d + c), vzero(), vzero(), g->mask_scale != 0};
    if (l.masked) l.mask_scale = vload(g->mask_scale + c), l.mask_shift = vload(g->mask_shift + c);
    if (g->sample_scale) l.a *= g->sample_scale[n];
    return l;
}

INLINE void grad_run(const GradLoad *l, const float *g, const float *y, float *dy, int32_t n)
{
    vf a = l->a, b = l->b, d = l->d;
    if (l->masked) {
        for (int32_t p = 0; p < n; p++) {
            vf yy = vload(y + (ptrdiff_t)p * LANES);
            vf gg = vmask(yy * l->mask_scale + l->mask_shift > vzero(), vload(g + (ptrdiff_t)p * LANES));
            vstore(dy + (ptrdiff_t)p * LANES, a * gg + (b * yy + d));
        }
    } else {
        for (int32_t p = 0; p < n; p++)
            vstore(dy + (ptrdiff_t)p * LANES,
                   a * vload(g + (ptrdiff_t)p * LANES) + (b * vload(y + (ptrdiff_t)p * LANES) + d));
    }
}

/* ---- convolution ---- */

typedef struct {                 /* one call's view of its scratch memory */
    KPlane in, out;              /* geometry of the input planes and of the gradient planes */
    ptrdiff_t in_size, out_size; /* floats of one plane */
    float *planes;               /* (in_blocks, in_size) */
    float *gradients;            /* (depthwise: in_blocks, dense: out_blocks; out_size) */
    float *u, *dy;               /* (in_blocks | out_blocks, run, LANES), depthwise */
    float *row;                  /* (in_blocks, in_w, LANES) */
    vf *sums;                    /* (max(in, out) blocks, 2) */
    Gemm gemm;
    int32_t *which;
    ptrdiff_t *offset;                 /* (taps) */
    int32_t run_rows;                  /* output rows made at a time */
    struct {                           /* see winograd.h */
        int32_t across, tiles;         /* tiles in a row, in an image */
        ptrdiff_t in_frame, out_frame; /* floats between frames of v and of m */
        float *v, *m;                  /* (16, in_blocks | out_blocks, WINOGRAD_RUN, LANES) */
        float *gx;                     /* (in_blocks, in_size) */
        float *u;                      /* (2, 16, LANES, LANES) */
    } winograd;
} ConvWork;

static void *take(char **at, ptrdiff_t bytes)
{
    char *p = *at;
    *at += (bytes + 63) & ~(ptrdiff_t)63;
    return p;
}

static int32_t conv_run_rows(const KConv *k)
{
    return at_most(at_least(ROWS_PIXELS / k->out_w, 1), k->out_h);
}

static ptrdiff_t winograd_work(const KConv *k, char *base, ConvWork *w);

/* Lays the work areas out; with base 0 only the size is of interest. */
static ptrdiff_t conv_work(const KConv *k, char *base, ConvWork *w)
{
    char *at = base;
    if (k->winograd) return winograd_work(k, base, w);
    w->in = k_plane(k);
    w->out =
        k_gradient_plane(k->taps, k->tap_y, k->tap_x, k->stride_h, k->stride_w, k->in_h, k->in_w, k->out_h, k->out_w);
    w->in_size = (ptrdiff_t)w->in.height * w->in.width * LANES;
    w->out_size = (ptrdiff_t)w->out.height * w->out.width * LANES;
    w->run_rows = conv_run_rows(k);
    ptrdiff_t run = (ptrdiff_t)w->run_rows * k->out_w * LANES * (ptrdiff_t)sizeof(float), f = sizeof(float);
    int32_t K = at_least(k->in_blocks, k->out_blocks) * (k->depthwise ? 1 : k->taps);
    /* An odd number of cache lines between planes keeps them out of each other's sets. */
    w->planes = take(&at, k->in_blocks * w->in_size * f);
    w->gradients = take(&at, (k->depthwise ? k->in_blocks : k->out_blocks) * w->out_size * f);
    w->u = take(&at, k->in_blocks * run);
    w->dy = take(&at, k->out_blocks * run);
    w->row = take(&at, (ptrdiff_t)k->in_blocks * k->in_w * LANES * f);
    w->sums = take(&at, 2 * (ptrdiff_t)(at_least(k->in_blocks, k->out_blocks) + 1) * LANES * f);
    w->gemm.in = take(&at, K * (ptrdiff_t)sizeof(float *));
    w->gemm.w = take(&at, K * (ptrdiff_t)sizeof(float *));
    w->gemm.w2 = take(&at, K * (ptrdiff_t)sizeof(float *));
    w->gemm.lanes = take(&at, K * (ptrdiff_t)sizeof(int32_t));
    w->which = take(&at, K * (ptrdiff_t)sizeof(int32_t));
    w->offset = take(&at, k->taps * (ptrdiff_t)sizeof(ptrdiff_t));
    return at - base;
}

static int64_t conv_scratch(const KConv *k)
{
    ConvWork w;
    return conv_work(k, 0, &w);
}

NOINLINE void fill_plane(float *plane, const KPlane *g, const float *x, int32_t h, int32_t w, const float *scale,
                         const float *shift, int relu)
{
    ptrdiff_t row = (ptrdiff_t)g->width * LANES;
    size_t bytes = (size_t)row * sizeof(float);
    int32_t right = g->width - g->left - w;
    vf s = scale ? vload(scale) : vset(1), t = shift ? vload(shift) : vzero();
    for (int32_t r = 0; r < g->height; r++) {
        float *out = plane + r * row;
        int32_t y = r - g->top;
        if (y < 0 || y >= h) {
            memset(out, 0, bytes);
            continue;
        }
        const float *in = x + (ptrdiff_t)y * w * LANES;
        for (int32_t p = 0; p < g->left; p++, out += LANES) vstore(out, vzero());
        if (scale && relu)
            for (int32_t p = 0; p < w; p++)
                vstore(out + (ptrdiff_t)p * LANES, vmax(vzero(), vload(in + (ptrdiff_t)p * LANES) * s + t));
        else if (relu)
            for (int32_t p = 0; p < w; p++)
                vstore(out + (ptrdiff_t)p * LANES, vmax(vzero(), vload(in + (ptrdiff_t)p * LANES)));
        else if (scale)
            for (int32_t p = 0; p < w; p++)
                vstore(out + (ptrdiff_t)p * LANES, vload(in + (ptrdiff_t)p * LANES) * s + t);
        else
            memcpy(out, in, (size_t)w * LANES * sizeof(float));
        out += (ptrdiff_t)w * LANES;
        for (int32_t p = 0; p < right; p++, out += LANES) vstore(out, vzero());
    }
}

/* Image n of input block b, and its gradient. */
static const float *conv_input(const KConv *k, int64_t n, int32_t b, float **gx)
{
    int part = 0;
    while (b >= k->part_blocks[part]) b -= k->part_blocks[part++];
    ptrdiff_t image = (ptrdiff_t)k->in_h * k->in_w * LANES;
    ptrdiff_t at = (n * k->part_blocks[part] + b) * image;
    if (gx) *gx = k->gx[part] ? k->gx[part] + at : 0;
    return k->x[part] + at;
}

static void conv_planes(const KConv *k, const ConvWork *w, int64_t n)
{
    for (int32_t b = 0; b < k->in_blocks; b++)
        fill_plane(w->planes + b * w->in_size, &w->in, conv_input(k, n, b, 0), k->in_h, k->in_w,
                   k->in_scale ? k->in_scale + (ptrdiff_t)b * LANES : 0,
                   k->in_scale ? k->in_shift + (ptrdiff_t)b * LANES : 0, k->relu);
}

/* Offsets of the taps within an input plane, from the pixel that a tap of (0, 0) would read for output (0, 0). */
static void conv_offsets(const KConv *k, const ConvWork *w)
{
    for (int t = 0; t < k->taps; t++)
        w->offset[t] = ((ptrdiff_t)(w->in.top + k->tap_y[t]) * w->in.width + w->in.left + k->tap_x[t]) * LANES;
}

/* u of output rows [r0, r0 + rows) for every block. */
static void conv_depthwise_rows(const KConv *k, const ConvWork *w, int32_t r0, int32_t rows)
{
    ptrdiff_t run = (ptrdiff_t)w->run_rows * k->out_w * LANES;
    for (int32_t b = 0; b < k->in_blocks; b++)
        for (int32_t r = 0; r < rows; r++)
            taps_row(w->u + b * run + (ptrdiff_t)r * k->out_w * LANES, LANES,
                     w->planes + b * w->in_size + (ptrdiff_t)(r0 + r) * k->stride_h * w->in.width * LANES,
                     (ptrdiff_t)k->stride_w * LANES, k->out_w, k->taps, w->offset,
                     k->dw + (ptrdiff_t)b * k->taps * LANES);
}

/* Adds a slot's sums (or none) of two a block. */
static void add_sums(double *sums, int64_t slot, int32_t blocks, const ConvWork *w)
{
    if (!sums) return;
    sums += slot * 2 * blocks * LANES;
    for (int32_t b = 0; b < blocks; b++) {
        vadd_double(sums + (ptrdiff_t)b * LANES, w->sums[2 * b]);
        vadd_double(sums + (ptrdiff_t)(blocks + b) * LANES, w->sums[2 * b + 1]);
    }
}

static void winograd_forward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch);

static void conv_forward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    if (k->winograd) {
        winograd_forward(k, n0, n1, slot, scratch);
        return;
    }
    ConvWork w;
    conv_work(k, scratch, &w);
    conv_offsets(k, &w);
    ptrdiff_t image = (ptrdiff_t)k->out_h * k->out_w * LANES, run = (ptrdiff_t)w.run_rows * k->out_w * LANES;
    int32_t K = k->depthwise ? k->in_blocks : k->taps * k->in_blocks;
    for (int32_t i = 0; i < K; i++) w.gemm.lanes[i] = k->block_lanes[i % k->in_blocks];
    for (int64_t n = n0; n < n1; n++) {
        float *y = k->y + n * k->out_blocks * image;
        conv_planes(k, &w, n);
        for (int32_t i = 0; i < 2 * (k->out_blocks + 1); i++) w.sums[i] = vzero();
        if (k->depthwise) {
            for (int32_t r = 0; r < k->out_h; r += w.run_rows) {
                int32_t rows = at_most(w.run_rows, k->out_h - r);
                conv_depthwise_rows(k, &w, r, rows);
                for (int32_t b = 0; b < K; b++) w.gemm.in[b] = w.u + b * run;
                gemm_blocks(&w.gemm, K, k->pw, 0, k->out_blocks, (ptrdiff_t)K * LANES * LANES,
                            y + (ptrdiff_t)r * k->out_w * LANES, image, LANES, LANES, rows * k->out_w,
                            k->sums ? w.sums : 0);
            }
        } else {
            for (int32_t r = 0; r < k->out_h; r++) {
                for (int t = 0; t < k->taps; t++)
                    for (int32_t b = 0; b < k->in_blocks; b++)
                        w.gemm.in[t * k->in_blocks + b] =
                            w.planes + b * w.in_size + w.offset[t] + (ptrdiff_t)r * k->stride_h * w.in.width * LANES;
                gemm_blocks(&w.gemm, K, k->pw, 0, k->out_blocks, (ptrdiff_t)K * LANES * LANES,
                            y + (ptrdiff_t)r * k->out_w * LANES, image, LANES, (ptrdiff_t)k->stride_w * LANES, k->out_w,
                            k->sums ? w.sums : 0);
            }
        }
        add_sums(k->sums, slot, k->out_blocks, &w);
    }
}

/* What becomes of a data gradient of input block b. */
static EmitKind conv_emit(const KConv *k, const ConvWork *w, int32_t b, Emit *e)
{
    *e = (Emit){0, vzero(), vzero(), w->sums[2 * b], w->sums[2 * b + 1]};
    if (!k->in_scale) return k->relu ? EMIT_ADD_RELU : EMIT_ADD;
    e->scale = vload(k->in_scale + (ptrdiff_t)b * LANES);
    e->shift = vload(k->in_shift + (ptrdiff_t)b * LANES);
    return k->relu ? EMIT_NORM_RELU : EMIT_NORM;
}

static void conv_emitted(const ConvWork *w, int32_t b, const Emit *e)
{
    w->sums[2 * b] = e->sum;
    w->sums[2 * b + 1] = e->sum_x;
}

/* A finished row of gradients on its way: pixel p of `from` to p*step. */
NOINLINE void emit_row(EmitKind kind, Emit *e, const float *from, float *out, ptrdiff_t step, int32_t n)
{
    for (int32_t p = 0; p < n; p++) emit(kind, e, p * step, out, vload(from + (ptrdiff_t)p * LANES));
}

/* Taps that reach input phase `phase` (mod stride) along one axis; for each the output coordinate is (i + shift) for
 * input coordinate phase + i*stride. */
static int phase_taps(const int32_t *tap, int taps, int32_t stride, int32_t phase, int32_t *shift, uint8_t *hit)
{
    int n = 0;
    for (int t = 0; t < taps; t++) {
        int32_t d = phase - tap[t];
        hit[t] = d % stride == 0;
        shift[t] = hit[t] ? d / stride : 0;
        n += hit[t];
    }
    return n;
}

/* dx of image n from the planes of gradients. */
static void conv_data_gradient(const KConv *k, const ConvWork *w, int64_t n)
{
    int32_t shift_y[K_MAX_TAPS], shift_x[K_MAX_TAPS];
    uint8_t hit_y[K_MAX_TAPS], hit_x[K_MAX_TAPS];
    ptrdiff_t off[K_MAX_TAPS];
    int32_t chosen[K_MAX_TAPS];
    float weights[K_MAX_TAPS * LANES] __attribute__((aligned(64)));
    ptrdiff_t out_row = (ptrdiff_t)w->out.width * LANES;
    for (int32_t py = 0; py < at_most(k->stride_h, k->in_h); py++) {
        phase_taps(k->tap_y, k->taps, k->stride_h, py, shift_y, hit_y);
        for (int32_t px = 0; px < at_most(k->stride_w, k->in_w); px++) {
            phase_taps(k->tap_x, k->taps, k->stride_w, px, shift_x, hit_x);
            int taps = 0;
            for (int t = 0; t < k->taps; t++)
                if (hit_y[t] && hit_x[t]) {
                    off[taps] = (ptrdiff_t)(w->out.top + shift_y[t]) * out_row + (w->out.left + shift_x[t]) * LANES;
                    chosen[taps++] = t;
                }
            if (!taps && !k->in_scale) continue; /* nothing to add */
            int32_t count = (k->in_w - px + k->stride_w - 1) / k->stride_w;
            ptrdiff_t step = (ptrdiff_t)k->stride_w * LANES;
            if (k->depthwise) {
                for (int32_t b = 0; b < k->in_blocks; b++) {
                    float *gx;
                    const float *x = conv_input(k, n, b, &gx);
                    if (!gx) continue;
                    for (int t = 0; t < taps; t++)
                        vstore(weights + t * LANES, vload(k->dw + ((ptrdiff_t)b * k->taps + chosen[t]) * LANES));
                    Emit e;
                    EmitKind kind = conv_emit(k, w, b, &e);
                    for (int32_t r = py, i = 0; r < k->in_h; r += k->stride_h, i++) {
                        ptrdiff_t at = ((ptrdiff_t)r * k->in_w + px) * LANES;
                        e.x = x + at;
                        taps_row_gradient(kind, &e, gx + at, step, w->gradients + b * w->out_size + i * out_row, count,
                                          taps, off, weights);
                    }
                    conv_emitted(w, b, &e);
                }
            } else {
                for (int t = 0; t < taps; t++)
                    for (int32_t b = 0; b < k->out_blocks; b++) {
                        w->which[t * k->out_blocks + b] = chosen[t] * k->out_blocks + b;
                        w->gemm.lanes[t * k->out_blocks + b] = LANES;
                    }
                for (int32_t r = py, i = 0; r < k->in_h; r += k->stride_h, i++) {
                    for (int t = 0; t < taps; t++)
                        for (int32_t b = 0; b < k->out_blocks; b++)
                            w->gemm.in[t * k->out_blocks + b] = w->gradients + b * w->out_size + i * out_row + off[t];
                    gemm_blocks(&w->gemm, taps * k->out_blocks, k->pw_t, w->which, k->in_blocks,
                                (ptrdiff_t)k->taps * k->out_blocks * LANES * LANES, w->row, (ptrdiff_t)count * LANES,
                                LANES, LANES, count, 0);
                    for (int32_t b = 0; b < k->in_blocks; b++) {
                        float *gx;
                        const float *x = conv_input(k, n, b, &gx);
                        ptrdiff_t at = ((ptrdiff_t)r * k->in_w + px) * LANES;
                        if (!gx) continue;
                        Emit e;
                        EmitKind kind = conv_emit(k, w, b, &e);
                        e.x = x + at;
                        emit_row(kind, &e, w->row + (ptrdiff_t)b * count * LANES, gx + at, step, count);
                        conv_emitted(w, b, &e);
                    }
                }
            }
        }
    }
}

/* Zeroes the border of a plane whose interior (rows top…top+h, columns left…left+w) will be written. */
static void clear_border(float *plane, const KPlane *g, int32_t h, int32_t w)
{
    ptrdiff_t row = (ptrdiff_t)g->width * LANES;
    memset(plane, 0, (size_t)(g->top * row) * sizeof(float));
    memset(plane + (g->top + h) * row, 0, (size_t)((g->height - g->top - h) * row) * sizeof(float));
    for (int32_t r = g->top; r < g->top + h; r++) {
        memset(plane + r * row, 0, (size_t)g->left * LANES * sizeof(float));
        memset(plane + r * row + (ptrdiff_t)(g->left + w) * LANES, 0,
               (size_t)(g->width - g->left - w) * LANES * sizeof(float));
    }
}

static void winograd_backward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch);

static void conv_backward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    if (k->winograd) {
        winograd_backward(k, n0, n1, slot, scratch);
        return;
    }
    ConvWork w;
    conv_work(k, scratch, &w);
    conv_offsets(k, &w);
    int want_data = 0, want_weights = k->g_pw != 0;
    for (int p = 0; p < k->parts; p++) want_data |= k->gx[p] != 0;
    ptrdiff_t image = (ptrdiff_t)k->out_h * k->out_w * LANES, run = (ptrdiff_t)w.run_rows * k->out_w * LANES;
    ptrdiff_t out_row = (ptrdiff_t)w.out.width * LANES, inner = (ptrdiff_t)w.out.top * out_row + w.out.left * LANES;
    int32_t K = k->depthwise ? k->in_blocks : k->taps * k->in_blocks;
    float *g_pw = want_weights ? k->g_pw + slot * k->out_blocks * K * LANES * LANES : 0;
    float *g_dw = want_weights && k->depthwise ? k->g_dw + slot * k->in_blocks * k->taps * LANES : 0;
    for (int32_t b = 0; b < (k->depthwise ? k->in_blocks : k->out_blocks); b++)
        clear_border(w.gradients + b * w.out_size, &w.out, k->out_h, k->out_w);
    for (int64_t n = n0; n < n1; n++) {
        const float *y = k->y + n * k->out_blocks * image, *g = k->grad.g + n * k->out_blocks * image;
        if (want_weights) conv_planes(k, &w, n);
        for (int32_t i = 0; i < 2 * (k->in_blocks + 1); i++) w.sums[i] = vzero();
        if (k->depthwise) {
            for (int32_t i = 0; i < k->out_blocks; i++) w.gemm.lanes[i] = LANES;
            for (int32_t r = 0; r < k->out_h; r += w.run_rows) {
                int32_t rows = at_most(w.run_rows, k->out_h - r), pixels = rows * k->out_w;
                for (int32_t b = 0; b < k->out_blocks; b++) {
                    GradLoad load = grad_load(&k->grad, b, n);
                    ptrdiff_t at = b * image + (ptrdiff_t)r * k->out_w * LANES;
                    grad_run(&load, g + at, y + at, w.dy + b * run, pixels);
                }
                if (want_weights) {
                    conv_depthwise_rows(k, &w, r, rows);
                    for (int32_t c = 0; c < k->in_blocks; c++)
                        outer_blocks(k->out_blocks, k->block_lanes[c], g_pw + (ptrdiff_t)c * LANES * LANES,
                                     (ptrdiff_t)K * LANES * LANES, w.dy, run, 0, w.u + c * run, 0, LANES, 1, pixels);
                }
                for (int32_t i = 0; i < rows; i++) {
                    for (int32_t b = 0; b < k->out_blocks; b++)
                        w.gemm.in[b] = w.dy + b * run + (ptrdiff_t)i * k->out_w * LANES;
                    gemm_blocks(&w.gemm, k->out_blocks, k->pw_t, 0, k->in_blocks,
                                (ptrdiff_t)k->out_blocks * LANES * LANES, w.gradients + inner + (r + i) * out_row,
                                w.out_size, LANES, LANES, k->out_w, 0);
                }
            }
            if (want_weights)
                for (int32_t b = 0; b < k->in_blocks; b++)
                    tap_gradients(k->taps, g_dw + (ptrdiff_t)b * k->taps * LANES, w.gradients + b * w.out_size + inner,
                                  out_row, w.planes + b * w.in_size, (ptrdiff_t)k->stride_h * w.in.width * LANES,
                                  (ptrdiff_t)k->stride_w * LANES, w.offset, k->out_h, k->out_w);
        } else {
            for (int32_t b = 0; b < k->out_blocks; b++) {
                GradLoad load = grad_load(&k->grad, b, n);
                for (int32_t r = 0; r < k->out_h; r++) {
                    ptrdiff_t at = b * image + (ptrdiff_t)r * k->out_w * LANES;
                    grad_run(&load, g + at, y + at, w.gradients + b * w.out_size + inner + r * out_row, k->out_w);
                }
            }
            if (want_weights)
                for (int t = 0; t < k->taps; t++)
                    for (int32_t c = 0; c < k->in_blocks; c++)
                        outer_blocks(
                            k->out_blocks, k->block_lanes[c], g_pw + ((ptrdiff_t)t * k->in_blocks + c) * LANES * LANES,
                            (ptrdiff_t)K * LANES * LANES, w.gradients + inner, w.out_size, out_row,
                            w.planes + c * w.in_size + w.offset[t], (ptrdiff_t)k->stride_h * w.in.width * LANES,
                            (ptrdiff_t)k->stride_w * LANES, k->out_h, k->out_w);
        }
        if (want_data) {
            conv_data_gradient(k, &w, n);
            add_sums(k->in_scale ? k->in_sums : 0, slot, k->in_blocks, &w);
        }
    }
}

#include "kernels/cpu/winograd.h"

/* ---- pooling ---- */

typedef struct {
    float *column, *which; /* (in_w + extra) maxima or sums of the window's rows; which row had the maximum */
    float *pooled;         /* (out_w) */
    float *gradient;       /* plane of dp (average: over its count) */
    float *arg;            /* plane: ky*kernel_w + kx of the maximum */
    KPlane plane;
    ptrdiff_t plane_size;
    int32_t tap_y[K_MAX_TAPS], tap_x[K_MAX_TAPS];
    int taps;
} PoolWork;

/* What pool_row needs. */
static char *pool_rows_work(const KPool *k, char *at, PoolWork *w)
{
    ptrdiff_t f = LANES * sizeof(float);
    w->column = take(&at, (k->in_w + k->extra_w) * f);
    w->which = take(&at, (k->in_w + k->extra_w) * f);
    return at;
}

static ptrdiff_t pool_work(const KPool *k, char *base, PoolWork *w)
{
    char *at = pool_rows_work(k, base, w);
    w->taps = 0;
    for (int32_t y = 0; y < k->kernel_h; y++)
        for (int32_t x = 0; x < k->kernel_w; x++, w->taps++)
            w->tap_y[w->taps] = y - k->pad_h, w->tap_x[w->taps] = x - k->pad_w;
    w->plane =
        k_gradient_plane(w->taps, w->tap_y, w->tap_x, k->stride_h, k->stride_w, k->in_h, k->in_w, k->out_h, k->out_w);
    w->plane_size = (ptrdiff_t)w->plane.height * w->plane.width * LANES;
    w->pooled = take(&at, k->out_w * LANES * (ptrdiff_t)sizeof(float));
    w->gradient = take(&at, w->plane_size * (ptrdiff_t)sizeof(float));
    w->arg = take(&at, w->plane_size * (ptrdiff_t)sizeof(float));
    return at - base;
}

static int64_t pool_scratch(const KPool *k)
{
    PoolWork w;
    return pool_work(k, 0, &w);
}

/* Cells of a window that count along one axis: real ones and the appended zeros. */
INLINE int32_t window(int32_t o, int32_t stride, int32_t pad, int32_t kernel, int32_t size, int32_t *from)
{
    int32_t a = o * stride - pad, b = at_most(a + kernel, size);
    *from = at_least(a, 0);
    return b - *from;
}

/* Down the columns: the window's `rows` rows, of which `real` are in the image and the rest appended zeros. */
INLINE void pool_columns(int average, int with_arg, int32_t rows, int32_t real, const float *x, ptrdiff_t in_row,
                         int32_t n, int32_t first, int32_t kernel_w, float *column, float *which)
{
    for (int32_t p = 0; p < n; p++) {
        const float *at = x + (ptrdiff_t)p * LANES;
        vf v = real > 0 ? vload(at) : vzero();
        if (average) {
#pragma GCC unroll 4
            for (int32_t r = 1; r < real; r++) v += vload(at + r * in_row);
        } else if (!with_arg) {
#pragma GCC unroll 4
            for (int32_t r = 1; r < real; r++) v = vmax(v, vload(at + r * in_row));
            if (real < rows && real > 0) v = vmax(v, vzero());
        } else {
            vf best = vset((float)first);
#pragma GCC unroll 4
            for (int32_t r = 1; r < rows; r++) {
                vf u = r < real ? vload(at + r * in_row) : vzero();
                vi more = u > v;
                v = vselect(more, u, v);
                best = vselect(more, vset((float)(first + r)), best);
            }
            vstore(which + (ptrdiff_t)p * LANES, best * (float)kernel_w);
        }
        vstore(column + (ptrdiff_t)p * LANES, v);
    }
}

/* Along the row: one output from `columns` neighbours. */
INLINE vf pool_across(int average, int with_arg, int32_t columns, const float *at, const float *which, float kx,
                      float inverse, float *arg)
{
    vf v = vload(at);
    if (average) {
#pragma GCC unroll 4
        for (int32_t c = 1; c < columns; c++) v += vload(at + (ptrdiff_t)c * LANES);
        return v * inverse;
    }
    if (!with_arg) {
#pragma GCC unroll 4
        for (int32_t c = 1; c < columns; c++) v = vmax(v, vload(at + (ptrdiff_t)c * LANES));
        return v;
    }
    vf best = vload(which) + kx;
#pragma GCC unroll 4
    for (int32_t c = 1; c < columns; c++) {
        vf u = vload(at + (ptrdiff_t)c * LANES), index = vload(which + (ptrdiff_t)c * LANES) + (kx + (float)c);
        vi more = (u > v) | ((u == v) & (index < best));
        v = vselect(more, u, v);
        best = vselect(more, index, best);
    }
    vstore(arg, best);
    return v;
}

/* The same for output ox wherever it is, at the border too. */
INLINE void pool_output(int average, int with_arg, const KPool *k, const PoolWork *w, int32_t ox, int32_t rows,
                        float *out, float *arg)
{
    int32_t x0, columns = window(ox, k->stride_w, k->pad_w, k->kernel_w, k->in_w + k->extra_w, &x0);
    ptrdiff_t at = (ptrdiff_t)x0 * LANES, to = (ptrdiff_t)ox * LANES;
    float kx = (float)(x0 - (ox * k->stride_w - k->pad_w)), inverse = 1.0f / (float)(rows * columns);
    vstore(out + to, pool_across(average, with_arg, columns, w->column + at, w->which + at, kx, inverse, arg + to));
}

INLINE vf pool_two(int average, vf a, vf b)
{
    if (average) return a + b;
    return vmax(a, b);
}

/* A column of a window of `rows` rows. */
INLINE vf pool_column(int average, int32_t rows, const float *at, ptrdiff_t in_row)
{
    vf v = vload(at);
#pragma GCC unroll 4
    for (int32_t r = 1; r < rows; r++) v = pool_two(average, v, vload(at + r * in_row));
    return v;
}

/* A row of 3x3 windows of stride 1, `rows` of whose rows are in the image, n > 1: the columns stay in registers while the
 * window slides over them. */
INLINE void pool_sliding(int average, int32_t rows, const float *x, ptrdiff_t in_row, int32_t n, float *out)
{
    vf edge = vset(average ? 1.0f / (float)(rows * 2) : 1), inner = vset(average ? 1.0f / (float)(rows * 3) : 1);
    vf left = pool_column(average, rows, x, in_row), middle = pool_column(average, rows, x + LANES, in_row);
    vstore(out, edge * pool_two(average, left, middle));
    for (int32_t p = 2; p < n; p++) {
        vf right = pool_column(average, rows, x + (ptrdiff_t)p * LANES, in_row);
        vstore(out + (ptrdiff_t)(p - 1) * LANES, inner * pool_two(average, pool_two(average, left, middle), right));
        left = middle, middle = right;
    }
    vstore(out + (ptrdiff_t)(n - 1) * LANES, edge * pool_two(average, left, middle));
}

INLINE void pool_row_kind(int average, int with_arg, const KPool *k, const PoolWork *w, const float *x, int32_t oy,
                          float *out, float *arg)
{
    int32_t y0, rows = window(oy, k->stride_h, k->pad_h, k->kernel_h, k->in_h + k->extra_h, &y0),
                wide = k->in_w + k->extra_w;
    ptrdiff_t in_row = (ptrdiff_t)k->in_w * LANES;
    int32_t real = at_most(y0 + rows, k->in_h) - y0, first = y0 - (oy * k->stride_h - k->pad_h);
    x += y0 * in_row;
    if (!with_arg && rows == real && rows > 1 && rows <= 3 && k->kernel_w == 3 && k->stride_w == 1 && k->pad_w == 1 &&
        !k->extra_w && k->in_w > 1) {
        if (rows == 3)
            pool_sliding(average, 3, x, in_row, k->in_w, out);
        else
            pool_sliding(average, 2, x, in_row, k->in_w, out);
        return;
    }
    if (real == 3 && rows == 3) /* nearly always, and then the loops over the window unroll */
        pool_columns(average, with_arg, 3, 3, x, in_row, k->in_w, first, k->kernel_w, w->column, w->which);
    else
        pool_columns(average, with_arg, rows, real, x, in_row, k->in_w, first, k->kernel_w, w->column, w->which);
    for (int32_t p = k->in_w; p < wide; p++) {
        vstore(w->column + (ptrdiff_t)p * LANES, vzero());
        vstore(w->which + (ptrdiff_t)p * LANES, vset((float)(first * k->kernel_w)));
    }
    /* Outputs [from, to) see a whole window of three columns: their loop knows no border and unrolls. */
    int32_t from = 0, to = 0, ox = 0;
    if (k->kernel_w == 3) {
        from = at_most((k->pad_w + k->stride_w - 1) / k->stride_w, k->out_w);
        to = at_least(at_most((wide - 3 + k->pad_w) / k->stride_w + 1, k->out_w), from);
    }
    for (; ox < from; ox++) pool_output(average, with_arg, k, w, ox, rows, out, arg);
    float inverse = 1.0f / (float)(rows * 3);
    for (; ox < to; ox++) {
        ptrdiff_t at = (ptrdiff_t)(ox * k->stride_w - k->pad_w) * LANES, there = (ptrdiff_t)ox * LANES;
        vstore(out + there, pool_across(average, with_arg, 3, w->column + at, w->which + at, 0, inverse, arg + there));
    }
    for (; ox < k->out_w; ox++) pool_output(average, with_arg, k, w, ox, rows, out, arg);
}

/* One output row of one block: first down the columns, then along the row. With arg (of a maximum): where the first
 * maximum is, as ky*kernel_w + kx; it is cheaper to find again in the backward pass than to keep. */
NOINLINE void pool_row(const KPool *k, const PoolWork *w, const float *x, int32_t oy, float *out, float *arg)
{
    if (k->average)
        pool_row_kind(1, 0, k, w, x, oy, out, out);
    else if (!arg)
        pool_row_kind(0, 0, k, w, x, oy, out, out);
    else
        pool_row_kind(0, 1, k, w, x, oy, out, arg);
}

static void pool_forward(const KPool *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    PoolWork w;
    pool_work(k, scratch, &w);
    ptrdiff_t in = (ptrdiff_t)k->in_h * k->in_w * LANES;
    if (!k->sums) return; /* recomputed where it is used */
    double *sums = k->sums + slot * 2 * k->blocks * LANES;
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            vf s = vzero(), q = vzero();
            for (int32_t r = 0; r < k->out_h; r++) {
                pool_row(k, &w, k->x + (n * k->blocks + b) * in, r, w.pooled, 0);
                for (int32_t p = 0; p < k->out_w; p++) {
                    vf v = vload(w.pooled + (ptrdiff_t)p * LANES);
                    s += v;
                    q += v * v;
                }
            }
            vadd_double(sums + (ptrdiff_t)b * LANES, s);
            vadd_double(sums + (ptrdiff_t)(k->blocks + b) * LANES, q);
        }
}

static void pool_backward(const KPool *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)slot;
    PoolWork w;
    pool_work(k, scratch, &w);
    int32_t shift_y[K_MAX_TAPS], shift_x[K_MAX_TAPS];
    uint8_t hit_y[K_MAX_TAPS], hit_x[K_MAX_TAPS];
    ptrdiff_t off[K_MAX_TAPS];
    float ones[K_MAX_TAPS * LANES] __attribute__((aligned(64)));
    for (int i = 0; i < w.taps * LANES; i++) ones[i] = 1;
    ptrdiff_t in = (ptrdiff_t)k->in_h * k->in_w * LANES, out = (ptrdiff_t)k->out_h * k->out_w * LANES;
    ptrdiff_t row = (ptrdiff_t)w.plane.width * LANES, inner = (ptrdiff_t)w.plane.top * row + w.plane.left * LANES;
    clear_border(w.gradient, &w.plane, k->out_h, k->out_w); /* a zero gradient outside also settles argmax there */
    clear_border(w.arg, &w.plane, k->out_h, k->out_w);
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            const float *x = k->x + (n * k->blocks + b) * in;
            float *gx = k->gx + (n * k->blocks + b) * in;
            const float *g = k->grad.g + (n * k->blocks + b) * out;
            GradLoad load = grad_load(&k->grad, b, n);
            for (int32_t r = 0; r < k->out_h; r++) {
                float *dp = w.gradient + inner + r * row;
                pool_row(k, &w, x, r, w.pooled, k->average ? 0 : w.arg + inner + r * row);
                grad_run(&load, g + (ptrdiff_t)r * k->out_w * LANES, w.pooled, dp, k->out_w);
                if (k->average) {
                    int32_t y0, x0, rows = window(r, k->stride_h, k->pad_h, k->kernel_h, k->in_h + k->extra_h, &y0);
                    for (int32_t p = 0; p < k->out_w; p++) {
                        int32_t columns = window(p, k->stride_w, k->pad_w, k->kernel_w, k->in_w + k->extra_w, &x0);
                        vstore(dp + (ptrdiff_t)p * LANES,
                               vload(dp + (ptrdiff_t)p * LANES) * (1.0f / (float)(rows * columns)));
                    }
                }
            }
            for (int32_t py = 0; py < at_most(k->stride_h, k->in_h); py++) {
                phase_taps(w.tap_y, w.taps, k->stride_h, py, shift_y, hit_y);
                for (int32_t px = 0; px < at_most(k->stride_w, k->in_w); px++) {
                    phase_taps(w.tap_x, w.taps, k->stride_w, px, shift_x, hit_x);
                    int taps = 0;
                    float index[K_MAX_TAPS];
                    for (int t = 0; t < w.taps; t++)
                        if (hit_y[t] && hit_x[t]) {
                            index[taps] = (float)t;
                            off[taps++] =
                                (ptrdiff_t)(w.plane.top + shift_y[t]) * row + (w.plane.left + shift_x[t]) * LANES;
                        }
                    if (!taps) continue;
                    int32_t count = (k->in_w - px + k->stride_w - 1) / k->stride_w;
                    ptrdiff_t step = (ptrdiff_t)k->stride_w * LANES;
                    for (int32_t r = py, i = 0; r < k->in_h; r += k->stride_h, i++) {
                        float *to = gx + ((ptrdiff_t)r * k->in_w + px) * LANES;
                        const float *dp = w.gradient + i * row, *which = w.arg + i * row;
                        if (k->average) {
                            taps_row_gradient(EMIT_ADD, &(Emit){0}, to, step, dp, count, taps, off, ones);
                        } else {
                            for (int32_t p = 0; p < count; p++) {
                                ptrdiff_t at = (ptrdiff_t)p * LANES;
                                vf v = vload(to + p * step);
                                for (int t = 0; t < taps; t++)
                                    v += vmask(vload(which + off[t] + at) == vset(index[t]), vload(dp + off[t] + at));
                                vstore(to + p * step, v);
                            }
                        }
                    }
                }
            }
        }
}

/* ---- weighted sum ---- */

enum { MIX_GROUP = 4 }; /* streams read at once: few enough for the prefetchers, enough to save passes */

typedef struct {
    float *pooled; /* (MIX_GROUP, run) */
    char *pool_scratch;
    int32_t rows; /* image rows handled at a time */
} MixWork;

static int32_t mix_rows(const KMix *k)
{
    return at_most(at_least(ROWS_PIXELS / k->width, 1), k->height);
}

static ptrdiff_t mix_work(const KMix *k, char *base, MixWork *w)
{
    char *at = base;
    w->rows = mix_rows(k);
    w->pooled = take(&at, (ptrdiff_t)MIX_GROUP * w->rows * k->width * LANES * (ptrdiff_t)sizeof(float));
    ptrdiff_t most = 0;
    for (int32_t t = 0; t < k->terms; t++)
        if (k->term[t].pool) {
            ptrdiff_t need = pool_scratch(k->term[t].pool);
            most = need > most ? need : most;
        }
    w->pool_scratch = take(&at, most);
    return at - base;
}

static int64_t mix_scratch(const KMix *k)
{
    MixWork w;
    return mix_work(k, 0, &w);
}

/* Pixels of term t, block b, image n, rows [r, r + rows): in place, or pooled into `room`. */
static const float *mix_pixels(const KMix *k, const MixWork *w, const KTerm *t, int64_t n, int32_t b, int32_t r,
                               int32_t rows, float *room)
{
    ptrdiff_t row = (ptrdiff_t)k->width * LANES;
    if (t->y) return t->y + (n * k->blocks + b) * k->height * row + r * row;
    PoolWork p;
    pool_rows_work(t->pool, w->pool_scratch, &p);
    const float *x = t->pool->x + (n * k->blocks + b) * (ptrdiff_t)t->pool->in_h * t->pool->in_w * LANES;
    for (int32_t i = 0; i < rows; i++) pool_row(t->pool, &p, x, r + i, room + i * row, 0);
    return room;
}

INLINE void mix_add(int G, float *out, const float *const *y, const vf *a, vf shift, int first, int32_t n)
{
    for (int32_t p = 0; p < n; p++) {
        ptrdiff_t at = (ptrdiff_t)p * LANES;
        vf v = first ? shift : vload(out + at);
#pragma GCC unroll 4
        for (int i = 0; i < G; i++) v += a[i] * vload(y[i] + at);
        vstore(out + at, v);
    }
}

static void mix_forward(const KMix *k, int64_t n0, int64_t n1, void *scratch)
{
    MixWork w;
    mix_work(k, scratch, &w);
    ptrdiff_t row = (ptrdiff_t)k->width * LANES, run = w.rows * row;
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            ptrdiff_t c = (ptrdiff_t)b * LANES;
            vf shift = vzero();
            for (int32_t t = 0; t < k->terms; t++)
                if (k->term[t].shift && !k->term[t].relu) {
                    float m = k->term[t].sample_scale ? k->term[t].sample_scale[n] : 1;
                    shift += vload(k->term[t].shift + c) * m;
                }
            for (int32_t r = 0; r < k->height; r += w.rows) {
                int32_t rows = at_most(w.rows, k->height - r), pixels = rows * k->width, group = 0;
                float *out = k->out + (n * k->blocks + b) * k->height * row + r * row;
                const float *y[MIX_GROUP];
                vf a[MIX_GROUP];
                int first = 1;
                for (int32_t t = 0; t < k->terms; t++) {
                    const KTerm *term = &k->term[t];
                    float m = term->sample_scale ? term->sample_scale[n] : 1;
                    if (m == 0) continue;
                    const float *from = mix_pixels(k, &w, term, n, b, r, rows, w.pooled + group * run);
                    vf scale = vload(term->scale + c) * m;
                    if (term->relu) {
                        vf s = term->relu_scale ? vload(term->relu_scale + c) : vset(1);
                        vf h = term->relu_scale ? vload(term->relu_shift + c) : vzero();
                        for (int32_t p = 0; p < pixels; p++) {
                            vf v = first ? shift : vload(out + (ptrdiff_t)p * LANES);
                            v += scale * vmax(vzero(), vload(from + (ptrdiff_t)p * LANES) * s + h);
                            vstore(out + (ptrdiff_t)p * LANES, v);
                        }
                        first = 0;
                        continue;
                    }
                    y[group] = from;
                    a[group++] = scale;
                    if (group == MIX_GROUP) {
                        mix_add(MIX_GROUP, out, y, a, shift, first, pixels);
                        group = first = 0;
                    }
                }
                switch (group) {
                case 1: mix_add(1, out, y, a, shift, first, pixels); break;
                case 2: mix_add(2, out, y, a, shift, first, pixels); break;
                case 3: mix_add(3, out, y, a, shift, first, pixels); break;
                default:
                    if (first)
                        for (int32_t p = 0; p < pixels; p++) vstore(out + (ptrdiff_t)p * LANES, shift);
                }
            }
        }
}

/* s1[i] += sum g*y_i; with `total` also s0 += sum g. */
INLINE void mix_reduce(int G, const float *g, const float *const *y, vf *s1, vf *s0, int32_t n)
{
    vf a[MIX_GROUP], b[MIX_GROUP], t = vzero(), u = vzero();
#pragma GCC unroll 4
    for (int i = 0; i < G; i++) a[i] = b[i] = vzero();
    int32_t p = 0;
    for (; p + 2 <= n; p += 2) {
        ptrdiff_t at = (ptrdiff_t)p * LANES;
        vf g0 = vload(g + at), g1 = vload(g + at + LANES);
        t += g0;
        u += g1;
#pragma GCC unroll 4
        for (int i = 0; i < G; i++) {
            a[i] += g0 * vload(y[i] + at);
            b[i] += g1 * vload(y[i] + at + LANES);
        }
    }
    if (p < n) {
        vf g0 = vload(g + (ptrdiff_t)p * LANES);
        t += g0;
#pragma GCC unroll 4
        for (int i = 0; i < G; i++) a[i] += g0 * vload(y[i] + (ptrdiff_t)p * LANES);
    }
#pragma GCC unroll 4
    for (int i = 0; i < G; i++) s1[i] += a[i] + b[i];
    if (s0) *s0 += t + u;
}

static void mix_backward(const KMix *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    MixWork w;
    mix_work(k, scratch, &w);
    ptrdiff_t row = (ptrdiff_t)k->width * LANES, run = w.rows * row, channels = (ptrdiff_t)k->blocks * LANES;
    double *sums = k->sums + slot * (1 + 2 * (int64_t)k->terms) * channels;
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            ptrdiff_t c = (ptrdiff_t)b * LANES;
            const float *g_image = k->g + (n * k->blocks + b) * k->height * row;
            vf total = vzero();
            /* The terms that share g as it is, four at a time; each reads its own tensor once. */
            for (int32_t from = 0; from < k->terms || from == 0;) {
                const KTerm *term[MIX_GROUP];
                int32_t index[MIX_GROUP], count = 0, t = from;
                for (; t < k->terms && count < MIX_GROUP; t++)
                    if (!k->term[t].relu) term[count] = &k->term[t], index[count++] = t;
                vf s1[MIX_GROUP] = {vzero(), vzero(), vzero(), vzero()};
                for (int32_t r = 0; r < k->height; r += w.rows) {
                    int32_t rows = at_most(w.rows, k->height - r), pixels = rows * k->width;
                    const float *g = g_image + r * row, *y[MIX_GROUP];
                    for (int i = 0; i < count; i++)
                        y[i] = mix_pixels(k, &w, term[i], n, b, r, rows, w.pooled + i * run);
                    vf *s0 = from == 0 ? &total : 0;
                    switch (count) {
                    case 0: mix_reduce(0, g, y, s1, s0, pixels); break;
                    case 1: mix_reduce(1, g, y, s1, s0, pixels); break;
                    case 2: mix_reduce(2, g, y, s1, s0, pixels); break;
                    case 3: mix_reduce(3, g, y, s1, s0, pixels); break;
                    default: mix_reduce(4, g, y, s1, s0, pixels);
                    }
                    for (int i = 0; i < count; i++)
                        if (term[i]->gx) {
                            float *gx = term[i]->gx + (n * k->blocks + b) * k->height * row + r * row;
                            vf a = vload(term[i]->scale + c) * (term[i]->sample_scale ? term[i]->sample_scale[n] : 1);
                            for (int32_t p = 0; p < pixels; p++)
                                vstore(gx + (ptrdiff_t)p * LANES,
                                       vload(gx + (ptrdiff_t)p * LANES) + a * vload(g + (ptrdiff_t)p * LANES));
                        }
                }
                for (int i = 0; i < count; i++) {
                    float m = term[i]->sample_scale ? term[i]->sample_scale[n] : 1;
                    vadd_double(sums + (1 + 2 * (ptrdiff_t)index[i]) * channels + c, total * m);
                    vadd_double(sums + (2 + 2 * (ptrdiff_t)index[i]) * channels + c, s1[i] * m);
                }
                from = t > from ? t : from + 1;
            }
            vadd_double(sums + c, total);
            for (int32_t i = 0; i < k->terms; i++) {
                const KTerm *t = &k->term[i];
                if (!t->relu) continue;
                float m = t->sample_scale ? t->sample_scale[n] : 1;
                vf s = t->relu_scale ? vload(t->relu_scale + c) : vset(1);
                vf h = t->relu_scale ? vload(t->relu_shift + c) : vzero();
                vf a = vload(t->scale + c) * m, s0 = vzero(), s1 = vzero();
                for (int32_t r = 0; r < k->height; r += w.rows) {
                    int32_t rows = at_most(w.rows, k->height - r), pixels = rows * k->width;
                    const float *g = g_image + r * row, *y = mix_pixels(k, &w, t, n, b, r, rows, w.pooled);
                    float *gx = t->gx ? t->gx + (n * k->blocks + b) * k->height * row + r * row : 0;
                    for (int32_t p = 0; p < pixels; p++) {
                        vf yy = vload(y + (ptrdiff_t)p * LANES);
                        vf gg = vmask(yy * s + h > vzero(), vload(g + (ptrdiff_t)p * LANES));
                        s0 += gg;
                        s1 += gg * yy;
                        if (gx) vstore(gx + (ptrdiff_t)p * LANES, vload(gx + (ptrdiff_t)p * LANES) + a * gg);
                    }
                }
                vadd_double(sums + (1 + 2 * (ptrdiff_t)i) * channels + c, s0 * m);
                vadd_double(sums + (2 + 2 * (ptrdiff_t)i) * channels + c, s1 * m);
            }
        }
}

/* ---- select ---- */

/* Lane l of output block b reads the pixels from[l][p * step[l]] of image n; a lane beyond the channels reads zero.
 * Returns whether the block is a block of the input as it is. */
INLINE int select_lanes(const KSelect *k, int64_t n, int32_t b, float *const *base, const float **from, ptrdiff_t *step)
{
    static const float zero;
    ptrdiff_t pixels = (ptrdiff_t)k->height * k->width;
    int whole = 1;
    for (int l = 0; l < LANES; l++) {
        int32_t c = b * LANES + l;
        from[l] = &zero;
        step[l] = 0;
        if (c < k->channels && base[k->part[c]]) {
            int32_t part = k->part[c], place = k->place[c];
            from[l] = base[part] + ((n * k->part_blocks[part] + place / LANES) * pixels) * LANES + place % LANES;
            step[l] = LANES;
        }
        whole &= step[l] && from[l] == from[0] + l;
    }
    return whole && (k->place[b * LANES] % LANES == 0);
}

static void select_forward(const KSelect *k, int64_t n0, int64_t n1)
{
    ptrdiff_t pixels = (ptrdiff_t)k->height * k->width, step[LANES];
    const float *from[LANES];
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            float *y = k->y + (n * k->blocks + b) * pixels * LANES;
            if (select_lanes(k, n, b, (float *const *)k->x, from, step)) {
                memcpy(y, from[0], (size_t)(pixels * LANES) * sizeof *y);
                continue;
            }
            for (ptrdiff_t p = 0; p < pixels; p++)
                for (int l = 0; l < LANES; l++) y[p * LANES + l] = from[l][p * step[l]];
        }
}

static void select_backward(const KSelect *k, int64_t n0, int64_t n1)
{
    ptrdiff_t pixels = (ptrdiff_t)k->height * k->width, step[LANES];
    const float *to[LANES];
    for (int64_t n = n0; n < n1; n++)
        for (int32_t b = 0; b < k->blocks; b++) {
            const float *g = k->g + (n * k->blocks + b) * pixels * LANES;
            if (select_lanes(k, n, b, k->gx, to, step)) {
                float *gx = (float *)to[0];
                for (ptrdiff_t p = 0; p < pixels; p++)
                    vstore(gx + p * LANES, vload(gx + p * LANES) + vload(g + p * LANES));
                continue;
            }
            for (int l = 0; l < LANES; l++)
                for (ptrdiff_t p = 0; step[l] && p < pixels; p++) ((float *)to[l])[p * LANES] += g[p * LANES + l];
        }
}

/* ---- learned ---- */

enum { LEARNED_RUN = 64 }; /* elements, in the order of the parameters, at a time */

/* Element i, in the order of the parameters, within an image. */
INLINE ptrdiff_t learned_place(const KLearned *k, int64_t i)
{
    int64_t c = i / k->pixels;
    return ((ptrdiff_t)(c / LANES) * k->pixels + i % k->pixels) * LANES + c % LANES;
}

static void learned_forward(const KLearned *k, int64_t n0, int64_t n1)
{
    int64_t size = (int64_t)k->channels * k->pixels, image = (int64_t)k->blocks * k->pixels * LANES;
    for (int64_t n = n0; n < n1; n++) {
        float *y = k->y + n * image;
        if (k->channels % LANES) memset(y, 0, (size_t)image * sizeof *y);
        for (int64_t at = 0; at < size; at += LEARNED_RUN) {
            int64_t count = size - at < LEARNED_RUN ? size - at : LEARNED_RUN;
            float run[LEARNED_RUN], *sum = run;
            __asm__(""
                    : "+r"(sum)); /* a buffer, meant to be in memory: tests/check-spills takes it for none of gcc's */
            for (int64_t i = 0; i < count; i++) sum[i] = k->scale * k->bias[at + i];
            for (int64_t l = 0; l < k->latent; l++)
                for (int64_t i = 0; i < count; i++) sum[i] += k->z[l] * k->weight[l * size + at + i];
            for (int64_t i = 0; i < count; i++) y[learned_place(k, at + i)] = sum[i];
        }
    }
}

static void learned_backward(const KLearned *k, int64_t n0, int64_t n1, int64_t slot)
{
    int64_t size = (int64_t)k->channels * k->pixels, image = (int64_t)k->blocks * k->pixels * LANES;
    float *g_bias = k->g_all + slot * (size + k->latent * (size + 1)), *g_weight = g_bias + size;
    float *g_z = g_weight + k->latent * size;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t at = 0; at < size; at += LEARNED_RUN) {
            int64_t count = size - at < LEARNED_RUN ? size - at : LEARNED_RUN;
            float g[LEARNED_RUN];
            for (int64_t i = 0; i < count; i++) {
                g[i] = k->g[n * image + learned_place(k, at + i)];
                g_bias[at + i] += k->scale * g[i];
            }
            for (int64_t l = 0; l < k->latent; l++) {
                const float *w = k->weight + l * size + at;
                float *gw = g_weight + l * size + at, s[8] = {0};
                int64_t i = 0;
                for (; i + 8 <= count; i += 8)
                    for (int j = 0; j < 8; j++) {
                        gw[i + j] += k->z[l] * g[i + j];
                        s[j] += w[i + j] * g[i + j];
                    }
                for (; i < count; i++) {
                    gw[i] += k->z[l] * g[i];
                    s[0] += w[i] * g[i];
                }
                g_z[l] += ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
            }
        }
}

/* ---- resize ---- */

static const double resize_epsilon = 1e-6; /* of the variance */

static int64_t resize_scratch(const KResize *k)
{
    return 2 * (int64_t)sizeof(float) * k->blocks * k->in_h * k->in_w * LANES;
}

/* 1 in the lanes of block b that hold channels. */
INLINE vf resize_lanes(const KResize *k, int32_t b)
{
    vf lanes = vzero();
    for (int l = 0; l < LANES; l++) lanes[l] = b * LANES + l < k->channels ? 1.0f : 0.0f;
    return lanes;
}

static void resize_load(const KResize *k, int64_t n, float *t)
{
    ptrdiff_t image = (ptrdiff_t)k->blocks * k->in_h * k->in_w * LANES;
    const float *x = k->x + n * image;
    for (ptrdiff_t i = 0; i < image; i++) t[i] = k->tanh ? __builtin_tanhf(x[i]) : x[i];
}

/* Output rows and columns lie `step` apart where the rest are zeros. */
INLINE int32_t resize_step(const KResize *k)
{
    return k->kind == 2 ? k->factor : 1;
}

static void resize_forward(const KResize *k, int64_t n0, int64_t n1, void *scratch)
{
    ptrdiff_t h = (ptrdiff_t)k->in_h * k->factor, w = (ptrdiff_t)k->in_w * k->factor, step = resize_step(k);
    ptrdiff_t in = (ptrdiff_t)k->in_h * k->in_w * LANES, row = (ptrdiff_t)k->in_w * LANES;
    double count = (double)k->channels * (double)(h / step) * (double)(w / step);
    float *t = scratch;
    for (int64_t n = n0; n < n1; n++) {
        float *image = k->y + n * k->blocks * h * w * LANES;
        double sum[LANES] = {0}, square[LANES] = {0}, mean = 0, variance = 0, invstd = 1;
        resize_load(k, n, t);
        for (int32_t b = 0; b < k->blocks; b++)
            for (int32_t oy = 0; oy < h; oy++) {
                float *y = image + (b * h + oy) * w * LANES;
                KBlend v = k_blend(k->kind, k->factor, k->in_h, oy);
                const float *low = t + b * in + v.low * row, *high = t + b * in + v.high * row;
                vf s = vzero();
                for (int32_t ox = 0; ox < w; ox++) {
                    KBlend u = k_blend(k->kind, k->factor, k->in_w, ox);
                    ptrdiff_t left = (ptrdiff_t)u.low * LANES, right = (ptrdiff_t)u.high * LANES;
                    vf a = v.low_weight * vload(low + left) + v.high_weight * vload(high + left);
                    vf c = v.low_weight * vload(low + right) + v.high_weight * vload(high + right);
                    vf r = u.low_weight * a + u.high_weight * c;
                    vstore(y + ox * LANES, r);
                    s += r;
                }
                vadd_double(sum, s);
            }
        for (int l = 0; l < LANES; l++) mean += sum[l] / count;
        if (k->norm) {
            for (int32_t b = 0; b < k->blocks; b++) {
                vf lanes = resize_lanes(k, b);
                for (ptrdiff_t oy = 0; oy < h; oy += step) {
                    const float *y = image + (b * h + oy) * w * LANES;
                    vf s = vzero();
                    for (ptrdiff_t ox = 0; ox < w; ox += step) {
                        vf d = lanes * (vload(y + ox * LANES) - (float)mean);
                        s += d * d;
                    }
                    vadd_double(square, s);
                }
            }
            for (int l = 0; l < LANES; l++) variance += square[l] / count;
            invstd = 1 / __builtin_sqrt(variance + resize_epsilon);
            for (int32_t b = 0; b < k->blocks; b++) {
                vf lanes = (float)invstd * resize_lanes(k, b);
                for (ptrdiff_t oy = 0; oy < h; oy += step) {
                    float *y = image + (b * h + oy) * w * LANES;
                    for (ptrdiff_t ox = 0; ox < w; ox += step)
                        vstore(y + ox * LANES, lanes * (vload(y + ox * LANES) - (float)mean));
                }
            }
        }
        k->invstd[n] = invstd;
    }
}

static void resize_backward(const KResize *k, int64_t n0, int64_t n1, void *scratch)
{
    ptrdiff_t h = (ptrdiff_t)k->in_h * k->factor, w = (ptrdiff_t)k->in_w * k->factor, step = resize_step(k);
    ptrdiff_t in = (ptrdiff_t)k->in_h * k->in_w * LANES, row = (ptrdiff_t)k->in_w * LANES;
    double count = (double)k->channels * (double)(h / step) * (double)(w / step);
    float *t = scratch, *gt = t + k->blocks * in;
    for (int64_t n = n0; n < n1; n++) {
        const float *g_image = k->g + n * k->blocks * h * w * LANES, *y_image = k->y + n * k->blocks * h * w * LANES;
        float *gx = k->gx + n * k->blocks * in;
        double sum[LANES] = {0}, product[LANES] = {0}, mean_g = 0, mean_gy = 0;
        resize_load(k, n, t);
        memset(gt, 0, (size_t)(k->blocks * in) * sizeof *gt);
        for (int32_t b = 0; k->norm && b < k->blocks; b++) {
            vf lanes = resize_lanes(k, b);
            for (ptrdiff_t oy = 0; oy < h; oy += step) {
                const float *g = g_image + (b * h + oy) * w * LANES, *y = y_image + (b * h + oy) * w * LANES;
                vf s = vzero(), p = vzero();
                for (ptrdiff_t ox = 0; ox < w; ox += step) {
                    s += vload(g + ox * LANES);
                    p += vload(g + ox * LANES) * vload(y + ox * LANES);
                }
                vadd_double(sum, lanes * s);
                vadd_double(product, p);
            }
        }
        for (int l = 0; l < LANES; l++) mean_g += sum[l] / count, mean_gy += product[l] / count;
        for (int32_t b = 0; b < k->blocks; b++) {
            vf lanes = (float)k->invstd[n] * resize_lanes(k, b);
            for (int32_t oy = 0; oy < h; oy += (int32_t)step) {
                const float *g = g_image + (b * h + oy) * w * LANES, *y = y_image + (b * h + oy) * w * LANES;
                KBlend v = k_blend(k->kind, k->factor, k->in_h, oy);
                float *low = gt + b * in + v.low * row, *high = gt + b * in + v.high * row;
                for (int32_t ox = 0; ox < w; ox += (int32_t)step) {
                    KBlend u = k_blend(k->kind, k->factor, k->in_w, ox);
                    ptrdiff_t left = (ptrdiff_t)u.low * LANES, right = (ptrdiff_t)u.high * LANES;
                    vf d = vload(g + ox * LANES) - (float)mean_g - vload(y + ox * LANES) * (float)mean_gy;
                    vf a = lanes * d * v.low_weight, c = lanes * d * v.high_weight;
                    vstore(low + left, vload(low + left) + u.low_weight * a);
                    vstore(low + right, vload(low + right) + u.high_weight * a);
                    vstore(high + left, vload(high + left) + u.low_weight * c);
                    vstore(high + right, vload(high + right) + u.high_weight * c);
                }
            }
        }
        for (ptrdiff_t i = 0; i < k->blocks * in; i++) gx[i] += k->tanh ? gt[i] * (1 - t[i] * t[i]) : gt[i];
    }
}

/* ---- head ---- */

static void head_forward(const KHead *k, int64_t n0, int64_t n1)
{
    ptrdiff_t pixels = (ptrdiff_t)k->height * k->width;
    for (int64_t n = n0; n < n1; n++) {
        float *pooled = k->pooled + n * k->channels;
        int32_t at = 0;
        for (int part = 0; part < k->parts; at += k->part_channels[part++])
            for (int32_t b = 0; b < k->part_blocks[part]; b++) {
                const float *x = k->x[part] + (n * k->part_blocks[part] + b) * pixels * LANES;
                vf s = vzero();
                for (ptrdiff_t p = 0; p < pixels; p++) s += vload(x + p * LANES);
                s *= 1.0f / (float)pixels;
                for (int i = 0; i < LANES && b * LANES + i < k->part_channels[part]; i++)
                    pooled[at + b * LANES + i] = s[i];
            }
        for (int32_t o = 0; o < k->outputs; o++) {
            double s = k->bias[o];
            for (int32_t c = 0; c < k->channels; c++)
                s += (double)pooled[c] * (double)k->weight[(ptrdiff_t)o * k->channels + c];
            k->logits[n * k->outputs + o] = (float)s;
        }
    }
}

static void head_backward(const KHead *k, int64_t n0, int64_t n1, int64_t slot)
{
    ptrdiff_t pixels = (ptrdiff_t)k->height * k->width, size = (ptrdiff_t)k->outputs * k->channels + k->outputs;
    for (int64_t n = n0; n < n1; n++) {
        const float *g = k->g_logits + n * k->outputs, *pooled = k->pooled + n * k->channels;
        if (k->g_weight) {
            float *gw = k->g_weight + slot * size, *gb = gw + (ptrdiff_t)k->outputs * k->channels;
            for (int32_t o = 0; o < k->outputs; o++) {
                for (int32_t c = 0; c < k->channels; c++) gw[(ptrdiff_t)o * k->channels + c] += g[o] * pooled[c];
                gb[o] += g[o];
            }
        }
        int32_t at = 0;
        for (int part = 0; part < k->parts; at += k->part_channels[part++])
            for (int32_t b = 0; k->gx[part] && b < k->part_blocks[part]; b++) {
                float lane[LANES] __attribute__((aligned(64))) = {0};
                for (int i = 0; i < LANES && b * LANES + i < k->part_channels[part]; i++) {
                    double s = 0;
                    for (int32_t o = 0; o < k->outputs; o++)
                        s += (double)g[o] * (double)k->weight[(ptrdiff_t)o * k->channels + at + b * LANES + i];
                    lane[i] = (float)(s / (double)pixels);
                }
                vf v = vload(lane);
                float *gx = k->gx[part] + (n * k->part_blocks[part] + b) * pixels * LANES;
                for (ptrdiff_t p = 0; p < pixels; p++) vstore(gx + p * LANES, vload(gx + p * LANES) + v);
            }
    }
}

/* ---- flat blocks: plain loops that the compiler vectorises ---- */

static void block_sgd(const KSgd *k, int64_t n, float *restrict w, const float *restrict g, float *restrict velocity)
{
    float lr = k->lr, m = k->momentum, decay = k->decay, scale = k->scale;
    if (k->nesterov) {
        for (int64_t i = 0; i < n; i++) {
            float d = scale * g[i] + decay * w[i], v = m * velocity[i] + d;
            velocity[i] = v;
            w[i] -= lr * (d + m * v);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            float v = m * velocity[i] + (scale * g[i] + decay * w[i]);
            velocity[i] = v;
            w[i] -= lr * v;
        }
    }
}

static void block_adam(const KAdam *k, int64_t n, float *restrict w, const float *restrict g, float *restrict m,
                       float *restrict v)
{
    float decay = k->decoupled ? 0 : k->decay, shrink = k->decoupled ? 1 - k->lr_plain * k->decay : 1;
    float b1 = k->beta1, b2 = k->beta2, lr = k->lr, eps = k->eps, scale = k->scale;
    for (int64_t i = 0; i < n; i++) {
        float d = scale * g[i] + decay * w[i];
        float mi = b1 * m[i] + (1 - b1) * d, vi_ = b2 * v[i] + (1 - b2) * d * d;
        m[i] = mi;
        v[i] = vi_;
        w[i] = w[i] * shrink - lr * mi / (__builtin_sqrtf(vi_) + eps);
    }
}

static void block_axpy(int64_t n, float *restrict y, double a, const float *restrict x)
{
    float f = (float)a;
    for (int64_t i = 0; i < n; i++) y[i] += f * x[i];
}

static void block_scale(int64_t n, float *y, double a)
{
    float f = (float)a;
    for (int64_t i = 0; i < n; i++) y[i] *= f;
}

/* Eight running sums in double, in a fixed order. */
static double block_dot(int64_t n, const float *x, const float *y)
{
    double s[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += (double)x[i + j] * (double)y[i + j];
    for (; i < n; i++) s[0] += (double)x[i] * (double)y[i];
    for (int j = 0; j < 8; j++) total += s[j];
    return total;
}

/* ---- the table ---- */

#ifndef NAS_ISA
#define NAS_ISA base
#endif
#define TEXT_(x)                #x
#define TEXT(x)                 TEXT_(x)
#define TABLE_NAME_(isa, lanes) nas_cpu_##isa##_##lanes
#define TABLE_NAME(isa, lanes)  TABLE_NAME_(isa, lanes)
#if defined(__AVX512F__)
#define ABOUT "AVX-512"
#elif defined(__AVX2__)
#define ABOUT "AVX2"
#elif defined(__SSE4_2__)
#define ABOUT "SSE4.2"
#else
#define ABOUT "generic vectors"
#endif

extern const NasKernels TABLE_NAME(NAS_ISA, LANES);
const NasKernels TABLE_NAME(NAS_ISA, LANES) = {
    .name = TEXT(NAS_ISA),
    .about = ABOUT,
    .lanes = LANES,
    .conv_scratch = conv_scratch,
    .pool_scratch = pool_scratch,
    .mix_scratch = mix_scratch,
    .resize_scratch = resize_scratch,
    .conv_winograd = conv_winograd,
    .winograd_weights = winograd_weights,
    .conv_forward = conv_forward,
    .conv_backward = conv_backward,
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .mix_forward = mix_forward,
    .mix_backward = mix_backward,
    .head_forward = head_forward,
    .head_backward = head_backward,
    .select_forward = select_forward,
    .select_backward = select_backward,
    .learned_forward = learned_forward,
    .learned_backward = learned_backward,
    .resize_forward = resize_forward,
    .resize_backward = resize_backward,
    .sgd = block_sgd,
    .adam = block_adam,
    .axpy = block_axpy,
    .scale = block_scale,
    .dot = block_dot,
};
