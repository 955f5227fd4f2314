/* common: what the CUDA kernels share. */
#ifndef NAS_CUDA_COMMON_CUH
#define NAS_CUDA_COMMON_CUH
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/kernels_cuda.h"

static inline int launched(void)
{
    return (int)cudaGetLastError();
}
static inline unsigned blocks_for(int64_t n, int threads)
{
    int64_t blocks = (n + threads - 1) / threads;
    return (unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks); /* kernels step over the rest */
}

/* kernel<float> or kernel<__nv_bfloat16>, by what tensors are made of: tensor() below. */
#define LAUNCH(bf16, kernel, grid, threads, ...)                                                                       \
    do {                                                                                                               \
        if (bf16)                                                                                                      \
            kernel<__nv_bfloat16><<<grid, threads, 0, (cudaStream_t)stream>>>(__VA_ARGS__);                            \
        else                                                                                                           \
            kernel<float><<<grid, threads, 0, (cudaStream_t)stream>>>(__VA_ARGS__);                                    \
    } while (0)

/* Elements of a tensor, S, are float or __nv_bfloat16, whatever the structs of kernels.h call them. They are computed with
 * as float. */
template <class S> __host__ __device__ inline const S *tensor(const float *p)
{
    return (const S *)p;
}
template <class S> __host__ __device__ inline S *tensor(float *p)
{
    return (S *)p;
}
/* Returns what was stored, rounded. */
template <class S> __device__ inline float put(S *at, float v)
{
    S s = S(v);
    *at = s;
    return float(s);
}
template <class S> __device__ inline void add(S *at, float v)
{
    *at = S(float(*at) + v);
}

/* Not fmaxf: NaN must stay NaN, or a diverged network would look healthy. */
__device__ inline float relu(float v)
{
    return v < 0 ? 0.0f : v;
}

template <class T> __device__ inline T warp_sum(T v)
{
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    return v;
}

/* Sum over a block of whole warps, in thread 0; `room` holds 32. All threads must call it. */
template <class T> __device__ inline T block_sum(T v, T *room)
{
    v = warp_sum(v);
    __syncthreads(); /* an earlier call may still be read */
    if (!(threadIdx.x & 31)) room[threadIdx.x / 32] = v;
    __syncthreads();
    T sum = 0;
    if (!threadIdx.x)
        for (unsigned w = 0; w < blockDim.x / 32; w++) sum += room[w];
    return sum;
}

/* dLoss/dy of the raw value y, from the gradient g of what its reader saw: kernels.h. */
__device__ inline float raw_gradient(const KGrad &k, int64_t n, int c, float g, float y)
{
    if (k.sample_scale) g *= k.sample_scale[n];
    if (k.mask_scale && !(fmaf(y, k.mask_scale[c], k.mask_shift[c]) > 0)) g = 0;
    return fmaf(k.a[c], g, fmaf(k.b[c], y, k.d[c]));
}

/* Value of a pooling of plane x at (oy, ox); in *best the cell of the maximum, in *cells how many count. */
template <class S>
__device__ inline float pooled_value(const KPool &k, const S *x, int oy, int ox, int *best, int *cells)
{
    float sum = 0, most = 0;
    int count = 0, at = 0;
    for (int ky = 0; ky < k.kernel_h; ky++)
        for (int kx = 0; kx < k.kernel_w; kx++) {
            int iy = oy * k.stride_h - k.pad_h + ky, ix = ox * k.stride_w - k.pad_w + kx;
            if (iy < 0 || ix < 0 || iy >= k.in_h + k.extra_h || ix >= k.in_w + k.extra_w) continue;
            float v = iy < k.in_h && ix < k.in_w ? float(x[iy * k.in_w + ix]) : 0;
            sum += v;
            if (!count || v > most || isnan(v)) most = v, at = ky * k.kernel_w + kx;
            count++;
        }
    *best = at;
    *cells = count;
    return k.average ? sum / (float)count : most;
}
#endif
