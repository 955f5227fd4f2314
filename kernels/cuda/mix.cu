/* mix: poolings, weighted sums of terms, the head, and passes over flat blocks. */
#include <float.h>

#include "kernels/cuda/common.cuh"

namespace
{

template <class S> __global__ void pool_sums(const __grid_constant__ KPool k, int64_t images, float *sums)
{
    __shared__ float room[32];
    int c = blockIdx.x, pixels = k.out_h * k.out_w, best, cells;
    int64_t n0 = images * blockIdx.y / gridDim.y, n1 = images * (blockIdx.y + 1) / gridDim.y;
    float s = 0, q = 0;
    for (int64_t n = n0; n < n1; n++) {
        const S *x = tensor<S>(k.x) + (n * k.blocks + c) * k.in_h * k.in_w;
        for (int i = threadIdx.x; i < pixels; i += blockDim.x) {
            float y = pooled_value(k, x, i / k.out_w, i % k.out_w, &best, &cells);
            s += y;
            q = fmaf(y, y, q);
        }
    }
    s = block_sum(s, room);
    q = block_sum(q, room);
    if (threadIdx.x) return;
    sums[(int64_t)blockIdx.y * 2 * k.blocks + c] = s;
    sums[((int64_t)blockIdx.y * 2 + 1) * k.blocks + c] = q;
}

/* Gathers: an input pixel looks at every window that it lies in, and whether it was that window's maximum. */
template <class S> __global__ void pool_backward(const __grid_constant__ KPool k, int64_t images)
{
    int64_t in = (int64_t)k.in_h * k.in_w, total = images * k.blocks * in;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t plane = e / in, n = plane / k.blocks;
        int c = (int)(plane - n * k.blocks), pixel = (int)(e - plane * in), iy = pixel / k.in_w, ix = pixel % k.in_w;
        float sum = 0;
        for (int ky = 0; ky < k.kernel_h; ky++)
            for (int kx = 0; kx < k.kernel_w; kx++) {
                int y = iy + k.pad_h - ky, x = ix + k.pad_w - kx;
                if (y < 0 || x < 0 || y % k.stride_h || x % k.stride_w) continue;
                int oy = y / k.stride_h, ox = x / k.stride_w, best, cells;
                if (oy >= k.out_h || ox >= k.out_w) continue;
                float v = pooled_value(k, tensor<S>(k.x) + plane * in, oy, ox, &best, &cells);
                if (!k.average && best != ky * k.kernel_w + kx) continue;
                float dy =
                    raw_gradient(k.grad, n, c, float(tensor<S>(k.grad.g)[(plane * k.out_h + oy) * k.out_w + ox]), v);
                sum += k.average ? dy / (float)cells : dy;
            }
        add(tensor<S>(k.gx) + e, sum);
    }
}

/* ---- sums of terms ---- */

/* A term before its normalisation. */
template <class S> __device__ float term_value(const CudaTerm &t, int64_t plane, int64_t element, int y, int x)
{
    int best, cells;
    if (!t.pooled) return float(tensor<S>(t.y)[element]);
    return pooled_value(t.pool, tensor<S>(t.pool.x) + plane * t.pool.in_h * t.pool.in_w, y, x, &best, &cells);
}

__device__ float normalised(const CudaTerm &t, int c, float y)
{
    return t.scale ? fmaf(y, t.scale[c], t.shift[c]) : y;
}

template <class S> __global__ void mix_forward(const __grid_constant__ CudaMix k)
{
    int64_t pixels = k.height * k.width, total = k.n * k.channels * pixels;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t plane = e / pixels, n = plane / k.channels;
        int c = (int)(plane - n * k.channels), p = (int)(e - plane * pixels), y = p / (int)k.width;
        float sum = 0;
        for (int i = 0; i < k.terms; i++) {
            const CudaTerm &t = k.term[i];
            float v = normalised(t, c, term_value<S>(t, plane, e, y, p - y * (int)k.width));
            if (t.relu) v = relu(v);
            if (t.sample_scale) v *= t.sample_scale[n];
            sum = fmaf(t.weight ? *t.weight : 1.0f, v, sum);
        }
        put(tensor<S>(k.out) + e, sum);
    }
}

/* The gradient that a term's normalised value gets, but for the term's weight. */
__device__ float term_gradient(const CudaTerm &t, int64_t n, int c, float g, float y)
{
    if (t.sample_scale) g *= t.sample_scale[n];
    return t.relu && !(normalised(t, c, y) > 0) ? 0 : g;
}

template <class S> __global__ void mix_sums(const __grid_constant__ CudaMix k)
{
    __shared__ float room[32];
    const CudaTerm &t = k.term[blockIdx.z];
    int c = blockIdx.x, pixels = (int)(k.height * k.width), width = (int)k.width;
    int64_t n0 = k.n * blockIdx.y / gridDim.y, n1 = k.n * (blockIdx.y + 1) / gridDim.y;
    float s = 0, q = 0;
    for (int64_t n = n0; n < n1; n++) {
        int64_t plane = n * k.channels + c;
        for (int p = threadIdx.x; p < pixels; p += blockDim.x) {
            int64_t e = plane * pixels + p;
            float y = term_value<S>(t, plane, e, p / width, p % width),
                  g = term_gradient(t, n, c, float(tensor<S>(k.g)[e]), y);
            s += g;
            q = fmaf(g, y, q);
        }
    }
    s = block_sum(s, room);
    q = block_sum(q, room);
    if (threadIdx.x) return;
    float *to = k.sums + (((int64_t)blockIdx.y * k.terms + blockIdx.z) * 2) * k.channels + c;
    to[0] = s;
    to[k.channels] = q;
}

template <class S> __global__ void mix_input(const __grid_constant__ CudaMix k)
{
    int64_t pixels = k.height * k.width, total = k.n * k.channels * pixels;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t n = e / pixels / k.channels;
        for (int i = 0; i < k.terms; i++) {
            const CudaTerm &t = k.term[i];
            if (!t.gx) continue;
            float y = t.relu ? float(tensor<S>(t.y)[e]) : 0, g = float(tensor<S>(k.g)[e]);
            add(tensor<S>(t.gx) + e, (t.weight ? *t.weight : 1.0f) * term_gradient(t, n, 0, g, y));
        }
    }
}

/* ---- head ---- */

template <class S>
__global__ void head_pool(const __grid_constant__ KHead k, int64_t images) /* a warp an image and channel */
{
    int64_t which = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (which >= images * k.channels) return;
    int64_t n = which / k.channels;
    int c = (int)(which - n * k.channels), p = 0, local = c, pixels = k.height * k.width, lane = threadIdx.x & 31;
    while (local >= k.part_channels[p]) local -= k.part_channels[p++];
    const S *x = tensor<S>(k.x[p]) + (n * k.part_channels[p] + local) * pixels;
    float sum = 0;
    for (int i = lane; i < pixels; i += 32) sum += float(x[i]);
    sum = warp_sum(sum);
    if (!lane) k.pooled[which] = sum / (float)pixels;
}

__global__ void head_logits(const __grid_constant__ KHead k, int64_t images) /* a warp an image and output */
{
    int64_t which = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (which >= images * k.outputs) return;
    int64_t n = which / k.outputs, o = which - n * k.outputs;
    int lane = threadIdx.x & 31;
    float sum = 0;
    for (int c = lane; c < k.channels; c += 32)
        sum = fmaf(k.weight[o * k.channels + c], k.pooled[n * k.channels + c], sum);
    sum = warp_sum(sum);
    if (!lane) k.logits[which] = sum + k.bias[o];
}

__global__ void head_weight(const __grid_constant__ KHead k, int64_t images, float *g_weight, float *g_bias)
{
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, weights = (int64_t)k.outputs * k.channels;
    if (i >= weights + k.outputs) return;
    int64_t o = i < weights ? i / k.channels : i - weights;
    float sum = 0;
    for (int64_t n = 0; n < images; n++)
        sum = fmaf(k.g_logits[n * k.outputs + o], i < weights ? k.pooled[n * k.channels + i - o * k.channels] : 1.0f,
                   sum);
    *(i < weights ? g_weight + i : g_bias + o) = sum;
}

/* A block of 256 threads takes 32 channels of an image: lanes along the channels, as the weights lie, and the outputs dealt
 * to the warps; then all along the pixels. */
template <class S> __global__ void head_input(const __grid_constant__ KHead k, int64_t images)
{
    __shared__ float part[8][32], sum[32];
    int groups = (k.channels + 31) / 32, lane = threadIdx.x & 31, warp = threadIdx.x / 32, pixels = k.height * k.width;
    int64_t n = blockIdx.x / groups;
    int c0 = (int)(blockIdx.x - n * groups) * 32, count = k.channels - c0 < 32 ? k.channels - c0 : 32;
    float s = 0;
    for (int o = warp; o < k.outputs && lane < count; o += 8)
        s = fmaf(k.g_logits[n * k.outputs + o], k.weight[(int64_t)o * k.channels + c0 + lane], s);
    part[warp][lane] = s;
    __syncthreads();
    if (!warp) {
        float all = 0;
        for (int w = 0; w < 8; w++) all += part[w][lane];
        sum[lane] = all / (float)pixels;
    }
    __syncthreads();
    for (int e = threadIdx.x; e < count * pixels; e += 256) {
        int j = e / pixels, p = 0, local = c0 + j;
        while (local >= k.part_channels[p]) local -= k.part_channels[p++];
        if (k.gx[p]) add(tensor<S>(k.gx[p]) + (n * k.part_channels[p] + local) * pixels + e - j * pixels, sum[j]);
    }
}

/* ---- select ---- */

template <class S> __global__ void select_forward(const __grid_constant__ KSelect k, int64_t images)
{
    int64_t pixels = (int64_t)k.height * k.width, total = images * k.channels * pixels;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t plane = e / pixels, n = plane / k.channels, c = plane - n * k.channels;
        int part = k.part[c];
        tensor<S>(k.y)[e] = tensor<S>(k.x[part])[(n * k.part_blocks[part] + k.place[c]) * pixels + e - plane * pixels];
    }
}

/* A thread adds to all channels of its pixel in turn, for a channel may have been taken twice. */
template <class S> __global__ void select_backward(const __grid_constant__ KSelect k, int64_t images)
{
    int64_t pixels = (int64_t)k.height * k.width, total = images * pixels;
    for (int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; e < total; e += (int64_t)gridDim.x * blockDim.x) {
        int64_t n = e / pixels, p = e - n * pixels;
        for (int c = 0; c < k.channels; c++) {
            int part = k.part[c];
            if (k.gx[part])
                add(tensor<S>(k.gx[part]) + (n * k.part_blocks[part] + k.place[c]) * pixels + p,
                    float(tensor<S>(k.g)[(n * k.channels + c) * pixels + p]));
        }
    }
}

/* ---- flat blocks ---- */

__device__ inline bool finite(float v)
{
    return fabsf(v) <= FLT_MAX;
}

__global__ void sgd(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
                    float *velocity)
{
    const KSgd k = u->sgd;
    const float scale = factor ? k.scale * *factor : k.scale;
    if (!finite(*loss)) return;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) {
        float grad = fmaf(scale, g[i], k.decay * w[i]), v = fmaf(k.momentum, velocity[i], grad);
        velocity[i] = v;
        w[i] -= k.lr * (k.nesterov ? fmaf(k.momentum, v, grad) : v);
    }
}

__global__ void adam(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
                     float *m, float *v)
{
    const KAdam k = u->adam;
    const float scale = factor ? k.scale * *factor : k.scale;
    if (!finite(*loss)) return;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) {
        float weight = w[i], grad = scale * g[i];
        if (k.decoupled)
            weight -= k.lr_plain * k.decay * weight;
        else
            grad = fmaf(k.decay, weight, grad);
        float first = k.beta1 * m[i] + (1 - k.beta1) * grad, second = k.beta2 * v[i] + (1 - k.beta2) * grad * grad;
        m[i] = first;
        v[i] = second;
        w[i] = weight - k.lr * first / (sqrtf(second) + k.eps);
    }
}

__global__ void axpy(int64_t n, float *y, float a, const float *x)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        y[i] = fmaf(a, x[i], y[i]);
}

__global__ void to_bf16(int64_t n, const float *from, __nv_bfloat16 *to)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        to[i] = __nv_bfloat16(from[i]);
}

__global__ void scale(int64_t n, float *y, float a)
{
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        y[i] *= a;
}

} // namespace

int64_t cuda_image_parts(int64_t n)
{
    return n < CUDA_SLOTS ? n : CUDA_SLOTS;
}

int cuda_pool_sums(const KPool *k, int64_t n, int bf16, float *sums, void *stream)
{
    LAUNCH(bf16, pool_sums, dim3((unsigned)k->blocks, (unsigned)cuda_image_parts(n)), 128, *k, n, sums);
    return launched();
}

int cuda_pool_backward(const KPool *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, pool_backward, blocks_for(n * k->blocks * k->in_h * k->in_w, 256), 256, *k, n);
    return launched();
}

int cuda_mix_forward(const CudaMix *k, void *stream)
{
    LAUNCH(k->bf16, mix_forward, blocks_for(k->n * k->channels * k->height * k->width, 256), 256, *k);
    return launched();
}

int cuda_mix_sums(const CudaMix *k, void *stream)
{
    dim3 grid((unsigned)k->channels, (unsigned)cuda_image_parts(k->n), (unsigned)k->terms);
    if (k->terms) LAUNCH(k->bf16, mix_sums, grid, 128, *k);
    return launched();
}

int cuda_mix_input(const CudaMix *k, void *stream)
{
    LAUNCH(k->bf16, mix_input, blocks_for(k->n * k->channels * k->height * k->width, 256), 256, *k);
    return launched();
}

int cuda_head_forward(const KHead *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, head_pool, (unsigned)((n * k->channels + 7) / 8), 256, *k, n);
    head_logits<<<(unsigned)((n * k->outputs + 7) / 8), 256, 0, (cudaStream_t)stream>>>(*k, n);
    return launched();
}

int cuda_head_backward(const KHead *k, int64_t n, int bf16, float *g_weight, float *g_bias, void *stream)
{
    int64_t weights = (int64_t)k->outputs * (k->channels + 1);
    if (g_weight)
        head_weight<<<(unsigned)((weights + 127) / 128), 128, 0, (cudaStream_t)stream>>>(*k, n, g_weight, g_bias);
    LAUNCH(bf16, head_input, (unsigned)(n * ((k->channels + 31) / 32)), 256, *k, n);
    return launched();
}

int cuda_select_forward(const KSelect *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, select_forward, blocks_for(n * k->channels * k->height * k->width, 256), 256, *k, n);
    return launched();
}

int cuda_select_backward(const KSelect *k, int64_t n, int bf16, void *stream)
{
    LAUNCH(bf16, select_backward, blocks_for(n * k->height * k->width, 256), 256, *k, n);
    return launched();
}

int cuda_sgd(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
             float *velocity, void *stream)
{
    sgd<<<blocks_for(n, 256), 256, 0, (cudaStream_t)stream>>>(u, factor, loss, n, w, g, velocity);
    return launched();
}

int cuda_adam(const CudaUpdate *u, const float *factor, const float *loss, int64_t n, float *w, const float *g,
              float *m, float *v, void *stream)
{
    adam<<<blocks_for(n, 256), 256, 0, (cudaStream_t)stream>>>(u, factor, loss, n, w, g, m, v);
    return launched();
}

int cuda_axpy(int64_t n, float *y, float a, const float *x, void *stream)
{
    axpy<<<blocks_for(n, 256), 256, 0, (cudaStream_t)stream>>>(n, y, a, x);
    return launched();
}

int cuda_scale(int64_t n, float *y, float a, void *stream)
{
    scale<<<blocks_for(n, 256), 256, 0, (cudaStream_t)stream>>>(n, y, a);
    return launched();
}

int cuda_to_bf16(int64_t n, const float *from, void *to, void *stream)
{
    to_bf16<<<blocks_for(n, 256), 256, 0, (cudaStream_t)stream>>>(n, from, (__nv_bfloat16 *)to);
    return launched();
}
