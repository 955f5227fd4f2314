/* test_engine: whole networks through the public interface: `cpu`, by every instruction set of this machine, against `ref`;
 * both against finite differences and against what PyTorch computed (tests/golden/oracle_*.txt); and the promises of
 * engine.h: bits do not depend on the thread count, a smaller batch is a batch, what is off costs and moves nothing,
 * memory is as forecast, no allocation.
 *
 *   test_engine                  as above; and CUDA's kernels on the simulator, where nvcc was
 *   test_engine --device cuda    all that is said of a device, of that one in place of cpu; skipped if it is not there.
 *                                "quick" behind it: one network of PyTorch's, for devices that are simulated
 */
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/loss.h"
#include "engine/plan.h"
#include "engine/step.h"
#include "kernels/kernels.h"
#include "nn/network.h"
#include "tests/cudasim/cudasim.h"
#include "tests/unit/oracle.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>

static Arena memory; /* every test works on a copy */
static Pool *pools[3];
static const int pool_sizes[3] = {1, 2, 7};

static int (*simulated_architecture)(void);
static void (*simulated_calls)(CudasimCalls *calls);
static void (*configure_simulator)(const char *words); /* tests/cudasim/cudasim.h; 0: there is none */
static const char without_nvcc[] = "built without nvcc: no CUDA code was run";

/* CUDA's kernels on a simulated device, where nvcc was (tests/cudasim). */
static void find_simulator(void)
{
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n < 0) return;
    path[n] = 0;
    *strrchr(path, '/') = 0;
    strcpy(strrchr(path, '/'), "/cudasim/libnas-cudasim.so");
    if (access(path, R_OK)) return;
    setenv("NAS_CUDASIM_PLUGIN", path, 1);
    setenv("NAS_CUDA_SEPARATE", "1", 1); /* the simulator watches every buffer by itself */
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (CHECK_MSG(plugin, "%s", dlerror())) *(void **)&configure_simulator = dlsym(plugin, "cudasim_configure");
    if (plugin) *(void **)&simulated_architecture = dlsym(plugin, "cudasim_architecture");
    if (plugin) *(void **)&simulated_calls = dlsym(plugin, "cudasim_calls");
    CHECK(configure_simulator && simulated_architecture && simulated_calls);
}

/* ---- numbers that tests/oracle/make_golden.py makes too ---- */

static void hash_weights(const Graph *g, float *w)
{
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        double scale = 0.25, shift = p->role == PARAM_GAMMA;
        if (p->role == PARAM_WEIGHT) scale = sqrt(3.0 / ((double)p->count / (double)p->shape[0]));
        if (!strncmp(p->name, "classifier", 10) && p->role == PARAM_BIAS) scale = 0.1;
        for (int64_t k = 0; k < p->count; k++) w[p->offset + k] = (float)(shift + scale * hash_u(p->name, k));
    }
}

typedef struct {
    float *x, *y;
    int64_t n;
} Batch;

static Batch hash_batch(Arena *a, const Graph *g, const char *name, int64_t n)
{
    const ValueInfo *in = g->input < 0 ? 0 : &g->values[g->input];
    int64_t size = in ? n * in->channels * in->height * in->width : 0,
            columns = loss_width(g->loss, &g->detail, g->outputs);
    Batch b = {NEW(a, float, size), NEW(a, float, n *columns), n};
    char label[64];
    snprintf(label, sizeof label, "%s/label", name);
    for (int64_t i = 0; i < size; i++) b.x[i] = (float)(1.5 * hash_u(name, i));
    for (int64_t i = 0; i < n * columns; i++) {
        double u = hash_u(label, i);
        double value[] = {[LOSS_CROSS_ENTROPY] = g->detail.soft ? fabs(u) : floor((u + 1) / 2 * (double)g->outputs),
                          [LOSS_MSE] = u,
                          [LOSS_BINARY] = u > 0,
                          [LOSS_TREE] = fabs(u),
                          [LOSS_LINEAR] = u};
        b.y[i] = (float)value[g->loss];
    }
    return b;
}

/* ---- networks ---- */

enum { CLASSES = 5, OPS = 8, EDGES = 14, MAX_MIX = 256 };

static NetSpec net_spec(int64_t channels, int64_t layers, int64_t height, int64_t width)
{
    return (NetSpec){.input_channels = 3,
                     .height = height,
                     .width = width,
                     .outputs = CLASSES,
                     .channels = channels,
                     .layers = layers,
                     .loss = LOSS_CROSS_ENTROPY,
                     .reduce_count = -1,
                     .stem_multiplier = 3};
}

static Graph *special_supernet(Arena *a, int64_t channels, int64_t layers, int64_t height, int64_t width, int64_t share,
                               bool skip)
{
    Space s;
    NetSpec n = net_spec(channels, layers, height, width);
    n.share = share;
    n.auxiliary_skip = skip;
    CHECK(!space_make(a, "darts", 4, 2, 4, &s));
    return network_supernet(a, &s, &n);
}

static Graph *supernet(Arena *a, int64_t channels, int64_t layers, int64_t height, int64_t width)
{
    return special_supernet(a, channels, layers, height, width, 1, false);
}

static Graph *derived(Arena *a, const char *name, int64_t height, int64_t width)
{
    Genotype t;
    NetSpec n = net_spec(5, 3, height, width);
    CHECK(!genotype_parse(a, genotype_find(name)->text, &t));
    return network_genotype(a, &t, &n);
}

/* An auxiliary tower, which training alone has; targets are shares of the classes. */
static Graph *tower(Arena *a)
{
    Genotype t;
    NetSpec n = net_spec(5, 3, 13, 17);
    n.auxiliary = 0.4;
    n.detail.soft = true;
    CHECK(!genotype_parse(a, genotype_find("DARTS_V2")->text, &t));
    return network_genotype(a, &t, &n);
}

/* Two questions, the second after the last answer of the first; weights of classes and positives. */
static const Question questions[] = {{0, 3, -1}, {3, CLASSES - 3, 2}};
static const double loss_weights[CLASSES] = {1, 3, 0.5, 2, 0.25};

/* Kernels of up to 49 values on a series of 23, which is halved twice. */
static Graph *long_kernels(Arena *a)
{
    static const char text[] = "Genotype(normal=[('sep_conv_1x39', 0), ('dil_conv_1x19', 1), ('max_pool_1x3', 2), "
                               "('sep_conv_1x9', 0)], normal_concat=[2, 3], reduce=[('sep_conv_1x49', 0), "
                               "('avg_pool_1x3', 1), ('dil_conv_1x39', 1), ('sep_conv_1x3', 2)], reduce_concat=[2, 3])";
    Genotype t;
    NetSpec n = net_spec(5, 4, 1, 23);
    n.detail.weight = loss_weights;
    CHECK(!genotype_parse(a, text, &t));
    return network_genotype(a, &t, &n);
}

static Graph *named(Arena *a, const char *name, int64_t channels, int64_t height, int64_t width, LossKind loss)
{
    NetSpec n = net_spec(channels, 3, height, width);
    const char *why = 0;
    n.loss = loss;
    if (loss == LOSS_TREE) n.detail = (LossDetail){.question = questions, .questions = COUNTOF(questions)};
    if (loss == LOSS_BINARY || loss == LOSS_CROSS_ENTROPY) n.detail.weight = loss_weights;
    Graph *g = network_named(a, name, &n, &why);
    CHECK_MSG(g, "%s: %s", name, why);
    return g;
}

static const char *const net_names[] = {"supernet",
                                        "odd supernet",
                                        "series supernet",
                                        "derived",
                                        "resnet, weighted classes",
                                        "regression",
                                        "labels",
                                        "tree",
                                        "inception time",
                                        "wide resnet",
                                        "googlenet",
                                        "densenet",
                                        "mlp",
                                        "long kernels",
                                        "partial supernet",
                                        "partial odd supernet with skips",
                                        "partial series supernet",
                                        "derived with a tower, soft classes",
                                        "generator",
                                        "generator of a mix"};

/* A generator: an image from a latent vector. mixed: by three ways of enlarging, weighted, and a skip of the learned. */
static Graph *generator(Arena *a, bool mixed)
{
    Graph *g = graph_new(a);
    ConvSpec conv = {.out_channels = 6,
                     .kernel_h = 5,
                     .kernel_w = 5,
                     .stride_h = 1,
                     .stride_w = 1,
                     .pad_h = 2,
                     .pad_w = 2,
                     .dilation_h = 1,
                     .dilation_w = 1,
                     .norm = NORM_BIAS};
    Value x = graph_learned(g, 5, 2, 3, 7, 1, "dense");
    int32_t table = mixed ? graph_table(g, "alphas_up", EDGES * 3) : -1;
    for (int stage = 0; stage < 3; stage++) {
        Term terms[4];
        int count = 0;
        for (int kind = 0; kind < (mixed ? 3 : 1); kind++) {
            ResizeSpec r = {mixed ? kind : RESIZE_BILINEAR, 2 + (stage == 1), kind != 1, kind < 2};
            char name[3][40];
            snprintf(name[0], sizeof *name, "s%d.r%d", stage, kind);
            snprintf(name[1], sizeof *name, "s%d.c%d.weight", stage, kind);
            snprintf(name[2], sizeof *name, "s%d.c%d", stage, kind);
            Value up = graph_resize(g, x, r, name[0]);
            conv.relu = stage == 2;
            terms[count++] =
                (Term){graph_conv(g, up, conv, name[1], name[2]), table, stage * 3 + kind, kind == 1, false};
        }
        const ValueInfo *out = &g->values[terms[0].value];
        char name[16];
        snprintf(name, sizeof name, "s%d.o", stage);
        terms[count++] =
            (Term){graph_learned(g, out->channels, out->height, out->width, 0, 10, name), -1, 0, false, false};
        x = graph_mix(g, terms, count, name);
    }
    Term skip = {graph_resize(g, x, (ResizeSpec){.factor = 1, .norm = true}, "last"), -1, 0, false, false};
    x = graph_mix(g, (Term[2]){skip, {x, -1, 0, false, false}}, 2, "sum");
    graph_flatten(g, x, "out");
    graph_loss(g, LOSS_LINEAR, 0);
    return g;
}

static Graph *network(Arena *a, int which)
{
    Graph *g = 0;
    switch (which) {
    case 0: g = supernet(a, 4, 3, 8, 8); break;
    case 1: g = supernet(a, 3, 2, 7, 9); break;
    case 2: g = supernet(a, 4, 2, 1, 24); break;
    case 3: g = derived(a, "DARTS_V2", 9, 7); break;
    case 4: g = named(a, "resnet-tiny", 8, 10, 14, LOSS_CROSS_ENTROPY); break;
    case 5: g = named(a, "resnet-tiny", 8, 10, 14, LOSS_MSE); break;
    case 6: g = named(a, "resnet-tiny", 8, 10, 14, LOSS_BINARY); break;
    case 7: g = named(a, "resnet-tiny", 8, 10, 14, LOSS_TREE); break;
    case 8: g = named(a, "inception-time", 3, 1, 45, LOSS_CROSS_ENTROPY); break;
    case 9: g = named(a, "wrn-16-4", 3, 13, 14, LOSS_CROSS_ENTROPY); break;
    case 10: g = named(a, "googlenet", 12, 8, 7, LOSS_CROSS_ENTROPY); break;
    case 11: g = named(a, "densenet-bc-40", 4, 9, 10, LOSS_CROSS_ENTROPY); break;
    case 12: g = named(a, "mlp", 20, 3, 5, LOSS_CROSS_ENTROPY); break;
    case 13: g = long_kernels(a); break;
    case 14: g = special_supernet(a, 8, 3, 8, 8, 4, false); break;
    case 15: g = special_supernet(a, 6, 3, 7, 9, 2, true); break;
    case 16: g = special_supernet(a, 6, 2, 1, 24, 3, false); break;
    case 17: g = tower(a); break;
    case 18: g = generator(a, false); break;
    default: g = generator(a, true);
    }
    CHECK_MSG(g && !g->error, "%s: %s", net_names[which], g && g->error ? g->error : "");
    return g;
}

/* ref, then the cpu kernels of every instruction set and lane count that this machine can run: "v4/8". */
static const char *ways[16] = {"ref"};
static int way_count = 1;
static const char *tested = "cpu"; /* --device */
static const char *isa_given;      /* NAS_ISA as this test was called, or 0 */

static void find_ways(void)
{
    const NasKernels *k;
    if (getenv("NAS_ISA")) isa_given = arena_strdup(&memory, getenv("NAS_ISA"));
    for (int i = 0; way_count < COUNTOF(ways) && (k = nas_kernels_cpu_at(i)); i++)
        ways[way_count++] = arena_printf(&memory, "%s/%d", k->name, k->lanes);
    CHECK_MSG(way_count > 1, "no cpu kernel set runs on this machine");
}

/* On a device, or by one of the ways. */
static Engine *open_with(Arena *a, const Graph *g, EngineOptions o)
{
    const char *why = 0, *way = o.device;
    if (strchr(way, '/')) setenv("NAS_ISA", way, 1), o.device = "cpu";
    Engine *e = engine_open(a, g, &o, &why);
    if (!CHECK_MSG(e, "%s: %s", way, why)) exit(check_done("engine"));
    if (isa_given)
        setenv("NAS_ISA", isa_given, 1);
    else
        unsetenv("NAS_ISA");
    float *w = NEW(a, float, g->weight_count), *s = NEW(a, float, g->stat_floats);
    graph_init(g, 1, w, s);
    hash_weights(g, w);
    engine_upload(e, BLOCK_WEIGHTS, w);
    engine_upload(e, BLOCK_STATS, s);
    return e;
}

static Engine *open_engine(Arena *a, const Graph *g, const char *device, int64_t batch, Pool *pool)
{
    return open_with(a, g, (EngineOptions){.device = device, .batch = batch, .pool = pool});
}

/* Bytes by forecast, of an engine on the host. */
static int64_t host_memory(Arena *a, Arena scratch, const Graph *g, const EngineOptions *o)
{
    EngineMemory needs;
    const char *why = engine_memory(g, o, scratch, a, &needs);
    CHECK_MSG(!why, "%s", why);
    return needs.host;
}

/* Softmax of alphas in [-scale, scale], per edge. */
static void softmax_rows(const double *alpha, float *mix, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++) {
        double total = 0;
        for (int64_t c = 0; c < columns; c++) total += exp(alpha[r * columns + c]);
        for (int64_t c = 0; c < columns; c++) mix[r * columns + c] = (float)(exp(alpha[r * columns + c]) / total);
    }
}

static int64_t columns_of(const Graph *g)
{
    return g->tables[0].count / EDGES;
}

static void set_hash_mix(const Graph *g, Engine *e)
{
    for (int32_t t = 0; t < g->table_count; t++) {
        double alpha[MAX_MIX];
        float mix[MAX_MIX];
        for (int64_t i = 0; i < g->tables[t].count; i++) alpha[i] = (float)hash_u(g->tables[t].name, i);
        softmax_rows(alpha, mix, EDGES, columns_of(g));
        engine_set_mix(e, t, mix);
    }
}

/* ---- results ---- */

typedef struct {
    double loss;
    float *logits, *grad, *mix_grad[2], *stats;
} Result;

static Result collect(Arena *a, const Graph *g, Engine *e, int64_t n)
{
    Result r = {engine_loss(e),
                NEW(a, float, n * g->outputs),
                NEW(a, float, g->weight_count),
                {0},
                NEW(a, float, g->stat_floats)};
    engine_logits(e, r.logits);
    engine_download(e, BLOCK_GRAD, r.grad);
    engine_download(e, BLOCK_STATS, r.stats);
    for (int32_t t = 0; t < g->table_count; t++)
        engine_get_mix_grad(e, t, r.mix_grad[t] = NEW(a, float, g->tables[t].count));
    return r;
}

static Result step(Arena *a, const Graph *g, Engine *e, Batch b, GradWhat what)
{
    engine_batch(e, b.x, b.y, b.n);
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, what);
    return collect(a, g, e, b.n);
}

static double norm(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * x[i];
    return sqrt(s);
}

/* |a - b| <= tol * |b| + floor in the Euclidean norm: single elements next to a ReLU's kink may differ. */
static void near_norm(const char *what, const char *name, const float *a, const float *b, int64_t n, double tol,
                      double floor_)
{
    double s = 0, size = norm(b, n);
    for (int64_t i = 0; i < n; i++) s += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    CHECK_MSG(sqrt(s) <= tol * size + floor_, "%s: %s: differs by %.3g of %.3g", what, name, sqrt(s), size);
}

static void near_result(const char *what, const Graph *g, const Result *a, const Result *b, int64_t n, double tol)
{
    CHECK_MSG(fabs(a->loss - b->loss) <= tol * fabs(b->loss), "%s: loss %.9g and %.9g", what, a->loss, b->loss);
    near_norm(what, "logits", a->logits, b->logits, n * g->outputs, tol, 0);
    near_norm(what, "running statistics", a->stats, b->stats, g->stat_floats, tol, 0);
    double whole = norm(b->grad, g->weight_count);
    CHECK_MSG(whole > 1e-3, "%s: the gradient is %g", what, whole);
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        near_norm(what, p->name, a->grad + p->offset, b->grad + p->offset, p->count, 10 * tol, tol * whole);
    }
    for (int32_t t = 0; t < g->table_count; t++)
        near_norm(what, g->tables[t].name, a->mix_grad[t], b->mix_grad[t], g->tables[t].count, 10 * tol, 0);
}

static double cosine(const float *a, const float *b, int64_t n)
{
    double dot = 0;
    for (int64_t i = 0; i < n; i++) dot += (double)a[i] * b[i];
    return dot / (norm(a, n) * norm(b, n));
}

/* What rounding to bf16, of three samples, leaves of gradients: how far the whole of it may be off, by net: a third more
 * than was found, with products by cuBLAS if they are tested. A parameter by itself may be off by more (near_result), but
 * points the same way if it counts for a hundredth of the whole. */
static const double bf16_gradient[COUNTOF(net_names)] = {
    [1] = 0.16, [2] = 0.11, [3] = 0.11,   [4] = 0.19,  [5] = 0.18,  [6] = 0.24,
    [7] = 0.17, [8] = 0.15, [12] = 0.032, [15] = 0.21, [19] = 0.022};

static void near_bf16(int net, const Graph *g, const Result *a, const Result *b)
{
    const char *what = net_names[net];
    const double whole = norm(b->grad, g->weight_count);
    near_norm(what, "the gradient", a->grad, b->grad, g->weight_count, bf16_gradient[net], 0);
    for (int32_t i = 0; i < g->param_count; i++) {
        const Param *p = &g->params[i];
        const float *x = a->grad + p->offset, *y = b->grad + p->offset;
        if (norm(y, p->count) < 0.01 * whole) continue;
        CHECK_MSG(cosine(x, y, p->count) > 0.85, "%s: %s: cosine %.3g", what, p->name, cosine(x, y, p->count));
    }
    for (int32_t t = 0; t < g->table_count; t++) {
        const int64_t n = g->tables[t].count;
        if (!norm(b->mix_grad[t], n)) continue; /* of cells that are not there */
        CHECK_MSG(cosine(a->mix_grad[t], b->mix_grad[t], n) > 0.98, "%s: %s: cosine %.3g", what, g->tables[t].name,
                  cosine(a->mix_grad[t], b->mix_grad[t], n));
    }
}

static bool same_bits(const float *a, const float *b, int64_t n)
{
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

static void same_result(const char *what, const Graph *g, const Result *a, const Result *b, int64_t n)
{
    CHECK_MSG(a->loss == b->loss, "%s: loss %.17g and %.17g", what, a->loss, b->loss);
    CHECK_MSG(same_bits(a->logits, b->logits, n * g->outputs), "%s: logits differ", what);
    CHECK_MSG(same_bits(a->grad, b->grad, g->weight_count), "%s: gradients differ", what);
    CHECK_MSG(same_bits(a->stats, b->stats, g->stat_floats), "%s: running statistics differ", what);
    for (int32_t t = 0; t < g->table_count; t++)
        CHECK_MSG(same_bits(a->mix_grad[t], b->mix_grad[t], g->tables[t].count), "%s: mix gradients differ", what);
}

/* ---- cpu against ref ---- */

static void test_ref_and_cpu(void)
{
    for (int i = 0; i < COUNTOF(net_names); i++) {
        Arena a = memory;
        Graph *g = network(&a, i);
        Batch b = hash_batch(&a, g, "train0", 6);
        Engine *ref = open_engine(&a, g, ways[0], 6, pools[0]);
        set_hash_mix(g, ref);
        Result want = step(&a, g, ref, b, GRAD_ALL);
        float *eval = NEW(&a, float, b.n * g->outputs), *stats = NEW(&a, float, g->stat_floats);
        engine_forward(ref, MODE_EVAL);
        engine_logits(ref, eval);
        for (int way = 1; way < way_count; way++) {
            Engine *cpu = open_engine(&a, g, ways[way], 6, pools[1]);
            const char *what = arena_printf(&a, "%s, %s", ways[way], net_names[i]);
            set_hash_mix(g, cpu);
            Result got = step(&a, g, cpu, b, GRAD_ALL);
            near_result(what, g, &got, &want, b.n, 1e-4);
            engine_forward(cpu, MODE_EVAL);
            engine_logits(cpu, got.logits);
            near_norm(what, "logits in evaluation", got.logits, eval, b.n * g->outputs, 1e-4, 0);
            CHECK_CLOSE(engine_loss(cpu), engine_loss(ref), 0, 1e-4);
            engine_download(cpu, BLOCK_STATS, stats);
            CHECK_MSG(same_bits(stats, got.stats, g->stat_floats), "%s: evaluation moved the statistics", what);
            engine_close(cpu);
        }
        engine_close(ref);
    }
}

/* The options' device beside ref, batches being whole. Tolerances of one rounding in 2^24 and in 2^9 (bf16): in what comes
 * out of a dozen layers and their way back. */
static void check_device(const int *nets, int count, EngineOptions o)
{
    const double tol = o.precision == PRECISION_BF16 ? 3e-2 : 1e-4;
    const int64_t n = o.batch;
    o.pool = pools[1];
    for (int i = 0; i < count; i++) {
        Arena a = memory;
        Graph *g = network(&a, nets[i]);
        const char *name = net_names[nets[i]];
        Batch b = hash_batch(&a, g, "train0", n);
        Engine *ref = open_engine(&a, g, "ref", n, pools[0]), *e = open_with(&a, g, o);
        set_hash_mix(g, ref);
        set_hash_mix(g, e);
        Result want = step(&a, g, ref, b, GRAD_ALL), got = step(&a, g, e, b, GRAD_ALL);
        near_result(name, g, &got, &want, b.n, tol);
        if (o.precision == PRECISION_BF16) near_bf16(nets[i], g, &got, &want);
        engine_forward(ref, MODE_EVAL);
        engine_forward(e, MODE_EVAL);
        engine_logits(ref, want.logits);
        engine_logits(e, got.logits);
        near_norm(name, "logits in evaluation", got.logits, want.logits, b.n * g->outputs, tol, 0);
        CHECK_CLOSE(engine_loss(e), engine_loss(ref), 0, tol);
        float *stats = NEW(&a, float, g->stat_floats);
        engine_download(e, BLOCK_STATS, stats);
        CHECK_MSG(same_bits(stats, got.stats, g->stat_floats), "%s: evaluation moved the statistics", name);
        engine_close(ref);
        engine_close(e);
    }
}

/* One network of each kind: every instruction of every thread takes its time. NAS_TEST_LONG=1 takes all. Then some by
 * the newer PTX. */
static void test_ref_and_cudasim(void)
{
    static const int nets[] = {1, 3, 6, 8, 12, 15, 18, 19, 0, 2, 4, 5, 7, 9, 10, 11, 13, 14, 16};
    const EngineOptions plain = {.device = "cudasim", .batch = 3};
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    check_device(nets, getenv("NAS_TEST_LONG") ? COUNTOF(nets) : 8, plain);
    check_device((const int[]){3}, 1, (EngineOptions){.device = "cudasim", .batch = 2, .recompute = SEGMENT_CELL});
    /* The tower normalises one value of each sample: of two or three, gradients amplify rounding, on cpu, too. */
    check_device((const int[]){17}, 1, (EngineOptions){.device = "cudasim", .batch = 4});
    CHECK_EQ(simulated_architecture(), 75);
    configure_simulator("newest");
    check_device(nets, getenv("NAS_TEST_LONG") ? COUNTOF(nets) : 2, plain);
    check_device((const int[]){19}, 1, plain);
    CHECK_EQ(simulated_architecture(), 100);
    configure_simulator("");
}

/* Launched one by one, and as graphs that were captured: the same bits, while the batch, the operations that are on and what
 * is wanted change. */
static void test_cudasim_graphs(void)
{
    static const struct {
        int n, off;
        GradWhat what;
        bool eval;
    } pass[] = {{3, 0, GRAD_ALL}, {3, 0, GRAD_ALL},       {3, 0, GRAD_MIX},
                {2, 0, GRAD_ALL}, {3, 1, GRAD_WEIGHTS},   {3, 1, GRAD_WEIGHTS},
                {3, 0, GRAD_ALL}, {2, 0, GRAD_ALL, true}, {2, 0, GRAD_ALL, true}};
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    Arena a = memory;
    Graph *g = supernet(&a, 1, 1, 4, 3);
    Batch whole = hash_batch(&a, g, "train0", 3), less = hash_batch(&a, g, "train1", 2);
    setenv("NAS_CUDA_GRAPH", "0", 1);
    Engine *single = open_engine(&a, g, "cudasim", 3, pools[0]);
    unsetenv("NAS_CUDA_GRAPH");
    Engine *e[2] = {single, open_engine(&a, g, "cudasim", 3, pools[0])};
    CudasimCalls before, after;
    simulated_calls(&before);
    for (int i = 0; i < COUNTOF(pass); i++) {
        Result r[2];
        Batch b = pass[i].n == 3 ? whole : less;
        Arena once = a;
        for (int k = 0; k < 2; k++) {
            set_hash_mix(g, e[k]);
            for (int t = 0; t < 2; t++) {
                uint8_t active[MAX_MIX];
                for (int64_t m = 0; m < g->tables[t].count; m++) active[m] = !pass[i].off || m % 3;
                engine_set_active(e[k], t, active);
            }
            if (pass[i].eval) {
                r[k].logits = NEW(&once, float, b.n * g->outputs);
                engine_batch(e[k], b.x, b.y, b.n);
                engine_forward(e[k], MODE_EVAL);
                engine_logits(e[k], r[k].logits);
                continue;
            }
            r[k] = step(&once, g, e[k], b, pass[i].what);
            if (pass[i].what & GRAD_WEIGHTS) engine_sgd(e[k], 0.1, 0.9, 1e-3, false, 1);
        }
        if (pass[i].eval)
            CHECK(same_bits(r[0].logits, r[1].logits, b.n * g->outputs));
        else
            same_result("graphs", g, &r[1], &r[0], b.n);
        simulated_calls(&after);
        if (i == 0) CHECK_EQ(after.graphs, before.graphs);
    }
    CHECK_MSG(after.graphs == before.graphs + 4, "%" PRId64 " passes of %d were launched as graphs",
              after.graphs - before.graphs, (int)COUNTOF(pass));
    for (int k = 0; k < 2; k++) CHECK_MSG(!engine_error(e[k]), "%s", engine_error(e[k]));
    /* the profile: every kind of operation, with as many calls as passes, and time */
    engine_set_profile(e[1], true);
    step(&a, g, e[1], whole, GRAD_ALL);
    EngineProfile row[64];
    int64_t rows = engine_profile(e[1], row, COUNTOF(row));
    CHECK(rows > 4);
    for (int64_t i = 0; i < rows; i++)
        CHECK_MSG(row[i].calls > 0 && row[i].forward > 0 && row[i].backward > 0 && row[i].bytes > 0, "%s: %g s, %g s",
                  row[i].op, row[i].forward, row[i].backward);
    for (int k = 0; k < 2; k++) engine_close(e[k]);
}

/* A step of training, from the batch to the update, is one graph, for which the host waits when it asks for the outputs, and
 * not before. Beside ref. */
static void test_cudasim_step(void)
{
    enum { STEPS = 5 };
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    for (int i = 0; i < 2; i++) {
        Arena a = memory;
        Graph *g = i ? supernet(&a, 1, 1, 4, 3) : network(&a, 12);
        Batch b = hash_batch(&a, g, "train0", 3);
        Engine *e[2] = {open_engine(&a, g, "ref", 3, pools[0]), open_engine(&a, g, "cudasim", 3, pools[0])};
        float *weights[2], *logits[2];
        for (int k = 0; k < 2; k++) {
            double loss[STEPS + 1];
            weights[k] = NEW(&a, float, g->weight_count), logits[k] = NEW(&a, float, 2 * b.n * g->outputs);
            set_hash_mix(g, e[k]);
            for (int s = 0; s < STEPS; s++) {
                CudasimCalls before, during, after;
                simulated_calls(&before);
                engine_batch(e[k], b.x, b.y, b.n);
                engine_forward(e[k], MODE_TRAIN);
                engine_backward(e[k], s == 1 ? GRAD_ALL : GRAD_WEIGHTS);
                engine_clip(e[k], 0.5);
                if (i)
                    engine_adam(e[k], 1e-3, 0.9, 0.999, 1e-3, 3e-4, false, s + 1, 1);
                else
                    engine_sgd(e[k], 0.05, 0.9, 3e-4, false, 1);
                simulated_calls(&during);
                engine_outputs(e[k], &loss[s], logits[k] + s % 2 * b.n * g->outputs);
                if (s < STEPS - 1) engine_wait(e[k]);
                simulated_calls(&after);
                if (!k || s < 3) continue; /* a pass is captured when it comes again */
                CHECK_EQ(during.graphs - before.graphs, 1);
                CHECK_EQ(during.launches - before.launches, 0);
                CHECK_EQ(during.waits - before.waits, 0);
                CHECK_EQ(during.copies - before.copies, 2); /* samples with targets, numbers of the update */
                CHECK_EQ(after.copies - during.copies, 2);
                CHECK_EQ(after.waits - during.waits, s < STEPS - 1);
            }
            for (int s = 0; s < 3; s++) { /* two may be on their way, and come in order */
                if (s) engine_forward(e[k], MODE_EVAL);
                if (s == 2) engine_forward(e[k], MODE_TRAIN);
                engine_outputs(e[k], &loss[STEPS], 0);
            }
            engine_wait(e[k]);
            CHECK_CLOSE(engine_loss(e[k]), loss[STEPS], 0, 0);
            CHECK(loss[STEPS] != loss[STEPS - 1]);
            CHECK_MSG(fabs(loss[4] - loss[0]) > 0.01 * loss[0], "%g, then %g", loss[0], loss[4]);
            CHECK(engine_grad_norm(e[k]) > 0.5); /* else nothing was clipped */
            engine_download(e[k], BLOCK_WEIGHTS, weights[k]);
        }
        near_norm("steps", "logits", logits[1], logits[0], 2 * b.n * g->outputs, 1e-3, 0);
        near_norm("steps", "weights", weights[1], weights[0], g->weight_count, 1e-3, 0);
        for (int k = 0; k < 2; k++) engine_close(e[k]);
    }
}

/* A loss that is not finite moves nothing but running statistics. */
static void test_diverged(void)
{
    const char *devices[] = {tested, "ref", "cudasim"};
    for (int k = 0; k < 2 + (configure_simulator != 0); k++) {
        Arena a = memory;
        Graph *g = network(&a, 6);
        Batch b = hash_batch(&a, g, "train0", 3);
        Engine *e = open_engine(&a, g, devices[k], 3, pools[0]);
        float *weights[2] = {NEW(&a, float, g->weight_count), NEW(&a, float, g->weight_count)}, x = b.x[0];
        for (int s = 0; s < 6; s++) {
            const bool bad = s == 2 || s == 4;
            engine_download(e, BLOCK_WEIGHTS, weights[0]);
            b.x[0] = bad ? NAN : x;
            Result r = step(&a, g, e, b, GRAD_WEIGHTS);
            CHECK(isfinite(r.loss) == !bad);
            if (s % 2)
                engine_sgd(e, 0.05, 0.9, 3e-4, false, 1);
            else
                engine_adam(e, 0.01, 0.9, 0.999, 1e-8, 0, false, 1 + s, 1);
            engine_download(e, BLOCK_WEIGHTS, weights[1]);
            CHECK_MSG(same_bits(weights[0], weights[1], g->weight_count) == bad, "%s, step %d", devices[k], s);
        }
        engine_close(e);
    }
}

/* ---- losses ---- */

/* Outputs that are the inputs, plus what was learned: nothing. */
static Graph *identity(Arena *a, int64_t outputs)
{
    Graph *g = graph_new(a);
    Value x = graph_input(g, 1, 1, outputs), learned = graph_learned(g, 1, 1, outputs, 0, 1, "zero");
    graph_flatten(g, graph_mix(g, (Term[2]){{x, -1, 0, false, false}, {learned, -1, 0, false, false}}, 2, "sum"),
                  "out");
    return g;
}

typedef struct {
    const char *name;
    LossKind kind;
    bool soft, weighted, divisive;
    double scale; /* of logits; 0: 3 */
    bool
        exact; /* nothing cancels, so that small gradients are exact, too, as far as doubles go; classes are the likeliest */
} LossCase;

/* Logits with ties; targets of every sort; rows that do not count. */
static void loss_batch(const LossCase *l, int64_t n, int64_t outputs, float *z, float *y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = 0; o < outputs; o++) {
            const int64_t at = i * outputs + o;
            const double u = hash_u("targets", at);
            z[at] = (float)((l->scale > 0 ? l->scale : 3) * hash_u("logits", at));
            if (i % 4 == 1 && o % 3 == 2) z[at] = z[i * outputs];
            if (l->kind == LOSS_CROSS_ENTROPY && !l->soft)
                y[i] = l->exact ? (o && z[at] <= z[i * outputs + (int64_t)y[i]] ? y[i] : (float)o)
                                : (float)((i * 7 + 3) % outputs);
            else if (l->soft)
                y[at] = i % 5 == 3 || o % 3 == 1 ? 0 : (float)fabs(u); /* no shares: a row that is masked */
            else if (l->kind == LOSS_BINARY)
                y[at] = u > 0.5 && !l->exact ? (float)u : u > 0;
            else
                y[at] = (float)(l->kind == LOSS_TREE ? fabs(u) : 2 * u);
        }
}

static void check_loss(const LossCase *l, const char *way, int64_t n, int64_t outputs)
{
    Arena a = memory;
    Graph *g = identity(&a, outputs);
    Question *question = NEW(&a, Question, outputs);
    double *weight = NEW(&a, double, outputs), loss = 0, over = 0, size = 0;
    LossDetail d = {.divisive = l->divisive, .soft = l->soft};
    for (int64_t o = 0; o < outputs; o++) weight[o] = o % 3 == 1 ? 0 : 0.25 * (double)(1 + o % 7);
    if (l->weighted) d.weight = weight;
    for (int64_t o = 0; l->kind == LOSS_TREE && o < outputs; d.questions++) {
        Question *q = &question[d.questions];
        *q = (Question){.first = (int32_t)o, .count = (int32_t)(1 + d.questions % 40), .parent = (int32_t)o / 2};
        if (q->count > outputs - o) q->count = (int32_t)(outputs - o);
        if (d.questions % 3 == 0) q->parent = -1;
        o += q->count;
    }
    if (l->kind == LOSS_TREE) d.question = question;
    graph_loss(g, l->kind, &d);
    const int64_t width = loss_width(l->kind, &d, outputs);
    float *z = NEW(&a, float, n *outputs), *y = NEW(&a, float, n *outputs), *row = NEW(&a, float, outputs);
    float *grad = NEW(&a, float, g->weight_count), *logits = NEW(&a, float, n *outputs);
    double *want = NEW(&a, double, outputs), *most = NEW(&a, double, outputs);
    loss_batch(l, n, outputs, z, y);
    for (int64_t i = 0; i < n; i++) over += loss_share(l->kind, &d, outputs, y + i * width);
    for (int64_t i = 0; i < n; i++) {
        loss += loss_row(l->kind, &d, outputs, z + i * outputs, y + i * width, over, row) / over;
        for (int64_t o = 0; o < outputs; o++) {
            want[o] += (double)row[o], most[o] += fabs((double)row[o]);
            if (l->kind == LOSS_LINEAR) size += fabs((double)z[i * outputs + o] * (double)y[i * outputs + o]) / over;
        }
    }
    Engine *e = open_engine(&a, g, way, n, pools[0]);
    engine_upload(e, BLOCK_WEIGHTS, grad); /* zeros */
    engine_batch(e, z, y, n);
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, GRAD_WEIGHTS);
    engine_logits(e, logits);
    engine_download(e, BLOCK_GRAD, grad);
    const char *what = arena_printf(&a, "%s of %" PRId64 "x%" PRId64 ", %s", l->name, n, outputs, way);
    const double got = engine_loss(e), host = strcmp(way, "cudasim") ? 1e-7 : 1;
    CHECK_MSG(same_bits(logits, z, n * outputs), "%s: the outputs are not the inputs", what);
    if (over > 0)
        CHECK_MSG(fabs(got - loss) <= host * (5e-6 * fabs(loss) + 1e-7 * size), "%s: loss %.9g, expected %.9g", what,
                  got, loss);
    else
        CHECK_MSG(isnan(got), "%s: loss %g of no rows", what, got);
    for (int64_t o = 0; over > 0 && o < outputs; o++)
        if (!CHECK_MSG(fabs((double)grad[o] - want[o]) <= 5e-6 * most[o] + (l->exact ? 2e-16 : 5e-7),
                       "%s: gradient %" PRId64 ": %.9g, expected %.9g", what, o, (double)grad[o], want[o]))
            break;
    engine_close(e);
}

/* Each with what it may be told, beside the formulas in double of engine/loss.h. */
static void test_loss_details(void)
{
    static const LossCase cases[] = {
        {"classes", LOSS_CROSS_ENTROPY},
        {"huge classes", LOSS_CROSS_ENTROPY, .scale = 1e4},
        {"sure classes", LOSS_CROSS_ENTROPY, .scale = 30, .exact = true},
        {"weighted classes", LOSS_CROSS_ENTROPY, .weighted = true},
        {"soft classes", LOSS_CROSS_ENTROPY, .soft = true},
        {"huge weighted soft classes", LOSS_CROSS_ENTROPY, .soft = true, .weighted = true, .scale = 1e4},
        {"squares", LOSS_MSE},
        {"huge squares", LOSS_MSE, .scale = 1e4},
        {"labels", LOSS_BINARY},
        {"sure labels", LOSS_BINARY, .scale = 30, .exact = true},
        {"huge weighted labels", LOSS_BINARY, .weighted = true, .scale = 1e4},
        {"tree", LOSS_TREE},
        {"huge tree", LOSS_TREE, .scale = 1e4},
        {"divisive tree", LOSS_TREE, .divisive = true},
        {"huge divisive tree", LOSS_TREE, .divisive = true, .scale = 1e4},
        {"products", LOSS_LINEAR, .exact = true},
        {"huge products", LOSS_LINEAR, .scale = 1e4},
    };
    static const int64_t shapes[][2] = {{1, 1},   {33, 1},  {1, 2},    {2, 5},   {33, 37},
                                        {1, 128}, {2, 129}, {1, 1000}, {33, 300}};
    const char *devices[] = {"ref", tested, "cudasim"};
    for (int i = 0; i < COUNTOF(cases); i++)
        for (int s = 0; s < COUNTOF(shapes); s++)
            for (int k = 0; k < 2 + (configure_simulator != 0); k++)
                check_loss(&cases[i], devices[k], shapes[s][0], shapes[s][1]);
}

/* Convolutions as products by cuBLAS, whose place the simulator takes. */
static void test_cudasim_products(void)
{
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    setenv("NAS_CUDA_GEMM", "always", 1);
    check_device((const int[]){1, 3, 6}, 3, (EngineOptions){.device = "cudasim", .batch = 3});
    Arena a = memory;
    Graph *g = network(&a, 3);
    Batch b = hash_batch(&a, g, "train0", 3);
    Result r[3];
    for (int i = 0; i < 3; i++) {
        Engine *e =
            open_with(&a, g, (EngineOptions){.device = "cudasim", .batch = 3, .tf32 = i == 2, .pool = pools[0]});
        CHECK_EQ(strstr(engine_device(e), "TF32") != 0, i == 2);
        r[i] = step(&a, g, e, b, GRAD_ALL);
        engine_close(e);
    }
    same_result("products, again", g, &r[1], &r[0], b.n);
    CHECK_MSG(!same_bits(r[2].logits, r[0].logits, b.n * g->outputs), "TF32 changed nothing");
    near_norm("TF32", "logits", r[2].logits, r[0].logits, b.n * g->outputs, 1e-2, 0);
    near_norm("TF32", "gradient", r[2].grad, r[0].grad, g->weight_count, 5e-2, 0);
    unsetenv("NAS_CUDA_GEMM");
}

/* A step on the simulator in another order of blocks and warps, then again: the same bits. Then what engine.h promises
 * about a smaller batch, operations that are off, and dropped paths, beside ref. */
static void test_cudasim_promises(void)
{
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    Arena a = memory;
    Graph *g = network(&a, 1);
    Batch b = hash_batch(&a, g, "train0", 3), less = hash_batch(&a, g, "train1", 2);
    Engine *e = open_engine(&a, g, "cudasim", 3, pools[0]), *ref = open_engine(&a, g, "ref", 3, pools[0]);
    CHECK_CONTAINS(engine_device(e), "cudasim");
    set_hash_mix(g, e);
    set_hash_mix(g, ref);
    float *stats = NEW(&a, float, g->stat_floats);
    engine_download(e, BLOCK_STATS, stats);
    Result first = step(&a, g, e, b, GRAD_ALL);
    configure_simulator("shuffled");
    engine_upload(e, BLOCK_STATS, stats);
    Result again = step(&a, g, e, b, GRAD_ALL);
    configure_simulator("");
    same_result("cudasim, another order", g, &again, &first, b.n);
    engine_upload(e, BLOCK_STATS, stats);
    Result want = step(&a, g, ref, less, GRAD_ALL);
    engine_upload(ref, BLOCK_STATS, stats);
    for (int t = 0; t < 2; t++) { /* two operations of eight stay on */
        uint8_t active[MAX_MIX];
        for (int64_t k = 0; k < g->tables[t].count; k++) active[k] = k % OPS == 1 + k / OPS % 7 || k % OPS == 4;
        engine_set_active(e, t, active);
        engine_set_active(ref, t, active);
    }
    want = step(&a, g, ref, less, GRAD_ALL);
    Result got = step(&a, g, e, less, GRAD_ALL);
    near_result("cudasim, operations off", g, &got, &want, less.n, 1e-4);
    engine_upload(ref, BLOCK_STATS, stats);
    engine_upload(e, BLOCK_STATS, stats);
    want = step(&a, g, ref, b, GRAD_MIX);
    got = step(&a, g, e, b, GRAD_MIX);
    for (int t = 0; t < 2; t++)
        near_norm("cudasim, GRAD_MIX", g->tables[t].name, got.mix_grad[t], want.mix_grad[t], g->tables[t].count, 1e-3,
                  0);
    engine_close(e);
    engine_close(ref);
    a = memory;
    g = network(&a, 3);
    b = hash_batch(&a, g, "train0", 3);
    e = open_engine(&a, g, "cudasim", 3, pools[0]), ref = open_engine(&a, g, "ref", 3, pools[0]);
    engine_set_drop(e, 0.3, 5, 1);
    engine_set_drop(ref, 0.3, 5, 1);
    want = step(&a, g, ref, b, GRAD_WEIGHTS);
    got = step(&a, g, e, b, GRAD_WEIGHTS);
    near_result("cudasim, drop-path", g, &got, &want, b.n, 1e-4);
    engine_close(e);
    engine_close(ref);
}

/* ---- bf16 ---- */

static float to_bf16(float v) /* by the definition: the nearer of the two neighbours, the even one in the middle */
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t below = bits & 0xffff0000u, above = below + 0x10000u;
    float low, high;
    memcpy(&low, &below, sizeof low);
    memcpy(&high, &above, sizeof high);
    double down = fabs((double)v - low), up = fabs((double)high - v);
    return down < up || (down == up && !(below & 0x10000u)) ? low : high;
}

/* Trains `steps` steps of a search: of the alphas' gradient, then of the weights, by SGD. Losses, then the weights. */
static void search_steps(Arena *a, const Graph *g, Engine *e, int steps, double *losses, float *mix_grad,
                         float *weights)
{
    set_hash_mix(g, e);
    for (int i = 0; i < steps; i++) {
        Batch b = hash_batch(a, g, i % 2 ? "train1" : "train0", 3);
        engine_batch(e, b.x, b.y, b.n);
        engine_forward(e, MODE_TRAIN);
        engine_backward(e, GRAD_MIX);
        if (g->table_count) engine_get_mix_grad(e, 0, mix_grad);
        engine_forward(e, MODE_TRAIN);
        engine_backward(e, GRAD_WEIGHTS);
        losses[i] = engine_loss(e);
        engine_sgd(e, 0.02, 0.9, 3e-4, false, 1);
    }
    engine_download(e, BLOCK_WEIGHTS, weights);
}

static void check_steps(const char *device, int net, int steps)
{
    Arena a = memory;
    Graph *g = network(&a, net);
    const char *name = arena_printf(&a, "bf16, %s", net_names[net]);
    double losses[2][8];
    float mix_grad[2][MAX_MIX], *weights[2], *start = NEW(&a, float, g->weight_count);
    for (int k = 0; k < 2; k++) {
        Engine *e =
            k ? open_with(&a, g,
                          (EngineOptions){.device = device, .batch = 3, .precision = PRECISION_BF16, .pool = pools[0]})
              : open_engine(&a, g, "ref", 3, pools[0]);
        engine_download(e, BLOCK_WEIGHTS, start);
        weights[k] = NEW(&a, float, g->weight_count);
        search_steps(&a, g, e, steps, losses[k], mix_grad[k], weights[k]);
        engine_close(e);
        for (int64_t i = 0; i < g->weight_count; i++) weights[k][i] -= start[i];
    }
    for (int i = 0; i < steps; i++) CHECK_CLOSE(losses[1][i], losses[0][i], 0, 3e-2 * losses[0][0]);
    CHECK(steps < 2 || fabs(losses[0][steps - 1] - losses[0][0]) > 0.05 * losses[0][0]);
    near_norm(name, "what the weights moved", weights[1], weights[0], g->weight_count, 0.15, 0);
    if (g->table_count) near_norm(name, "gradient of alphas", mix_grad[1], mix_grad[0], g->tables[0].count, 0.3, 0);
}

/* Tensors of bf16: what rounding may do to every kind of operation; the rounding itself. */
static void check_bf16(const char *device, const int *nets, int count)
{
    EngineOptions o = {.device = device, .batch = 3, .precision = PRECISION_BF16};
    check_device(nets, count, o);
    Arena a = memory;
    Graph *g = network(&a, 3);
    Batch b = hash_batch(&a, g, "train0", 3);
    o.pool = pools[0];
    Engine *e = open_with(&a, g, o);
    CHECK_CONTAINS(engine_device(e), ", bf16");
    const ValueInfo *in = &g->values[g->input];
    int64_t values = b.n * in->channels * in->height * in->width;
    float *seen = NEW(&a, float, values);
    b.x[0] = 1.00390625f, b.x[1] = 1.01171875f, b.x[2] = -1.0039064f; /* two in the middle of two, one beyond it */
    engine_batch(e, b.x, b.y, b.n);
    engine_value(e, g->input, seen);
    for (int64_t i = 0; i < values; i++)
        if (!CHECK_MSG(seen[i] == to_bf16(b.x[i]), "%a is stored as %a", (double)b.x[i], (double)seen[i])) break;
    CHECK(seen[0] == 1 && seen[1] == 1.015625f && seen[2] == -1.0078125f);
    Result first = step(&a, g, e, b, GRAD_ALL), again = step(&a, g, e, b, GRAD_ALL);
    CHECK(same_bits(first.grad, again.grad, g->weight_count));
    b.x[5] = NAN; /* must not be rounded to infinity or a number */
    engine_batch(e, b.x, b.y, b.n);
    engine_forward(e, MODE_TRAIN);
    CHECK(isnan(engine_loss(e)));
    engine_close(e);
}

/* Every kind of operation. Not the deepest nets: through dozens of layers of three samples, roundings grow beyond any
 * tolerance that would notice a fault. */
static const int bf16_nets[] = {3, 1, 6, 15, 19, 8, 12, 2, 4, 5, 7};

static void test_cudasim_bf16(void)
{
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    bool all = getenv("NAS_TEST_LONG");
    check_bf16("cudasim", bf16_nets, all ? COUNTOF(bf16_nets) : 5);
    check_steps("cudasim", 1, 1);
    check_steps("cudasim", 3, 3);
    setenv("NAS_CUDA_GEMM", "always", 1);
    EngineOptions o = {.device = "cudasim", .batch = 3, .precision = PRECISION_BF16};
    check_device((const int[]){3, 6, 1}, all ? 3 : 2, o);
    unsetenv("NAS_CUDA_GEMM");
    configure_simulator("newest"); /* has instructions for it */
    check_bf16("cudasim", (const int[]){19}, 1);
    configure_simulator("");
    /* half the tensors' bytes; the same parameters */
    Arena a = memory, scratch = arena_reserve((ptrdiff_t)1 << 30);
    Graph *g = network(&a, 0);
    EngineMemory needs[2];
    for (int k = 0; k < 2; k++) {
        o.precision = k ? PRECISION_BF16 : PRECISION_FP32, o.batch = 64;
        CHECK(!engine_memory(g, &o, scratch, &a, &needs[k]));
    }
    CHECK_MSG(needs[1].device < 0.6 * (double)needs[0].device, "%s; %s", needs[0].parts, needs[1].parts);
    CHECK_CONTAINS(needs[1].parts, "in bf16");
    arena_release(scratch);
}

/* On a GPU. */
static bool quick;

static void test_device_bf16(void)
{
    if (strncmp(tested, "cuda", 4)) CHECK_SKIP("bf16 is for GPUs");
    check_bf16(tested, bf16_nets, quick ? 1 : COUNTOF(bf16_nets));
    if (!quick) check_steps(tested, 1, 1);
    if (!quick) check_steps(tested, 3, 3);
}

/* The host has floats alone. */
static void test_precision_of_host(void)
{
    Arena a = memory;
    EngineOptions o = {.device = "ref", .batch = 1, .precision = PRECISION_BF16, .pool = pools[0]};
    const char *why = 0;
    Graph *g = network(&a, 3);
    CHECK(!engine_open(&a, g, &o, &why));
    CHECK_STR(why, "device ref: bf16 is for GPUs alone");
    EngineMemory needs;
    o.device = "cpu";
    Arena scratch = arena_reserve((ptrdiff_t)1 << 28);
    CHECK_STR(engine_memory(g, &o, scratch, &a, &needs), "device cpu: bf16 is for GPUs alone");
    arena_release(scratch);
}

/* The losses by their formulas, from the logits. */
static void test_losses(void)
{
    for (int i = 4; i < COUNTOF(net_names); i++) {
        Arena a = memory;
        Graph *g = network(&a, i);
        if (g->table_count || g->auxiliary >= 0 || g->loss == LOSS_LINEAR) continue;
        Batch b = hash_batch(&a, g, "train0", 5);
        Engine *e = open_engine(&a, g, tested, 5, pools[0]);
        Result r = step(&a, g, e, b, GRAD_WEIGHTS);
        double loss = 0, over = 0;
        for (int64_t n = 0; n < b.n; n++) {
            const float *z = r.logits + n * CLASSES, *y = b.y + n * loss_width(g->loss, &g->detail, CLASSES);
            double total = 0, part[2] = {0}, p[CLASSES];
            for (int o = 0; o < CLASSES; o++) {
                total += exp(z[o]);
                part[o >= 3] += exp(z[o]);
                if (g->loss == LOSS_MSE) loss += pow(z[o] - y[o], 2);
                if (g->loss == LOSS_BINARY)
                    loss += y[o] > 0 ? loss_weights[o] * log(1 + exp(-z[o])) : log(1 + exp(z[o]));
            }
            for (int o = 0; o < CLASSES; o++) p[o] = exp(z[o]) / part[o >= 3] * (o >= 3 ? p[2] : 1);
            for (int o = 0; o < CLASSES && g->loss == LOSS_TREE; o++) loss += pow(p[o] - y[o], 2);
            if (g->loss == LOSS_CROSS_ENTROPY) loss += loss_weights[(int)y[0]] * (log(total) - z[(int)y[0]]);
            over += g->loss == LOSS_CROSS_ENTROPY ? loss_weights[(int)y[0]] : CLASSES;
        }
        loss /= over;
        CHECK_CLOSE(r.loss, loss, 0, 1e-5);
        float *logits = NEW(&a, float, b.n * g->outputs);
        engine_batch(e, b.x, 0, b.n); /* prediction: no targets */
        engine_forward(e, MODE_TRAIN);
        engine_logits(e, logits);
        CHECK(same_bits(logits, r.logits, b.n * g->outputs));
        engine_close(e);
    }
}

/* ---- finite differences ---- */

static double loss_of(Engine *e)
{
    engine_forward(e, MODE_TRAIN);
    return engine_loss(e);
}

/* Slopes of the loss along directions within a seventh of the parameters each: the gradient's own plus a random one. */
static void test_weight_gradients(void)
{
    for (int i = 0; i < way_count * COUNTOF(net_names); i++) {
        if (i / way_count > 0 && i % way_count > 1) continue; /* the supernet by all ways, others by ref and the best */
        Arena a = memory;
        Graph *g = network(&a, i / way_count);
        Batch b = hash_batch(&a, g, "train0", 4);
        Engine *e = open_engine(&a, g, ways[i % way_count], 4, pools[0]);
        set_hash_mix(g, e);
        Result r = step(&a, g, e, b, GRAD_ALL);
        float *w = NEW(&a, float, g->weight_count), *moved = NEW(&a, float, g->weight_count);
        float *d = NEW(&a, float, g->weight_count);
        engine_download(e, BLOCK_WEIGHTS, w);
        for (int part = 0; part < 7; part++) {
            double size = 0, slope = 0, length = 0, step_ = 1e-4, f[2];
            int64_t count = 0;
            memset(d, 0, (size_t)g->weight_count * sizeof *d);
            for (int32_t p = part; p < g->param_count; p += 7) {
                size += pow(norm(r.grad + g->params[p].offset, g->params[p].count), 2);
                count += g->params[p].count;
            }
            for (int32_t p = part; p < g->param_count; p += 7)
                for (int64_t k = 0; k < g->params[p].count; k++) {
                    int64_t at = g->params[p].offset + k;
                    d[at] = (float)(r.grad[at] / sqrt(size) + 0.5 * hash_u("direction", at) / sqrt((double)count / 3));
                    slope += (double)d[at] * r.grad[at];
                    length += (double)d[at] * d[at];
                }
            for (int s = 0; s < 2; s++) {
                for (int64_t k = 0; k < g->weight_count; k++) moved[k] = (float)(w[k] + (s ? -step_ : step_) * d[k]);
                engine_upload(e, BLOCK_WEIGHTS, moved);
                f[s] = loss_of(e);
            }
            double found = (f[0] - f[1]) / (2 * step_);
            CHECK_MSG(fabs(found - slope) <= 2e-2 * sqrt(size * length) + 5e-4,
                      "%s, %s, part %d: slope %.6g, gradient says %.6g", ways[i % way_count], net_names[i / way_count],
                      part, found, slope);
        }
        engine_close(e);
    }
}

static void test_mix_gradients(void)
{
    for (int i = 0; i < way_count * COUNTOF(net_names); i++) {
        Arena a = memory;
        Graph *g = network(&a, i / way_count);
        if (!g->table_count) continue;
        Batch b = hash_batch(&a, g, "train0", 4);
        Engine *e = open_engine(&a, g, ways[i % way_count], 4, pools[0]);
        float mix[2][MAX_MIX];
        bool none = strncmp(net_names[i / way_count], "generator", 9); /* the first operation of an edge */
        for (int t = 0; t < g->table_count; t++) {                     /* any weights, also negative ones */
            for (int64_t k = 0; k < g->tables[t].count; k++)
                mix[t][k] = (float)(0.3 + 0.4 * hash_u(g->tables[t].name, k));
            engine_set_mix(e, t, mix[t]);
        }
        Result r = step(&a, g, e, b, GRAD_MIX);
        for (int t = 0; t < g->table_count; t++) {
            double size = norm(r.mix_grad[t], g->tables[t].count);
            bool used = false; /* a net of 2 cells may have no normal cell */
            for (int32_t o = 0; o < g->op_count; o++)
                for (int32_t k = 0; g->ops[o].kind == OP_MIX && k < g->ops[o].mix.count; k++)
                    used |= g->ops[o].mix.terms[k].table == t;
            CHECK_MSG(used == (size > 0), "%s: table %d: gradient %g", net_names[i / way_count], t, size);
            int64_t columns = columns_of(g);
            for (int64_t k = 0; k < g->tables[t].count; k += columns) CHECK(!none || r.mix_grad[t][k] == 0);
            for (int part = 0; part < columns; part++) {
                double slope = 0, length = 0, f[2], step_ = 1e-3;
                float moved[MAX_MIX], d[MAX_MIX];
                for (int64_t k = 0; k < g->tables[t].count; k++) { /* one operation of all edges, then all */
                    d[k] = part == 0 || k % columns == part ? (float)hash_u("direction", k) : 0;
                    slope += (double)d[k] * r.mix_grad[t][k];
                    length += (double)d[k] * d[k];
                }
                for (int s = 0; s < 2; s++) {
                    for (int64_t k = 0; k < g->tables[t].count; k++)
                        moved[k] = (float)(mix[t][k] + (s ? -step_ : step_) * d[k]);
                    engine_set_mix(e, t, moved);
                    f[s] = loss_of(e);
                }
                engine_set_mix(e, t, mix[t]);
                double found = (f[0] - f[1]) / (2 * step_);
                CHECK_MSG(fabs(found - slope) <= 1e-2 * size * sqrt(length) + 5e-4,
                          "%s, %s, table %d, part %d: slope %.6g, gradient says %.6g", ways[i % way_count],
                          net_names[i / way_count], t, part, found, slope);
            }
        }
        engine_close(e);
    }
}

/* ---- what engine.h promises ---- */

static void test_partial_gradients(void)
{
    Arena a = memory;
    Graph *g = network(&a, 0);
    Batch b = hash_batch(&a, g, "train0", 4);
    Engine *e = open_engine(&a, g, tested, 4, pools[1]);
    set_hash_mix(g, e);
    Result all = step(&a, g, e, b, GRAD_ALL), mix = step(&a, g, e, b, GRAD_MIX),
           weights = step(&a, g, e, b, GRAD_WEIGHTS);
    for (int t = 0; t < 2; t++)
        near_norm("GRAD_MIX", g->tables[t].name, mix.mix_grad[t], all.mix_grad[t], g->tables[t].count, 1e-5, 0);
    near_norm("GRAD_WEIGHTS", "gradient", weights.grad, all.grad, g->weight_count, 1e-5, 0);
    engine_close(e);
}

static void test_smaller_batch(void)
{
    static const int64_t sizes[] = {1, 3, 6};
    for (int i = 0; i < 2 * COUNTOF(sizes); i++) {
        int64_t n = sizes[i / 2];
        Arena a = memory;
        Graph *g = network(&a, i % 2 ? 3 : 0);
        Batch whole = hash_batch(&a, g, "train1", 7), b = hash_batch(&a, g, "train0", n);
        Engine *large = open_engine(&a, g, tested, 7, pools[0]), *small = open_engine(&a, g, tested, n, pools[0]);
        set_hash_mix(g, large);
        set_hash_mix(g, small);
        float *stats = NEW(&a, float, g->stat_floats);
        engine_download(large, BLOCK_STATS, stats);
        step(&a, g, large, whole, GRAD_ALL); /* leaves rests of another batch behind */
        engine_upload(large, BLOCK_STATS, stats);
        Result got = step(&a, g, large, b, GRAD_ALL), want = step(&a, g, small, b, GRAD_ALL);
        near_result("smaller batch", g, &got, &want, n, 1e-5);
        engine_close(large);
        engine_close(small);
    }
}

static void test_inactive(void)
{
    Arena a = memory;
    Graph *g = network(&a, 0);
    Batch b = hash_batch(&a, g, "train0", 4);
    Engine *off = open_engine(&a, g, tested, 4, pools[1]), *zero = open_engine(&a, g, tested, 4, pools[1]);
    float *before = NEW(&a, float, g->stat_floats);
    engine_download(off, BLOCK_STATS, before);
    for (int t = 0; t < 2; t++) {
        uint8_t active[MAX_MIX];
        float mix[MAX_MIX];
        for (int64_t k = 0; k < g->tables[t].count;
             k++) { /* two operations an edge stay on, one of them on some edges */
            mix[k] = (float)(0.5 + 0.25 * hash_u(g->tables[t].name, k));
            active[k] = k % OPS == 1 + k / OPS % 7 || k % OPS == 4;
        }
        engine_set_mix(off, t, mix);
        engine_set_active(off, t, active);
        for (int64_t k = 0; k < g->tables[t].count; k++) mix[k] *= active[k];
        engine_set_mix(zero, t, mix);
    }
    Result got = step(&a, g, off, b, GRAD_ALL), want = step(&a, g, zero, b, GRAD_ALL);
    CHECK_CLOSE(got.loss, want.loss, 0, 1e-5);
    near_norm("inactive", "logits", got.logits, want.logits, b.n * g->outputs, 1e-5, 0);
    near_norm("inactive", "gradient", got.grad, want.grad, g->weight_count, 1e-5, 0);
    int64_t still = 0, moved = 0;
    for (int32_t i = 0; i < g->stat_count; i++) {
        const NormStat *s = &g->stats[i];
        int cell, edge, op;
        bool on = true;
        if (sscanf(s->name, "cells.%d._ops.%d._ops.%d", &cell, &edge, &op) == 3) on = op == 1 + edge % 7 || op == 4;
        bool same = same_bits(got.stats + s->offset, before + s->offset, 2 * s->channels);
        CHECK_MSG(same == !on, "%s is %s, and its statistics %s", s->name, on ? "on" : "off", same ? "stand" : "move");
        if (on) near_norm("inactive", s->name, got.stats + s->offset, want.stats + s->offset, 2 * s->channels, 1e-5, 0);
        still += same;
        moved += !same;
    }
    CHECK(still > 0 && moved > 0);
    /* all on again */
    for (int t = 0; t < 2; t++) {
        engine_set_active(off, t, 0);
        engine_set_active(zero, t, 0);
    }
    set_hash_mix(g, off);
    set_hash_mix(g, zero);
    engine_upload(off, BLOCK_STATS, before);
    engine_upload(zero, BLOCK_STATS, before);
    got = step(&a, g, off, b, GRAD_ALL);
    want = step(&a, g, zero, b, GRAD_ALL);
    same_result("on again", g, &got, &want, b.n);
    engine_close(off);
    engine_close(zero);
}

/* One operation an edge: where alternatives share memory, everything is as where they do not, and the memory is less. */
static void test_single_path(void)
{
    Arena a = memory, scratch = arena_reserve(1 << 28);
    Graph *g = network(&a, 0);
    Batch b = hash_batch(&a, g, "train0", 4);
    float *w = NEW(&a, float, g->weight_count), *s = NEW(&a, float, g->stat_floats);
    graph_init(g, 1, w, s);
    hash_weights(g, w);
    Engine *e[2];
    int64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        EngineOptions o = {.device = tested, .batch = 4, .single_path = i, .pool = pools[1]};
        const char *why = 0;
        e[i] = engine_open(&a, g, &o, &why);
        o.batch = 256;
        bytes[i] = host_memory(&a, scratch, g, &o);
        if (!CHECK_MSG(e[i], "%s", why)) return;
        engine_upload(e[i], BLOCK_WEIGHTS, w);
        engine_upload(e[i], BLOCK_STATS, s);
    }
    for (int path = 0; path < 6; path++) {
        Result r[2];
        for (int i = 0; i < 2; i++) {
            for (int t = 0; t < 2; t++) {
                uint8_t active[MAX_MIX] = {0};
                float mix[MAX_MIX] = {0};
                for (int64_t edge = 0; edge < EDGES; edge++) { /* none, on some edges of some paths */
                    int64_t op = edge * OPS + (int64_t)(OPS * (hash_u("path", path * 100 + t * 50 + edge) + 1) / 2);
                    active[op] = 1;
                    mix[op] = 1;
                }
                engine_set_mix(e[i], t, mix);
                engine_set_active(e[i], t, active);
            }
            r[i] = step(&a, g, e[i], b, GRAD_ALL);
            engine_sgd(e[i], 0.05, 0.9, 3e-4, false, 1);
        }
        same_result("single path", g, &r[1], &r[0], b.n);
    }
    CHECK_MSG(5 * bytes[1] < 3 * bytes[0], "%" PRId64 " bytes, %" PRId64 " with a single path", bytes[0], bytes[1]);
    engine_close(e[0]);
    engine_close(e[1]);
    arena_release(scratch);
}

static float *value_of(Arena *a, const Graph *g, Engine *e, int64_t n, const char *name)
{
    for (int32_t i = 0; i < g->op_count; i++)
        if (!strcmp(g->ops[i].name, name)) {
            const ValueInfo *v = &g->values[g->ops[i].output];
            float *x = NEW(a, float, n * v->channels * v->height * v->width);
            engine_value(e, g->ops[i].output, x);
            return x;
        }
    CHECK_MSG(false, "no operation %s", name);
    return 0;
}

/* Skips alone, so that a node is a sum of channels: the first quarter with the weights of the operations, the rest with
 * those of the bypass; then shuffled as PC-DARTS' channel_shuffle does, view (K, C/K) and transpose. */
static void test_partial_channels(void)
{
    enum { N = 3, C = 8, K = 4, PIXELS = 25 };
    Arena a = memory;
    Space s;
    NetSpec n = net_spec(C, 1, 5, 5);
    n.reduce_count = 0;
    n.share = K;
    CHECK(!space_make(&a, "skip_connect", 1, 2, 1, &s));
    Graph *g = network_supernet(&a, &s, &n);
    if (!CHECK_MSG(!g->error, "%s", g->error)) return;
    CHECK_EQ(g->tables[0].count, 4); /* two edges, each an operation and a bypass */
    const float mix[4] = {0.3f, 0.6f, 0.2f, -0.4f};
    Engine *e = open_engine(&a, g, tested, N, pools[0]);
    engine_set_mix(e, 0, mix);
    Batch b = hash_batch(&a, g, "train0", N);
    engine_batch(e, b.x, b.y, N);
    engine_forward(e, MODE_TRAIN);
    float *part[3], *rest[3]; /* of the two inputs and the node; what they were made of has given its memory back */
    for (int j = 0; j < 3; j++) {
        part[j] = value_of(&a, g, e, N, arena_printf(&a, "cells.0.state%d.part", j));
        rest[j] = value_of(&a, g, e, N, arena_printf(&a, "cells.0.state%d.rest", j));
    }
    double wrong = 0;
    enum { PART = C / K, REST = C - PART };
    for (int i = 0; i < N; i++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < PIXELS; p++) {
                double want = 0;
                for (int j = 0; j < 2; j++)
                    want += c < PART ? mix[2 * j] * part[j][(i * PART + c) * PIXELS + p]
                                     : mix[2 * j + 1] * rest[j][(i * REST + c - PART) * PIXELS + p];
                int to = c % PART * K + c / PART;
                float got =
                    to < PART ? part[2][(i * PART + to) * PIXELS + p] : rest[2][(i * REST + to - PART) * PIXELS + p];
                wrong = fmax(wrong, fabs(got - want));
            }
    CHECK_MSG(wrong < 1e-5, "a channel is off by %g", wrong);
    engine_close(e);
}

/* N(0, 1), another in every step, the same again for the same step; it hands no gradient on. */
static void test_noise(void)
{
    Arena a = memory;
    Space s;
    NetSpec n = net_spec(5, 1, 12, 12);
    n.reduce_count = 0;
    CHECK(!space_make(&a, "noise", 1, 1, 1, &s));
    Graph *g = network_supernet(&a, &s, &n);
    if (!CHECK_MSG(!g->error, "%s", g->error)) return;
    Value noise = -1;
    for (int32_t i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == OP_NOISE) noise = g->ops[i].output;
    Batch b = hash_batch(&a, g, "train0", 8);
    Engine *ref = open_engine(&a, g, "ref", 8, pools[0]), *cpu = open_engine(&a, g, tested, 8, pools[1]);
    enum { COUNT = 8 * 5 * 12 * 12 };
    float *x[3];
    for (int i = 0; i < 3; i++) {
        engine_set_drop(cpu, 0, 5, i % 2);
        Result r = step(&a, g, cpu, b, GRAD_ALL);
        CHECK(isfinite(r.loss) && r.mix_grad[0][0] != 0);
        engine_value(cpu, noise, x[i] = NEW(&a, float, COUNT));
    }
    CHECK(same_bits(x[0], x[2], COUNT));
    CHECK(!same_bits(x[0], x[1], COUNT));
    double sum = 0, squares = 0, both = 0;
    for (int64_t i = 0; i < COUNT; i++) sum += x[0][i], squares += x[0][i] * x[0][i], both += x[0][i] * x[1][i];
    CHECK_NEAR(sum / COUNT, 0, 0.05);
    CHECK_NEAR(squares / COUNT, 1, 0.08);
    CHECK_NEAR(both / COUNT, 0, 0.05);
    engine_set_drop(ref, 0, 5, 0); /* the same on every backend */
    Result other = step(&a, g, ref, b, GRAD_ALL);
    engine_set_drop(cpu, 0, 5, 0);
    Result same = step(&a, g, cpu, b, GRAD_ALL);
    CHECK_CLOSE(same.loss, other.loss, 0, 1e-5);
    /* without weights before it, no weight before it learns */
    Result r = step(&a, g, ref, b, GRAD_ALL);
    for (int32_t i = 0; i < g->param_count; i++)
        if (strncmp(g->params[i].name, "classifier", 10))
            CHECK_NEAR(norm(r.grad + g->params[i].offset, g->params[i].count), 0, 0);
    engine_close(ref);
    engine_close(cpu);
}

static void test_drop_path(void)
{
    Arena a = memory;
    Graph *g = network(&a, 3);
    Batch b = hash_batch(&a, g, "train0", 6);
    Engine *ref = open_engine(&a, g, "ref", 6, pools[0]), *cpu = open_engine(&a, g, tested, 6, pools[1]);
    Result plain = step(&a, g, cpu, b, GRAD_WEIGHTS);
    Result other[2];
    for (int i = 0; i < 2; i++) {
        engine_upload(ref, BLOCK_STATS, plain.stats);
        engine_upload(cpu, BLOCK_STATS, plain.stats);
        engine_set_drop(ref, 0.3, 5, i);
        engine_set_drop(cpu, 0.3, 5, i);
        Result want = step(&a, g, ref, b, GRAD_WEIGHTS);
        other[i] = step(&a, g, cpu, b, GRAD_WEIGHTS);
        near_result("drop-path", g, &other[i], &want, b.n, 1e-4);
        CHECK_MSG(!same_bits(other[i].logits, plain.logits, b.n * g->outputs), "nothing was dropped in step %d", i);
    }
    CHECK_MSG(!same_bits(other[0].logits, other[1].logits, b.n * g->outputs), "two steps have the same masks");
    engine_set_drop(cpu, 0.3, 5, 1);
    engine_upload(cpu, BLOCK_STATS, plain.stats);
    Result again = step(&a, g, cpu, b, GRAD_WEIGHTS);
    same_result("drop-path again", g, &again, &other[1], b.n);
    /* Slopes under fixed masks. */
    float *w = NEW(&a, float, g->weight_count), *moved = NEW(&a, float, g->weight_count);
    engine_download(cpu, BLOCK_WEIGHTS, w);
    double size = norm(again.grad, g->weight_count), f[2];
    for (int s = 0; s < 2; s++) {
        for (int64_t k = 0; k < g->weight_count; k++)
            moved[k] = (float)(w[k] + (s ? -1e-3 : 1e-3) * again.grad[k] / size);
        engine_upload(cpu, BLOCK_WEIGHTS, moved);
        f[s] = loss_of(cpu);
    }
    CHECK_CLOSE((f[0] - f[1]) / 2e-3, size, 5e-4, 1e-2);
    engine_upload(cpu, BLOCK_WEIGHTS, w);
    /* Evaluation drops nothing, and p = 0 is off. */
    float *with = NEW(&a, float, b.n * g->outputs), *without = NEW(&a, float, b.n * g->outputs);
    engine_upload(cpu, BLOCK_STATS, plain.stats);
    engine_forward(cpu, MODE_EVAL);
    engine_logits(cpu, with);
    engine_set_drop(cpu, 0, 5, 1);
    engine_forward(cpu, MODE_EVAL);
    engine_logits(cpu, without);
    CHECK(same_bits(with, without, b.n * g->outputs));
    engine_forward(cpu, MODE_TRAIN);
    engine_logits(cpu, without);
    CHECK(same_bits(without, plain.logits, b.n * g->outputs));
    engine_close(ref);
    engine_close(cpu);
}

static void test_thread_counts(void)
{
    for (int which = 0; which < 5; which += 3)
        for (int d = 0; d < 2; d++) {
            Arena a = memory;
            Graph *g = network(&a, which);
            Result r[3];
            for (int i = 0; i < 3; i++) {
                Engine *e = open_engine(&a, g, d ? "ref" : tested, 5, pools[i]);
                set_hash_mix(g, e);
                engine_set_drop(e, 0.2, 3, 1);
                for (int s = 0; s < 3; s++) {
                    char name[24];
                    snprintf(name, sizeof name, "train%d", s);
                    r[i] = step(&a, g, e, hash_batch(&a, g, name, 5 - s), GRAD_ALL);
                    engine_sgd(e, 0.1, 0.9, 3e-4, false, 5 / (engine_grad_norm(e) + 5));
                }
                char what[64];
                snprintf(what, sizeof what, "%s, %d threads", net_names[which], pool_sizes[i]);
                same_result(what, g, &r[i], &r[0], 3);
                engine_close(e);
            }
        }
}

/* What is recomputed changes no bit: steps with all kinds of gradients, then with drop-path, with operations off, with an
 * evaluation in between, and a smaller batch. */
static void test_recompute(void)
{
    static const GradWhat whats[] = {GRAD_MIX, GRAD_WEIGHTS, GRAD_ALL, GRAD_MIX, GRAD_ALL};
    static const struct {
        SegmentKind kind;
        int pool;
    } runs[] = {{SEGMENT_WHOLE, 0}, {SEGMENT_CELL, 0}, {SEGMENT_CELL, 1}, {SEGMENT_NODE, 0}, {SEGMENT_NODE, 1}};
    enum { STEPS = COUNTOF(whats) };
    for (int i = 0; i < way_count * COUNTOF(net_names); i++) {
        int net = i / way_count, way = i % way_count;
        if (net > 0 && way > 1) continue; /* the supernet by all ways, others by ref and the best */
        Arena a = memory;
        Graph *g = network(&a, net);
        Result want[STEPS];
        float *eval[2] = {NEW(&a, float, 6 * g->outputs), NEW(&a, float, 6 * g->outputs)};
        for (int w = 0; w < COUNTOF(runs); w++) {
            if (way == 0 && (w == 1 || w == 4)) continue; /* ref is slow */
            EngineOptions o = {.device = ways[way], .batch = 6, .recompute = runs[w].kind, .pool = pools[runs[w].pool]};
            Engine *e = open_with(&a, g, o);
            set_hash_mix(g, e);
            for (int s = 0; s < STEPS; s++) {
                char what[96];
                snprintf(what, sizeof what, "%s, %s, recompute %s, %d threads, step %d", o.device, net_names[net],
                         recompute_name[runs[w].kind], pool_sizes[runs[w].pool], s);
                engine_set_drop(e, s % 2 ? 0.3 : 0, 3, s);
                for (int32_t t = 0; t < g->table_count; t++) {
                    uint8_t active[MAX_MIX];
                    for (int64_t k = 0; k < g->tables[t].count; k++) active[k] = (k + s) % 3 != 0;
                    engine_set_active(e, t, s >= 3 ? active : 0);
                }
                Result r = step(&a, g, e, hash_batch(&a, g, s % 2 ? "train1" : "train0", 6 - s), whats[s]);
                engine_forward(e, MODE_EVAL);
                engine_logits(e, eval[w > 0]);
                if (!w)
                    want[s] = r;
                else
                    same_result(what, g, &r, &want[s], 6 - s);
                engine_sgd(e, 0.1, 0.9, 3e-4, false, 5 / (engine_grad_norm(e) + 5));
            }
            CHECK(same_bits(eval[w > 0], eval[0], 2 * g->outputs));
            engine_close(e);
        }
    }
}

static void test_blocks(void)
{
    for (int i = 0; i < way_count; i++) {
        Arena a = memory;
        Graph *g = network(&a, 4);
        Engine *e = open_engine(&a, g, ways[i], 2, pools[1]);
        int64_t n = g->weight_count;
        float *x = NEW(&a, float, n), *y = NEW(&a, float, n), *z = NEW(&a, float, n);
        double dot = 0;
        for (int64_t k = 0; k < n; k++) {
            x[k] = (float)hash_u("x", k);
            y[k] = (float)hash_u("y", k);
            dot += (double)x[k] * y[k];
        }
        for (int b = 0; b < BLOCK_COUNT; b++)
            CHECK_EQ(engine_block_count(e, (Block)b), b < BLOCK_WEIGHT_KINDS ? n : g->stat_floats);
        engine_upload(e, BLOCK_SAVED, x);
        engine_upload(e, BLOCK_BEST, y);
        engine_download(e, BLOCK_SAVED, z);
        CHECK(same_bits(x, z, n));
        CHECK_CLOSE(engine_dot(e, BLOCK_SAVED, BLOCK_BEST), dot, 1e-9 * (double)n, 1e-9);
        engine_copy(e, BLOCK_GRAD, BLOCK_BEST);
        CHECK_CLOSE(engine_grad_norm(e), norm(y, n), 0, 1e-6);
        engine_axpy(e, BLOCK_GRAD, -0.5, BLOCK_SAVED);
        engine_scale(e, BLOCK_GRAD, 3);
        engine_download(e, BLOCK_GRAD, z);
        for (int64_t k = 0; k < n; k++) x[k] = 3 * (y[k] - 0.5f * x[k]);
        near_norm(ways[i], "axpy and scale", z, x, n, 1e-6, 0);
        engine_download(e, BLOCK_BEST, z);
        CHECK(same_bits(y, z, n));
        engine_close(e);
    }
}

/* PyTorch's formulas, step by step in double. */
static void test_clip(void)
{
    CHECK_CLOSE(step_clip(10, 5), 0.5, 1e-6, 0);
    CHECK_CLOSE(step_clip(4, 5), 1, 0, 0);
    CHECK_CLOSE(step_clip(1e9, 0), 1, 0, 0);
    CHECK_CLOSE(step_clip(0, 5), 1, 0, 0);
    CHECK_CLOSE(step_clip(INFINITY, 5), 0, 0, 0);
}

static void test_optimisers(void)
{
    enum { SGD, NESTEROV, ADAM, ADAMW, KINDS, STEPS = 5 };
    for (int i = 0; i < way_count * KINDS; i++) {
        Arena a = memory;
        Graph *g = network(&a, 4);
        int kind = i / way_count;
        Engine *e = open_engine(&a, g, ways[i % way_count], 2, pools[1]);
        int64_t n = g->weight_count;
        float *w = NEW(&a, float, n), *grad = NEW(&a, float, n), *zero = NEW(&a, float, n);
        double *want = NEW(&a, double, n), *m = NEW(&a, double, n), *v = NEW(&a, double, n);
        engine_download(e, BLOCK_WEIGHTS, w);
        for (int64_t k = 0; k < n; k++) want[k] = w[k];
        engine_upload(e, BLOCK_MOMENT1, zero);
        engine_upload(e, BLOCK_MOMENT2, zero);
        for (int t = 1; t <= STEPS; t++) {
            double scale = 0.5, wd = 0.05, lr = 0.02;
            for (int64_t k = 0; k < n; k++) grad[k] = (float)(hash_u("gradient", k) + 0.1 * t);
            engine_upload(e, BLOCK_GRAD, grad);
            if (kind <= NESTEROV)
                engine_sgd(e, lr, 0.9, wd, kind == NESTEROV, scale);
            else
                engine_adam(e, lr, 0.8, 0.95, 1e-8, wd, kind == ADAMW, t, scale);
            for (int64_t k = 0; k < n; k++) {
                double d = scale * grad[k];
                if (kind == ADAMW)
                    want[k] *= 1 - lr * wd;
                else
                    d += wd * want[k];
                if (kind <= NESTEROV) {
                    m[k] = 0.9 * m[k] + d;
                    want[k] -= lr * (kind == NESTEROV ? d + 0.9 * m[k] : m[k]);
                } else {
                    m[k] = 0.8 * m[k] + 0.2 * d;
                    v[k] = 0.95 * v[k] + 0.05 * d * d;
                    want[k] -= lr * (m[k] / (1 - pow(0.8, t))) / (sqrt(v[k] / (1 - pow(0.95, t))) + 1e-8);
                }
            }
        }
        engine_download(e, BLOCK_WEIGHTS, w);
        double worst = 0;
        for (int64_t k = 0; k < n; k++) worst = fmax(worst, fabs(w[k] - want[k]));
        CHECK_MSG(worst < 2e-5, "%s, optimiser %d: off by %g", ways[i % way_count], kind, worst);
        engine_close(e);
    }
}

static void test_forward_only(void)
{
    Arena a = memory, scratch = arena_reserve(1 << 26);
    Graph *g = network(&a, 0);
    Batch b = hash_batch(&a, g, "train0", 4);
    EngineOptions o = {.device = tested, .batch = 4, .pool = pools[0]};
    int64_t whole = host_memory(&a, scratch, g, &o);
    o.forward_only = true;
    int64_t less = host_memory(&a, scratch, g, &o);
    CHECK_MSG(less < whole, "%d bytes without gradients, %d with them", (int)less, (int)whole);
    const char *why = 0;
    Engine *lean = engine_open(&a, g, &o, &why), *full = open_engine(&a, g, tested, 4, pools[0]);
    if (!CHECK_MSG(lean, "%s", why)) return;
    float *w = NEW(&a, float, g->weight_count), *s = NEW(&a, float, g->stat_floats);
    engine_download(full, BLOCK_WEIGHTS, w);
    engine_upload(lean, BLOCK_WEIGHTS, w);
    set_hash_mix(g, full);
    set_hash_mix(g, lean);
    step(&a, g, full, b, GRAD_WEIGHTS);
    engine_download(full, BLOCK_STATS, s);
    engine_upload(lean, BLOCK_STATS, s);
    float *want = NEW(&a, float, b.n * g->outputs), *got = NEW(&a, float, b.n * g->outputs);
    engine_forward(full, MODE_EVAL);
    engine_logits(full, want);
    engine_batch(lean, b.x, 0, b.n);
    engine_forward(lean, MODE_EVAL);
    engine_logits(lean, got);
    CHECK(same_bits(got, want, b.n * g->outputs));
    engine_close(lean);
    engine_close(full);
    arena_release(scratch);
}

static void test_unknown_device(void)
{
    static const char *const wrong[] = {"gpu", "", "cpu ", "reff", "cuda:", "cuda:x", "cuda:1x", "cudasi", "cudasim:1"};
    for (int i = 0; i < COUNTOF(wrong); i++) {
        Arena a = memory;
        Graph *g = network(&a, 4);
        EngineOptions o = {.device = wrong[i], .batch = 2, .pool = pools[0]};
        const char *why = 0;
        CHECK_MSG(!engine_open(&a, g, &o, &why) && why && *why, "device \"%s\" was accepted", wrong[i]);
    }
    Arena a = memory;
    Engine *e = open_engine(&a, network(&a, 4), "cpu", 2, pools[1]);
    CHECK_CONTAINS(engine_device(e), "cpu");
    CHECK_CONTAINS(engine_device(e), "2 threads");
    engine_close(e);
    EngineOptions o = {
        .device = "auto", .batch = 2, .pool = pools[1]}; /* whatever there is, and the reason if no GPU */
    const char *why = 0;
    a = memory;
    e = engine_open(&a, network(&a, 4), &o, &why);
    if (!CHECK_MSG(e, "%s", why)) return;
    CHECK_MSG(!strncmp(engine_device(e), "cuda", 4) || strchr(engine_device(e), '('), "%s", engine_device(e));
    engine_close(e);
}

/* ---- memory ---- */

/* Returns the forecast. */
static int64_t check_memory(const char *device, SegmentKind recompute)
{
    Arena a = memory, whole = arena_reserve((ptrdiff_t)1 << 32), scratch = arena_reserve(1 << 26);
    Arena perm = whole;
    Graph *g = !strcmp(device, "ref") ? supernet(&a, 4, 3, 12, 12) : supernet(&a, 8, 4, 32, 32);
    Batch b = hash_batch(&a, g, "train0", 16);
    float *w = NEW(&a, float, g->weight_count), *s = NEW(&a, float, g->stat_floats);
    graph_init(g, 1, w, s);
    EngineOptions o = {.device = device, .batch = b.n, .recompute = recompute, .pool = pools[1]};
    EngineMemory needs;
    const char *why = engine_memory(g, &o, scratch, &a, &needs);
    if (!CHECK_MSG(!why, "%s", why)) return 0;
    int64_t forecast = needs.host;
    CHECK(needs.parts && *needs.parts && !needs.device);
    int64_t before = check_resident();
    (void)before;
    Engine *e = engine_open(&perm, g, &o, &why);
    if (!CHECK_MSG(e, "%s", why)) return 0;
    int64_t left = arena_left(&perm);
    set_hash_mix(g, e);
    engine_upload(e, BLOCK_WEIGHTS, w); /* of the other blocks, only those that training needs are in the forecast */
    engine_upload(e, BLOCK_STATS, s);
    struct mallinfo2 heap = {0};
    for (int i = 0; i < 7; i++) {
        if (i == 1) heap = mallinfo2();
        engine_batch(e, b.x, b.y, i % 2 ? 2 : i ? 1 : b.n); /* the first one touches all */
        engine_forward(e, MODE_TRAIN);
        engine_backward(e, i % 3 == 1 ? GRAD_MIX : GRAD_ALL);
        engine_sgd(e, 0.01, 0.9, 3e-4, false, 1);
    }
    struct mallinfo2 after = mallinfo2();
    CHECK_MSG(heap.uordblks == after.uordblks && heap.hblkhd == after.hblkhd,
              "%s, recompute %s, six steps: the heap went from %zu to %zu bytes", device, recompute_name[recompute],
              heap.uordblks + heap.hblkhd, after.uordblks + after.hblkhd);
    CHECK_EQ(arena_left(&perm), left);
#if !defined(__SANITIZE_ADDRESS__) /* its shadow would count */
    int64_t grown = check_resident() - before;
    CHECK_MSG(check_emulated() ||
                  fabs((double)(forecast - grown)) <= fmax(0.05 * (double)forecast, 2 << 20), /* a huge page */
              "%s, recompute %s: forecast %" PRId64 " bytes, %" PRId64 " became resident (%s)", device,
              recompute_name[recompute], forecast, grown, needs.parts);
#endif
    engine_close(e);
    arena_release(whole);
    arena_release(scratch);
    return forecast;
}

static void test_memory(void)
{
    int64_t cpu[SEGMENT_KIND_COUNT];
    for (int kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        cpu[kind] = check_memory("cpu", (SegmentKind)kind);
        check_memory("ref", (SegmentKind)kind);
    }
    CHECK_MSG((double)cpu[1] < 0.7 * (double)cpu[0] && cpu[2] < cpu[1], "forecasts: %" PRId64 ", %" PRId64 ", %" PRId64,
              cpu[0], cpu[1], cpu[2]);
}

/* ---- PyTorch ---- */

/* One step of the supernet. Tolerances are relative: the oracle computes in double, we in float. */
static void check_oracle_gradients(const char *device)
{
    Arena a = memory;
    Graph *g = network(&a, 0);
    Batch b = hash_batch(&a, g, "train0", 4);
    Engine *e = open_engine(&a, g, device, 4, pools[1]);
    set_hash_mix(g, e);
    Result r = step(&a, g, e, b, GRAD_ALL);
    float *eval = NEW(&a, float, b.n * g->outputs);
    engine_forward(e, MODE_EVAL);
    engine_logits(e, eval);
    double whole = norm(r.grad, g->weight_count);
    int64_t seen[6] = {0};
    FILE *f = open_golden("oracle_gradients.txt");
    char line[256], name[128];
    while (f && fgets(line, sizeof line, f)) {
        double v, w;
        int t, i;
        if (*line == '#') continue;
        if (sscanf(line, "logit %d %lf", &i, &v) == 2 && ++seen[0]) {
            CHECK_CLOSE(r.logits[i], v, 2e-5, 2e-5);
        } else if (sscanf(line, "eval %d %lf", &i, &v) == 2 && ++seen[1]) {
            CHECK_CLOSE(eval[i], v, 2e-5, 2e-5);
        } else if (sscanf(line, "loss %lf", &v) == 1 && ++seen[2]) {
            CHECK_CLOSE(r.loss, v, 0, 2e-5);
        } else if (sscanf(line, "mix %d %d %lf", &t, &i, &v) == 3 && ++seen[3]) {
            if (i % OPS) CHECK_CLOSE(r.mix_grad[t][i], v, 1e-4, 1e-3);
        } else if (sscanf(line, "gradient %127s %lf %lf", name, &v, &w) == 3 && ++seen[4]) {
            const Param *p = 0;
            for (int32_t k = 0; k < g->param_count; k++)
                if (!strcmp(g->params[k].name, name)) p = &g->params[k];
            if (!CHECK_MSG(p, "no parameter %s", name)) continue;
            char direction[160];
            snprintf(direction, sizeof direction, "%s/direction", name);
            double projection = 0;
            for (int64_t k = 0; k < p->count; k++) projection += r.grad[p->offset + k] * hash_u(direction, k);
            CHECK_MSG(fabs(norm(r.grad + p->offset, p->count) - v) <= 1e-3 * v + 1e-5 * whole,
                      "%s: norm %.9g, expected %.9g", name, norm(r.grad + p->offset, p->count), v);
            CHECK_MSG(fabs(projection - w) <= 1e-3 * v + 1e-5 * whole, "%s: projection %.9g, expected %.9g", name,
                      projection, w);
        } else if (sscanf(line, "statistic %127s %lf %lf", name, &v, &w) == 3 && ++seen[5]) {
            char *dot = strrchr(name, '.');
            bool variance = !strcmp(dot, ".running_var");
            double projection = 0;
            const float *values = 0;
            int64_t channels = 0;
            for (int32_t k = 0; k < g->stat_count; k++)
                if (!strncmp(g->stats[k].name, name, (size_t)(dot - name)) && !g->stats[k].name[dot - name]) {
                    channels = g->stats[k].channels;
                    values = r.stats + g->stats[k].offset + (variance ? channels : 0);
                }
            if (!CHECK_MSG(values, "no statistics %s", name)) continue;
            for (int64_t k = 0; k < channels; k++) projection += values[k] * hash_u(name, k);
            CHECK_MSG(fabs(norm(values, channels) - v) <= 1e-4 * v + 1e-6 && fabs(projection - w) <= 1e-4 * v + 1e-6,
                      "%s: %.9g %.9g, expected %.9g %.9g", name, norm(values, channels), projection, v, w);
        } else {
            CHECK_MSG(false, "oracle_gradients.txt: %s", line);
        }
    }
    CHECK_EQ(seen[0], 20);
    CHECK_EQ(seen[1], 20);
    CHECK_EQ(seen[2], 1);
    CHECK_EQ(seen[3], 2 * 14 * OPS);
    CHECK_EQ(seen[4], g->param_count);
    CHECK_EQ(seen[5], 2 * g->stat_count);
    if (f) fclose(f);
    engine_close(e);
}

static void test_oracle_gradients(void)
{
    for (int i = 0; i < way_count; i++) check_oracle_gradients(ways[i]);
    if (configure_simulator) check_oracle_gradients("cudasim");
}

/* Twenty steps of a first-order search. Rounding grows along the way (some per mille after twenty steps of this tiny,
 * strongly clipped net), so the tolerance does. */
static void check_oracle_trajectory(const char *device, double *losses, int most)
{
    enum { STEPS = 20 };
    Arena a = memory;
    Graph *g = network(&a, 0);
    Engine *e = open_engine(&a, g, device, 4, pools[1]);
    double alpha[2][MAX_MIX], m[2][MAX_MIX] = {{0}}, v[2][MAX_MIX] = {{0}};
    float mix[2][MAX_MIX], *zero = NEW(&a, float, g->weight_count);
    engine_upload(e, BLOCK_MOMENT1, zero);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < EDGES * OPS; i++) alpha[t][i] = (float)(0.001 * hash_u(g->tables[t].name, i));
    FILE *f = open_golden("oracle_trajectory.txt");
    char line[256];
    int steps = 0, alphas = 0;
    while (f && fgets(line, sizeof line, f)) {
        double valid, train, length, value;
        int s, t, i;
        if (*line == '#') continue;
        if (sscanf(line, "step %d %lf %lf %lf", &s, &valid, &train, &length) == 4) {
            if (s >= most) break;
            char name[24];
            double tolerance = 2e-5 * pow(1.4, s);
            snprintf(name, sizeof name, "valid%d", s % 4);
            for (t = 0; t < 2; t++) {
                softmax_rows(alpha[t], mix[t], EDGES, OPS);
                engine_set_mix(e, t, mix[t]);
            }
            Result r = step(&a, g, e, hash_batch(&a, g, name, 4), GRAD_MIX);
            losses[2 * s] = r.loss;
            CHECK_MSG(fabs(r.loss - valid) <= tolerance * valid, "%s, step %d: %.9g, expected %.9g", device, s, r.loss,
                      valid);
            for (t = 0; t < 2; t++) {
                for (i = 0; i < EDGES * OPS; i++) {
                    double mean = 0; /* through the softmax */
                    for (int k = i / OPS * OPS; k < i / OPS * OPS + OPS; k++) mean += mix[t][k] * r.mix_grad[t][k];
                    double d = mix[t][i] * (r.mix_grad[t][i] - mean) + 1e-3 * alpha[t][i];
                    m[t][i] = 0.5 * m[t][i] + 0.5 * d;
                    v[t][i] = 0.999 * v[t][i] + 0.001 * d * d;
                }
                for (i = 0; i < EDGES * OPS; i++)
                    alpha[t][i] -=
                        3e-3 * m[t][i] / (1 - pow(0.5, s + 1)) / (sqrt(v[t][i] / (1 - pow(0.999, s + 1))) + 1e-8);
                softmax_rows(alpha[t], mix[t], EDGES, OPS);
                engine_set_mix(e, t, mix[t]);
            }
            snprintf(name, sizeof name, "train%d", s % 4);
            r = step(&a, g, e, hash_batch(&a, g, name, 4), GRAD_WEIGHTS);
            losses[2 * s + 1] = r.loss;
            CHECK_MSG(fabs(r.loss - train) <= tolerance * train, "%s, step %d: %.9g, expected %.9g", device, s, r.loss,
                      train);
            double size = engine_grad_norm(e);
            CHECK_MSG(fabs(size - length) <= 10 * tolerance * length, "%s, step %d: gradient %.9g, expected %.9g",
                      device, s, size, length);
            engine_sgd(e, 0.005, 0.9, 3e-4, false, size > 5 ? 5 / (size + 1e-6) : 1);
            steps++;
        } else if (sscanf(line, "alpha %d %d %lf", &t, &i, &value) == 3) {
            CHECK_MSG(fabs(alpha[t][i] - value) <= 1e-3, "%s: alpha %d %d: %.9g, expected %.9g", device, t, i,
                      alpha[t][i], value);
            alphas++;
        } else {
            CHECK_MSG(false, "oracle_trajectory.txt: %s", line);
        }
    }
    CHECK_EQ(steps, most);
    CHECK_EQ(alphas, most < STEPS ? 0 : 2 * EDGES * OPS);
    if (f) fclose(f);
    engine_close(e);
}

static void test_oracle_trajectory(void)
{
    double ref[40] = {0}, cpu[40] = {0};
    check_oracle_trajectory(ways[0], ref, 20);
    for (int way = 1; way < way_count; way++) {
        check_oracle_trajectory(ways[way], cpu, 20);
        for (int i = 0; i < 40; i++)
            CHECK_MSG(fabs(cpu[i] - ref[i]) <= 4e-5 * pow(1.4, i / 2) * ref[i], "%s, step %d: loss %.9g, ref has %.9g",
                      ways[way], i / 2, cpu[i], ref[i]);
    }
}

/* The same on the simulator: three steps, or when asked for all. */
static void test_cudasim_trajectory(void)
{
    double losses[40] = {0};
    if (!configure_simulator) CHECK_SKIP(without_nvcc);
    check_oracle_trajectory("cudasim", losses, getenv("NAS_TEST_LONG") ? 20 : 3);
}

/* --device: whether it is there. If not, says so as a skipped case. */
static void test_device_answers(void)
{
    Arena a = memory;
    const char *why = 0;
    Engine *e = engine_open(&a, network(&a, 4), &(EngineOptions){.device = tested, .batch = 1, .pool = pools[0]}, &why);
    if (!e) CHECK_SKIP(arena_strdup(&memory, why));
    printf("device %s\n", engine_device(e));
    CHECK(strncmp(engine_device(e), tested, strlen(tested)) == 0);
    engine_close(e);
}

int main(int argc, char **argv)
{
    memory = arena_reserve((ptrdiff_t)1 << 33);
    bool other = argc > 2 && !strcmp(argv[1], "--device");
    quick = argc > 3 && !strcmp(argv[3], "quick");
    if (other)
        tested = ways[way_count++] = argv[2];
    else
        find_ways(), find_simulator();
    for (int i = 1; i < way_count; i++) printf("%s %s\n", other ? "device" : "cpu kernels", ways[i]);
    for (int i = 0; i < 3; i++)
        if (!CHECK(pools[i] = pool_open(pool_sizes[i]))) return check_done("engine");
    if (other) CHECK_RUN(test_device_answers);
    if (check_state.skipped_cases) return check_done("engine");
    CHECK_RUN(test_oracle_gradients);
    if (other) CHECK_RUN(test_device_bf16);
    if (quick) return check_done("engine");
    CHECK_RUN(test_ref_and_cpu);
    if (!other) {
        CHECK_RUN(test_ref_and_cudasim);
        CHECK_RUN(test_cudasim_graphs);
        CHECK_RUN(test_cudasim_step);
        CHECK_RUN(test_cudasim_products);
        CHECK_RUN(test_cudasim_promises);
        CHECK_RUN(test_cudasim_bf16);
        CHECK_RUN(test_precision_of_host);
    }
    CHECK_RUN(test_losses);
    CHECK_RUN(test_loss_details);
    CHECK_RUN(test_diverged);
    CHECK_RUN(test_weight_gradients);
    CHECK_RUN(test_mix_gradients);
    CHECK_RUN(test_partial_gradients);
    CHECK_RUN(test_smaller_batch);
    CHECK_RUN(test_inactive);
    CHECK_RUN(test_single_path);
    CHECK_RUN(test_partial_channels);
    CHECK_RUN(test_noise);
    CHECK_RUN(test_drop_path);
    CHECK_RUN(test_thread_counts);
    CHECK_RUN(test_recompute);
    CHECK_RUN(test_blocks);
    CHECK_RUN(test_clip);
    CHECK_RUN(test_optimisers);
    CHECK_RUN(test_forward_only);
    CHECK_RUN(test_unknown_device);
    CHECK_RUN(test_oracle_trajectory);
    if (!other) {
        CHECK_RUN(test_memory); /* that of the host */
        CHECK_RUN(test_cudasim_trajectory);
    }
    for (int i = 0; i < 3; i++) pool_close(pools[i]);
    return check_done("engine");
}
