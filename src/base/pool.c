/* pool: parallel regions on Linux futexes, see pool.h.
 *
 *   epoch      counts regions; workers spin on it, then sleep on it
 *   remaining  parts not yet taken; whoever lowers it from r to r-1 owns part parts-r
 *   pending    parts not yet done; the caller waits for 0
 *
 * A thread reads the region's function only after it owns a part of it.  The region cannot end while that part is
 * pending, so a worker that comes late either finds nothing to take or takes a part of the present region with the
 * present function, never one with the other's.
 */
#include "base/pool.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"

enum { CACHE_LINE = 64 };

typedef struct {
    Pool *pool;
    pthread_t thread;
    int index;
} Worker;

struct Pool {
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch;
    _Atomic int sleepers;
    _Atomic int quit;
    _Alignas(CACHE_LINE) _Atomic uint32_t remaining;
    _Alignas(CACHE_LINE) _Atomic uint32_t pending;
    _Atomic int caller_sleeps;
    /* The region; written before `remaining` is raised, read by owners of a part. */
    _Alignas(CACHE_LINE) PoolFn fn;
    void *context;
    uint32_t parts;
    int threads;
    double spin; /* seconds to spin before sleeping */
    Worker worker[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, (void *)0, (void *)0, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, (void *)0, (void *)0, 0);
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spins until *word is `value` (equal) or no longer `value` (!equal), or the spinning time is over. */
static void spin_until(const Pool *p, _Atomic uint32_t *word, uint32_t value, int equal)
{
    if (p->spin <= 0) return;
    double end = clock_wall() + p->spin;
    do {
        for (int i = 0; i < 32; i++) {
            if ((atomic_load_explicit(word, memory_order_acquire) == value) == equal) return;
            pause_cpu();
        }
    } while (clock_wall() < end);
}

/* Takes parts until none is left, then reports them done all at once. */
static void take_parts(Pool *p, int thread)
{
    uint32_t done = 0, left = atomic_load_explicit(&p->remaining, memory_order_acquire);
    while (left) {
        if (!atomic_compare_exchange_weak_explicit(&p->remaining, &left, left - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        p->fn(p->context, (int64_t)(p->parts - left), thread);
        done++;
        left = atomic_load_explicit(&p->remaining, memory_order_acquire);
    }
    if (done && atomic_fetch_sub(&p->pending, done) == done && atomic_load(&p->caller_sleeps))
        futex_wake(&p->pending, 1);
}

static void *worker_main(void *argument)
{
    const Worker *self = argument;
    Pool *p = self->pool;
    uint32_t seen = 0;
    for (;;) {
        spin_until(p, &p->epoch, seen, 0);
        while (atomic_load(&p->epoch) == seen) {
            atomic_fetch_add(&p->sleepers, 1);
            futex_wait(&p->epoch, seen); /* returns at once if the epoch has moved on */
            atomic_fetch_sub(&p->sleepers, 1);
        }
        seen = atomic_load(&p->epoch);
        if (atomic_load(&p->quit)) return 0;
        take_parts(p, self->index);
    }
}

static void start_region(Pool *p, int helpers)
{
    atomic_fetch_add(&p->epoch, 1);
    int asleep = atomic_load(&p->sleepers);
    if (asleep) futex_wake(&p->epoch, helpers < asleep ? helpers : asleep);
}

void pool_run(Pool *p, int64_t parts, PoolFn fn, void *context)
{
    assert(parts >= 0 && parts <= INT32_MAX);
    if (p->threads == 1 || parts <= 1) {
        for (int64_t i = 0; i < parts; i++) fn(context, i, 0);
        return;
    }
    p->fn = fn;
    p->context = context;
    p->parts = (uint32_t)parts;
    atomic_store(&p->pending, (uint32_t)parts);
    atomic_store(&p->remaining, (uint32_t)parts);
    start_region(p, parts < p->threads ? (int)parts - 1 : p->threads - 1);
    take_parts(p, 0);
    spin_until(p, &p->pending, 0, 1);
    if (atomic_load(&p->pending)) {
        atomic_store(&p->caller_sleeps, 1);
        for (uint32_t left; (left = atomic_load(&p->pending));) futex_wait(&p->pending, left);
        atomic_store(&p->caller_sleeps, 0);
    }
}

Pool *pool_open(int threads)
{
    assert(threads >= 1);
    size_t bytes = sizeof(Pool) + (size_t)threads * sizeof(Worker);
    Pool *p = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (!p) return 0;
    *p = (Pool){.threads = 1};
    /* More threads than processors: a spinning thread would keep a working one from running. */
    p->spin = threads <= pool_cpus() ? 30e-6 : 0;
    sigset_t all, before; /* signals go to the program's own thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < threads; i++) {
        p->worker[i] = (Worker){.pool = p, .index = i};
        if (pthread_create(&p->worker[i].thread, 0, worker_main, &p->worker[i])) break;
        p->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, 0);
    if (p->threads == threads) return p;
    pool_close(p);
    return 0;
}

void pool_close(Pool *p)
{
    if (!p) return;
    atomic_store(&p->quit, 1);
    start_region(p, INT_MAX);
    for (int i = 1; i < p->threads; i++) pthread_join(p->worker[i].thread, 0);
    free(p);
}

int pool_threads(const Pool *p)
{
    return p->threads;
}

static void limit_cpus(void *context, const char *folder)
{
    int64_t *cpus = context;
    int64_t quota = cgroup_value(folder, "cpu.cfs_quota_us", 0), period = cgroup_value(folder, "cpu.cfs_period_us", 0);
    if (quota < 0 && (quota = cgroup_value(folder, "cpu.max", 0)) > 0) { /* version 2: "quota period" in one file */
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)quota);
        period = cgroup_value(folder, "cpu.max", key);
    }
    if (quota <= 0 || period <= 0) return;
    int64_t whole = (quota + period - 1) / period;
    if (whole < *cpus) *cpus = whole;
}

int pool_cpus(void)
{
    cpu_set_t set;
    int64_t cpus = sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    cgroup_each("cpu", limit_cpus, &cpus);
    return cpus > 1 ? (int)cpus : 1;
}
