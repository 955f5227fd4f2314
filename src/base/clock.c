/* clock: time and memory of this process, see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/cgroup.h"

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_wall(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double clock_cpu(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* A line "key: N kB" of a file in /proc, in bytes, or 0. */
static int64_t proc_bytes(const char *path, const char *format)
{
    FILE *f = fopen(path, "r");
    char line[256];
    long long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, format, &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024;
}

int64_t memory_now(void)
{
    return proc_bytes("/proc/self/status", "VmRSS: %lld kB");
}

int64_t memory_peak(void)
{
    return proc_bytes("/proc/self/status", "VmHWM: %lld kB");
}

/* What a group may still take: its limit less what it uses, file pages that can be dropped not counted as used. */
static void limit_memory(void *context, const char *folder)
{
    static const char *const names[2][3] = {
        {"memory.max", "memory.current", "inactive_file"},
        {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
    };
    int64_t *available = context;
    for (int i = 0; i < 2; i++) {
        int64_t limit = cgroup_value(folder, names[i][0], 0), used = cgroup_value(folder, names[i][1], 0);
        int64_t cache = cgroup_value(folder, "memory.stat", names[i][2]);
        if (limit < 0 || used < 0) continue;
        if (cache > 0) used -= cache < used ? cache : used;
        int64_t left = limit > used ? limit - used : 0;
        if (left < *available) *available = left;
    }
}

int64_t memory_available(void)
{
    int64_t available = proc_bytes("/proc/meminfo", "MemAvailable: %lld kB");
    if (available > 0) cgroup_each("memory", limit_memory, &available);
    return available;
}
