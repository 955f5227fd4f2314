/* winograd: dense 3x3 convolutions of stride 1 by the minimal filtering algorithm F(2x2, 3x3) (Lavin & Gray 2016, Fast
 * Algorithms for Convolutional Neural Networks). Part of kernels_impl.h.
 *
 * The output is cut into tiles of 2x2 pixels. With d the 4x4 input pixels that a tile sees, w a 3x3 filter:
 *
 *     y = A' [ (G w G') . (B' d B) ] A        . element by element, summed over the input channels
 *
 * so that for each of the 16 elements, called frames, there is one matrix product over channels, of 16 multiplications
 * instead of 36 a tile. F(2x2) is as exact as the direct sum (its coefficients are 1 and 1/2) and its weights take 16/9 of
 * the memory; F(4x4) would be faster where images are large, but loses a digit and takes 4 times the memory.
 *
 * The backward pass is the adjoint of the same: dm = A dy A' serves both the gradient of the weights, G' [sum dm . v] G, and
 * that of the input, B [U'dm] B', added up where tiles overlap. A run of tiles of any images is done at a time.
 */

enum {
    WINOGRAD_RUN = 48, /* tiles: whole matrix tiles of every set; v and m of 128 channels are 400 KiB */
    WINOGRAD_FRAMES = 16,
    WINOGRAD_LEAST = 16, /* channels, below which the transforms cost more than the products save */
};

static int conv_winograd(const KConv *k)
{
    int32_t channels = 0;
    for (int32_t b = 0; b < k->in_blocks; b++) channels += k->block_lanes[b];
    if (k->depthwise || k->taps != 9 || k->stride_h != 1 || k->stride_w != 1 || k->out_h != k->in_h ||
        k->out_w != k->in_w || channels < WINOGRAD_LEAST || k->out_blocks * LANES < WINOGRAD_LEAST || k->in_h < 4 ||
        k->in_w < 4)
        return 0;
    for (int t = 0; t < 9; t++)
        if (k->tap_y[t] != t / 3 - 1 || k->tap_x[t] != t % 3 - 1) return 0;
    return 1;
}

static ptrdiff_t winograd_work(const KConv *k, char *base, ConvWork *w)
{
    char *at = base;
    ptrdiff_t f = sizeof(float), run = (ptrdiff_t)WINOGRAD_RUN * LANES;
    int32_t down = (k->out_h + 1) / 2, across = (k->out_w + 1) / 2, most = at_least(k->in_blocks, k->out_blocks);
    w->in = (KPlane){1, 1, 2 * down + 2, 2 * across + 2};
    w->out = (KPlane){0, 0, 2 * down, 2 * across};
    w->in_size = (ptrdiff_t)w->in.height * w->in.width * LANES;
    w->out_size = (ptrdiff_t)w->out.height * w->out.width * LANES;
    w->winograd.across = across, w->winograd.tiles = down * across;
    w->winograd.in_frame = k->in_blocks * run + 16; /* frames in cache sets of their own */
    w->winograd.out_frame = k->out_blocks * run + 16;
    w->planes = take(&at, k->in_blocks * w->in_size * f);
    w->gradients = take(&at, k->out_blocks * w->out_size * f);
    w->winograd.gx = take(&at, k->in_blocks * w->in_size * f);
    w->winograd.v = take(&at, WINOGRAD_FRAMES * w->winograd.in_frame * f);
    w->winograd.m = take(&at, WINOGRAD_FRAMES * w->winograd.out_frame * f);
    w->winograd.u = take(&at, 2 * WINOGRAD_FRAMES * LANES * LANES * f);
    w->sums = take(&at, 2 * (ptrdiff_t)(most + 1) * LANES * f);
    w->gemm.in = take(&at, most * (ptrdiff_t)sizeof(float *));
    w->gemm.w = take(&at, most * (ptrdiff_t)sizeof(float *));
    w->gemm.w2 = take(&at, most * (ptrdiff_t)sizeof(float *));
    w->gemm.lanes = take(&at, most * (ptrdiff_t)sizeof(int32_t));
    return at - base;
}

/* ---- the transforms, of one column or row; each is applied twice ---- */

INLINE void winograd_input(const vf d[4], vf v[4]) /* B' */
{
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
}

INLINE void winograd_input_gradient(const vf v[4], vf d[4]) /* B */
{
    vf s = v[1] - v[2];
    d[0] = v[0];
    d[1] = s + v[3];
    d[2] = v[1] + v[2] - v[0];
    d[3] = -v[3];
}

INLINE void winograd_output(const vf m[4], vf y[2]) /* A' */
{
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
}

INLINE void winograd_output_gradient(const vf y[2], vf m[4]) /* A */
{
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = -y[1];
}

INLINE void winograd_filter(const vf w[3], vf u[4]) /* G */
{
    vf s = vset(0.5f) * (w[0] + w[2]), t = vset(0.5f) * w[1];
    u[0] = w[0];
    u[1] = s + t;
    u[2] = s - t;
    u[3] = w[2];
}

INLINE void winograd_filter_gradient(const vf u[4], vf w[3]) /* G' */
{
    vf s = vset(0.5f) * (u[1] + u[2]);
    w[0] = u[0] + s;
    w[1] = vset(0.5f) * (u[1] - u[2]);
    w[2] = s + u[3];
}

/* to = T from T': `from` is ROWS x ROWS elements, (from_row, from_column) floats apart, `to` TO x TO; `add`: to is added
 * to. */
#define WINOGRAD_APPLY(transform, FROM, TO, add, from, from_row, from_column, to, to_row, to_column)                   \
    do {                                                                                                               \
        vf half_[FROM][TO];                                                                                            \
        _Pragma("GCC unroll 4") for (int i_ = 0; i_ < FROM; i_++)                                                      \
        {                                                                                                              \
            vf line_[FROM];                                                                                            \
            _Pragma("GCC unroll 4") for (int j_ = 0; j_ < FROM; j_++) line_[j_] =                                      \
                vload((from) + j_ * (from_row) + i_ * (from_column));                                                  \
            transform(line_, half_[i_]);                                                                               \
        }                                                                                                              \
        _Pragma("GCC unroll 4") for (int j_ = 0; j_ < TO; j_++)                                                        \
        {                                                                                                              \
            vf line_[FROM], out_[TO];                                                                                  \
            _Pragma("GCC unroll 4") for (int i_ = 0; i_ < FROM; i_++) line_[i_] = half_[i_][j_];                       \
            transform(line_, out_);                                                                                    \
            _Pragma("GCC unroll 4") for (int i_ = 0; i_ < TO; i_++)                                                    \
            {                                                                                                          \
                float *at_ = (to) + j_ * (to_row) + i_ * (to_column);                                                  \
                if (add) out_[i_] += vload(at_);                                                                       \
                vstore(at_, out_[i_]);                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

static void winograd_weights(int64_t n, float *w)
{
    for (int64_t i = 0; i < n; i += LANES) WINOGRAD_APPLY(winograd_filter, 3, 4, 0, w + i, 3 * n, n, w + i, 4 * n, n);
}

/* Tiles [t, t + count) of an image, one block: pixels of a plane into v. */
NOINLINE void winograd_to_v(const ConvWork *w, const float *plane, int32_t t, int32_t count, float *v)
{
    ptrdiff_t row = (ptrdiff_t)w->in.width * LANES, frame = w->winograd.in_frame;
    for (int32_t i = 0; i < count; i++, t++, v += LANES) {
        const float *d = plane + t / w->winograd.across * 2 * row + (ptrdiff_t)(t % w->winograd.across) * 2 * LANES;
        WINOGRAD_APPLY(winograd_input, 4, 4, 0, d, row, LANES, v, 4 * frame, frame);
    }
}

/* The gradient of v is added to the plane's pixels. */
NOINLINE void winograd_from_v(const ConvWork *w, float *plane, int32_t t, int32_t count, const float *v)
{
    ptrdiff_t row = (ptrdiff_t)w->in.width * LANES, frame = w->winograd.in_frame;
    for (int32_t i = 0; i < count; i++, t++, v += LANES) {
        float *d = plane + t / w->winograd.across * 2 * row + (ptrdiff_t)(t % w->winograd.across) * 2 * LANES;
        WINOGRAD_APPLY(winograd_input_gradient, 4, 4, 1, v, 4 * frame, frame, d, row, LANES);
    }
}

/* The gradient of y, in a plane, into m. */
NOINLINE void winograd_to_m(const ConvWork *w, const float *plane, int32_t t, int32_t count, float *m)
{
    ptrdiff_t row = (ptrdiff_t)w->out.width * LANES, frame = w->winograd.out_frame;
    for (int32_t i = 0; i < count; i++, t++, m += LANES) {
        const float *d = plane + t / w->winograd.across * 2 * row + (ptrdiff_t)(t % w->winograd.across) * 2 * LANES;
        WINOGRAD_APPLY(winograd_output_gradient, 2, 4, 0, d, row, LANES, m, 4 * frame, frame);
    }
}

/* From m the output y, one block of an image, and its sums. The last row and column of tiles may stand over. */
NOINLINE void winograd_from_m(const KConv *k, const ConvWork *w, const float *m, int32_t t, int32_t count, float *y,
                              vf *sums)
{
    ptrdiff_t row = (ptrdiff_t)k->out_w * LANES, frame = w->winograd.out_frame;
    vf s = sums[0], q = sums[1];
    for (int32_t i = 0; i < count; i++, t++, m += LANES) {
        int32_t r = t / w->winograd.across * 2, c = t % w->winograd.across * 2;
        float tile[4 * LANES] __attribute__((aligned(64))), *to = y + r * row + (ptrdiff_t)c * LANES;
        WINOGRAD_APPLY(winograd_output, 4, 2, 0, m, 4 * frame, frame, tile, 2 * LANES, LANES);
        for (int j = 0; j < 4; j++) {
            if (r + j / 2 >= k->out_h || c + j % 2 >= k->out_w) continue;
            vf v = vload(tile + j * LANES);
            vstore(to + j / 2 * row + j % 2 * LANES, v);
            s += v;
            q += v * v;
        }
    }
    sums[0] = s, sums[1] = q;
}

/* All frames of out = in * weights for `count` tiles. */
static void winograd_product(const ConvWork *w, const float *in, ptrdiff_t in_frame, int32_t in_blocks,
                             const float *weights, float *out, ptrdiff_t out_frame, int32_t out_blocks, int32_t count)
{
    ptrdiff_t block = (ptrdiff_t)WINOGRAD_RUN * LANES, row = (ptrdiff_t)in_blocks * LANES * LANES;
    for (int f = 0; f < WINOGRAD_FRAMES; f++) {
        for (int32_t b = 0; b < in_blocks; b++) w->gemm.in[b] = in + f * in_frame + b * block;
        gemm_blocks(&w->gemm, in_blocks, weights + f * out_blocks * row, 0, out_blocks, row, out + f * out_frame, block,
                    LANES, LANES, count, 0);
    }
}

static void winograd_forward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    ConvWork w;
    conv_work(k, scratch, &w);
    ptrdiff_t image = (ptrdiff_t)k->out_h * k->out_w * LANES, block = (ptrdiff_t)WINOGRAD_RUN * LANES;
    int64_t tiles = w.winograd.tiles, end = (n1 - n0) * tiles;
    for (int32_t b = 0; b < k->in_blocks; b++) w.gemm.lanes[b] = k->block_lanes[b];
    for (int64_t run = 0; run < end; run += WINOGRAD_RUN) {
        int32_t count = (int32_t)(end - run < WINOGRAD_RUN ? end - run : WINOGRAD_RUN), here;
        for (int32_t t = 0; t < count; t += here) { /* those of one image */
            int32_t first = (int32_t)((run + t) % tiles);
            here = at_most((int32_t)tiles - first, count - t);
            if (!first) conv_planes(k, &w, n0 + (run + t) / tiles);
            for (int32_t b = 0; b < k->in_blocks; b++)
                winograd_to_v(&w, w.planes + b * w.in_size, first, here, w.winograd.v + b * block + t * LANES);
        }
        winograd_product(&w, w.winograd.v, w.winograd.in_frame, k->in_blocks, k->pw, w.winograd.m, w.winograd.out_frame,
                         k->out_blocks, count);
        for (int32_t t = 0; t < count; t += here) {
            int32_t first = (int32_t)((run + t) % tiles);
            float *y = k->y + (n0 + (run + t) / tiles) * k->out_blocks * image;
            here = at_most((int32_t)tiles - first, count - t);
            for (int32_t i = 0; !first && i < 2 * k->out_blocks; i++) w.sums[i] = vzero();
            for (int32_t b = 0; b < k->out_blocks; b++)
                winograd_from_m(k, &w, w.winograd.m + b * block + t * LANES, first, here, y + b * image,
                                w.sums + 2 * b);
            if (first + here == tiles) add_sums(k->sums, slot, k->out_blocks, &w);
        }
    }
}

/* The weights' gradients from v and m of `count` tiles. */
static void winograd_outer(const KConv *k, const ConvWork *w, int32_t count, float *g_pw)
{
    ptrdiff_t block = (ptrdiff_t)WINOGRAD_RUN * LANES, square = LANES * LANES;
    ptrdiff_t frame = (ptrdiff_t)k->out_blocks * k->in_blocks * square;
    float *u = w->winograd.u;
    for (int32_t b = 0; b < k->out_blocks; b += 2)
        for (int32_t c = 0; c < k->in_blocks; c++) {
            int32_t blocks = at_most(2, k->out_blocks - b);
            memset(u, 0, (size_t)(blocks * WINOGRAD_FRAMES * square) * sizeof *u);
            for (int f = 0; f < WINOGRAD_FRAMES; f++)
                outer_blocks(blocks, k->block_lanes[c], u + f * square, WINOGRAD_FRAMES * square,
                             w->winograd.m + f * w->winograd.out_frame + b * block, block, 0,
                             w->winograd.v + f * w->winograd.in_frame + c * block, 0, LANES, 1, count);
            for (int i = 0; i < blocks * LANES; i++) {
                const float *from = u + (ptrdiff_t)(i / LANES * WINOGRAD_FRAMES * LANES + i % LANES) * LANES;
                float *g = g_pw + ((ptrdiff_t)(b + i / LANES) * k->in_blocks + c) * square + i % LANES * LANES;
                WINOGRAD_APPLY(winograd_filter_gradient, 4, 3, 1, from, 4 * square, square, g, 3 * frame, frame);
            }
        }
}

/* The finished data gradient of an image, out of its plane. */
static void winograd_emit(const KConv *k, const ConvWork *w, int64_t n)
{
    for (int32_t b = 0; b < k->in_blocks; b++) {
        float *gx;
        const float *x = conv_input(k, n, b, &gx);
        if (!gx) continue;
        Emit e;
        EmitKind kind = conv_emit(k, w, b, &e);
        for (int32_t r = 0; r < k->in_h; r++) {
            ptrdiff_t at = (ptrdiff_t)r * k->in_w * LANES;
            e.x = x + at;
            emit_row(kind, &e, w->winograd.gx + b * w->in_size + ((ptrdiff_t)(r + 1) * w->in.width + 1) * LANES,
                     gx + at, LANES, k->in_w);
        }
        conv_emitted(w, b, &e);
    }
}

static void winograd_backward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    ConvWork w;
    conv_work(k, scratch, &w);
    int want_data = 0;
    for (int p = 0; p < k->parts; p++) want_data |= k->gx[p] != 0;
    ptrdiff_t image = (ptrdiff_t)k->out_h * k->out_w * LANES, block = (ptrdiff_t)WINOGRAD_RUN * LANES;
    ptrdiff_t out_row = (ptrdiff_t)w.out.width * LANES;
    int64_t tiles = w.winograd.tiles, end = (n1 - n0) * tiles;
    float *g_pw = k->g_pw ? k->g_pw + slot * 9 * k->out_blocks * k->in_blocks * LANES * LANES : 0;
    for (int32_t b = 0; b < k->out_blocks; b++) {
        clear_border(w.gradients + b * w.out_size, &w.out, k->out_h, k->out_w);
        w.gemm.lanes[b] = LANES;
    }
    for (int64_t run = 0; run < end; run += WINOGRAD_RUN) {
        int32_t count = (int32_t)(end - run < WINOGRAD_RUN ? end - run : WINOGRAD_RUN), here;
        for (int32_t t = 0; t < count; t += here) { /* those of one image */
            int32_t first = (int32_t)((run + t) % tiles);
            int64_t n = n0 + (run + t) / tiles;
            here = at_most((int32_t)tiles - first, count - t);
            if (!first && g_pw) conv_planes(k, &w, n);
            for (int32_t b = 0; b < k->in_blocks && g_pw; b++)
                winograd_to_v(&w, w.planes + b * w.in_size, first, here, w.winograd.v + b * block + t * LANES);
            for (int32_t b = 0; b < k->out_blocks; b++) {
                float *plane = w.gradients + b * w.out_size;
                ptrdiff_t at = (n * k->out_blocks + b) * image;
                GradLoad load = grad_load(&k->grad, b, n);
                for (int32_t r = 0; r < k->out_h && !first; r++, at += (ptrdiff_t)k->out_w * LANES)
                    grad_run(&load, k->grad.g + at, k->y + at, plane + r * out_row, k->out_w);
                winograd_to_m(&w, plane, first, here, w.winograd.m + b * block + t * LANES);
            }
        }
        if (g_pw) winograd_outer(k, &w, count, g_pw);
        if (!want_data) continue;
        winograd_product(&w, w.winograd.m, w.winograd.out_frame, k->out_blocks, k->pw_t, w.winograd.v,
                         w.winograd.in_frame, k->in_blocks, count);
        for (int32_t t = 0; t < count; t += here) {
            int32_t first = (int32_t)((run + t) % tiles);
            here = at_most((int32_t)tiles - first, count - t);
            if (!first) {
                memset(w.winograd.gx, 0, (size_t)(k->in_blocks * w.in_size) * sizeof(float));
                for (int32_t i = 0; i < 2 * k->in_blocks; i++) w.sums[i] = vzero();
            }
            for (int32_t b = 0; b < k->in_blocks; b++)
                winograd_from_v(&w, w.winograd.gx + b * w.in_size, first, here, w.winograd.v + b * block + t * LANES);
            if (first + here < tiles) continue;
            winograd_emit(k, &w, n0 + (run + t) / tiles);
            add_sums(k->in_scale ? k->in_sums : 0, slot, k->in_blocks, &w);
        }
    }
}
