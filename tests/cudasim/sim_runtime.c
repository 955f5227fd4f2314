/* sim_runtime: the functions of libcudart that nvcc's objects and our host code call. See cudasim.h.
 *
 * Registration runs from static constructors. An object's PTX is found in its fat binary: a header of 16 bytes, then
 * entries {kind 16 bits (1: PTX), 16 bits, header size 32, payload size 64, 12 bytes, architecture 32 bits, …}.
 */
#include "cudasim.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "device_memory.h"
#include "ptx.h"
#include "sim_graph.h"
#include "sim_machine.h"
#include "visible_devices.h"

#define SIM __attribute__((visibility("default")))

/* Called by what nvcc generates; no header declares them for C. */
void **__cudaRegisterFatBinary(void *fat);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *tid,
                            void *bid, void *block, void *grid, int *warp);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t s);

enum { OLDEST, NEWEST, GENERATIONS }; /* of the PTX in an object, by architecture */

typedef struct {
    const void *fat; /* {magic, version, data, …} */
    Module *module[GENERATIONS];
    int architecture[GENERATIONS]; /* 75, 100 */
    char error[512];
} Binary;

typedef struct {
    const void *host;
    char *name, label[80];
    Binary *binary;
    Kernel *kernel[GENERATIONS]; /* 0: not looked up yet */
} Function;

typedef struct {
    void *to;
    void *copy;
    size_t bytes;
    const void *from; /* host to device: must still hold `copy` when the copy is over */
} Pending;

enum { MAX_BINARIES = 64, MAX_FUNCTIONS = 512, MAX_PENDING = 256, MAX_PINNED = 256 };
static Binary binaries[MAX_BINARIES];
static Function functions[MAX_FUNCTIONS];
static Pending pending[MAX_PENDING];
static struct {
    char *at;
    size_t bytes;
} pinned[MAX_PINNED];
static int last_architecture; /* of what was launched last */
static int binary_count, function_count, pending_count, pinned_count;
static cudaError_t sticky, last;
static char report[1200];
static struct {
    bool known, unchecked, statistics, print;
    int order, generation;
} setting;
static struct {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
} configured;

static cudaError_t result(cudaError_t e)
{
    if (e != cudaSuccess) last = e;
    return e;
}

/* An error of which the program is told by every later call, as after a fault on a device. */
static cudaError_t fault(cudaError_t e, const char *what)
{
    if (!sticky) snprintf(report, sizeof report, "%s", what);
    if (getenv("NAS_CUDASIM_QUIET") == 0) fprintf(stderr, "cudasim: %s\n", what);
    sticky = e;
    return result(e);
}

/* The error that every call returns by now: at last the loss of the device, where that is asked for. */
cudaError_t sim_gone(void)
{
    if (!sticky && sim_lost()) fault(cudaErrorLaunchFailure, "the device was lost, as NAS_CUDASIM_FAIL has it");
    return sticky;
}

static void print_statistics(void)
{
    CudasimRow row[MAX_FUNCTIONS];
    int64_t n = cudasim_statistics(row, MAX_FUNCTIONS);
    fprintf(stderr, "%-24s %8s %14s %13s %11s %9s %9s\n", "kernel", "launches", "instructions", "flops", "words",
            "sectors", "banks");
    for (int64_t i = 0; i < n; i++)
        fprintf(stderr, "%-24s %8lld %14lld %13lld %11lld %8.0f%% %8.0f%%\n", row[i].kernel, (long long)row[i].launches,
                (long long)row[i].lane_instructions, (long long)row[i].flops, (long long)row[i].words,
                row[i].sectors ? 100.0 * (double)row[i].least_sectors / (double)row[i].sectors : 100.0,
                row[i].wavefronts ? 100.0 * (double)row[i].least_wavefronts / (double)row[i].wavefronts : 100.0);
    fprintf(stderr, "graphs %lld, launches by themselves %lld, copies between host and device %lld, waits %lld\n",
            (long long)sim_calls.graphs, (long long)sim_calls.launches, (long long)sim_calls.copies,
            (long long)sim_calls.waits);
}

SIM void cudasim_configure(const char *words)
{
    bool print = setting.print;
    memset(&setting, 0, sizeof setting);
    setting.known = true;
    if (!words) return;
    setting.unchecked = strstr(words, "unchecked") != 0;
    setting.order = strstr(words, "backward") ? 1 : strstr(words, "shuffled") ? 2 : 0;
    setting.generation = strstr(words, "newest") ? NEWEST : OLDEST;
    setting.print = strstr(words, "report") != 0;
    setting.statistics = setting.print || strstr(words, "statistics");
    if (setting.print && !print) atexit(print_statistics);
}

SIM const char *cudasim_take_error(void)
{
    sticky = last = cudaSuccess;
    static char taken[sizeof report];
    memcpy(taken, report, sizeof taken);
    *report = 0;
    return *taken ? taken : 0;
}

/* Of "_ZN39_GLOBAL__N__57a85106_7_conv_cu_ddce044710conv_inputIfLi64ELi64ELi8EEvK8CudaConv" the name and its numbers. Which
 * elements tensors have is said of bf16 alone: "conv_input<bf16,64,64,8>". */
SIM void cudasim_kernel_name(const char *mangled, char *to, size_t room)
{
    const char *p = mangled, *file = strstr(mangled, "_cu_");
    size_t n = 0;
    if (strncmp(p, "_Z", 2)) {
        snprintf(to, room, "%s", mangled);
        return;
    }
    p = file ? file + 12 : p + 2; /* behind eight digits of a hash */
    int length = atoi(p);
    p += strspn(p, "0123456789");
    n = (size_t)snprintf(to, room, "%.*s", length, p);
    p += (size_t)length < strlen(p) ? (size_t)length : strlen(p);
    if (*p++ != 'I') return;
    static const char bf16[] = "13__nv_bfloat16";
    char before = '<';
    if (!strncmp(p, bf16, sizeof bf16 - 1))
        n += (size_t)snprintf(to + n, room - n, "<bf16"), before = ',', p += sizeof bf16 - 1;
    else if (*p == 'f')
        p++;
    for (; !strncmp(p, "Li", 2) && n < room; before = ',', p = strchr(p, 'E') + 1)
        n += (size_t)snprintf(to + n, room - n, "%c%d", before, atoi(p + 2));
    if (n < room && before == ',') snprintf(to + n, room - n, ">");
}

/* ---- registration ---- */

SIM void **__cudaRegisterFatBinary(void *fat)
{
    if (binary_count == MAX_BINARIES) abort();
    binaries[binary_count].fat = fat;
    return (void **)&binaries[binary_count++];
}

SIM void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

SIM void __cudaUnregisterFatBinary(void **handle)
{
    (void)handle;
}

SIM void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *tid,
                                void *bid, void *block, void *grid, int *warp)
{
    (void)device, (void)limit, (void)tid, (void)bid, (void)block, (void)grid, (void)warp;
    if (function_count == MAX_FUNCTIONS) abort();
    Function *f = &functions[function_count++];
    *f = (Function){.host = host, .name = strdup(name), .binary = (Binary *)(void *)handle};
    cudasim_kernel_name(name, f->label, sizeof f->label);
}

static void load_binary(Binary *b, int generation)
{
    struct {
        int magic, version;
        const uint8_t *data;
    } wrapper;
    memcpy(&wrapper, b->fat, sizeof wrapper);
    uint16_t header, kind;
    uint64_t size, payload, length = 0;
    uint32_t entry, architecture, best = 0;
    const uint8_t *found = 0;
    memcpy(&header, wrapper.data + 6, 2);
    memcpy(&size, wrapper.data + 8, 8);
    for (const uint8_t *p = wrapper.data + header, *end = p + size; p < end; p += entry + payload) {
        memcpy(&kind, p, 2);
        memcpy(&entry, p + 4, 4);
        memcpy(&payload, p + 8, 8);
        memcpy(&architecture, p + 28, 4);
        if (kind != 1 || (found && (generation == OLDEST) == (architecture > best))) continue;
        found = p + entry, length = payload, best = architecture;
    }
    char *text = found ? strndup((const char *)found, length) : 0;
    if (!text)
        snprintf(b->error, sizeof b->error, "no PTX in the object: compile with code=compute_NN");
    else if (!strstr(text, ".version"))
        snprintf(b->error, sizeof b->error, "the PTX is compressed: compile with --compress-mode=none");
    else
        b->module[generation] = ptx_load(text, b->error, sizeof b->error);
    b->architecture[generation] = (int)best;
    free(text);
}

static Function *find_function(const void *host)
{
    int generation = setting.generation;
    for (int f = 0; f < function_count; f++) {
        Function *fn = &functions[f];
        if (fn->host != host) continue;
        Binary *b = fn->binary;
        if (!fn->kernel[generation] && !b->module[generation] && !*b->error) load_binary(b, generation);
        const Module *m = b->module[generation];
        for (int k = 0; !fn->kernel[generation] && m && k < m->kernels; k++)
            if (!strcmp(m->kernel[k]->name, fn->name)) fn->kernel[generation] = m->kernel[k];
        return fn;
    }
    return 0;
}

/* ---- launching ---- */

SIM unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream)
{
    configured.grid = grid;
    configured.block = block;
    configured.shared = shared;
    configured.stream = stream;
    return 0;
}

SIM cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    *grid = configured.grid;
    *block = configured.block;
    *shared = configured.shared;
    memcpy(stream, &configured.stream, sizeof configured.stream);
    return cudaSuccess;
}

static void check_sources(bool done);

typedef struct {
    Function *function;
    int generation; /* of its PTX */
    dim3 grid, block;
    uint32_t shared; /* bytes in all */
    uint8_t param[4096];
} KernelCall;

static cudaError_t run_kernel(void *args)
{
    KernelCall *c = args;
    if (sticky) return sticky;
    Launch l = {.module = c->function->binary->module[c->generation],
                .kernel = c->function->kernel[c->generation],
                .grid = {c->grid.x, c->grid.y, c->grid.z},
                .block = {c->block.x, c->block.y, c->block.z},
                .shared_bytes = c->shared,
                .param = c->param,
                .checked = !setting.unchecked,
                .statistics = setting.statistics,
                .order = setting.order};
    const char *why = ptx_run(&l);
    return why ? fault(cudaErrorLaunchFailure, why) : cudaSuccess;
}

SIM cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block, void **args, size_t shared,
                                 cudaStream_t stream)
{
    if (!setting.known) cudasim_configure(getenv("NAS_CUDASIM"));
    if (sim_gone()) return sticky;
    Function *f = find_function(host);
    if (!f) return result(cudaErrorInvalidDeviceFunction);
    Kernel *k = f->kernel[setting.generation];
    if (!k) return fault(cudaErrorInvalidPtx, f->binary->error);
    last_architecture = f->binary->architecture[setting.generation];
    uint64_t threads = (uint64_t)block.x * block.y * block.z, total = k->shared_bytes + shared;
    if (!threads || threads > 1024 || block.z > 64 || !grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff ||
        grid.y > 65535 || grid.z > 65535 || total > 48 << 10) {
        char text[400];
        snprintf(text, sizeof text,
                 "%s: cannot be launched with grid (%u,%u,%u), block (%u,%u,%u), %llu bytes of shared memory", k->name,
                 grid.x, grid.y, grid.z, block.x, block.y, block.z, (unsigned long long)total);
        return fault(cudaErrorInvalidConfiguration, text);
    }
    static KernelCall call;
    call.function = f, call.generation = setting.generation;
    call.grid = grid, call.block = block, call.shared = (uint32_t)total;
    for (int p = 0; p < k->params; p++) { /* a device takes no more than 4096 bytes */
        if (k->param[p].offset + k->param[p].size > sizeof call.param) return result(cudaErrorInvalidValue);
        memcpy(call.param + k->param[p].offset, args[p], k->param[p].size);
    }
    sim_works(stream);
    if (sim_capturing(stream)) {
        sim_record(run_kernel, &call, sizeof call);
        return cudaSuccess;
    }
    sim_calls.launches++;
    return run_kernel(&call);
}

SIM cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host)
{
    *kernel = (cudaKernel_t)host;
    return cudaSuccess;
}

SIM cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args, size_t shared,
                                   cudaStream_t s)
{
    return cudaLaunchKernel((const void *)kernel, grid, block, args, shared, s);
}

/* ---- memory ---- */

SIM cudaError_t cudaMalloc(void **p, size_t bytes)
{
    if (sim_gone()) return sticky;
    if ((int64_t)bytes > sim_memory(device_capacity()) - device_in_use()) return result(cudaErrorMemoryAllocation);
    uint64_t a = device_alloc(bytes ? bytes : 1);
    *p = (void *)(uintptr_t)a;
    return a ? cudaSuccess : result(cudaErrorMemoryAllocation);
}

SIM cudaError_t cudaFree(void *p)
{
    if (!p || sim_gone()) return sticky;
    return device_free((uint64_t)(uintptr_t)p) ? cudaSuccess : result(cudaErrorInvalidValue);
}

SIM cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    if (pinned_count == MAX_PINNED || posix_memalign(p, 4096, bytes ? bytes : 1))
        return result(cudaErrorMemoryAllocation);
    pinned[pinned_count].at = *p;
    pinned[pinned_count++].bytes = bytes;
    return cudaSuccess;
}

SIM cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return cudaHostAlloc(p, bytes, 0);
}

SIM cudaError_t cudaFreeHost(void *p)
{
    check_sources(false);
    for (int i = 0; i < pinned_count; i++)
        if (pinned[i].at == p) {
            pinned[i] = pinned[--pinned_count];
            free(p);
            return cudaSuccess;
        }
    return p ? result(cudaErrorInvalidValue) : cudaSuccess;
}

static bool is_pinned(const void *p)
{
    for (int i = 0; i < pinned_count; i++)
        if ((const char *)p >= pinned[i].at && (const char *)p < pinned[i].at + pinned[i].bytes) return true;
    return false;
}

/* The whole range must be in one living allocation. */
static uint8_t *device_range(const void *p, size_t bytes, const char *what, bool write)
{
    uint64_t a = (uint64_t)(uintptr_t)p;
    const Allocation *in = device_owns(p) ? device_find(a) : 0;
    const char *wrong = !device_owns(p) ? "not device memory"
                        : !in           ? "in no allocation"
                        : in->freed     ? "freed memory"
                                        : 0;
    if (!wrong && a + bytes > in->end) wrong = "past the end of its allocation";
    if (wrong) {
        char text[200];
        snprintf(text, sizeof text, "%s: %zu bytes at %p are %s", what, bytes, p, wrong);
        fault(cudaErrorInvalidValue, text);
        return 0;
    }
    if (write) memset(device_valid + (a - device_base), 1, bytes);
    return device_bytes + (a - device_base);
}

static bool host_range(const void *p, const char *what)
{
    if (!device_owns(p)) return true;
    char text[200];
    snprintf(text, sizeof text, "%s: %p is device memory, not the host's", what, p);
    fault(cudaErrorInvalidValue, text);
    return false;
}

/* Copies that a real device may still be doing. A result appears when the program waits for it; until then its place
 * holds nonsense. A source must not change until then. */
static void check_sources(bool done)
{
    int kept = 0;
    for (int i = 0; i < pending_count; i++) {
        Pending *p = &pending[i];
        if (p->from && memcmp(p->from, p->copy, p->bytes))
            fault(cudaErrorInvalidValue, "cudaMemcpyAsync: its source was changed before the copy was over");
        if (!done) {
            pending[kept++] = *p;
            continue;
        }
        if (p->to) memcpy(p->to, p->copy, p->bytes);
        free(p->copy);
    }
    pending_count = kept;
}

static cudaError_t copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, bool asynchronous)
{
    if (sim_gone()) return sticky;
    if (!bytes) return cudaSuccess;
    static const char name[] = "cudaMemcpy";
    uint8_t *d;
    const uint8_t *s;
    if (asynchronous && pending_count == MAX_PENDING) check_sources(true);
    switch (kind) {
    case cudaMemcpyHostToDevice:
        if (!host_range(from, name) || !(d = device_range(to, bytes, name, true))) return sticky;
        memcpy(d, from, bytes);
        if (asynchronous && is_pinned(from)) {
            pending[pending_count++] =
                (Pending){.copy = memcpy(malloc(bytes), from, bytes), .bytes = bytes, .from = from};
        }
        return cudaSuccess;
    case cudaMemcpyDeviceToHost:
        if (!host_range(to, name) || !(s = device_range(from, bytes, name, false))) return sticky;
        if (!setting.unchecked && memchr(device_valid + (s - device_bytes), 0, bytes))
            return fault(cudaErrorInvalidValue, "cudaMemcpy: uninitialised: copies memory that nobody has written");
        if (asynchronous && is_pinned(to)) {
            pending[pending_count++] = (Pending){.to = to, .copy = memcpy(malloc(bytes), s, bytes), .bytes = bytes};
            memset(to, 0xff, bytes);
        } else {
            memcpy(to, s, bytes);
        }
        return cudaSuccess;
    case cudaMemcpyDeviceToDevice: {
        if (!(s = device_range(from, bytes, name, false)) || !(d = device_range(to, bytes, name, false))) return sticky;
        memmove(d, s, bytes);
        uint64_t a = (uint64_t)(d - device_bytes), b = (uint64_t)(s - device_bytes);
        memmove(device_valid + a, device_valid + b, bytes);
        return cudaSuccess;
    }
    default: return fault(cudaErrorInvalidMemcpyDirection, "cudaMemcpy: this direction is not implemented");
    }
}

typedef struct {
    void *to;
    const void *from;
    int value;
    size_t bytes;
    enum cudaMemcpyKind kind;
} MemoryCall;

static cudaError_t run_copy(void *args)
{
    MemoryCall *c = args;
    return copy(c->to, c->from, c->bytes, c->kind, true);
}

SIM cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s)
{
    MemoryCall call = {.to = to, .from = from, .bytes = bytes, .kind = kind};
    if (sim_capturing(s)) {
        sim_record(run_copy, &call, sizeof call);
        return cudaSuccess;
    }
    cudaError_t e = run_copy(&call);
    sim_calls.copies += bytes && kind != cudaMemcpyDeviceToDevice;
    if (!e && bytes && kind == cudaMemcpyHostToDevice) sim_side_copy(s, to, bytes);
    return e;
}

SIM cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    check_sources(true);
    return copy(to, from, bytes, kind, false);
}

static cudaError_t run_set(void *args)
{
    MemoryCall *c = args;
    if (sim_gone()) return sticky;
    uint8_t *d = c->bytes ? device_range(c->to, c->bytes, "cudaMemset", true) : 0;
    if (d) memset(d, c->value, c->bytes);
    return sticky;
}

SIM cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s)
{
    MemoryCall call = {.to = p, .value = value, .bytes = bytes};
    sim_works(s);
    if (!sim_capturing(s)) return run_set(&call);
    sim_record(run_set, &call, sizeof call);
    return cudaSuccess;
}

SIM cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    return cudaMemsetAsync(p, value, bytes, 0);
}

SIM cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    *total = (size_t)sim_memory(device_capacity());
    *available = *total - (size_t)device_in_use();
    return sim_gone();
}

/* ---- device, streams, events, errors ---- */

static int devices(void)
{
    int device[MAX_DEVICES];
    return visible_devices(device);
}

SIM cudaError_t cudaGetDeviceCount(int *count)
{
    device_open();
    *count = devices();
    return *count ? cudaSuccess : result(cudaErrorNoDevice);
}

static int current_device;

/* All devices are one and the same. */
SIM cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= devices()) return result(cudaErrorInvalidDevice);
    current_device = device;
    return sim_gone();
}

SIM cudaError_t cudaGetDevice(int *device)
{
    *device = current_device;
    return sticky;
}

SIM cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int index)
{
    int device[MAX_DEVICES];
    if (index < 0 || index >= visible_devices(device)) return result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "device %d simulated on the CPU", device[index]);
    p->major = 7, p->minor = 5;
    p->multiProcessorCount = 40;
    p->totalGlobalMem = (size_t)sim_memory(device_capacity());
    p->sharedMemPerBlock = 48 << 10;
    p->warpSize = LANES;
    return cudaSuccess;
}

SIM cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    (void)flags;
    *s = sim_stream_new();
    return sim_gone();
}

SIM cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    (void)s;
    check_sources(true);
    return cudaSuccess;
}

SIM cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (sim_capturing(s))
        return fault(cudaErrorStreamCaptureUnsupported, "waiting for a stream that is being captured");
    sim_calls.waits += !s || sim_computes(s);
    check_sources(true);
    sim_waited(s);
    return sim_gone();
}

SIM cudaError_t cudaDeviceSynchronize(void)
{
    return cudaStreamSynchronize(0);
}

SIM cudaError_t cudaGetLastError(void)
{
    cudaError_t e = sticky ? sticky : last;
    last = cudaSuccess;
    return e;
}

SIM cudaError_t cudaPeekAtLastError(void)
{
    return sticky ? sticky : last;
}

SIM const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess                 ? "no error"
           : *report                        ? report
           : e == cudaErrorNoDevice         ? "no device"
           : e == cudaErrorMemoryAllocation ? "out of memory"
                                            : "error";
}

SIM int cudasim_architecture(void)
{
    return last_architecture;
}

SIM const char *cudasim_refusal(const char *ptx)
{
    static char error[512];
    return ptx_load(ptx, error, sizeof error) ? 0 : error;
}

/* ---- statistics ---- */

SIM int64_t cudasim_in_use(void)
{
    return device_in_use();
}

SIM int64_t cudasim_statistics(CudasimRow *rows, int64_t room)
{
    int64_t n = 0;
    for (int f = 0; f < function_count && n < room; f++) {
        const Kernel *k = functions[f].kernel[setting.generation];
        if (!k || !k->launches) continue;
        rows[n++] = (CudasimRow){.kernel = functions[f].label,
                                 .launches = k->launches,
                                 .blocks = k->blocks,
                                 .threads = k->threads,
                                 .warp_instructions = k->warp_instructions,
                                 .lane_instructions = k->lane_instructions,
                                 .flops = k->flops,
                                 .words = k->words,
                                 .requests = k->requests,
                                 .sectors = k->sectors,
                                 .least_sectors = k->least_sectors,
                                 .shared_requests = k->shared_requests,
                                 .wavefronts = k->wavefronts,
                                 .least_wavefronts = k->least_wavefronts};
    }
    return n;
}

SIM void cudasim_reset_statistics(void)
{
    for (int f = 0; f < function_count; f++) {
        Kernel *k = functions[f].kernel[setting.generation];
        if (!k) continue;
        k->launches = k->blocks = k->threads = k->warp_instructions = k->lane_instructions = 0;
        k->flops = k->words = 0;
        k->requests = k->sectors = k->least_sectors = 0;
        k->shared_requests = k->wavefronts = k->least_wavefronts = 0;
    }
}
