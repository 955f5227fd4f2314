/* The foundation: arenas, sizes, random numbers, clocks, the thread pool. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "check.h"

/* ---- arena ---- */

static void test_arena_blocks(void)
{
    Arena whole = arena_reserve(1 << 20), a = whole;
    CHECK_EQ(arena_left(&a), 1 << 20);
    char *one = NEW(&a, char, 1);
    double *two = NEW(&a, double, 3);
    CHECK_EQ((uintptr_t)two % _Alignof(double), 0);
    CHECK((char *)two > one);
    char *wide = arena_alloc(&a, 1, 4096, 10);
    CHECK_EQ((uintptr_t)wide % 4096, 0);
    CHECK(NEW(&a, int, 0) != 0);

    Arena scratch = a; /* by copy: what was taken is free again, and zeroed when it is taken anew */
    memset(NEW(&scratch, char, 1000), 'x', 1000);
    scratch = a;
    const char *again = NEW(&scratch, char, 1000);
    bool zero = true;
    for (int i = 0; i < 1000; i++) zero &= again[i] == 0;
    CHECK(zero);
    arena_release(whole);
    arena_release((Arena){0});
}

static void test_arena_text(void)
{
    Arena whole = arena_reserve(1 << 20), a = whole;
    CHECK_STR(arena_strdup(&a, ""), "");
    CHECK_STR(arena_strndup(&a, "abcdef", 3), "abc");
    CHECK_STR(arena_printf(&a, "%d of %s", 7, "nine"), "7 of nine");
    Text t = {0};
    text_add(&a, &t, "");
    CHECK_STR(t.s, "");
    for (int i = 0; i < 1000; i++) text_addf(&a, &t, "%03d,", i);
    text_add(&a, &t, "end");
    CHECK_EQ(t.length, 4003);
    CHECK_EQ(strlen(t.s), 4003);
    CHECK(!strncmp(t.s + 4 * 517, "517,518,", 8));
    CHECK_STR(t.s + 4000, "end");
    arena_release(whole);
}

static void test_arena_list(void)
{
    Arena whole = arena_reserve(1 << 20), a = whole;
    struct {
        int64_t count, room;
        int32_t *item;
    } list = {0};
    for (int32_t i = 0; i < 1000; i++) {
        const int32_t *before = list.item;
        GROW(&a, list.item, list.count, list.room);
        CHECK(list.count < list.room && (list.count == 0 || list.item == before || list.room == 2 * list.count));
        list.item[list.count++] = i;
        arena_alloc(&a, 1, 1, 1); /* nothing follows the list for long */
    }
    bool same = true;
    for (int32_t i = 0; i < 1000; i++) same &= list.item[i] == i;
    CHECK(same);
    arena_release(whole);
}

/* Runs fn in a child: its exit status (or 1000 + signal), and what it wrote to standard error. */
static int in_child(void (*fn)(void), char *message, size_t room)
{
    int ends[2];
    if (pipe(ends)) return -1;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(99);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < room && (got = read(ends[0], message + n, room - 1 - n)) > 0;) n += (size_t)got;
    message[n] = 0;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void take_too_much(void)
{
    Arena a = arena_reserve(4096);
    NEW(&a, double, 1000);
}

static void take_absurdly_much(void)
{
    Arena a = arena_reserve(4096);
    NEW(&a, double, PTRDIFF_MAX / 2);
}

static void take_less_than_none(void)
{
    Arena a = arena_reserve(4096);
    NEW(&a, double, -1);
}

static void reserve_too_much(void)
{
    arena_reserve(PTRDIFF_MAX);
}

static void reserve_nothing(void)
{
    arena_reserve(0);
}

#if defined(__SANITIZE_ADDRESS__)
static void write_behind(void)
{
    Arena a = arena_reserve(4096);
    int *x = NEW(&a, int, 10);
    NEW(&a, int, 10);
    ((volatile int *)x)[10] = 1;
}
#endif

static void test_arena_full(void)
{
    char message[4096];
    CHECK_EQ(in_child(take_too_much, message, sizeof message), 1);
    CHECK_CONTAINS(message, "out of memory: 1000 x 8 bytes asked, 4096 left\n");
    CHECK_EQ(in_child(take_absurdly_much, message, sizeof message), 1);
    CHECK_CONTAINS(message, "4611686018427387903 x 8 bytes asked");
    CHECK_EQ(in_child(take_less_than_none, message, sizeof message), 1);
    CHECK_CONTAINS(message, "-1 x 8 bytes asked");
    CHECK_EQ(in_child(reserve_too_much, message, sizeof message), 1);
    CHECK_CONTAINS(message, "cannot reserve 9223372036854775807 bytes: ");
    CHECK_EQ(in_child(reserve_nothing, message, sizeof message), 1);
#if defined(__SANITIZE_ADDRESS__)
    CHECK_EQ(in_child(write_behind, message, sizeof message), 1);
    CHECK_CONTAINS(message, "use-after-poison");
#endif
}

static void test_sizes(void)
{
    CHECK_EQ(size_mul(6, 7), 42);
    CHECK_EQ(size_mul(0, INT64_MAX), 0);
    CHECK_EQ(size_mul(INT64_MAX, 1), INT64_MAX);
    CHECK_EQ(size_mul(INT64_MAX / 2 + 1, 2), -1);
    CHECK_EQ(size_mul(-1, 3), -1);
    CHECK_EQ(size_mul(-1, -1), -1);
    CHECK_EQ(size_mul(size_mul(INT64_MAX, 2), 0), -1);
    CHECK_EQ(size_add(INT64_MAX - 1, 1), INT64_MAX);
    CHECK_EQ(size_add(INT64_MAX, 1), -1);
    CHECK_EQ(size_add(1, -1), -1);
}

/* ---- random numbers ---- */

/* The numbers themselves are part of "same seed, same bits": these may never change. */
static void test_rng_fixed(void)
{
    CHECK(rng_u64(1, RNG_TEST, 0) == 0xf212289767384281u);
    CHECK(rng_u64(1, RNG_TEST, 1) == 0x4dbfdb9d65a05c87u);
    CHECK(rng_u64(2, RNG_TEST, 0) == 0x95eb670b5b8a50bfu);
    CHECK(rng_u64(1, RNG_INIT, 0) == 0xa7ed8821dca10c0eu);
    CHECK_NEAR(rng_normal(1, RNG_TEST, 0), 1.7357322617763793, 1e-15);
    int64_t order[8];
    rng_permutation(1, RNG_TEST, 3, order, 8);
    const int64_t expected[8] = {0, 1, 2, 7, 3, 6, 5, 4};
    for (int i = 0; i < 8; i++) CHECK_EQ(order[i], expected[i]);
}

static void test_rng_uniform(void)
{
    enum { N = 200000, BINS = 64 };
    int64_t bin[BINS] = {0}, bit[64] = {0};
    double sum = 0, lag = 0, previous = 0.5;
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(7, RNG_TEST, i);
        if (u < 0 || u >= 1) CHECK_MSG(false, "%g is not in [0, 1)", u);
        bin[(int)(u * BINS)]++;
        sum += u;
        lag += (u - 0.5) * (previous - 0.5);
        previous = u;
        uint64_t w = rng_u64(7, RNG_TEST, i);
        for (int b = 0; b < 64; b++) bit[b] += (int64_t)(w >> b & 1);
    }
    double chi2 = 0, expected = (double)N / BINS;
    for (int i = 0; i < BINS; i++) chi2 += ((double)bin[i] - expected) * ((double)bin[i] - expected) / expected;
    CHECK_MSG(chi2 < 63 + 5 * sqrt(2 * 63.), "chi-square of 63 degrees of freedom is %g", chi2);
    CHECK_NEAR(sum / N, 0.5, 5 * sqrt(1 / 12. / N));
    CHECK_NEAR(lag / N, 0, 5 / 12. / sqrt(N));
    for (int b = 0; b < 64; b++) CHECK_NEAR((double)bit[b] / N, 0.5, 5 * 0.5 / sqrt(N));
}

static void test_rng_normal(void)
{
    enum { N = 200000 };
    double m1 = 0, m2 = 0, m4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double x = rng_normal(3, RNG_TEST, i);
        if (!isfinite(x)) CHECK_MSG(false, "%g at %d", x, (int)i);
        m1 += x / N;
        m2 += x * x / N;
        m4 += x * x * x * x / N;
    }
    CHECK_NEAR(m1, 0, 5 / sqrt(N));
    CHECK_NEAR(m2, 1, 5 * sqrt(2. / N));
    CHECK_NEAR(m4, 3, 5 * sqrt(96. / N));
}

static void test_rng_below(void)
{
    int64_t count[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        int64_t k = rng_below(5, RNG_TEST, i, 7);
        if (CHECK_MSG(k >= 0 && k < 7, "%" PRId64 " is not below 7", k)) count[k]++;
    }
    for (int k = 0; k < 7; k++) CHECK_NEAR((double)count[k], 10000, 5 * sqrt(10000. * 6 / 7));
    CHECK_EQ(rng_below(5, RNG_TEST, 9, 1), 0);
    /* With n = 3/4 of the range, a modulo would make the lower half of the results twice as likely. */
    int64_t n = INT64_MAX / 2 + INT64_MAX / 4, low = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        int64_t k = rng_below(6, RNG_TEST, i, n);
        if (k < 0 || k >= n) CHECK_MSG(false, "%" PRId64 " is out of range", k);
        low += k < n / 2;
    }
    CHECK_NEAR((double)low, 10000, 5 * sqrt(5000.));
}

static void test_rng_permutation(void)
{
    int64_t order[500], other[500], seen[500] = {0};
    rng_permutation(1, RNG_SHUFFLE, 0, order, 500);
    rng_permutation(1, RNG_SHUFFLE, 1, other, 500);
    int64_t same = 0, fixed = 0;
    for (int i = 0; i < 500; i++) {
        if (CHECK(order[i] >= 0 && order[i] < 500)) seen[order[i]]++;
        same += order[i] == other[i];
        fixed += order[i] == i;
    }
    for (int i = 0; i < 500; i++) CHECK_EQ(seen[i], 1);
    CHECK(same < 10 && fixed < 10);
    rng_permutation(1, RNG_SHUFFLE, 0, order, 0); /* touches nothing */

    int64_t count[6] = {0}; /* all orders of three are equally likely */
    for (uint64_t k = 0; k < 60000; k++) {
        int64_t p[3];
        rng_permutation(11, RNG_TEST, k, p, 3);
        count[p[0] * 2 + (p[1] > p[2])]++;
    }
    for (int i = 0; i < 6; i++) CHECK_NEAR((double)count[i], 10000, 5 * sqrt(10000. * 5 / 6));
}

/* ---- clock ---- */

static void test_clock(void)
{
    double wall = clock_wall(), cpu = clock_cpu();
    struct timespec nap = {.tv_nsec = 20000000};
    nanosleep(&nap, 0);
    CHECK(clock_wall() - wall >= 0.02);
    CHECK(clock_cpu() >= cpu);
    CHECK(clock_cpu() - cpu < clock_wall() - wall + 0.02);
    volatile double x = 1;
    while (clock_cpu() - cpu < 0.005) x = x * 1.0000001;
    CHECK(clock_cpu() - cpu >= 0.005);
}

static void test_memory(void)
{
    int64_t before = memory_peak();
    CHECK_MSG(before > 100000, "peak is %" PRId64, before);
    Arena a = arena_reserve(64 << 20);
    Arena whole = a;
    memset(NEW(&a, char, 48 << 20), 1, 48 << 20);
    CHECK(memory_peak() >= before + (40 << 20) || memory_peak() >= 48 << 20);
    arena_release(whole);
    CHECK(memory_available() > 1 << 20);
}

/* ---- pool ---- */

typedef struct {
    _Atomic int *hits;
    int64_t parts, region;
    int threads;
    _Atomic int64_t wrong, sum;
} Region;

static void count_part(void *context, int64_t part, int thread)
{
    Region *r = context;
    if (part < 0 || part >= r->parts || thread < 0 || thread >= r->threads)
        r->wrong++;
    else
        atomic_fetch_add_explicit(&r->hits[part], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->sum, part * r->region, memory_order_relaxed);
}

static void other_part(void *context, int64_t part, int thread)
{
    Region *r = context;
    if (part < 0 || part >= r->parts || thread >= r->threads) r->wrong++;
    atomic_fetch_add_explicit(&r->sum, -3 * part, memory_order_relaxed);
}

/* Regions of changing size, context and function follow each other without a pause; now and then the workers are given
 * time to fall asleep. Each part must run exactly once, in its own region. */
static void hammer(int threads, int64_t regions)
{
    static _Atomic int hits[1001];
    Pool *pool = pool_open(threads);
    if (!CHECK(pool != 0)) return;
    CHECK_EQ(pool_threads(pool), threads);
    int64_t bad = 0;
    for (int64_t i = 0; i < regions; i++) {
        int64_t parts = i < 20 ? i : rng_below(1, RNG_TEST, (uint64_t)i, i % 50 ? 40 : 1001);
        Region r = {
            .hits = hits, .parts = parts, .region = i, .threads = threads}; /* on this stack: dies with the region */
        if (i % 3 == 2) {
            pool_run(pool, parts, other_part, &r);
            bad += r.wrong != 0 || r.sum != -3 * parts * (parts - 1) / 2;
        } else {
            for (int64_t k = 0; k < parts; k++) atomic_store_explicit(&hits[k], 0, memory_order_relaxed);
            pool_run(pool, parts, count_part, &r);
            for (int64_t k = 0; k < parts; k++) bad += atomic_load_explicit(&hits[k], memory_order_relaxed) != 1;
            bad += r.wrong != 0 || r.sum != i * (parts * (parts - 1) / 2);
        }
        memset(&r, 0x55, sizeof r);
        if (i % 4000 == 3999) nanosleep(&(struct timespec){.tv_nsec = 1000000}, 0);
    }
    CHECK_MSG(bad == 0, "%" PRId64 " of %" PRId64 " regions went wrong with %d threads", bad, regions, threads);
    pool_close(pool);
}

static void test_pool_1(void)
{
    hammer(1, 20000);
}
static void test_pool_2(void)
{
    hammer(2, 20000);
}
static void test_pool_7(void)
{
    hammer(7, 20000);
}
static void test_pool_16(void)
{
    hammer(16, 20000);
}

typedef struct {
    double *out;
    const double *in;
} Squares;

static void square_part(void *context, int64_t part, int thread)
{
    const Squares *s = context;
    (void)thread;
    s->out[part] = s->in[part] * s->in[part];
}

/* What one region writes, plainly, the next one and the caller see. */
static void test_pool_memory(void)
{
    static double a[257], b[257];
    Pool *pool = pool_open(3);
    if (!CHECK(pool != 0)) return;
    int64_t bad = 0;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 257; i++) a[i] = 1 + 1e-3 * i;
        for (int k = 0; k < 4; k++)
            pool_run(pool, 257, square_part, &(Squares){.out = k % 2 ? a : b, .in = k % 2 ? b : a});
        for (int i = 0; i < 257; i++) bad += fabs(a[i] / pow(1 + 1e-3 * i, 16) - 1) > 1e-12;
    }
    CHECK_EQ(bad, 0);
    pool_close(pool);
}

static void slow_part(void *context, int64_t part, int thread)
{
    (void)part;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, 0);
    atomic_fetch_or_explicit((_Atomic int *)context, 1 << thread, memory_order_relaxed);
}

/* All threads take part, and the caller waits for the slowest of them. */
static void test_pool_parallel(void)
{
    Pool *pool = pool_open(4);
    if (!CHECK(pool != 0)) return;
    _Atomic int threads = 0;
    double start = clock_wall();
    pool_run(pool, 8, slow_part, &threads);
    double took = clock_wall() - start;
    CHECK_EQ(threads, 15);
    CHECK_MSG(took >= 0.04 && took < 0.15, "8 parts of 20 ms on 4 threads took %g s", took);
    pool_close(pool);
}

static void test_pool_open_close(void)
{
    for (int i = 0; i < 200; i++) {
        Pool *pool = pool_open(1 + i % 8);
        if (i % 2) pool_run(pool, 3, square_part, &(Squares){(double[3]){0}, (double[3]){0}});
        pool_close(pool);
    }
    pool_close(0);
    CHECK(pool_cpus() >= 1);
}

/* Sleeping workers use no CPU. */
static void test_pool_idle(void)
{
    Pool *pool = pool_open(4);
    if (!CHECK(pool != 0)) return;
    _Atomic int threads = 0;
    pool_run(pool, 4, slow_part, &threads);
    double cpu = clock_cpu();
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, 0);
    CHECK_MSG(clock_cpu() - cpu < 0.03, "%g s of CPU in 0.1 s of rest", clock_cpu() - cpu);
    pool_close(pool);
}

int main(void)
{
    CHECK_RUN(test_arena_blocks);
    CHECK_RUN(test_arena_text);
    CHECK_RUN(test_arena_list);
    CHECK_RUN(test_arena_full);
    CHECK_RUN(test_sizes);
    CHECK_RUN(test_rng_fixed);
    CHECK_RUN(test_rng_uniform);
    CHECK_RUN(test_rng_normal);
    CHECK_RUN(test_rng_below);
    CHECK_RUN(test_rng_permutation);
    CHECK_RUN(test_clock);
    CHECK_RUN(test_memory);
    CHECK_RUN(test_pool_1);
    CHECK_RUN(test_pool_2);
    CHECK_RUN(test_pool_7);
    CHECK_RUN(test_pool_16);
    CHECK_RUN(test_pool_memory);
    CHECK_RUN(test_pool_parallel);
    CHECK_RUN(test_pool_open_close);
    CHECK_RUN(test_pool_idle);
    return check_done("base");
}
