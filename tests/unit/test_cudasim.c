/* test_cudasim: the simulator that runs nvcc's kernels on the CPU (tests/cudasim): it computes what the host computes, and
 * names every fault that was planted. All kernels are in tests/cudasim/probe.cu. Skipped where nvcc was not there.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "tests/cudasim/cudasim.h"
#include "tests/unit/check.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    void *library;
    int (*count)(void);
    const char *(*name)(int i);
    int (*run)(int i, float *x);
    int (*spin)(float *x, int blocks, int n);
    int (*integers)(const int *a, const int *b, int *to, int blocks, int *per);
    int (*floats)(const float *a, const float *b, float *to, int blocks, int *per);
    void (*host_integers)(int a, int b, int *to);
    void (*host_floats)(float a, float b, float *to);
    const char *(*take_error)(void);
    const char *(*refusal)(const char *ptx);
    void (*configure)(const char *words);
    int64_t (*statistics)(CudasimRow *rows, int64_t room);
    void (*reset_statistics)(void);
    int64_t (*in_use)(void);
    int (*architecture)(void);
    int (*allocate)(void **p, size_t bytes);
    int (*release)(void *p);
    int (*allocate_host)(void **p, size_t bytes);
    int (*copy)(void *to, const void *from, size_t bytes, int kind);
    int (*copy_async)(void *to, const void *from, size_t bytes, int kind, void *stream);
    int (*synchronize)(void);
} sim;

enum { TO_DEVICE = 1, TO_HOST = 2 }; /* cudaMemcpyKind */

static bool open_sim(void)
{
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n < 0) return false;
    path[n] = 0;
    *strrchr(path, '/') = 0;
    *strrchr(path, '/') = 0;
    strcat(path, "/cudasim/libprobe.so");
    if (access(path, R_OK)) return false;
    sim.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!CHECK_MSG(sim.library, "%s", dlerror())) return false;
    const struct {
        void *to;
        const char *name;
    } symbols[] = {{&sim.count, "probe_count"},
                   {&sim.name, "probe_name"},
                   {&sim.run, "probe_run"},
                   {&sim.spin, "probe_spin"},
                   {&sim.integers, "probe_integers"},
                   {&sim.floats, "probe_floats"},
                   {&sim.host_integers, "probe_host_integers"},
                   {&sim.host_floats, "probe_host_floats"},
                   {&sim.take_error, "cudasim_take_error"},
                   {&sim.refusal, "cudasim_refusal"},
                   {&sim.configure, "cudasim_configure"},
                   {&sim.statistics, "cudasim_statistics"},
                   {&sim.reset_statistics, "cudasim_reset_statistics"},
                   {&sim.in_use, "cudasim_in_use"},
                   {&sim.architecture, "cudasim_architecture"},
                   {&sim.allocate, "cudaMalloc"},
                   {&sim.release, "cudaFree"},
                   {&sim.allocate_host, "cudaMallocHost"},
                   {&sim.copy, "cudaMemcpy"},
                   {&sim.copy_async, "cudaMemcpyAsync"},
                   {&sim.synchronize, "cudaDeviceSynchronize"}};
    for (int i = 0; i < COUNTOF(symbols); i++) {
        void *p = dlsym(sim.library, symbols[i].name);
        if (!CHECK_MSG(p, "%s is missing", symbols[i].name)) return false;
        memcpy(symbols[i].to, &p, sizeof p);
    }
    setenv("NAS_CUDASIM_QUIET", "1", 1);
    return true;
}

#define NEED_SIM                                                                                                       \
    if (!sim.library) CHECK_SKIP("built without nvcc: no CUDA code was run")

static int index_of(const char *name)
{
    for (int i = 0; i < sim.count(); i++)
        if (!strcmp(sim.name(i), name)) return i;
    CHECK_MSG(false, "no kernel %s", name);
    return 0;
}

/* 128 floats on the device, the first 64 written. */
static float *input(void)
{
    float *x = 0, from[64];
    for (int i = 0; i < 64; i++) from[i] = (float)i / 8;
    CHECK_EQ(sim.allocate((void **)&x, 128 * sizeof *x), 0);
    CHECK_EQ(sim.copy(x, from, sizeof from, TO_DEVICE), 0);
    return x;
}

/* ---- arithmetic ---- */

static void check_arithmetic(void)
{
    enum { N = 256, MOST = 32 };
    static const int special[] = {0, 1, -1, 7, -7, 31, 32, 1000003, -1000003, 0x7fffffff, -0x7fffffff};
    static int a[N], b[N], got[N * MOST], want[MOST];
    static float x[N], y[N], found[N * MOST], wanted[MOST];
    for (int i = 0; i < N; i++) {
        a[i] = i < 121 ? special[i / 11] : (int)(i * 2654435761u);
        b[i] = i < 121 ? special[i % 11] : (int)(i * 40503u) - 5000000;
        x[i] = i ? (float)(sin(i) * pow(10, i % 9 - 4)) : 0;
        y[i] = (float)(cos(3 * i) * pow(10, i % 7 - 3));
    }
    void *da, *db, *dt;
    int per = 0;
    CHECK_EQ(sim.allocate(&da, sizeof a) | sim.allocate(&db, sizeof b) | sim.allocate(&dt, sizeof got), 0);
    sim.copy(da, a, sizeof a, TO_DEVICE);
    sim.copy(db, b, sizeof b, TO_DEVICE);
    int status_integers = sim.integers(da, db, dt, N / 64, &per);
    if (!CHECK_MSG(!status_integers, "%s", sim.take_error())) return;
    CHECK_EQ(sim.copy(got, dt, (size_t)(N * per) * sizeof *got, TO_HOST), 0);
    for (int i = 0; i < N; i++) {
        sim.host_integers(a[i], b[i], want);
        for (int k = 0; k < per; k++)
            CHECK_MSG(got[i * per + k] == want[k], "integer expression %d of %d and %d: %d, expected %d", k, a[i], b[i],
                      got[i * per + k], want[k]);
    }
    sim.copy(da, x, sizeof x, TO_DEVICE);
    sim.copy(db, y, sizeof y, TO_DEVICE);
    int status_floats = sim.floats(da, db, dt, N / 64, &per);
    if (!CHECK_MSG(!status_floats, "%s", sim.take_error())) return;
    CHECK_EQ(sim.copy(found, dt, (size_t)(N * per) * sizeof *found, TO_HOST), 0);
    for (int i = 0; i < N; i++) {
        sim.host_floats(x[i], y[i], wanted);
        for (int k = 0; k < per; k++) { /* functions of CUDA's own library may differ in the last digits */
            float g = found[i * per + k], w = wanted[k];
            CHECK_MSG(fabsf(g - w) <= 1e-6f * fabsf(w) + 1e-30f,
                      "float expression %d of %g and %g: %.9g, expected %.9g", k, x[i], y[i], g, w);
        }
    }
    sim.release(da), sim.release(db), sim.release(dt);
}

static void test_arithmetic(void)
{
    NEED_SIM;
    check_arithmetic();
    CHECK_EQ(sim.architecture(), 75);
    sim.configure("newest");
    check_arithmetic();
    CHECK_EQ(sim.architecture(), 100);
    sim.configure("");
}

/* A pair of operation and type that is not implemented is refused when the module is loaded, by name. */
static void test_refusals(void)
{
    NEED_SIM;
    static const struct {
        const char *statement, *says;
    } refused[] = {
        {"add.f16 %s1, %s1, %s1", "instruction add.f16 is not implemented"},
        {"fma.rn.bf16x2 %r1, %r1, %r1, %r1", "instruction fma.rn.bf16x2 is not implemented"},
        {"add.sat.s32 %r1, %r1, %r1", "instruction add.sat.s32 is not implemented"},
        {"mul.rz.f32 %f1, %f1, %f1", "instruction mul.rz.f32 is not implemented"},
        {"fma.rm.f64 %d1, %d1, %d1, %d1", "instruction fma.rm.f64 is not implemented"},
        {"cvt.rn.f16.f32 %s1, %f1", "instruction cvt.rn.f16.f32 is not implemented"},
        {"setp.hi.u32 %p1, %r1, %r1", "instruction setp.hi.u32 is not implemented"},
        {"dp4a.s32.s32 %r1, %r1, %r1, %r1", "instruction dp4a.s32.s32 is not implemented"},
        {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1}, {%r1}, {%r1}, {%f1}", "is not implemented"},
        {"cp.async.ca.shared.global [%l1], [%l1], 16", "instruction cp.async.ca.shared.global is not implemented"},
        {"atom.global.cas.b32 %r1, [%l1], %r1, %r1", "instruction atom.global.cas.b32 is not implemented"},
        {"red.global.add.f64 [%l1], %d1", "instruction red.global.add.f64 is not implemented"},
        {"bar.red.popc.u32 %r1, 0, %p1", "instruction bar.red.popc.u32 is not implemented"},
        {"ld.global.b128 %l1, [%l1]", "modifier .b128"},
        {"ld.acquire.gpu.global.u32 %r1, [%l1]", "modifier .acquire"},
        {"st.global.v8.f32 [%l1], {%f1}", "modifier .v8"},
        {"mov.u32 %r1, %clock", "unknown register %clock"},
        {"add.u32 %l1, %l1, %l1", "destination %l1"},
        {"bra nowhere", "no label nowhere"},
        {"call.uni f, (%r1)", "instruction call.uni is not implemented"},
        {"tex.2d.v4.f32.s32 {%f1}, [t, {%r1}]", "instruction tex.2d.v4.f32.s32 is not implemented"},
    };
    static const char frame[] = ".version 7.8\n.target sm_75\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n"
                                ".reg .pred %%p<2>; .reg .b16 %%s<2>; .reg .b32 %%r<2>; .reg .f32 %%f<2>;\n"
                                ".reg .b64 %%l<2>; .reg .f64 %%d<2>;\n%s;\nret;\n}\n";
    char text[1024];
    snprintf(text, sizeof text, frame, "add.s32 %r1, %r1, 1");
    CHECK_STR(sim.refusal(text), 0);
    for (int i = 0; i < COUNTOF(refused); i++) {
        snprintf(text, sizeof text, frame, refused[i].statement);
        const char *why = sim.refusal(text);
        CHECK_CONTAINS(why, refused[i].says);
        CHECK_CONTAINS(why, "PTX line 8, kernel k: ");
    }
    CHECK_CONTAINS(sim.refusal(".version 7.8\n.func f() { ret; }\n"), "functions and variables outside of kernels");
}

/* ---- planted faults ---- */

static const struct {
    const char *kernel, *says;
} faults[] = {
    {"bug_out_of_bounds_read", "out of bounds: reads 4 bytes at 0x"},
    {"bug_out_of_bounds_write", "out of bounds: writes 4 bytes at 0x"},
    {"bug_misaligned", "misaligned: reads 16 bytes"},
    {"bug_misaligned_write", "misaligned: writes 8 bytes"},
    {"bug_atomic_beside_plain", "race: "},
    {"bug_missing_barrier", "race: "},
    {"bug_missing_second_barrier", "race: "},
    {"bug_missing_warp_barrier", "race: reads shared memory that thread"},
    {"bug_plain_add", "race: writes global memory that"},
    {"bug_blocks_meet", "race: "},
    {"bug_half_word_shared", "race: writes global memory that"},
    {"bug_word_over_halves", "race: "},
    {"bug_divergent_barrier", "divergent: lanes wait"},
    {"bug_barrier_after_return", "divergent: lanes wait"},
    {"bug_shuffle_in_branch", "divergent: lanes wait"},
    {"bug_lane_not_in_mask", "shuffle by a lane that its mask 0xffff leaves out"},
    {"bug_uninitialised_shared", "uninitialised: reads shared"},
    {"bug_uninitialised_global", "uninitialised: reads global"},
    {"bug_uninitialised_local", "uninitialised: reads local"},
    {"bug_local_overflow", "out of bounds: reads 4 bytes at byte"},
    {"bug_shared_overflow", "of 256 bytes of shared memory"},
};

static void test_faults(void)
{
    NEED_SIM;
    static const char *const orders[] = {"", "backward", "shuffled", "newest"};
    for (int o = 0; o < COUNTOF(orders); o++) {
        sim.configure(orders[o]);
        for (int i = 0; i < COUNTOF(faults); i++) {
            float *x = input();
            int status = sim.run(index_of(faults[i].kernel), x);
            const char *error = sim.take_error();
            CHECK_MSG(status, "%s went through", faults[i].kernel);
            CHECK_CONTAINS(error, faults[i].says);
            CHECK_CONTAINS(error, faults[i].kernel);
            CHECK_CONTAINS(error, "probe.cu:");
            sim.release(x);
        }
        for (int i = 0; i < sim.count(); i++) {
            if (strncmp(sim.name(i), "ok_", 3)) continue;
            float *x = input(), zero[64] = {0};
            sim.copy(x + 64, zero, sizeof zero, TO_DEVICE);
            int status = sim.run(i, x);
            const char *error = sim.take_error();
            CHECK_MSG(!status && !error, "%s: %s", sim.name(i), error);
            sim.release(x);
        }
    }
    sim.configure("");
}

static void test_host_faults(void)
{
    NEED_SIM;
    float host[128] = {0}, *x = input(), *pinned = 0;
    int spin = index_of("ok_warp");
    sim.run(spin, host);
    CHECK_CONTAINS(sim.take_error(), "host pointer: reads 4 bytes");
    sim.release(x);
    sim.run(spin, x);
    CHECK_CONTAINS(sim.take_error(), "use after free: reads byte 0 of a freed allocation of 512");
    CHECK(sim.release(x) != 0);
    sim.take_error();
    x = input();
    sim.copy(x + 64, host, 65 * sizeof *host, TO_DEVICE);
    CHECK_CONTAINS(sim.take_error(), "past the end of its allocation");
    sim.copy(host, x, sizeof host, TO_DEVICE);
    CHECK_CONTAINS(sim.take_error(), "device memory, not the host's");
    sim.copy(host, host + 1, 4, TO_HOST);
    CHECK_CONTAINS(sim.take_error(), "not device memory");
    float never[64];
    sim.copy(never, x + 32, sizeof never, TO_HOST);
    CHECK_CONTAINS(sim.take_error(), "uninitialised: copies memory that nobody has written");
    sim.spin(x, 0, 1);
    CHECK_CONTAINS(sim.take_error(), "cannot be launched with grid (0,1,1)");
    sim.spin(x, 1 << 30, 1);
    CHECK_CONTAINS(sim.take_error(), "out of bounds");
    /* after a fault every call fails, as on a device */
    sim.run(spin, host);
    CHECK(sim.copy(host, x, 4, TO_HOST) != 0);
    sim.take_error();
    CHECK_EQ(sim.copy(host, x, 4, TO_HOST), 0);
    /* results appear with the synchronisation, sources stay as they are until then */
    CHECK_EQ(sim.allocate_host((void **)&pinned, 64), 0);
    pinned[0] = 5;
    CHECK_EQ(sim.copy_async(x, pinned, 4, TO_DEVICE, 0), 0);
    CHECK_EQ(sim.synchronize(), 0);
    CHECK_EQ(sim.copy_async(pinned, x, 4, TO_HOST, 0), 0);
    CHECK_MSG(pinned[0] != 5, "a copy that nobody waited for is there");
    sim.synchronize();
    CHECK(pinned[0] == 5);
    CHECK_EQ(sim.copy_async(x, pinned, 4, TO_DEVICE, 0), 0);
    pinned[0] = 6;
    sim.synchronize();
    CHECK_CONTAINS(sim.take_error(), "source was changed before the copy was over");
    /* the host cannot read what is on the device */
    pid_t child = fork();
    if (!child) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(volatile float *)x > 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_MSG(WIFSIGNALED(status) || WEXITSTATUS(status) > 1, "the host has read device memory");
    sim.release(x);
}

/* ---- results and statistics ---- */

static void test_divergence(void)
{
    NEED_SIM;
    float *x = input(), got[64];
    CHECK_EQ(sim.run(index_of("ok_loop"), x), 0);
    CHECK_EQ(sim.copy(got, x, sizeof got, TO_HOST), 0);
    for (int t = 0; t < 64; t++) {
        int steps = 0, v = t * 7 + 64;
        while (v != 1) v = v % 2 ? 3 * v + 1 : v / 2, steps++;
        CHECK_MSG(got[t] == (float)steps, "thread %d: %g steps, expected %d", t, got[t], steps);
    }
    sim.release(x);
}

static void test_statistics(void)
{
    NEED_SIM;
    sim.configure("statistics");
    sim.reset_statistics();
    int64_t before = sim.in_use();
    float *x = input();
    CHECK_EQ(sim.run(index_of("ok_warp"), x), 0);
    CudasimRow row[32];
    int64_t n = sim.statistics(row, 32);
    if (CHECK_EQ(n, 1)) { /* 2 warps: a read and a write of 128 bytes; shared memory without a conflict */
        CHECK_CONTAINS(row[0].kernel, "ok_warp");
        CHECK_EQ(row[0].requests, 4);
        CHECK_EQ(row[0].sectors, 16);
        CHECK_EQ(row[0].least_sectors, 16);
        CHECK_EQ(row[0].shared_requests, 4);
        CHECK_EQ(row[0].wavefronts, 4);
        CHECK_EQ(row[0].least_wavefronts, 4);
        CHECK(row[0].lane_instructions > 64 * 20 && row[0].warp_instructions * 32 >= row[0].lane_instructions);
    }
    sim.reset_statistics();
    CHECK_EQ(sim.run(index_of("ok_stride"), x), 0);
    n = sim.statistics(row, 32);
    if (CHECK_EQ(n, 1)) { /* a warp's 32 words lie in 8 sectors; a warp's store hits one bank */
        CHECK_STR(row[0].kernel, "ok_stride");
        CHECK_EQ(row[0].threads, 64);
        CHECK_EQ(row[0].words, 64);
        CHECK_EQ(row[0].sectors, 2 * 8);
        CHECK_EQ(row[0].least_sectors, 2 * 4);
        CHECK_EQ(row[0].wavefronts, 2 * 32);
        CHECK_EQ(row[0].least_wavefronts, 2);
    }
    sim.configure("");
    sim.release(x);
    CHECK_EQ(sim.in_use(), before);
    float *y;
    enum { BLOCKS = 8, STEPS = 2000 };
    CHECK_EQ(sim.allocate((void **)&y, BLOCKS * 256 * sizeof *y), 0);
    sim.reset_statistics();
    double start = clock_wall();
    CHECK_EQ(sim.spin(y, BLOCKS, STEPS), 0);
    double seconds = clock_wall() - start;
    n = sim.statistics(row, 32);
    CHECK_EQ(n, 1);
    if (n == 1 && getenv("NAS_PROFILE"))
        fprintf(stderr, "cudasim: %.0f million instructions of threads a second\n",
                (double)row[0].lane_instructions / seconds / 1e6);
    sim.release(y);
}

int main(void)
{
    open_sim();
    CHECK_RUN(test_arithmetic);
    CHECK_RUN(test_refusals);
    CHECK_RUN(test_faults);
    CHECK_RUN(test_host_faults);
    CHECK_RUN(test_divergence);
    CHECK_RUN(test_statistics);
    return check_done("cudasim");
}
