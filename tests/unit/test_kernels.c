/* test_kernels: every kernel set that this machine can run against `ref`, and `ref` against finite differences. */
#include "tests/unit/kernel_cases.h"

static Arena memory; /* every case works on a copy */

/* ---- kernel sets ---- */

static const NasKernels *sets[16];
static int set_count;

static void find_sets(void)
{
    while (set_count < COUNTOF(sets) && (sets[set_count] = nas_kernels_cpu_at(set_count))) set_count++;
}

/* How NAS_ISA names them. */
static void test_names(void)
{
    for (int i = 0; i < set_count; i++) {
        const NasKernels *k = sets[i];
        snprintf(label, sizeof label, "%s/%d", k->name, k->lanes);
        CHECK_MSG(nas_kernels_cpu(label, 0) == k, "%s names another set", label);
        CHECK_MSG(nas_kernels_cpu(k->name, k->lanes) == k, "%s, %d lanes: another set", k->name, k->lanes);
        CHECK_MSG(!nas_kernels_cpu(label, 24 - k->lanes), "%s has %d lanes, too", label, 24 - k->lanes);
    }
    CHECK(nas_kernels_cpu("", 0) == sets[0]);
    static const char *const wrong[] = {"v", "v1", "v33", "v3/", "v3/16", "v3/8 ", "/8", "ref", "v4/32"};
    for (int i = 0; i < COUNTOF(wrong); i++) CHECK_MSG(!nas_kernels_cpu(wrong[i], 0), "\"%s\" names a set", wrong[i]);
}

/* ---- convolution ---- */

static const ConvCase conv_cases[] = {
    /* n parts in          h   w  out kh kw sh sw dil depthwise factorized */
    {3, 1, {3}, 7, 7, 5, 3, 3, 1, 1, 1, false, false},
    {3, 1, {5}, 7, 7, 3, 3, 3, 1, 1, 1, true, false},
    {2, 1, {17}, 7, 7, 16, 1, 1, 1, 1, 1, false, false},
    {2, 1, {1}, 19, 35, 17, 3, 3, 2, 2, 1, false, false},
    {2, 1, {16}, 8, 8, 16, 5, 5, 1, 1, 2, true, false},
    {2, 1, {17}, 8, 8, 40, 5, 5, 2, 2, 1, true, false},
    {2, 1, {40}, 7, 7, 17, 3, 3, 2, 2, 2, true, false},
    {1, 1, {3}, 19, 35, 5, 7, 7, 1, 1, 1, true, false},
    {2, 1, {5}, 30, 80, 16, 3, 3, 1, 1, 1, true, false},
    {2, 1, {16}, 1, 64, 17, 1, 7, 1, 2, 1, false, false},
    {3, 1, {5}, 1, 64, 5, 1, 5, 1, 1, 2, true, false},
    {2, 1, {3}, 19, 35, 3, 7, 1, 1, 1, 1, false, false},
    {2, 1, {3}, 19, 35, 3, 1, 7, 1, 1, 1, false, false},
    {2, 1, {16}, 8, 8, 17, 1, 1, 2, 2, 1, false, true},
    {2, 1, {5}, 7, 7, 5, 1, 1, 2, 2, 1, false, true},
    {2, 1, {5}, 1, 64, 3, 1, 1, 1, 2, 1, false, true},
    {2, 3, {5, 17, 3}, 7, 7, 16, 1, 1, 1, 1, 1, false},
    {2, 3, {16, 16, 16}, 8, 8, 17, 1, 1, 2, 2, 1, false, true},
    {2, 2, {17, 5}, 7, 7, 16, 3, 3, 1, 1, 1, false, false},
    {2, 2, {3, 40}, 7, 7, 5, 3, 3, 2, 2, 1, true, false},
    {1, 1, {40}, 7, 7, 40, 3, 3, 1, 1, 1, false, false},
    {1, 1, {3}, 30, 80, 16, 7, 7, 2, 2, 1, false, false},
    {2, 1, {8}, 5, 9, 8, 3, 3, 1, 2, 1, true, false},
    {2, 1, {1}, 1, 1, 1, 3, 3, 1, 1, 1, true, false},
    {4, 1, {48}, 2, 2, 33, 5, 5, 1, 1, 2, true, false},
    /* series: long kernels, odd lengths, kernels longer than the series */
    {2, 1, {6}, 1, 101, 5, 1, 9, 1, 1, 1, true, false},
    {3, 1, {17}, 1, 151, 16, 1, 19, 1, 2, 1, true, false},
    {2, 1, {5}, 1, 20, 17, 1, 39, 1, 1, 1, true, false},
    {2, 1, {3}, 1, 37, 5, 1, 49, 1, 2, 1, true, false},
    {1, 1, {16}, 1, 128, 16, 1, 39, 1, 1, 2, true, false},
    {2, 1, {9}, 1, 7, 8, 1, 39, 1, 2, 2, true, false},
    {2, 1, {3}, 1, 61, 17, 1, 49, 1, 1, 1, false, false},
    {2, 1, {5}, 6, 33, 5, 1, 19, 2, 2, 1, true, false},
    {2, 1, {7}, 1, 1, 3, 1, 39, 1, 1, 1, true, false},
    {2, 1, {5}, 1, 65, 6, 1, 1, 1, 2, 1, false, true},
};

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
        compare_conv_results(c, &got, &want);
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

static const PoolCase pool_cases[] = {
    {3, 3, 7, 7, 3, 3, 1, 1, 1, 1, 0},    {2, 17, 7, 7, 3, 3, 2, 2, 1, 1, 0},  {2, 5, 19, 35, 3, 3, 2, 2, 1, 1, 0},
    {2, 40, 8, 8, 3, 3, 1, 1, 1, 1, 0},   {2, 16, 1, 64, 1, 3, 1, 2, 0, 1, 0}, {2, 1, 1, 64, 1, 3, 1, 1, 0, 1, 0},
    {2, 3, 30, 80, 3, 3, 1, 1, 1, 1, 0},  {2, 16, 8, 8, 2, 2, 1, 1, 0, 0, 1},  {2, 5, 7, 7, 2, 2, 2, 2, 0, 0, 1},
    {2, 17, 19, 35, 5, 5, 2, 2, 2, 2, 0}, {1, 8, 2, 2, 3, 3, 1, 1, 1, 1, 0},   {2, 3, 1, 1, 3, 3, 1, 1, 1, 1, 0},
    {2, 9, 7, 5, 3, 3, 1, 2, 1, 1, 0},    {2, 5, 1, 64, 1, 2, 1, 2, 0, 0, 1},  {2, 6, 1, 101, 1, 3, 1, 2, 0, 1, 0},
    {2, 17, 1, 151, 1, 5, 1, 1, 0, 2, 0}, {2, 3, 6, 33, 1, 3, 2, 2, 0, 1, 0},  {2, 5, 1, 1, 1, 5, 1, 2, 0, 2, 0},
};

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
                compare_pool_results(c, &got, &want);
            }
        }
}

/* ---- mix ---- */

static const char *const mix_cases[] = {
    "r", "i", "rr", "R", "a", "m", "riam", "rrrrrr", "aaaaam", "rsRs", "isrsmsasR", "RrPiRsPsrrrr", "isPr"};
static const int mix_shapes[][4] = {{2, 3, 7, 7},   {3, 17, 7, 7},  {2, 5, 19, 35}, {2, 40, 8, 8},
                                    {2, 16, 1, 64}, {1, 8, 30, 80}, {2, 1, 1, 1}}; /* n channels h w */

static void test_mix(void)
{
    for (int i = 0; i < COUNTOF(mix_cases); i++)
        for (int j = 0; j < COUNTOF(mix_shapes); j++) {
            const int *shape = mix_shapes[j];
            MixCase c = {mix_cases[i], shape[0], shape[1], shape[2], shape[3]};
            Arena scratch = memory;
            snprintf(label, sizeof label, "ref mix");
            MixResult want = run_mix(&scratch, nas_kernels_ref(), &c);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d mix %s n%d c%d %dx%d", sets[s]->name, sets[s]->lanes, c.kinds, c.n,
                         c.channels, c.h, c.w);
                MixResult got = run_mix(&each, sets[s], &c);
                compare_mix_results(&c, &got, &want);
            }
        }
}

/* ---- head ---- */

static void test_head(void)
{
    static const HeadCase cases[] = {
        {3, {5, 17}, 7, 7, 10}, {1, {1, 3}, 1, 1, 1}, {4, {40, 16}, 8, 8, 3}, {2, {8, 9}, 1, 64, 37}};
    static const int combos[] = {0, NO_WEIGHTS, NO_GX, NO_WEIGHTS | NO_GX};
    for (int i = 0; i < COUNTOF(cases); i++)
        for (int f = 0; f < COUNTOF(combos); f++) {
            Arena scratch = memory;
            HeadResult want = run_head(&scratch, nas_kernels_ref(), &cases[i], combos[f]);
            for (int s = 0; s < set_count; s++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d head %d flags %d", sets[s]->name, sets[s]->lanes, i, combos[f]);
                HeadResult got = run_head(&each, sets[s], &cases[i], combos[f]);
                compare_head_results(&cases[i], &got, &want);
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

/* ---- learned ---- */

typedef struct {
    float *y, *g;
} LearnedResult;

static LearnedResult run_learned(Arena *a, const NasKernels *kernels, int n, int channels, int pixels, int latent)
{
    Map m = map_one(a, kernels->lanes, channels);
    int64_t size = channels * pixels, all = size + latent * (size + 1);
    KLearned k = {.latent = latent, .channels = channels, .blocks = m.blocks, .pixels = pixels, .scale = 1.5f};
    k.bias = source(a, size, 1), k.weight = source(a, latent * size, 2), k.z = source(a, latent, 3);
    k.y = pack(a, &m, source(a, n * size, 4), n, pixels, 7);
    k.g = pack(a, &m, source(a, n * size, 5), n, pixels, 0);
    k.g_all = source(a, 2 * all, 6);
    kernels->learned_forward(&k, 0, 1);
    kernels->learned_backward(&k, 0, 1, 0);
    if (n > 1) kernels->learned_forward(&k, 1, n);
    if (n > 1) kernels->learned_backward(&k, 1, n, 1);
    LearnedResult r = {unpack(a, &m, k.y, n, pixels, "y"), k.g_all};
    check_guards();
    return r;
}

static void test_learned(void)
{
    static const int shapes[][4] = {/* n, channels, pixels, latent */
                                    {1, 3, 6, 5}, {3, 17, 7, 4},  {1, 32, 48, 16},
                                    {2, 1, 1, 1}, {1, 16, 35, 0}, {2, 5, 12, 0}};
    for (int i = 0; i < COUNTOF(shapes); i++) {
        const int *c = shapes[i];
        int size = c[1] * c[2], all = size + c[3] * (size + 1);
        Arena scratch = memory;
        LearnedResult want = run_learned(&scratch, nas_kernels_ref(), c[0], c[1], c[2], c[3]);
        for (int s = 0; s < set_count; s++) {
            Arena each = scratch;
            snprintf(label, sizeof label, "%s/%d learned %d", sets[s]->name, sets[s]->lanes, i);
            LearnedResult got = run_learned(&each, sets[s], c[0], c[1], c[2], c[3]);
            compare("y", c[0] * size, got.y, want.y);
            compare("g", 2 * all, got.g, want.g);
        }
    }
}

/* ---- resize ---- */

typedef struct {
    int n, channels, h, w, factor, kind, tanh, norm;
} ResizeCase;
typedef struct {
    float *y, *gx;
} ResizeResult;

static ResizeResult run_resize(Arena *a, const NasKernels *kernels, const ResizeCase *c, const float *x, const float *g)
{
    Map m = map_one(a, kernels->lanes, c->channels);
    int64_t in = c->h * c->w, out = in * c->factor * c->factor, half = (c->n + 1) / 2;
    KResize k = {.channels = c->channels,
                 .blocks = m.blocks,
                 .in_h = c->h,
                 .in_w = c->w,
                 .factor = c->factor,
                 .kind = c->kind,
                 .tanh = c->tanh,
                 .norm = c->norm};
    k.x = pack(a, &m, x, c->n, in, 0);
    k.gx = pack(a, &m, source(a, c->n * c->channels * in, 3), c->n, in, 0);
    k.y = pack(a, &m, source(a, c->n * c->channels * out, 4), c->n, out, 7);
    k.g = pack(a, &m, g, c->n, out, 0);
    k.invstd = guarded(a, c->n * (int64_t)sizeof(double));
    void *scratch = guarded(a, kernels->resize_scratch(&k));
    kernels->resize_forward(&k, 0, half, scratch);
    if (half < c->n) kernels->resize_forward(&k, half, c->n, scratch);
    kernels->resize_backward(&k, 0, half, scratch);
    if (half < c->n) kernels->resize_backward(&k, half, c->n, scratch);
    ResizeResult r = {unpack(a, &m, k.y, c->n, out, "y"), unpack(a, &m, k.gx, c->n, in, "gx")};
    check_guards();
    return r;
}

static void test_resize(void)
{
    static const int shapes[][5] = {/* n, channels, h, w, factor */
                                    {3, 5, 4, 6, 2},  {1, 17, 3, 5, 2}, {2, 6, 4, 6, 3},
                                    {1, 16, 5, 7, 1}, {2, 2, 1, 1, 4},  {1, 40, 1, 9, 2}};
    for (int i = 0; i < COUNTOF(shapes); i++)
        for (int way = 0; way < 12; way++) {
            const int *s = shapes[i];
            ResizeCase c = {s[0], s[1], s[2], s[3], s[4], way / 4, way & 1, way / 2 & 1};
            Arena scratch = memory;
            int64_t in = c.n * c.channels * c.h * c.w, out = in * c.factor * c.factor;
            float *x = source(&scratch, in, 1), *g = source(&scratch, out, 2), *d = source(&scratch, in, 5);
            snprintf(label, sizeof label, "ref resize %d way %d", i, way);
            ResizeResult want = run_resize(&scratch, nas_kernels_ref(), &c, x, g);
            double slope = 0, f[2] = {0}, step = 1e-3; /* finite differences along d */
            float *start = source(&scratch, in, 3), *moved = NEW(&scratch, float, in);
            for (int64_t k = 0; k < in; k++) slope += (double)d[k] * (want.gx[k] - start[k]);
            for (int side = 0; side < 2; side++) {
                for (int64_t k = 0; k < in; k++) moved[k] = (float)(x[k] + (side ? -step : step) * d[k]);
                ResizeResult r = run_resize(&scratch, nas_kernels_ref(), &c, moved, g);
                for (int64_t k = 0; k < out; k++) f[side] += (double)g[k] * r.y[k];
            }
            CHECK_MSG(fabs((f[0] - f[1]) / (2 * step) - slope) <= 2e-3 * (fabs(slope) + sqrt((double)out)),
                      "%s: slope %g, gradient says %g", label, (f[0] - f[1]) / (2 * step), slope);
            for (int k = 0; k < set_count; k++) {
                Arena each = scratch;
                snprintf(label, sizeof label, "%s/%d resize %d way %d", sets[k]->name, sets[k]->lanes, i, way);
                ResizeResult got = run_resize(&each, sets[k], &c, x, g);
                compare("y", out, got.y, want.y);
                compare("gx", in, got.gx, want.gx);
            }
        }
    /* by hand: three values, doubled */
    Arena scratch = memory;
    float x[3] = {1, 5, -3}, g[12] = {0};
    static const float want[3][6] = {{1, 1, 5, 5, -3, -3}, {1, 2, 4, 3, -1, -3}, {1, 0, 5, 0, -3, 0}};
    for (int kind = 0; kind < 3; kind++) {
        ResizeResult r = run_resize(&scratch, nas_kernels_ref(), &(ResizeCase){1, 1, 1, 3, 2, kind, 0, 0}, x, g);
        for (int k = 0; k < 12; k++) CHECK_EQ(r.y[k], kind == 2 && k >= 6 ? 0 : want[kind][k % 6]);
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
    CHECK_RUN(test_names);
    CHECK_RUN(test_ref_by_hand);
    CHECK_RUN(test_ref_conv_gradients);
    CHECK_RUN(test_ref_pool_gradients);
    CHECK_RUN(test_ref_head_gradients);
    CHECK_RUN(test_nan);
    CHECK_RUN(test_flat);
    CHECK_RUN(test_head);
    CHECK_RUN(test_select);
    CHECK_RUN(test_learned);
    CHECK_RUN(test_resize);
    CHECK_RUN(test_mix);
    CHECK_RUN(test_pool);
    CHECK_RUN(test_conv);
    return check_done("kernels");
}
