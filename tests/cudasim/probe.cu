/* probe: kernels for the tests of the simulator itself. Each bug_* has one fault, which the simulator must name; ok_* have
 * none and must stay clean; arithmetic is compared with the host. */
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>

/* ---- faults ---- */
__global__ void bug_out_of_bounds_read(float *x, int n) { x[threadIdx.x] = x[2 * n + threadIdx.x]; }
__global__ void bug_out_of_bounds_write(float *x, int n) { x[threadIdx.x * n] = 1; }
__global__ void bug_misaligned(float *x, int n) 
{
    float4 v = reinterpret_cast<float4 *>(x + 1)[threadIdx.x / n];
    x[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void bug_misaligned_write(float *x, int n)
{
    __shared__ __align__(16) float s[128];
    *reinterpret_cast<float2 *>(s + 1 + threadIdx.x / n) = make_float2(1, n);
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x + 1];
}
__global__ void bug_atomic_beside_plain(float *x, int n)
{
    if (threadIdx.x < 32) atomicAdd(x + threadIdx.x, (float)n);
    else x[threadIdx.x] = x[threadIdx.x - 32];
}
__global__ void bug_missing_barrier(float *x, int n)
{
    __shared__ float s[64];
    s[threadIdx.x] = n;
    __syncthreads();
    s[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = s[63 - threadIdx.x];
}
__device__ float block_sum(float v, float *s)
{
    for (int o = 16; o; o >>= 1) v += __shfl_down_sync(~0u, v, o);
    if (!(threadIdx.x & 31)) s[threadIdx.x / 32] = v;
    __syncthreads();
    return s[0] + s[1]; /* a second call may write before all have read */
}
__global__ void bug_missing_second_barrier(float *x, int n)
{
    __shared__ float s[2];
    float a = 0;
    for (int i = 0; i < n / 32; i++) a += block_sum(x[threadIdx.x], s);
    x[threadIdx.x] = a;
}
__global__ void bug_missing_warp_barrier(float *x, int n)
{
    __shared__ float s[64];
    if (threadIdx.x < 32) {
        s[threadIdx.x] = x[threadIdx.x] + n;
        x[threadIdx.x] = s[31 - threadIdx.x];
    }
}
__global__ void bug_plain_add(float *x, int n) { x[0] += n; }
__global__ void bug_blocks_meet(float *x, int n)
{
    if (!threadIdx.x) x[blockIdx.x] = n;
    else if (threadIdx.x == 1) x[2 + blockIdx.x] = x[blockIdx.x ^ 1];
}
__global__ void bug_divergent_barrier(float *x, int n)
{
    if (threadIdx.x < 40) __syncthreads();
    x[threadIdx.x] = n;
}
__global__ void bug_barrier_after_return(float *x, int n)
{
    if (threadIdx.x > 40) return;
    x[threadIdx.x] = n;
    __syncthreads();
    x[threadIdx.x] += x[(threadIdx.x + 1) % 40];
}
__global__ void bug_shuffle_in_branch(float *x, int n)
{
    if (threadIdx.x % 2) x[threadIdx.x] = __shfl_xor_sync(~0u, x[threadIdx.x], n / n);
}
__global__ void bug_lane_not_in_mask(float *x, int n) { x[threadIdx.x] = __shfl_xor_sync(0xffff, x[threadIdx.x], n / n); }
__global__ void bug_uninitialised_shared(float *x, int n)
{
    __shared__ float s[66];
    s[threadIdx.x + 1] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x] + s[threadIdx.x + 2] + n;
}
__global__ void bug_uninitialised_global(float *x, int n) { x[threadIdx.x] = x[threadIdx.x + n]; }
__global__ void bug_uninitialised_local(float *x, int n)
{
    float a[8];
    for (int i = 0; i < n % 7; i++) a[(i + threadIdx.x) % 8] = x[threadIdx.x];
    x[threadIdx.x] = a[(n + threadIdx.x + 3) % 8];
}
__global__ void bug_local_overflow(float *x, int n)
{
    float a[8];
    for (int i = 0; i < 8; i++) a[i] = x[threadIdx.x] + i;
    x[threadIdx.x] = a[threadIdx.x + n - 60];
}
__global__ void bug_shared_overflow(float *x, int n)
{
    __shared__ float s[64];
    s[threadIdx.x] = 0;
    s[threadIdx.x + n] = x[0];
    __syncthreads();
    x[threadIdx.x] = s[n - 1];
}
/* ---- none ---- */
__global__ void bug_half_word_shared(float *x, int n) { reinterpret_cast<unsigned short *>(x)[threadIdx.x / 2] = n; }
__global__ void bug_word_over_halves(float *x, int n)
{
    if (threadIdx.x < 2) reinterpret_cast<unsigned short *>(x)[threadIdx.x] = n;
    else if (threadIdx.x == 2) x[0] = n;
}
__global__ void ok_halves(float *x, int n) /* each its own half of a word */
{
    __shared__ __nv_bfloat16 s[64];
    __nv_bfloat16 *half = reinterpret_cast<__nv_bfloat16 *>(x);
    s[threadIdx.x] = __nv_bfloat16(float(half[threadIdx.x]) + n);
    half[threadIdx.x] = s[threadIdx.x];
}
__global__ void ok_warp(float *x, int n)
{
    __shared__ float s[64];
    float v = x[threadIdx.x];
    s[threadIdx.x] = v;
    __syncwarp();
    v += s[threadIdx.x ^ 1];
    if (threadIdx.x & 4) v = -v;
    else if (threadIdx.x & 8) v *= 2;
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
    int count = __popc(__ballot_sync(~0u, v > 0)) + __any_sync(~0u, v < 0) + __all_sync(~0u, v == v);
    x[threadIdx.x] = v + count + n;
}
__global__ void ok_atomics(float *x, int n)
{
    int *count = reinterpret_cast<int *>(x);
    if (threadIdx.x < 2) __syncwarp(3);
    atomicAdd(count + 64 + threadIdx.x % 2, 1);
    atomicAdd(x + 66, (float)n);
}
__global__ void ok_stride(float *x, int n) /* 32 sectors where 4 would do; all lanes of one bank */
{
    __shared__ float s[32 * 64];
    s[threadIdx.x * 32] = n;
    x[(threadIdx.x * 8) % 64 + threadIdx.x / 8] = s[threadIdx.x * 32];
}
__global__ void ok_loop(float *x, int n) /* lanes leave a loop at different times and meet again */
{
    int steps = 0, v = threadIdx.x * 7 + n;
    while (v != 1) v = v % 2 ? 3 * v + 1 : v / 2, steps++;
    __syncthreads();
    x[threadIdx.x] = (float)steps;
}

typedef void (*ProbeKernel)(float *, int);
static const struct {
    const char *name;
    ProbeKernel kernel;
} kernels[] = {
#define ROW(k) {#k, k}
    ROW(bug_out_of_bounds_read), ROW(bug_out_of_bounds_write), ROW(bug_misaligned), ROW(bug_misaligned_write), ROW(bug_atomic_beside_plain),
    ROW(bug_missing_barrier),
    ROW(bug_missing_second_barrier), ROW(bug_missing_warp_barrier), ROW(bug_plain_add), ROW(bug_blocks_meet),
    ROW(bug_divergent_barrier), ROW(bug_barrier_after_return), ROW(bug_shuffle_in_branch), ROW(bug_lane_not_in_mask),
    ROW(bug_uninitialised_shared), ROW(bug_uninitialised_global), ROW(bug_uninitialised_local), ROW(bug_local_overflow),
    ROW(bug_shared_overflow), ROW(bug_half_word_shared), ROW(bug_word_over_halves), ROW(ok_halves), ROW(ok_warp), ROW(ok_atomics), ROW(ok_stride), ROW(ok_loop),
};

/* ---- arithmetic: the same expressions on both sides ---- */
#define INTEGERS(X)                                                                                                    \
    X(a + b) X(a - b) X(a * b) X(a / (b ? b : 1)) X(a % (b ? b : 1)) X(a / 7) X(a % 12) X(a << (b & 31)) X(a >> (b & 31)) \
    X(a < b ? a : b) X(a > b) X((int)((long long)a * b >> 32)) X((int)((unsigned)a / (b ? (unsigned)b : 1u)))           \
    X((int)((unsigned)a % 10u)) X(a & ~b) X(a ^ b) X((int)((unsigned)a >> (b & 31))) X((short)a * (short)b)             \
    X((int)(char)a) X((int)(unsigned char)b) X((int)(short)(a + b)) X(a == b || a != -b) X(a < 0 ? -a : a)              \
    X((int)((long long)a * b % 1000003)) X((int)(((unsigned long long)(unsigned)a << 20 | (unsigned)b) / 12345u))
#define FLOATS(X)                                                                                                      \
    X(a + b) X(a - b) X(a * b) X(a / b) X(fmaf(a, b, 1.5f)) X(fminf(a, b)) X(fmaxf(a, b)) X(sqrtf(fabsf(a))) X(-a)      \
    X((float)(int)a) X(floorf(a)) X(ceilf(b)) X(truncf(a)) X(rintf(b)) X(expf(-fabsf(a) * 0.1f)) X(logf(fabsf(a) + 1))  \
    X(1 / sqrtf(fabsf(b) + 1)) X(log1pf(fabsf(a))) X(tanhf(b)) X(a < b ? a : b) X(a != a ? 1.0f : 0.0f)                 \
    X(copysignf(a, b)) X((float)((double)a * b + 1)) X((float)sqrt(fabs((double)a))) X((float)exp((double)b * 0.01))   \
    X(__bfloat162float(__float2bfloat16_rn(a))) X((float)(1 / ((double)a * a + 1))) X((float)(a > 1 ? (double)a : 0.5)) X((float)(unsigned)fabsf(a))
#define PUT(e) *to++ = (e);

__host__ __device__ static void integers(int a, int b, int *to) { INTEGERS(PUT) }
__host__ __device__ static void floats(float a, float b, float *to) { FLOATS(PUT) }
enum { INTEGER_COUNT = 25, FLOAT_COUNT = 29 };
__global__ void arithmetic_int(const int *a, const int *b, int *to)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    integers(a[i], b[i], to + i * INTEGER_COUNT);
}
__global__ void arithmetic_float(const float *a, const float *b, float *to)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    floats(a[i], b[i], to + i * FLOAT_COUNT);
}
__global__ void spin(float *x, int n) /* for speed */
{
    float a = threadIdx.x, b = 1;
    for (int i = 0; i < n; i++) a = fmaf(a, 0.5f, b), b = b * 0.25f + a;
    x[blockIdx.x * blockDim.x + threadIdx.x] = a + b;
}

extern "C" {
__attribute__((visibility("default"))) int probe_count(void) { return sizeof kernels / sizeof *kernels; }
__attribute__((visibility("default"))) const char *probe_name(int i) { return kernels[i].name; }
/* Runs kernel i: 2 blocks of 64 threads, x of 128 floats of which the first 64 are written, n = 64. */
__attribute__((visibility("default"))) int probe_run(int i, float *x)
{
    int blocks = kernels[i].kernel == bug_blocks_meet ? 2 : 1;
    kernels[i].kernel<<<blocks, 64>>>(x, 64);
    return cudaDeviceSynchronize();
}
__attribute__((visibility("default"))) int probe_spin(float *x, int blocks, int n)
{
    spin<<<blocks, 256>>>(x, n);
    return cudaDeviceSynchronize();
}
__attribute__((visibility("default"))) int probe_integers(const int *a, const int *b, int *to, int blocks, int *per)
{
    *per = INTEGER_COUNT;
    arithmetic_int<<<blocks, 64>>>(a, b, to);
    return cudaDeviceSynchronize();
}
__attribute__((visibility("default"))) int probe_floats(const float *a, const float *b, float *to, int blocks, int *per)
{
    *per = FLOAT_COUNT;
    arithmetic_float<<<blocks, 64>>>(a, b, to);
    return cudaDeviceSynchronize();
}
__attribute__((visibility("default"))) void probe_host_integers(int a, int b, int *to) { integers(a, b, to); }
__attribute__((visibility("default"))) void probe_host_floats(float a, float b, float *to) { floats(a, b, to); }
}
