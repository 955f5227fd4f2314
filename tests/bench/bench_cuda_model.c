/* bench_cuda_model: what the CUDA kernels would take on GPUs by a roofline model. Nothing is measured on a GPU.
 *
 *   NAS_CUDASIM_PLUGIN=libnas-cudasim.so bench_cuda_model [CHANNELS [LAYERS [SIZE [fp32|bf16]]]]
 *
 * The simulator executes what nvcc made, on one image, and counts: words of global memory that a launch uses, each once;
 * instructions of warps; floating-point operations; launches. Two elements of bf16 are a word. Times 64 for the batch, but for kernels that do not see
 * images. A kernel's time is then the longest of three: its words at the peak bandwidth of memory (that each launch finds
 * nothing in the caches, and reads nothing twice), its instructions at one a cycle and scheduler, its FLOPs at the peak.
 * What is left out makes a real device slower: latency, caches that miss, blocks too few to fill it; and the time of a
 * launch, which has a column of its own. Default: the DARTS paper's supernet, 16 channels, 8 layers, 32x32,
 * fp32.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "nn/network.h"
#include "tests/cudasim/cudasim.h"

enum { BATCH = 64, MOST = 256 };
static const double launch_seconds =
    3e-6; /* a small kernel in a stream, without a graph: an assumption, not a measurement */

static const struct {
    const char *name;
    double bandwidth, flops, issue; /* bytes, FLOPs, instructions of warps a second */
} devices[] = {
    /* NVIDIA T4 data sheet (DS-TESLA-T4): 320 GB/s, 8.1 TFLOPS, boost 1.59 GHz; Turing whitepaper: 40 SMs of 4 schedulers */
    {"T4", 320e9, 8.1e12, 40 * 4 * 1.59e9},
    /* NVIDIA A100 whitepaper, SXM4 40 GB: 1555 GB/s, 19.5 TFLOPS, 108 SMs of 4 schedulers, boost 1.41 GHz */
    {"A100", 1555e9, 19.5e12, 108 * 4 * 1.41e9},
    /* NVIDIA H100 data sheet and whitepaper, SXM5: 3.35 TB/s, 66.9 TFLOPS, 132 SMs of 4 schedulers, boost 1.98 GHz */
    {"H100", 3350e9, 66.9e12, 132 * 4 * 1.98e9},
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

/* Work that does not grow with the batch, or hardly. */
static const char *const fixed[] = {"add_slots", "norm_", "sgd", "adam", "axpy", "scale", "dot_"};

typedef struct {
    char name[80];
    double launches, words, flops, instructions; /* of a second-order step */
} Kernel;
static Kernel kernel[MOST];
static int kernels;

static int64_t (*statistics)(CudasimRow *rows, int64_t room);
static void (*reset)(void);

/* Adds what ran since the last call, `times` over. */
static void add(double times)
{
    static CudasimRow row[MOST];
    int64_t n = statistics(row, MOST);
    for (int64_t i = 0; i < n; i++) {
        Kernel *k = kernel;
        double scale = BATCH;
        while (k < kernel + kernels && strcmp(k->name, row[i].kernel)) k++;
        if (k == kernel + kernels) snprintf(kernel[kernels++].name, sizeof k->name, "%s", row[i].kernel);
        for (int f = 0; f < COUNTOF(fixed); f++)
            if (!strncmp(k->name, fixed[f], strlen(fixed[f]))) scale = 1;
        k->launches += times * (double)row[i].launches;
        k->words += times * scale * (double)row[i].words;
        k->flops += times * scale * (double)row[i].flops;
        k->instructions += times * scale * (double)row[i].warp_instructions;
    }
    reset();
}

static double model(const Kernel *k, int d, const char **bound)
{
    const double t[] = {k->words * 4 / devices[d].bandwidth, k->instructions / devices[d].issue,
                        k->flops / devices[d].flops};
    static const char *const names[] = {"memory", "issue", "FLOPs"};
    int most = t[1] > t[0] ? 1 : 0;
    if (t[2] > t[most]) most = 2;
    *bound = names[most];
    return t[most];
}

static int by_time(const void *a, const void *b)
{
    const char *bound;
    double x = model(a, 0, &bound), y = model(b, 0, &bound);
    return (x < y) - (x > y);
}

int main(int argc, char **argv)
{
    int64_t channels = argc > 1 ? atoi(argv[1]) : 16, layers = argc > 2 ? atoi(argv[2]) : 8;
    int64_t size = argc > 3 ? atoi(argv[3]) : 32;
    Precision precision = argc > 4 && !strcmp(argv[4], "bf16") ? PRECISION_BF16 : PRECISION_FP32;
    const char *path = getenv("NAS_CUDASIM_PLUGIN"), *why = path ? 0 : "NAS_CUDASIM_PLUGIN names no simulator";
    void *plugin = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : 0;
    void (*configure)(const char *) = 0;
    if (path && !plugin) why = dlerror();
    if (plugin) {
        *(void **)&configure = dlsym(plugin, "cudasim_configure");
        *(void **)&statistics = dlsym(plugin, "cudasim_statistics");
        *(void **)&reset = dlsym(plugin, "cudasim_reset_statistics");
        if (!configure || !statistics || !reset) why = "not the simulator's plugin";
    }
    Arena perm = arena_reserve((ptrdiff_t)1 << 33);
    Space space;
    NetSpec spec = {.input_channels = 3,
                    .height = size,
                    .width = size,
                    .outputs = 10,
                    .loss = LOSS_CROSS_ENTROPY,
                    .channels = channels,
                    .layers = layers,
                    .reduce_count = -1,
                    .stem_multiplier = 3};
    if (!why) why = space_make(&perm, "darts", 4, 2, 4, &space);
    Graph *g = why ? 0 : network_supernet(&perm, &space, &spec);
    Engine *e =
        why ? 0
            : engine_open(&perm, g, &(EngineOptions){.device = "cudasim", .batch = 1, .precision = precision}, &why);
    if (!e) {
        fprintf(stderr, "bench_cuda_model: %s\n", why);
        return 1;
    }
    float *w = NEW(&perm, float, g->weight_count), *s = NEW(&perm, float, g->stat_floats), y = 1;
    float *x = NEW(&perm, float, 3 * size * size);
    graph_init(g, 1, w, s);
    engine_upload(e, BLOCK_WEIGHTS, w);
    for (int64_t i = 0; i < 3 * size * size; i++) x[i] = (float)rng_normal(1, RNG_TEST, (uint64_t)i);
    engine_batch(e, x, &y, 1);
    configure("statistics,unchecked");
    reset();
    /* a second-order step is three passes for the weights' gradients, two for the alphas' and passes over the weights */
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, GRAD_ALL);
    engine_loss(e); /* else it need not run */
    add(3);
    engine_forward(e, MODE_TRAIN);
    engine_backward(e, GRAD_MIX);
    engine_loss(e);
    add(2);
    engine_axpy(e, BLOCK_WEIGHTS, -0.01, BLOCK_GRAD);
    add(5);
    engine_grad_norm(e);
    add(2);
    engine_sgd(e, 0.01, 0.9, 3e-4, false, 1);
    add(1);
    engine_close(e);

    qsort(kernel, (size_t)kernels, sizeof *kernel, by_time);
    printf(
        "A MODEL, not a measurement: nothing ran on a GPU. Second-order search step, supernet C=%lld, %lld layers, %lldx%lld,\n"
        "batch %d, %s; ms a step, and what bounds the kernel. Counted by the simulator on one image, times the batch.\n\n",
        (long long)channels, (long long)layers, (long long)size, (long long)size, BATCH, precision_name[precision]);
    printf("%-24s %8s %10s %10s", "kernel", "launches", "GB", "GFLOP");
    for (int d = 0; d < DEVICES; d++) printf("   %18s", devices[d].name);
    printf("\n");
    double total[DEVICES] = {0}, all_launches = 0, bytes = 0, flops = 0;
    for (int k = 0; k < kernels; k++) {
        printf("%-24s %8.0f %10.3f %10.2f", kernel[k].name, kernel[k].launches, kernel[k].words * 4e-9,
               kernel[k].flops * 1e-9);
        for (int d = 0; d < DEVICES; d++) {
            const char *bound;
            double t = model(&kernel[k], d, &bound);
            total[d] += t;
            printf("   %8.2f %-9s", 1e3 * t, bound);
        }
        printf("\n");
        all_launches += kernel[k].launches, bytes += kernel[k].words * 4, flops += kernel[k].flops;
    }
    printf("%-24s %8.0f %10.3f %10.2f", "a step (model)", all_launches, bytes * 1e-9, flops * 1e-9);
    for (int d = 0; d < DEVICES; d++) printf("   %8.2f %-9s", 1e3 * total[d], "");
    printf("\n%-24s %8s %10s %10s", "launches, 3 us each", "", "", "");
    for (int d = 0; d < DEVICES; d++) printf("   %8.2f %-9s", 1e3 * launch_seconds * all_launches, "");
    printf("\n\nMeasured, for comparison: the ancestor's PyTorch code took about 3 s for such a step on a 2080 Ti.\n");
    return 0;
}
