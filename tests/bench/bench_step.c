/* bench_step: time of a training step and its parts, for the networks that the README's tables name.
 *
 *   bench_step [CONFIG] [THREADS] [ROUNDS] [profile|markdown] [none|cell|node] [fp32|bf16] [PART] [DEVICE]
 *
 * Prints a line of key=value pairs when the network stands, then one per measured part: medians over the rounds of wall
 * and CPU time, and the process's peak memory. With `profile`, a table of the whole step instead: per kind of operation
 * time, rates, and what share of that time the machine's roofline (machine.h) would need. `markdown`: the same as
 * Markdown, sizes added up. cell and node say what is recomputed (engine/plan.h); PART, the name of one, limits what is
 * measured to it. DEVICE: cpu, or cuda or cuda:N; bf16 is for GPUs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/plan.h"
#include "nn/network.h"
#include "tests/bench/machine.h"

typedef struct {
    const char *name, *about, *net; /* net: "supernet", a published genotype or a hand-designed net */
    int64_t channels, layers, input_channels, height, width, batch;
} Config;

static const Config configs[] = {
    {"a", "the paper's supernet", "supernet", 16, 8, 3, 32, 32, 64},
    {"b", "the same on 28x28 grey", "supernet", 16, 8, 1, 28, 28, 64},
    {"c", "a small supernet", "supernet", 8, 5, 1, 28, 28, 32},
    {"tiny", "one for a simulated GPU", "supernet", 1, 1, 1, 5, 4, 2},
    {"v2", "DARTS_V2", "DARTS_V2", 16, 8, 1, 28, 28, 64},
    {"resnet", "ResNet-18", "resnet-18", 64, 18, 1, 28, 28, 64},
};

enum { MAX_ROUNDS = 99 };

static const double learning_rate = 0.025, momentum = 0.9, decay = 3e-4, clip = 5;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

typedef struct {
    Engine *e;
    const float *x, *y;
    int64_t n;
    bool search;
} Bench;

static void part_forward(const Bench *b)
{
    engine_forward(b->e, MODE_TRAIN);
    engine_loss(b->e); /* waits for a device */
}

static void part_step(const Bench *b)
{
    engine_forward(b->e, MODE_TRAIN);
    engine_backward(b->e, b->search ? GRAD_ALL : GRAD_WEIGHTS);
}

static void pass(const Bench *b, GradWhat what)
{
    engine_batch(b->e, b->x, b->y, b->n);
    engine_forward(b->e, MODE_TRAIN);
    engine_backward(b->e, what);
}

static void weight_step(const Bench *b)
{
    pass(b, GRAD_WEIGHTS);
    engine_clip(b->e, clip);
    engine_sgd(b->e, learning_rate, momentum, decay, false, 1);
}

/* A first-order search step: alphas on one batch, weights on another; a training step for other nets. */
static void part_whole(const Bench *b)
{
    if (b->search) pass(b, GRAD_MIX);
    weight_step(b);
}

/* A second-order search step: the alphas' gradient after one unrolled step of the weights, less a Hessian-vector
 * product by finite differences (MOMENT2 holds its direction); then the weights. */
static void part_second_order(const Bench *b)
{
    Engine *e = b->e;
    pass(b, GRAD_WEIGHTS);
    engine_copy(e, BLOCK_SAVED, BLOCK_WEIGHTS);
    engine_copy(e, BLOCK_STATS_SAVED, BLOCK_STATS);
    engine_axpy(e, BLOCK_WEIGHTS, -learning_rate * decay, BLOCK_SAVED);
    engine_axpy(e, BLOCK_WEIGHTS, -learning_rate, BLOCK_GRAD);
    engine_axpy(e, BLOCK_WEIGHTS, -learning_rate * momentum, BLOCK_MOMENT1);
    pass(b, GRAD_ALL);
    engine_copy(e, BLOCK_STATS, BLOCK_STATS_SAVED);
    double r = 0.01 / engine_grad_norm(e);
    engine_copy(e, BLOCK_MOMENT2, BLOCK_GRAD);
    engine_copy(e, BLOCK_WEIGHTS, BLOCK_SAVED);
    engine_axpy(e, BLOCK_WEIGHTS, r, BLOCK_MOMENT2);
    pass(b, GRAD_MIX);
    engine_axpy(e, BLOCK_WEIGHTS, -2 * r, BLOCK_MOMENT2);
    pass(b, GRAD_MIX);
    engine_copy(e, BLOCK_WEIGHTS, BLOCK_SAVED);
    weight_step(b);
}

/* What has been launched is over: the norm is the host's only when it is. */
static void wait_for(const Bench *b)
{
    engine_dot(b->e, BLOCK_GRAD, BLOCK_GRAD);
}

/* The engine's profile as a table. short_names: without channels, "sepconv 3x3 C16" as "sepconv 3x3". */
static Table *profile_table(Arena *a, const Engine *e, const Machine *m, double wall, int rounds, bool short_names)
{
    EngineProfile rows[64], *to;
    int64_t n = engine_profile(e, rows, COUNTOF(rows)), kinds = 0;
    double rest = wall;
    Level level = machine_level(m, (double)memory_peak());
    for (int64_t i = 0; i < n; i++) {
        const char *c = strrchr(rows[i].op, 'C');
        EngineProfile r = rows[i];
        if (short_names && c > r.op) r.op = arena_strndup(a, r.op, c - 1 - r.op);
        for (to = rows; to < rows + kinds && strcmp(to->op, r.op); to++) {
        }
        rest -= r.forward + r.backward;
        if (to == rows + kinds) {
            rows[kinds++] = r;
            continue;
        }
        to->calls += r.calls;
        to->forward += r.forward, to->backward += r.backward;
        to->flops += r.flops, to->bytes += r.bytes;
    }
    Table *t =
        table_new(a, "", "operation|>calls|>forward ms|>backward ms|>of the step|>GFLOP/s|>GB/s|>of the roofline");
    for (int64_t i = 0; i < kinds; i++) {
        const EngineProfile *r = &rows[i];
        double all = r->forward + r->backward;
        const char **cell = table_row(a, t);
        cell[0] = r->op;
        cell[1] = arena_printf(a, "%lld", (long long)(r->calls / rounds));
        cell[2] = arena_printf(a, "%.2f", 1e3 * r->forward / rounds);
        cell[3] = arena_printf(a, "%.2f", 1e3 * r->backward / rounds);
        cell[4] = arena_printf(a, "%.1f %%", 100 * all / wall);
        cell[5] = arena_printf(a, "%.1f", r->flops / all / 1e9);
        cell[6] = arena_printf(a, "%.1f", r->bytes / all / 1e9);
        cell[7] = arena_printf(a, "%.0f %%", 100 * machine_roof(m, r->flops, r->bytes, level) / all);
    }
    const char **cell = table_row(a, t);
    cell[0] = "the rest: normalisation, sums of gradients, optimiser";
    cell[3] = arena_printf(a, "%.2f", 1e3 * rest / rounds);
    cell[4] = arena_printf(a, "%.1f %%", 100 * rest / wall);
    return t;
}

static const struct {
    const char *name;
    void (*run)(const Bench *);
} parts[] = {
    {"forward", part_forward}, {"forward+backward", part_step}, {"step", part_whole}, {"step2", part_second_order}};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "c";
    int threads = argc > 2 ? atoi(argv[2]) : pool_cpus(), rounds = argc > 3 ? atoi(argv[3]) : 5;
    bool profile = false, markdown = false;
    SegmentKind recompute = SEGMENT_WHOLE;
    Precision precision = PRECISION_FP32;
    int first = 0, end = PART_COUNT;
    setvbuf(stdout, 0, _IOLBF, 1 << 12); /* bench-peer reads the lines as they come */
    const char *device = "cpu";
    const Config *c = 0;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (!strcmp(configs[i].name, name)) c = &configs[i];
    for (int i = 4; i < argc; i++) {
        int kind = 0, part = 0, stored = 0;
        while (kind < SEGMENT_KIND_COUNT && strcmp(recompute_name[kind], argv[i])) kind++;
        while (part < PART_COUNT && strcmp(parts[part].name, argv[i])) part++;
        while (stored < PRECISION_COUNT && strcmp(precision_name[stored], argv[i])) stored++;
        if (kind < SEGMENT_KIND_COUNT)
            recompute = (SegmentKind)kind;
        else if (stored < PRECISION_COUNT)
            precision = (Precision)stored;
        else if (part < PART_COUNT)
            first = part, end = part + 1;
        else if (!strcmp(argv[i], "cpu") || !strncmp(argv[i], "cuda", 4))
            device = argv[i];
        else if (!strcmp(argv[i], "profile") || !strcmp(argv[i], "markdown"))
            profile = true, markdown = *argv[i] == 'm', first = 2, end = 3;
        else
            c = 0;
    }
    if (!c || threads < 1 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_step [a|b|c|tiny|v2|resnet] [THREADS] [ROUNDS] [profile|markdown] "
                        "[none|cell|node] [fp32|bf16] [PART] [DEVICE]\n");
        return 2;
    }
    Arena perm = arena_reserve((ptrdiff_t)1 << 33);
    const char *why = 0, *isa = getenv("NAS_ISA");
    const NasKernels *kernels = nas_kernels_cpu(isa ? isa : "", 0);
    Machine machine = {0};
    if (profile && kernels) why = machine_measure(&machine, kernels, threads, false);
    NetSpec spec = {.input_channels = c->input_channels,
                    .height = c->height,
                    .width = c->width,
                    .outputs = 10,
                    .loss = LOSS_CROSS_ENTROPY,
                    .channels = c->channels,
                    .layers = c->layers,
                    .reduce_count = -1,
                    .stem_multiplier = 3};
    Graph *g = 0;
    bool search = !strcmp(c->net, "supernet");
    if (search) {
        Space space;
        if (!why) why = space_make(&perm, "darts", 4, 2, 4, &space);
        if (!why) g = network_supernet(&perm, &space, &spec);
    } else if (genotype_find(c->net)) {
        Genotype t;
        if (!why) why = genotype_parse(&perm, genotype_find(c->net)->text, &t);
        if (!why) g = network_genotype(&perm, &t, &spec);
    } else {
        g = network_named(&perm, c->net, &spec, &why);
    }
    EngineOptions o = {.device = device,
                       .precision = precision,
                       .batch = c->batch,
                       .recompute = recompute,
                       .pool = pool_open(threads)};
    EngineMemory needs = {0};
    Arena scratch = arena_reserve((ptrdiff_t)1 << 30);
    if (!why) why = engine_memory(g, &o, scratch, &perm, &needs);
    arena_release(scratch);
    Engine *e = why ? 0 : engine_open(&perm, g, &o, &why);
    if (!e) {
        fprintf(stderr, "bench_step: %s\n", why);
        return 1;
    }
    float *w = NEW(&perm, float, g->weight_count), *s = NEW(&perm, float, g->stat_floats);
    graph_init(g, 1, w, s);
    engine_upload(e, BLOCK_WEIGHTS, w);
    for (int32_t t = 0; t < g->table_count; t++) {
        float *mix = NEW(&perm, float, g->tables[t].count);
        for (int64_t i = 0; i < g->tables[t].count; i++) mix[i] = 0.125f;
        engine_set_mix(e, t, mix);
    }
    int64_t pixels = c->batch * c->input_channels * c->height * c->width;
    float *x = NEW(&perm, float, pixels), *y = NEW(&perm, float, c->batch);
    for (int64_t i = 0; i < pixels; i++) x[i] = (float)rng_normal(1, RNG_TEST, (uint64_t)i);
    for (int64_t i = 0; i < c->batch; i++) y[i] = (float)(i % 10);
    Bench b = {e, x, y, c->batch, search};
    engine_batch(e, x, y, c->batch);
    part_step(&b); /* touches every page */
    printf("config=%s part=ready threads=%d batch=%lld params=%lld gmacs=%.3f device=\"%s\" recompute=%s "
           "planned_mb=%.1f parts=\"%s\"\n",
           c->name, threads, (long long)c->batch, (long long)graph_param_total(g), (double)(g->macs * c->batch) / 1e9,
           engine_device(e), recompute_name[recompute], (double)needs.host / 1e6, needs.parts);
    engine_set_profile(e, profile);
    double all = 0; /* of the last part */
    for (int i = first; i < end && (search || parts[i].run != part_second_order); i++) {
        double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];
        all = 0;
        for (int r = 0; r < rounds; r++) {
            double t0 = clock_wall(), c0 = clock_cpu();
            parts[i].run(&b);
            if (strcmp(device, "cpu")) wait_for(&b);
            all += wall[r] = clock_wall() - t0;
            cpu[r] = clock_cpu() - c0;
        }
        printf("config=%s part=%s threads=%d batch=%lld wall_ms=%.2f cpu_ms=%.2f peak_mb=%.1f\n", c->name,
               parts[i].name, threads, (long long)c->batch, 1e3 * median(wall, rounds), 1e3 * median(cpu, rounds),
               (double)memory_peak() / 1e6);
    }
    if (profile) {
        scratch = perm;
        Table *t = profile_table(&scratch, e, &machine, all, rounds, markdown);
        machine_print(&machine, kernels, scratch, t, markdown);
    }
    engine_close(e);
    return 0;
}
