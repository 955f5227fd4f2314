/* test_gates: what can be said of the CUDA kernels' speed without a GPU. A search step and all optimisers run on the
 * simulator, which counts; ptxas says what registers and shared memory each kernel takes. Every kernel has a row of limits
 * here, and a kernel without a row fails. With --print the table of what was found, instead of checks (make cuda-gates).
 *
 * A limit is somewhat beyond what the kernel reaches now: it is there to notice a kernel that becomes worse. Who makes one
 * better lowers its limits.
 */
#include "base/rng.h"
#include "engine/engine.h"
#include "nn/generator.h"
#include "nn/network.h"
#include "tests/cudasim/cudasim.h"
#include "tests/unit/check.h"

#include <dlfcn.h>

typedef struct {
    const char *kernel;
    int sectors, banks; /* least %: of 32-byte sectors that a warp's access needs; of turns of shared memory's banks */
    double instructions,
        traffic;            /* most a word of global memory that is used: of threads; bytes through the caches / 4 */
    int registers, shared;  /* most a thread; bytes a block */
    int threads, occupancy; /* of a block; least % of an SM's threads, of the worse of sm_75 and sm_90 */
} Limit;

static const Limit limits[] = {
    /* clang-format off: a row each */
    /* kernel, sectors %, banks %, instructions and traffic a word, registers, shared, threads, occupancy % */
    {"depthwise_input", 94, 98, 317.2, 6.46, 54, 128, 256, 75},
    {"depthwise_weight", 89, 98, 739.5, 16.6, 63, 0, 256, 75},
    {"conv_input<64,64,8>", 57, 90, 160.2, 2.29, 64, 4352, 256, 50},
    {"conv_input<32,128,8>", 91, 97, 108, 1.63, 64, 5184, 256, 50},
    {"conv_input<16,256,8>", 97, 97, 70.1, 1.77, 64, 8768, 256, 50},
    {"conv_weight<64,64,32>", 82, 98, 85.96, 2.11, 64, 16640, 256, 50},
    {"conv_weight<32,32,32>", 82, 98, 244.2, 6.51, 76, 8448, 64, 43},
    {"depthwise_input<bf16>", 96, 98, 645.6, 9.06, 54, 128, 256, 75},
    {"depthwise_weight<bf16>", 92, 98, 1175, 17.7, 38, 0, 256, 100},
    {"conv_input<bf16,64,64,8>", 54, 90, 168.9, 2.4, 64, 4352, 256, 50},
    {"conv_input<bf16,32,128,8>", 86, 96, 185.3, 1.99, 64, 5184, 256, 50},
    {"conv_input<bf16,16,256,8>", 96, 97, 162.8, 2.26, 64, 8768, 256, 50},
    {"conv_weight<bf16,64,64,32>", 83, 98, 83.22, 2.13, 58, 16640, 256, 50},
    {"conv_weight<bf16,32,32,32>", 88, 98, 451, 7.73, 74, 8448, 64, 43},
    {"conv_forward<64,64,8>", 91, 89, 157.4, 1.26, 64, 4352, 256, 50},
    {"conv_forward<32,128,8>", 66, 93, 249.7, 6.11, 64, 5184, 256, 50},
    {"conv_forward<16,256,8>", 85, 97, 386.7, 9.33, 64, 8768, 256, 50},
    {"conv_forward<bf16,64,64,8>", 92, 89, 152.9, 1.25, 64, 4352, 256, 50},
    {"conv_forward<bf16,32,128,8>", 68, 94, 305.2, 6.75, 64, 5184, 256, 50},
    {"conv_forward<bf16,16,256,8>", 92, 97, 642.2, 10.2, 64, 8768, 256, 50},
    {"add_slots", 98, 98, 23.78, 1.08, 47, 0, 128, 100},
    {"scatter_gradient", 98, 98, 77.43, 1.51, 35, 0, 256, 100},
    {"gather_gradient", 92, 98, 57.35, 1.5, 33, 0, 256, 100},
    {"scatter_gradient<bf16>", 98, 98, 169.2, 1.59, 35, 0, 256, 100},
    {"gather_gradient<bf16>", 89, 98, 121, 2.03, 34, 0, 256, 100},
    {"channel_sums", 98, 98, 1797, 3.09, 64, 128, 256, 100},
    {"gather_input", 76, 98, 187.2, 8.54, 43, 0, 256, 75},
    {"channel_sums<bf16>", 98, 98, 3255, 4.07, 64, 128, 256, 100},
    {"gather_input<bf16>", 77, 98, 321, 11.2, 48, 0, 256, 75},
    {"flatten_backward", 98, 98, 25.5, 1.62, 32, 0, 256, 100},
    {"flatten_backward<bf16>", 98, 98, 29.24, 1.44, 16, 0, 256, 100},
    {"flatten_forward", 98, 98, 24.48, 1.08, 34, 0, 256, 100},
    {"flatten_forward<bf16>", 98, 98, 17.68, 1.08, 16, 0, 256, 100},
    {"resize_backward", 61, 98, 110.3, 4.14, 48, 0, 256, 62},
    {"resize_backward<bf16>", 92, 98, 231.6, 4.57, 43, 0, 256, 75},
    {"resize_forward", 98, 98, 170.8, 2.04, 55, 0, 256, 100},
    {"resize_forward<bf16>", 95, 98, 334.8, 2.48, 44, 0, 256, 100},
    {"resize_sums", 98, 98, 101, 1.47, 51, 128, 256, 62},
    {"resize_sums<bf16>", 95, 98, 200.3, 1.53, 51, 128, 256, 62},
    {"learned_latent", 98, 98, 51.42, 2.04, 46, 128, 256, 100},
    {"learned_latent<bf16>", 98, 98, 52.48, 1.59, 48, 128, 256, 100},
    {"learned_weight", 97, 98, 27.3, 1.16, 38, 0, 256, 100},
    {"learned_weight<bf16>", 97, 98, 34.44, 1.18, 36, 0, 256, 100},
    {"learned_forward", 97, 98, 24.63, 1.16, 48, 0, 256, 100},
    {"learned_forward<bf16>", 97, 98, 39.4, 1.18, 49, 0, 256, 100},
    {"select_backward", 94, 98, 17.4, 1.95, 44, 0, 256, 100},
    {"select_backward<bf16>", 92, 98, 50.94, 2.35, 44, 0, 256, 100},
    {"select_forward", 98, 98, 53, 1.33, 42, 0, 256, 100},
    {"select_forward<bf16>", 98, 98, 98.27, 1.57, 42, 0, 256, 100},
    {"head_input", 98, 98, 77.72, 2.37, 40, 1152, 256, 100},
    {"head_input<bf16>", 98, 98, 117.8, 2.48, 40, 1152, 256, 100},
    {"head_pool", 98, 98, 317.1, 2.26, 46, 0, 256, 100},
    {"head_pool<bf16>", 98, 98, 774.9, 4.94, 32, 0, 256, 100},
    {"mix_input", 98, 98, 65.69, 4.16, 31, 0, 256, 100},
    {"mix_input<bf16>", 98, 98, 328.7, 9.76, 29, 0, 256, 100},
    {"mix_sums", 89, 98, 426.3, 7.19, 50, 128, 128, 62},
    {"mix_sums<bf16>", 98, 98, 3155, 28.2, 39, 128, 128, 75},
    {"mix_forward", 88, 98, 113.8, 7.19, 44, 0, 256, 62},
    {"mix_forward<bf16>", 98, 98, 911, 27.5, 38, 0, 256, 75},
    {"pool_backward", 73, 98, 554, 25.2, 43, 0, 256, 62},
    {"pool_backward<bf16>", 81, 98, 1102, 34.6, 42, 0, 256, 75},
    {"pool_sums", 74, 98, 340.1, 6.25, 44, 128, 128, 100},
    {"pool_sums<bf16>", 81, 98, 769.5, 8.23, 44, 128, 128, 100},
    {"scale", 98, 98, 49.71, 2.16, 30, 0, 256, 100},
    {"to_bf16", 98, 98, 43.56, 1.08, 26, 0, 256, 100},
    {"axpy", 98, 98, 27.56, 1.62, 32, 0, 256, 100},
    {"adam", 98, 98, 26.1, 2.42, 44, 0, 256, 75},
    {"sgd", 98, 98, 28, 2.6, 32, 0, 256, 100},
    {"head_weight", 98, 98, 78.13, 3.12, 46, 0, 128, 100},
    {"head_logits", 98, 98, 67.74, 3.81, 52, 0, 256, 100},
    {"loss_values<32>", 88, 98, 28.6, 1.3, 33, 0, 32, 50},
    {"loss_values<256>", 98, 98, 27.3, 1.08, 33, 32, 256, 100},
    {"loss_classes<32>", 98, 98, 103, 2.94, 54, 0, 32, 50},
    {"loss_classes<256>", 98, 98, 79.8, 2.2, 58, 32, 256, 100},
    {"loss_finish", 98, 98, 94.6, 2.24, 64, 32, 256, 75},
    {"loss_tree", 94, 98, 23.1, 3.16, 64, 0, 32, 50},
    {"clip", 98, 98, 3.9, 5.2, 26, 0, 1, 50},
    {"dot_add", 89, 98, 27.46, 1.3, 44, 0, 32, 50},
    {"dot_parts", 97, 98, 20.97, 2.16, 39, 256, 256, 100},
    {"resize_norm", 98, 98, 579.8, 4.32, 64, 0, 128, 100},
    {"norm_backward", 98, 98, 109, 1.33, 57, 4096, 256, 50},
    {"norm_eval", 98, 98, 19.63, 1.08, 25, 0, 64, 100},
    {"norm_train", 89, 98, 274.6, 8.64, 64, 0, 128, 100},
    /* clang-format on */
};

/* Kernel launches of a first-order search step of the supernet below. */
static const int64_t most_launches = 1700;

typedef struct {
    CudasimRow row;
    int registers[2], shared[2]; /* of sm_75, sm_90 */
} Found;

static struct {
    void (*configure)(const char *words);
    int64_t (*statistics)(CudasimRow *rows, int64_t room);
    void (*reset)(void);
    void (*kernel_name)(const char *mangled, char *to, size_t room);
    int64_t (*in_use)(void);
} sim;
static Arena memory;
static char folder[1024];
static Found found[128];
static int kernels;

static bool open_sim(void)
{
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 64);
    if (n < 0) return false;
    folder[n] = 0;
    *strrchr(folder, '/') = 0;
    strcpy(strrchr(folder, '/'), "/cudasim");
    char path[1100];
    snprintf(path, sizeof path, "%s/libnas-cudasim.so", folder);
    if (access(path, R_OK)) return false;
    setenv("NAS_CUDASIM_PLUGIN", path, 1);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!CHECK_MSG(plugin, "%s", dlerror())) return false;
    *(void **)&sim.configure = dlsym(plugin, "cudasim_configure");
    *(void **)&sim.statistics = dlsym(plugin, "cudasim_statistics");
    *(void **)&sim.reset = dlsym(plugin, "cudasim_reset_statistics");
    *(void **)&sim.kernel_name = dlsym(plugin, "cudasim_kernel_name");
    *(void **)&sim.in_use = dlsym(plugin, "cudasim_in_use");
    return CHECK(sim.configure && sim.statistics && sim.reset && sim.kernel_name && sim.in_use);
}

/* ---- what runs ---- */

static Engine *open_graph(Arena *a, const Graph *g, int64_t batch, Precision precision)
{
    const char *why;
    Engine *e = engine_open(a, g, &(EngineOptions){.device = "cudasim", .batch = batch, .precision = precision}, &why);
    if (!CHECK_MSG(e, "%s", why)) return 0;
    float *w = NEW(a, float, g->weight_count), *s = NEW(a, float, g->stat_floats);
    graph_init(g, 1, w, s);
    engine_upload(e, BLOCK_WEIGHTS, w);
    const ValueInfo *in = g->input < 0 ? 0 : &g->values[g->input];
    int64_t pixels = in ? batch * in->channels * in->height * in->width : 0;
    float *x = NEW(a, float, pixels), *y = NEW(a, float, batch * g->outputs);
    for (int64_t i = 0; i < pixels; i++) x[i] = (float)rng_normal(1, RNG_TEST, (uint64_t)i);
    engine_batch(e, in ? x : 0, y, batch);
    return e;
}

/* channels 0: a ResNet. */
static Engine *open_net(Arena *a, Graph **graph, int64_t channels, int64_t size, int64_t share, Precision precision)
{
    Space space;
    NetSpec spec = {.input_channels = 3,
                    .height = size,
                    .width = size,
                    .outputs = 10,
                    .channels = channels,
                    .layers = 3,
                    .loss = LOSS_CROSS_ENTROPY,
                    .reduce_count = -1,
                    .stem_multiplier = 3,
                    .share = share};
    const char *why = space_make(a, "darts", 2, 1, 2, &space);
    if (!CHECK_MSG(!why, "%s", why)) return 0;
    if (!channels) spec.channels = 16;
    Graph *g = *graph = channels ? network_supernet(a, &space, &spec) : network_named(a, "resnet-tiny", &spec, &why);
    if (!CHECK_MSG(g, "%s", why)) return 0;
    return open_graph(a, g, 2, precision);
}

/* An image of 32x32 from 16 numbers, doubled twice. */
static const GeneratorSpec small_generator = {.latent = 16,
                                              .channels = 8,
                                              .stages = 3,
                                              .stage = {{RESIZE_BILINEAR, 2, 3, 8, true, 1},
                                                        {RESIZE_BILINEAR, 2, 3, 8, true, 1},
                                                        {RESIZE_BILINEAR, 1, 3, 1, true, 1}},
                                              .offset = 10};

static void pass(Engine *e, GradWhat what)
{
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, what);
    engine_loss(e); /* else it need not run */
}

/* A loss of inputs that go through nothing. */
static bool run_loss(LossKind loss, int64_t outputs)
{
    static const Question question[] = {{0, 3, -1}, {3, 97, 2}, {100, 900, 5}};
    const LossDetail tree = {.question = question, .questions = outputs > 100 ? 3 : 2};
    Arena a = memory;
    Graph *g = graph_new(&a);
    const Term x = {graph_input(g, 1, 1, outputs), -1, 0, false, false};
    graph_flatten(g, graph_mix(g, &x, 1, "sum"), "out");
    graph_loss(g, loss, loss == LOSS_TREE ? &tree : 0);
    Engine *e = open_graph(&a, g, 32, PRECISION_FP32);
    if (!e) return false;
    pass(e, GRAD_WEIGHTS);
    engine_close(e);
    return true;
}

/* A first-order search step; then what else there is: evaluation, the flat blocks' functions; every loss; in fp32 and bf16 a partial
 * supernet, a net of dense convolutions, convolutions as products by cuBLAS, a generator. */
static int64_t run_all(void)
{
    Arena a = memory;
    Graph *g;
    int64_t before = sim.in_use(), launches = 0;
    sim.configure("statistics");
    sim.reset();
    Engine *e = open_net(&a, &g, 8, 16, 1, PRECISION_FP32);
    if (!e) return 0;
    pass(e, GRAD_MIX);
    pass(e, GRAD_WEIGHTS);
    engine_clip(e, 1);
    engine_sgd(e, 0.01, 0.9, 3e-4, false, 1);
    CudasimRow row[COUNTOF(found)];
    int64_t n = sim.statistics(row, COUNTOF(row));
    for (int64_t i = 0; i < n; i++) launches += row[i].launches;
    engine_adam(e, 0.01, 0.9, 0.999, 1e-8, 0, false, 1, 1);
    engine_axpy(e, BLOCK_WEIGHTS, -0.01, BLOCK_GRAD);
    engine_scale(e, BLOCK_GRAD, 0.5);
    engine_forward(e, MODE_EVAL);
    engine_loss(e);
    engine_close(e);
    static const struct {
        int64_t channels, size, share;
        bool gemm;
    } nets[] = {{8, 16, 1}, {16, 8, 2}, {0, 8, 1}, {8, 8, 1, true}};
    for (int precision = 0; precision < PRECISION_COUNT; precision++) {
        for (int i = !precision; i < COUNTOF(nets); i++) {
            a = memory;
            setenv("NAS_CUDA_GEMM", nets[i].gemm ? "always" : "never", 1);
            e = open_net(&a, &g, nets[i].channels, nets[i].size, nets[i].share, (Precision)precision);
            if (!e) return 0;
            pass(e, GRAD_ALL);
            engine_close(e);
        }
        unsetenv("NAS_CUDA_GEMM");
        a = memory;
        const char *why;
        g = generator_make(&a, &small_generator, 32, 32, &why);
        e = CHECK_MSG(g, "%s", why) ? open_graph(&a, g, 1, (Precision)precision) : 0;
        if (!e) return 0;
        pass(e, GRAD_WEIGHTS);
        engine_close(e);
    }
    for (int loss = 0; loss < LOSS_KIND_COUNT; loss++)
        for (int wide = 0; wide < 2; wide++)
            if (!run_loss((LossKind)loss, wide ? 1000 : 100)) return 0;
    sim.configure("");
    CHECK_EQ(sim.in_use(), before);
    return launches;
}

static void collect(void)
{
    CudasimRow row[COUNTOF(found)];
    char path[1100], mangled[512], name[80];
    kernels = (int)sim.statistics(row, COUNTOF(row));
    for (int i = 0; i < kernels; i++) found[i] = (Found){.row = row[i]};
    snprintf(path, sizeof path, "%s/registers.txt", folder);
    FILE *f = fopen(path, "r");
    int arch, registers, shared, lines = 0;
    while (f && fscanf(f, "sm_%d %511s %d %d ", &arch, mangled, &registers, &shared) == 4) {
        lines++;
        sim.kernel_name(mangled, name, sizeof name);
        for (int i = 0; i < kernels; i++)
            if (!strcmp(found[i].row.kernel, name))
                found[i].registers[arch == 90] = registers, found[i].shared[arch == 90] = shared;
    }
    CHECK_MSG(lines, "%s: nothing in it", path);
    if (f) fclose(f);
}

/* ---- limits ---- */

static double share(int64_t least, int64_t used)
{
    return used ? 100.0 * (double)least / (double)used : 100;
}

static int block_threads(const Found *f)
{
    return (int)(f->row.threads / f->row.blocks);
}

/* % of an SM's threads that can be there at once: CUDA C++ Programming Guide, table of technical specifications; registers
 * are given to warps in units of 256, and from 8.0 on a block takes 1 KiB of shared memory beside its own. */
static int occupancy(const Found *f, int which)
{
    static const struct {
        int threads, blocks, shared, reserved;
    } sm[] = {{1024, 16, 64 << 10, 0}, {2048, 32, 228 << 10, 1 << 10}};
    int warps = (block_threads(f) + 31) / 32, of_warp = (f->registers[which] * 32 + 255) / 256 * 256;
    int blocks = sm[which].blocks, by_threads = sm[which].threads / (32 * warps);
    int by_registers = 65536 / (of_warp ? of_warp : 256) / warps;
    int by_shared = sm[which].shared / (f->shared[which] + sm[which].reserved + 1);
    if (by_threads < blocks) blocks = by_threads;
    if (by_registers < blocks) blocks = by_registers;
    if (by_shared < blocks) blocks = by_shared;
    return 100 * blocks * warps * 32 / sm[which].threads;
}

static int worse(int a, int b)
{
    return a < b ? a : b;
}

/* How many limits the kernel breaks; their names in `which`. */
static int broken(const Limit *l, const Found *f, char *which, size_t room)
{
    const CudasimRow *r = &f->row;
    double words = (double)r->words;
    const struct {
        const char *name;
        bool kept;
    } gate[] = {
        {"sectors", share(r->least_sectors, r->sectors) >= l->sectors},
        {"banks", share(r->least_wavefronts, r->wavefronts) >= l->banks},
        {"instructions", (double)r->lane_instructions <= l->instructions * words},
        {"traffic", (double)r->sectors * 8 <= l->traffic * words},
        {"registers", f->registers[0] <= l->registers && f->registers[1] <= l->registers},
        {"shared", f->shared[0] <= l->shared && f->shared[1] <= l->shared},
        {"threads", block_threads(f) == l->threads},
        {"occupancy", f->registers[0] && worse(occupancy(f, 0), occupancy(f, 1)) >= l->occupancy},
    };
    int count = 0;
    *which = 0;
    for (int i = 0; i < COUNTOF(gate); i++)
        if (!gate[i].kept) {
            size_t n = strlen(which);
            snprintf(which + n, room - n, "%s%s", count++ ? ", " : "", gate[i].name);
        }
    return count;
}

static Limit reached(const Found *f)
{
    const CudasimRow *r = &f->row;
    return (Limit){.kernel = r->kernel,
                   .sectors = (int)share(r->least_sectors, r->sectors),
                   .banks = (int)share(r->least_wavefronts, r->wavefronts),
                   .instructions = (double)r->lane_instructions / (double)r->words,
                   .traffic = (double)r->sectors * 8 / (double)r->words,
                   .registers = f->registers[0] > f->registers[1] ? f->registers[0] : f->registers[1],
                   .shared = f->shared[0] > f->shared[1] ? f->shared[0] : f->shared[1],
                   .threads = block_threads(f),
                   .occupancy = worse(occupancy(f, 0), occupancy(f, 1))};
}

static void print_limit(FILE *to, const Limit *l)
{
    fprintf(to, "    {\"%s\", %d, %d, %.4g, %.3g, %d, %d, %d, %d},\n", l->kernel, l->sectors, l->banks, l->instructions,
            l->traffic, l->registers, l->shared, l->threads, l->occupancy);
}

static void test_limits(void)
{
    if (!sim.configure) CHECK_SKIP("built without nvcc: no CUDA code was run");
    char which[200];
    for (int i = 0; i < kernels; i++) {
        const Limit *l = 0;
        for (int k = 0; k < COUNTOF(limits) && !l; k++)
            if (!strcmp(limits[k].kernel, found[i].row.kernel)) l = &limits[k];
        if (!CHECK_MSG(l, "%s has no row of limits", found[i].row.kernel)) continue;
        if (CHECK_MSG(!broken(l, &found[i], which, sizeof which), "%s: %s: limits, and what was found:", l->kernel,
                      which))
            continue;
        Limit r = reached(&found[i]);
        print_limit(stderr, l);
        print_limit(stderr, &r);
    }
    for (int k = 0; k < COUNTOF(limits); k++) {
        bool seen = false;
        for (int i = 0; i < kernels; i++) seen |= !strcmp(limits[k].kernel, found[i].row.kernel);
        CHECK_MSG(seen, "%s has limits, but was not run", limits[k].kernel);
    }
}

/* Each kind of limit, drawn a little closer than what a kernel reaches, is broken, and that one alone. */
static void test_limits_can_fail(void)
{
    if (!sim.configure) CHECK_SKIP("built without nvcc: no CUDA code was run");
    char which[200];
    for (int i = 0; i < kernels; i++) {
        Limit r = reached(&found[i]), closer[8];
        r.instructions *= 1.001, r.traffic *= 1.001; /* rounding */
        CHECK_EQ(broken(&r, &found[i], which, sizeof which), 0);
        for (int k = 0; k < COUNTOF(closer); k++) closer[k] = r;
        closer[0].sectors++;
        closer[1].banks++;
        closer[2].instructions *= 0.99;
        closer[3].traffic *= 0.99;
        closer[4].registers--;
        closer[5].shared--;
        closer[6].threads *= 2;
        closer[7].occupancy++;
        static const char *const names[] = {"sectors",   "banks",  "instructions", "traffic",
                                            "registers", "shared", "threads",      "occupancy"};
        for (int k = 0; k < COUNTOF(closer); k++) {
            CHECK_EQ(broken(&closer[k], &found[i], which, sizeof which), 1);
            CHECK_STR(which, names[k]);
        }
    }
}

static int64_t launches;

static void test_launches(void)
{
    if (!sim.configure) CHECK_SKIP("built without nvcc: no CUDA code was run");
    CHECK_MSG(launches > 0 && launches <= most_launches,
              "a search step takes %" PRId64 " launches, expected at most %" PRId64, launches, most_launches);
}

int main(int argc, char **argv)
{
    memory = arena_reserve((ptrdiff_t)1 << 33);
    if (open_sim()) {
        launches = run_all();
        collect();
    }
    if (argc > 1 && !strcmp(argv[1], "--print")) {
        printf(
            "    /* kernel, sectors %%, banks %%, instructions and traffic a word, registers, shared, threads, occupancy %% */\n");
        for (int i = 0; i < kernels; i++) {
            Limit r = reached(&found[i]);
            print_limit(stdout, &r);
        }
        printf("a search step: %" PRId64 " launches\n", launches);
        return 0;
    }
    CHECK_RUN(test_limits);
    CHECK_RUN(test_limits_can_fail);
    CHECK_RUN(test_launches);
    return check_done("gates");
}
