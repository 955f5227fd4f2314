/* machine: what this machine can do at most, measured: the roofline that times are held against (Williams, Waterman,
 * Patterson 2009, "Roofline: an insightful visual performance model").
 *
 * The peak of arithmetic is that of the kernel set in use: its own vectors in a loop of multiply-adds. The bandwidth is
 * that of a triad, a[i] = b[i] + s*c[i], over blocks of three sizes, in huge pages; the three arrays are counted, what a
 * store reads first is not. Each figure is the best of several tries: a peak is what nothing disturbed.
 */
#ifndef NAS_MACHINE_H
#define NAS_MACHINE_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "report/parts.h"
#include "tests/bench/peak.h"

typedef enum { LEVEL_L2, LEVEL_L3, LEVEL_MEMORY, LEVELS } Level;
static const char *const level_name[LEVELS] = {"L2", "L3", "memory"};

typedef struct {
    char cpu[128];
    int threads;
    int64_t block[LEVELS];    /* bytes of the triad's arrays together, with all threads */
    int64_t holds[LEVELS];    /* what is taken to lie at that level: at most so many bytes */
    double flops[2];          /* per second: on one thread, on all */
    double bytes[LEVELS][2];  /* likewise */
    double start, busy, used; /* clocks of machine_foreign */
} Machine;

typedef struct {
    const Peak *peak;
    float *block;
    int64_t floats, passes; /* of one array of one thread; passes: rounds of fma */
    volatile float sink;
} PeakRun;

static void machine_fma(void *context, int64_t part, int thread)
{
    PeakRun *r = context;
    (void)part, (void)thread;
    r->sink = r->peak->fma(r->passes, 1, 0);
}

static void machine_triad(void *context, int64_t part, int thread)
{
    PeakRun *r = context;
    float *a = r->block + 3 * part * r->floats;
    (void)thread;
    for (int64_t i = 0; i < r->passes; i++) r->peak->triad(r->floats, a, a + r->floats, a + 2 * r->floats, 0.5f);
}

/* The best rate of `work` per second, over tries of at least `seconds` each. */
static double machine_best(Pool *pool, PoolFn part, PeakRun *r, double work, double seconds, int tries)
{
    double best = 0;
    r->passes = 1;
    for (int i = 0; i < tries;) {
        double start = clock_wall();
        pool_run(pool, pool_threads(pool), part, r);
        double took = clock_wall() - start, rate = work * (double)r->passes * pool_threads(pool) / took;
        if (took < seconds) {
            r->passes *= took < seconds / 4 ? 4 : 2;
            continue;
        }
        if (rate > best) best = rate;
        i++;
    }
    return best;
}

/* Seconds that all processors have worked since the start of the system, stolen ones included. */
static double machine_busy(void)
{
    long long t[8] = {0};
    FILE *f = fopen("/proc/stat", "r");
    if (!f) return 0;
    int n =
        fscanf(f, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6, t + 7);
    fclose(f);
    return n == 8 ? (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) / (double)sysconf(_SC_CLK_TCK) : 0;
}

/* The share of the machine's processor time that others took since machine_measure: above some percent, times are noise. */
static double machine_foreign(const Machine *m)
{
    double all = (clock_wall() - m->start) * (double)sysconf(_SC_NPROCESSORS_ONLN);
    double others = machine_busy() - m->busy - (clock_cpu() - m->used);
    return all > 0 && others > 0 ? others / all : 0;
}

static void machine_cpu(Machine *m)
{
    struct utsname u;
    char line[256];
    snprintf(m->cpu, sizeof m->cpu, "%s", uname(&u) ? "unknown" : u.machine);
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %127[^\n]", m->cpu) == 1) break;
    if (f) fclose(f);
}

/* quick: figures that mean nothing, in milliseconds. Returns 0 or why not. */
static const char *machine_measure(Machine *m, const NasKernels *k, int threads, bool quick)
{
    static const Peak *const peaks[] = {PEAKS};
    PeakRun r = {0};
    *m = (Machine){.threads = threads, .start = clock_wall(), .busy = machine_busy(), .used = clock_cpu()};
    machine_cpu(m);
    for (int i = 0; i < COUNTOF(peaks); i++)
        if (!strcmp(peaks[i]->isa, k->name) && peaks[i]->lanes == k->lanes) r.peak = peaks[i];
    if (!r.peak) return "there is no peak loop for this kernel set";
    long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (l2 < 1 << 17 || l2 > 1 << 24) l2 = 1 << 19;
    if (l3 < 1 << 20 || l3 > 32 << 20) l3 = 32 << 20; /* a guest may be told of all of its host's */
    m->holds[LEVEL_L2] = m->block[LEVEL_L2] = threads * (l2 / 2);
    m->block[LEVEL_L3] = l3 / 2;
    m->holds[LEVEL_L3] = l3 / 4 * 3;
    m->block[LEVEL_MEMORY] = quick ? 4 << 20 : 512 << 20;
    m->holds[LEVEL_MEMORY] = INT64_MAX;
    int64_t most = m->block[LEVEL_MEMORY] > m->block[LEVEL_L3] ? m->block[LEVEL_MEMORY] : m->block[LEVEL_L3];
    r.block = mmap(0, (size_t)most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r.block == MAP_FAILED) return "no memory for the bandwidth's blocks";
    madvise(r.block, (size_t)most, MADV_HUGEPAGE);
    memset(r.block, 0, (size_t)most);
    for (int all = 0; all < 2; all++) {
        Pool *pool = pool_open(all ? threads : 1);
        if (!pool) return "no threads";
        double seconds = quick ? 1e-4 : 20e-3;
        int tries = quick ? 1 : 7;
        m->flops[all] = machine_best(pool, machine_fma, &r, (double)r.peak->flops, seconds, tries);
        for (int level = 0; level < LEVELS; level++) {
            int64_t share = level == LEVEL_L2 ? threads : all ? threads : 1;
            r.floats = m->block[level] / share / 3 / (int64_t)sizeof(float) & ~(int64_t)15;
            m->bytes[level][all] = machine_best(pool, machine_triad, &r, 12.0 * (double)r.floats, seconds, tries);
        }
        pool_close(pool);
    }
    munmap(r.block, (size_t)most);
    return 0;
}

/* Where so many bytes lie when they are used again and again. */
static Level machine_level(const Machine *m, double bytes)
{
    Level l = LEVEL_L2;
    while (bytes > (double)m->holds[l]) l++;
    return l;
}

/* The least time that the roofline allows, on all threads. */
static double machine_roof(const Machine *m, double flops, double bytes, Level level)
{
    double arithmetic = flops / m->flops[1], traffic = bytes / m->bytes[level][1];
    return arithmetic > traffic ? arithmetic : traffic;
}

/* What was measured, and a table of times. */
static void machine_print(const Machine *m, const NasKernels *k, Arena a, const Table *t, bool markdown)
{
    double foreign = machine_foreign(m);
    printf("%s; kernels %s/%d (%s), %d thread%s\n", m->cpu, k->name, k->lanes, k->about, m->threads,
           m->threads == 1 ? "" : "s");
    printf("peak: %.1f GFLOP/s on one thread, %.1f on all\n", m->flops[0] / 1e9, m->flops[1] / 1e9);
    for (int i = 0; i < LEVELS; i++)
        printf("triad in %s (%.1f MiB): %.1f GB/s on one thread, %.1f on all\n", level_name[i],
               (double)m->block[i] / (1 << 20), m->bytes[i][0] / 1e9, m->bytes[i][1] / 1e9);
    printf("others took %.1f %% of the processors%s\n\n", 100 * foreign,
           foreign > 0.1 ? ": too much for these times to mean anything" : "");
    Text out = {0};
    if (!markdown) table_text(&a, &out, t);
    for (int64_t r = -2; markdown && r < t->rows; r++) {
        for (int64_t c = 0; c < t->columns; c++)
            text_addf(&a, &out, "| %s ",
                      r == -2   ? t->head[c]
                      : r == -1 ? t->right[c] ? "--:" : "---"
                                : t->cell[r * t->columns + c]);
        text_add(&a, &out, "|\n");
    }
    fputs(out.s, stdout);
}
#endif
