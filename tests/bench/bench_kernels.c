/* bench_kernels: every kernel of kernels.h on the shapes of real networks: first right, then how fast.
 *
 * Each row is verified against `ref` on two samples, by the same functions as tests/unit/test_kernels.c; a difference ends
 * the program. Then it is timed on its whole batch, cut into parts for the thread pool as the engine does it, and held
 * against the roofline of this machine (machine.h). README.md beside this file says what is counted.
 */
#include <errno.h>
#include <regex.h>

#include "cli/cli.h"
#include "report/parts.h"
#include "tests/bench/machine.h"
#include "tests/unit/kernel_cases.h"

static bool quick, markdown;
static const char *filter = "", *json_path = "";
static int64_t threads;

static const CliOption options[] = {
    {CLI_STRING, 'f', "filter", "PATTERN", &filter,
     "Only rows whose name, \"sepconv 3x3 64x16x32x32 forward\", matches."},
    {CLI_INT, 't', "threads", "N", &threads, "Threads; 0: all processors.", 0, 1024},
    {CLI_FLAG, 'Q', "quick", 0, &quick, "Small rows only, two samples, timed once: for tests."},
    {CLI_STRING, 'j', "json", "FILE", &json_path, "Write machine and rows to FILE, too."},
    {CLI_FLAG, 'm', "markdown", 0, &markdown, "Print the table as Markdown."},
    {CLI_END},
};

static const CliProgram program = {
    .name = "bench_kernels",
    .summary = "verify and time every kernel",
    .usage = "",
    .details =
        "Measures this machine's peaks, then verifies and times the kernels that NAS_ISA names (by default the best "
        "of this machine). Exit status 1 if a kernel differs from ref.\n\n"
        "For tests of this program: NAS_BENCH_WRONG=conv_forward, conv_backward, pool_backward, mix_forward, "
        "mix_backward, head_forward, sgd, adam or axpy makes that kernel wrong.",
    .options = options,
};

/* ---- what is measured ---- */

enum { PARTS = 16 }; /* of a batch, as in the engine */

typedef struct {
    const char *name;
    ConvCase c;
    int flags;
} ConvRow;

/* n channels height width: what the paper's supernet (C=16, 32x32) has in its three stages, and one of C=8 on 28x28. */
static const int stages[][4] = {{64, 16, 32, 32}, {64, 32, 16, 16}, {64, 64, 8, 8}, {32, 8, 28, 28}};
/* Where it halves the picture. */
static const int reductions[][4] = {{64, 32, 32, 32}, {64, 64, 16, 16}};

/* On every stage; n, channels and sides come from there. */
static const ConvRow stage_convs[] = {
    {"sepconv 3x3", {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dilation = 1, .depthwise = true}, RELU},
    {"sepconv 3x3 (of raw)", {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dilation = 1, .depthwise = true}, RELU | IN_SCALE},
    {"sepconv 5x5", {.kh = 5, .kw = 5, .sh = 1, .sw = 1, .dilation = 1, .depthwise = true}, RELU},
    {"sepconv 5x5 (of raw)", {.kh = 5, .kw = 5, .sh = 1, .sw = 1, .dilation = 1, .depthwise = true}, RELU | IN_SCALE},
    {"sepconv 7x7", {.kh = 7, .kw = 7, .sh = 1, .sw = 1, .dilation = 1, .depthwise = true}, RELU},
    {"sepconv 3x3 dilated", {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dilation = 2, .depthwise = true}, RELU},
    {"sepconv 5x5 dilated", {.kh = 5, .kw = 5, .sh = 1, .sw = 1, .dilation = 2, .depthwise = true}, RELU},
    {"conv 1x7", {.kh = 1, .kw = 7, .sh = 1, .sw = 1, .dilation = 1}, RELU},
    {"conv 7x1", {.kh = 7, .kw = 1, .sh = 1, .sw = 1, .dilation = 1}, RELU | IN_SCALE},
};
static const ConvRow reduction_convs[] = {
    {"sepconv 3x3 stride 2", {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dilation = 1, .depthwise = true}, RELU},
    {"sepconv 5x5 stride 2", {.kh = 5, .kw = 5, .sh = 2, .sw = 2, .dilation = 1, .depthwise = true}, RELU},
    {"sepconv 3x3 dilated stride 2", {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dilation = 2, .depthwise = true}, RELU},
    {"sepconv 5x5 dilated stride 2", {.kh = 5, .kw = 5, .sh = 2, .sw = 2, .dilation = 2, .depthwise = true}, RELU},
    {"factorized", {.kh = 1, .kw = 1, .sh = 2, .sw = 2, .dilation = 1, .factorized = true}, RELU},
};
static const ConvRow single_convs[] = {
    /*                   n parts in       h   w out kh kw sh sw dil */
    {"conv 3x3", {64, 1, {3}, 32, 32, 48, 3, 3, 1, 1, 1}, NO_GX}, /* stem: nobody asks for the input's gradient */
    {"conv 1x1", {64, 1, {64}, 32, 32, 16, 1, 1, 1, 1, 1}, RELU},
    {"conv 1x1", {64, 1, {128}, 16, 16, 32, 1, 1, 1, 1, 1}, RELU},
    {"conv 1x1", {64, 1, {256}, 8, 8, 64, 1, 1, 1, 1, 1}, RELU},
    {"conv 1x1", {32, 1, {32}, 28, 28, 8, 1, 1, 1, 1, 1}, RELU},
    {"sepconv 1x3", {64, 1, {16}, 1, 1024, 16, 1, 3, 1, 1, 1, true}, RELU},
    {"sepconv 1x5", {64, 1, {16}, 1, 1024, 16, 1, 5, 1, 1, 1, true}, RELU},
    /* ResNet-18 on 28x28 */
    {"conv 3x3", {64, 1, {64}, 28, 28, 64, 3, 3, 1, 1, 1}, 0},
    {"conv 3x3 (of raw)", {64, 1, {64}, 28, 28, 64, 3, 3, 1, 1, 1}, RELU | IN_SCALE},
    {"conv 3x3 stride 2", {64, 1, {64}, 28, 28, 128, 3, 3, 2, 2, 1}, 0},
    {"conv 1x1 stride 2", {64, 1, {64}, 28, 28, 128, 1, 1, 2, 2, 1}, 0},
    {"conv 3x3", {64, 1, {128}, 14, 14, 128, 3, 3, 1, 1, 1}, 0},
    {"conv 3x3", {64, 1, {256}, 7, 7, 256, 3, 3, 1, 1, 1}, 0},
    {"conv 3x3", {64, 1, {512}, 4, 4, 512, 3, 3, 1, 1, 1}, 0},
};
/* A supernet's node of two edges without `none`; the addition of two operations in a derived net. */
static const char *const mixes[] = {"mairrrrmairrrr", "rr"};
static const HeadCase heads[] = {{64, {128, 128}, 8, 8, 10}, {64, {256, 256}, 4, 4, 10}};
enum { FLAT = 8000000 }; /* more than caches hold: in a step, too, all else lies between two uses */

/* ---- state ---- */

typedef struct {
    char kernel[24], name[96], shape[64], pass[24];
    double flops, bytes, seconds, least, roof;
    int repetitions;
    Level level;
} Row;

static Arena memory;
static const NasKernels *kernels;
static NasKernels wrong;
static Machine machine;
static Pool *pool;
static regex_t pattern;
static Row row[1024];
static int row_count;

/* ---- wrong kernels, for the test of this program ---- */

static const NasKernels *right;

static void spoil(float *v)
{
    for (int i = 0; v && i < 8; i++) v[i] = 2 * v[i] + 1;
}
static void wrong_conv_forward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    right->conv_forward(k, n0, n1, slot, scratch);
    spoil(k->y);
}
static void wrong_conv_backward(const KConv *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    right->conv_backward(k, n0, n1, slot, scratch);
    spoil(k->gx[0]);
}
static void wrong_pool_backward(const KPool *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    right->pool_backward(k, n0, n1, slot, scratch);
    spoil(k->gx);
}
static void wrong_mix_forward(const KMix *k, int64_t n0, int64_t n1, void *scratch)
{
    right->mix_forward(k, n0, n1, scratch);
    spoil(k->out);
}
static void wrong_mix_backward(const KMix *k, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    right->mix_backward(k, n0, n1, slot, scratch);
    k->sums[1] *= 2;
}
static void wrong_head_forward(const KHead *k, int64_t n0, int64_t n1)
{
    right->head_forward(k, n0, n1);
    k->logits[0] = 1e9f;
}
static void wrong_sgd(const KSgd *k, int64_t n, float *w, const float *g, float *velocity)
{
    right->sgd(k, n, w, g, velocity);
    spoil(w);
}
static void wrong_adam(const KAdam *k, int64_t n, float *w, const float *g, float *m, float *v)
{
    right->adam(k, n, w, g, m, v);
    spoil(v);
}
static void wrong_axpy(int64_t n, float *y, double a, const float *x)
{
    right->axpy(n, y, a, x);
    spoil(y);
}

#define SPOILT(f)                                                                                                      \
    {                                                                                                                  \
#f, offsetof(NasKernels, f), (void (*)(void))wrong_##f                                                         \
    }
static const struct {
    const char *name;
    size_t at;
    void (*with)(void);
} spoilt[] = {SPOILT(conv_forward), SPOILT(conv_backward), SPOILT(pool_backward),
              SPOILT(mix_forward),  SPOILT(mix_backward),  SPOILT(head_forward),
              SPOILT(sgd),          SPOILT(adam),          SPOILT(axpy)};

static const NasKernels *made_wrong(const NasKernels *k, const char *what)
{
    int i = 0;
    while (i < COUNTOF(spoilt) && strcmp(spoilt[i].name, what)) i++;
    if (i == COUNTOF(spoilt)) cli_die(EXIT_USAGE, "NAS_BENCH_WRONG=%s: no kernel that can be made wrong", what);
    right = k;
    wrong = *k;
    memcpy((char *)&wrong + spoilt[i].at, &spoilt[i].with, sizeof spoilt[i].with);
    return &wrong;
}

/* ---- timing ---- */

/* A call of a kernel on one part of its batch. */
typedef struct {
    const void *job;
    void (*run)(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    int64_t n, scratch_bytes;
    char *scratch; /* of all threads */
} Call;

static int64_t call_parts(int64_t n)
{
    return n < PARTS ? n : PARTS;
}

static void call_part(void *context, int64_t part, int thread)
{
    const Call *c = context;
    int64_t parts = call_parts(c->n);
    c->run(c->job, c->n * part / parts, c->n * (part + 1) / parts, part, c->scratch + c->scratch_bytes * thread);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Adds a row if the filter wants it; the caller has verified the kernel. */
static void time_call(Arena a, Row r, Call c)
{
    enum { LEAST = 7, MOST = 99 };
    double took[MOST], all = 0;
    if (row_count == COUNTOF(row)) cli_die(EXIT_FAILED, "more than %d rows", row_count);
    c.scratch_bytes = (c.scratch_bytes + 4095) / 4096 * 4096 + 192; /* as in the engine */
    c.scratch = arena_alloc(&a, 1, 64, c.scratch_bytes * pool_threads(pool));
    int64_t parts = call_parts(c.n);
    pool_run(pool, parts, call_part, &c);
    for (r.repetitions = 0; r.repetitions < (quick ? 1 : MOST) && (r.repetitions < LEAST || all < 0.1);) {
        double start = clock_wall();
        pool_run(pool, parts, call_part, &c);
        all += took[r.repetitions++] = clock_wall() - start;
    }
    qsort(took, (size_t)r.repetitions, sizeof *took, by_value);
    r.seconds = took[r.repetitions / 2];
    r.least = took[0];
    r.level = machine_level(&machine, r.bytes);
    r.roof = machine_roof(&machine, r.flops, r.bytes, r.level);
    row[row_count++] = r;
}

static bool wanted(const Row *r)
{
    char name[256];
    snprintf(name, sizeof name, "%s %s %s", r->name, r->shape, r->pass);
    return !regexec(&pattern, name, 0, 0, 0);
}

/* What compare() found wrong is on stderr. */
static void end_if_wrong(const Row *r)
{
    if (check_state.failures)
        cli_die(EXIT_FAILED, "%s %s %s: differs from ref by more than %g of the largest element: nothing is timed",
                r->name, r->shape, r->pass, tolerance);
}

/* ---- convolutions ---- */

static void conv_forward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    kernels->conv_forward(&((const ConvJob *)job)->k, n0, n1, slot, scratch);
}

static void conv_backward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    kernels->conv_backward(&((const ConvJob *)job)->k, n0, n1, slot, scratch);
}

static void verify_conv(const Row *r, const ConvCase *c, int flags)
{
    Arena a = memory;
    ConvCase two = *c;
    two.n = 2;
    snprintf(label, sizeof label, "%s %s", r->name, r->shape);
    ConvResult want = run_conv(&a, nas_kernels_ref(), &two, flags), got = run_conv(&a, kernels, &two, flags);
    compare_conv_results(&two, &got, &want);
    end_if_wrong(r);
}

static void bench_conv(const char *name, ConvCase c, int flags)
{
    static const char *const passes[] = {"forward", "backward", "backward, no weights"};
    KConv g = {0};
    conv_geometry(&c, &g);
    if (quick) c.n = 2;
    double n = c.n, in = n * c.in[0] * c.h * c.w, out = n * c.out * g.out_h * g.out_w;
    double weights = (double)c.in[0] * (c.depthwise ? g.taps + c.out : c.factorized ? c.out : (double)g.taps * c.out);
    double macs = c.depthwise ? n * g.out_h * g.out_w * weights : out * c.in[0] * (c.factorized ? 1 : g.taps);
    bool gx = !(flags & NO_GX);
    if (quick && macs > 2.2e6) return; /* ref would take its time */
    for (int pass = 0; pass < (gx ? 3 : 2); pass++) {
        Row r = {.kernel = "conv", .flops = 2 * macs * (pass == 1 && gx ? 2 : 1)};
        /* y; or y, its gradient, and the input's, which is added to unless it is that of a raw value */
        r.bytes = 4 * (pass ? in + 2 * out + (!gx ? 0 : flags & IN_SCALE ? 1 : 2) * in : in + out);
        r.bytes += 4 * weights * (pass == 1 ? 2 : 1);
        snprintf(r.name, sizeof r.name, "%s", name);
        snprintf(r.shape, sizeof r.shape, "%dx%dx%dx%d->%d", c.n, c.in[0], c.h, c.w, c.out);
        snprintf(r.pass, sizeof r.pass, "%s", passes[pass]);
        int with = flags | (pass == 2 ? NO_WEIGHTS : 0);
        if (!wanted(&r)) continue;
        if (pass) verify_conv(&r, &c, with); /* which runs the forward pass, too */
        Arena a = memory;
        if (!pass) verify_conv(&r, &c, with | NO_WEIGHTS | NO_GX);
        ConvJob *j = NEW(&a, ConvJob, 1);
        *j = conv_make(&a, kernels, &c, with, PARTS);
        Call call = {j, pass ? conv_backward : conv_forward, c.n, kernels->conv_scratch(&j->k), 0};
        if (pass) conv_make_backward(&a, j, &c, with, PARTS);
        guard_count = 0;
        time_call(a, r, call);
    }
}

static void bench_convs(void)
{
    for (int s = 0; s < COUNTOF(stages) + COUNTOF(reductions); s++) {
        bool half = s >= COUNTOF(stages);
        const int *shape = half ? reductions[s - COUNTOF(stages)] : stages[s];
        const ConvRow *rows = half ? reduction_convs : stage_convs;
        for (int i = 0; i < (half ? COUNTOF(reduction_convs) : COUNTOF(stage_convs)); i++) {
            ConvCase c = rows[i].c;
            c.n = shape[0], c.parts = 1, c.in[0] = c.out = shape[1], c.h = shape[2], c.w = shape[3];
            bench_conv(rows[i].name, c, rows[i].flags);
        }
    }
    for (int i = 0; i < COUNTOF(single_convs); i++)
        bench_conv(single_convs[i].name, single_convs[i].c, single_convs[i].flags);
}

/* ---- pools ---- */

static void pool_forward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    kernels->pool_forward(&((const PoolJob *)job)->k, n0, n1, slot, scratch);
}

static void pool_backward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    kernels->pool_backward(&((const PoolJob *)job)->k, n0, n1, slot, scratch);
}

static void bench_pool(const int *shape, int stride, bool average)
{
    PoolCase c = {quick ? 2 : shape[0], shape[1], shape[2], shape[3], 3, 3, stride, stride, 1, 1, 0}, two = c;
    two.n = 2;
    for (int pass = 0; pass < 2; pass++) {
        double in = (double)c.n * c.channels * c.h * c.w, out = in / stride / stride;
        /* the pooled values are not stored: read x for their sums; or x and the gradient, and add to that of x */
        Row r = {.kernel = "pool", .flops = 9 * out, .bytes = 4 * (pass ? 3 * in + out : in)};
        snprintf(r.name, sizeof r.name, "pool %s 3x3%s", average ? "avg" : "max", stride > 1 ? " stride 2" : "");
        snprintf(r.shape, sizeof r.shape, "%dx%dx%dx%d", c.n, c.channels, c.h, c.w);
        snprintf(r.pass, sizeof r.pass, "%s", pass ? "backward" : "forward");
        if (!wanted(&r)) continue;
        Arena a = memory, once = memory;
        snprintf(label, sizeof label, "%s %s", r.name, r.shape);
        PoolResult want = run_pool(&once, nas_kernels_ref(), &two, average, 0);
        PoolResult got = run_pool(&once, kernels, &two, average, 0);
        compare_pool_results(&two, &got, &want);
        end_if_wrong(&r);
        PoolJob *j = NEW(&a, PoolJob, 1);
        *j = pool_make(&a, kernels, &c, average, 0, PARTS);
        guard_count = 0;
        Call call = {j, pass ? pool_backward : pool_forward, c.n, kernels->pool_scratch(&j->k), 0};
        time_call(a, r, call);
    }
}

/* ---- mixes ---- */

static void mix_forward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)slot;
    kernels->mix_forward(&((const MixJob *)job)->k, n0, n1, scratch);
}

static void mix_backward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    kernels->mix_backward(&((const MixJob *)job)->k, n0, n1, slot, scratch);
}

static void bench_mix(const int *shape, const char *kinds)
{
    MixCase c = {kinds, quick ? 2 : shape[0], shape[1], shape[2], shape[3]}, two = c;
    two.n = 2;
    for (int pass = 0; pass < 2; pass++) {
        double size = (double)c.n * c.channels * c.h * c.w, terms = (double)strlen(kinds), pools = 0, plain = 0;
        for (const char *p = kinds; *p; p++) pools += *p == 'm' || *p == 'a', plain += *p == 'i';
        /* each term's tensor and the sum (or its gradient) once; identity terms add to a gradient */
        Row r = {.kernel = "mix", .flops = size * (2 * terms + 9 * pools)};
        r.bytes = 4 * size * (terms + 1 + (pass ? 2 * plain : 0));
        snprintf(r.name, sizeof r.name, "mix of %d", (int)terms);
        snprintf(r.shape, sizeof r.shape, "%dx%dx%dx%d", c.n, c.channels, c.h, c.w);
        snprintf(r.pass, sizeof r.pass, "%s", pass ? "backward" : "forward");
        if (!wanted(&r)) continue;
        Arena a = memory, once = memory;
        snprintf(label, sizeof label, "%s %s", r.name, r.shape);
        MixResult want = run_mix(&once, nas_kernels_ref(), &two), got = run_mix(&once, kernels, &two);
        compare_mix_results(&two, &got, &want);
        end_if_wrong(&r);
        MixJob *j = NEW(&a, MixJob, 1);
        *j = mix_make(&a, kernels, &c, PARTS);
        guard_count = 0;
        Call call = {j, pass ? mix_backward : mix_forward, c.n, kernels->mix_scratch(&j->k), 0};
        time_call(a, r, call);
    }
}

/* ---- heads ---- */

static void head_forward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)slot, (void)scratch;
    kernels->head_forward(&((const HeadJob *)job)->k, n0, n1);
}

static void head_backward(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    (void)scratch;
    kernels->head_backward(&((const HeadJob *)job)->k, n0, n1, slot);
}

static void bench_head(HeadCase c)
{
    if (quick) c.n = 2;
    HeadCase two = c;
    two.n = 2;
    int channels = c.channels[0] + c.channels[1];
    for (int pass = 0; pass < 3; pass++) {
        double in = (double)c.n * channels * c.h * c.w, macs = (double)c.n * channels * c.outputs;
        Row r = {.kernel = "head", .flops = in + 2 * macs * (pass == 1 ? 2 : 1), .bytes = 4 * (pass ? 2 * in : in)};
        int flags = pass == 2 ? NO_WEIGHTS : 0;
        snprintf(r.name, sizeof r.name, "head");
        snprintf(r.shape, sizeof r.shape, "%dx%dx%dx%d->%d", c.n, channels, c.h, c.w, c.outputs);
        snprintf(r.pass, sizeof r.pass, "%s", pass == 0 ? "forward" : pass == 1 ? "backward" : "backward, no weights");
        if (!wanted(&r)) continue;
        Arena a = memory, once = memory;
        snprintf(label, sizeof label, "%s %s", r.name, r.shape);
        HeadResult want = run_head(&once, nas_kernels_ref(), &two, flags), got = run_head(&once, kernels, &two, flags);
        compare_head_results(&two, &got, &want);
        end_if_wrong(&r);
        HeadJob *j = NEW(&a, HeadJob, 1);
        *j = head_make(&a, kernels, &c, flags, PARTS);
        guard_count = 0;
        Call call = {j, pass ? head_backward : head_forward, c.n, 64, 0};
        time_call(a, r, call);
    }
}

/* ---- flat blocks ---- */

typedef struct {
    const NasKernels *k;
    float *w, *g, *m, *v;
    double sums[PARTS];
} FlatJob;

static const KSgd sgd = {.lr = 0.01f, .momentum = 0.9f, .decay = 3e-4f, .scale = 0.5f};
static const KAdam adam = {.lr = 0.01f, .beta1 = 0.5f, .beta2 = 0.999f, .eps = 1e-6f, .decay = 1e-3f, .scale = 0.5f};

static void flat_sgd(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    const FlatJob *j = job;
    (void)slot, (void)scratch;
    j->k->sgd(&sgd, n1 - n0, j->w + n0, j->g + n0, j->m + n0);
}
static void flat_adam(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    const FlatJob *j = job;
    (void)slot, (void)scratch;
    j->k->adam(&adam, n1 - n0, j->w + n0, j->g + n0, j->m + n0, j->v + n0);
}
static void flat_axpy(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    const FlatJob *j = job;
    (void)slot, (void)scratch;
    j->k->axpy(n1 - n0, j->w + n0, 1e-3, j->g + n0);
}
static void flat_scale(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    const FlatJob *j = job;
    (void)slot, (void)scratch;
    j->k->scale(n1 - n0, j->w + n0, 0.999);
}
static void flat_dot(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch)
{
    FlatJob *j = (FlatJob *)job;
    (void)scratch;
    j->sums[slot] = j->k->dot(n1 - n0, j->w + n0, j->g + n0);
}

static const struct {
    const char *name;
    void (*run)(const void *job, int64_t n0, int64_t n1, int64_t slot, void *scratch);
    int flops, tensors; /* of an element: operations; arrays read and written */
} flats[] = {
    {"sgd", flat_sgd, 6, 5},     {"adam", flat_adam, 12, 7}, {"axpy", flat_axpy, 2, 3},
    {"scale", flat_scale, 1, 2}, {"dot", flat_dot, 2, 2},
};

static FlatJob *flat_make(Arena *a, const NasKernels *k, int64_t n)
{
    FlatJob *j = NEW(a, FlatJob, 1);
    *j = (FlatJob){.k = k};
    float **all[] = {&j->w, &j->g, &j->m, &j->v};
    for (int i = 0; i < COUNTOF(all); i++) {
        *all[i] = guarded(a, n * (int64_t)sizeof(float));
        memcpy(*all[i], source(a, n, 40 + i), (size_t)n * sizeof(float));
    }
    for (int64_t i = 0; i < n; i++) j->v[i] = fabsf(j->v[i]);
    return j;
}

static void bench_flat(int which)
{
    enum { SMALL = 10007 };
    int64_t n = quick ? SMALL : FLAT;
    Row r = {
        .kernel = "flat", .flops = (double)n * flats[which].flops, .bytes = 4.0 * (double)n * flats[which].tensors};
    snprintf(r.name, sizeof r.name, "%s", flats[which].name);
    snprintf(r.shape, sizeof r.shape, "%lld", (long long)n);
    if (!wanted(&r)) return;
    Arena a = memory, once = memory;
    snprintf(label, sizeof label, "%s", r.name);
    FlatJob *want = flat_make(&once, nas_kernels_ref(), SMALL), *got = flat_make(&once, kernels, SMALL);
    flats[which].run(want, 0, SMALL, 0, 0);
    flats[which].run(got, 0, SMALL, 0, 0);
    compare("w", SMALL, got->w, want->w);
    compare("m", SMALL, got->m, want->m);
    compare("v", SMALL, got->v, want->v);
    CHECK_MSG(fabs(got->sums[0] - want->sums[0]) <= 1e-9 * SMALL, "dot: %.17g, expected %.17g", got->sums[0],
              want->sums[0]);
    check_guards();
    end_if_wrong(&r);
    Call call = {flat_make(&a, kernels, n), flats[which].run, n, 64, 0};
    guard_count = 0;
    time_call(a, r, call);
}

/* ---- output ---- */

static const char *text_of(Arena *a, double v, int digits)
{
    return arena_printf(a, "%.*f", digits, v);
}

static void print_table(Arena a)
{
    Table *t = table_new(&a, "", "kernel|shape|pass|>ms|>GFLOP/s|>GB/s|from|>roofline");
    for (int i = 0; i < row_count; i++) {
        const Row *r = &row[i];
        const char **cell = table_row(&a, t);
        cell[0] = r->name;
        cell[1] = r->shape;
        cell[2] = r->pass;
        cell[3] = text_of(&a, 1e3 * r->seconds, 3);
        cell[4] = text_of(&a, r->flops / r->seconds / 1e9, 1);
        cell[5] = text_of(&a, r->bytes / r->seconds / 1e9, 1);
        cell[6] = level_name[r->level];
        cell[7] = arena_printf(&a, "%.0f %%", 100 * r->roof / r->seconds);
    }
    machine_print(&machine, kernels, a, t, markdown);
}

static void write_json(Arena a)
{
    Text t = {0};
    text_addf(&a, &t, "{\"machine\":{\"cpu\":\"%s\",\"threads\":%d,\"kernels\":\"%s\",\"lanes\":%d,\"about\":\"%s\"",
              escape_text(&a, AS_JSON, machine.cpu), machine.threads, kernels->name, kernels->lanes, kernels->about);
    text_addf(&a, &t, ",\"gflops_one\":%.6g,\"gflops_all\":%.6g,\"bandwidth\":[", machine.flops[0] / 1e9,
              machine.flops[1] / 1e9);
    for (int i = 0; i < LEVELS; i++)
        text_addf(&a, &t, "%s{\"level\":\"%s\",\"bytes\":%lld,\"gbs_one\":%.6g,\"gbs_all\":%.6g}", i ? "," : "",
                  level_name[i], (long long)machine.block[i], machine.bytes[i][0] / 1e9, machine.bytes[i][1] / 1e9);
    text_addf(&a, &t, "],\"foreign\":%.4f,\"quick\":%s,\"tolerance\":%g},\n\"rows\":[", machine_foreign(&machine),
              quick ? "true" : "false", tolerance);
    for (int i = 0; i < row_count; i++) {
        const Row *r = &row[i];
        text_addf(&a, &t, "%s\n{\"kernel\":\"%s\",\"name\":\"%s\",\"shape\":\"%s\",\"pass\":\"%s\",\"flops\":%.0f",
                  i ? "," : "", r->kernel, r->name, r->shape, r->pass, r->flops);
        text_addf(&a, &t, ",\"bytes\":%.0f,\"repetitions\":%d,\"ms\":%.6g,\"ms_least\":%.6g", r->bytes, r->repetitions,
                  1e3 * r->seconds, 1e3 * r->least);
        text_addf(&a, &t, ",\"gflops\":%.6g,\"gbs\":%.6g,\"level\":\"%s\",\"roof_ms\":%.6g,\"roofline\":%.4f}",
                  r->flops / r->seconds / 1e9, r->bytes / r->seconds / 1e9, level_name[r->level], 1e3 * r->roof,
                  r->roof / r->seconds);
    }
    text_add(&a, &t, "\n]}\n");
    FILE *f = fopen(json_path, "w");
    bool failed = !f || fwrite(t.s, 1, (size_t)t.length, f) != (size_t)t.length;
    if (f) failed |= fclose(f) != 0;
    if (failed) cli_die(EXIT_FAILED, "%s: %s", json_path, strerror(errno));
}

int main(int argc, char **argv)
{
    char **rest = cli_begin(argc, argv, &program);
    if (rest[0]) cli_die(EXIT_USAGE, "no arguments are taken, %s", rest[0]);
    if (regcomp(&pattern, filter, REG_EXTENDED | REG_NOSUB)) cli_die(EXIT_USAGE, "--filter %s: no pattern", filter);
    const char *isa = getenv("NAS_ISA"), *spoil_it = getenv("NAS_BENCH_WRONG");
    kernels = nas_kernels_cpu(isa ? isa : "", 0);
    if (!kernels) cli_die(EXIT_USAGE, "NAS_ISA=%s: not an instruction set of this machine", isa);
    int count = threads ? (int)threads : pool_cpus();
    const char *why = machine_measure(&machine, kernels, count, quick);
    pool = why ? 0 : pool_open(count);
    if (!pool) cli_die(EXIT_FAILED, "%s", why ? why : "no threads");
    if (spoil_it) kernels = made_wrong(kernels, spoil_it);
    memory = arena_reserve((ptrdiff_t)1 << 32);
    madvise(memory.beg, (size_t)arena_left(&memory), MADV_HUGEPAGE);

    bench_convs();
    for (int i = 0; i < 2 * COUNTOF(stages); i++) bench_pool(stages[i / 2], 1, i % 2);
    for (int i = 0; i < 2 * COUNTOF(reductions); i++) bench_pool(reductions[i / 2], 2, i % 2);
    for (int i = 0; i < COUNTOF(stages) * COUNTOF(mixes); i++)
        bench_mix(stages[i / COUNTOF(mixes)], mixes[i % COUNTOF(mixes)]);
    for (int i = 0; i < COUNTOF(heads); i++) bench_head(heads[i]);
    for (int i = 0; i < COUNTOF(flats); i++) bench_flat(i);
    if (!row_count) cli_die(EXIT_FAILED, "--filter %s: no row matches", filter);
    print_table(memory);
    if (*json_path) write_json(memory);
    pool_close(pool);
    return cli_end();
}
