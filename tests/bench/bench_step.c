/* bench_step: time of a training step and its parts, for the networks that the README's tables name.
 *
 *   bench_step [CONFIG] [THREADS] [ROUNDS] [profile]
 *
 * Prints a line of key=value pairs when the network stands, then one per measured part: medians over the rounds of wall
 * and CPU time, and the process's peak memory; with `profile`, time and GFLOP/s per kind of operation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "nn/network.h"

typedef struct {
    const char *name, *about, *net; /* net: "supernet", a published genotype or a hand-designed net */
    int64_t channels, layers, input_channels, height, width, batch;
} Config;

static const Config configs[] = {
    {"a", "the paper's supernet", "supernet", 16, 8, 3, 32, 32, 64},
    {"b", "the same on 28x28 grey", "supernet", 16, 8, 1, 28, 28, 64},
    {"c", "a small supernet", "supernet", 8, 5, 1, 28, 28, 32},
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
    double norm = engine_grad_norm(b->e);
    engine_sgd(b->e, learning_rate, momentum, decay, false, norm > clip ? clip / norm : 1);
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

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "c";
    int threads = argc > 2 ? atoi(argv[2]) : pool_cpus(), rounds = argc > 3 ? atoi(argv[3]) : 5;
    bool profile = argc > 4;
    setvbuf(stdout, 0, _IOLBF, 1 << 12); /* bench-peer reads the lines as they come */
    const Config *c = 0;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (!strcmp(configs[i].name, name)) c = &configs[i];
    if (!c || threads < 1 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_step [a|b|c|v2|resnet] [THREADS] [ROUNDS] [profile]\n");
        return 2;
    }
    Arena perm = arena_reserve((ptrdiff_t)1 << 33);
    const char *why = 0;
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
        why = space_make(&perm, "darts", 4, 2, 4, &space);
        if (!why) g = network_supernet(&perm, &space, &spec);
    } else if (genotype_find(c->net)) {
        Genotype t;
        why = genotype_parse(&perm, genotype_find(c->net)->text, &t);
        if (!why) g = network_genotype(&perm, &t, &spec);
    } else {
        g = network_named(&perm, c->net, &spec, &why);
    }
    EngineOptions o = {.device = "cpu", .batch = c->batch, .pool = pool_open(threads)};
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
    printf("config=%s part=ready threads=%d batch=%lld params=%lld gmacs=%.3f device=\"%s\"\n", c->name, threads,
           (long long)c->batch, (long long)graph_param_total(g), (double)(g->macs * c->batch) / 1e9, engine_device(e));
    engine_set_profile(e, profile);
    struct {
        const char *name;
        void (*run)(const Bench *);
    } parts[] = {
        {"forward", part_forward}, {"forward+backward", part_step}, {"step", part_whole}, {"step2", part_second_order}};
    for (int i = profile ? 1 : 0; i < (profile ? 2 : search ? 4 : 3); i++) {
        double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];
        for (int r = 0; r < rounds; r++) {
            double t0 = clock_wall(), c0 = clock_cpu();
            parts[i].run(&b);
            wall[r] = clock_wall() - t0;
            cpu[r] = clock_cpu() - c0;
        }
        printf("config=%s part=%s threads=%d batch=%lld wall_ms=%.2f cpu_ms=%.2f peak_mb=%.1f\n", c->name,
               parts[i].name, threads, (long long)c->batch, 1e3 * median(wall, rounds), 1e3 * median(cpu, rounds),
               (double)memory_peak() / 1e6);
    }
    EngineProfile rows[64];
    int64_t n = profile ? engine_profile(e, rows, 64) : 0;
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += rows[i].forward + rows[i].backward;
    for (int64_t i = 0; i < n; i++)
        printf("%-28s calls %5lld  forward %8.2f ms  backward %8.2f ms  %5.1f %%  %7.1f GFLOP/s\n", rows[i].op,
               (long long)(rows[i].calls / rounds), 1e3 * rows[i].forward / rounds, 1e3 * rows[i].backward / rounds,
               100 * (rows[i].forward + rows[i].backward) / total,
               rows[i].flops / (rows[i].forward + rows[i].backward) / 1e9);
    engine_close(e);
    return 0;
}
