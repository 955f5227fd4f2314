/* norm: from partial sums to batch statistics and gradient coefficients, and dot products. The one file that computes in
 * double on the device: few numbers, where cancellation would hurt. */
#include "kernels/cuda/common.cuh"

namespace
{

/* A warp a channel. */
__global__ void norm_train(const __grid_constant__ CudaNorm k, const float *sums, int64_t parts, double epsilon,
                           double momentum)
{
    int c = (int)((blockIdx.x * blockDim.x + threadIdx.x) / 32), lane = threadIdx.x & 31;
    if (c >= k.channels) return;
    double s = 0, q = 0, count = (double)k.count;
    for (int64_t p = lane; p < parts; p += 32)
        s += sums[2 * p * k.channels + c], q += sums[(2 * p + 1) * k.channels + c];
    s = warp_sum(s);
    q = warp_sum(q);
    if (lane) return;
    double mean = s / count, variance = q / count - mean * mean;
    if (variance < 0) variance = 0; /* rounding */
    k.running[c] += (float)(momentum * (mean - (double)k.running[c]));
    double unbiased = k.count > 1 ? variance * count / (count - 1) : variance;
    k.running[k.channels + c] += (float)(momentum * (unbiased - (double)k.running[k.channels + c]));
    double invstd = 1 / sqrt(variance + epsilon), scale = invstd * (k.gamma ? (double)k.gamma[c] : 1.0);
    k.mean[c] = mean;
    k.invstd[c] = invstd;
    k.scale[c] = (float)scale;
    k.shift[c] = (float)((k.beta ? (double)k.beta[c] : 0.0) - mean * scale);
}

__global__ void norm_eval(const __grid_constant__ CudaNorm k, double epsilon)
{
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= k.channels) return;
    if (!k.norm) {
        k.scale[c] = 1;
        k.shift[c] = k.beta[c];
        return;
    }
    double invstd = 1 / sqrt((double)k.running[k.channels + c] + epsilon);
    double scale = invstd * (k.gamma ? (double)k.gamma[c] : 1.0);
    k.scale[c] = (float)scale;
    k.shift[c] = (float)((k.beta ? (double)k.beta[c] : 0.0) - (double)k.running[c] * scale);
}

/* One block, so that dLoss/dweight is a sum in one block: 32 channels in turn, lanes along the channels, as the sums lie,
 * and the parts dealt to the warps. */
__global__ void norm_backward(const __grid_constant__ CudaNorm k, const float *sums, int64_t parts, int64_t stride,
                              const float *weight, double *g_weight)
{
    __shared__ double room[2][8][32];
    int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
    double total = 0, count = (double)k.count, w = weight ? (double)*weight : 1.0;
    for (int64_t c0 = 0; c0 < k.channels; c0 += 32) {
        int64_t c = c0 + lane;
        double s0 = 0, s1 = 0;
        for (int64_t p = warp; p < parts && c < k.channels; p += 8)
            s0 += sums[p * stride + c], s1 += sums[p * stride + k.channels + c];
        __syncthreads(); /* the first warp may still read */
        room[0][warp][lane] = s0;
        room[1][warp][lane] = s1;
        __syncthreads();
        if (warp || c >= k.channels) continue;
        for (int other = 1; other < 8; other++) s0 += room[0][other][lane], s1 += room[1][other][lane];
        if (!k.norm) {
            if (k.a) k.a[c] = (float)w;
            if (k.g_beta) k.g_beta[c] = (float)(w * s0);
            total += s1 + (k.beta ? (double)k.beta[c] : 0.0) * s0;
            continue;
        }
        double gamma = k.gamma ? (double)k.gamma[c] : 1.0, mean = k.mean[c], invstd = k.invstd[c];
        double gx = invstd * (s1 - mean * s0), a = w * gamma * invstd;
        k.a[c] = (float)a;
        k.b[c] = (float)(-a * invstd * gx / count);
        k.d[c] = (float)(a * (invstd * mean * gx - s0) / count);
        total += gamma * gx + (k.beta ? (double)k.beta[c] : 0.0) * s0;
        if (k.g_gamma) k.g_gamma[c] = (float)(w * gx), k.g_beta[c] = (float)(w * s0);
    }
    if (warp) return;
    total = warp_sum(total);
    if (!lane && g_weight) *g_weight = total;
}

/* A warp an image. The mean and deviation of what is enlarged, or the means of g and g*y. */
__global__ void resize_norm(const __grid_constant__ CudaResize c, int64_t parts, bool backward)
{
    int64_t n = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (n >= c.n) return;
    int lane = threadIdx.x & 31;
    double s = 0, q = 0, count = (double)c.k.channels * c.k.in_h * c.k.in_w;
    if (c.k.kind != 2) count *= c.k.factor * c.k.factor; /* zeros do not count */
    for (int64_t p = lane; p < parts; p += 32) s += c.sums[2 * (n * parts + p)], q += c.sums[2 * (n * parts + p) + 1];
    s = warp_sum(s) / count;
    q = warp_sum(q) / count;
    if (lane) return;
    double variance = q - s * s;
    if (variance < 0) variance = 0; /* rounding */
    if (backward)
        c.mean_g[n] = (float)s, c.mean_gy[n] = (float)q;
    else
        c.mean[n] = (float)s, c.invstd[n] = (float)(1 / sqrt(variance + 1e-6)); /* graph.h */
}

__global__ void dot_parts(int64_t n, const float *x, const float *y, double *parts)
{
    __shared__ double room[32];
    double sum = 0;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        sum += (double)x[i] * (double)y[i];
    sum = block_sum(sum, room);
    if (!threadIdx.x) parts[1 + blockIdx.x] = sum;
}

__global__ void dot_add(double *parts, int count)
{
    double sum = 0;
    for (int p = (int)threadIdx.x; p < count; p += 32) sum += parts[1 + p];
    sum = warp_sum(sum);
    if (!threadIdx.x) parts[0] = sum;
}

__global__ void clip(const CudaUpdate *u, const double *parts, float *factor)
{
    double f = u->clip / (sqrt(parts[0]) + 1e-6);
    *factor = u->clip > 0 && f < 1 ? (float)f : 1.0f;
}

} // namespace

int cuda_norm_train(const CudaNorm *k, const float *sums, int64_t parts, double epsilon, double momentum, void *stream)
{
    norm_train<<<(unsigned)((k->channels + 3) / 4), 128, 0, (cudaStream_t)stream>>>(*k, sums, parts, epsilon, momentum);
    return launched();
}

int cuda_norm_eval(const CudaNorm *k, double epsilon, void *stream)
{
    norm_eval<<<(unsigned)((k->channels + 63) / 64), 64, 0, (cudaStream_t)stream>>>(*k, epsilon);
    return launched();
}

int cuda_norm_backward(const CudaNorm *k, const float *sums, int64_t parts, int64_t stride, const float *weight,
                       double *g_weight, void *stream)
{
    norm_backward<<<1, 256, 0, (cudaStream_t)stream>>>(*k, sums, parts, stride, weight, g_weight);
    return launched();
}

int cuda_resize_norm(const CudaResize *c, int64_t parts, void *stream)
{
    resize_norm<<<(unsigned)((c->n + 3) / 4), 128, 0, (cudaStream_t)stream>>>(*c, parts, false);
    return launched();
}

int cuda_resize_means(const CudaResize *c, int64_t parts, void *stream)
{
    resize_norm<<<(unsigned)((c->n + 3) / 4), 128, 0, (cudaStream_t)stream>>>(*c, parts, true);
    return launched();
}

int cuda_dot(int64_t n, const float *x, const float *y, double *parts, void *stream)
{
    unsigned blocks = (unsigned)((n + 2047) / 2048);
    if (blocks > CUDA_DOT_PARTS - 1) blocks = CUDA_DOT_PARTS - 1;
    if (!blocks) blocks = 1;
    dot_parts<<<blocks, 256, 0, (cudaStream_t)stream>>>(n, x, y, parts);
    dot_add<<<1, 32, 0, (cudaStream_t)stream>>>(parts, (int)blocks);
    return launched();
}

int cuda_clip(const CudaUpdate *u, int64_t n, const float *g, double *parts, float *factor, void *stream)
{
    int status = cuda_dot(n, g, g, parts, stream);
    clip<<<1, 1, 0, (cudaStream_t)stream>>>(u, parts, factor);
    return status ? status : launched();
}
